"""The one way to open a transaction on workspace-owned rows.

Row-level security shows a row only where `countersign.workspace` names its workspace,
and that setting exists only inside `in_workspace`: outside it every query on those
tables finds nothing. The setting is transaction-local, so a pooled connection cannot
carry one tenant's setting into another's request.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import UUID

from django.db import connection, transaction

from audit.errors import WrongWorkspace

PLATFORM = UUID(int=0)
"""Stands for "no workspace" in entries of the platform itself; it has a tree too."""

_current: ContextVar[UUID | None] = ContextVar("countersign_workspace", default=None)


@contextmanager
def in_workspace(workspace_id: UUID | None) -> Iterator[None]:
    """Open a transaction that sees exactly one workspace; None means the platform.

    Inside another block of the same workspace it joins that transaction (no savepoint:
    an exception that leaves the inner block rolls the outer one back).

    Raises:
        WrongWorkspace: A block of another workspace is open.
    """
    wanted = PLATFORM if workspace_id is None else workspace_id
    present = _current.get()
    if present is not None:
        if present != wanted:
            raise WrongWorkspace(f"a transaction of workspace {present} is open")
        with transaction.atomic(savepoint=False):
            yield
        return
    token = _current.set(wanted)
    try:
        with transaction.atomic():
            _set(str(wanted))
            yield
            if len(connection.savepoint_ids) > 0:
                # Ours is nested in a plain atomic block that goes on: close the view.
                _set("")
    finally:
        _current.reset(token)


def current_workspace() -> UUID | None:
    """Return the workspace whose transaction is open, or None outside any."""
    return _current.get()


def _set(value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('countersign.workspace', %s, true)", [value])
