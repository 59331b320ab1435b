"""Replay: stored programs run again, and what was journaled answers their calls.

`restoring` does it from the journal, for a worker that takes a run up; `bundle` from an export,
without a database; `service` for people who ask for it.
"""
