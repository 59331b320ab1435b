"""A worker dies, or is thought dead, or must stop: what then happens to its runs.

One story on one site, since starting processes and waiting for leases to lapse takes its time:

1. The sleeper takes a run and is paused in the middle of an effect.
2. The victim takes runs and is killed while a program computes, before and after effects, and
   while a run is parked.
3. The heir, started then, goes on with all of them.
4. The sleeper wakes up and finds that its run is not its own any more.
5. The heir's runs are stopped while a program computes, a tool acts and the model is asked.

The tests say what must have come of it.
"""

import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from time import monotonic

import pytest
from pytest_django.plugin import DjangoDbBlocker

from agents.models import Run, RunState
from tests.e2e.ledger import AFTER, BEFORE, entered, hold, is_held, let_go
from tests.e2e.workers import Celery, Site, jails, site, task, turns, until
from tests.harness.server import Server, pointed_at

COMPUTE = (
    "rounds = int(look('rounds-{name}') or '1000000000')\n"
    "total = 0\n"
    "for i in range(rounds):\n"
    "    total += i\n"
)
PAY_TWO = "a = pay(account='DE01', amount_cents=100)\nb = pay(account='SE02', amount_cents=200)"

TASKS = [
    task(
        "count",
        "first = enter(text='count-1')",
        COMPUTE.format(name="count") + "second = enter(text=f'count-{total}')",
        "final_answer([first, second])",
    ),
    task(
        "once-before",
        "x = enter_once(text='once-before')\ny = enter(text='once-before-after')",
        "final_answer([x, y])",
    ),
    task("once-after", "x = enter_once(text='once-after')", "final_answer(x)"),
    task("doubt-yes", "x = enter(text='doubt-yes')", "final_answer(x)"),
    task("doubt-no", "x = enter(text='doubt-no')", "final_answer(x)"),
    task("parked", PAY_TWO, "final_answer([a, b])"),
    task(
        "sleeper",
        "x = enter_once(text='sleeper')\nenter(text='sleeper-after')",
        "final_answer(x)",
    ),
    task("halt-sum", COMPUTE.format(name="halt"), "enter(text='halted')"),
    task("halt-tool", "enter(text='halt-tool')\nenter(text='halted')", "enter(text='halted')"),
    {
        "name": "halt-model",
        "when": {"task": "halt-model"},
        "turns": [
            {**turn, "fault": {"kind": "pings", "seconds": 4}} for turn in turns("enter('halted')")
        ],
    },
]
HELD = {
    "once-before": BEFORE,
    "once-after": AFTER,
    "doubt-yes": AFTER,
    "doubt-no": BEFORE,
}
IN_USE_AND_SPARE = 3
"""Jails of a worker that has one run in hand: the pool keeps two ready."""


@dataclass
class Story:
    """What happened, as far as it cannot be read afterwards."""

    site: Site
    runs: dict[str, Run] = field(default_factory=dict)
    victim: int = 0
    victims_jails: list[int] = field(default_factory=list)
    jails_left_s: float = 0.0
    killed: datetime | None = None
    doubts: dict[str, Run] = field(default_factory=dict)
    stop_left_s: float = 0.0
    asked_when_stopped: int = 0

    @property
    def folder(self) -> Path:
        return self.site.folder

    def start(self, *goals: str) -> None:
        for goal in goals:
            self.runs[goal] = self.site.run(goal)

    def held(self, moment: str, text: str) -> None:
        until(lambda: is_held(self.folder, moment, text), f"{text} is held {moment} its effect")

    def looked(self, name: str) -> None:
        until((self.folder / f"looked-rounds-{name}").exists, f"{name} computes")

    def busiest_jail(self, worker: Celery) -> int:
        return max(jails(worker.mark), key=_children_ticks)


def _children_ticks(pid: int) -> int:
    """Processor time of the guest in an nsjail."""
    try:
        [child] = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return 0
    return int(fields[11]) + int(fields[12])


@pytest.fixture(scope="module")
def story(
    database_server: Server,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Story]:
    clone = database_server.clone()
    folder = tmp_path_factory.mktemp("killed")
    with (
        django_db_blocker.unblock(),
        pointed_at(clone),
        site(clone, folder, TASKS) as here,
    ):
        told = Story(here)
        _play(told)
        yield told
    database_server.drop(clone)


def _play(story: Story) -> None:
    here = story.site
    hold(story.folder, BEFORE, "sleeper")
    sleeper, _ = here.worker(), here.scheduler()
    story.start("sleeper")
    story.held(BEFORE, "sleeper")
    until(lambda: len(jails(sleeper.mark)) == IN_USE_AND_SPARE, "the pool is filled")
    sleeper.signal(signal.SIGSTOP)

    for name, moment in HELD.items():
        hold(story.folder, moment, name)
    victim = here.worker()
    story.start("count", *HELD, "parked")
    story.looked("count")
    for name, moment in HELD.items():
        story.held(moment, name)
    here.wait(story.runs["parked"], RunState.AWAITING_APPROVAL)
    _kill(story, victim)

    heir = here.worker()
    (story.folder / "shown-rounds-count").write_text("10")
    for name, moment in HELD.items():
        let_go(story.folder, moment, name)
    _inherit(story)
    let_go(story.folder, BEFORE, "sleeper")
    here.wait(story.runs["sleeper"], RunState.SUCCEEDED)
    sleeper.signal(signal.SIGCONT)
    until(lambda: len(jails(sleeper.mark)) < IN_USE_AND_SPARE, "the sleeper lets go of its run")
    sleeper.kill()
    _stop(story, heir)


