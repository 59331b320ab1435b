"""Attacks on runs stand on the stage that the tests of runs use."""

from collections.abc import Iterator

import pytest
from pytest_django import Settings
from pytest_django.plugin import DjangoDbBlocker

from tests.agents.runs.conftest import committing_stage, stage
from tests.attacks.obedient import Office, opened
from tests.harness.server import Server

__all__ = ["committing_stage", "office", "stage"]


@pytest.fixture
def office(
    database_server: Server, django_db_blocker: DjangoDbBlocker, settings: Settings
) -> Iterator[Office]:
    """Runs of a model that obeys outsiders; its changes are rolled back."""
    with opened(database_server, django_db_blocker, settings) as found:
        yield found
