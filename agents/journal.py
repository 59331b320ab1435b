"""Writes what a run did: the only writers of steps and calls, each one transaction under the lease.

A step without writes costs two commits: proposed-and-decided before anything runs, executed after.
Each executed write adds two: its intent before the effect, its outcome after. The run's row is
locked first, its audit entries are written in the same transaction, and the session's rows are
brought up to date with what was committed.
"""

import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection
from django.db.models.functions import Now

from agents import entries, gate
from agents.approvals import countersigned
from agents.budgets import spending
from agents.conversation import observation
from agents.conversation.parsing import Problem, Program
from agents.errors import LeaseLost, ReplayDiverged, SwitchedOff
from agents.files import artifacts, keeping
from agents.kill_switches import switches
from agents.llm.chat import ChatReply, Usage
from agents.llm.errors import ModelRefused, ModelUnavailable
from agents.models import Call, CallState, KillSwitch, Run, RunState, Step, StepState
from agents.sandbox.contract import Raise, StepResult, Value
from agents.session import Session
from agents.worker import leases
from agents.worker.endpoints import endpoint_spec
from agents.worker.leases import LOOK_AGAIN, Lease, held, locked, recording
from audit import canonical, rows
from audit.canonical import JSON
from audit.services import Draft, record
from audit.transactions import in_workspace
from policies import services as policies
from policies.engine import Outcome
from policies.facts.record import Facts

if TYPE_CHECKING:
    from agents.approvals.drift import Changed
    from agents.broker import Broker

MODEL_FAILURES = 20
"""How often in a row a model may be unavailable before its run is given up."""

WAIT = timedelta(seconds=15)

OUTCOME_PATIENCE_S = 300.0
OUTCOME_PAUSE_S = 0.5

RAN = (
    "state",
    "applying",
    "runtime",
    "status",
    "stdout",
    "stdout_bytes",
    "stdout_digest",
    "value",
    "error",
    "final",
    "files",
    "observation",
    "jail_ms",
    "ended",
)
"""What the end of a program changes in its step's row."""

COLUMNS = tuple(field.attname for field in Run._meta.concrete_fields)

KEPT = {CallState.SUCCEEDED: "call.succeeded", CallState.FAILED: "call.failed"}
"""Entries of calls that are stored when they are over; plans get theirs when they are applied."""


@dataclass
class Commit:
    """One transaction of the lease's holder, with the entries it will leave.

    Attributes:
        now: PostgreSQL's time at its beginning.
    """

    session: Session
    now: datetime
    drafts: list[Draft] = field(default_factory=list)

    def say(self, *drafts: Draft) -> None:
        """Add entries, in order."""
        self.drafts.extend(drafts)

    def decide(self, step: int, *gated: tuple[gate.Gated, int | None]) -> list[UUID]:
        """Store decisions, add their entries, and return the ids of their records."""
        if not gated:
            return []
        run, version_id = self.session.run, self.session.policy.version_id
        drafts = [gate.draft(run, each, version_id, step=step, seq=seq) for each, seq in gated]
        made, said = policies.decision_store(workspace_id=run.workspace_id, decisions=drafts)
        self.say(*said)
        return [row.id for row in made]

    def flush(self) -> None:
        """Write the entries collected so far, where others must come after them."""
        drafts, self.drafts = self.drafts, []
        record(self.session.lease.workspace_id, drafts)


@contextlib.contextmanager
def writing(session: Session) -> Iterator[Commit]:
    """Open one commit of the lease's holder; `session.run` is written back when it ends.

    A run that is given back or has ended has no jail any more; the log says so in this commit.

    Raises:
        LeaseLost: the run is another worker's by now, or was stopped; nothing is written.
    """
    before, session.run = session.run, copy(session.run)
    try:
        with held(session.lease) as now:
            commit = Commit(session, now, entries.of_jails(session))
            known = len(session.unsaid)
            yield commit
            if session.run.state != RunState.RUNNING:
                session.drop_jail()
                commit.say(*entries.of_jails(session, known))
            save_changes(session.run, before)
            commit.flush()
    except BaseException:
        # Whatever it was, nothing was stored: go on from the row as it stands.
        session.run = before
        raise
    session.unsaid.clear()


def save_changes(run: Run, before: Run) -> None:
    """Write the columns in which a row differs from what is known to be stored."""
    now, then = run.__dict__, before.__dict__
    changed = [name for name in COLUMNS if now[name] != then[name]]
    if changed:
        rows.update(run, changed)


