from collections.abc import Iterator

import pytest
from pytest_django import Settings
from pytest_django.plugin import DjangoDbBlocker

from agents.models import Run
from policies.models import ApprovalRequest
from tests.agents.runs.stage import Stage, make_stage, program
from tests.countersign.accounts.cast import cast_on_stage, make_cast
from tests.countersign.api.caller import Caller, caller_in
from tests.harness.server import Clone, Server

PAY = program(
    "for vendor in list_vendors():\n"
    "    pay(account=vendor['account'], amount_cents=2000000)\n"
    "final_answer({'done': 'paid'})"
)


@pytest.fixture
def stage(
    database_server: Server, django_db_blocker: DjangoDbBlocker, settings: Settings
) -> Iterator[Stage]:
    settings.COUNTERSIGN_TOOL_MODULES = ["tests.agents.runs.tools"]
    with cast_on_stage(database_server, django_db_blocker) as cast:
        yield make_stage(cast)


@pytest.fixture
def committing_stage(committing_database: Clone, settings: Settings) -> Stage:
    settings.COUNTERSIGN_TOOL_MODULES = ["tests.agents.runs.tools"]
    return make_stage(make_cast())


@pytest.fixture
def billing(stage: Stage) -> Caller:
    """A program of Acme's with every scope."""
    return caller_in(stage.cast.acme)


@pytest.fixture
def stranger(stage: Stage) -> Caller:
    """A program of another workspace with every scope."""
    return caller_in(stage.cast.other)


@pytest.fixture
def queued(stage: Stage) -> Run:
    """A run of Alice's that no worker has taken yet."""
    return stage.start()


@pytest.fixture
def waiting(stage: Stage) -> Run:
    """A run of Alice's that waits for signatures."""
    run = stage.play(stage.start(PAY))
    assert run.state == "awaiting_approval"
    return run


@pytest.fixture
def request_of(stage: Stage, waiting: Run) -> ApprovalRequest:
    return stage.request(waiting)
