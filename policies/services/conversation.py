"""What people do with a request beside voting and handing it on: ask, answer, edit."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from uuid import UUID

from django.db import transaction

from audit import canonical
from audit.canonical import JSON
from audit.services import Actor, record
from audit.transactions import in_workspace
from policies import approvals, standing, tasks
from policies.directory import directory
from policies.errors import Reason, Refusal
from policies.models import (
    OPEN_STATES,
    ApprovalEvent,
    ApprovalRequest,
    ApprovalState,
    EventKind,
)
from policies.services.approval import entry, locked

MAX_TEXT = 4000


def approval_ask(
    *, workspace_id: UUID, request_id: UUID, asker: Actor, text: str, now: datetime
) -> Refusal | None:
    """Ask whoever made the request; both clocks keep running.

    Raises:
        NotFound: no such request in this workspace.
    """
    with in_workspace(workspace_id):
        request = locked(request_id)
        refusal = may_take_part(request, asker, now) or needs(text, "Ask a question.")
        if refusal is not None:
            return refuse(request, asker, EventKind.INFO_REQUESTED, refusal)
        _move(request, ApprovalState.INFO_REQUESTED)
        note(request, EventKind.INFO_REQUESTED, asker, text, now)
        _mail(tasks.notify_question.delay, request)
        return None


def approval_inform(
    *, workspace_id: UUID, request_id: UUID, informer: Actor, text: str, now: datetime
) -> Refusal | None:
    """Answer the question; any member of the workspace may.

    Raises:
        NotFound: no such request in this workspace.
    """
    with in_workspace(workspace_id):
        request = locked(request_id)
        member = bool(directory().roles(informer.id, workspace_id))
        refusal = needs(text, "Write an answer.")
        if not member:
            refusal = Refusal(Reason.ROLE, "Only members of this workspace may answer.")
        elif request.state != ApprovalState.INFO_REQUESTED:
            refusal = Refusal(Reason.STATE, "Nobody is waiting for an answer.")
        if refusal is not None:
            return refuse(request, informer, EventKind.INFO_GIVEN, refusal)
        _move(request, ApprovalState.WAITING)
        note(request, EventKind.INFO_GIVEN, informer, text, now)
        _mail(tasks.notify_answer.delay, request)
        return None


def approval_edited(
    *,
    workspace_id: UUID,
    request_id: UUID,
    editor: Actor,
    now: datetime,
    text: str = "",
    refusal: Refusal | None = None,
) -> Refusal | None:
    """Mark that a reviewer edited the program or manifest; the editor loses the right to sign.

    The edit itself is a new program or manifest, gated again, whose request supersedes this one
    and inherits the mark.

    Args:
        text: why, in the editor's words.
        refusal: what the caller has against it; it counts after this person's own standing.

    Raises:
        NotFound: no such request in this workspace.
    """
    with in_workspace(workspace_id):
        request = locked(request_id)
        refusal = may_take_part(request, editor, now) or refusal
        if refusal is not None:
            return refuse(request, editor, EventKind.EDITED, refusal)
        note(request, EventKind.EDITED, editor, text, now)
        return None


def may_take_part(request: ApprovalRequest, actor: Actor, now: datetime) -> Refusal | None:
    """Reviewers of this request may, whether or not they have voted or edited it already."""
    if request.state not in OPEN_STATES:
        return Refusal(Reason.STATE, "This request is closed.")
    if now > request.sign_by:
        return Refusal(Reason.SIGN_BY, "The time to sign has passed.")
    if actor.type != standing.USER:
        return Refusal(Reason.NOT_A_PERSON, "Only a person can do this.")
    voter = standing.voter(actor.id, request.workspace_id, directory())
    wanted = {seat.role for seat in approvals.parse_requirement(request.requirement)}
    if not voter.roles & wanted:
        return Refusal(Reason.ROLE, f"This needs the role {' or '.join(sorted(wanted))}.")
    return None


def needs(text: str, sentence: str) -> Refusal | None:
    """A refusal with this sentence where there is no text."""
    return None if text.strip() else Refusal(Reason.INCOMPLETE, sentence)


def _mail(send: Callable[..., object], request: ApprovalRequest) -> None:
    ids = (str(request.workspace_id), str(request.id))
    # A broker that is away must not stop a question; it stands on the card and the overview.
    transaction.on_commit(partial(send, *ids), robust=True)


def _move(request: ApprovalRequest, state: ApprovalState) -> None:
    request.state = state
    request.save(update_fields=["state"])


def note(
    request: ApprovalRequest,
    kind: EventKind,
    actor: Actor,
    text: str,
    now: datetime,
    detail: Mapping[str, JSON] | None = None,
) -> None:
    """Write the event and its entry; the caller holds the request's row."""
    text = canonical.clean(text.strip())[:MAX_TEXT]
    ApprovalEvent.objects.create(
        workspace_id=request.workspace_id,
        request=request,
        # Safe: whoever writes an event holds the request's row.
        number=request.events.count() + 1,
        kind=kind,
        user_id=UUID(actor.id),
        user_name=actor.name,
        text=text,
        created=now,
    )
    payloads = {"text": text} if text else {}
    draft = entry(request, f"approval.{kind.value}", actor, detail, payloads)
    record(request.workspace_id, [draft])


def refuse(request: ApprovalRequest, actor: Actor, kind: EventKind, refusal: Refusal) -> Refusal:
    """Record that someone was refused this, and why; returns the refusal."""
    detail = {"reason": refusal.reason.value, "attempt": kind.value}
    record(request.workspace_id, [entry(request, "approval.refused", actor, detail)])
    return refusal
