"""Management commands of the policies room."""
