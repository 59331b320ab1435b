"""What it costs to go on: after parking, from the journal, and after a worker was killed."""

import gc
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from agents import loop
from agents.models import Run, RunState, Step
from agents.replay import restoring
from agents.sandbox.contract import CallHandler, StepResult
from agents.session import Session
from audit.transactions import in_workspace
from policies.models import ApprovalRequest
from tests.agents.runs.stage import Stage
from tests.benchmarks.bench_run import READ, Bench, Model, bench, programs
from tests.benchmarks.result import Result
from tests.e2e.ledger import entered
from tests.e2e.workers import Site, jails, site, task, until
from tests.harness.server import pointed_at

PAY = "paid = pay(account='DE01', amount_cents={n})\nprint(paid['id'])"
PARKED = 20
ENDLESS = "enter_once(text='before')\nfor i in range(10**12): pass"


def run() -> list[Result]:
    with bench() as stage:
        return [_parked(stage), _parked_memory(stage), *_replays(stage), *_killed(stage)]


def _parked(stage: Bench) -> Result:
    """From the claim to the first instruction of the signed program, with nine steps before it."""
    taken = []
    for _ in range(5):
        told = [*programs(READ, 10)[:-1], PAY.format(n=5), "final_answer({'done': 1})"]
        run, model = stage.start(), Model(told)
        loop.advance(stage.session(run), model)
        _sign(stage, run)
        began = time.perf_counter()
        session = stage.session(run)
        first = _FirstCall(began)
        first.watch(session)
        loop.advance(session, model)
        taken.append(first.after_ms)
        stage.ended(run)
    return Result(
        "resume: after parking, from claim to next instruction",
        statistics.median(taken),
        "ms",
        None,
        "lower",
    )


def _parked_memory(stage: Bench) -> Result:
    """What a worker's process keeps of a run that waits for people; it should be nothing.

    Sessions, steps, calls, jails and whatever else of the room is still alive after the collector
    has run. Sealing keys stay in a cache of bounded size.
    """

    def park() -> None:
        run, model = stage.start(), Model([READ.format(n=0), PAY.format(n=5)])
        loop.advance(stage.session(run), model)

    def kept() -> int:
        gc.collect()
        return sum(str(type(one).__module__).startswith("agents.") for one in gc.get_objects())

    for _ in range(3):
        park()
    before = kept()
    for _ in range(PARKED):
        park()
    return Result(
        "resume: objects a worker keeps of a parked run",
        max(0, kept() - before) / PARKED,
        "objects",
        0.0,
        "lower",
    )


class _FirstCall:
    """Notes when a session sends the program of the resumed step into its jail."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.after_ms = 0.0

    def watch(self, session: Session) -> None:
        execute, last = session.execute, session.steps[-1].number

        def noted(step: Step, handler: CallHandler) -> StepResult:
            if step.number == last and not self.after_ms:
                self.after_ms = (time.perf_counter() - self.began) * 1_000
            return execute(step, handler)

        session.execute = noted  # type: ignore[method-assign]


def _sign(stage: Bench, run: Run) -> None:
    with in_workspace(stage.workspace_id):
        assert ApprovalRequest.objects.filter(run_id=run.id).count() == 1
    for name in ("bob", "beth"):
        assert Stage(stage.cast).vote(run, name).refusal is None


def _replays(stage: Bench) -> list[Result]:
    """Restore, as a worker does it before it goes on: rows read, jail started, programs run."""
    results = []
    for steps in (20, 200):
        run, model = stage.start(), Model([*programs(READ, steps + 1)[:-1], "1 / 0"])
        session = stage.session(run)
        for _ in range(steps):
            loop.turn(session, model)
        session.drop_jail()
        taken = []
        for _ in range(5):
            began = time.perf_counter()
            restoring.restore(session, before=steps + 1)
            taken.append((time.perf_counter() - began) * 1_000)
        session.drop_jail()
        results.append(
            Result(
                f"resume: replay of {steps} steps with a call each",
                statistics.median(taken),
                "ms",
                None,
                "lower",
            )
        )
    return results


def _killed(stage: Bench) -> list[Result]:
    """A worker is killed while a program computes; another one is there."""
    clone = stage.server.clone()
    with TemporaryDirectory() as folder, pointed_at(clone):
        tasks = [task("endless", ENDLESS)]
        with site(clone, Path(folder), tasks) as here:
            return _killed_at(here)


def _killed_at(here: Site) -> list[Result]:
    victim, _ = here.worker(), here.scheduler()
    here.ready(victim)
    run = here.run("endless")
    until(lambda: entered(here.folder), "the program runs")
    heir, mark = here.worker(), victim.mark
    here.ready(heir)
    began = time.perf_counter()
    victim.kill()
    until(lambda: not jails(mark), "the jails are gone")
    jails_s = time.perf_counter() - began
    until(lambda: len(here.claims(run)) == 2, "another worker takes the run")
    taken_s = time.perf_counter() - began
    assert here.fresh(run).state == RunState.RUNNING
    here.cancel(run)
    return [
        Result("resume: jails of a killed worker are gone", jails_s, "s", 2.0, "lower"),
        Result("resume: a killed worker's run goes on", taken_s, "s", 20.0, "lower"),
    ]
