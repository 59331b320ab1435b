"""Changes of what governs: decided by the policy in force, signed by someone else.

One road for policies, tools, agents, models and roles: (1) the active policy decides whether this
person may ask for such a change; (2) the decision is stored; (3) a second person is asked, also
where the policy would let the change through alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from uuid import UUID

from audit.canonical import JSON
from audit.services import Actor, Draft, Subject, record
from audit.transactions import in_workspace
from policies import requests, selectors
from policies.engine import Decision, Outcome, compile_policy, decide
from policies.errors import Reason, Refusal
from policies.facts.record import ToolSpec
from policies.models import ApprovalRequest, DecisionRecord, Kind
from policies.services.approval import RequestDraft, approval_request
from policies.services.decision import DecisionDraft, decision_record

OFFICER = "policy_officer"
SIGN_WITHIN = timedelta(days=7)
EXECUTE_WITHIN = timedelta(days=14)


@dataclass(frozen=True)
class Change:
    """A change that somebody asks for.

    Attributes:
        kind: "policy", "tool", "agent", "model", "role"; rules may tell them apart.
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
        question = _question(requester, change, now)
        decision = decide(question, compile_policy(active.text, tools=tools))  # (1)
        stored = _store(workspace_id, requester, question, decision, active.version_id)  # (2)
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
            requester=requester,
            barred=change.barred,
            displayed=change.displayed,
            policy_version_id=active.version_id,
            decision_id=stored.id,
            sign_by=now + SIGN_WITHIN,
            execute_by=now + EXECUTE_WITHIN,
        )
        return approval_request(workspace_id=workspace_id, draft=draft, now=now)  # (3)


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


def _question(requester: Actor, change: Change, now: datetime) -> requests.Request:
    return requests.change(
        person=requester.id, kind=change.kind, summary=change.title, tier=change.tier, now=now
    )


def _requirement(decision: Decision) -> list[dict[str, JSON]]:
    """What the rules ask for, and a policy officer in any case."""
    needed = {OFFICER: 1, **dict(decision.requirement)}
    return [{"role": role, "count": count} for role, count in sorted(needed.items())]


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
