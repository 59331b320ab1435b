"""A plot that an agent draws is a picture of its run, where the data runtime is built."""

import pytest

from agents import selectors, services
from agents.files.artifacts import Upload
from agents.models import RunState
from agents.replay import restoring
from agents.sandbox import config
from agents.sandbox.errors import SandboxError
from agents.sandbox.runtime import named_runtime
from agents.session import open_session
from agents.worker import leases
from tests.agents.runs.stage import Replies, Stage, program, register_signed

ANALYST = """
agents:
  Analyst:
    instructions: Draw.
    goal: Draw the totals.
    model: scripted
    runtime: data
    imports: [pandas, matplotlib]
    limits: {step_wall_s: 60, step_cpu_s: 50, memory_mb: 1500, disk_mb: 64}
"""
DRAW = program(
    "import pandas as pd\n"
    "import matplotlib.pyplot as plt\n"
    "totals = pd.read_csv('in/week.csv').groupby('vendor')['cents'].sum()\n"
    "figure, axes = plt.subplots()\n"
    "axes.bar(list(totals.index), list(totals))\n"
    "figure.savefig('out/totals.png')\n"
    "print(totals.to_dict())"
)


@pytest.fixture
def analyst(stage: Stage) -> Stage:
    try:
        named_runtime("data", config.default().home)
    except SandboxError:
        pytest.skip("the runtime data is not built: manage.py runtime_build data")
    register_signed(stage.cast, ANALYST)
    return stage


def test_a_plot_is_a_picture_of_the_run_and_the_same_at_replay(analyst: Stage) -> None:
    analyst.model = Replies([DRAW, program("final_answer({'artifact': 'totals.png'})")])
    run = services.run_start(
        workspace_id=analyst.workspace_id,
        agent="Analyst",
        requester=analyst.cast.actor("alice"),
        files=[Upload("week.csv", b"vendor,cents\nV-1,100\nV-2,250\nV-1,5\n")],
        file_labels=["confidential"],
    ).run
    run = analyst.play(run)
    steps = [(step.status, step.observation) for step in analyst.steps(run)]
    assert (run.state, run.reason) == (RunState.SUCCEEDED, ""), steps
    _, plot = selectors.artifacts(analyst.workspace_id, run.id)
    assert (plot.name, plot.media_type, plot.is_image) == ("totals.png", "image/png", True)
    assert run.answer["sha256"] == plot.sha256
    reader = leases.Lease(analyst.workspace_id, run.id, run.epoch, "an auditor")
    session = open_session(reader)
    restoring.restore(session, before=3)
    session.drop_jail()
