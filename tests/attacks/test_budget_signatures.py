"""Crossing a budget whose crossing needs more signatures, without them."""

import pytest

from agents.models import Call, CallState, Run, RunState
from audit.transactions import in_workspace
from policies.models import ApprovalRequest
from tests.agents.runs.stage import Stage, program
from tests.agents.runs.tools import bank
from tests.attacks.test_effect_budget import budgeted, pays
from tests.attacks.test_run_bypasses import change_policy

ANSWER = program("final_answer({'done': 1})")
MONEY = "{per_day: {amounts: {none: 10}, over: sign}}"
RULE = "context.call.over_budget"


def votes(stage: Stage, run: Run, *names: str) -> Run:
    for name in names:
        stage.vote(run, name)
    return stage.play(run)


def paid() -> list[object]:
    return [made["amount_cents"] for _, made in bank.effects if "amount_cents" in made]


def test_what_crosses_needs_the_signature_of_whoever_answers_for_the_budget(stage: Stage) -> None:
    budgeted(stage, MONEY)
    run = votes(stage, stage.play(stage.start(pays(1100), ANSWER)), "bob", "beth")
    assert (run.state, paid()) == (RunState.AWAITING_APPROVAL, [])
    shown = stage.request(run).displayed["over_budget"]
    assert "10.00" in shown["0"][0]
    assert votes(stage, run, "carol").state == RunState.SUCCEEDED
    assert paid() == [1100]


def test_parts_below_the_budget_cross_it_together(stage: Stage) -> None:
    budgeted(stage, MONEY)
    run = votes(stage, stage.play(stage.start(pays(600, 600), ANSWER)), "bob", "beth")
    assert (run.state, paid()) == (RunState.AWAITING_APPROVAL, [])
    assert list(stage.request(run).displayed["over_budget"]) == ["1"]


def test_what_stays_within_needs_no_more_than_before(stage: Stage) -> None:
    budgeted(stage, MONEY)
    run = votes(stage, stage.play(stage.start(pays(900), ANSWER)), "bob", "beth")
    assert (run.state, paid()) == (RunState.SUCCEEDED, [900])
    assert "over_budget" not in stage.request(run).displayed


def test_signatures_for_within_do_not_carry_what_crosses_by_now(stage: Stage) -> None:
    budgeted(stage, MONEY)
    first = stage.play(stage.start(pays(600), ANSWER))
    stage.vote(first, "bob")
    stage.vote(first, "beth")
    assert votes(stage, stage.play(stage.start(pays(700), ANSWER)), "bob", "beth").ended
    assert paid() == [700]
    stage.model.replies = [ANSWER]
    stage.play(first)
    assert paid() == [700]
    assert "budget" in stage.steps(first)[0].observation
    assert "manifest.broken" in stage.actions(first)


def test_a_call_moved_to_a_place_that_was_signed_to_cross_does_not_cross(stage: Stage) -> None:
    """Whoever may write the journal's rows gives another entry the place on the card."""
    budgeted(stage, MONEY)
    run = stage.play(stage.start(pays(1, 1100), ANSWER))
    for name in ("bob", "beth", "carol"):
        stage.vote(run, name)
    with in_workspace(stage.workspace_id):
        calls = list(Call.objects.filter(run=run, state=CallState.PLANNED).order_by("seq"))
        calls[0].arguments, calls[0].position = {**calls[0].arguments, "amount_cents": 9999}, 1
        calls[1].position = 0
        for call in calls:
            call.save()
    stage.play(run)
    assert 9999 not in paid()


def test_a_policy_that_names_nobody_leaves_the_budget_as_it_is(stage: Stage) -> None:
    change_policy(stage, lambda text: text.replace(RULE, "context.call.amount_minor < 0"))
    budgeted(stage, "{per_day: {writes: 1, over: sign}}")
    code = program("note_down(text='one')\nnote_down(text='two')")
    run = stage.play(stage.start(code, ANSWER))
    assert run.state == RunState.SUCCEEDED
    assert [made["text"] for _, made in bank.effects] == ["one"]
    assert "1 writes" in stage.steps(run)[0].observation


def test_a_write_the_policy_allows_alone_waits_once_it_crosses(stage: Stage) -> None:
    budgeted(stage, "{per_day: {writes: 1, over: sign}}")
    code = program("note_down(text='one')\nnote_down(text='two')")
    run = stage.play(stage.start(code, ANSWER))
    assert run.state == RunState.AWAITING_APPROVAL
    assert [made["text"] for _, made in bank.effects] == ["one"]
    votes(stage, run, "carol")
    assert [made["text"] for _, made in bank.effects] == ["one", "two"]


def test_a_budget_that_stops_is_not_crossed_by_signing_another(stage: Stage) -> None:
    budgeted(stage, f"{MONEY[:-1]}, workspace_per_day: {{amounts: {{none: 15}}}}}}")
    run = stage.play(stage.start(pays(1600), ANSWER))
    votes(stage, run, "bob", "beth", "carol")
    assert paid() == []


@pytest.mark.parametrize("low", [0, 9, 10])
def test_a_rule_reads_what_was_done_today(stage: Stage, low: int) -> None:
    rule = (
        '@id("tired") @review("policy_officer") @quorum("1")\n'
        'forbid(principal, action in Action::"call", resource)\n'
        'when { resource.effect != "read" && context.call.today.amount_minor > %d };\n'
    )
    budgeted(stage, "{per_day: {writes: 99}}")
    change_policy(stage, lambda text: text + rule % low)
    run = stage.play(stage.start(pays(10, 1), ANSWER))
    with in_workspace(stage.workspace_id):
        asked = ApprovalRequest.objects.get(run_id=run.id).requirement
    assert any(seat["role"] == "policy_officer" for seat in asked) is (low < 10)
