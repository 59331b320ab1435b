"""Checkpoints of the log, who outside holds them, and whether the sequencer keeps up."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from audit import selectors, signing
from audit.anchors import registry
from audit.errors import AuditError
from audit.export.proof import signed_note
from audit.models import AnchorState, Checkpoint
from audit.selectors import TreeStatus
from audit.verifier import countersign_verify
from countersign.console import guards, proofs, words
from countersign.console.pages import render
from countersign.console.words import ALLOW, DENY, REVIEW, Word

PAGE = 30
MAX_DIGITS = 18
LATE = timedelta(seconds=30)
"""A waiting entry this old, or an anchor this long behind, is worth a word."""


@dataclass(frozen=True)
class AnchorLine:
    """How one anchor is doing, and what to do about it."""

    name: str
    kind: str
    word: Word
    todo: str
    state: AnchorState | None = None
    behind: int = 0


@require_safe
@guards.page
def audit_checkpoints(request: HttpRequest, slug: str) -> HttpResponse:
    member = guards.auditor(request, slug)
    before = _size(request.GET.get("before", ""))
    status = selectors.tree_status(member.id)
    rows = selectors.checkpoints(member.id, before=before, limit=PAGE + 1)
    problem, anchors = _anchors(status)
    context = {
        "nav": "audit",
        "tab": "checkpoints",
        "status": status,
        "working": selectors.sequencing(),
        "late": status.oldest_s > LATE.total_seconds(),
        "latest": status.checkpoint,
        "key": proofs.signing_key(member.id, status.checkpoint) if status.checkpoint else "",
        "origin": signing.origin(member.id),
        "anchors": anchors,
        "problem": problem,
        "rows": rows[:PAGE],
        "next": rows[PAGE - 1].size if len(rows) > PAGE else None,
        "later": before is not None,
    }
    return render(request, member, "console/audit_checkpoints.html", context)


def _size(text: str) -> int | None:
    """A number of entries; None where an address holds none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS else None


@require_safe
@guards.page
def audit_checkpoint(request: HttpRequest, slug: str, size: int) -> HttpResponse:
    """A checkpoint as a C2SP note with its cosignatures, to be kept by whoever audits."""
    member = guards.auditor(request, slug)
    found = selectors.checkpoint(member.id, size)
    if found is None:
        raise Http404("no checkpoint of this size")
    return note_file(member.slug, found)


def note_file(name: str, checkpoint: Checkpoint) -> HttpResponse:
    response = HttpResponse(str(signed_note(checkpoint)), content_type="text/plain; charset=utf-8")
    file = f"{name}-{checkpoint.size}.checkpoint"
    response["Content-Disposition"] = f'attachment; filename="{file}"'
    return response


@require_safe
@guards.page
def audit_verifier(request: HttpRequest, slug: str) -> HttpResponse:
    """The program that checks bundles and proofs, as it travels in every bundle."""
    guards.auditor(request, slug)
    program = Path(countersign_verify.__file__).read_bytes()
    response = HttpResponse(program, content_type="text/x-python; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="countersign_verify.py"'
    return response


def _anchors(status: TreeStatus) -> tuple[str, list[AnchorLine]]:
    """What is wrong with the settings, and a line for each anchor that is, or once was, in them."""
    states = {state.anchor: state for state in status.anchors}
    problem, configured = "", {}
    try:
        configured = {anchor.name: anchor.kind for anchor in registry.configured()}
    except AuditError as error:
        problem = str(error)
    lines = [
        _anchor(name, kind, states.get(name), status) for name, kind in sorted(configured.items())
    ]
    gone = [state for name, state in sorted(states.items()) if name not in configured]
    lines += [_gone(state, status) for state in gone if state.refused or not problem]
    return problem, lines


def _gone(state: AnchorState, status: TreeStatus) -> AnchorLine:
    """One that was taken out of the settings; what it said against the log stays said."""
    if state.refused:
        return _anchor(state.anchor, state.kind, state, status)
    return AnchorLine(
        state.anchor,
        state.kind,
        Word("–", "not configured any more"),
        "It keeps what it has. To use it again, put it back into COUNTERSIGN_AUDIT_ANCHORS.",
        state,
        status.size - state.size,
    )


def _anchor(name: str, kind: str, state: AnchorState | None, status: TreeStatus) -> AnchorLine:
    newest = status.checkpoint
    if state is None:
        return AnchorLine(
            name, kind, Word("○", "not tried yet"), "The sequencer brings it the next checkpoint."
        )
    behind = (newest.size if newest else 0) - state.size
    if state.refused:
        return AnchorLine(
            name,
            kind,
            Word("✕", "contradicts this log", DENY),
            "Somebody outside has seen another history than this database holds. Stop the "
            "sequencer, keep everything as it is, and tell whoever answers for security. "
            "Retrying does not help.",
            state,
            behind,
        )
    if state.failures:
        return AnchorLine(
            name,
            kind,
            Word("!", "does not answer", DENY if _since(state) > timedelta(hours=1) else REVIEW),
            _advice(kind) + " It is tried again by itself, at the latest every ten minutes.",
            state,
            behind,
        )
    return AnchorLine(name, kind, Word("✓", "well", ALLOW), "", state, behind)


def _since(state: AnchorState) -> timedelta:
    last: datetime = state.succeeded_at or state.attempted_at
    return timezone.now() - last


def _advice(kind: str) -> str:
    return {
        "file": "Is the folder mounted, and may the sequencer write there?",
        "witness": "Is its address right, and can the sequencer's machine reach it?",
        "rfc3161": "Is the authority's address right, and can the sequencer's machine reach it?",
    }.get(kind, f"Look at the sequencer's log; {words.names([kind])} is no kind it knows.")
