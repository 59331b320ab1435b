"""Signing what is true today and applying it when it no longer is."""

import pytest

from agents.models import CallState, Run, RunState
from agents.tools.decorator import tool
from agents.tools.errors import ToolDefinitionError
from audit.transactions import in_workspace
from policies.models import Approval
from tests.agents.runs.stage import REGISTER, Stage, program, register_signed
from tests.agents.runs.tools import bank

BALANCE = program("have = balance(account='OURS')")
PAY = program("made = [pay(account=a, amount_cents=have) for a in ('DE01', 'SE02')]")
ANSWER = program("final_answer({'done': have})")


@pytest.fixture
def wary(stage: Stage) -> Stage:
    """The stage with a tool whose answers are read again."""
    text = REGISTER.replace(
        "  pay: tests", "  balance: tests.agents.runs.tools:balance\n  pay: tests"
    ).replace("[list_vendors, ", "[balance, list_vendors, ")
    register_signed(stage.cast, text)
    return stage


def planned(stage: Stage, *steps: str) -> Run:
    run = stage.play(stage.start(*steps, ANSWER))
    assert run.state == RunState.AWAITING_APPROVAL
    for name in ("bob", "beth"):
        stage.vote(run, name)
    return run


@pytest.mark.parametrize("steps", [(BALANCE, PAY), (BALANCE.replace("</code>", PAY[13:]),)])
def test_what_changed_since_it_was_signed_stops_it_before_any_effect(
    wary: Stage, steps: tuple[str, ...]
) -> None:
    run = planned(wary, *steps)
    bank.balance = 60
    run = wary.play(run)
    assert bank.effects == []
    assert {call.state for call in wary.calls(run) if call.manifest} == {CallState.VOID}
    told = "\n".join(step.observation for step in wary.steps(run))
    assert "has changed since it was read: balance(account='OURS')" in told
    assert wary.actions(run).count("call.drifted") == 1
    assert "manifest.broken" in wary.actions(run)
    with in_workspace(wary.workspace_id):
        assert Approval.objects.get(request=wary.request(run)).consumed_at is not None


def test_what_is_unchanged_is_applied_and_the_rereading_is_recorded(wary: Stage) -> None:
    run = wary.play(planned(wary, BALANCE, PAY))
    assert run.state == RunState.SUCCEEDED
    assert len(bank.effects) == 2
    actions = wary.actions(run)
    assert actions.count("call.reread") == 1
    assert actions.index("call.reread") < actions.index("call.intended")


def test_a_read_that_fails_now_stops_it(wary: Stage) -> None:
    run = planned(wary, BALANCE, PAY)
    bank.fail.add("OURS")
    wary.play(run)
    assert bank.effects == []
    assert "could not be read again" in wary.steps(run)[1].observation


def test_what_the_run_changed_itself_is_no_drift(wary: Stage) -> None:
    run = planned(wary, BALANCE, program("pay(account='DE01', amount_cents=have)"), PAY)
    bank.spends = True
    run = wary.play(run)
    assert run.state == RunState.AWAITING_APPROVAL
    for name in ("bob", "beth"):
        wary.vote(run, name)
    assert wary.play(run).state == RunState.SUCCEEDED
    assert len(bank.effects) == 3


def test_a_tool_that_does_not_say_so_is_not_asked_again(wary: Stage) -> None:
    reads = program("v = list_vendors()\npay(account=v[0]['account'], amount_cents=1)\nhave = 1")
    wary.play(planned(wary, reads))
    assert bank.reads == 1
    assert len(bank.effects) == 1


def test_a_write_cannot_be_read_again() -> None:
    with pytest.raises(ToolDefinitionError, match="cannot be read again"):
        tool(effect="write", reread="on_apply")(act)


def act() -> None:
    """Act."""
