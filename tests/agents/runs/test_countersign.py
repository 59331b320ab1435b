"""Plan, countersign, apply: what people sign is what happens, once, in that order."""

import pytest

from agents.models import CallState, RunState, StepState
from policies.errors import Reason
from policies.models import Answer, ApprovalState
from tests.agents.runs.stage import Stage, program
from tests.agents.runs.tools import bank

PAY_TWO = program(
    "made = []\n"
    "for vendor in list_vendors():\n"
    "    paid = pay(account=vendor['account'], amount_cents=1000)\n"
    "    made.append(paid['id'])\n"
    "print('planned', len(made))"
)
ANSWER = program("final_answer({'done': made})")


def sign(stage: Stage, run: object) -> None:
    for name in ("bob", "beth"):
        result = stage.vote(run, name)  # type: ignore[arg-type]
        assert result.refusal is None, result.refusal


def test_effects_wait_for_signatures_and_then_happen_once(stage: Stage) -> None:
    run = stage.play(stage.start(PAY_TWO, ANSWER))
    assert run.state == RunState.AWAITING_APPROVAL
    assert bank.effects == []
    sign(stage, run)
    run = stage.play(run)
    assert (run.state, run.reason) == (RunState.SUCCEEDED, "")
    assert [made["account"] for _, made in bank.effects] == ["DE01", "SE02"]
    assert run.answer == {"done": ["P-1", "P-2"]}


def test_the_card_shows_every_effect_with_where_its_values_come_from(stage: Stage) -> None:
    run = stage.play(stage.start(PAY_TWO))
    shown = stage.request(run).displayed
    assert [effect["arguments"]["account"] for effect in shown["effects"]] == ["DE01", "SE02"]
    assert shown["effects"][0]["origins"]["account"] == ["tool:list_vendors"]
    assert shown["totals"]["amounts"] == {"": 2000}
    assert shown["sentence"].startswith("Teller wants to pay twice")
    assert "Alice" in shown["sentence"] or stage.request(run).requester_name in shown["sentence"]


def test_one_signature_of_two_is_not_enough(stage: Stage) -> None:
    run = stage.play(stage.start(PAY_TWO, ANSWER))
    stage.vote(run, "bob")
    assert stage.play(run).state == RunState.AWAITING_APPROVAL
    assert bank.effects == []


def test_the_requester_cannot_sign(stage: Stage) -> None:
    run = stage.play(stage.start(PAY_TWO))
    refused = stage.vote(run, "alice").refusal
    assert refused is not None
    assert refused.reason is Reason.REQUESTER
    assert "vote.refused" in stage.actions(run)


def test_the_plan_read_is_not_repeated_when_it_is_applied(stage: Stage) -> None:
    run = stage.play(stage.start(PAY_TWO, ANSWER))
    sign(stage, run)
    stage.play(run)
    assert bank.reads == 1


def test_a_rejection_feeds_back_and_nothing_happens(stage: Stage) -> None:
    run = stage.play(
        stage.start(PAY_TWO, program("final_answer({'done': 'nothing, as the reviewer wished'})"))
    )
    stage.vote(run, "bob", Answer.REJECT, "Norr has a new account, ask them first")
    run = stage.play(run)
    assert run.state == RunState.SUCCEEDED
    assert bank.effects == []
    step = stage.steps(run)[0]
    assert step.state == StepState.REJECTED
    assert "Norr has a new account" in step.observation
    assert {call.state for call in stage.calls(run) if call.position is not None} == {
        CallState.VOID
    }


def test_a_later_effect_may_use_the_result_of_an_earlier_one(stage: Stage) -> None:
    run = stage.play(
        stage.start(
            program(
                "paid = pay(account='DE01', amount_cents=5)\n"
                "said = send(recipient='a@b.example', text=f'Payment {paid[\"id\"]} is made')\n"
            ),
            program("final_answer({'done': said})"),
        )
    )
    shown = stage.request(run).displayed["effects"]
    assert shown[1]["arguments"]["text"].startswith("Payment ⟦")
    sign(stage, run)
    run = stage.play(run)
    assert bank.effects[1][1]["text"] == "Payment P-1 is made"
    assert run.answer == {"done": "sent to a@b.example"}


