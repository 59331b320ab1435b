"""The one way to open a transaction on workspace-owned rows.

Row-level security shows a row only where `countersign.workspace` names its workspace,
and that setting exists only inside `in_workspace`: outside it every query on those
tables finds nothing. The setting is transaction-local, so a pooled connection cannot
carry one workspace's setting into another's request.

The statement that opens a block also reads the database's clock, once: entries are dated by
it, whichever machine writes them, without asking again for each.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections, transaction

from audit import wire
from audit.errors import NotInTransaction, WrongWorkspace

if TYPE_CHECKING:
    from django.db.backends.postgresql.base import DatabaseWrapper

PLATFORM = UUID(int=0)
"""Stands for "no workspace" in entries of the platform itself; it has a tree too."""


_ENTER = (
    "SELECT set_config('countersign.workspace', '{}', true),"
    " (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Block:
    """An open `in_workspace` block: whose rows it sees, over which connection."""

    workspace_id: UUID
    using: str
    opened_us: int = 0
    """The database's clock when the block was opened, Unix microseconds."""
    opened: float = 0.0
    """This process's monotonic clock at the same moment, seconds."""

    @property
    def connection(self) -> "DatabaseWrapper":
        return connections[self.using]  # type: ignore[return-value]

    def clock(self) -> datetime:
        """Return the database's time: what it said at first, and what has passed since."""
        since = timedelta(seconds=monotonic() - self.opened)
        return _EPOCH + timedelta(microseconds=self.opened_us) + since


_current: ContextVar[Block | None] = ContextVar("countersign_workspace", default=None)


@contextmanager
def in_workspace(workspace_id: UUID | None, *, using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """Open a transaction that sees exactly one workspace; None means the platform.

    Inside another block of the same workspace it joins that transaction (no savepoint:
    an exception that leaves the inner block rolls the outer one back).

    Args:
        workspace_id: The workspace whose rows are seen and written.
        using: The database alias, which decides the role; ignored when joining.

    Raises:
        WrongWorkspace: A block of another workspace is open.
    """
    wanted = PLATFORM if workspace_id is None else workspace_id
    present = _current.get()
    if present is not None:
        if present.workspace_id != wanted:
            raise WrongWorkspace(f"a transaction of workspace {present.workspace_id} is open")
        with transaction.atomic(using=present.using, savepoint=False):
            yield
        return
    token = _current.set(None)
    try:
        with transaction.atomic(using=using):
            opened_us = _enter(using, wanted)
            _current.set(Block(wanted, using, opened_us, monotonic()))
            yield
            if connections[using].savepoint_ids:
                # Ours is nested in a plain atomic block that goes on: close the view.
                _enter(using, None)
            # Callbacks run on commit, still inside `atomic`: to them no block is open.
            _current.set(None)
    finally:
        _current.reset(token)


def _enter(using: str, workspace_id: UUID | None) -> int:
    """Set the workspace, or none; return the database's clock in Unix microseconds."""
    connection: DatabaseWrapper = connections[using]  # type: ignore[assignment]
    row = wire.begin(connection, _ENTER.format(workspace_id or ""))
    return int(row[1] or 0)


def current_block() -> Block:
    """Return the innermost open block.

    Raises:
        NotInTransaction: There is none (the caller's fault).
    """
    block = _current.get()
    if block is None or not block.connection.in_atomic_block:
        raise NotInTransaction("open in_workspace() around the change and its entry")
    return block


def alias(role: str) -> str:
    """Return the alias that connects as `role` ("reader", "sequencer", "eraser").

    An installation without separate roles connects everything as the default one; the
    database then refuses what that role may not do.
    """
    return role if role in settings.DATABASES else DEFAULT_DB_ALIAS
