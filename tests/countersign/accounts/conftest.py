"""The cast in a database that is rolled back."""

import pytest

from tests.countersign.accounts.cast import Cast, make_cast
from tests.harness.server import Clone


@pytest.fixture
def cast(database: Clone) -> Cast:
    return make_cast()
