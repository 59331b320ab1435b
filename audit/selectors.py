"""The only readers of the log for doors; keyset pages, newest first."""

import base64
import binascii
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from audit.models import Entry
from audit.transactions import PLATFORM, in_workspace

MAX_PAGE = 500


@dataclass(frozen=True)
class Page:
    """One page of entries; `cursor` fetches the next one, "" means there is none."""

    entries: list[Entry]
    cursor: str


def entries(
    workspace_id: UUID | None,
    *,
    actions: Collection[str] = (),
    actor: str = "",
    subject: str = "",
    run: UUID | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    cursor: str = "",
    limit: int = 50,
) -> Page:
    """Return entries newest first, filtered; `actor` and `subject` are ids.

    `since` is inclusive, `until` exclusive. An unreadable cursor starts at the newest.
    """
    limit = max(1, min(limit, MAX_PAGE))
    with in_workspace(workspace_id):
        query = Entry.objects.filter(workspace_id=workspace_id or PLATFORM)
        query = _filtered(query, actions, actor, subject, run, since, until)
        position = _read_cursor(cursor)
        if position is not None:
            time, number = position
            query = query.filter(Q(time__lt=time) | Q(time=time, number__lt=number))
            # Redundant, but this is the form the index can start from.
            query = query.filter(time__lte=time)
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


def _filtered(
    query: QuerySet[Entry],
    actions: Collection[str],
    actor: str,
    subject: str,
    run: UUID | None,
    since: datetime | None,
    until: datetime | None,
) -> QuerySet[Entry]:
    if len(actions) == 1:
        query = query.filter(action=next(iter(actions)))
    elif actions:
        query = query.filter(action__in=list(actions))
    if actor:
        query = query.filter(actor_id=actor)
    if subject:
        query = query.filter(subject_id=subject)
    if run is not None:
        query = query.filter(run_id=run)
    if since is not None:
        query = query.filter(time__gte=since)
    if until is not None:
        query = query.filter(time__lt=until)
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
