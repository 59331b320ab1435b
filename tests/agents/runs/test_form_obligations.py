"""What a rule by form obliges to, in a run: a field withheld, an argument masked on the card."""

from typing import Any

from agents.models import RunState
from agents.tools.redaction import WITHHELD
from policies import forms
from policies.forms import RuleForm, write
from tests.agents.runs.stage import Stage, program
from tests.attacks.test_run_bypasses import change_policy

READ = program("found = list_vendors()\nprint(found)")
DONE = program("final_answer({'done': True})")
FINANCE: dict[str, Any] = {"role": "reviewer:finance", "quorum": 1}


def test_a_field_that_a_form_withholds_reaches_neither_program_nor_model(stage: Stage) -> None:
    rule = RuleForm("no-accounts", "tool", {"tool": "list_vendors"}, redact="account", **FINANCE)
    change_policy(stage, lambda text: forms.append(text, write(rule)))
    run = stage.play(stage.start(READ, DONE))
    assert run.state == RunState.AWAITING_APPROVAL
    assert stage.vote(run, "bob").refusal is None
    run = stage.play(run)
    assert run.state == RunState.SUCCEEDED
    [result] = [call.result for call in stage.calls(run)]
    assert {vendor["account"] for vendor in result} == {WITHHELD}
    assert "DE01" not in stage.model.observed()


def test_an_argument_that_a_form_masks_is_said_on_the_card(stage: Stage) -> None:
    rule = RuleForm("masked", "tool", {"tool": "pay"}, mask="account", **FINANCE)
    change_policy(stage, lambda text: forms.append(text, write(rule)))
    run = stage.play(stage.start(program("pay(account='DE01', amount_cents=5)")))
    shown = {rule["id"]: rule for rule in stage.request(run).displayed["rules"]}
    assert shown["masked"]["obligations"] == ["mask:account"]
