"""Kill switches: `service` sets and lifts them, `switches` says which of them holds a run."""
