"""Places outside the operator's rule that keep checkpoints."""
