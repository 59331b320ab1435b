"""Restore is replay: the stored programs run again, the journal answers their calls.

A jail holds nothing that cannot be made again this way, on any worker, days later. Each replayed
step must end as it ended, print what it printed (by hash) and make the calls it made; otherwise
`ReplayDiverged` carries both sides, and nothing of the run goes on.
"""

from agents.broker import Broker
from agents.errors import Divergence, ReplayDiverged
from agents.models import Step
from agents.sandbox.contract import StepResult
from agents.session import Session, replayable


def restore(session: Session, *, before: int) -> None:
    """Give the session a jail in the state after the steps numbered lower than `before`.

    Raises:
        ReplayDiverged: a step did something else than the journal says.
    """
    session.new_jail()
    for step in session.steps:
        if step.number < before and replayable(step):
            if step.runtime != session.runtime.digest:
                now = session.runtime.digest
                raise ReplayDiverged(Divergence(step.number, None, "runtime", step.runtime, now))
            recorded = session.recorded(step)
            broker = Broker(session, step, recorded, history=True)
            check(step, session.execute(step, broker), seen=broker.seen, recorded=len(recorded))


def check(step: Step, result: StepResult, *, seen: int, recorded: int) -> None:
    """Compare a replayed step with its record.

    Raises:
        ReplayDiverged: with both sides.
    """
    pairs = (
        ("ending", step.status, result.status.value),
        ("printed text (SHA-256)", step.stdout_digest, result.stdout_sha256),
        ("number of tool calls", str(recorded), str(seen)),
    )
    for what, before, now in pairs:
        if before != now:
            raise ReplayDiverged(Divergence(step.number, None, what, before, now))
