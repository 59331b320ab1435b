"""The life of an approval request, from asking to its single use."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

from django.db import connection, transaction

from audit import canonical
from audit.canonical import JSON
from audit.services import Actor, Draft, Subject, record
from audit.transactions import in_workspace
from policies import approvals, selectors, standing, tasks
from policies.directory import directory
from policies.errors import InvalidRequest, NotFound, Reason, Refusal
from policies.models import OPEN_STATES, Approval, ApprovalRequest, ApprovalState, Kind

SYSTEM = Actor("system", "countersign", "Countersign")

_NOTICES = {
    Kind.CODE: "A program waits for a countersignature.",
    Kind.MANIFEST: "A list of effects waits for a countersignature.",
    Kind.ANSWER: "An answer waits for a countersignature.",
    Kind.CHANGE: "A change of what governs waits for a countersignature.",
}


@dataclass(frozen=True)
class RequestDraft:
    """What a request asks people to sign.

    Attributes:
        binding: what the caller derives again before execution (digests, versions); canonical JSON.
        requirement: ``{"role": str, "count": int}`` each; at least one.
        barred: ids of the authors of code, agent, tool or policy concerned.
        displayed: all the card shows; what reviewers sign is that they saw this.
        title: the sentence on the card. notice: the sentence that may be mailed, so free of
            personal data; a plain one per kind where empty.
        supersedes: the request whose place this one takes; its bars carry over.
        likeness: see ``ApprovalRequest``.
        factor: what each signature needs beside the password: "totp" or "".
    """

    kind: Kind
    title: str
    tier: int
    agent_name: str
    binding: Mapping[str, JSON]
    requirement: Sequence[Mapping[str, JSON]]
    requester: Actor
    displayed: JSON
    policy_version_id: UUID
    sign_by: datetime
    execute_by: datetime
    run_id: UUID | None = None
    step: int | None = None
    barred: Sequence[str] = ()
    notice: str = ""
    decision_id: UUID | None = None
    supersedes: UUID | None = None
    likeness: str = ""
    factor: str = ""


def approval_request(*, workspace_id: UUID, draft: RequestDraft, now: datetime) -> ApprovalRequest:
    """Ask for signatures; reviewers are mailed once the transaction commits.

    Raises:
        InvalidRequest: nothing bound, nobody required, clocks in the past (the caller's fault).
        NotFound: the request to supersede is not in this workspace.
    """
    with in_workspace(workspace_id):
        old = locked(draft.supersedes) if draft.supersedes else None
        request = _row(workspace_id, draft, now, _barred(draft, old))
        entries = [] if old is None else _supersede(old, draft, now)
        request.save(force_insert=True)
        record(workspace_id, [*entries, _requested(request, draft.requester)])
        notify = partial(tasks.notify_reviewers.delay, str(workspace_id), str(request.id))
        # Robust: a broker that is away must not fail the request; the sweep sends it later.
        transaction.on_commit(notify, robust=True)
    return request


def approval_supersede(*, workspace_id: UUID, request_id: UUID, now: datetime) -> bool:
    """Take a request out of force because what it asked for no longer stands.

    Returns:
        Whether it was in force. False leaves it as it is.
    """
    return _end(workspace_id, request_id, ApprovalState.SUPERSEDED, SYSTEM, now)


def approval_cancel(*, workspace_id: UUID, request_id: UUID, actor: Actor, now: datetime) -> bool:
    """Withdraw a request, for example because its run was stopped."""
    return _end(workspace_id, request_id, ApprovalState.CANCELLED, actor, now)


def approval_expire(*, workspace_id: UUID, request_id: UUID, now: datetime) -> bool:
    """Expire one request if its clock has run out; True if this call did it."""
    with in_workspace(workspace_id):
        request = locked(request_id)
        if not selectors.is_due(request, now):
            return False
        record(workspace_id, _close(request, ApprovalState.EXPIRED, SYSTEM, now))
        return True


def approvals_expire(*, now: datetime) -> int:
    """Expire all due requests that belong to no run, in every workspace; returns how many.

    Those of runs are expired by whoever wakes the run: their entries need the run row's lock.
    """
    due = [item for item in selectors.approvals_due(now) if item.run_id is None]
    return sum(
        approval_expire(workspace_id=item.workspace_id, request_id=item.request_id, now=now)
        for item in due
    )


def approvals_renew(*, now: datetime) -> int:
    """Take changes out of force that another policy asked for; returns how many.

    None of them could be made any more, whoever signs. Requests of runs are asked for anew by
    whoever wakes the run.
    """
    old = [item for item in selectors.approvals_outdated() if item.run_id is None]
    return sum(
        approval_supersede(workspace_id=item.workspace_id, request_id=item.request_id, now=now)
        for item in old
    )


def approval_consume(
    *,
    workspace_id: UUID,
    request_id: UUID,
    binding: Mapping[str, JSON],
    consumer: str,
    now: datetime,
) -> Approval | Refusal:
    """Use up the approval, exactly once, immediately before what it allows.

    ``binding`` is derived again from what is about to run. A refusal is recorded and leaves the
    approval unused; where the policy changed or a signer lost the right, decide and ask again.

    Raises:
        NotFound: no such request in this workspace.
    """
    with in_workspace(workspace_id):
        request = locked(request_id)
        _hold_policy(workspace_id)
        refusal = _why_not(request, binding, now)
        approval = Approval.objects.filter(request=request).first()
        if refusal is None and (approval is None or approval.consumed_at is not None):
            refusal = Refusal(Reason.CONSUMED, "This approval was used before; it allows one use.")
        if refusal is not None or approval is None:
            return _refused(request, refusal, now)
        used = Approval.objects.filter(id=approval.id, consumed_at__isnull=True).update(
            consumed_at=now, consumed_by=consumer
        )
        if used != 1:
            return _refused(request, Refusal(Reason.CONSUMED, "Another worker used it."), now)
        record(workspace_id, [_consumed(request, approval, consumer)])
        approval.refresh_from_db()
        return approval


def approval_verify(
    *,
    workspace_id: UUID,
    request_id: UUID,
    binding: Mapping[str, JSON],
    consumer: str,
    now: datetime,
) -> Refusal | None:
    """Whether an approval that ``consumer`` has used still stands, before each further effect.

    Raises:
        NotFound: no such request in this workspace.
    """
    with in_workspace(workspace_id):
        request = locked(request_id)
        approval = Approval.objects.filter(request=request).first()
        refusal = _why_not(request, binding, now)
        if refusal is None and (approval is None or approval.consumed_by != consumer):
            refusal = Refusal(Reason.CONSUMED, "This approval is not in your hands.")
        if refusal is not None:
            record(workspace_id, [_refusal_entry(request, refusal)])
        return refusal


def locked(request_id: UUID) -> ApprovalRequest:
    """The request, its row locked until the transaction ends.

    Raises:
        NotFound: no such request in the open workspace.
    """
    request = ApprovalRequest.objects.select_for_update().filter(id=request_id).first()
    if request is None:
        raise NotFound(f"There is no approval request {request_id} in this workspace.")
    return request


def close(request: ApprovalRequest, state: ApprovalState, now: datetime) -> None:
    """Move a locked request to ``state``; the database refuses an impossible move.

    Whoever asked is mailed once the transaction commits, where it ended without a signature.
    """
    request.state = state
    request.closed = now
    request.save(update_fields=["state", "closed"])
    if state in tasks.ENDS:
        tell = partial(tasks.notify_end.delay, str(request.workspace_id), str(request.id))
        # Robust: it stands on the card, whether or not a broker takes the mail.
        transaction.on_commit(tell, robust=True)


def _hold_policy(workspace_id: UUID) -> None:
    """Let no version be activated between the check of the policy and our commit.

    A shared lock (Django offers only exclusive ones): uses of other approvals go on beside ours.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM policies_policyset WHERE workspace_id = %s FOR SHARE", [workspace_id]
        )


