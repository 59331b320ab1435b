"""Rows of a run edited past every service, as whoever took over the web process could.

Runs, steps and calls are working rows: the application's role may update them. What people signed
and what was decided it may not. So nothing is done on the word of a working row alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import Error, transaction

from agents import loop
from agents.llm.chat import ChatReply, ChatRequest, Delta
from agents.models import CallState, Run, RunState
from agents.tools.invoke import invoke
from audit.canonical import sha256_hex
from audit.transactions import in_workspace
from tests.agents.runs.stage import Stage, program
from tests.agents.runs.tools import bank
from tests.attacks.approval import execute
from tests.attacks.test_run_stale_worker import mine, taken

PAY = program(
    "first = pay(account='DE01', amount_cents=5)\nnext = pay(account='SE02', amount_cents=6)"
)


class Died(BaseException):
    """The worker is gone; nothing of it runs any more."""


def planned(stage: Stage) -> Run:
    return stage.play(stage.start(PAY, program("final_answer({'done': True})")))


def sign(stage: Stage, run: Run) -> None:
    for name in ("bob", "beth"):
        assert stage.vote(run, name).refusal is None


def edit(stage: Stage, statement: str, **values: object) -> None:
    assert execute(stage.workspace_id, statement, **values) >= 1


def edit_amounts(stage: Stage, old: int, new: int) -> None:
    """What is called, what was planned, and every hash of it that can be edited."""
    for step in stage.steps(stage_run(stage)):
        code = step.code.replace(f"amount_cents={old}", f"amount_cents={new}")
        edit(
            stage,
            "UPDATE agents_step SET code = %(code)s, code_digest = %(digest)s WHERE id = %(id)s",
            code=code,
            digest=sha256_hex(code.encode()),
            id=step.id,
        )
    edit(
        stage,
        "UPDATE agents_call SET arguments ="
        " jsonb_set(arguments::jsonb, '{amount_cents}', %(new)s::jsonb)::json"
        " WHERE (arguments->>'amount_cents')::int = %(old)s",
        new=str(new),
        old=old,
    )


def stage_run(stage: Stage) -> Run:
    with in_workspace(stage.workspace_id):
        return Run.objects.latest("created")


def crash_after(stage: Stage, run: Run, effects: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker uses the approval and dies after so many effects."""

    def deadly(definition: Any, arguments: Any, context: Any) -> Any:
        if len(bank.effects) == effects:
            raise Died
        return invoke(definition, arguments, context)

    with monkeypatch.context() as patch:
        patch.setattr("agents.broker.invoke", deadly)
        with pytest.raises(Died):
            loop.advance(mine(stage, run), stage.model)


def go_on(stage: Stage, run: Run) -> Run:
    loop.advance(taken(stage, run), stage.model)
    return stage.fresh(run)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE agents_call SET arguments ="
        " jsonb_set(arguments::jsonb, '{amount_cents}', '900')::json"
        " WHERE position = 0",
        "UPDATE agents_call SET position = 1 - position",
        "UPDATE agents_call SET origins = '{}'",
        "UPDATE agents_step SET code = replace(code, '=5', '=900')",
        "UPDATE agents_step SET facts_digest = repeat('0', 64)",
        "UPDATE agents_run SET requester_id = gen_random_uuid()::text",
        "UPDATE agents_run SET inputs = '{\"limit\": 9}'",
        "UPDATE agents_run SET seed = repeat('0', 32)",
        "UPDATE agents_step SET time_us = time_us + 1",
    ],
)
def test_edited_after_signing_does_not_happen(stage: Stage, statement: str) -> None:
    run = planned(stage)
    sign(stage, run)
    edit(stage, statement)
    run = stage.play(run)
    assert run.state == RunState.FAILED
    assert "is not what was" in run.reason
    assert bank.effects == []


def test_program_and_plan_edited_alike_after_signing_do_not_happen(stage: Stage) -> None:
    run = planned(stage)
    sign(stage, run)
    edit_amounts(stage, 5, 900)
    assert stage.play(run).state == RunState.FAILED
    assert bank.effects == []


