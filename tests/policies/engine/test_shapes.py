"""What Cedar is spared is refused here: never less than its own check of the schema refuses."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import cedarpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies import requests
from policies.engine import Outcome, PolicySet, _policies, compile_policy, decide
from policies.requests import Request
from policies.schema import schema_for
from policies.shapes import Record, shapes
from policies.starter import starter_text
from tests.policies.engine.strategies import SEND, TOOLS, every_request, policy_text, rules
from tests.policies.suites import tools as many_tools

ALL = compile_policy('@id("all") permit(principal, action, resource);', tools=TOOLS)
CTX = requests.RunContext(workspace="w", agent="ap", requester="ann")
CALL = requests.call(
    CTX, SEND, {"to": "ann", "amount": 5, "urgent": True, "price": 2.5, "tags": ["a"]}, {}
)
CHANGE = requests.change(person="ann", kind="tool", summary="s", tier=1, now=CTX.now)
BENT: tuple[Any, ...] = (
    *(None, True, 0, 1, -(2**63), 2**63, 1.5, "", "x", "\ud800", "2026-01-01T00:00:00.000Z"),
    *([], ["a"], ["a", 1], [None], [["a"]], ["\ud800"], {}, {"x": 1}),
    *({"__extn": {"fn": name, "arg": arg}} for name, arg in [("decimal", "1.0"), ("decimal", "x")]),
    *({"__extn": {"fn": "datetime", "arg": arg}} for arg in ("2026-01-01T00:00:00.000Z", "2026")),
    {"__extn": {"fn": "ip", "arg": "127.0.0.1"}},
    {"__extn": {"fn": "datetime"}},
    {"__entity": {"type": "Agent", "id": "ap"}},
    {"__expr": "1"},
)


def by_cedar(request: Request, policies: PolicySet) -> cedarpy.AuthzResult:
    """The whole request and all rules, with the schema."""
    question = {
        "principal": {"type": request.principal[0], "id": request.principal[1]},
        "action": {"type": "Action", "id": request.action},
        "resource": {"type": request.resource[0], "id": request.resource[1]},
        "context": json.dumps(request.context),
    }
    entities = policies.entities.with_added_json_str(
        json.dumps(list(request.entities)), policies.schema
    )
    enforced = [policies.trees[rule.id] for rule in policies.rules.values() if not rule.shadow]
    return cedarpy.is_authorized(question, _policies(enforced), entities, policies.schema)


def taken_by_cedar(request: Request) -> bool:
    return by_cedar(request, ALL).decision is cedarpy.Decision.Allow


def taken(request: Request) -> bool:
    return decide(request, ALL).outcome is Outcome.ALLOW


def bends(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The record with each attribute gone, misspelled, or something else; at every depth."""
    yield {**record, "more": 1}
    for name, value in record.items():
        without = {key: other for key, other in record.items() if key != name}
        yield without
        yield {**without, name.upper(): value}
        for other in BENT:
            yield {**record, name: other}
        if isinstance(value, dict):
            for below in bends(value):
                yield {**record, name: below}


@pytest.mark.parametrize(
    "request_", [CALL, CHANGE, requests.start_run(CTX, "goal")], ids=lambda r: r.action
)
def test_a_bent_request_is_taken_only_where_cedar_takes_it(request_: Request) -> None:
    assert taken(request_)
    assert taken_by_cedar(request_)
    found = [replace(request_, context=context) for context in bends(request_.context)]
    assert len(found) > 100
    ours = [one for one in found if taken(one)]
    assert all(taken_by_cedar(one) for one in ours)
    # Cedar reads a few things more kindly: a bare string as a datetime, the lowest number of all.
    kinder = [one for one in found if one not in ours and taken_by_cedar(one)]
    assert len(kinder) < len(found) / 50


@pytest.mark.parametrize(
    "changed",
    [
        {"principal": ("Person", "ann")},
        {"principal": ("Robot", "ap")},
        {"principal": ("Agent", None)},
        {"resource": ("Workspace", "w")},
        {"action": "call:gone"},
        {"action": "execute"},
        {"action": ""},
        {"context": {}},
        {"context": None},
        {"context": []},
    ],
)
def test_a_request_of_another_kind_is_denied(changed: Mapping[str, Any]) -> None:
    found = decide(replace(CALL, tool=None, **changed), ALL)
    assert found.outcome is Outcome.DENY
    assert found.errors


def test_the_reason_names_the_attribute() -> None:
    context = {**CALL.context, "argument": {**CALL.context["argument"], "amount": "5"}}
    found = decide(replace(CALL, context=context), ALL)
    assert found.sentence == (
        "Denied because it could not be decided: context.argument.amount is not a Long."
    )


@settings(max_examples=150, deadline=None)
@given(every_request, rules)
def test_the_rules_of_an_action_and_what_they_read_decide_as_the_whole_does(
    request: Request, drawn: list[tuple[str, str, str]]
) -> None:
    for text in (policy_text(drawn), starter_text()):
        policies = compile_policy(text, tools=TOOLS)
        whole, found = by_cedar(request, policies), decide(request, policies)
        assert not whole.diagnostics.errors
        assert (whole.decision is cedarpy.Decision.Allow) == (found.outcome is Outcome.ALLOW)
        if found.outcome is Outcome.REVIEW:
            fired = {rule.id for rule in found.rules if rule.roles}
            assert fired == set(whole.diagnostics.reasons)


@settings(max_examples=150, deadline=None)
@given(every_request, st.data())
def test_dropping_any_attribute_denies(request: Request, data: st.DataObject) -> None:
    """Also one that no rule reads."""
    part = data.draw(st.sampled_from(sorted(set(request.context) - {"argument"})))
    name = data.draw(st.sampled_from(sorted(request.context[part])))
    rest = {key: value for key, value in request.context[part].items() if key != name}
    bent = replace(request, context={**request.context, part: rest})
    assert decide(bent, ALL).outcome is Outcome.DENY


def test_every_attribute_of_the_schema_is_known() -> None:
    """Whatever a tool's arguments are called."""
    odd = replace(
        SEND,
        name="odd",
        parameters={
            "type": "object",
            "properties": {
                name: {"type": "string"} for name in ("a b", "type", "context", "ä", 'q"', "}", ";")
            },
            "required": ["type"],
        },
    )
    found = shapes(schema_for([*many_tools(), odd]))
    assert len(found) == 6 + len(many_tools()) + 1
    argument = found["call:odd"].context.fields["argument"]
    assert isinstance(argument, Record)
    assert set(argument.fields) == {"a b", "type", "context", "ä", 'q"', "}", ";"}
    assert argument.optional == set(argument.fields) - {"type"}
    run = found["execute"].context.fields["run"]
    assert isinstance(run, Record)
    assert not run.optional
    assert run.fields["now"] == "datetime"
