"""Replays that people ask for: made by a worker, recorded with who asked, shown with both sides."""

from uuid import uuid4

import pytest

from agents import selectors
from agents.errors import NotFound, Refused
from agents.models import Replay, ReplayState, Run, Step
from agents.replay import restoring, service
from audit.models import Entry
from audit.transactions import in_workspace
from tests.agents.runs.stage import Stage
from tests.agents.runs.test_replay import finished
from tests.agents.runs.tools import bank


def ask(stage: Stage, run: Run, who: str = "dan") -> Replay:
    asker = stage.cast.actor(who)
    return service.replay_ask(workspace_id=stage.workspace_id, run_id=run.id, asker=asker)


def make(stage: Stage, asked: Replay) -> selectors.ReplayView:
    service.replay_make(workspace_id=stage.workspace_id, replay_id=asked.id)
    return selectors.replay(stage.workspace_id, asked.run_id, asked.id)


def entries(stage: Stage) -> list[tuple[str, str]]:
    with in_workspace(stage.workspace_id):
        found = Entry.objects.filter(action__startswith="run.replay").order_by("id")
        return sorted((entry.action, entry.actor_name) for entry in found)


def reworded(stage: Stage, run: Run) -> None:
    """Change what a stored program prints."""
    with in_workspace(stage.workspace_id):
        code = "vendors = list_vendors()\nprint(len(vendors), 'sellers')"
        Step.objects.filter(run=run, number=1).update(code=code)


def test_a_run_that_is_as_its_journal_says(stage: Stage) -> None:
    run, effects, reads = finished(stage), list(bank.effects), bank.reads
    chain = stage.actions(run)
    told = make(stage, ask(stage, run))
    assert told.state is ReplayState.DONE
    assert told.differing is None
    assert [bool(step.matched) for step in told.steps] == [True, False, True, True]
    assert told.ended is not None
    assert (bank.effects, bank.reads, stage.actions(run)) == (effects, reads, chain)
    assert entries(stage) == [("run.replay_asked", "Dan"), ("run.replayed", "Dan")]


def test_a_difference_is_kept_with_both_sides(stage: Stage) -> None:
    run = finished(stage)
    reworded(stage, run)
    told = make(stage, ask(stage, run))
    assert told.differing is not None
    apart = told.differing.divergence
    assert apart is not None
    assert (apart.recorded, apart.replayed) == ("2 vendors\n", "2 sellers\n")
    assert len(told.steps) == 1
    with in_workspace(stage.workspace_id):
        leaf = bytes(Entry.objects.get(action="run.replayed").leaf)
    assert b'"matches":false' in leaf
    assert b"sellers" not in leaf


def test_a_tool_that_changed_is_said(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ask(stage, finished(stage))

    def changed(lease: object) -> None:
        raise Refused("The tool pay is another than was registered.")

    monkeypatch.setattr(service, "open_session", changed)
    told = make(stage, asked)
    assert told.state is ReplayState.FAILED
    assert "The tool pay is another" in told.error
    assert ("run.replay_failed", "Dan") in entries(stage)


def test_whatever_breaks_it_off_leaves_word(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ask(stage, finished(stage))

    def broken(session: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(restoring, "rehearse", broken)
    with pytest.raises(ZeroDivisionError):
        make(stage, asked)
    told = selectors.replay(stage.workspace_id, asked.run_id, asked.id)
    assert told.state is ReplayState.FAILED
    assert ("run.replay_failed", "Dan") in entries(stage)


def test_one_that_is_under_way_will_do(stage: Stage) -> None:
    run = finished(stage)
    first = ask(stage, run)
    assert ask(stage, run, "alice").id == first.id
    assert make(stage, first).state is ReplayState.DONE
    assert make(stage, first).state is ReplayState.DONE  # a second message does nothing
    assert [action for action, _ in entries(stage)].count("run.replayed") == 1
    assert ask(stage, run).id != first.id


def test_replays_cannot_take_all_workers(stage: Stage) -> None:
    for _ in range(service.AT_ONCE):
        ask(stage, finished(stage))
    run = finished(stage)
    with pytest.raises(Refused, match="under way"):
        ask(stage, run)
    with in_workspace(stage.workspace_id):
        # Their workers died.
        gone = Replay.objects.latest("requested").touched - service.STALE * 2
        Replay.objects.update(touched=gone, state=ReplayState.RUNNING)
    assert ask(stage, run).state == ReplayState.WAITING
    assert all(each.lost for each in selectors.replays(stage.workspace_id, run.id)[1:])


def test_a_run_of_another_workspace_is_not_there(stage: Stage) -> None:
    run = finished(stage)
    asked = ask(stage, run)
    mallory, other = stage.cast.actor("mallory"), stage.cast.other.id
    with pytest.raises(NotFound):
        service.replay_ask(workspace_id=other, run_id=run.id, asker=mallory)
    with pytest.raises(NotFound):
        selectors.replay(other, run.id, asked.id)
    with pytest.raises(NotFound):
        selectors.replays(other, run.id)
    service.replay_make(workspace_id=other, replay_id=asked.id)
    assert selectors.replay(stage.workspace_id, run.id, asked.id).state is ReplayState.WAITING
    with pytest.raises(NotFound):
        ask(stage, Run(id=uuid4()))