# Before a program runs.


def taken_up(session: Session) -> bool:
    """Compare the programs so far with what was decided; False when the run has ended of it."""
    if not session.steps:
        return True
    with in_workspace(session.lease.workspace_id):
        problem = countersigned.problem(session)
    if problem:
        run_ended(session, RunState.FAILED, problem)
    return not problem


def model_cleared(session: Session) -> bool:
    """Record that the model may be asked; False when it may not and the run has ended.

    A clearance holds while policy, endpoint, the labels of what the model would see and the kinds
    of secrets and personal data in it stay the same, so an ordinary step does not pay a commit.
    """
    gated = gate.decide_model(session)
    allowed = gated.decision.outcome is Outcome.ALLOW
    key = (
        gated.decision.policy_hash,
        session.version.endpoint_id,
        session.control_labels,
        session.reader.facts,
    )
    if allowed and session.cleared == key:
        return True
    gated = gate.located(session, gated)
    with writing(session) as commit:
        commit.decide(session.next_number, (gated, None))
        if not allowed:
            _end(commit, RunState.DENIED, gate.why_not_sent(session, gated))
    session.cleared = key
    return allowed


def step_unparsed(session: Session, reply: ChatReply, problem: Problem) -> Step:
    """Record a reply that held no program; the agent is told how to answer."""
    with writing(session) as commit:
        step = new_step(session, reply, StepState.UNPARSED)
        step.observation = problem.message
        step.ended = datetime.now(UTC)
        rows.insert([step])
        commit.say(entries.step_proposed(session, step))
    session.steps.append(step)
    return step


def step_proposed(
    session: Session, reply: ChatReply, program: Program, facts: Facts, gated: gate.Gated
) -> Step:
    """Record a program and the decision on it, before it can run."""
    refused = gated.decision.outcome is not Outcome.ALLOW
    with writing(session) as commit:
        step = new_step(session, reply, StepState.DENIED if refused else StepState.READY)
        describe(step, program, facts)
        commit.say(entries.step_proposed(session, step))
        [step.decision_id] = commit.decide(step.number, (gated, None))
        if refused:
            step.observation = observation.refused(gate.explain_program(gated))
            step.ended = datetime.now(UTC)
        rows.insert([step])
    session.steps.append(step)
    return step


def new_step(session: Session, reply: ChatReply, state: StepState) -> Step:
    """The next step's row, its spending already counted on the run; not yet saved."""
    run = session.run
    cost = endpoint_spec(session.version.endpoint).cost_micros(reply.usage)
    count_usage(session, reply.usage)
    run.steps_taken += 1
    run.model_failures = run.attempts = 0
    run.working_ms += reply.duration_ms
    return Step(
        workspace_id=run.workspace_id,
        run=run,
        number=session.next_number,
        state=state,
        time_us=time.time_ns() // 1000,
        reply=canonical.clean(reply.text),
        input_tokens=reply.usage.input_tokens,
        output_tokens=reply.usage.output_tokens,
        tokens_estimated=reply.usage.estimated,
        cost_micros=cost,
        model_ms=reply.duration_ms,
    )


def describe(step: Step, program: Program, facts: Facts) -> None:
    """Put the program and what is known of it into the step's row."""
    step.thought = canonical.clean(program.thought)
    step.code = canonical.clean(program.code)
    step.code_digest = canonical.sha256_hex(step.code.encode())
    step.facts_digest = facts.digest
    step.variables = {name: origin.to_json() for name, origin in facts.variables.items()}


def count_usage(session: Session, usage: Usage) -> None:
    run = session.run
    run.input_tokens += usage.input_tokens
    run.output_tokens += usage.output_tokens
    run.cost_micros += endpoint_spec(session.version.endpoint).cost_micros(usage)


# While a program runs.


