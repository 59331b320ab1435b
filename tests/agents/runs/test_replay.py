"""`run_replay`: anyone can see that the stored programs do what the journal says they did."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from agents.models import Call, Run, RunState, Step
from audit.models import Entry
from audit.transactions import in_workspace
from tests.agents.runs.stage import Stage, program
from tests.agents.runs.tools import bank

READ = program("vendors = list_vendors()\nprint(len(vendors), 'vendors')")
WRITE = program("note = note_down(text=vendors[0]['name'])\nprint(note)")
PAY = program(
    "print('paying')\nmade = [pay(account=v['account'], amount_cents=5) for v in vendors]"
)
ANSWER = program("final_answer({'done': note})")


def replayed(run: Run) -> str:
    out = StringIO()
    call_command("run_replay", str(run.id), stdout=out)
    return out.getvalue()


def differs(run: Run) -> str:
    out = StringIO()
    with pytest.raises(CommandError, match="differs"):
        call_command("run_replay", str(run.id), stdout=out)
    return out.getvalue()


def finished(stage: Stage) -> Run:
    run = stage.play(stage.start(READ, program("import subprocess"), WRITE, ANSWER))
    assert run.state == RunState.SUCCEEDED
    return run


def test_a_finished_run_replays_step_by_step_and_nothing_happens(stage: Stage) -> None:
    run, reads, effects = finished(stage), bank.reads, list(bank.effects)
    said = replayed(run).splitlines()
    assert "step 1  matches: 1 calls, 10 bytes printed" in said
    assert "step 2  not replayed: refused by policy before it ran" in said
    assert said[-1] == "The replay matches the journal: 3 steps."
    assert (bank.reads, bank.effects) == (reads, effects)


def test_a_run_is_named_by_the_digits_that_the_console_shows(stage: Stage) -> None:
    run = finished(stage)
    out = StringIO()
    call_command("run_replay", str(run.id)[:8], stdout=out)
    assert f"run {run.id}:" in out.getvalue()
    for text in ("deadbeef", str(run.id)[:7], "nonsense", "00000000-0000-0000-0000-000000000000"):
        with pytest.raises(CommandError, match=r"no (run|id of a run)"):
            call_command("run_replay", text)


def test_a_parked_run_replays_with_its_plan(stage: Stage) -> None:
    run = stage.play(stage.start(READ, PAY))
    assert run.state == RunState.AWAITING_APPROVAL
    before = stage.fresh(run)
    assert "step 2  matches: the plan that waits, with 2 effects" in replayed(run)
    assert stage.fresh(run).epoch == before.epoch
    assert bank.effects == []


def test_it_leaves_one_entry_and_none_in_the_runs_chain(stage: Stage) -> None:
    run = finished(stage)
    chain = stage.actions(run)
    replayed(run)
    assert stage.actions(run) == chain
    with in_workspace(stage.workspace_id):
        entry = Entry.objects.get(action="run.replayed")
        assert entry.subject_id == str(run.id)
        assert b'"matches":true' in bytes(entry.leaf)


def test_another_printed_text_is_shown_with_both_sides(stage: Stage) -> None:
    run = finished(stage)
    with in_workspace(stage.workspace_id):
        Step.objects.filter(run=run, number=1).update(
            code="vendors = list_vendors()\nprint(len(vendors), 'sellers')"
        )
    said = differs(run)
    assert "step 1  DIFFERS: printed text" in said
    assert "recorded: 2 vendors" in said
    assert "replayed: 2 sellers" in said
    assert "step 3" not in said


def test_another_argument_is_shown_with_both_sides(stage: Stage) -> None:
    run = finished(stage)
    with in_workspace(stage.workspace_id):
        call = Call.objects.get(run=run, step__number=3)
        call.arguments = {"text": "something else"}
        call.save()
    said = differs(run)
    assert "DIFFERS: arguments of call 1" in said
    assert "something else" in said
    assert "Kessler" in said


def test_a_call_without_record_is_not_made(stage: Stage) -> None:
    run = finished(stage)
    with in_workspace(stage.workspace_id):
        Step.objects.filter(run=run, number=4).update(
            code="note_down(text='once more')\nfinal_answer({'done': note})"
        )
    effects = list(bank.effects)
    assert "DIFFERS: tool call of call 1" in differs(run)
    assert bank.effects == effects


def test_a_run_that_does_not_exist(stage: Stage) -> None:
    with pytest.raises(CommandError, match="no run"):
        call_command("run_replay", str(stage.workspace_id))
