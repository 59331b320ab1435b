"""Commands: `policy_check`."""