def _row(
    workspace_id: UUID, draft: RequestDraft, now: datetime, barred: list[str]
) -> ApprovalRequest:
    if not now < draft.sign_by <= draft.execute_by:
        raise InvalidRequest("Sign-by lies in the future, execute-by not before it.")
    displayed = _displayed(draft)
    request = ApprovalRequest(
        workspace_id=workspace_id,
        run_id=draft.run_id,
        step=draft.step,
        kind=draft.kind,
        title=canonical.clean(draft.title),
        notice=canonical.clean(draft.notice or _NOTICES[draft.kind]),
        tier=draft.tier,
        agent_name=canonical.clean(draft.agent_name),
        binding=dict(draft.binding),
        requirement=[dict(seat) for seat in draft.requirement],
        factor=draft.factor,
        requester_type=draft.requester.type,
        requester_id=_requester(draft.requester),
        requester_name=draft.requester.name,
        barred=barred,
        displayed=displayed,
        displayed_digest=canonical.digest(displayed),
        likeness=draft.likeness,
        policy_version_id=draft.policy_version_id,
        decision_id=draft.decision_id,
        supersedes_id=draft.supersedes,
        sign_by=draft.sign_by,
        execute_by=draft.execute_by,
        created=now,
    )
    request.binding_digest = approvals.bind(draft.binding, standing.terms(request))
    return request


def _displayed(draft: RequestDraft) -> JSON:
    """What the card shows; what a signature takes beside the password is a part of it."""
    shown = draft.displayed
    if draft.factor:
        if not isinstance(shown, Mapping):
            raise InvalidRequest(
                "What is shown is an object, so that it can say what signing takes."
            )
        shown = {**shown, "factor": draft.factor}
    return canonical.clean(shown)


