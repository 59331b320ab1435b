import pytest
from pytest_django import Settings

from tests.agents.runs.stage import Stage, make_stage
from tests.harness.server import Clone


@pytest.fixture
def stage(database: Clone, settings: Settings) -> Stage:
    """A stage whose changes are rolled back."""
    settings.COUNTERSIGN_TOOL_MODULES = ["tests.agents.runs.tools"]
    return make_stage()
