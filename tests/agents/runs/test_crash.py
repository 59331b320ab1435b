"""A worker dies at any commit: no step is lost, no effect happens twice.

The harness ends the worker with an exception that nothing catches, right before or right after each
of its commits in turn, and lets another worker take the run over. What must come out is the same.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from agents import journal, leases, loop, services
from agents.models import CallState, Run, RunState
from agents.session import open_session
from audit.transactions import in_workspace
from tests.agents.runs.stage import Stage, program
from tests.agents.runs.tools import bank


class Killed(BaseException):
    """The worker is gone; nothing of it runs any more."""


@dataclass
class Killer:
    """Counts a worker's commits, and kills it at one of them."""

    at: int
    after: bool
    seen: int = 0
    names: list[str] = field(default_factory=list)

    def commit(self, name: str) -> bool:
        self.seen += 1
        self.names.append(name)
        return self.seen == self.at


@contextmanager
def killing(killer: Killer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every transaction of a lease's holder passes the killer on its way out."""

    def deadly(name: str, original: object) -> object:
        @contextmanager
        def commit(*args: object) -> Iterator[object]:
            chosen = killer.commit(name)
            with original(*args) as held:  # type: ignore[operator]
                yield held
                if chosen and not killer.after:
                    raise Killed
            if chosen:
                raise Killed

        return commit

    with monkeypatch.context() as patch:
        patch.setattr(journal, "held", deadly("held", leases.held))
        patch.setattr(journal, "recording", deadly("recording", leases.recording))
        yield


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


def play(stage: Stage, run: Run, killer: Killer, patch: pytest.MonkeyPatch) -> bool:
    """One worker's go at the run; True if it was killed."""
    with in_workspace(stage.workspace_id):
        # The dead worker's lease has lapsed.
        Run.objects.filter(id=run.id).update(lease_until=None)
    lease = leases.claim(workspace_id=stage.workspace_id, run_id=run.id, owner="worker")
    if lease is None:
        return False
    session = open_session(lease)
    try:
        with killing(killer, patch):
            loop.advance(session, stage.model)
    except Killed:
        # The model answers a repeated question as it did the first time.
        stage.model.replies = list(STEPS[stage.fresh(run).steps_taken :])
        return True
    return False


def whole_run(stage: Stage, killer: Killer, patch: pytest.MonkeyPatch) -> Run:
    run = stage.start(*STEPS)
    for _ in range(12):
        killed = play(stage, run, killer, patch)
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
    killer = Killer(at=0, after=False)
    run = whole_run(stage, killer, monkeypatch)
    assert (run.state, run.reason) == (RunState.SUCCEEDED, "")
    assert bank.effects == EXPECTED
    assert killer.seen == COMMITS, killer.names


COMMITS = 26
"""Commits of the uninterrupted run; each is a place to die at."""


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, COMMITS + 1))
def test_killed_at_every_commit(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, at: int, after: bool
) -> None:
    killer = Killer(at=at, after=after)
    run = whole_run(stage, killer, monkeypatch)
    assert (run.state, run.reason) == (RunState.SUCCEEDED, "")
    assert bank.effects == EXPECTED
