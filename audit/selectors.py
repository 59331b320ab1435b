"""The only readers of the log for doors; keyset pages, newest first."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from audit.models import Entry, Verification
from audit.transactions import PLATFORM, in_workspace

MAX_PAGE = 500


@dataclass(frozen=True)
class Page:
    """One page of entries; `cursor` fetches the next one, "" means there is none."""

    entries: list[Entry]
    cursor: str


@dataclass(frozen=True)
class Filters:
    """What entries to find; `actor` and `subject` are ids, `since` inclusive."""

    actions: tuple[str, ...] = ()
    actor: str = ""
    subject: str = ""
    run: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None

    @classmethod
    def from_text(cls, values: Mapping[str, str]) -> "Filters":
        """Read what a form or a stored scope holds.

        Raises:
            ValueError: A run or a time that is none.
        """
        run, since, until = values.get("run"), values.get("since"), values.get("until")
        return cls(
            actions=tuple(filter(None, values.get("action", "").split(","))),
            actor=values.get("actor", ""),
            subject=values.get("subject", ""),
            run=UUID(run) if run else None,
            since=datetime.fromisoformat(since) if since else None,
            until=datetime.fromisoformat(until) if until else None,
        )


def entries(
    workspace_id: UUID | None,
    filters: Filters = Filters(),
    *,
    cursor: str = "",
    limit: int = 50,
) -> Page:
    """Return entries newest first; an unreadable cursor starts at the newest."""
    limit = max(1, min(limit, MAX_PAGE))
    workspace = PLATFORM if workspace_id is None else workspace_id
    with in_workspace(workspace):
        query = filtered(Entry.objects.filter(workspace_id=workspace), filters)
        position = _read_cursor(cursor)
        if position is not None:
            time, number = position
            # The first condition is redundant, but it is where the index can start.
            query = query.filter(time__lte=time).filter(
                Q(time__lt=time) | Q(time=time, number__lt=number)
            )
        found = list(query.order_by("-time", "-number")[: limit + 1])
    rest = found[limit:]
    return Page(found[:limit], _cursor(found[limit - 1]) if rest else "")


def entry(workspace_id: UUID | None, entry_id: UUID) -> Entry | None:
    """Return one entry of the workspace, or None (also for another workspace's)."""
    with in_workspace(workspace_id):
        return Entry.objects.filter(workspace_id=workspace_id or PLATFORM, id=entry_id).first()


def run_entries(workspace_id: UUID, run_id: UUID) -> list[Entry]:
    """Return every entry of a run in its own order."""
    with in_workspace(workspace_id):
        return list(Entry.objects.filter(run_id=run_id).order_by("run_seq"))


def verification(workspace_id: UUID | None, verification_id: UUID) -> Verification | None:
    """Return one verification run of the workspace, or None (also for another workspace's)."""
    workspace = PLATFORM if workspace_id is None else workspace_id
    with in_workspace(workspace):
        return Verification.objects.filter(workspace_id=workspace, id=verification_id).first()


def verifications(workspace_id: UUID | None, *, limit: int = 5) -> list[Verification]:
    """Return the newest verification runs."""
    workspace = PLATFORM if workspace_id is None else workspace_id
    with in_workspace(workspace):
        runs = Verification.objects.filter(workspace_id=workspace).order_by("-requested_at")
        return list(runs[: max(1, min(limit, MAX_PAGE))])


def filtered(query: QuerySet[Entry], filters: Filters) -> QuerySet[Entry]:
    """Narrow a query to what the filters name."""
    if len(filters.actions) == 1:
        query = query.filter(action=filters.actions[0])
    elif filters.actions:
        query = query.filter(action__in=filters.actions)
    if filters.actor:
        query = query.filter(actor_id=filters.actor)
    if filters.subject:
        query = query.filter(subject_id=filters.subject)
    if filters.run is not None:
        query = query.filter(run_id=filters.run)
    if filters.since is not None:
        query = query.filter(time__gte=filters.since)
    if filters.until is not None:
        query = query.filter(time__lt=filters.until)
    return query


def _cursor(entry: Entry) -> str:
    text = f"{entry.time.isoformat()} {entry.number}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def _read_cursor(cursor: str) -> tuple[datetime, int] | None:
    try:
        time, number = base64.urlsafe_b64decode(cursor).decode().split(" ")
        return datetime.fromisoformat(time), int(number)
    except (ValueError, binascii.Error, UnicodeDecodeError):
        return None
