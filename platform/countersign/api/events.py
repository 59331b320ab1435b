"""What happened in a run: the entries of its log, in the run's own order."""

from uuid import UUID

from audit import canonical
from audit import selectors as audit
from audit.models import Entry
from countersign.api.schemas.runs import EventOut


def after(workspace_id: UUID, run_id: UUID, seq: int, limit: int) -> tuple[list[EventOut], bool]:
    """At most `limit` events numbered above `seq`, in order; and whether there are more."""
    found = audit.run_entries(workspace_id, run_id, after=seq, limit=limit + 1)
    return [_event(entry) for entry in found[:limit]], len(found) > limit


def _event(entry: Entry) -> EventOut:
    return EventOut(
        seq=entry.run_seq or 0,
        id=entry.id,
        time=entry.time,
        action=entry.action,
        actor=entry.actor_name,
        subject_type=entry.subject_type,
        subject_id=entry.subject_id,
        detail=canonical.decode(bytes(entry.leaf)).get("detail", {}),
    )
