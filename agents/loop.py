"""The loop: take a run from where it stands until it parks or ends.

One turn, in this order:

1. check kill switches and limits, before the paid call;
2. decide whether the model may be asked, and ask it (`propose`);
3. parse the reply to one program; a reply without one is an observation;
4. extract facts, decide, record. `deny` becomes an observation, `review` parks the run;
5. run the program in the jail under the broker and the journal (`execute`);
6. record what happened; the observation goes back to the model;
7. a final answer is gated like an effect, then checked (`finish`).

Nothing that a program prints or a model says decides what the loop does next. No transaction is
open during a model call, a tool call or a program. All writes are `journal`'s, under the lease.
"""

import time

from agents import checks, gate, journal, tracing
from agents.approvals import answering, asking, drift, editing
from agents.broker import Broker, Ending
from agents.budgets.limits import crossed
from agents.conversation import observation
from agents.conversation.messages import chat_request
from agents.conversation.parsing import Program, parse_code
from agents.errors import LeaseLost, ReplayDiverged
from agents.files import artifacts
from agents.kill_switches import switches
from agents.llm.chat import ChatModel, ChatReply
from agents.llm.errors import ModelCancelled, ModelRefused, ModelUnavailable
from agents.models import RunState, Step, StepState
from agents.replay import restoring
from agents.sandbox.contract import StepResult, StepStatus
from agents.session import Session
from agents.worker.endpoints import endpoint_spec
from policies.engine import Outcome

PLANS = frozenset({StepStatus.COMPLETED, StepStatus.FINAL, StepStatus.STOPPED})
"""Endings of a program whose deferred effects are worth a person's time; one that failed is not."""


def advance(session: Session, model: ChatModel) -> None:
    """Drive a run until it parks, ends, or is lost to this worker."""
    try:
        if not journal.taken_up(session):
            return
        while turn(session, model):
            pass
    except LeaseLost:
        switch = switches.in_force(session.run)
        if switch is not None:
            # The lease is ours still: the keeper stopped the jail or the model call for it.
            journal.run_stopped(session, switch)
    except ReplayDiverged as error:
        journal.replay_diverged(session, error)
    finally:
        session.drop_jail()


def turn(session: Session, model: ChatModel) -> bool:
    """Take the run one step further; False when it is parked or ended."""
    switch = switches.in_force(session.run)
    if switch is not None:
        return journal.run_stopped(session, switch)
    step = session.last_step
    if step is not None and step.state == StepState.AWAITING_APPROVAL:
        if not answering.resume(session, step):
            return False
    elif step is None or step.state != StepState.READY:
        step = propose(session, model)
        if step is None or step.state == StepState.AWAITING_APPROVAL:
            return False
    return step.state != StepState.READY or execute(session, step)


def propose(session: Session, model: ChatModel) -> Step | None:
    """Ask the model for the next program and decide on it; None if the run cannot go on now.

    What a reviewer wrote in place of the last program stands where the model's answer would.
    """
    limit = crossed(session.limits, session.spent)
    if limit:
        journal.run_ended(session, RunState.FAILED, limit)
        return None
    edit = editing.pending(session.last_step)
    if edit is not None:
        return _decided(session, *editing.as_reply(edit))
    if not journal.model_cleared(session):
        return None
    reply = _ask(session, model)
    if reply is None:
        return None
    # Asking took a while: the policy may have changed meanwhile.
    session.follow_policy()
    parsed = parse_code(reply.text, truncated=reply.truncated)
    if not isinstance(parsed, Program):
        return journal.step_unparsed(session, reply, parsed)
    return _decided(session, reply, parsed)


def _decided(session: Session, reply: ChatReply, program: Program) -> Step:
    """Decide on a program and record it."""
    number = session.next_number
    facts = session.facts(number, program.code)
    gated = gate.decide_execute(session, number, facts)
    if gated.decision.outcome is Outcome.REVIEW:
        return asking.ask_for_code(session, reply, program, facts, gated)
    return journal.step_proposed(session, reply, program, facts, gated)


