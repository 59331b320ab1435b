"""Compiling, deciding, explaining."""

from dataclasses import replace

import pytest

from policies import requests
from policies.engine import Outcome, PolicyError, compile_policy, decide, preview, strictest
from policies.facts.record import Argument, CallSite, Origin
from policies.starter import starter_text
from tests.policies.engine.strategies import PAY, SEND, TOOLS

CTX = requests.RunContext(workspace="w", agent="ap")
TASK = {"**": Origin(frozenset({"task"}))}
ALL = '@id("all") permit(principal, action, resource);\n'


def call(amount: object = 5, **more: object) -> requests.Request:
    return requests.call(CTX, SEND, {"to": "ann", "amount": amount, **more}, TASK)


def rule(condition: str, notes: str = "") -> str:
    return (
        f'{ALL}@id("r") {notes} forbid(principal, action == Action::"call:send", resource) '
        f"when {{ {condition} }};"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("permit(principal, action, resource);", "no @id"),
        (ALL + ALL, "two rules have the id"),
        ("permit(", "not valid Cedar"),
        (rule("context.argument.amout > 3"), "rule 'r'.*amout"),
        (rule("context.argument.urgent"), "rule 'r'"),
        (rule('context.argument.amount > decimal("1.0")'), "rule 'r'"),
        (rule("true", '@review("")'), "must name one role"),
        (rule("true", '@review("a, b")'), "must name one role"),
        (rule("true", '@review("reviewer") @quorum("0")'), "@quorum must be"),
        (rule("true", '@review("reviewer") @quorum("many")'), "@quorum must be"),
        (rule("true", '@review("reviewer") @factor("sms")'), "stands beside a @review"),
        (rule("true", '@review("reviewer") @factor'), "stands beside a @review"),
        (rule("true", '@factor("totp")'), "stands beside a @review"),
        (rule("true", '@allow("x")'), "unknown annotation @allow"),
        (rule("context.argument.amount + 1 > 3"), "do not compute"),
        ('@id("p") @shadow permit(principal, action, resource);', "only a forbid"),
        ('@id("p") permit(principal == ?principal, action, resource);', "not supported"),
        (rule("context.argument.amount > 1").replace("call:send", "call:gone"), "rule 'r'"),
        ("// " + "x" * 600_000, "longer than"),
    ],
)
def test_a_policy_that_cannot_hold_is_refused_with_its_reason(text: str, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        compile_policy(text, tools=TOOLS)


def test_no_rules_allow_nothing() -> None:
    found = decide(call(), compile_policy("", tools=TOOLS))
    assert found.outcome is Outcome.DENY
    assert found.sentence == "Denied: no rule allows this."


def test_a_soft_rule_asks_for_its_signatures() -> None:
    notes = '@review("reviewer:finance") @quorum("2") @reason("Large.")'
    policies = compile_policy(rule("context.argument.amount > 1000", notes), tools=TOOLS)
    found = decide(call(5000), policies)
    assert found.outcome is Outcome.REVIEW
    assert list(found.requirement) == [("reviewer:finance", 2)]
    assert found.rules[0].sentence == (
        "Ask two finance reviewers to countersign a call of send when its amount is more than 1000."
    )
    assert found.sentence == "Needs a countersignature: Large."
    assert decide(call(5), policies).outcome is Outcome.ALLOW


def test_a_hard_rule_beats_a_soft_one() -> None:
    soft = rule("true", '@review("reviewer")')
    text = soft + '@id("never") forbid(principal, action, resource);'
    found = decide(call(), compile_policy(text, tools=TOOLS))
    assert found.outcome is Outcome.DENY
    assert [fired.id for fired in found.rules] == ["never"]
    assert not list(found.requirement)


def test_obligations_stand_beside_the_outcome() -> None:
    notes = '@review("reviewer") @mask("iban") @notify("treasury")'
    found = decide(call(), compile_policy(rule("true", notes), tools=TOOLS))
    assert found.rules[0].obligations == ("mask:iban", "notify:treasury")


@pytest.mark.parametrize(
    "amount", [2**63, 1e400, float("nan"), float("inf"), "1,5", None, True, [], 10**30, 1e17]
)
def test_an_amount_that_cannot_be_compared_denies(amount: object) -> None:
    found = decide(call(amount), compile_policy(ALL, tools=TOOLS))
    assert found.outcome is Outcome.DENY
    assert "amount" in found.errors[0]


@pytest.mark.parametrize(
    ("value", "minor"),
    [(1, 100), (1.001, 101), (0.1 + 0.2, 31), (-0.5, 50), ("12.34", 1234), (1e-9, 1), (-0.001, 1)],
)
def test_amounts_are_hundredths_rounded_up(value: float, minor: int) -> None:
    request = requests.call(CTX, SEND, {"to": "ann", "amount": value}, TASK)
    assert request.context["call"]["amount_minor"] == minor


def test_a_tool_of_another_version_is_denied() -> None:
    policies = compile_policy(ALL, tools=TOOLS)
    changed = requests.call(CTX, replace(SEND, version="v9"), {"to": "a", "amount": 1}, TASK)
    found = decide(changed, policies)
    assert found.outcome is Outcome.DENY
    assert "not the version" in found.errors[0]


def test_an_argument_without_an_origin_is_unknown() -> None:
    request = requests.call(CTX, SEND, {"to": "ann", "amount": 1}, {})
    assert "unknown" in request.context["call"]["recipient_sources"]


def test_equal_policies_have_one_hash_and_others_another() -> None:
    first = compile_policy(ALL, tools=TOOLS).hash
    assert first == compile_policy(ALL, tools=TOOLS).hash
    assert first != compile_policy(ALL, tools=[SEND]).hash
    assert first != compile_policy(ALL + "// x", tools=TOOLS).hash


def site(**values: object) -> CallSite:
    passed = tuple(
        Argument(name, SEND.roles.get(name, ""), value is not ..., value, "x", TASK["**"])
        for name, value in values.items()
    )
    return CallSite(
        "send", "write", 1, frozenset(), 1, 0, passed, frozenset(), frozenset(), False, 1,
        frozenset(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("amount", "notes", "outcome"),
    [
        (..., "", Outcome.REVIEW),
        (..., '@review("reviewer")', Outcome.REVIEW),
        (5000, "", Outcome.DENY),
        (5000, '@review("reviewer")', Outcome.REVIEW),
        (5, "", Outcome.ALLOW),
    ],
)
def test_a_preview_says_what_an_unknown_argument_may_bring(
    amount: object, notes: str, outcome: Outcome
) -> None:
    policies = compile_policy(rule("context.argument.amount > 1000", notes), tools=TOOLS)
    request = requests.planned_call(CTX, SEND, site(to="ann", amount=amount))
    assert preview(request, policies).outcome is outcome


def test_a_preview_without_such_rules_is_the_decision() -> None:
    policies = compile_policy(starter_text(), tools=TOOLS)
    request = requests.planned_call(CTX, SEND, site(to="ann", amount=...))
    assert preview(request, policies).outcome is Outcome.ALLOW


def test_unknown_arguments_are_never_decided() -> None:
    policies = compile_policy(ALL, tools=TOOLS)
    request = requests.planned_call(CTX, SEND, site(to=..., amount=...))
    assert decide(request, policies).outcome is Outcome.DENY


def test_the_strictest_decision_keeps_its_rules() -> None:
    policies = compile_policy(starter_text(), tools=TOOLS)
    allow = decide(call(), policies)
    review = decide(requests.call(CTX, PAY, {"iban": "x"}, TASK), policies)
    joined = strictest([allow, review, allow])
    assert joined.outcome is Outcome.REVIEW
    assert list(joined.requirement) == [("reviewer", 2)]


def test_decisions_become_json() -> None:
    policies = compile_policy(starter_text(), tools=TOOLS)
    found = decide(requests.call(CTX, PAY, {"iban": "x"}, TASK), policies).to_json()
    assert found["outcome"] == "review"
    assert found["requirement"] == [{"role": "reviewer", "quorum": 2}]


def coded(name: str, notes: str, least: int) -> str:
    return (
        f'@id("{name}") @review("reviewer:finance") {notes} forbid(principal,'
        f' action == Action::"call:send", resource) when {{ context.argument.amount >= {least} }};'
    )


def test_one_rule_that_asks_for_a_code_is_enough() -> None:
    text = ALL + coded("two", '@quorum("2")', 10) + coded("code", '@factor("totp")', 100)
    policies = compile_policy(text, tools=TOOLS)
    plain, both = decide(call(10), policies), decide(call(100), policies)
    assert (tuple(plain.requirement), plain.requirement.factor) == ((("reviewer:finance", 2),), "")
    assert tuple(both.requirement) == (("reviewer:finance", 2),)
    assert both.requirement.factor == "totp"
    assert strictest([plain, both]).requirement.factor == "totp"
    assert both.to_json()["requirement"] == [
        {"role": "reviewer:finance", "quorum": 2, "factor": "totp"}
    ]
    assert policies.rules["code"].sentence.startswith(
        "Ask one finance reviewer, with a code of their authenticator, to countersign"
    )


def test_a_rule_on_trial_asks_nobody_for_a_code() -> None:
    text = ALL + coded("now", "", 1) + coded("trial", '@shadow @factor("totp")', 1)
    assert decide(call(5), compile_policy(text, tools=TOOLS)).requirement.factor == ""


def test_a_preview_tells_of_the_code_too() -> None:
    policies = compile_policy(ALL + coded("code", '@factor("totp")', 100), tools=TOOLS)
    planned = requests.planned_call(CTX, SEND, site(to="ann", amount=...))
    assert preview(planned, policies).requirement.factor == "totp"
