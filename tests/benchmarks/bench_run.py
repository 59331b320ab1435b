"""What a governed run costs, all in: model reply, facts, decisions, jail, journal, log.

The worker's own code drives the run in this process, on a server and a clone of its own; the
scripted model answers without a socket. The jail and the database are real.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.db import connections
from psycopg import sql

from agents import loop, services
from agents.llm.chat import ChatReply, ChatRequest, Delta
from agents.models import Run, RunState
from agents.registry import register
from agents.session import Session, open_session
from agents.worker import leases
from audit.services import Actor
from audit.transactions import in_workspace
from tests.agents.runs.stage import REGISTER, program, said
from tests.benchmarks.result import Result
from tests.countersign.accounts.cast import Cast, make_cast
from tests.harness.server import Server, pointed_at
from tests.harness.settings import SESSION_FOLDER

STEPS = 20
READ = "vendors = list_vendors()\nprint(len(vendors), {n})"
WRITE = "noted = note_down(text='{n}')\nprint(noted)"
COMPUTE = "total = sum(range({n}, {n} + 1000))\nprint(total)"
DONE = "final_answer({{'done': {n}}})"
AT_ONCE_S = 8.0
"""How long each number of concurrent runs is watched, in wall-clock seconds."""


class Model:
    """Answers the n-th question of a run with its n-th program, whoever asks."""

    def __init__(self, programs: list[str]) -> None:
        self.programs = programs

    def complete(
        self, request: ChatRequest, on_delta: Callable[[Delta], None] | None = None
    ) -> ChatReply:
        before = sum(1 for message in request.messages if message.role == "assistant")
        return said(program(self.programs[before]))


@dataclass
class Bench:
    """A workspace with an agent, in a database of its own."""

    cast: Cast
    server: Server

    @property
    def workspace_id(self) -> UUID:
        return self.cast.acme.id

    def start(self) -> Run:
        return services.run_start(
            workspace_id=self.workspace_id, agent="Teller", requester=self.cast.actor("alice")
        ).run

    def session(self, run: Run) -> Session:
        lease = leases.claim(workspace_id=self.workspace_id, run_id=run.id, owner="bench:0:0")
        assert lease is not None
        return open_session(lease)

    def play(self, programs: list[str]) -> tuple[Run, list[float]]:
        """Drive one run to its end; wall-clock milliseconds of every turn of the loop."""
        run, model = self.start(), Model(programs)
        session = self.session(run)
        turns = []
        try:
            while True:
                began = time.perf_counter()
                goes_on = loop.turn(session, model)
                turns.append((time.perf_counter() - began) * 1_000)
                if not goes_on:
                    break
        finally:
            session.drop_jail()
        return self.ended(run), turns

    def ended(self, run: Run) -> Run:
        with in_workspace(self.workspace_id):
            run = Run.objects.get(id=run.id)
        assert run.state == RunState.SUCCEEDED, (run.state, run.reason)
        return run


@contextmanager
def bench() -> Iterator[Bench]:
    """A server like an installation's own (commits reach the disk), with one agent."""
    server = Server(SESSION_FOLDER / "bench-run")
    (SESSION_FOLDER / "bench-run").mkdir(mode=0o711, exist_ok=True)
    modules = settings.COUNTERSIGN_TOOL_MODULES
    settings.COUNTERSIGN_TOOL_MODULES = ["tests.agents.runs.tools"]
    try:
        server.start()
        _make_durable(server)
        clone = server.clone()
        with pointed_at(clone):
            people = make_cast()
            text = REGISTER.replace("steps: 12", "steps: 400, calls: 2000")
            register(
                workspace_id=people.acme.id, text=text, actor=Actor("system", "bench", "bench")
            )
            yield Bench(people, server)
    finally:
        settings.COUNTERSIGN_TOOL_MODULES = modules
        server.stop()


def _make_durable(server: Server) -> None:
    """The harness's servers leave out what makes a commit cost something; put it back."""
    with server.admin.connect("postgres") as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(sql.SQL("ALTER SYSTEM SET {} = on").format(sql.Identifier(setting)))
        connection.execute("SELECT pg_reload_conf()")


@dataclass
class Counted:
    """What this thread asks of the database."""

    statements: int = 0
    transactions: int = 0
    commits: int = 0
    wrote: bool = False

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.statements += 1
        reads = sql.lstrip().startswith("SELECT")
        self.wrote |= not reads or "FOR UPDATE" in sql or "audit_append" in sql
        return execute(sql, params, many, context)


@contextmanager
def counted() -> Iterator[Counted]:
    """Count until the block ends; a commit is a transaction that wrote or locked something."""
    found, connection = Counted(), cast(Any, connections["default"])
    original = connection._commit

    def commit() -> Any:
        found.transactions += 1
        found.commits += found.wrote
        found.wrote = False
        return original()

    connection._commit = commit
    try:
        with connection.execute_wrapper(found):
            yield found
    finally:
        connection._commit = original


def programs(body: str, steps: int = STEPS) -> list[str]:
    return [*(body.format(n=n) for n in range(steps - 1)), DONE.format(n=steps)]


def run() -> list[Result]:
    with bench() as stage:
        stage.play(programs(READ, 3))
        return [*_steps(stage), *_commits(stage), *_at_once(stage)]


def _steps(stage: Bench) -> list[Result]:
    results = []
    for name, body in (("reading", READ), ("computing", COMPUTE), ("writing", WRITE)):
        taken: list[float] = []
        for _ in range(3):
            _, turns = stage.play(programs(body))
            taken += turns[:-1]
        goal = 15.0 if name != "writing" else None
        results.append(
            Result(
                f"run: one step of a 20-step run, {name}",
                statistics.median(taken),
                "ms",
                goal,
                "lower",
            )
        )
    return results


def _commits(stage: Bench) -> list[Result]:
    def per_step(body: str) -> tuple[float, float, float]:
        with counted() as short:
            stage.play(programs(body, 5))
        with counted() as long:
            stage.play(programs(body, 25))
        return (
            (long.commits - short.commits) / 20,
            (long.transactions - short.transactions) / 20,
            (long.statements - short.statements) / 20,
        )

    without, transactions, statements = per_step(READ)
    with_write = per_step(WRITE)[0]
    return [
        Result("run: commits of a step without writes", without, "commits", 3.0, "lower"),
        Result("run: commits that a write adds", with_write - without, "commits", 2.0, "lower"),
        Result(
            "run: transactions of a step, with those that only look",
            transactions,
            "transactions",
            None,
            "lower",
        ),
        Result("run: statements of a step without writes", statements, "statements", None, "lower"),
    ]


def _at_once(stage: Bench) -> list[Result]:
    """Runs of ten steps, so many at a time, on the threads of one worker process."""
    results = []
    for workers in (1, 4, 16):
        until = time.perf_counter() + AT_ONCE_S

        def work(_: int, until: float = until) -> int:
            done = 0
            try:
                while time.perf_counter() < until:
                    stage.play(programs(READ, 10))
                    done += 1
            finally:
                connections.close_all()
            return done

        began = time.perf_counter()
        with ThreadPoolExecutor(workers) as pool:
            done = sum(pool.map(work, range(workers)))
        minutes = (time.perf_counter() - began) / 60
        results.append(
            Result(
                f"run: ten-step runs, {workers} at a time",
                done / minutes,
                "per minute",
                None,
                "higher",
            )
        )
    return results
