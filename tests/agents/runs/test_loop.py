"""A run from start to end: what each kind of reply leads to."""

from agents.models import RunState
from tests.agents.runs.stage import Stage, program


def test_a_read_and_an_answer(stage: Stage) -> None:
    run = stage.start(
        program("vendors = list_vendors()\nprint(len(vendors), 'vendors')"),
        program("final_answer({'done': [v['name'] for v in vendors]})"),
    )
    run = stage.play(run)
    assert (run.state, run.reason) == (RunState.SUCCEEDED, "")
    assert run.answer == {"done": ["Kessler", "Norr"]}
    assert run.steps_taken == 2
    assert "2 vendors" in stage.steps(run)[0].observation
