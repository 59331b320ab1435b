"""What holds for every request and every rule, checked against a second evaluator."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.engine import Outcome, compile_policy, decide
from policies.requests import Request
from policies.starter import starter_text
from tests.policies import oracle
from tests.policies.engine.strategies import (
    TOOLS,
    calls,
    every_request,
    policy_text,
    prompts,
    rules,
)

ORDER = list(Outcome)
quick = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@quick
@given(every_request)
def test_starter_agrees_with_the_second_evaluator(request: Request) -> None:
    policies = compile_policy(starter_text(), tools=TOOLS)
    found = decide(request, policies)
    assert found.outcome is oracle.outcome(request, starter_text(), TOOLS), found
    assert not found.errors


PROMPT_RULES = "".join(
    f'@id("r{n}") forbid(principal, action == Action::"use_model", resource) when {{ {said} }};'
    for n, said in enumerate(
        (
            '!context.prompt.secrets.isEmpty() && !resource.labels.contains("secret")',
            'context.prompt.personal.containsAny(["card", "phone"]) && !resource.labels.isEmpty()',
            'context.prompt.personal.contains("email") && context.run.step > 3',
            'context.prompt.secrets.contains("Slack Token")',
        )
    )
)


@quick
@given(prompts)
def test_rules_about_prompts_agree_with_the_second_evaluator(request: Request) -> None:
    text = policy_text([]) + PROMPT_RULES
    found = decide(request, compile_policy(text, tools=TOOLS))
    assert found.outcome is oracle.outcome(request, text, TOOLS), found
    assert not found.errors


@quick
@given(calls, rules)
def test_any_rules_agree_with_the_second_evaluator(
    request: Request, drawn: list[tuple[str, str, str]]
) -> None:
    text = policy_text(drawn)
    found = decide(request, compile_policy(text, tools=TOOLS))
    assert found.outcome is oracle.outcome(request, text, TOOLS), found


@quick
@given(calls, rules, st.tuples(st.just("hard"), st.just("when"), st.just("resource.tier >= 0")))
def test_adding_a_hard_forbid_never_allows_more(
    request: Request, drawn: list[tuple[str, str, str]], extra: tuple[str, str, str]
) -> None:
    before = decide(request, compile_policy(policy_text(drawn), tools=TOOLS)).outcome
    after = decide(request, compile_policy(policy_text([*drawn, extra]), tools=TOOLS)).outcome
    assert ORDER.index(after) >= ORDER.index(before)


@quick
@given(calls, rules)
def test_a_shadow_rule_changes_nothing_and_is_recorded(
    request: Request, drawn: list[tuple[str, str, str]]
) -> None:
    plain = decide(request, compile_policy(policy_text(drawn), tools=TOOLS))
    always = ("shadow", "when", "resource.tier >= 0")
    shadowed = decide(request, compile_policy(policy_text([*drawn, always]), tools=TOOLS))
    assert shadowed.outcome is plain.outcome
    assert shadowed.requirement == plain.requirement
    assert any(rule.shadow for rule in shadowed.rules)


def paths(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(value, dict) or "__extn" in value:
        return [path]
    return [path, *(p for key, item in value.items() for p in paths(item, (*path, key)))]


def without(value: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    head, *rest = path
    if not rest:
        return {key: item for key, item in value.items() if key != head}
    return {**value, head: without(value[head], tuple(rest))}


@quick
@given(every_request, st.data())
def test_dropping_any_fact_never_relaxes_a_decision(request: Request, data: st.DataObject) -> None:
    policies = compile_policy(starter_text(), tools=TOOLS)
    before = decide(request, policies).outcome
    path = data.draw(st.sampled_from([p for p in paths(request.context) if p]))
    found = decide(replace(request, context=without(dict(request.context), path)), policies)
    assert ORDER.index(found.outcome) >= ORDER.index(before), path


WRONG: tuple[object, ...] = (
    None,
    1.5,
    float("nan"),
    float("inf"),
    2**63,
    -(2**70),
    "text",
    [],
    {},
    [1],
    True,
)


@quick
@given(every_request, st.data(), st.sampled_from(WRONG))
def test_a_fact_of_the_wrong_type_denies_with_a_reason(
    request: Request, data: st.DataObject, wrong: object
) -> None:
    policies = compile_policy(starter_text(), tools=TOOLS)
    path = data.draw(st.sampled_from([p for p in paths(request.context) if p]))
    context = dict(request.context)
    inner: Any = context
    for key in path[:-1]:
        inner[key] = dict(inner[key])
        inner = inner[key]
    if type(inner[path[-1]]) is type(wrong):
        return
    inner[path[-1]] = wrong
    found = decide(replace(request, context=context), policies)
    assert found.outcome is Outcome.DENY
    assert found.errors


@pytest.mark.parametrize("action", ["", "call", "call:unknown", "fly", 'x"; permit', "\0"])
def test_an_unknown_action_is_denied(action: str) -> None:
    policies = compile_policy(starter_text(), tools=TOOLS)
    request = Request(action, ("Agent", "a"), ("Tool", "nothing"), {})
    found = decide(request, policies)
    assert found.outcome is Outcome.DENY
    assert found.errors
