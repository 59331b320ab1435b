"""Required tests, and past decisions decided again."""

from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from policies import cases, forms, requests
from policies.engine import Requirement, compile_policy, decide
from policies.facts.extract import extract
from policies.facts.library import DEFAULT_IMPORTS
from policies.forms import RuleForm, write
from policies.requests import RunContext
from policies.simulation import Past, Simulator
from policies.starter import starter_text
from tests.policies.suites import load, tools

BASE = compile_policy(starter_text(), tools=tools())
NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
SIGNED: dict[str, Any] = {"name": "x", "expect": "review", "kind": "program", "code": "1"}


def past(ctx: RunContext, code: str, policies: Any = BASE) -> Past:
    facts = extract(code, tools=tools(), allowed_imports=DEFAULT_IMPORTS)
    request = requests.execute(ctx, facts)
    made = decide(request, policies)
    return Past("key", request.action, made.outcome.value, tuple(made.requirement), asdict(request))


def test_each_kind_of_test_runs() -> None:
    request = asdict(requests.start_run(RunContext(now=NOW), "A task."))
    given = [
        cases.program("sums", "print(1 + 1)", "allow"),
        cases.program("opens", "open('/etc/passwd')", "deny"),
        cases.call("mail", "send_mail", {"to": "a@b.c", "subject": "", "body": ""}, "review"),
        cases.stored("starts", request, "allow"),
    ]
    found = cases.check(given, BASE)
    assert [(one.name, one.problem) for one in found if one.got is None] == []
    assert [one.passed for one in found][:2] == [True, True]
    assert found[3].passed


def test_a_review_must_ask_for_the_signatures_that_a_test_names() -> None:
    arguments = {"to": "a@b.c", "subject": "", "body": ""}
    mail = cases.call(
        "mail", "send_mail", arguments, "review", labels=["personal"], seen=["untrusted"]
    )
    one, two = (
        cases.check([cases.signed(mail, Requirement((("reviewer", n),)))], BASE)[0] for n in (1, 2)
    )
    assert (one.passed, two.passed) == (True, False)
    grouped = cases.signed(mail, Requirement((("reviewer:finance", 1),)))
    assert not cases.check([grouped], BASE)[0].passed
    coded = cases.signed(mail, Requirement((("reviewer", 1),), "totp"))
    assert not cases.check([coded], BASE)[0].passed
    with pytest.raises(cases.CaseError, match="expects review"):
        cases.signed({**mail, "expect": "deny"}, Requirement((("reviewer", 1),)))


def test_a_test_of_a_tool_that_is_gone_fails_and_says_so() -> None:
    [found] = cases.check([cases.call("x", "no_such_tool", {}, "deny")], BASE)
    assert not found.passed
    assert "no tool no_such_tool any more" in found.problem


@pytest.mark.parametrize(
    "case",
    [
        {},
        {"name": "x", "expect": "maybe", "kind": "program", "code": "1"},
        {"name": "x", "expect": "deny", "kind": "other"},
        {"name": "x", "expect": "deny", "kind": "program", "code": ""},
        {"name": "x", "expect": "deny", "kind": "call", "tool": "t", "arguments": 3},
        {"name": "x", "expect": "deny", "kind": "request", "request": {"action": "call"}},
        SIGNED | {"signatures": {}},
        SIGNED | {"signatures": [1]},
        SIGNED | {"signatures": [{"role": 1, "quorum": 1}]},
        SIGNED | {"signatures": [{"role": "r", "quorum": True}]},
        SIGNED | {"signatures": [{"role": "r", "quorum": 99}]},
        SIGNED | {"signatures": [{"role": "r", "quorum": 1, "factor": "x"}]},
    ],
)
def test_what_is_no_test_is_refused_and_never_passes(case: dict[str, Any]) -> None:
    with pytest.raises(cases.CaseError):
        cases.validated(case)
    [found] = cases.check([case], BASE)
    assert not found.passed


def test_alike_decisions_are_decided_once_and_alike() -> None:
    contexts = [
        RunContext("w", "ap", "v1", "alice", step=n, now=NOW + timedelta(minutes=n))
        for n in range(5)
    ]
    decisions = [past(ctx, p.code) for ctx in contexts for p in load("benign")[:20]]
    simulator = Simulator(BASE)
    replayed = list(simulator.replay(decisions))
    assert not any(one.changed for one in replayed)
    assert simulator.decided <= 20


def test_what_a_rule_reads_keeps_decisions_apart() -> None:
    rule = write(RuleForm("late", "budget", {"counter": "steps", "limit": 3}))
    strict = Simulator(compile_policy(forms.append(BASE.text, rule), tools=tools()))
    decisions = [past(RunContext(spent={"steps": n}, now=NOW), "x = 1") for n in range(6)]
    moves = [one.move for one in strict.replay(decisions)]
    assert moves == ["allow -> allow"] * 3 + ["allow -> deny"] * 3
    assert strict.decided == 6


def test_a_request_of_another_shape_is_not_taken_for_a_valid_one() -> None:
    good = past(RunContext(now=NOW), "x = 1")
    context = {**good.request["context"]}
    context["program"] = {k: v for k, v in context["program"].items() if k != "lines"}
    broken = Past("k", "execute", "allow", (), {**good.request, "context": context})
    one, other = Simulator(BASE).replay([good, broken])
    assert one.now is not None
    assert other.now is not None
    assert (one.now.outcome.value, other.now.outcome.value) == ("allow", "deny")
    assert other.now.errors