def test_what_needs_a_result_becomes_a_second_manifest(stage: Stage) -> None:
    run = stage.play(
        stage.start(
            program(
                "first = pay(account='DE01', amount_cents=5)\n"
                "if first['amount_cents'] > 3:\n"
                "    second = pay(account='SE02', amount_cents=6)\n"
            ),
            program("final_answer({'done': second['id']})"),
        )
    )
    assert len(stage.request(run).displayed["effects"]) == 1
    sign(stage, run)
    run = stage.play(run)
    assert run.state == RunState.AWAITING_APPROVAL
    assert [made["account"] for _, made in bank.effects] == ["DE01"]
    assert stage.request(run).displayed["effects"][0]["arguments"]["account"] == "SE02"
    sign(stage, run)
    run = stage.play(run)
    assert run.answer == {"done": "P-2"}
    assert [made["account"] for _, made in bank.effects] == ["DE01", "SE02"]


def test_needing_a_result_cannot_be_swallowed(stage: Stage) -> None:
    run = stage.play(
        stage.start(
            program(
                "paid = pay(account='DE01', amount_cents=5)\n"
                "try:\n    x = paid['amount_cents'] + 1\nexcept BaseException:\n    x = 0\n"
                "note_down(text='went on without the result')"
            ),
        )
    )
    assert run.state == RunState.AWAITING_APPROVAL
    assert len(stage.request(run).displayed["effects"]) == 1
    assert bank.effects == []


def test_after_a_deferred_effect_every_later_write_is_deferred_too(stage: Stage) -> None:
    run = stage.play(
        stage.start(program("pay(account='DE01', amount_cents=5)\nnote_down(text='paid')"))
    )
    tools = [effect["tool"] for effect in stage.request(run).displayed["effects"]]
    assert tools == ["pay", "note_down"]
    assert bank.effects == []


def test_a_plan_that_fails_is_not_shown_to_people(stage: Stage) -> None:
    run = stage.play(
        stage.start(
            program("pay(account='DE01', amount_cents=5)\nraise ValueError('no')"),
            program("final_answer({'done': 'nothing'})"),
        )
    )
    assert run.state == RunState.SUCCEEDED
    assert bank.effects == []
    assert "ValueError" in stage.steps(run)[0].observation


def test_a_voided_plan_replays(stage: Stage) -> None:
    """Variables of a failed plan are restored in a new jail with its placeholders."""
    run = stage.play(
        stage.start(
            program("kept = 4\npay(account='DE01', amount_cents=5)\nraise ValueError('no')"),
            program("while True: pass"),
            program("final_answer({'done': kept})"),
        )
    )
    assert (run.state, run.answer) == (RunState.SUCCEEDED, {"done": 4})


def test_an_effect_that_fails_ends_the_manifest_and_is_told(stage: Stage) -> None:
    bank.fail.add("SE02")
    run = stage.play(
        stage.start(
            program(
                "for account in ('DE01', 'SE02', 'XX03'):\n    pay(account=account, amount_cents=5)"
            ),
            program("final_answer({'done': 'one of three'})"),
        )
    )
    sign(stage, run)
    run = stage.play(run)
    assert [made["account"] for _, made in bank.effects] == ["DE01"]
    states = [call.state for call in stage.calls(run)]
    assert states == [CallState.SUCCEEDED, CallState.FAILED, CallState.VOID]
    told = stage.steps(run)[0].observation
    assert "SE02 is closed" in told
    assert "XX03" in told
    assert run.state == RunState.SUCCEEDED


def test_a_rejected_run_asks_again_with_a_new_plan(stage: Stage) -> None:
    smaller = program("made = [pay(account='DE01', amount_cents=1000)['id']]")
    run = stage.play(stage.start(PAY_TWO, smaller, ANSWER))
    stage.vote(run, "bob", Answer.REJECT, "Only Kessler, please")
    run = stage.play(run)
    assert run.state == RunState.AWAITING_APPROVAL
    sign(stage, run)
    run = stage.play(run)
    assert [made["account"] for _, made in bank.effects] == ["DE01"]
    assert run.answer == {"done": ["P-1"]}


def test_parking_costs_no_lease(stage: Stage) -> None:
    run = stage.play(stage.start(PAY_TWO))
    assert run.lease_until is None
    assert run.lease_owner == ""


def test_approval_and_operation_are_two_things(stage: Stage) -> None:
    run = stage.play(stage.start(PAY_TWO))
    sign(stage, run)
    assert stage.request(run).state == ApprovalState.APPROVED
    assert {call.state for call in stage.calls(run) if call.position is not None} == {
        CallState.PLANNED
    }


@pytest.mark.parametrize("name", ["carol", "dan", "ada"])
def test_other_roles_cannot_sign(stage: Stage, name: str) -> None:
    run = stage.play(stage.start(PAY_TWO))
    refused = stage.vote(run, name).refusal
    assert refused is not None
    assert refused.reason is Reason.ROLE
