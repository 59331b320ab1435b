"""What a worker process holds: `leases` of runs, `jails`, and clients of model `endpoints`."""