def call_intended(session: Session, step: Step, call: Call, broker: "Broker") -> str:
    """Commit that a call is about to be made, with all of the step that came before it.

    Returns:
        Why it may not be made after all: what was signed does not stand. "" if it may.

    Raises:
        SwitchedOff: a kill switch holds the run or the tool; nothing was written.
        BudgetCrossed: the effect would cross a budget of the day; nothing was written.
        LeaseLost: besides a lost lease, the commit took so long that the lease it renewed may
            have lapsed; whoever has the run then decides about the call.
    """
    began = time.monotonic()
    with writing(session) as commit:
        switch = switches.in_force(session.run, tool=call.tool_version.tool.name)
        if switch is not None:
            raise SwitchedOff(switch)
        spend = spending.check(session.run, call)
        session.run.lease_until = commit.now + leases.LEASE
        keep_calls(commit, step, broker)
        if not call._state.adding:
            commit.flush()
            refused = countersigned.refusal(session, step, call, broker.results)
            if refused:
                return refused
        gated = broker.gated.pop(call.seq, None)
        if gated is not None:
            [call.decision_id] = commit.decide(step.number, (gated, call.seq))
        call.state, call.epoch = CallState.INTENDED, session.lease.epoch
        if call._state.adding:
            session.run.calls_made += 1
        call.save()
        if spend is not None:
            spend.save(force_insert=True)
        commit.say(entries.of_call(session, call, "call.intended"))
    if time.monotonic() - began > leases.SURE_S:
        raise LeaseLost("writing the intent took too long")
    return ""


def call_ended(session: Session, call: Call, reply: Value | Raise) -> None:
    """Commit the outcome of an intended call.

    What happened is recorded even if the run was stopped meanwhile, and settles a doubt that
    another worker had about it; only one that made the very call again makes this one's word void.
    """
    put_outcome(call, reply)
    action = "call.succeeded" if call.state == CallState.SUCCEEDED else "call.failed"
    _write_outcome(session, call, action)


def call_in_doubt(session: Session, call: Call, why: str) -> None:
    """Commit that nobody knows whether an intended call happened; a person will say."""
    call.state = CallState.UNKNOWN
    call.error = {"type": "OutcomeUnknown", "message": why}
    _write_outcome(session, call, "call.unknown")


def _write_outcome(session: Session, call: Call, action: str) -> None:
    """Write what only this process knows; while the database is away, again and again.

    Raises:
        LeaseLost: the call, or the run, is not this worker's any more.
    """
    give_up = time.monotonic() + OUTCOME_PATIENCE_S
    while True:
        try:
            return _try_outcome(session, call, action)
        except (OperationalError, InterfaceError):
            if connection.in_atomic_block or time.monotonic() > give_up:
                raise
            connection.close()
            time.sleep(OUTCOME_PAUSE_S)


def _try_outcome(session: Session, call: Call, action: str) -> None:
    with recording(session.lease) as run:
        outcome = {
            "state": call.state,
            "result": call.result,
            "files": call.files,
            "error": call.error,
            "duration_ms": call.duration_ms,
            "ended": Now(),
        }
        this_attempt = Call.objects.filter(id=call.id, epoch=call.epoch)
        if not this_attempt.filter(state=CallState.INTENDED).update(**outcome):
            doubted = this_attempt.filter(state=CallState.UNKNOWN)
            if call.state == CallState.UNKNOWN or not doubted.update(**outcome):
                raise LeaseLost(f"call {call.id} was taken over")
            if run.state == RunState.AWAITING_INPUT:
                run.state, run.reason = RunState.QUEUED, ""
                run.save()
        if call.state == CallState.FAILED:
            spending.release(call)
        files = keeping.of_calls(run, [call] if call.state == CallState.SUCCEEDED else [])
        record(session.lease.workspace_id, [entries.of_call(session, call, action), *files])


def put_outcome(call: Call, reply: Value | Raise) -> None:
    """Write a reply into the call's row (not saved)."""
    if isinstance(reply, Value):
        call.state, call.result = CallState.SUCCEEDED, reply.value
    else:
        call.state = CallState.FAILED
        call.error = {"type": reply.type, "message": reply.message}
    call.ended = datetime.now(UTC)


def keep_calls(commit: Commit, step: Step, broker: "Broker") -> None:
    """Store the calls of this pass that are not yet stored: reads, refusals, plans."""
    fresh, broker.fresh = broker.fresh, []
    gated = [(broker.gated.pop(call.seq), call.seq) for call in fresh if call.seq in broker.gated]
    ids = commit.decide(step.number, *gated)
    for (_, seq), decision_id in zip(gated, ids, strict=True):
        broker.recorded[seq].decision_id = decision_id
    rows.insert(fresh)
    commit.session.run.calls_made += len(fresh)
    kept = [call for call in fresh if call.state in KEPT]
    commit.say(
        *(entries.of_call(commit.session, call, KEPT[CallState(call.state)]) for call in kept)
    )
    commit.say(*keeping.of_calls(commit.session.run, kept))


