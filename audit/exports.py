"""Exports as jobs: asked for, made in the background, taken over when their maker dies.

An export is itself an entry: `export.made`, in the transaction that makes the file
available, with its hash, so that nobody has a bundle the log does not know of.
"""

from contextvars import Context
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db.models import Q

from audit.canonical import JSON
from audit.errors import AuditError
from audit.export import bundle
from audit.export.scope import Scope
from audit.export.spool import Spool
from audit.models import Export
from audit.services import Actor, Draft, Subject, record
from audit.transactions import PLATFORM, alias, in_workspace

STALE = timedelta(minutes=2)
"""An export without a sign of life for so long is taken over."""


def request_export(
    workspace_id: UUID | None, scope: Scope, *, payloads: bool, actor: Actor
) -> Export:
    """Ask for a bundle; the caller enqueues `audit.tasks.make_export` on commit."""
    workspace = PLATFORM if workspace_id is None else workspace_id
    with in_workspace(workspace):
        return Export.objects.create(
            workspace_id=workspace,
            scope=scope.to_json(),
            payloads=payloads,
            requested_by=f"{actor.type}:{actor.id}",
            requester_name=actor.name,
            requested_at=datetime.now(UTC),
        )


def make_export(workspace_id: UUID, export_id: UUID) -> bool:
    """Make a bundle that was asked for, or go on with one whose maker died.

    Returns:
        False where another worker is at it, or nothing is to do.
    """
    job = _take(workspace_id, export_id)
    if job is None:
        return False
    spool = Spool(directory() / f"{export_id}.part")
    target = directory() / f"{export_id}.zip"

    def progress(done: int, total: int) -> None:
        # An empty context: the reading transaction is open in this one.
        Context().run(_update, job, done=done, total=total, touched_at=datetime.now(UTC))

    try:
        made = bundle.make(
            workspace_id,
            Scope.from_json(job.scope),
            with_payloads=job.payloads,
            spool=spool,
            target=target,
            progress=progress,
        )
    except (AuditError, ValueError, KeyError) as error:
        _update(job, state=Export.State.FAILED, error=str(error), finished_at=datetime.now(UTC))
        spool.remove()
        return True
    finally:
        spool.close()
    _finish(job, made, target)
    spool.remove()
    return True


def unfinished() -> list[tuple[UUID, UUID]]:
    """Return (workspace, export) of the jobs that nobody works on; needs the reader's role."""
    edge = datetime.now(UTC) - STALE
    rows = Export.objects.using(alias("reader")).filter(
        Q(state=Export.State.WAITING, requested_at__lt=edge)
        | Q(state=Export.State.RUNNING, touched_at__lt=edge)
    )
    return list(rows.values_list("workspace_id", "id"))


def directory() -> Path:
    return Path(settings.COUNTERSIGN_HOME) / "exports"


def file_of(export: Export) -> Path:
    """Return where a finished bundle lies."""
    return directory() / export.file


def _take(workspace_id: UUID, export_id: UUID) -> Export | None:
    now = datetime.now(UTC)
    with in_workspace(workspace_id):
        free = Export.objects.filter(workspace_id=workspace_id, id=export_id).filter(
            Q(state=Export.State.WAITING)
            | Q(state=Export.State.RUNNING, touched_at__lt=now - STALE)
        )
        if not free.update(state=Export.State.RUNNING, touched_at=now):
            return None
        return Export.objects.get(id=export_id)


def _finish(job: Export, made: bundle.Made, target: Path) -> None:
    kind, _, identity = job.requested_by.partition(":")
    detail: dict[str, JSON] = {
        "scope": job.scope,
        "payloads": job.payloads,
        "size": made.size,
        "first": made.first,
        "end": made.end,
        "entries": made.shown,
        "sha256": made.sha256,
    }
    draft = Draft(
        "export.made",
        Actor(kind, identity, job.requester_name),
        Subject("export", str(job.id)),
        detail=detail,
    )
    with in_workspace(job.workspace_id):
        record(job.workspace_id, [draft])
        _update(
            job,
            state=Export.State.DONE,
            done=made.end - made.first,
            total=made.end - made.first,
            file=target.name,
            sha256=made.sha256,
            finished_at=datetime.now(UTC),
        )


def _update(job: Export, **values: JSON) -> None:
    with in_workspace(job.workspace_id):
        Export.objects.filter(id=job.id).update(**values)