def test_program_and_plan_edited_alike_in_the_middle_of_applying_do_not_happen(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The approval is used; its worker died after the first effect; then the second is edited."""
    run = planned(stage)
    sign(stage, run)
    crash_after(stage, run, 1, monkeypatch)
    edit_amounts(stage, 6, 900)
    run = go_on(stage, run)
    assert (run.state, len(bank.effects)) == (RunState.FAILED, 1)


def test_the_plan_edited_in_the_middle_of_applying_does_not_happen(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = planned(stage)
    sign(stage, run)
    crash_after(stage, run, 1, monkeypatch)
    edit(
        stage,
        "UPDATE agents_call SET arguments ="
        " jsonb_set(arguments::jsonb, '{account}', '\"XX99\"')::json"
        " WHERE position = 1",
    )
    go_on(stage, run)
    assert [made["account"] for _, made in bank.effects] == ["DE01"]


@pytest.mark.parametrize("approved", [False, True], ids=["unsigned", "unused"])
@pytest.mark.parametrize("state", [CallState.PLANNED, CallState.INTENDED, CallState.CLEARED])
def test_a_plan_declared_signed_by_an_edit_does_not_happen(
    stage: Stage, state: CallState, approved: bool
) -> None:
    run = planned(stage)
    if approved:
        sign(stage, run)
    edit(stage, "UPDATE agents_step SET state = 'ready', applying = 1")
    edit(stage, "UPDATE agents_call SET state = %(state)s WHERE position IS NOT NULL", state=state)
    edit(stage, "UPDATE agents_run SET state = 'queued', reason = ''")
    stage.play(run)
    assert bank.effects == []


def test_a_refused_program_declared_ready_by_an_edit_does_not_run(stage: Stage) -> None:
    run = stage.start(program("import os\nnote_down(text=os.name)"))
    with pytest.raises(RuntimeError, match="enough"):
        loop.advance(mine(stage, run), OneReply(stage))
    edit(stage, "UPDATE agents_step SET state = 'ready'")
    run = go_on(stage, run)
    assert run.state == RunState.FAILED
    assert "not what was decided" in run.reason
    assert bank.effects == []


def test_a_program_exchanged_after_its_decision_does_not_run(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = stage.start(program("x = note_down(text='decided')"))

    def die(*args: Any, **kwargs: Any) -> Any:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr("agents.loop.Broker", die)
        with pytest.raises(Died):
            loop.advance(mine(stage, run), stage.model)
    code = "x = note_down(text='exchanged')"
    edit(
        stage,
        "UPDATE agents_step SET code = %(code)s, code_digest = %(digest)s",
        code=code,
        digest=sha256_hex(code.encode()),
    )
    run = go_on(stage, run)
    assert run.state == RunState.FAILED
    assert "not what was decided" in run.reason
    assert bank.effects == []


def test_an_earlier_program_exchanged_is_noticed_when_another_worker_goes_on(stage: Stage) -> None:
    """It prints the same and calls the same; only a variable that later calls use differs."""
    run = stage.play(
        stage.start(
            program("to = 'DE01'"),
            program("paid = pay(account=to, amount_cents=5)"),
        )
    )
    sign(stage, run)
    edit(stage, "UPDATE agents_step SET code = replace(code, 'DE01', 'XX99') WHERE number = 1")
    edit(
        stage,
        "UPDATE agents_call SET arguments ="
        " jsonb_set(arguments::jsonb, '{account}', '\"XX99\"')::json",
    )
    run = stage.play(run)
    assert run.state == RunState.FAILED
    assert bank.effects == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE policies_approvalrequest SET displayed = '{}'",
        "UPDATE policies_approvalrequest SET binding = '{}'",
        "UPDATE policies_decisionrecord SET outcome = 'allow'",
        "UPDATE policies_vote SET binding_digest = repeat('0', 64)",
    ],
)
def test_the_database_keeps_what_the_checks_rest_on(stage: Stage, statement: str) -> None:
    run = planned(stage)
    stage.vote(run, "bob")
    with pytest.raises(Error, match=r"never change|permission denied"), transaction.atomic():
        execute(stage.workspace_id, statement)


@dataclass
class OneReply:
    """A model that answers once."""

    stage: Stage

    def complete(
        self, request: ChatRequest, on_delta: Callable[[Delta], None] | None = None
    ) -> ChatReply:
        if self.stage.model.asked:
            raise RuntimeError("enough")
        return self.stage.model.complete(request, on_delta)
