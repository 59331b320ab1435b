"""The cast in a database that is rolled back."""

from collections.abc import Iterator

import pytest
from pytest_django.plugin import DjangoDbBlocker

from tests.countersign.accounts.cast import Cast, cast_on_stage
from tests.harness.server import Server


@pytest.fixture
def cast(database_server: Server, django_db_blocker: DjangoDbBlocker) -> Iterator[Cast]:
    with cast_on_stage(database_server, django_db_blocker) as cast:
        yield cast
