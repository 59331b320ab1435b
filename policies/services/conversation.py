"""What people do with a request beside voting: ask, answer, hand on, edit."""

from collections.abc import Mapping
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
        refusal = _may_take_part(request, asker, now) or _needs(text, "Ask a question.")
        if refusal is not None:
            return _refuse(request, asker, EventKind.INFO_REQUESTED, refusal)
        _move(request, ApprovalState.INFO_REQUESTED)
        _note(request, EventKind.INFO_REQUESTED, asker, text, now)
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
        refusal = _needs(text, "Write an answer.")
        if not member:
            refusal = Refusal(Reason.ROLE, "Only members of this workspace may answer.")
        elif request.state != ApprovalState.INFO_REQUESTED:
            refusal = Refusal(Reason.STATE, "Nobody is waiting for an answer.")
        if refusal is not None:
            return _refuse(request, informer, EventKind.INFO_GIVEN, refusal)
        _move(request, ApprovalState.WAITING)
        _note(request, EventKind.INFO_GIVEN, informer, text, now)
        return None


def approval_reassign(
    *, workspace_id: UUID, request_id: UUID, actor: Actor, to: str, now: datetime
) -> Refusal | None:
    """Hand a request to another person who may sign it. It changes whom we ask, not who may sign.

    Raises:
        NotFound: no such request in this workspace.
    """
    with in_workspace(workspace_id):
        request = locked(request_id)
        target = standing.voter(to, workspace_id, directory())
        refusal = _may_take_part(request, actor, now)
        if refusal is None:
            unable = approvals.may_sign(standing.standing(request, directory()), target, now)
            if unable is not None:
                refusal = Refusal(unable.reason, "That person may not sign this.")
        if refusal is not None:
            return _refuse(request, actor, EventKind.REASSIGNED, refusal)
        person = directory().person(target.id)
        request.assignee_id = UUID(target.id)
        request.save(update_fields=["assignee"])
        name = "" if person is None else person.name
        _note(request, EventKind.REASSIGNED, actor, name, now, {"to": target.id})
        notify = partial(tasks.notify_assignee.delay, str(workspace_id), str(request_id))
        transaction.on_commit(notify, robust=True)
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
        refusal = _may_take_part(request, editor, now) or refusal
        if refusal is not None:
            return _refuse(request, editor, EventKind.EDITED, refusal)
        _note(request, EventKind.EDITED, editor, text, now)
        return None


def _may_take_part(request: ApprovalRequest, actor: Actor, now: datetime) -> Refusal | None:
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


def _needs(text: str, sentence: str) -> Refusal | None:
    return None if text.strip() else Refusal(Reason.INCOMPLETE, sentence)


def _move(request: ApprovalRequest, state: ApprovalState) -> None:
    request.state = state
    request.save(update_fields=["state"])


def _note(
    request: ApprovalRequest,
    kind: EventKind,
    actor: Actor,
    text: str,
    now: datetime,
    detail: Mapping[str, JSON] | None = None,
) -> None:
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


def _refuse(request: ApprovalRequest, actor: Actor, kind: EventKind, refusal: Refusal) -> Refusal:
    detail = {"reason": refusal.reason.value, "attempt": kind.value}
    record(request.workspace_id, [entry(request, "approval.refused", actor, detail)])
    return refusal
