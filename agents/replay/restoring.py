"""Restore is replay: the stored programs run again, the journal answers their calls.

A jail holds nothing that cannot be made again this way, on any worker, days later. Each replayed
step must end as it ended, print what it printed (by hash) and make the calls it made; otherwise
`ReplayDiverged` carries both sides, and nothing of the run goes on.

`restore` brings a worker's jail to where the run stands. `rehearse` replays for a person, without a
lease: it goes through every step, also the one whose plan waits for signatures, and tells of each.
Neither makes a call: an answer that the journal does not hold ends the replay.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from agents.broker import Broker
from agents.errors import Divergence, ReplayDiverged
from agents.files import artifacts
from agents.models import CallState, Step, StepState
from agents.sandbox.contract import StepResult
from agents.session import REPLAYABLE, Session, replayable
from audit import canonical

SHOWN = 200
"""Characters of each side that are shown from where two texts part."""


@dataclass(frozen=True)
class Replayed:
    """What came of one step at its replay.

    Attributes:
        matched: how much was the same, in words; "" where it was not replayed or differs.
        skipped: why the step is no part of a replay; "" where it is.
    """

    step: int
    matched: str = ""
    skipped: str = ""
    divergence: Divergence | None = None

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Replayed":
        """Take back what `dataclasses.asdict` gave."""
        apart = stored["divergence"]
        return cls(**{**stored, "divergence": Divergence(**apart) if apart else None})


def restore(session: Session, *, before: int) -> None:
    """Give the session a jail in the state after the steps numbered lower than `before`.

    Raises:
        ReplayDiverged: a step did something else than the journal says.
    """
    session.new_jail()
    for step in session.steps:
        if step.number < before and replayable(step):
            _again(session, step)


def rehearse(session: Session) -> Iterator[Replayed]:
    """Replay every step that left something behind, and stop at the first that differs."""
    session.new_jail()
    try:
        for step in session.steps:
            yield (told := _rehearsed(session, step))
            if told.divergence is not None:
                return
    finally:
        session.drop_jail()


def check(step: Step, result: StepResult, *, seen: int, recorded: int) -> None:
    """Compare a replayed step with its record.

    Raises:
        ReplayDiverged: with both sides.
    """
    _same(step, "ending", step.status, result.status.value)
    if step.stdout_digest != result.stdout_sha256:
        sides = where_they_part(step.stdout, result.stdout)
        raise ReplayDiverged(Divergence(step.number, None, "printed text", *sides))
    _same(step, "number of tool calls", str(recorded), str(seen))
    left = artifacts.listed(result.files)
    if list(step.files) != left:
        raise ReplayDiverged(Divergence(step.number, None, "files", repr(step.files), repr(left)))
    final = canonical.clean(result.final)
    if canonical.digest(step.final) != canonical.digest(final):
        sides = where_they_part(repr(step.final), repr(final))
        raise ReplayDiverged(Divergence(step.number, None, "final answer", *sides))


def _again(session: Session, step: Step) -> None:
    _same(step, "runtime", step.runtime, session.runtime.digest)
    recorded = session.recorded(step)
    broker = Broker(session, step, recorded, history=True)
    check(step, session.execute(step, broker), seen=broker.seen, recorded=len(recorded))


def _rehearsed(session: Session, step: Step) -> Replayed:
    planned = [c for c in session.recorded(step).values() if c.state == CallState.PLANNED]
    waits = step.state == StepState.AWAITING_APPROVAL
    try:
        if step.status in REPLAYABLE and (waits or step.state == StepState.EXECUTED):
            _again(session, step)
            calls = len(session.recorded(step))
            return Replayed(step.number, f"{calls} calls, {step.stdout_bytes} bytes printed")
        if waits and planned:
            _plan_again(session, step)
            return Replayed(step.number, f"the plan that waits, with {len(planned)} effects")
    except ReplayDiverged as error:
        return Replayed(step.number, divergence=error.divergence)
    state = StepState(step.state)
    why = f"it ended as {step.status}" if state is StepState.EXECUTED else state.label
    return Replayed(step.number, skipped=why)


def _plan_again(session: Session, step: Step) -> None:
    """The pass that made a plan left no record of its output; its calls and their end are one."""
    recorded = session.recorded(step)
    broker = Broker(session, step, recorded, history=True)
    session.execute(step, broker)
    _same(step, "number of tool calls", str(len(recorded)), str(broker.seen))


def _same(step: Step, what: str, before: str, now: str) -> None:
    if before != now:
        raise ReplayDiverged(Divergence(step.number, None, what, before, now))


def where_they_part(before: str, now: str) -> tuple[str, str]:
    """Both texts from shortly before their first difference."""
    same = sum(
        1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, now, strict=False))
    )
    start = max(0, same - SHOWN // 4)
    return before[start : start + SHOWN], now[start : start + SHOWN]
