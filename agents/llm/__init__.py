"""Speaking with language models: one small protocol, one client, one scripted model."""
