"""Doing more in a day than a budget allows: at once, in small parts, or in two runs that race."""

import contextlib
import threading

import pytest
from django.db import connection

from agents import services
from agents.budgets import spending
from agents.models import CallState, EffectSpend, Run, RunState
from audit.transactions import in_workspace
from tests.agents.runs.stage import REGISTER, Replies, Stage, program, register_signed
from tests.agents.runs.tools import bank

NOTES = program(
    "done = []\n"
    "for n in range(4):\n"
    "    try:\n"
    "        done.append(note_down(text=str(n)))\n"
    "    except ToolError as error:\n"
    "        print('refused', error)\n"
)
ANSWER = program("final_answer({'done': 1})")


def budgeted(stage: Stage, budgets: str) -> None:
    text = REGISTER.replace("    limits: {steps", f"    budgets: {budgets}\n    limits: {{steps")
    register_signed(stage.cast, text)


def pays(*amounts: int, account: str = "DE01") -> str:
    calls = "\n".join(f"pay(account='{account}', amount_cents={amount})" for amount in amounts)
    return program(calls)


def signed(stage: Stage, run: Run) -> Run:
    for name in ("bob", "beth"):
        stage.vote(run, name)
    return stage.play(run)


def test_the_write_too_many_does_not_happen_and_the_agent_is_told(stage: Stage) -> None:
    budgeted(stage, "{per_day: {writes: 3}}")
    run = stage.play(stage.start(NOTES, ANSWER))
    assert len(bank.effects) == 3
    assert "3 writes" in stage.steps(run)[0].observation
    assert [call.state for call in stage.calls(run)][-1] == CallState.FAILED
    assert stage.play(stage.start(NOTES, ANSWER)).state == RunState.SUCCEEDED
    assert len(bank.effects) == 3


def test_signatures_do_not_make_room(stage: Stage) -> None:
    budgeted(stage, "{per_day: {amounts: {none: 10}}}")
    run = signed(stage, stage.play(stage.start(pays(600, 300, 200), ANSWER)))
    assert [made["amount_cents"] for _, made in bank.effects] == [600, 300]
    assert "budget" in stage.steps(run)[0].observation
    assert [call.state for call in stage.calls(run)] == [
        CallState.SUCCEEDED,
        CallState.SUCCEEDED,
        CallState.VOID,
    ]
    assert "manifest.broken" in stage.actions(run)


def test_another_spelling_is_the_same_recipient_and_another_one_is_too_many(stage: Stage) -> None:
    budgeted(stage, "{per_day: {recipients: 1}}")
    signed(stage, stage.play(stage.start(pays(1), ANSWER)))
    signed(stage, stage.play(stage.start(pays(2, account="de01 "), ANSWER)))
    assert len(bank.effects) == 2
    signed(stage, stage.play(stage.start(pays(3, account="SE02"), ANSWER)))
    assert len(bank.effects) == 2


def test_what_failed_is_given_back(stage: Stage) -> None:
    budgeted(stage, "{per_day: {amounts: {none: 10}}}")
    bank.fail.add("DE01")
    signed(stage, stage.play(stage.start(pays(900), ANSWER)))
    bank.fail.clear()
    signed(stage, stage.play(stage.start(pays(900), ANSWER)))
    assert [made["amount_cents"] for _, made in bank.effects] == [900]


def test_what_is_in_doubt_stays_reserved(stage: Stage) -> None:
    budgeted(stage, "{per_day: {recipients: 1}}")
    bank.vanish.add("a@b.example")
    send = program("send(recipient='a@b.example', text='x')")
    run = signed(stage, stage.play(stage.start(send, ANSWER)))
    assert run.state == RunState.AWAITING_INPUT
    signed(stage, stage.play(stage.start(pays(1), ANSWER)))
    assert [name for name, _ in bank.effects] == ["send"]


def test_a_repeated_call_counts_once(stage: Stage) -> None:
    budgeted(stage, "{per_day: {writes: 2}}")
    bank.vanish.add("DE01")
    signed(stage, stage.play(stage.start(pays(1), ANSWER)))
    with in_workspace(stage.workspace_id):
        assert EffectSpend.objects.count() == 1
    assert len(bank.effects) == 1


def test_all_agents_together_stay_within_the_budget_of_the_workspace(stage: Stage) -> None:
    budgeted(stage, "{per_day: {writes: 3}, workspace_per_day: {writes: 2}}")
    stage.play(stage.start(NOTES, ANSWER))
    assert len(bank.effects) == 2


def test_yesterday_does_not_count(stage: Stage) -> None:
    budgeted(stage, "{per_day: {writes: 4}}")
    stage.play(stage.start(NOTES, ANSWER))
    with in_workspace(stage.workspace_id):
        EffectSpend.objects.update(day="2020-01-01")
    stage.play(stage.start(NOTES, ANSWER))
    assert len(bank.effects) == 8


def test_two_runs_that_race_stay_within(
    committing_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = committing_stage
    budgeted(stage, "{per_day: {writes: 5}}")
    runs = [stage.start(NOTES, ANSWER) for _ in range(2)]
    meet, check = threading.Barrier(2, timeout=20), spending.check

    def together(*args: object) -> object:
        with contextlib.suppress(threading.BrokenBarrierError):
            meet.wait()
        return check(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(spending, "check", together)

    def work(run: Run) -> None:
        Stage(stage.cast, Replies([NOTES, ANSWER])).play(run, owner=str(run.id))
        meet.abort()
        connection.close()

    threads = [threading.Thread(target=work, args=[run]) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert {stage.fresh(run).state for run in runs} == {RunState.SUCCEEDED}
    assert len(bank.effects) == 5


def test_an_agent_without_budgets_is_counted_and_not_stopped(stage: Stage) -> None:
    started = services.run_start(
        workspace_id=stage.workspace_id, agent="Teller", requester=stage.cast.actor("alice")
    )
    stage.model = Replies([NOTES, ANSWER])
    assert stage.play(started.run).state == RunState.SUCCEEDED
    with in_workspace(stage.workspace_id):
        assert EffectSpend.objects.count() == 4
