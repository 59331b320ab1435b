"""Processes are killed at each of their commits in turn, before it and after it: none is left out.

One run of six steps with reads (one of them confidential, so with an intent of its own), writes
that the policy allows, a plan of ten effects, idempotent ones and others, and a second plan that
waits for its signatures. Whoever commits anything about it dies there: the worker, the door that
starts it, those through which it is signed, and the one through which a doubt is settled.
"""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import count, islice
from pathlib import Path

import pytest
from django.db import connections
from pytest_django.plugin import DjangoDbBlocker

from agents.models import RunState
from countersign.embedded.cluster import Cluster
from tests.benchmarks.result import Result
from tests.e2e.ledger import entered
from tests.e2e.workers import site, task, until
from tests.harness.server import Clone, Server, pointed_at, with_own_heads
from tests.harness.settings import SESSION_FOLDER
from tests.soak.killing import STEPS, Death, House, Played, house

RESTARTED_EVERY = 5
"""At each how many-th place the database is restarted; it takes seconds."""
QUEUE_RUNS = 8
QUEUE_PAUSE_S = 0.4


def survived(here: House, deaths: Iterable[Death]) -> list[Played]:
    """Play a run for each death until there is none left to die; all must come out the same."""
    found = []
    for death in deaths:
        played = here.play(death)
        assert played.is_right(), (death, played)
        if not played.struck:
            break
        found.append(played)
    return found


def everywhere() -> Iterator[Death]:
    """Each commit in turn, for as long as there are commits: before it and after it."""
    return (Death(at, after) for at in count(1) for after in (False, True))


def results(what: str, played: list[Played]) -> list[Result]:
    effects = sum(len(each.effects) for each in played)
    return [
        Result(f"soak: {what}: places tried", len(played), "places", None, "higher"),
        Result(f"soak: {what}: effects executed", effects, "effects", None, "higher"),
        Result(f"soak: {what}: made twice", sum(p.twice for p in played), "effects", 0, "lower"),
        Result(f"soak: {what}: lost", sum(p.lost for p in played), "effects", 0, "lower"),
        Result(
            f"soak: {what}: in doubt, shown to a person",
            sum(p.doubts for p in played),
            "effects",
            None,
            "lower",
        ),
    ]


def middle_of_the_plan(who: list[str]) -> int:
    """A commit of the worker that applies the plan, amid its effects."""
    signed = who.index("vote")
    resumed = who.index("work", signed)
    return (resumed + who.index("vote", resumed)) // 2 + 1


def test_a_worker_killed_amid_a_plan_is_followed_by_another(
    committing_database: Clone, tmp_path: Path
) -> None:
    with house(committing_database, tmp_path) as here:
        uninterrupted = here.play(Death())
        assert uninterrupted.is_right(), uninterrupted
        assert uninterrupted.doubts == 0
        at = middle_of_the_plan(uninterrupted.who)
        deaths = [Death(at, after=False), Death(at + 1, after=True)]
        played = survived(here, deaths)
        assert [each.struck for each in played] == ["work"] * len(deaths)


@pytest.mark.soak
def test_killed_at_every_commit_of_everybody(
    committing_database: Clone, tmp_path: Path, measured: list[Result]
) -> None:
    with house(committing_database, tmp_path) as here:
        played = survived(here, everywhere())
    struck = Counter(each.struck for each in played)
    assert set(struck) == {"start", "work", "vote"}
    assert sum(each.doubts for each in played) > 0
    measured += results("killed -9", played)


@pytest.mark.soak
def test_whoever_settles_a_doubt_is_killed_too(
    committing_database: Clone, tmp_path: Path, measured: list[Result]
) -> None:
    """The first death leaves a doubt; the second comes at the commit that settles it."""
    with house(committing_database, tmp_path) as here:
        amid = middle_of_the_plan(here.play(Death()).who)
        doubtful = next(
            death for at in count(amid) if here.play(death := Death(at, after=True)).doubts
        )
        played = [
            here.play(Death(doubtful.at, doubtful.after, then=Death(1, after, who="settle")))
            for after in (False, True)
        ]
    assert all(each.is_right() and each.struck == "settle" for each in played), played
    measured += results("killed -9 settling", played)


@pytest.fixture
def durable(django_db_blocker: DjangoDbBlocker) -> Iterator[tuple[Server, Clone]]:
    """A server of this test's own, whose commits are on disk as in service."""
    folder = SESSION_FOLDER / "durable"
    folder.mkdir(mode=0o711)
    server = Server(folder)
    location, log = server.cluster.location, server.cluster.log
    server.cluster = Cluster(location, log, throw_away=False)
    try:
        with django_db_blocker.unblock():
            server.start()
            clone = server.clone()
            with pointed_at(clone), with_own_heads(clone):
                yield server, clone
    finally:
        server.stop()


@pytest.mark.soak
def test_the_database_crashes_at_commits_of_everybody(
    durable: tuple[Server, Clone], tmp_path: Path, measured: list[Result]
) -> None:
    server, clone = durable

    def crash() -> None:
        """Immediate shutdown: PostgreSQL drops everything and recovers from its log."""
        connections.close_all()
        pid = server.cluster.running()
        assert pid is not None
        os.kill(pid, signal.SIGQUIT)
        until(lambda: server.cluster.running() is None, "the database has crashed")
        server.cluster.start()

    with house(clone, tmp_path) as here:
        deaths = (Death(each.at, each.after, meanwhile=crash) for each in everywhere())
        played = survived(here, islice(deaths, 0, None, RESTARTED_EVERY))
    measured += results("database crashed", played)


@pytest.mark.soak
def test_the_queue_of_a_real_worker_is_cut_again_and_again(
    database_server: Server, committing_database: Clone, tmp_path: Path, measured: list[Result]
) -> None:
    """Messages are lost with the connection; the sweep finds every run all the same."""
    goals = [f"week {number}" for number in range(QUEUE_RUNS)]
    tasks = [
        task(goal, "x = enter(text='" + goal + "')", *STEPS[:1], "final_answer(x)")
        for goal in goals
    ]
    with site(committing_database, tmp_path, tasks) as here:
        worker, scheduler = here.worker(), here.scheduler()
        here.ready(worker)
        runs = [here.run(goal) for goal in goals]
        cut = 0
        deadline = time.monotonic() + 90
        while any(here.fresh(run).ended is None for run in runs):
            assert time.monotonic() < deadline, "the runs do not come to an end"
            cut += _cut_queue(database_server, committing_database)
            time.sleep(QUEUE_PAUSE_S)
        assert [here.fresh(run).state for run in runs] == [RunState.SUCCEEDED] * QUEUE_RUNS
        assert sorted(entered(tmp_path)) == sorted(goals)
        assert cut > 0
        assert worker.process.poll() is None
        assert scheduler.process.poll() is None
    measured.append(Result("soak: queue connections cut", cut, "connections", None, "higher"))


def _cut_queue(server: Server, clone: Clone) -> int:
    """End the connections over which messages come and go, and only those."""
    with server.admin.connect("postgres") as connection:
        found = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = %s AND query ILIKE '%%pgmq%%'",
            [clone.name],
        )
        return len(found.fetchall())
