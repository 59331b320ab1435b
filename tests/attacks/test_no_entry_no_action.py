"""Acting without a trace: the log cannot be written, or there is no jail to run in."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from django.db import ProgrammingError
from pytest_django import Settings

from agents.llm.chat import ChatReply, ChatRequest, Delta
from agents.models import RunState
from agents.sandbox.errors import SandboxUnavailable
from agents.worker import jails
from tests.agents.runs.stage import Replies, Stage, make_stage, program
from tests.agents.runs.tools import bank
from tests.countersign.accounts.cast import make_cast
from tests.harness.server import Clone, Server

# Of tier 0: the policy allows it without a signature.
WRITE = program("note_down(text='paid')\nfinal_answer({'done': 'noted'})")


@pytest.fixture
def stage(committing_database: Clone, settings: Settings) -> Stage:
    settings.COUNTERSIGN_TOOL_MODULES = ["tests.agents.runs.tools"]
    return make_stage(make_cast())


@contextmanager
def unwritable_log(server: Server, clone: Clone) -> Iterator[None]:
    """The application may no longer add entries; everything else works."""
    with server.admin.connect(clone.name) as administrator:
        administrator.execute("REVOKE INSERT ON audit_entry FROM countersign_app")
        try:
            yield
        finally:
            administrator.execute("GRANT INSERT ON audit_entry TO countersign_app")


def test_without_its_entry_nothing_happens(
    stage: Stage, database_server: Server, committing_database: Clone
) -> None:
    run = stage.start(WRITE)
    with unwritable_log(database_server, committing_database):
        with pytest.raises(ProgrammingError, match="permission denied"):
            stage.play(run)
        with pytest.raises(ProgrammingError, match="permission denied"):
            stage.start(WRITE)
        assert bank.effects == []
        assert (stage.fresh(run).state, stage.steps(run)) == (RunState.QUEUED, [])
    stage.model.replies = [WRITE]
    assert stage.play(run).state == RunState.SUCCEEDED
    assert len(bank.effects) == 1


class LogLost(Replies):
    """A model during whose answer the log becomes unwritable."""

    def __init__(self, gone: AbstractContextManager[None]) -> None:
        super().__init__([WRITE])
        self.gone = gone

    def complete(
        self, request: ChatRequest, on_delta: Callable[[Delta], None] | None = None
    ) -> ChatReply:
        self.gone.__enter__()
        return super().complete(request, on_delta)


def test_a_program_does_not_run_when_its_decision_cannot_be_logged(
    stage: Stage, database_server: Server, committing_database: Clone
) -> None:
    run = stage.start()
    gone = unwritable_log(database_server, committing_database)
    stage.model = LogLost(gone)
    with pytest.raises(ProgrammingError, match="permission denied"):
        stage.play(run)
    gone.__exit__(None, None, None)
    assert (bank.effects, stage.steps(run)) == ([], [])


def test_without_a_jail_nothing_runs(stage: Stage) -> None:
    run = stage.start(WRITE)
    pool = jails._pool()
    pool.reconfigure(replace(jails._config(), nsjail=Path("/nonexistent/nsjail")))
    try:
        with pytest.raises(SandboxUnavailable):
            stage.play(run)
    finally:
        pool.reconfigure(jails._config())
    assert bank.effects == []
