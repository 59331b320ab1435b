"""How soon a kill switch takes hold, and what looking for one costs.

The worker's own code drives the runs on threads of this process, with the lease keeper beside them;
jail and database are real.
"""

import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.db import connections

from agents import loop
from agents.kill_switches import switches
from agents.kill_switches.service import kill_lift, kill_set
from agents.models import KillScope, KillSwitch, Run
from agents.session import Session
from agents.worker import leases
from audit.transactions import in_workspace
from tests.benchmarks.bench_run import Bench, Model, bench
from tests.benchmarks.result import Result

ROUNDS = 5
COMPUTES = "x = 0\nwhile True:\n    x += 1"
CALLS = "while True:\n    list_vendors()"


def run() -> list[Result]:
    with bench() as stage:
        return [
            _held(stage, "while a program only computes", COMPUTES, _has_jail),
            _held(stage, "at the next call of a program", CALLS, _has_called),
            _looking(stage),
        ]


@dataclass
class Worker:
    """One run on a thread, as a worker process drives it."""

    stage: Bench
    session: Session
    model: Model
    ended: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._work)
        self.thread.start()

    def _work(self) -> None:
        with leases.Keeper().keeping(self.session.lease, self.session.stop):
            loop.advance(self.session, self.model)
        self.ended.append(time.perf_counter())
        connections.close_all()


def _has_jail(session: Session) -> bool:
    return session.has_jail


def _has_called(session: Session) -> bool:
    return any(session.calls.values())


def _held(stage: Bench, what: str, code: str, begun: Callable[[Session], bool]) -> Result:
    """From the commit that sets a switch for the workspace until nothing of the run runs."""
    taken = []
    for _ in range(ROUNDS):
        worker = Worker(stage, stage.session(stage.start()), Model([code]))
        while not begun(worker.session):
            time.sleep(0.005)
        switch = _stop(stage)
        began = time.perf_counter()
        worker.thread.join(timeout=30)
        taken.append((worker.ended[0] - began) * 1_000)
        _lift(stage, switch)
    return Result(f"kill switch: takes hold {what}", max(taken), "ms", 1_000.0, "lower")


def _stop(stage: Bench) -> KillSwitch:
    made = kill_set(
        workspace_id=stage.workspace_id,
        scope=KillScope.WORKSPACE,
        reason="bench",
        actor=stage.cast.actor("alice"),
    )
    assert isinstance(made, KillSwitch)
    return made


def _lift(stage: Bench, switch: KillSwitch) -> None:
    said: dict[str, Any] = {"workspace_id": stage.workspace_id, "switch_id": switch.id}
    for name in ("ada", "carol"):
        kill_lift(**said, reason="bench", actor=stage.cast.actor(name))
    # Its run would go on for ever.
    with in_workspace(stage.workspace_id):
        Run.objects.filter(stopped_by=switch).update(wake_at="2100-01-01T00:00Z")


def _looking(stage: Bench) -> Result:
    session, taken = stage.session(stage.start()), []
    for _ in range(200):
        began = time.perf_counter()
        switches.in_force(session.run, tool="pay")
        taken.append((time.perf_counter() - began) * 1_000)
    return Result(
        "kill switch: looking for one at a call", statistics.median(taken), "ms", None, "lower"
    )