def _requester(requester: Actor) -> str:
    if requester.type not in (standing.USER, standing.SERVICE):
        raise InvalidRequest("A request is made for a person or a service account.")
    return _spelled(requester.id)


def _spelled(account_id: str) -> str:
    """The id in its one spelling: separation of duties compares text."""
    try:
        return str(UUID(account_id))
    except ValueError as error:
        raise InvalidRequest(f"{account_id!r} is not the id of an account.") from error


def _barred(draft: RequestDraft, old: ApprovalRequest | None) -> list[str]:
    inherited = frozenset() if old is None else frozenset(old.barred) | standing.editors(old)
    return sorted(inherited.union(map(_spelled, draft.barred)))


def _supersede(old: ApprovalRequest, draft: RequestDraft, now: datetime) -> list[Draft]:
    if (old.run_id, old.kind == Kind.CHANGE) != (draft.run_id, draft.kind is Kind.CHANGE):
        raise InvalidRequest("A request supersedes one of the same run only.")
    if ApprovalRequest.objects.filter(supersedes=old).exists():
        raise InvalidRequest("Another request has already superseded that one.")
    return _close(old, ApprovalState.SUPERSEDED, SYSTEM, now)


def _end(
    workspace_id: UUID, request_id: UUID, state: ApprovalState, actor: Actor, now: datetime
) -> bool:
    with in_workspace(workspace_id):
        request = locked(request_id)
        entries = _close(request, state, actor, now)
        record(workspace_id, entries)
        return bool(entries)


def _close(
    request: ApprovalRequest, state: ApprovalState, actor: Actor, now: datetime
) -> list[Draft]:
    """End a request that is still in force; nothing happens to one that has ended or was used."""
    approved = request.state == ApprovalState.APPROVED
    used = approved and Approval.objects.filter(request=request, consumed_at__isnull=False).exists()
    if used or not (approved or request.state in OPEN_STATES):
        return []
    close(request, state, now)
    return [entry(request, f"approval.{state.value}", actor)]


def entry(
    request: ApprovalRequest,
    action: str,
    actor: Actor,
    detail: Mapping[str, JSON] | None = None,
    payloads: Mapping[str, JSON] | None = None,
) -> Draft:
    """A draft about this request in its run's chain."""
    return Draft(
        action=action,
        actor=actor,
        subject=Subject("approval_request", str(request.id)),
        run=request.run_id,
        detail={"binding": request.binding_digest, **(detail or {})},
        payloads=payloads or {},
    )


def _requested(request: ApprovalRequest, requester: Actor) -> Draft:
    detail: dict[str, JSON] = {
        "kind": request.kind,
        "tier": request.tier,
        "requirement": request.requirement,
        "barred": request.barred,
        "displayed": request.displayed_digest,
        "policy_version": str(request.policy_version_id),
        "sign_by": request.sign_by.isoformat(),
        "execute_by": request.execute_by.isoformat(),
    }
    if request.factor:
        detail["factor"] = request.factor
    if request.step is not None:
        detail["step"] = request.step
    if request.decision_id is not None:
        detail["decision"] = str(request.decision_id)
    if request.supersedes_id is not None:
        detail["supersedes"] = str(request.supersedes_id)
    shown = {"title": request.title, "binding": request.binding, "displayed": request.displayed}
    return entry(request, "approval.requested", requester, detail, shown)


def _why_not(
    request: ApprovalRequest, binding: Mapping[str, JSON], now: datetime
) -> Refusal | None:
    try:
        digest = approvals.bind(binding, standing.terms(request))
    except InvalidRequest as error:
        return Refusal(Reason.BINDING, str(error))
    return approvals.may_use(
        standing.standing(request, directory()),
        standing.signatures(request, directory()),
        digest=digest,
        active_policy=str(selectors.active_policy(request.workspace_id).version_id),
        now=now,
    )


def _refused(request: ApprovalRequest, refusal: Refusal | None, now: datetime) -> Refusal:
    refusal = refusal or Refusal(Reason.INCOMPLETE, "There is no approval for this.")
    entries = [_refusal_entry(request, refusal)]
    if refusal.reason is Reason.EXECUTE_BY:
        entries += _close(request, ApprovalState.EXPIRED, SYSTEM, now)
    record(request.workspace_id, entries)
    return refusal


def _refusal_entry(request: ApprovalRequest, refusal: Refusal) -> Draft:
    return entry(request, "approval.refused", SYSTEM, {"reason": refusal.reason.value})


def _consumed(request: ApprovalRequest, approval: Approval, consumer: str) -> Draft:
    detail = {"approval": str(approval.id), "consumer": consumer}
    return entry(request, "approval.consumed", SYSTEM, detail)
