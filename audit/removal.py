"""Files of exports go after a while: a bundle may hold payloads in the clear.

Guarantees: a file is there for `COUNTERSIGN_EXPORT_DAYS` after it was made, then not much longer;
its going stands in the log, with its hash, before it goes. What an export covered, and the hash of
its bundle, stay. Whoever took a copy away has it: nothing here reaches that.

Order: (1) the row and the entry, in one transaction; (2) the files. A process that dies between the
two leaves files of an export that is said to be removed; the next sweep removes them.
"""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.conf import settings

from audit import exports
from audit.canonical import JSON
from audit.models import Export
from audit.services import Actor, Draft, Subject, record
from audit.transactions import alias, in_workspace

ENDED = (Export.State.DONE, Export.State.FAILED)


def kept_until(job: Export) -> datetime | None:
    """When the export's file may go; None while there is none to go."""
    if job.state not in ENDED or job.finished_at is None:
        return None
    finished: datetime = job.finished_at
    return finished + _kept()


def remove_due(actor: Actor) -> int:
    """Remove the files of exports whose time is up; return how many there were.

    Needs the reader's role, to see the exports of every workspace.
    """
    rows = Export.objects.using(alias("reader"))
    edge = datetime.now(UTC) - _kept()
    due = rows.filter(state__in=ENDED, finished_at__lt=edge).values_list("workspace_id", "id")
    removed = [job for workspace, job in due if _mark(workspace, job, edge, actor)]  # (1)
    gone = rows.filter(id__in=set(_lying()), state=Export.State.REMOVED)
    for key in {*gone.values_list("id", flat=True), *removed}:  # (2)
        _unlink(key)
    return len(removed)


def _mark(workspace_id: UUID, export_id: UUID, edge: datetime, actor: Actor) -> bool:
    with in_workspace(workspace_id):
        due = Export.objects.filter(id=export_id, state__in=ENDED, finished_at__lt=edge)
        if not due.update(state=Export.State.REMOVED, touched_at=datetime.now(UTC)):
            return False
        job = Export.objects.get(id=export_id)
        days = settings.COUNTERSIGN_EXPORT_DAYS
        detail: dict[str, JSON] = {"days": days, "payloads": job.payloads}
        if job.sha256:
            detail["sha256"] = job.sha256
        subject = Subject("export", str(export_id))
        record(workspace_id, [Draft("export.removed", actor, subject, detail=detail)])
        return True


def _lying() -> Iterator[UUID]:
    """The exports of which something lies in the folder."""
    folder = exports.directory()
    for path in folder.iterdir() if folder.is_dir() else ():
        try:
            yield UUID(path.name.strip(".").split(".")[0])
        except ValueError:
            continue


def _unlink(export_id: UUID) -> None:
    for path in exports.directory().glob(f"*{export_id}*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _kept() -> timedelta:
    return timedelta(days=settings.COUNTERSIGN_EXPORT_DAYS)
