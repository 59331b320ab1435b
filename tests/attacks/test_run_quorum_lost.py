"""Reads, results and doubts between plan and signature do not weaken what must be signed."""

import pytest

from agents import services
from agents.models import CallState, RunState
from policies.errors import Reason
from tests.agents.runs.stage import Stage, program
from tests.agents.runs.tools import bank


def test_a_sensitive_read_after_a_planned_write_keeps_its_quorum(stage: Stage) -> None:
    run = stage.play(
        stage.start(
            program(
                "pay(account='DE01', amount_cents=4831020)\n"
                "ledger()\n"
                "send(recipient='a@b.example', text='hello')"
            )
        )
    )
    assert run.state == RunState.AWAITING_APPROVAL
    assert stage.request(run).requirement == [{"role": "reviewer", "count": 2}]


def test_the_requester_cannot_settle_a_doubt(stage: Stage) -> None:
    bank.vanish.add("a@b.example")
    run = stage.play(stage.start(program("send(recipient='a@b.example', text='hi')")))
    stage.vote(run, "bob")
    run = stage.play(run)
    assert run.state == RunState.AWAITING_INPUT
    [call] = [call for call in stage.calls(run) if call.state == CallState.UNKNOWN]
    refused = services.call_resolve(
        workspace_id=stage.workspace_id,
        call_id=call.id,
        actor=stage.cast.actor("alice"),
        happened=False,
    )
    assert refused is not None
    assert refused.reason is Reason.REQUESTER
    assert "call.resolve_refused" in stage.actions(run)


def test_a_failed_read_leaves_its_labels_on_the_run(stage: Stage) -> None:
    run = stage.play(
        stage.start(
            program("try:\n    read_note(vendor='broken')\nexcept Exception as e:\n    print(e)"),
            program("final_answer({'done': 1})"),
        )
    )
    assert "untrusted" in run.control_labels


@pytest.mark.parametrize(
    "code",
    [
        "note_down(text={'$placeholder': [1], 'path': []})",
        "note_down(text='\\ud800')",
        "note_down(text=0x" + "f" * 5000 + ")",
    ],
    ids=["placeholder", "surrogate", "huge"],
)
def test_odd_values_are_refused_and_the_run_goes_on(stage: Stage, code: str) -> None:
    run = stage.play(stage.start(program(code), program("final_answer({'done': 1})")))
    assert run.state == RunState.SUCCEEDED
    assert bank.effects == []


def test_a_reference_to_a_part_that_is_not_there_ends_the_manifest(stage: Stage) -> None:
    run = stage.play(
        stage.start(
            program(
                "paid = pay(account='DE01', amount_cents=5)\n"
                "send(recipient='a@b.example', text=f'{paid}'.replace('⟧', '/nope⟧'))"
            ),
            program("final_answer({'done': 'one'})"),
        )
    )
    if run.state == RunState.AWAITING_APPROVAL:
        for name in ("bob", "beth"):
            stage.vote(run, name)
        run = stage.play(run)
    assert run.state == RunState.SUCCEEDED
    assert [kind for kind, _ in bank.effects] in ([], ["pay"])
