"""A worker that is no longer the run's: it was paused, cut off, or too slow to notice."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from agents import loop
from agents.llm.chat import ChatReply, ChatRequest, Delta
from agents.models import CallState, Run, RunState
from agents.session import Session, open_session
from agents.tools.context import ToolContext
from agents.tools.definition import ToolDefinition
from agents.tools.invoke import invoke
from agents.worker import leases
from audit.transactions import in_workspace
from tests.agents.runs.stage import Stage, program
from tests.agents.runs.tools import bank

DONE = program("final_answer({'done': made})")
NOTE = program("made = note_down(text='once')")


def taken(stage: Stage, run: Run) -> Session:
    """Another worker has the run: the lease of whoever had it has lapsed."""
    with in_workspace(stage.workspace_id):
        Run.objects.filter(id=run.id).update(lease_until=None)
    lease = leases.claim(workspace_id=stage.workspace_id, run_id=run.id, owner="other:2:2")
    assert lease is not None
    return open_session(lease)


def mine(stage: Stage, run: Run) -> Session:
    lease = leases.claim(workspace_id=stage.workspace_id, run_id=run.id, owner="first:1:1")
    assert lease is not None
    return open_session(lease)


@dataclass
class Interrupted:
    """A model during whose first answer something else happens."""

    stage: Stage
    happens: Callable[[], None]

    def complete(
        self, request: ChatRequest, on_delta: Callable[[Delta], None] | None = None
    ) -> ChatReply:
        if not self.stage.model.asked:
            self.happens()
        return self.stage.model.complete(request, on_delta)


def during(tool: str, monkeypatch: pytest.MonkeyPatch, happens: Callable[[], None]) -> None:
    """Have something happen after the effect of the first call of `tool`, before its outcome."""

    def interrupted(
        definition: ToolDefinition, arguments: Mapping[str, Any], context: ToolContext
    ) -> Any:
        result = invoke(definition, arguments, context)
        if definition.name == tool:
            monkeypatch.setattr("agents.broker.invoke", invoke)
            happens()
        return result

    monkeypatch.setattr("agents.broker.invoke", interrupted)


def test_a_worker_without_its_lease_writes_nothing(stage: Stage) -> None:
    run = stage.start(NOTE, DONE)
    first = mine(stage, run)

    def another_takes_over() -> None:
        taken(stage, run)

    loop.advance(first, Interrupted(stage, another_takes_over))
    assert bank.effects == []
    assert stage.steps(run) == []
    assert stage.fresh(run).epoch == 2


def test_an_effect_is_not_begun_on_a_lease_that_may_have_lapsed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit of the intent took so long that another worker may have the run by now."""
    run = stage.start(NOTE, DONE)
    monkeypatch.setattr(leases, "SURE_S", 0.0)
    loop.advance(mine(stage, run), stage.model)
    assert bank.effects == []
    assert [call.state for call in stage.calls(run)] == [CallState.INTENDED]


def test_the_outcome_that_a_stale_worker_knows_settles_the_doubt(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was there: what it says is better than asking a person."""
    run = stage.start(NOTE, DONE)
    first = mine(stage, run)

    def another_takes_over() -> None:
        loop.advance(taken(stage, run), stage.model)
        assert stage.fresh(run).state == RunState.AWAITING_INPUT

    during("note_down", monkeypatch, another_takes_over)
    loop.advance(first, stage.model)
    assert stage.fresh(run).state == RunState.QUEUED
    run = stage.play(run)
    assert (run.state, run.answer) == (RunState.SUCCEEDED, {"done": "note 1"})
    assert bank.effects == [("note_down", {"text": "once"})]
    actions = stage.actions(run)
    assert actions.index("call.unknown") < actions.index("call.succeeded")


def test_a_stale_worker_has_no_say_once_the_call_was_made_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tool knows the key, so the second worker has repeated the call and gone on."""
    run = stage.play(stage.start(program("made = pay(account='DE01', amount_cents=5)['id']"), DONE))
    for name in ("bob", "beth"):
        assert stage.vote(run, name).refusal is None
    first = mine(stage, run)

    def another_takes_over() -> None:
        loop.advance(taken(stage, run), stage.model)

    during("pay", monkeypatch, another_takes_over)
    loop.advance(first, stage.model)
    run = stage.fresh(run)
    assert (run.state, run.answer) == (RunState.SUCCEEDED, {"done": "P-1"})
    assert stage.actions(run).count("call.succeeded") == 1
    assert [name for name, _ in bank.effects] == ["pay"]
