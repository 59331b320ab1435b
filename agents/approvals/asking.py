"""Asks people to countersign what a run wants: its program, its effects, or its answer.

What is signed is bound by `binding`; what they see, `card` makes. Who may sign, quorum, expiry and
single use are the policies room's.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from agents import entries, gate, journal
from agents.approvals import comparison, replaced
from agents.approvals.binding import authors, binding, manifest_entries, requirement
from agents.approvals.card import displayed
from agents.broker import Broker
from agents.conversation.parsing import Program
from agents.journal import Commit, writing
from agents.llm.chat import ChatReply
from agents.models import Call, RunState, Step, StepState
from agents.sandbox.contract import StepResult
from agents.session import Session
from audit.canonical import JSON
from policies import services as policies
from policies.engine import Decision
from policies.facts.record import Facts
from policies.models import ApprovalRequest, Kind

SIGN_WITHIN = timedelta(hours=8)
EXECUTE_WITHIN = timedelta(hours=1)
"""After signing ends; a run whose approval is not used by then must ask again."""


def ask_for_code(
    session: Session, reply: ChatReply, program: Program, facts: Facts, gated: gate.Gated
) -> Step:
    """Record a program that may run only when people have signed it, and park the run."""
    with writing(session) as commit:
        step = journal.new_step(session, reply, StepState.AWAITING_APPROVAL)
        journal.describe(step, program, facts)
        commit.say(entries.step_proposed(session, step))
        [step.decision_id] = commit.decide(step.number, (gated, None))
        step.save(force_insert=True)
        ask(commit, step, Kind.CODE, [gated.decision], [], supersedes=None)
    session.steps.append(step)
    return step


def ask_for_manifest(session: Session, step: Step, broker: Broker, ms: int) -> bool:
    """Park on the effects that this pass deferred; False: the loop ends here."""
    planned = sorted(broker.planned, key=lambda call: call.seq)
    decisions = [broker.decisions[call.seq] for call in planned]
    number = max((call.manifest or 0 for call in broker.recorded.values()), default=0) + 1
    with writing(session) as commit:
        for position, call in enumerate(planned):
            call.manifest, call.position = number, position
        journal.keep_calls(commit, step, broker)
        session.run.working_ms += ms
        over = {call.position or 0: broker.over.get(call.seq, ()) for call in planned}
        request = ask(commit, step, Kind.MANIFEST, decisions, planned, supersedes=None, over=over)
        ids = [call.id for call in planned]
        Call.objects.filter(id__in=ids).update(approval_request=request, manifest=number)
    return False


def ask_for_answer(
    session: Session,
    step: Step,
    broker: Broker,
    result: StepResult,
    ms: int,
    release: gate.Gated,
) -> bool:
    """Park on an answer that may leave the run only when people have signed it."""
    with writing(session) as commit:
        journal.ran(commit, step, broker, result, ms, "")
        commit.decide(step.number, (release, None))
        ask(commit, step, Kind.ANSWER, [release.decision], [], supersedes=None)
    return False


def ask(
    commit: Commit,
    step: Step,
    kind: Kind,
    decisions: Sequence[Decision],
    planned: Sequence[Call],
    supersedes: ApprovalRequest | None,
    over: Mapping[int, Sequence[str]] = MappingProxyType({}),
) -> ApprovalRequest:
    """Make the request, and park the run on it; part of `commit`.

    Args:
        planned: the effects that are to be signed, in their order; none for code and answers.
        supersedes: the request that this one takes the place of.
        over: by an effect's position, which budgets it crosses; it then stands on the card.
    """
    session, now = commit.session, datetime.now(UTC)
    supersedes = supersedes or _edited_into(session, step)
    shown = displayed(session, step, kind, decisions, planned)
    # Those who sign are asked for it because of this, so it stands on their card.
    if crossed := {str(position): list(said) for position, said in over.items() if said}:
        shown["over_budget"] = crossed
    alike = _compare(session, step, kind, planned, shown)
    commit.flush()
    draft = policies.RequestDraft(
        kind=kind,
        title=shown["sentence"],
        notice=f"{session.version.agent.name}: {shown['headline']}"[:200],
        tier=max((call.tool_version.tier for call in planned), default=2),
        agent_name=str(session.version),
        binding=binding(session, step, kind, planned),
        requirement=requirement(decisions),
        factor=next((f for each in decisions if (f := each.requirement.factor)), ""),
        requester=entries.requester(session.run),
        displayed=shown,
        policy_version_id=session.policy.version_id,
        decision_id=step.decision_id,
        run_id=session.run.id,
        step=step.number,
        barred=sorted(authors(session)),
        sign_by=now + SIGN_WITHIN,
        execute_by=now + SIGN_WITHIN + EXECUTE_WITHIN,
        supersedes=supersedes.id if supersedes else None,
        likeness=alike,
    )
    request = policies.approval_request(
        workspace_id=session.lease.workspace_id, draft=draft, now=now
    )
    step.state, step.approval_request = StepState.AWAITING_APPROVAL, request
    step.save()
    journal.park(commit, RunState.AWAITING_APPROVAL, shown["sentence"])
    return request


def _compare(
    session: Session, step: Step, kind: Kind, planned: Sequence[Call], shown: dict[str, JSON]
) -> str:
    """Put beside what is shown how it differs from the last one like it; returns the likeness."""
    effects = manifest_entries(planned)
    shape = session.facts(step.number, step.code).shape if kind is Kind.CODE else ""
    alike = comparison.likeness(session.version.agent_id, kind, shape, effects)
    if alike:
        workspace_id = session.lease.workspace_id
        shown["compared"] = comparison.compared(workspace_id, kind, alike, step.code, effects)
    return alike


def _edited_into(session: Session, step: Step) -> ApprovalRequest | None:
    """The request whose program a reviewer edited into this step, if none has followed it yet."""
    before = replaced.before(session.steps, step.number)
    request = before.approval_request if before else None
    if request is None or ApprovalRequest.objects.filter(supersedes=request).exists():
        return None
    return request
