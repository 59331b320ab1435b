"""Takes up what people answered: goes on, tells the agent, asks anew, or ends the run."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from agents import entries, gate, journal
from agents.approvals import editing
from agents.approvals.asking import ask
from agents.approvals.binding import binding, requirement
from agents.approvals.countersigned import consumer
from agents.conversation import observation
from agents.journal import Commit, writing
from agents.models import Call, CallState, RunState, Step, StepState
from agents.session import Session
from audit import canonical
from policies import services as policies
from policies.engine import Outcome
from policies.errors import Reason, Refusal
from policies.models import ApprovalRequest, ApprovalState, Kind


def resume(session: Session, step: Step) -> bool:
    """Act on the state of the step's request; True if the loop may go on with the step."""
    request = step.approval_request
    if request is None:
        raise AssertionError("a waiting step has its request")
    match ApprovalState(request.state):
        case ApprovalState.APPROVED:
            return _use(session, step, request)
        case ApprovalState.REJECTED:
            return _rejected(session, step, request)
        case ApprovalState.EXPIRED:
            journal.run_ended(session, RunState.EXPIRED, "Nobody signed in time.")
        case ApprovalState.CANCELLED:
            journal.run_ended(session, RunState.CANCELLED, "The request was withdrawn.")
        case ApprovalState.SUPERSEDED if step.edit:
            return _edited(session, step, request)
        case ApprovalState.SUPERSEDED:
            return _ask_again(session, step, request)
        case _ if request.policy_version_id != session.policy.version_id:
            # Nobody is to sign what another policy asked for: it could not be used.
            return _ask_again(session, step, request)
        case _:
            with writing(session) as commit:
                journal.park(commit, RunState.AWAITING_APPROVAL, request.title)
    return False


def _use(session: Session, step: Step, request: ApprovalRequest) -> bool:
    kind = Kind(request.kind)
    planned = _planned(session, step)
    with writing(session) as commit:
        used = policies.approval_consume(
            workspace_id=session.lease.workspace_id,
            request_id=request.id,
            binding=binding(session, step, kind, planned),
            consumer=consumer(session.run),
            now=datetime.now(UTC),
        )
        if not isinstance(used, Refusal):
            commit.say(entries.of_run(session.run, "run.resumed", request=str(request.id)))
            if kind is Kind.ANSWER:
                step.state = StepState.EXECUTED
                step.save(update_fields=["state"])
                journal.let_out(commit, step)
                return False
            step.state = StepState.READY
            step.applying = planned[0].manifest if planned else None
            step.save(update_fields=["state", "applying"])
            return True
    return _not_usable(session, step, request, used)


def _planned(session: Session, step: Step) -> list[Call]:
    """The entries of the manifest that was last asked for, in order."""
    waiting = [c for c in session.recorded(step).values() if c.state == CallState.PLANNED]
    return sorted(waiting, key=lambda call: call.position or 0)


def _not_usable(session: Session, step: Step, request: ApprovalRequest, refusal: Refusal) -> bool:
    if refusal.reason in (Reason.POLICY_CHANGED, Reason.VOTER_INELIGIBLE):
        return _ask_again(session, step, request)
    if refusal.reason is Reason.EXECUTE_BY:
        journal.run_ended(session, RunState.EXPIRED, refusal.sentence)
    else:
        journal.run_ended(session, RunState.FAILED, f"Stopped before it ran: {refusal.sentence}")
    return False


def _ask_again(session: Session, step: Step, request: ApprovalRequest) -> bool:
    """Decide the step anew under the policy of today, and ask for new signatures if it says so."""
    kind = Kind(request.kind)
    planned = _planned(session, step)
    gated = _decide_again(session, step, kind, planned)
    denied = [each for each, _ in gated if each.decision.outcome is Outcome.DENY]
    with writing(session) as commit:
        decided = commit.decide(step.number, *gated)
        commit.flush()
        if denied:
            _supersede(session, request)
            told = observation.refused(gate.explain(denied[0].decision))
            _close_step(commit, step, kind, StepState.DENIED, told)
            return True
        decisions = [each.decision for each, _ in gated]
        if not requirement(decisions):
            decisions = []
        if not decisions:
            _supersede(session, request)
            _unsigned(step, kind, planned, decided)
            return True
        over = {call.position or 0: g.over for call, (g, _) in zip(planned, gated, strict=False)}
        renewed = ask(commit, step, kind, decisions, planned, supersedes=request, over=over)
        Call.objects.filter(id__in=[c.id for c in planned]).update(approval_request=renewed)
    return False


def _supersede(session: Session, request: ApprovalRequest) -> None:
    policies.approval_supersede(
        workspace_id=session.lease.workspace_id, request_id=request.id, now=datetime.now(UTC)
    )


def _unsigned(step: Step, kind: Kind, planned: Sequence[Call], decided: Sequence[UUID]) -> None:
    """Let the step go on because the policy of today asks for no signature."""
    for call, decision_id in zip(planned, decided, strict=False):
        call.decision_id, call.approval_request = decision_id, None
        call.save(update_fields=["decision", "approval_request"])
    if kind is Kind.CODE:
        [step.decision_id] = decided
    step.state = StepState.READY
    step.applying = planned[0].manifest if planned else None
    step.save()


def _decide_again(
    session: Session, step: Step, kind: Kind, planned: Sequence[Call]
) -> list[tuple[gate.Gated, int | None]]:
    if kind is Kind.CODE:
        facts = session.facts(step.number, step.code)
        return [(gate.decide_execute(session, step.number, facts), None)]
    if kind is Kind.ANSWER:
        return [(gate.decide_release(session, step, step.final), None)]
    return [
        (
            gate.decide_call(
                session,
                step,
                session.tools[call.tool_version.tool.name],
                call.arguments,
                planned[:place],
            ),
            call.seq,
        )
        for place, call in enumerate(planned)
    ]


def _rejected(session: Session, step: Step, request: ApprovalRequest) -> bool:
    """Tell the agent what the reviewer said, as data; nothing of the step has happened or will."""
    with writing(session) as commit:
        vote = request.votes.filter(answer="reject").order_by("created").first()
        name, comment = (vote.user_name, vote.comment) if vote else ("A reviewer", "")
        told = observation.rejected(request.title, name, comment)
        _close_step(commit, step, Kind(request.kind), StepState.REJECTED, told)
    return True


def _edited(session: Session, step: Step, request: ApprovalRequest) -> bool:
    """Leave the step undone; the loop makes the next one of what the reviewer wrote."""
    with writing(session) as commit:
        told = editing.told(step.edit or {})
        _close_step(commit, step, Kind(request.kind), StepState.REJECTED, told)
    return True


def _close_step(commit: Commit, step: Step, kind: Kind, state: StepState, told: str) -> None:
    """End a step that will not run (further): its planned effects are void, done ones are told.

    A program whose answer was refused has run: its variables stay.
    """
    recorded = commit.session.recorded(step).values()
    for call in _planned(commit.session, step):
        call.state = CallState.VOID
        call.save(update_fields=["state"])
    done = [c for c in recorded if c.manifest is not None and c.state == CallState.SUCCEEDED]
    if done:
        told += observation.already_done([journal.told(call) for call in done])
    step.state = StepState.EXECUTED if kind is Kind.ANSWER else state
    step.observation, step.ended = canonical.clean(told), datetime.now(UTC)
    step.save()
    journal.labels_read(commit.session, recorded)
    commit.say(entries.of_run(commit.session.run, "run.resumed", step=step.number))