# After a program ran.


def step_executed(
    session: Session,
    step: Step,
    broker: "Broker",
    result: StepResult,
    ms: int,
    told: str,
    release: gate.Gated | None = None,
) -> bool:
    """Record how a program ended and what the agent is told; True: the loop goes on."""
    with writing(session) as commit:
        ran(commit, step, broker, result, ms, told)
        if release is not None:
            commit.decide(step.number, (release, None))
            commit.say(entries.of_step(session, step, "answer.refused"))
    return True


def answer_released(
    session: Session,
    step: Step,
    broker: "Broker",
    result: StepResult,
    ms: int,
    release: gate.Gated,
) -> bool:
    """Record the final answer, let it out, and end the run; False: the loop ends."""
    with writing(session) as commit:
        ran(commit, step, broker, result, ms, "")
        commit.decide(step.number, (release, None))
        let_out(commit, step)
    return False


def let_out(commit: Commit, step: Step) -> None:
    """End the run with the step's answer."""
    commit.session.run.answer = step.final
    commit.say(entries.answer_released(commit.session, step))
    _end(commit, RunState.SUCCEEDED, "")


def reads_repeated(session: Session, step: Step, calls: Sequence[Call]) -> None:
    """Commit that journaled reads are about to be made again, for a manifest to be applied."""
    with writing(session) as commit:
        commit.say(
            *(entries.of_call(session, call, "call.reread", applying=step.number) for call in calls)
        )


def manifest_broken(
    session: Session,
    step: Step,
    broker: "Broker",
    result: StepResult,
    ms: int,
    drift: "Sequence[Changed]" = (),
) -> bool:
    """A signed manifest ended early: its approval is spent, the rest of it will not run."""
    undone = broker.unused
    done = [
        c for c in broker.recorded.values() if c.manifest == broker.approved and c not in undone
    ]
    why = broker.note or "the program ended before the manifest did"
    said = observation.manifest_broken(why, [told(c) for c in done], [told(c) for c in undone])
    with writing(session) as commit:
        for call in undone:
            call.state = CallState.VOID
        Call.objects.bulk_update(undone, ["state"])
        ran(commit, step, broker, result, ms, said, status="stopped")
        commit.say(*(entries.drifted(session, each.call, each.now) for each in drift))
        commit.say(entries.of_step(session, step, "manifest.broken", undone=len(undone)))
    return True


def ran(
    commit: Commit,
    step: Step,
    broker: "Broker",
    result: StepResult,
    ms: int,
    told: str,
    status: str = "",
) -> None:
    """Store a program's end: calls, output, observation. Part of a caller's commit."""
    session = commit.session
    void = [call for call in broker.planned if call.state == CallState.PLANNED]
    for call in void:
        call.state = CallState.VOID
    stored = [call for call in void if not call._state.adding]
    Call.objects.bulk_update(stored, ["state"])
    keep_calls(commit, step, broker)
    step.state = StepState.EXECUTED
    step.applying = None
    step.runtime = session.runtime.digest
    step.status = status or result.status.value
    step.stdout = canonical.clean(result.stdout)
    step.stdout_bytes = result.stdout_bytes
    step.stdout_digest = result.stdout_sha256
    step.value = canonical.clean(result.value)
    step.error = canonical.clean(asdict(result.error)) if result.error else None
    step.final = canonical.clean(result.final)
    step.files = artifacts.listed(result.files)
    step.observation = canonical.clean(told)
    step.jail_ms = result.wall_ms
    step.ended = datetime.now(UTC)
    rows.update(step, RAN)
    session.run.working_ms += ms
    session.run.attempts = 0
    labels_read(session, broker.recorded.values())
    commit.say(entries.step_executed(session, step))
    keeping.keep(commit, step, result)


def labels_read(session: Session, calls: Iterable[Call]) -> None:
    """Put on the run the labels of what the program had, and so the model may read.

    A tool that failed said so in words of its own, which may be those of an outsider.
    """
    had = {
        label
        for call in calls
        if call.state == CallState.SUCCEEDED
        or (call.state == CallState.FAILED and not (call.error or {}).get("refused"))
        for label in call.tool_version.labels
    }
    session.run.control_labels = sorted(session.control_labels | had)


def told(call: Call) -> str:
    """A call in one line, as the agent is told of it."""
    return f"{call.tool_version.tool.name}({_brief(call.arguments)})"


