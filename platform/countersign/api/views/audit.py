"""The log: entries with their proofs, checkpoints, exports, verification."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from ninja import Query, Router

from audit import exports, signing, tasks, verification
from audit import selectors as audit
from audit.errors import ExportFailed, KeyUnavailable, ProofUnavailable
from audit.export.proof import entry_proof, signed_note
from audit.export.scope import Kind, Scope, between
from audit.models import Checkpoint, Entry, Export, Verification
from countersign import downloads
from countersign.accounts.scopes import Scope as TokenScope
from countersign.api import cursors
from countersign.api.answers import page, says
from countersign.api.auth import Bearer, caller
from countersign.api.problems import Problem, invalid, not_found
from countersign.api.schemas import audit as out
from countersign.api.schemas.base import Paged

router = Router(tags=["audit"])
SOON_S = 5
"""Seconds in which an entry is placed and signed while the sequencer works."""
_READ, _EXPORT = Bearer(TokenScope.AUDIT_READ), Bearer(TokenScope.AUDIT_EXPORT)


@router.get("/entries", auth=_READ, response=says(out.EntryPage), summary="Entries, newest first")
def entry_list(request: HttpRequest, filters: Query[out.EntryFilters]) -> Mapping[str, Any]:
    """Filters narrow. `tool`, `outcome` and words in `text` are looked for a stretch at a time.

    A page may then hold few entries, or none, and yet have a `next`.
    """
    found = audit.entries(
        caller(request).workspace_id,
        filters.filters(),
        cursor=cursors.unseal("entries", filters.cursor),
        limit=filters.limit,
    )
    items = [_entry(entry) for entry in found.entries]
    more = page(items, cursors.seal("entries", found.cursor))
    return {**more, "looked_to": found.looked_to}


@router.get(
    "/entries/{uuid:entry_id}", auth=_READ, response=says(out.EntryOut, 404), summary="One entry"
)
def entry_get(request: HttpRequest, entry_id: UUID) -> Mapping[str, Any]:
    found = audit.entry(caller(request).workspace_id, entry_id)
    if found is None:
        raise not_found()
    return _entry(found)


@router.get(
    "/entries/{uuid:entry_id}/proof",
    auth=_READ,
    response=says(out.ProofOut, 404, 409),
    summary="The proof of one entry",
)
def entry_proof_get(request: HttpRequest, entry_id: UUID) -> Mapping[str, Any]:
    """Shows that the entry is in the signed log, unchanged. Keep it: it verifies without us."""
    workspace_id = caller(request).workspace_id
    found = entry_proof(workspace_id, entry_id)
    if found is not None:
        return found
    if audit.entry(workspace_id, entry_id) is None:
        raise not_found()
    raise Problem(
        HTTPStatus.CONFLICT,
        "not_signed_yet",
        "The entry is not under a signed checkpoint yet; ask again in a few seconds.",
        SOON_S,
    )


@router.get(
    "/consistency",
    auth=_READ,
    response=says(out.ConsistencyOut),
    summary="That one tree grew out of another",
)
def consistency_get(request: HttpRequest, sizes: Query[out.Sizes]) -> Mapping[str, Any]:
    """Whoever kept the checkpoint of `old` entries sees that nothing in it was changed since."""
    try:
        path = audit.consistency(caller(request).workspace_id, sizes.old, sizes.new)
    except ProofUnavailable as error:
        raise invalid([("new", str(error))]) from error
    return {"old": sizes.old, "new": sizes.new, "path": [node.hex() for node in path]}


@router.get(
    "/checkpoints",
    auth=_READ,
    response=says(out.CheckpointPage),
    summary="Signed checkpoints, newest first",
)
def checkpoint_list(request: HttpRequest, filters: Query[Paged]) -> Mapping[str, Any]:
    before = cursors.unseal("checkpoints", filters.cursor)
    found = audit.checkpoints(
        caller(request).workspace_id,
        before=int(before) if before else None,
        limit=filters.limit + 1,
    )
    rows = found[: filters.limit]
    more = str(rows[-1].size) if len(found) > filters.limit else ""
    return page([_checkpoint(row) for row in rows], cursors.seal("checkpoints", more))


@router.get(
    "/checkpoints/latest",
    auth=_READ,
    response=says(out.CheckpointOut, 404),
    summary="The newest checkpoint",
)
def checkpoint_latest(request: HttpRequest) -> Mapping[str, Any]:
    return _checkpoint(_signed(request))


@router.get(
    "/checkpoints/{int:size}",
    auth=_READ,
    response=says(out.CheckpointOut, 404),
    summary="The checkpoint of a size",
)
def checkpoint_get(request: HttpRequest, size: int) -> Mapping[str, Any]:
    return _checkpoint(_signed(request, size))


@router.get(
    "/checkpoint", auth=_READ, response=says(str, 404), summary="The newest checkpoint as a note"
)
def checkpoint_note(request: HttpRequest) -> HttpResponse:
    """The text of C2SP tlog-checkpoint with cosignatures: what witnesses and auditors keep."""
    note = signed_note(_signed(request))
    return HttpResponse(str(note), content_type="text/plain; charset=utf-8")


@router.get("/status", auth=_READ, response=says(out.StatusOut), summary="How the log stands")
def log_status(request: HttpRequest) -> Mapping[str, Any]:
    """For monitoring: what waits, what is signed, and how the anchors are."""
    workspace_id = caller(request).workspace_id
    found = audit.tree_status(workspace_id)
    try:
        keys = [str(key) for key in signing.verifier_keys(workspace_id)]
    except KeyUnavailable:
        keys = []
    return {
        "origin": signing.origin(workspace_id),
        "keys": keys,
        "size": found.size,
        "root": found.root.hex(),
        "signed": found.checkpoint.size if found.checkpoint else 0,
        "waiting": found.waiting,
        "lag_s": round(found.oldest_s, 3),
        "sequencing": audit.sequencing(),
        "anchors": found.anchors,
    }


@router.post(
    "/exports",
    auth=_EXPORT,
    response=says(out.ExportOut, 400, 409, 413, 415),
    summary="Start an export",
)
def export_start(request: HttpRequest, body: out.ExportIn) -> Export:
    """Made in the background; ask for it until it is `done`, then download it.

    The whole log, a range of positions or time with every entry, one run, or a search. The last
    two hold all else as hashes. Who asked and who downloaded stands in the log.
    """
    who = caller(request)
    try:
        scope = _scope(who.workspace_id, body)
    except ExportFailed as error:
        raise Problem(HTTPStatus.CONFLICT, "nothing_to_export", f"{error}.") from error
    job = exports.request_export(who.workspace_id, scope, payloads=body.payloads, actor=who.actor)
    ids = (str(job.workspace_id), str(job.id))
    transaction.on_commit(lambda: tasks.make_export.delay(*ids), robust=True)
    return job


def _scope(workspace_id: UUID, body: out.ExportIn) -> Scope:
    sizes = tuple(body.sizes)
    match body.kind:
        case Kind.RANGE if body.first < body.end:
            return Scope(Kind.RANGE, first=body.first, end=body.end, sizes=sizes)
        case Kind.RANGE:
            found = between(workspace_id, body.since, body.until)
            return Scope(Kind.RANGE, first=found.first, end=found.end, sizes=sizes)
    asked = body.search.filters().to_text() if body.search else None
    return Scope(body.kind, run=body.run, filters=asked, sizes=sizes)


@router.get(
    "/exports", auth=_EXPORT, response=says(out.ExportPage), summary="The newest 200 exports"
)
def export_list(request: HttpRequest) -> Mapping[str, Any]:
    return page(audit.exports(caller(request).workspace_id, limit=200))


@router.get(
    "/exports/{uuid:export_id}",
    auth=_EXPORT,
    response=says(out.ExportOut, 404),
    summary="One export, and how far it is",
)
def export_get(request: HttpRequest, export_id: UUID) -> Export:
    found = audit.export(caller(request).workspace_id, export_id)
    if found is None:
        raise not_found()
    return found


@router.get(
    "/exports/{uuid:export_id}/download",
    auth=_EXPORT,
    response=says(str, 404, 409),
    summary="Take an export away",
)
def export_download(
    request: HttpRequest, export_id: UUID, wanted: Query[out.DownloadForm]
) -> HttpResponseBase:
    """The bundle that verifies by itself (ZIP), the report (HTML), or the entries (CSV)."""
    who = caller(request)
    try:
        found = exports.download(who.workspace_id, export_id, wanted.form, actor=who.actor)
    except ExportFailed as error:
        raise Problem(HTTPStatus.CONFLICT, "nothing_to_download", f"{error}.") from error
    if found is None:
        raise not_found()
    return downloads.of_export(request, found, wanted.form)


@router.post(
    "/verifications",
    auth=_READ,
    response=says(out.VerificationOut),
    summary="Check the whole log where it lies",
)
def verification_start(request: HttpRequest) -> Verification:
    """Made in the background. One that is under way will do: it is the answer then."""
    who = caller(request)
    present = audit.verification_under_way(who.workspace_id)
    if present is not None:
        return present
    wanted = verification.request_verification(who.workspace_id, who.actor)
    ids = (str(who.workspace_id), str(wanted.id))
    transaction.on_commit(lambda: tasks.run_verification.delay(*ids), robust=True)
    return wanted


@router.get(
    "/verifications/{uuid:verification_id}",
    auth=_READ,
    response=says(out.VerificationOut, 404),
    summary="One check, and what it found",
)
def verification_get(request: HttpRequest, verification_id: UUID) -> Verification:
    found = audit.verification(caller(request).workspace_id, verification_id)
    if found is None:
        raise not_found()
    return found


def _entry(entry: Entry) -> Mapping[str, Any]:
    fields = {name: getattr(entry, name) for name in out.EntryOut.model_fields}
    return fields | {
        "leaf": bytes(entry.leaf).decode(),
        "leaf_hash": bytes(entry.leaf_hash).hex(),
    }


def _signed(request: HttpRequest, size: int | None = None) -> Checkpoint:
    found = None
    if size is None or size <= out.MAX_SIZE:
        found = audit.checkpoint(caller(request).workspace_id, size)
    if found is None:
        raise not_found("There is no such checkpoint; the first comes seconds after an entry.")
    return found


def _checkpoint(found: Checkpoint) -> Mapping[str, Any]:
    return {
        "size": found.size,
        "root": bytes(found.root).hex(),
        "signed_at": found.signed_at,
        "note": str(signed_note(found)),
        "receipts": list(found.receipt_set.all()),
    }
