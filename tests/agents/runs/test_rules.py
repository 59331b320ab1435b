"""Rules that officers write, obeyed by runs: of tools an agent lacks, and of a tool's first use."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from agents.models import Artifact, RunState
from agents.registry import tool_specs
from agents.ruling import rules_for
from agents.sandbox.contract import GivenFile
from agents.tools.redaction import WITHHELD, told
from audit.transactions import in_workspace
from countersign.accounts.services import reauthenticate
from policies import forms
from policies.engine import PolicyError, compile_policy
from policies.errors import Reason
from policies.forms import RuleForm, write
from policies.starter import starter_text
from tests.agents.runs.stage import Stage, program, register_signed
from tests.agents.runs.test_artifacts import LETTERS
from tests.attacks.test_run_bypasses import change_policy
from tests.countersign.accounts.authenticator import enrol

NOTE = program("note_down(text='hello')\nfinal_answer({'done': True})")
FIRST = RuleForm("first", "first", {"tool": "note_down"}, role="reviewer:finance")
NAMES_PAY = (
    '\n@id("small") forbid(principal, action == Action::"call:pay", resource)'
    " when { context.argument.amount_cents > 5 };\n"
)


def test_a_rule_about_a_tool_that_an_agent_lacks_does_not_stop_the_agent(stage: Stage) -> None:
    own = [spec for spec in tool_specs(stage.workspace_id) if spec.name == "note_down"]
    text = starter_text() + NAMES_PAY
    with pytest.raises(PolicyError):
        compile_policy(text, tools=own)
    found = rules_for(stage.workspace_id, text, own)
    assert "small" in found.rules
    assert found.versions["note_down"] == own[0].version


def test_only_the_first_use_of_a_tool_by_a_version_waits(stage: Stage) -> None:
    change_policy(stage, lambda text: forms.append(text, write(FIRST)))
    first = stage.play(stage.start(NOTE))
    assert first.state == RunState.AWAITING_APPROVAL
    assert [rule["id"] for rule in stage.request(first).displayed["rules"]] == ["first"]
    assert stage.vote(first, "bob").refusal is None
    assert stage.play(first).state == RunState.SUCCEEDED
    second = stage.play(stage.start(NOTE))
    assert second.state == RunState.SUCCEEDED


def test_a_run_waits_for_a_signature_with_a_code(stage: Stage) -> None:
    change_policy(stage, lambda text: forms.append(text, write(replace(FIRST, code=True))))
    run = stage.play(stage.start(NOTE))
    assert stage.request(run).factor == "totp"
    refused = stage.vote(run, "bob").refusal
    assert refused is not None
    assert refused.reason is Reason.NOT_ENROLLED
    assert stage.play(run).state == RunState.AWAITING_APPROVAL
    now = datetime.now(UTC)
    phone = enrol(stage.cast, "bob", now - timedelta(minutes=10)).phone
    reauthenticate(
        user_id=stage.cast.id("bob"),
        password=stage.cast.passwords["bob"],
        code=phone.code(now),
        purpose=str(stage.request(run).id),
        address="192.0.2.7",
        now=now,
    )
    assert stage.vote(run, "bob").refusal is None
    assert stage.play(run).state == RunState.SUCCEEDED


def test_a_code_that_a_later_policy_asks_for_is_asked_for_anew(stage: Stage) -> None:
    change_policy(stage, lambda text: forms.append(text, write(FIRST)))
    run = stage.play(stage.start(NOTE))
    plain = stage.request(run)
    assert stage.vote(run, "bob").refusal is None
    coded = write(replace(FIRST, code=True))
    change_policy(stage, lambda text: forms.replace(text, "first", coded))
    run = stage.play(run)
    assert run.state == RunState.AWAITING_APPROVAL
    assert (plain.factor, stage.request(run).factor) == ("", "totp")
    assert stage.request(run).supersedes_id == plain.id


def test_the_next_run_obeys_a_rule_by_form(stage: Stage) -> None:
    rule = RuleForm("no-notes", "tool", {"tool": "note_down"}, reason="No notes any more.")
    assert stage.play(stage.start(NOTE)).state == RunState.SUCCEEDED
    change_policy(stage, lambda text: forms.append(text, write(rule)))
    run = stage.play(stage.start(NOTE, program("final_answer({'done': False})")))
    assert run.state == RunState.SUCCEEDED
    assert "No notes any more." in stage.model.observed()


REDACT = (
    '\n@id("no-accounts") @redact("account")'
    ' permit(principal, action in Action::"call", resource == Tool::"list_vendors");\n'
)
READ = program("found = list_vendors()\nprint(found)")


def test_a_field_that_a_rule_withholds_reaches_neither_program_nor_model(stage: Stage) -> None:
    before = stage.play(stage.start(READ, program("final_answer({'done': True})")))
    assert before.state == RunState.SUCCEEDED
    [told] = [call.result for call in stage.calls(before)]
    account = told[0]["account"]
    assert account in stage.model.observed()
    change_policy(stage, lambda text: text + REDACT)
    run = stage.play(stage.start(READ, program("final_answer({'done': True})")))
    [kept] = [call.result for call in stage.calls(run)]
    assert [vendor["account"] for vendor in kept] == [WITHHELD] * len(told)
    assert account not in stage.model.observed()
    assert WITHHELD in stage.model.observed()


REDACT_LETTER = REDACT.replace("list_vendors", "fetch_letter")
LETTER = program("letter = fetch_letter(vendor='V-1')\nprint(letter)")
OPEN = program("print(open('in/1-1-letter.txt').read())")


def test_a_file_of_an_answer_with_withheld_fields_is_withheld_whole(stage: Stage) -> None:
    """Nobody can take a field out of a file, so what it holds reaches nobody."""
    register_signed(stage.cast, LETTERS)
    done = program("final_answer({'done': True})")
    before = stage.play(stage.start(LETTER, OPEN, done))
    assert "pay to XX66" in stage.steps(before)[1].observation
    change_policy(stage, lambda text: text + REDACT_LETTER)
    run = stage.play(stage.start(LETTER, OPEN, done))
    first, second, _ = stage.steps(run)
    assert "a rule withholds account of what this tool answers" in first.observation
    assert "FileNotFoundError" in second.observation
    [call] = stage.calls(run)
    assert (call.state, call.files) == ("succeeded", [])
    with in_workspace(stage.workspace_id):
        assert not Artifact.objects.filter(run=run).exists()


def test_what_is_said_of_withheld_files() -> None:
    files = [GivenFile("1-1-a.txt", b"x")]
    handle = {"artifact": "1-1-a.txt", "sha256": "0", "bytes": 1}
    answer = {"account": "DE01", "files": [handle, {"artifact": "other"}], "name": "V"}
    assert told(answer, files, ()) == (answer, files)
    value, left = told(answer, files, ["Account"])
    assert value["account"] == WITHHELD
    assert value["files"][0].startswith("[file withheld by policy: a rule withholds Account")
    assert (value["files"][1], value["name"], left) == ({"artifact": "other"}, "V", ())
    assert told({"account": "DE01"}, [], ["account"]) == ({"account": WITHHELD}, [])