def _brief(arguments: JSON) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())


# Parking and ending.


def park(commit: Commit, state: RunState, reason: str) -> None:
    """Give the run back to wait for a person: no lease, no worker, no jail."""
    run = commit.session.run
    run.state, run.reason = state, reason
    run.lease_owner, run.lease_until = "", None
    commit.say(entries.of_run(run, "run.parked", waits_for=state.value))


def run_in_doubt(session: Session, step: Step, broker: "Broker", ms: int) -> bool:
    """Park until a person has said what became of an effect."""
    with writing(session) as commit:
        keep_calls(commit, step, broker)
        session.run.working_ms += ms
        park(commit, RunState.AWAITING_INPUT, broker.note)
    session.drop_jail()
    return False


def run_stopped(session: Session, switch: KillSwitch) -> bool:
    """Park until a kill switch is lifted; False: the loop ends."""
    with contextlib.suppress(LeaseLost), writing(session) as commit:
        _stop(commit, switch)
    return False


def step_stopped(
    session: Session, step: Step, broker: "Broker", switch: KillSwitch, ms: int
) -> bool:
    """Park in the middle of a step; what it has done so far stays journaled."""
    with writing(session) as commit:
        keep_calls(commit, step, broker)
        session.run.working_ms += ms
        _stop(commit, switch)
    session.drop_jail()
    return False


def _stop(commit: Commit, switch: KillSwitch) -> None:
    run = commit.session.run
    run.state, run.reason = RunState.QUEUED, canonical.clean(switch.sentence)
    run.wake_at = datetime.now(UTC) + LOOK_AGAIN
    run.stopped_by, run.attempts = switch, 0
    run.lease_owner, run.lease_until = "", None
    commit.say(entries.of_run(run, "run.parked", waits_for="kill_switch", switch=str(switch.id)))


def run_ended(session: Session, state: RunState, reason: str) -> None:
    """End the run for a reason a person understands."""
    with writing(session) as commit:
        _end(commit, state, reason)


def run_abandoned(lease: Lease, reason: str) -> None:
    """End a run that cannot even be opened."""
    with held(lease):
        run = locked(lease.run_id)
        _finish(run, RunState.FAILED, reason)
        run.save()
        record(lease.workspace_id, [entries.ended(run)])


def _end(commit: Commit, state: RunState, reason: str) -> None:
    _finish(commit.session.run, state, reason)
    commit.say(entries.ended(commit.session.run))


def _finish(run: Run, state: RunState, reason: str) -> None:
    run.state, run.reason = state, canonical.clean(reason)
    run.ended = datetime.now(UTC)
    run.lease_owner, run.lease_until = "", None


def replay_diverged(session: Session, error: ReplayDiverged) -> None:
    """Stop a run whose stored program no longer does what the journal says."""
    with contextlib.suppress(LeaseLost), writing(session) as commit:
        commit.say(entries.diverged(session, error.divergence))
        _end(commit, RunState.FAILED, f"Replay diverged: {error}")


def run_waits(session: Session, reason: str) -> None:
    """Give the run back for a while, for a reason that is not its own."""
    with writing(session) as commit:
        run = commit.session.run
        run.state, run.reason = RunState.QUEUED, canonical.clean(reason)
        run.wake_at = datetime.now(UTC) + WAIT
        run.lease_owner, run.lease_until = "", None


def model_unavailable(session: Session, error: ModelUnavailable) -> None:
    """Let the run wait for its model, or give it up after `MODEL_FAILURES` in a row."""
    with writing(session) as commit:
        run = session.run
        count_usage(session, error.usage)
        run.model_failures += 1
        commit.say(entries.of_run(run, "model.unavailable", failures=run.model_failures))
        if run.model_failures >= MODEL_FAILURES:
            _end(commit, RunState.FAILED, f"The model is unavailable: {error}")
            return
        run.state = RunState.QUEUED
        run.reason = f"Waiting for the model: {error}"
        run.wake_at = datetime.now(UTC) + timedelta(seconds=error.retry_after_s)
        run.lease_owner, run.lease_until = "", None


def model_refused(session: Session, error: ModelRefused) -> None:
    """End a run whose model refuses the call for good."""
    with writing(session) as commit:
        count_usage(session, error.usage)
        _end(commit, RunState.FAILED, f"The model refused the call: {error}")