def test_every_simulated_decision_is_that_of_the_engine() -> None:
    simulator = Simulator(BASE)
    for program in load("benign")[:60] + load("evasion")[:60]:
        facts = extract(program.code, tools=tools(), allowed_imports=DEFAULT_IMPORTS)
        request = requests.execute(RunContext(now=NOW), facts)
        assert simulator.decide(request) == decide(request, BASE)
        again = requests.execute(RunContext(step=2, now=NOW + timedelta(hours=1)), facts)
        assert simulator.decide(again) == decide(again, BASE)


def test_what_cannot_be_decided_again_is_counted_apart() -> None:
    gone = Past("k", "call:old", "allow", (), {"action": "call:old", "tool": ["old", "1"],
        "principal": ["Agent", "a"], "resource": ["Tool", "old"], "context": {}})  # fmt: skip
    broken = Past("k", "execute", "allow", (), {"action": "execute"})
    assert [one.move for one in Simulator(BASE).replay([gone, broken])] == ["allow -> ?"] * 2


def test_other_signatures_for_the_same_outcome_are_told() -> None:
    rule = write(RuleForm("more", "feature", {"feature": "blobs"}, role="reviewer", quorum=3))
    blob = f"x = '{'QUJD' * 600}'"
    decisions = [past(RunContext(now=NOW), blob)]
    assert decisions[0].outcome == "review"
    stricter = Simulator(compile_policy(forms.append(BASE.text, rule), tools=tools()))
    assert [one.move for one in stricter.replay(decisions)] == ["review -> other"]


def test_a_simulation_sees_that_a_signature_takes_a_code() -> None:
    mark = '@id("change-needs-a-second-person")'
    coded = compile_policy(BASE.text.replace(mark, f'{mark} @factor("totp")'), tools=tools())
    request = requests.change(person="p", kind="role", summary="Roles", tier=3, now=NOW)
    before = decide(request, BASE)
    was = Past("k", "change", before.outcome.value, tuple(before.requirement), asdict(request))
    [found] = Simulator(coded).replay([was])
    assert found.now is not None
    assert found.now.requirement.factor == "totp"
    assert (found.changed, found.move) == (True, "review -> other")
    [same] = Simulator(coded).replay([replace(was, factor="totp")])
    assert not same.changed


def asked(found: requests.PromptFacts, labels: frozenset[str] = frozenset()) -> Past:
    request = requests.use_model(RunContext(now=NOW), requests.ModelSpec("m", labels), found)
    made = decide(request, BASE)
    return Past("k", "use_model", made.outcome.value, tuple(made.requirement), asdict(request))


def of_before(past: Past) -> Past:
    """As a release stored it that did not look into prompts."""
    context = {**past.request["context"]}
    context["prompt"] = {k: v for k, v in context["prompt"].items() if k not in LOOKED_FOR}
    return replace(past, request={**past.request, "context": context})


LOOKED_FOR = ("secrets", "personal")


def test_a_prompt_that_nobody_looked_into_cannot_be_decided_by_what_it_held() -> None:
    """Neither allowed nor refused: what it held is not known, and a rule asks for it."""
    old = of_before(asked(requests.PromptFacts()))
    [found] = Simulator(BASE).replay([old])
    assert found.move == "allow -> ?"
    assert "nobody looked" in found.problem
    cleared = of_before(asked(requests.PromptFacts(), frozenset({"personal", "secret"})))
    [same] = Simulator(BASE).replay([cleared])
    assert (same.move, same.changed) == ("allow -> allow", False)
    blind = compile_policy('@id("all") permit(principal, action, resource);', tools=tools())
    assert [one.changed for one in Simulator(blind).replay([old])] == [False]


def test_as_a_required_test_such_a_prompt_counts_as_holding_everything() -> None:
    old = of_before(asked(requests.PromptFacts()))
    [found] = cases.check([cases.stored("old", old.request, "allow")], BASE)
    assert found.answered == "deny"
    rule = '@id("slack") forbid(principal, action == Action::"use_model", resource) when {{ {} }};'
    for condition in (
        'prompt.secrets.contains("Slack Token")',
        'prompt.personal.contains("phone")',
    ):
        text = '@id("all") permit(principal, action, resource);' + rule.format(
            f"context.{condition}"
        )
        policies = compile_policy(text, tools=tools())
        [found] = cases.check([cases.stored("old", old.request, "allow")], policies)
        assert found.answered == "deny"


def test_a_simulation_tells_which_prompts_a_new_rule_would_stop() -> None:
    rule = write(RuleForm("mails", "prompt", {"found": ["email"], "label": "personal"}))
    strict = Simulator(compile_policy(forms.append(BASE.text, rule), tools=tools()))
    mail = requests.PromptFacts(personal=frozenset({"email"}))
    past = [asked(mail), asked(requests.PromptFacts()), asked(mail, frozenset({"personal"}))]
    assert [one.move for one in strict.replay(past)] == [
        "allow -> deny", "allow -> allow", "allow -> allow",
    ]  # fmt: skip
