"""What stands on a card beside the request: the last one like it that people let through."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents.approvals import comparison
from agents.models import Run, RunState
from audit import canonical
from audit.transactions import in_workspace
from policies import selectors
from policies.models import Answer, ApprovalRequest, Kind
from tests.agents.runs.stage import Stage, program
from tests.attacks.test_run_bypasses import change_policy

LOOK = (
    '\n@id("look") @review("reviewer:finance")'
    ' forbid(principal, action == Action::"execute", resource)'
    ' when { context.program.imports.contains("random") };\n'
)
ANSWER = program("final_answer({'done': True})")


def write(text: str, name: str = "said", note: str = "") -> str:
    return program(f"import random\n{name} = 'a' + {text!r}{note}\nprint({name})")


@pytest.fixture
def looked(stage: Stage) -> Stage:
    """Programs that use `random` wait for a signature."""
    change_policy(stage, lambda text: text + LOOK)
    return stage


def ask(stage: Stage, code: str, answer: Answer | None = Answer.SIGN) -> ApprovalRequest:
    run = stage.play(stage.start(code, ANSWER))
    assert run.state == RunState.AWAITING_APPROVAL, run.reason
    request = stage.request(run)
    if answer is not None:
        assert stage.vote(run, "bob", answer, "seen").refusal is None
    return request


def pay(stage: Stage, *accounts: str, cents: int = 1000) -> Run:
    lines = [f"pay(account={account!r}, amount_cents={cents})" for account in accounts]
    return stage.play(stage.start(program("\n".join(lines)), ANSWER))


def applied(stage: Stage, *accounts: str) -> ApprovalRequest:
    run = pay(stage, *accounts)
    for name in ("bob", "beth"):
        assert stage.vote(run, name).refusal is None
    assert stage.play(run).state == RunState.SUCCEEDED
    return stage.request(run)


def test_the_first_program_of_a_shape_has_nothing_beside_it(looked: Stage) -> None:
    assert ask(looked, write("one")).displayed["compared"] is None


def test_a_program_stands_beside_the_last_signed_one_of_its_shape(looked: Stage) -> None:
    before = ask(looked, write("one"))
    shown = ask(looked, write("two", name="told", note="  # as usual"), None).displayed["compared"]
    assert shown["request"] == str(before.id)
    assert shown["signed_by"] == ["Bob"]
    assert shown["values"] == [{"line": 2, "before": "'one'", "now": "'two'"}]
    assert "'one'" in shown["code"]


def test_the_comparison_is_part_of_what_is_signed(looked: Stage) -> None:
    ask(looked, write("one"))
    request = ask(looked, write("two"), None)
    with in_workspace(looked.workspace_id):
        stored = ApprovalRequest.objects.get(id=request.id)
    assert canonical.digest(stored.displayed) == stored.displayed_digest


@pytest.mark.parametrize("answer", [Answer.REJECT, None])
def test_what_nobody_signed_is_no_precedent(looked: Stage, answer: Answer | None) -> None:
    ask(looked, write("one"), answer)
    assert ask(looked, write("two"), None).displayed["compared"] is None


def test_another_structure_is_not_alike(looked: Stage) -> None:
    ask(looked, write("one"))
    other = ask(looked, program("import random\nprint('one')"), None)
    assert other.displayed["compared"] is None


def test_an_approved_program_of_another_agent_or_workspace_is_not_alike(looked: Stage) -> None:
    request = ask(looked, write("one"))
    ours, theirs = (looked.cast.id(name) for name in ("alice", "mallory"))
    likenesses = {comparison.likeness(each, Kind.CODE, "shape", []) for each in (ours, theirs)}
    assert len(likenesses) == 2
    elsewhere = looked.cast.other.id
    assert selectors.last_alike(elsewhere, request.likeness, used=False) is None


def test_nothing_is_like_what_has_no_likeness(looked: Stage) -> None:
    assert selectors.last_alike(looked.workspace_id, "", used=False) is None


def test_effects_stand_beside_the_last_that_were_applied(stage: Stage) -> None:
    before = applied(stage, "DE01")
    assert before.displayed["compared"] is None
    shown = stage.request(pay(stage, "DE01", "SE02", cents=500)).displayed["compared"]
    assert shown["request"] == str(before.id)
    assert shown["tools"] == [{"tool": "pay", "before": 1, "now": 2, "changed": False}]
    assert shown["amounts"] == [{"currency": "", "before": 1000, "now": 1000}]
    assert shown["recipients"] == {"before": 1, "now": 2, "new": ["SE02"], "alike": [], "gone": 0}


def test_a_recipient_that_looks_like_the_last_one_is_told() -> None:
    roles = {"to": "recipient"}
    [before, now] = [{"roles": roles, "arguments": {"to": to}} for to in ("pay", ["p\u0430y", "b"])]
    fresh, old = comparison._recipients([now]), comparison._recipients([before])
    assert comparison._twins(list(fresh), old) == [{"now": "p\u0430y", "before": "pay"}]


def test_signed_effects_that_were_not_applied_are_no_precedent(stage: Stage) -> None:
    run = pay(stage, "DE01")
    for name in ("bob", "beth"):
        stage.vote(run, name)
    assert stage.request(pay(stage, "DE01")).displayed["compared"] is None


def test_it_is_one_look_at_an_index_however_many_were_signed(looked: Stage) -> None:
    for text in ("one", "two", "three"):
        request = ask(looked, write(text))
    with CaptureQueriesContext(connection) as queries, in_workspace(looked.workspace_id):
        selectors.last_alike(looked.workspace_id, request.likeness, used=False)
    asked = [q["sql"] for q in queries if "policies_" in q["sql"]]
    assert len(asked) == 2  # the request with its approval, then its votes


def test_another_version_of_a_tool_is_said() -> None:
    now: dict[str, Any] = {"tool": "pay", "version": "2", "roles": {}, "arguments": {}}
    told = comparison._tools([{**now, "version": "1"}], [now, now])
    assert told == [{"tool": "pay", "before": 1, "now": 2, "changed": True}]
