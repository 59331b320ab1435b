"""Changes of what governs: decided by the policy in force, signed by someone else.

One road for policies, tools, agents, models and roles: (1) the active policy decides whether this
person may ask for such a change; (2) the decision is stored; (3) a second person is asked, also
where the policy would let the change through alone; (4) when enough have signed, the change is
made, once, by whatever ``settings.COUNTERSIGN_CHANGES`` names for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Protocol
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string

from audit import canonical
from audit.canonical import JSON
from audit.services import Actor, Draft, Subject, record
from audit.transactions import in_workspace
from policies import requests, selectors
from policies.approvals import folded
from policies.engine import Decision, Outcome, compile_policy, decide, strictest
from policies.errors import InvalidRequest, NotFound, Reason, Refusal
from policies.facts.record import ToolSpec
from policies.models import Approval, ApprovalRequest, ApprovalState, DecisionRecord, Kind
from policies.services.approval import (
    RequestDraft,
    approval_cancel,
    approval_request,
    approval_supersede,
    entry,
    locked,
)
from policies.services.decision import DecisionDraft, decision_record

OFFICER = "policy_officer"
SIGN_WITHIN = timedelta(days=7)
EXECUTE_WITHIN = timedelta(days=14)
MAX_REASON = 2_000


class Maker(Protocol):
    """Makes one kind of change: derives what was signed again, uses the approval up, writes."""

    def __call__(
        self, *, workspace_id: UUID, request: ApprovalRequest, now: datetime
    ) -> Refusal | None: ...


@dataclass(frozen=True)
class Change:
    """A change that somebody asks for.

    Attributes:
        kind: "policy", "registry", "role"; the word on the card.
        kinds: what it is to the policy, where that is more than one thing or another word:
            "tool", "agent", "model". Each is decided, and the strictest decision holds.
        title: the sentence on the card; also what the policy is told the change is.
        notice: the sentence that may be mailed, so free of personal data.
        binding: what the change is, exactly; derived again when it is made.
        displayed: what the card shows.
        barred: ids of the authors of what would take effect.
    """

    kind: str
    title: str
    notice: str
    tier: int
    binding: Mapping[str, JSON]
    displayed: JSON
    barred: Sequence[str] = ()
    kinds: Sequence[str] = ()


def change_request(
    *,
    workspace_id: UUID,
    requester: Actor,
    change: Change,
    now: datetime,
    tools: Sequence[ToolSpec] = (),
) -> ApprovalRequest | Refusal:
    """Ask for a change; a policy officer other than requester and authors must sign.

    ``tools``: those of the workspace, which the active policy may name.

    Raises:
        PolicyError: the active policy does not fit these tools (the caller's fault).
    """
    with in_workspace(workspace_id):
        active = selectors.active_policy(workspace_id)
        policy_set = compile_policy(active.text, tools=tools)
        asked = [_question(requester, change, kind, now) for kind in change.kinds or [change.kind]]
        decisions = [decide(question, policy_set) for question in asked]  # (1)
        decision = strictest(decisions)
        rows = [
            _store(workspace_id, requester, question, each, active.version_id)  # (2)
            for question, each in zip(asked, decisions, strict=True)
        ]
        stored = next(row for row in rows if row.outcome == decision.outcome.value)
        if decision.outcome is Outcome.DENY:
            refusal = Refusal(Reason.POLICY, decision.sentence)
            _record_refusal(workspace_id, requester, change, stored)
            return refusal
        draft = RequestDraft(
            kind=Kind.CHANGE,
            title=change.title,
            notice=change.notice,
            tier=change.tier,
            agent_name=change.kind.capitalize(),
            binding=change.binding,
            requirement=_requirement(decision),
            factor=decision.requirement.factor,
            requester=requester,
            barred=change.barred,
            displayed=_displayed(change, decision),
            policy_version_id=active.version_id,
            decision_id=stored.id,
            sign_by=now + SIGN_WITHIN,
            execute_by=now + EXECUTE_WITHIN,
        )
        return approval_request(workspace_id=workspace_id, draft=draft, now=now)  # (3)


def change_apply(*, workspace_id: UUID, request_id: UUID, now: datetime) -> Refusal | None:
    """Make a change that enough people have signed; a second call finds it made.

    Whoever calls decides nothing: who asked and who signed is what counts. A change that cannot be
    made any more (what it builds on has changed, a signer lost the right) is taken out of force.

    Raises:
        NotFound: no such request in this workspace.
        InvalidRequest: the request is of a kind that is not made this way (the caller's fault).
    """
    with in_workspace(workspace_id):
        request = locked(request_id)
        maker = _makers().get(str(request.binding.get("change", "")))
        if request.kind != Kind.CHANGE or maker is None:
            raise InvalidRequest("This request is not a change that is made when it is signed.")
        if request.state != ApprovalState.APPROVED:
            return Refusal(Reason.STATE, "Not enough people have signed this.")
        if Approval.objects.filter(request=request, consumed_at__isnull=False).exists():
            return None
        refusal = maker(workspace_id=workspace_id, request=request, now=now)
        if refusal is not None:
            approval_supersede(workspace_id=workspace_id, request_id=request_id, now=now)
        return refusal


def change_withdraw(
    *, workspace_id: UUID, request_id: UUID, actor: Actor, reason: str, now: datetime
) -> Refusal | None:
    """Take back a change that waits, or is signed and not made; only whoever asked for it may.

    Raises:
        NotFound: no such request for a change in this workspace.
    """
    with in_workspace(workspace_id):
        request = locked(request_id)
        if request.kind != Kind.CHANGE:
            raise NotFound("There is no such request for a change in this workspace.")
        if (request.requester_type, request.requester_id) != (actor.type, actor.id):
            refusal = Refusal(Reason.NOT_REQUESTER, "Only whoever asked for it may withdraw it.")
        elif not reason.strip():
            refusal = Refusal(Reason.INCOMPLETE, "Say why you withdraw it.")
        elif not approval_cancel(
            workspace_id=workspace_id, request_id=request_id, actor=actor, now=now
        ):
            refusal = Refusal(Reason.STATE, "This is over already: made, rejected or withdrawn.")
        else:
            said = canonical.clean(reason.strip())[:MAX_REASON]
            record(
                workspace_id, [entry(request, "change.withdrawn", actor, payloads={"reason": said})]
            )
            return None
        detail = {"reason": refusal.reason.value, "attempt": "withdraw"}
        record(workspace_id, [entry(request, "approval.refused", actor, detail)])
        return refusal


def change_make(*, workspace_id: UUID, request_id: UUID, now: datetime) -> bool | Refusal:
    """Make a change if it is one that is made when it is signed, and is signed.

    Returns:
        Whether it was made now.
    """
    waiting = (workspace_id, request_id) in changes_signed(workspace_id)
    if not waiting:
        return False
    return change_apply(workspace_id=workspace_id, request_id=request_id, now=now) or True


def changes_signed(only: UUID | None = None) -> list[tuple[UUID, UUID]]:
    """(workspace, request) of changes that are signed and not made, over all workspaces or one."""
    found: list[tuple[UUID, UUID]] = []
    for workspace_id in [only] if only else selectors.workspace_ids():
        with in_workspace(workspace_id):
            rows = ApprovalRequest.objects.filter(
                kind=Kind.CHANGE,
                state=ApprovalState.APPROVED,
                approval__consumed_at__isnull=True,
                binding__change__in=sorted(_makers()),
            )
            found += [(workspace_id, row) for row in rows.values_list("id", flat=True)]
    return found


@cache
def _makers() -> Mapping[str, Maker]:
    """What makes each kind of change; this room does not know the rooms that do."""
    return {kind: import_string(path) for kind, path in settings.COUNTERSIGN_CHANGES.items()}


def is_changeable(
    *, text: str, requester: Actor, now: datetime, tools: Sequence[ToolSpec] = ()
) -> bool:
    """Whether ``text`` in force would still let this person ask for another policy.

    A policy that forbids all change of policy could never be taken back.
    """
    question = requests.change(
        person=requester.id, kind="policy", summary="Another policy", tier=4, now=now
    )
    return decide(question, compile_policy(text, tools=tools)).outcome is not Outcome.DENY


def _question(requester: Actor, change: Change, kind: str, now: datetime) -> requests.Request:
    return requests.change(
        person=requester.id, kind=kind, summary=change.title, tier=change.tier, now=now
    )


def _displayed(change: Change, decision: Decision) -> JSON:
    """What the card shows, with the rules that ask for the signatures."""
    if not isinstance(change.displayed, Mapping):
        return change.displayed
    rules: list[JSON] = [
        {"id": rule.id, "sentence": rule.sentence, "reason": rule.reason}
        for rule in decision.rules
        if not rule.shadow
    ]
    return {**change.displayed, "rules": rules}


def _requirement(decision: Decision) -> list[dict[str, JSON]]:
    """What the rules ask for, and a policy officer in any case."""
    needed = folded({OFFICER: 1, **dict(decision.requirement)})
    return [{"role": role, "count": count} for role, count in needed.items()]


def _store(
    workspace_id: UUID,
    requester: Actor,
    question: requests.Request,
    decision: Decision,
    version_id: UUID,
) -> DecisionRecord:
    answer = decision.to_json()
    draft = DecisionDraft(
        actor=requester,
        action=question.action,
        outcome=answer["outcome"],
        sentence=decision.sentence,
        request=asdict(question),
        policy_version_id=version_id,
        rules=answer["rules"],
        errors=decision.errors,
    )
    return decision_record(workspace_id=workspace_id, decisions=[draft])[0]


def _record_refusal(
    workspace_id: UUID, requester: Actor, change: Change, decision: DecisionRecord
) -> None:
    subject = Subject("decision", str(decision.id))
    detail = {"reason": Reason.POLICY.value, "kind": change.kind}
    record(workspace_id, [Draft("change.refused", requester, subject, detail=detail)])
