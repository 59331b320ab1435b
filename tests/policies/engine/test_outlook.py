"""What is told of a tool's calls in advance is what the engine decides of each of them."""

from dataclasses import replace

import cedarpy
import pytest
from cedarpy import pst
from hypothesis import given, settings

from policies.engine import Outcome, Requirement, _with_permit_all, compile_policy, decide
from policies.facts.record import ToolSpec
from policies.outlook import Outlook, outlook, reduced
from policies.requests import Request
from policies.starter import starter_text
from tests.policies.engine.strategies import PAY, READ, SEND, TOOLS, calls

EXPERT = (
    'when { resource == Tool::"send" && context.call.amount_known }',
    'when { resource == Tool::"pay" || context.call.first_use }',
    "unless { resource.tier == 1 && context.run.hour < 12 }",
    "when { if resource.outward then context.run.hour < 12 else context.run.hour > 12 }",
    'when { ["send", "pay"].contains(resource.name) && resource.name like "s*d" }',
    "when { resource.labels.containsAny(context.call.labels) }",
    "unless { resource.labels.containsAll(context.call.labels) || resource.labels.isEmpty() }",
    'when { action in [Action::"call:pay", Action::"call"] && !(resource.tier >= 2) }',
    "when { resource is Tool && (resource.tier < 2) == context.call.amount_known }",
    'when { resource has name && principal == Agent::"ap" }',
    "when { context.run.agency > resource.tier }",
    'when { resource.labels == ["untrusted"] || [resource.effect, "x"].contains("read") }',
    "when { {a: resource.tier, b: context.run.hour}.b > 12 }",
)
TEXT = starter_text() + "".join(
    f'@id("x{n}") forbid(principal, action in Action::"call", resource) {condition};\n'
    for n, condition in enumerate(EXPERT)
)
WHOLE = compile_policy(TEXT, tools=TOOLS)
CALLS = [name for name, tree in WHOLE.trees.items() if isinstance(tree.action, pst.ActionIn)]


def holds(tree: pst.Template, request: Request) -> bool:
    """Whether one rule holds for a request, asked of Cedar."""
    alone = replace(tree, effect="forbid")
    question = {
        "principal": {"type": request.principal[0], "id": request.principal[1]},
        "action": {"type": "Action", "id": request.action},
        "resource": {"type": request.resource[0], "id": request.resource[1]},
        "context": request.context,
    }
    answer = cedarpy.is_authorized(
        question, _with_permit_all([alone]), WHOLE.entities, WHOLE.schema
    )
    assert not answer.diagnostics.errors
    return answer.decision is not cedarpy.Decision.Allow


@settings(max_examples=15, deadline=None)
@given(calls)
def test_what_is_left_of_a_rule_holds_exactly_where_the_rule_does(request: Request) -> None:
    for name in CALLS:
        tree = WHOLE.trees[name]
        left = reduced(tree, SEND)
        found = left is not None and holds(left, request)
        assert found == holds(tree, request), name


@settings(max_examples=15, deadline=None)
@given(calls)
def test_no_call_gets_a_milder_answer_than_was_told(request: Request) -> None:
    policies = compile_policy(starter_text(), tools=TOOLS)
    seen, decision = outlook(policies, SEND), decide(request, policies)
    order = list(Outcome)
    assert seen.outcome is not None
    assert order.index(decision.outcome) >= order.index(seen.outcome)
    if decision.outcome is Outcome.REVIEW:
        needed = dict(decision.requirement)
        assert all(needed.get(role, 0) >= count for role, count in seen.requirement)


def of(text: str, tool: ToolSpec) -> Outlook:
    return outlook(compile_policy(text, tools=TOOLS), tool)


def said(found: Outlook) -> list[str]:
    return [prospect.sentence for prospect in found.depends]


EVERY_CALL = '@id("f") forbid(principal, action in Action::"call", resource)'
BIG = (
    '@id("big") @review("reviewer:finance") @quorum("2") '
    'forbid(principal, action in Action::"call", resource)'
    ' when { resource.effect == "write" && context.call.amount_minor > 100000 };\n'
)
ALL = '@id("p") permit(principal, action, resource);\n'


def test_what_a_call_will_need_is_told_with_its_condition() -> None:
    found = of(ALL + BIG, SEND)
    assert (found.outcome, len(found.requirement)) == (Outcome.ALLOW, 0)
    assert said(found) == [
        "Ask two finance reviewers to countersign a call of send when the amount is more than"
        " 1,000.00."
    ]
    assert said(of(ALL + BIG, READ)) == []


def test_what_every_call_needs_is_told_without_one() -> None:
    found = of(starter_text(), PAY)
    assert (found.outcome, found.requirement.quorums) == (Outcome.REVIEW, (("reviewer", 2),))
    assert all("risk tier" not in sentence for sentence in said(found))
    assert not any("one reviewer" in sentence for sentence in said(found))
    assert found.covered > 5


@pytest.mark.parametrize(
    "rules",
    [
        '@id("p") permit(principal, action == Action::"execute", resource);',
        ALL + '@id("f") forbid(principal, action, resource == Tool::"send");',
        ALL + EVERY_CALL + " when { resource.tier < 2 };",
    ],
)
def test_a_tool_whose_every_call_is_refused_is_told_as_that(rules: str) -> None:
    assert of(rules, SEND) == Outlook(Outcome.DENY, Requirement(), ())


def test_a_permit_with_a_condition_leaves_it_open() -> None:
    rules = '@id("p") permit(principal, action, resource) when { context.run.hour < 8 };'
    rules = rules.replace("action, resource", 'action in Action::"call", resource')
    found = of(rules, SEND)
    assert found.outcome is None
    assert said(found) == ["Allow a call of send when it is before 8:00 UTC."]


def test_a_rule_on_trial_changes_nothing() -> None:
    rules = ALL + '@id("f") @shadow("") forbid(principal, action, resource);'
    found = of(rules, SEND)
    assert found.outcome is Outcome.ALLOW
    assert [prospect.rule.shadow for prospect in found.depends] == [True]