def execute(session: Session, step: Step) -> bool:
    """Run the step's program and record what came of it."""
    began = time.monotonic()
    with tracing.span("step", {"countersign.step": step.number}):
        if step.applying is not None and not drift.settled(session, step):
            return True
        if not session.has_jail:
            with tracing.span("restore"):
                restoring.restore(session, before=step.number)
        broker = Broker(session, step, session.recorded(step), approved=step.applying)
        with tracing.span("jail") as span:
            result = session.execute(step, broker)
            tracing.ran(span, result)
        took = time.monotonic() - began
        tracing.measures.step_time.record(took, {"status": result.status.value})
        if session.lost:
            raise LeaseLost("the run was stopped while its program ran")
        return _settle(session, step, broker, result, int(took * 1000))


def finish(session: Session, step: Step, broker: Broker, result: StepResult, ms: int) -> bool:
    """Gate and check the final answer: release it, ask for a signature, or say why not."""
    gated = gate.decide_release(session, step, result.final)
    if gated.decision.outcome is Outcome.DENY:
        told = observation.answer_refused(gate.explain(gated.decision))
        return journal.step_executed(session, step, broker, result, ms, told, release=gated)
    problem = artifacts.missing(result.final) or checks.problem(
        session.version.checks, result.final
    )
    if problem:
        told = observation.answer_refused(problem)
        return journal.step_executed(session, step, broker, result, ms, told, release=gated)
    if gated.decision.outcome is Outcome.REVIEW:
        return asking.ask_for_answer(session, step, broker, result, ms, gated)
    return journal.answer_released(session, step, broker, result, ms, gated)


def _settle(session: Session, step: Step, broker: Broker, result: StepResult, ms: int) -> bool:
    """Say what the end of a program means for the run."""
    if broker.switch is not None:
        return journal.step_stopped(session, step, broker, broker.switch, ms)
    if broker.ending is Ending.IN_DOUBT:
        return journal.run_in_doubt(session, step, broker, ms)
    if broker.ending is Ending.CALL_LIMIT:
        journal.step_executed(session, step, broker, result, ms, broker.note)
        journal.run_ended(session, RunState.FAILED, broker.note)
        return False
    if broker.ending in (Ending.MISMATCH, Ending.EFFECT_FAILED) or broker.unused:
        session.drop_jail()
        return journal.manifest_broken(session, step, broker, result, ms)
    if broker.planned and result.status in PLANS:
        session.drop_jail()
        return asking.ask_for_manifest(session, step, broker, ms)
    if result.status is StepStatus.FINAL:
        return finish(session, step, broker, result, ms)
    if result.status not in (StepStatus.COMPLETED, StepStatus.ERROR):
        session.drop_jail()
    told = observation.render(
        result,
        limit_chars=session.limits.observation_chars,
        imports=session.imports,
        names=[*session.tools, *session.known(step.number)],
    )
    told = observation.with_files(
        told, [(file.name, len(file.content)) for file in result.files], result.skipped
    )
    return journal.step_executed(session, step, broker, result, ms, told)


def _ask(session: Session, model: ChatModel) -> ChatReply | None:
    """One model call; a failure is recorded and never loses the run."""
    request = chat_request(session, cancelled=lambda: session.lost)
    endpoint = session.version.endpoint
    try:
        with tracing.model_call(endpoint, request) as span:
            reply = model.complete(request)
            cost = endpoint_spec(endpoint).cost_micros(reply.usage)
            tracing.answered(span, endpoint, reply, cost)
    except ModelUnavailable as error:
        journal.model_unavailable(session, error)
        return None
    except ModelRefused as error:
        journal.model_refused(session, error)
        return None
    except ModelCancelled as error:
        raise LeaseLost("the run was stopped during the model call") from error
    return reply
