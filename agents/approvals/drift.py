"""Reads again what a signed manifest rests on, before anything of it happens.

A read is journaled once, and a plan may wait for its signatures for hours. A tool that says
`reread="on_apply"` is asked again then: if it answers otherwise than before, the manifest is not
applied, its approval is spent, and agent and reviewers are told what changed. Looked at are the
run's reads since the last effect it made: what it read before that, it may have changed itself.

Order: (1) find the reads, (2) commit that they are made again, (3) make them, (4) compare.
A read that is not allowed any more, or fails, counts as changed.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from agents import gate, journal
from agents.broker import Broker
from agents.kill_switches import switches
from agents.models import Call, CallState, Effect, Step
from agents.sandbox.contract import StepResult, StepStatus
from agents.session import Session
from agents.tools.errors import ToolError
from agents.tools.invoke import ToolContext, invoke
from audit import canonical
from audit.canonical import JSON
from policies.engine import Outcome

REREAD = "on_apply"


@dataclass(frozen=True)
class Changed:
    """A read whose answer is not the journaled one any more; `now` is an error where it failed."""

    call: Call
    now: JSON
    why: str


def settled(session: Session, step: Step) -> bool:
    """Whether the manifest that `step` applies may go on; otherwise its end is recorded."""
    reads = due(session, step)
    for call in reads:
        switch = switches.in_force(session.run, tool=call.tool_version.tool.name)
        if switch is not None:
            return journal.run_stopped(session, switch)
    if not reads:
        return True
    journal.reads_repeated(session, step, reads)
    changed = [found for call in reads if (found := _changed(session, call)) is not None]
    if not changed:
        return True
    broker = Broker(session, step, session.recorded(step), approved=step.applying)
    broker.note = "what it rests on has changed since it was read: " + "; ".join(
        f"{journal.told(each.call)} {each.why}" for each in changed
    )
    nothing = StepResult(StepStatus.STOPPED, "", 0, canonical.sha256_hex(b""))
    journal.manifest_broken(session, step, broker, nothing, 0, drift=changed)
    return False


def due(session: Session, step: Step) -> list[Call]:
    """The reads to be made again: none once an effect of the manifest has been begun."""
    recorded = session.recorded(step).values()
    entries = [call for call in recorded if call.manifest == step.applying]
    if step.applying is None or any(call.state != CallState.PLANNED for call in entries):
        return []
    found: dict[tuple[str, str], Call] = {}
    for call in _made(session, step):
        tool = session.tools.get(call.tool_version.tool.name)
        if call.tool_version.effect == Effect.WRITE:
            found.clear()
        elif tool is not None and tool.definition.reread == REREAD:
            found[tool.name, call.arguments_digest] = call
    return list(found.values())


def _made(session: Session, until: Step) -> Iterator[Call]:
    for step in session.steps:
        if step.number <= until.number:
            for _, call in sorted(session.recorded(step).items()):
                if call.state == CallState.SUCCEEDED:
                    yield call


def _changed(session: Session, call: Call) -> Changed | None:
    tool = session.tools[call.tool_version.tool.name]
    decision = gate.decide_call(session, call.step, tool, call.arguments).decision
    if decision.outcome is Outcome.DENY:
        return Changed(call, gate.explain(decision), "may not be read any more")
    context = ToolContext(
        workspace=str(session.lease.workspace_id),
        run=str(session.lease.run_id),
        step=call.step.number,
        idempotency_key=f"{call.idempotency_key}-again",
        cancelled=lambda: session.lost,
    )
    try:
        now = invoke(tool.definition, call.arguments, context)
    except ToolError as error:
        return Changed(call, str(error), "could not be read again")
    if canonical.digest(canonical.clean(now)) == canonical.digest(call.result):
        return None
    return Changed(call, now, "answers otherwise")
