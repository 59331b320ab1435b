"""A worker dies at any commit: no step is lost, no effect happens twice.

The harness ends the worker with an exception that nothing catches, right before or right after each
of its commits in turn, and lets another worker take the run over. What must come out is the same.
"""

import pytest

from agents import loop, services
from agents.models import CallState, Run, RunState
from agents.session import open_session
from agents.worker import leases
from audit.transactions import in_workspace
from tests.agents.runs.dying import Death, Died, dying
from tests.agents.runs.stage import Stage, program
from tests.agents.runs.tools import bank

STEPS = (
    program("vendors = list_vendors()\nprint(len(vendors))"),
    program("first = note_down(text='begin')\nsecond = note_down(text='middle')"),
    program(
        "made = [pay(account=v['account'], amount_cents=100)['id'] for v in vendors]\n"
        "said = send(recipient='a@b.example', text=f'made {made[0]}')"
    ),
    program("third = note_down(text=said)\nprint(made)"),
    program("final_answer({'done': made, 'notes': [first, second, third]})"),
)

EXPECTED = [
    ("note_down", {"text": "begin"}),
    ("note_down", {"text": "middle"}),
    ("pay", {"account": "DE01", "amount_cents": 100}),
    ("pay", {"account": "SE02", "amount_cents": 100}),
    ("send", {"recipient": "a@b.example", "text": "made P-3"}),
    ("note_down", {"text": "sent to a@b.example"}),
]


def play(stage: Stage, run: Run, death: Death, patch: pytest.MonkeyPatch) -> bool:
    """One worker's go at the run; True if it was killed."""
    with in_workspace(stage.workspace_id):
        # The dead worker's lease has lapsed.
        Run.objects.filter(id=run.id).update(lease_until=None)
    lease = leases.claim(workspace_id=stage.workspace_id, run_id=run.id, owner="worker")
    if lease is None:
        return False
    session = open_session(lease)
    try:
        with dying(death, patch):
            loop.advance(session, stage.model)
    except Died:
        # The model answers a repeated question as it did the first time.
        stage.model.replies = list(STEPS[stage.fresh(run).steps_taken :])
        return True
    return False


def whole_run(stage: Stage, death: Death, patch: pytest.MonkeyPatch) -> Run:
    run = stage.start(*STEPS)
    for _ in range(12):
        killed = play(stage, run, death, patch)
        current = stage.fresh(run)
        if current.state == RunState.AWAITING_APPROVAL:
            for name in ("bob", "beth"):
                stage.vote(run, name)
        elif current.state == RunState.AWAITING_INPUT:
            settle_doubt(stage, run)
        elif current.state not in (RunState.RUNNING, RunState.QUEUED) or not killed:
            return current
    raise AssertionError("the run does not come to an end")


def settle_doubt(stage: Stage, run: Run) -> None:
    """A person looks whether the effect in doubt happened, and says so."""
    [call] = [call for call in stage.calls(run) if call.state == CallState.UNKNOWN]
    name, arguments = call.tool_version.tool.name, call.arguments
    happened = (name, arguments) in bank.effects
    result = {"note_down": f"note {len(bank.effects)}", "send": "sent to a@b.example"}[name]
    refused = services.call_resolve(
        workspace_id=stage.workspace_id,
        call_id=call.id,
        actor=stage.cast.actor("bob"),
        happened=happened,
        result=result if happened else None,
    )
    assert refused is None


def test_uninterrupted(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    death = Death(at=0, after=False)
    run = whole_run(stage, death, monkeypatch)
    assert (run.state, run.reason) == (RunState.SUCCEEDED, "")
    assert bank.effects == EXPECTED
    assert death.seen == COMMITS


COMMITS = 26
"""Commits of the uninterrupted run; each is a place to die at."""


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, COMMITS + 1))
def test_killed_at_every_commit(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, at: int, after: bool
) -> None:
    death = Death(at=at, after=after)
    run = whole_run(stage, death, monkeypatch)
    assert (run.state, run.reason) == (RunState.SUCCEEDED, "")
    assert bank.effects == EXPECTED
