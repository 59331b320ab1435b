"""The log's tests: a small history to work on, as the roles of production."""

from pathlib import Path
from uuid import UUID, uuid4

import pytest
from django.conf import LazySettings

from tests.audit.history import History
from tests.harness.server import Clone


@pytest.fixture
def home(tmp_path: Path, settings: LazySettings) -> Path:
    """A COUNTERSIGN_HOME of the test's own: keys, heads and exports start empty."""
    settings.COUNTERSIGN_HOME = tmp_path / "home"
    return tmp_path / "home"


@pytest.fixture
def workspace() -> UUID:
    return uuid4()


@pytest.fixture
def history(committing_database: Clone, home: Path, workspace: UUID) -> History:
    """An empty log of one workspace with its sequencer, committing for real."""
    return History(workspace)
