"""The database goes away under a worker: for ten seconds, for a moment, or by its connections.

No process is started again here: worker and scheduler must find their way back by themselves. The
server is this file's own, since other tests would notice.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from django.db import connections
from pytest_django.plugin import DjangoDbBlocker

from agents.models import Run, RunState
from tests.e2e.ledger import AFTER, BEFORE, entered, hold, is_held, let_go
from tests.e2e.workers import Site, site, task, turns, until
from tests.harness.server import Server, pointed_at
from tests.harness.settings import SESSION_FOLDER

AWAY_S = 10.0
"""How long the database is away, counted from when nobody can reach it any more."""

COMPUTE = "total = 0\nfor i in range(30_000_000):\n    total += i\n"
SLOW = {"fault": {"kind": "pings", "seconds": 5}}

TASKS = [
    task(
        "sums", "x = enter(text='sums-1')", COMPUTE + "y = enter(text='sums-2')", "final_answer(y)"
    ),
    task("acts", "x = enter(text='acts')\ny = enter(text='acts-more')", "final_answer(y)"),
    task("repeats", "x = enter_once(text='repeats')", "final_answer(x)"),
    task("parks", "x = pay(account='DE01', amount_cents=5)", "final_answer(x)"),
    {
        "name": "asks",
        "when": {"task": "asks"},
        "turns": [{**turn, **SLOW} for turn in turns("x = enter(text='asks')", "final_answer(x)")],
    },
    task("blinks", "x = enter(text='blinks')\ny = enter(text='blinks-more')", "final_answer(y)"),
    task("drops", "x = enter(text='drops')\ny = enter(text='drops-more')", "final_answer(y)"),
]
AWAY = ["sums", "acts", "repeats", "parks", "asks"]
ALL = [*AWAY, "blinks", "drops"]


@dataclass
class Story:
    site: Site
    server: Server
    runs: dict[str, Run] = field(default_factory=dict)

    def start(self, *goals: str) -> None:
        for goal in goals:
            self.runs[goal] = self.site.run(goal)

    def held(self, moment: str, text: str) -> None:
        until(lambda: is_held(self.site.folder, moment, text), f"{text} is held")

    def let_go(self, moment: str, *texts: str) -> None:
        for text in texts:
            let_go(self.site.folder, moment, text)

    def restart(self, away_s: float = 0.0, *acting: str) -> None:
        """Stop the server and start it again; the held tools return meanwhile."""
        connections.close_all()
        self.server.cluster.stop()
        self.let_go(AFTER, *acting)
        time.sleep(away_s)
        self.server.cluster.start()

    def finish(self, *goals: str) -> None:
        for goal in goals:
            self.site.wait(self.runs[goal], RunState.SUCCEEDED, RunState.FAILED)


@pytest.fixture(scope="module")
def story(
    django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    # Where the database's own user can reach it.
    server = Server(SESSION_FOLDER / "away")
    (SESSION_FOLDER / "away").mkdir(mode=0o711)
    try:
        with django_db_blocker.unblock():
            server.start()
            clone = server.clone()
            folder = tmp_path_factory.mktemp("away")
            with pointed_at(clone), site(clone, folder, TASKS) as here:
                told = Story(here, server)
                _play(told)
                yield told
    finally:
        server.stop()


def _play(story: Story) -> None:
    here = story.site
    worker, scheduler = here.worker(), here.scheduler()
    here.ready(worker)
    for name in ("acts", "repeats"):
        hold(here.folder, AFTER, name)
    story.start("parks")
    here.wait(story.runs["parks"], RunState.AWAITING_APPROVAL)
    story.start("acts", "repeats", "asks", "sums")
    for name in ("acts", "repeats"):
        story.held(AFTER, name)
    until(lambda: "sums-1" in entered(here.folder), "the first step of sums is done")
    story.restart(AWAY_S, "acts", "repeats")
    here.sign(story.runs["parks"], "bob", "beth")
    story.finish(*AWAY)

    hold(here.folder, AFTER, "blinks")
    story.start("blinks")
    story.held(AFTER, "blinks")
    story.restart(0, "blinks")
    story.finish("blinks")

    hold(here.folder, BEFORE, "drops")
    story.start("drops")
    story.held(BEFORE, "drops")
    with story.server.admin.connect("postgres") as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            [here.clone.name],
        )
    connections.close_all()
    story.let_go(BEFORE, "drops")
    story.finish("drops")
    assert worker.process.poll() is None
    assert scheduler.process.poll() is None


@pytest.mark.parametrize("name", ALL)
def test_every_run_goes_on_when_the_database_is_back(story: Story, name: str) -> None:
    run = story.site.fresh(story.runs[name])
    assert (run.state, run.reason) == (RunState.SUCCEEDED, "")


def test_nothing_is_lost_and_nothing_happens_twice(story: Story) -> None:
    assert sorted(entered(story.site.folder)) == sorted(
        [
            *("sums-1", "sums-2", "acts", "acts-more", "repeats", "asks", "pay-DE01-5"),
            *("blinks", "blinks-more", "drops", "drops-more"),
        ]
    )


@pytest.mark.parametrize("name", ["acts", "blinks", "drops"])
def test_an_outcome_that_could_not_be_written_at_once_is_written_later(
    story: Story, name: str
) -> None:
    """The worker knows what happened: nobody has to be asked."""
    actions = story.site.actions(story.runs[name])
    assert "call.unknown" not in actions
    assert actions.count("call.succeeded") == 2
