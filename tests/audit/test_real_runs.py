"""What the platform really writes satisfies both verifiers: a countersigned run, exported."""

import pytest
from django.conf import LazySettings

from agents.models import RunState
from audit.export.scope import Kind, Scope
from audit.transactions import PLATFORM
from audit.verify import verify_log
from tests.agents.runs.stage import Stage, make_stage
from tests.agents.runs.test_countersign import ANSWER, PAY_TWO, sign
from tests.audit.history import History
from tests.countersign.accounts.cast import make_cast
from tests.harness.server import Clone

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def stage(committing_database: Clone, settings: LazySettings) -> Stage:
    settings.COUNTERSIGN_TOOL_MODULES = ["tests.agents.runs.tools"]
    return make_stage(make_cast())


def test_a_countersigned_run_verifies_whole_and_alone(stage: Stage) -> None:
    history = History(stage.workspace_id)
    run = stage.play(stage.start(PAY_TWO, ANSWER))
    history.sign()
    assert history.verify(history.export(Scope(Kind.RUN, run=run.id)), "--allow-open") == 0
    sign(stage, run)
    run = stage.play(run)
    assert run.state == RunState.SUCCEEDED
    history.sign()
    assert history.verify(history.export()) == 0
    assert history.verify(history.export(Scope(Kind.RUN, run=run.id))) == 0
    for tree in (stage.workspace_id, PLATFORM):
        assert verify_log(tree, open_payloads=True).clean
