"""A worker dies at each of its commits in turn, before it and after it: none is left out.

The run has six steps with reads, writes that the policy allows, one that is not idempotent, a plan
of ten effects and signatures to wait for. Every place where a worker can die is counted in an
uninterrupted run first.
"""

import pytest

from tests.agents.runs.conftest import stage
from tests.agents.runs.stage import Stage
from tests.agents.runs.tools import bank
from tests.attacks.test_run_any_program import play
from tests.benchmarks.result import Result

__all__ = ["stage"]

STEPS = [
    "vendors = list_vendors()\nprint(len(vendors))",
    "notes = [note_down(text='begin'), note_down(text='middle')]",
    "made = [pay(account=v['account'], amount_cents=n) for n in (1, 2, 3, 4) for v in vendors]\n"
    "told = [send(recipient=f'{n}@b.example', text='paid') for n in (1, 2)]",
    "print(read_note(vendor='V-1'))\nnotes.append(note_down(text=str(len(made))))",
    "assert len(told) == 2\nagain = list_vendors()",
]
EFFECTS = 13


@pytest.mark.soak
def test_killed_at_every_commit_of_every_worker(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, measured: list[Result]
) -> None:
    expected = play(stage, STEPS, [], monkeypatch)
    assert len(expected.effects) == EFFECTS
    tried = doubts = executed = 0
    for worker, commits in enumerate(expected.commits):
        for at in range(1, commits + 1):
            for after in (False, True):
                dies = [(0, False)] * worker + [(at, after)]
                played = play(stage, STEPS, dies, monkeypatch)
                assert played == expected, (worker, at, after)
                tried, executed = tried + 1, executed + len(bank.effects)
                doubts += played.doubts
    measured += [
        Result("soak: places to die at, tried", tried, "places", None, "higher"),
        Result("soak: effects executed there", executed, "effects", None, "higher"),
        Result("soak: effects made twice", 0, "effects", 0, "lower"),
        Result("soak: effects lost", 0, "effects", 0, "lower"),
        Result("soak: effects in doubt, shown to a person", doubts, "effects", None, "lower"),
    ]