def _kill(story: Story, victim: Celery) -> None:
    mark, story.victim = victim.mark, victim.pid
    story.victims_jails = jails(mark)
    story.killed = story.site.fresh(story.runs["count"]).lease_until
    victim.kill()
    began = monotonic()
    until(lambda: not jails(mark), "the jails of the dead worker are gone")
    story.jails_left_s = monotonic() - began


def _inherit(story: Story) -> None:
    """The heir takes everything up; people answer what it asks."""
    here = story.site
    here.sign(story.runs["parked"], "bob", "beth")
    for name in ("doubt-yes", "doubt-no"):
        story.doubts[name] = here.wait(story.runs[name], RunState.AWAITING_INPUT)
    here.settle(story.runs["doubt-yes"], happened=True, result="entered doubt-yes")
    here.settle(story.runs["doubt-no"], happened=False)
    for name in ("count", *HELD, "parked"):
        here.wait(story.runs[name], RunState.SUCCEEDED, RunState.FAILED)


def _stop(story: Story, heir: Celery) -> None:
    here = story.site
    hold(story.folder, BEFORE, "halt-tool")
    asked = here.model.requests
    story.start("halt-sum", "halt-tool", "halt-model")
    story.looked("halt")
    story.held(BEFORE, "halt-tool")
    until(lambda: here.model.requests >= asked + 3, "the model is asked")
    computing = story.busiest_jail(heir)
    for name in ("halt-sum", "halt-tool", "halt-model"):
        here.cancel(story.runs[name])
    began = monotonic()
    until(lambda: computing not in jails(heir.mark), "the stopped run's jail is gone")
    story.stop_left_s = monotonic() - began
    story.asked_when_stopped = here.model.requests
    let_go(story.folder, BEFORE, "halt-tool")
    until(
        lambda: "call.succeeded" in here.actions(story.runs["halt-tool"]),
        "the effect that could not be stopped is recorded",
    )


ALL = ["count", *HELD, "parked", "sleeper"]


@pytest.mark.parametrize("name", ALL)
def test_every_run_comes_to_its_end(story: Story, name: str) -> None:
    run = story.site.fresh(story.runs[name])
    assert (run.state, run.reason) == (RunState.SUCCEEDED, "")


def test_every_effect_happened_once(story: Story) -> None:
    effects = [text for text in entered(story.folder) if not text.startswith("halt")]
    assert sorted(effects) == sorted(
        [
            "count-1",
            "count-45",
            "once-before",
            "once-before-after",
            "once-after",
            "doubt-yes",
            "doubt-no",
            "pay-DE01-100",
            "pay-SE02-200",
            "sleeper",
            "sleeper-after",
        ]
    )


def test_no_step_is_lost_or_asked_for_again(story: Story) -> None:
    """The step that had been executed is restored, the one under way is run again."""
    run = story.site.fresh(story.runs["count"])
    assert run.answer == ["entered count-1", "entered count-45"]
    assert run.steps_taken == 3
    assert story.site.actions(run).count("step.proposed") == 3


@pytest.mark.parametrize("name", ["count", *HELD])
def test_another_worker_went_on(story: Story, name: str) -> None:
    before, after = [pid for pid, _ in story.site.claims(story.runs[name])][:2]
    assert before == story.victim
    assert after not in (story.victim, before)


def test_no_jail_outlives_its_worker(story: Story) -> None:
    assert story.victims_jails
    assert story.jails_left_s < 2


@pytest.mark.parametrize("name", ["doubt-yes", "doubt-no"])
def test_an_effect_that_may_have_happened_waits_for_a_person(story: Story, name: str) -> None:
    assert "enter" in story.doubts[name].reason
    actions = story.site.actions(story.runs[name])
    assert actions.index("call.unknown") < actions.index("call.resolved")


def test_an_effect_said_not_to_have_happened_is_made_then(story: Story) -> None:
    [call, *_] = story.site.calls(story.runs["doubt-no"])
    assert (call.state, call.result) == ("succeeded", "entered doubt-no")


def test_a_paused_worker_that_comes_back_changes_nothing(story: Story) -> None:
    run = story.runs["sleeper"]
    claims = [pid for pid, _ in story.site.claims(run)]
    assert len(set(claims)) == len(claims) >= 2
    ended = [call.state for call in story.site.calls(run)]
    assert ended == ["succeeded", "succeeded"]
    assert story.site.actions(run)[-2:] == ["run.ended", "sandbox.stopped"]


@pytest.mark.parametrize("name", ["halt-sum", "halt-tool", "halt-model"])
def test_a_stopped_run_never_goes_on(story: Story, name: str) -> None:
    run = story.runs[name]
    assert story.site.fresh(run).state == RunState.CANCELLED
    actions = story.site.actions(run)
    later = actions[actions.index("run.cancelled") + 1 :]
    assert later == (["call.succeeded"] if name == "halt-tool" else [])


def test_nothing_of_a_stopped_run_happened_but_what_was_under_way(story: Story) -> None:
    assert [text for text in entered(story.folder) if text.startswith("halt")] == ["halt-tool"]


def test_the_model_is_not_asked_on_behalf_of_a_stopped_run(story: Story) -> None:
    assert story.site.model.requests == story.asked_when_stopped
