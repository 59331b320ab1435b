"""What a bundle covers, and which positions and entries that means."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from django.db import connections

from audit import search
from audit.canonical import JSON
from audit.errors import ExportFailed
from audit.transactions import current_block, in_workspace

MAX_FOUND = 100_000
"""Entries that a search bundle shows at most."""


class Kind(StrEnum):
    WORKSPACE = "workspace"
    RANGE = "range"
    RUN = "run"
    SEARCH = "search"


@dataclass(frozen=True)
class Scope:
    """One workspace whole, a range of positions, one run, or a search result."""

    kind: Kind
    first: int = 0
    end: int = 0
    """Range: first position, and the one after the last."""
    run: UUID | None = None
    filters: Mapping[str, str] | None = None
    """Search: what was looked for, as `search.Filters.to_text` says it; range: of what days."""
    sizes: tuple[int, ...] = ()
    """Sizes of checkpoints the auditor kept, for which he needs consistency proofs."""

    def to_json(self) -> dict[str, JSON]:
        value: dict[str, JSON] = {"kind": str(self.kind)}
        if self.kind is Kind.RANGE:
            value |= {"first": self.first, "end": self.end}
        if self.run is not None:
            value["run"] = str(self.run)
        if self.filters:
            value["filters"] = dict(self.filters)
        if self.sizes:
            value["sizes"] = list(self.sizes)
        return value

    @classmethod
    def from_json(cls, value: Mapping[str, JSON]) -> "Scope":
        return cls(
            kind=Kind(value["kind"]),
            first=value.get("first", 0),
            end=value.get("end", 0),
            run=UUID(value["run"]) if "run" in value else None,
            filters=value.get("filters"),
            sizes=tuple(value.get("sizes", ())),
        )


def between(workspace_id: UUID, since: datetime | None, until: datetime | None) -> Scope:
    """The range of positions that holds every signed entry of a stretch of time.

    Entries beside the stretch may lie in it too: what is committed late is placed late.

    Raises:
        ExportFailed: Nothing of that time is under a checkpoint yet.
    """
    asked = search.Filters(since=since, until=until)
    condition = search.matching(asked)
    with in_workspace(workspace_id), current_block().connection.cursor() as cursor:
        cursor.execute(
            "SELECT min(p.position), max(p.position) FROM audit_entry e"  # noqa: S608
            " JOIN audit_position p ON p.entry_number = e.number"
            f" WHERE e.workspace_id = %s AND {condition.sql} AND p.position <"
            " (SELECT max(size) FROM audit_checkpoint WHERE workspace_id = %s)",
            [workspace_id, *condition.values, workspace_id],
        )
        first, last = cursor.fetchone()
    if first is None:
        raise ExportFailed("nothing of that time is in the signed tree")
    return Scope(Kind.RANGE, first=first, end=last + 1, filters=asked.to_text())


@dataclass(frozen=True)
class Selection:
    """A range of positions, and the entries shown in it (None: all of them)."""

    first: int
    end: int
    numbers: frozenset[int] | None


def select(scope: Scope, workspace_id: UUID, size: int, using: str) -> Selection:
    """Resolve a scope against a tree of `size` entries, in an open transaction.

    Raises:
        ExportFailed: It covers nothing, or nothing that is in the tree yet.
    """
    if scope.kind is Kind.WORKSPACE:
        return Selection(0, size, None)
    if scope.kind is Kind.RANGE:
        if not 0 <= scope.first < scope.end <= size:
            raise ExportFailed(f"the log has positions 0 to {size - 1}")
        return Selection(scope.first, scope.end, None)
    numbers = _run(scope, using) if scope.kind is Kind.RUN else _search(scope, workspace_id, using)
    return _around(numbers, size, using)


def _run(scope: Scope, using: str) -> set[int]:
    """The run's entries, and those about the approvals it asked for."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT number FROM audit_entry WHERE run_id = %(run)s"
            " UNION SELECT about.number FROM audit_entry asked JOIN audit_entry about"
            " ON about.workspace_id = asked.workspace_id"
            " AND about.subject_id = asked.subject_id"
            " WHERE asked.run_id = %(run)s AND asked.action = 'approval.requested'",
            {"run": scope.run},
        )
        return {row[0] for row in cursor.fetchall()}


def _search(scope: Scope, workspace_id: UUID, using: str) -> set[int]:
    asked = search.matching(search.Filters.from_text(scope.filters or {}))
    with connections[using].cursor() as cursor:
        cursor.execute(
            f"SELECT number FROM audit_entry WHERE workspace_id = %s AND {asked.sql}"  # noqa: S608
            " LIMIT %s",
            [workspace_id, *asked.values, MAX_FOUND + 1],
        )
        found = [row[0] for row in cursor.fetchall()]
    if len(found) > MAX_FOUND:
        raise ExportFailed(f"the search finds more than {MAX_FOUND} entries; export a range")
    return set(found)


def _around(numbers: set[int], size: int, using: str) -> Selection:
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT min(position), max(position) FROM audit_position"
            " WHERE entry_number = ANY(%s) AND position < %s",
            [list(numbers), size],
        )
        row = cursor.fetchone()
    if row is None or row[0] is None:
        raise ExportFailed("nothing that matches is in the signed tree yet")
    return Selection(row[0], row[1] + 1, frozenset(numbers))
