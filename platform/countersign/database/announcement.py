"""A change of the schema names itself in the log, before and after.

A change that was begun and did not end leaves its first entry alone there. The very first one can
say nothing before it, as there is no log yet; nor can one that comes with new columns for entries.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import ProgrammingError, connections
from django.db.migrations.executor import MigrationExecutor

from audit.canonical import JSON
from audit.services import Draft, Subject, record
from audit.transactions import in_workspace
from countersign.accounts.services.workspace import COMMAND_LINE
from countersign.database.administrator import Administrator

MOST_NAMED = 200
"""Migrations named in one entry; it says how many there are."""


@contextmanager
def announced(admin: Administrator) -> Iterator[list[str]]:
    """Record ``migration.started`` and ``migration.finished`` around a change, if there is one.

    Yields:
        The migrations that are due, as ``app.name``, in the order they run.
    """
    due = _due(admin)
    before = bool(due) and _say("migration.started", due)
    yield due
    if due:
        _say("migration.finished", due, announced=before)


def _due(admin: Administrator) -> list[str]:
    with admin.as_owner() as alias:
        executor = MigrationExecutor(connections[alias])
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def _say(action: str, due: list[str], **more: bool) -> bool:
    """Return whether the log took the entry."""
    detail: dict[str, JSON] = {"count": len(due), "migrations": [*due[:MOST_NAMED]], **more}
    draft = Draft(action, COMMAND_LINE, Subject("schema", "public"), detail=detail)
    try:
        with in_workspace(None):
            record(None, [draft])
    except ProgrammingError:
        if action == "migration.finished":
            raise
        return False
    return True
