from collections.abc import Iterator

import pytest
from pytest_django import Settings
from pytest_django.plugin import DjangoDbBlocker

from tests.agents.runs.stage import Stage, make_stage
from tests.countersign.accounts.cast import cast_on_stage, make_cast
from tests.harness.server import Clone, Server

MODULES = ["tests.agents.runs.tools"]


@pytest.fixture
def stage(
    database_server: Server, django_db_blocker: DjangoDbBlocker, settings: Settings
) -> Iterator[Stage]:
    """A stage whose changes are rolled back."""
    settings.COUNTERSIGN_TOOL_MODULES = MODULES
    with cast_on_stage(database_server, django_db_blocker) as cast:
        yield make_stage(cast)


@pytest.fixture
def committing_stage(committing_database: Clone, settings: Settings) -> Stage:
    """A stage in a database of its own, with real commits."""
    settings.COUNTERSIGN_TOOL_MODULES = MODULES
    return make_stage(make_cast())
