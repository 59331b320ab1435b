"""Exports as jobs: asked for, made in the background, taken over when their maker dies.

An export is itself in the log: that it was asked for, `export.made` in the transaction that makes
the file available, with its hash, and each time somebody takes it away. Nobody has a bundle the
log does not know of.
"""

import zipfile
from collections.abc import Iterator, Mapping
from contextvars import Context
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import IO
from uuid import UUID

from django.conf import settings
from django.db.models import Q

from audit.canonical import JSON
from audit.errors import AuditError, ExportFailed
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
        job = Export.objects.create(
            workspace_id=workspace,
            scope=scope.to_json(),
            payloads=payloads,
            requested_by=f"{actor.type}:{actor.id}",
            requester_name=actor.name,
            requested_at=datetime.now(UTC),
        )
        asked: dict[str, JSON] = {"scope": job.scope, "payloads": payloads}
        _note(job, "export.requested", actor, asked)
        return job


def retry_export(workspace_id: UUID, export_id: UUID, *, actor: Actor) -> Export | None:
    """Let a failed export go on from what is there of it; the caller enqueues `make_export`.

    Returns:
        None where the workspace has no such export, or it has not failed.
    """
    with in_workspace(workspace_id):
        failed = Export.objects.filter(id=export_id, state=Export.State.FAILED)
        if not failed.update(
            state=Export.State.WAITING,
            error="",
            requested_at=datetime.now(UTC),
            touched_at=None,
            finished_at=None,
        ):
            return None
        job = Export.objects.get(id=export_id)
        _note(job, "export.retried", actor, {})
        return job


def repeat_export(workspace_id: UUID, export_id: UUID, *, actor: Actor) -> Export | None:
    """Ask for what an earlier export covered once more; the caller enqueues `make_export`.

    Returns:
        None where the workspace has no such export, or its bundle is there.
    """
    with in_workspace(workspace_id):
        job = Export.objects.filter(workspace_id=workspace_id, id=export_id).first()
        if job is None or job.state not in (Export.State.DONE, Export.State.REMOVED):
            return None
        if job.state == Export.State.DONE and file_of(job).is_file():
            return None
        scope = Scope.from_json(job.scope)
        return request_export(workspace_id, scope, payloads=job.payloads, actor=actor)


class Form(StrEnum):
    """In what form an export is taken away."""

    BUNDLE = "bundle"
    REPORT = "report"
    CSV = "csv"


MEMBERS: Mapping[Form, str] = {Form.REPORT: "report.html", Form.CSV: "entries.csv"}
CHUNK = 1 << 16


@dataclass(frozen=True)
class Download:
    """An export on its way out: `size` bytes in `chunks`, which may be read once."""

    job: Export
    size: int
    chunks: Iterator[bytes]


def download(workspace_id: UUID, export_id: UUID, form: Form, *, actor: Actor) -> Download | None:
    """Open a finished export for somebody, and leave the entry that says so.

    Returns:
        None where the workspace has no such export.

    Raises:
        ExportFailed: It is not finished, or its file is not here.
    """
    with in_workspace(workspace_id):
        job = Export.objects.filter(workspace_id=workspace_id, id=export_id).first()
        if job is None:
            return None
        if job.state == Export.State.REMOVED:
            raise ExportFailed("the time of this export's file was up; start a new one")
        if job.state != Export.State.DONE:
            raise ExportFailed("the export is not finished")
        size, source = _open(job, form)
        try:
            detail: dict[str, JSON] = {"form": str(form), "sha256": job.sha256}
            _note(job, "export.downloaded", actor, detail)
        except BaseException:
            source.close()
            raise
    return Download(job, size, _chunks(source))


def _open(job: Export, form: Form) -> tuple[int, IO[bytes]]:
    path = file_of(job)
    try:
        if form is Form.BUNDLE:
            return path.stat().st_size, path.open("rb")
        archive = zipfile.ZipFile(path)
        member = MEMBERS[form]
        return archive.getinfo(member).file_size, archive.open(member)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise ExportFailed(
            "the file of this export is not on this server any more; start a new one"
        ) from error


def _chunks(source: IO[bytes]) -> Iterator[bytes]:
    with source:
        while chunk := source.read(CHUNK):
            yield chunk


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
        _fail(job, str(error))
        spool.remove()
        return True
    except OSError as error:
        # What is there stays, so that the export goes on from it once there is room.
        _fail(job, f"the file cannot be written: {error.strerror}")
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
    """Return where a finished bundle lies: by its id, whatever its row may say."""
    return directory() / f"{export.id}.zip"


def _fail(job: Export, why: str) -> None:
    _update(job, state=Export.State.FAILED, error=why, finished_at=datetime.now(UTC))


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
    with in_workspace(job.workspace_id):
        _note(job, "export.made", Actor(kind, identity, job.requester_name), detail)
        _update(
            job,
            state=Export.State.DONE,
            done=made.end - made.first,
            total=made.end - made.first,
            file=target.name,
            sha256=made.sha256,
            finished_at=datetime.now(UTC),
        )


def _note(job: Export, action: str, actor: Actor, detail: Mapping[str, JSON]) -> None:
    draft = Draft(action, actor, Subject("export", str(job.id)), detail=detail)
    record(job.workspace_id, [draft])


def _update(job: Export, **values: JSON) -> None:
    with in_workspace(job.workspace_id):
        Export.objects.filter(id=job.id).update(**values)
