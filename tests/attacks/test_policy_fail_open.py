"""A policy that cannot be evaluated must not be a policy that allows.

Without a schema Cedar drops a `forbid` that raises an error and answers Allow; a misspelt
attribute, a missing fact or a number out of range would each switch a rule off.
"""

from dataclasses import replace

import cedarpy
import pytest

from policies import requests
from policies.engine import Outcome, PolicyError, compile_policy, decide
from policies.facts.record import Origin
from tests.policies.engine.strategies import SEND

TEXT = (
    '@id("all") permit(principal, action, resource);\n'
    '@id("limit") forbid(principal, action == Action::"call:send", resource) '
    "when { context.argument.amount > 1000 };"
)
POLICIES = compile_policy(TEXT, tools=[SEND])
BIG_ORIGINS = {"**": Origin(frozenset({"task"}))}
BIG = requests.call(
    requests.RunContext(agent="a"), SEND, {"to": "mallory", "amount": 99_999}, BIG_ORIGINS
)


def with_argument(**argument: object) -> requests.Request:
    return replace(BIG, context={**BIG.context, "argument": argument})


def test_the_trap_is_real_without_a_schema() -> None:
    answer = cedarpy.is_authorized(
        {
            "principal": 'Agent::"a"',
            "action": 'Action::"call:send"',
            "resource": 'Tool::"send"',
            "context": {},
        },
        TEXT,
        [],
    )
    assert answer.allowed
    assert answer.diagnostics.errors


def test_the_rule_holds_when_its_fact_is_there() -> None:
    assert decide(BIG, POLICIES).outcome is Outcome.DENY
    assert not decide(BIG, POLICIES).errors


@pytest.mark.parametrize(
    "argument",
    [
        {"to": "mallory"},
        {"to": "mallory", "amout": 99_999},
        {"to": "mallory", "amount": "99999"},
        {"to": "mallory", "amount": None},
        {"to": "mallory", "amount": 2**64},
        {"to": "mallory", "amount": 1e3},
        {"to": "mallory", "amount": float("nan")},
        {"to": "mallory", "amount": 5, "extra": 1},
        {},
    ],
)
def test_a_missing_or_misshapen_fact_denies(argument: dict[str, object]) -> None:
    found = decide(with_argument(**argument), POLICIES)
    assert found.outcome is Outcome.DENY
    assert found.errors
    assert "could not be decided" in found.sentence


@pytest.mark.parametrize("amount", ["99999", True, 2**64, 1.5])
def test_a_value_of_the_wrong_type_denies_and_says_which_is_right(amount: object) -> None:
    asked = requests.call(
        requests.RunContext(agent="a"), SEND, {"to": "bob", "amount": amount}, BIG_ORIGINS
    )
    found = decide(asked, POLICIES)
    assert found.outcome is Outcome.DENY
    assert "argument 'amount' has to be a whole number that fits in 64 bits" in found.sentence


def test_a_misspelt_attribute_never_becomes_a_policy() -> None:
    with pytest.raises(PolicyError, match="amout"):
        compile_policy(TEXT.replace("amount", "amout"), tools=[SEND])


def test_a_request_without_context_denies() -> None:
    assert decide(replace(BIG, context={}), POLICIES).outcome is Outcome.DENY


def test_an_empty_set_is_a_value_not_an_absence() -> None:
    text = TEXT + (
        '@id("seen") forbid(principal, action in Action::"call", resource) '
        "when { context.call.seen.isEmpty() };"
    )
    small = requests.call(
        requests.RunContext(agent="a"), SEND, {"to": "x", "amount": 1}, {"**": Origin()}
    )
    assert decide(small, compile_policy(text, tools=[SEND])).outcome is Outcome.DENY


def test_another_version_of_a_tool_under_the_same_name_denies() -> None:
    changed = replace(SEND, version="other")
    request = requests.call(requests.RunContext(agent="a"), changed, {"to": "x", "amount": 1}, {})
    assert decide(request, POLICIES).outcome is Outcome.DENY


def test_an_engine_that_raises_denies() -> None:
    broken = replace(POLICIES, entities=None)  # type: ignore[arg-type]
    found = decide(BIG, broken)
    assert found.outcome is Outcome.DENY
    assert "engine failure" in found.errors[0]
