"""The order of a value's members is part of it: a program that prints them would tell."""

from agents.models import RunState
from tests.agents.runs.stage import Stage, program

READ = program("sums = statement()\nprint(sums)\nprint(list(sums['week']))")
PAY = program("pay(account=str(sums['day']['z']), amount_cents=5)\nprint(sums)")
ANSWER = program("final_answer({'paid': 2, 'done': 'all', 'a': sums})")
ANSWERED = ["paid", "done", "a"]


def test_a_run_that_is_restored_meets_its_values_in_their_order(stage: Stage) -> None:
    run = stage.play(stage.start(READ, PAY, ANSWER))
    assert run.state == RunState.AWAITING_APPROVAL
    stage.vote(run, "bob")
    stage.vote(run, "beth")
    run = stage.play(run)
    assert (run.state, run.reason) == (RunState.SUCCEEDED, "")


def test_the_answer_keeps_the_order_it_was_given_in(stage: Stage) -> None:
    run = stage.play(stage.start(READ, ANSWER))
    assert list(run.answer) == ANSWERED
    assert list(run.answer["a"]["week"]) == ["paid", "due", "a"]
    assert list(stage.steps(run)[-1].final) == ANSWERED
    assert list(stage.calls(run)[0].result) == ["week", "day"]


def test_inputs_come_in_the_order_they_were_given_in(stage: Stage) -> None:
    run = stage.start(READ, program("final_answer({'done': 1})"), limit=1)
    assert stage.play(run).state == RunState.SUCCEEDED
