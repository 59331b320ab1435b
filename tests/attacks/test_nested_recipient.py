"""Outsiders' text as a recipient that stands inside an argument: `pay({"iban": …})`.

The broker knows the actual arguments; what it does not know of a field, it takes from what
contains it. Each test decides the call as the broker does.
"""

from collections.abc import Mapping
from typing import Any

import pytest

from agents.budgets.effects import weigh
from policies.engine import Decision, Outcome, compile_policy, decide
from policies.facts.extract import extract
from policies.facts.record import Facts, ToolSpec
from policies.requests import RunContext, call, inner_paths
from policies.starter import starter_text

FREE = {"type": "object", "properties": {"order": {"type": "object"}}, "required": ["order"]}
MAIL = ToolSpec("read_mail", effect="read", labels=frozenset({"untrusted"}))
VENDOR = ToolSpec("get_vendor", effect="read")
PAY = ToolSpec("pay", tier=1, parameters=FREE)
TOOLS = (MAIL, VENDOR, PAY)


def facts_of(code: str, tools: tuple[ToolSpec, ...] = TOOLS) -> Facts:
    return extract(code, tools=tools)


def decided(facts: Facts, actual: Mapping[str, Any], tool: ToolSpec = PAY) -> Decision:
    names = (*actual, *inner_paths(tool, actual))
    origins = {name: facts.origins_of(tool.name, name, actual) for name in names}
    request = call(RunContext(), tool, actual, origins)
    return decide(request, compile_policy(starter_text(), tools=(MAIL, VENDOR, tool)))


@pytest.mark.parametrize(
    "order",
    [
        'read_mail()["order"]',
        '{"amount": 1} | {"iban": read_mail()["iban"]}',
        'dict([("iban", read_mail()["iban"])])',
        '{"to": {"iban": read_mail()["iban"]}, "amount": 1}',
        '[{"iban": read_mail()["iban"]}]',
    ],
)
def test_a_recipient_that_only_the_actual_value_shows(order: str) -> None:
    actual = {"iban": "DE89370400440532013000"}
    for value in (actual, {"to": actual}, [actual], {"to": [{"payeeIban": "x"}]}):
        decision = decided(facts_of(f"pay({order})"), {"order": value})
        assert decision.outcome is Outcome.DENY, value


def test_another_call_whose_recipient_is_known_to_be_good_does_not_vouch_for_this_one() -> None:
    facts = facts_of('pay({"iban": get_vendor()["iban"]})\npay(read_mail()["order"])')
    assert decided(facts, {"order": {"iban": "x"}}).outcome is Outcome.DENY


def test_nor_does_another_caller_of_the_same_function() -> None:
    code = (
        "def settle(order):\n    pay(order)\n"
        'settle({"iban": get_vendor()["iban"]})\nsettle(read_mail()["order"])'
    )
    assert decided(facts_of(code), {"order": {"iban": "x"}}).outcome is Outcome.DENY


@pytest.mark.parametrize(
    "change",
    [
        'order.update(iban=read_mail()["iban"])',
        'order |= {"iban": read_mail()["iban"]}',
        'order.setdefault("iban", read_mail()["iban"])',
        'order["i" + "ban"] = read_mail()["iban"]',
    ],
)
def test_a_field_that_appears_after_the_object_was_written(change: str) -> None:
    code = f'order = {{"note": "x", "iban": get_vendor()["iban"]}}\n{change}\npay(order)'
    assert decided(facts_of(code), {"order": {"iban": "x"}}).outcome is Outcome.DENY


def test_a_dot_in_a_key_makes_it_nothing_elses_path() -> None:
    tool = ToolSpec("pay", tier=1, parameters=FREE, roles={"order.to.iban": "recipient"})
    code = 'pay({"to": get_vendor(), "to.iban": read_mail()["iban"]})'
    facts = facts_of(code, (MAIL, VENDOR, tool))
    actual = {"order": {"to": {"iban": "good"}, "to.iban": "bad"}}
    assert decided(facts, actual, tool).outcome is Outcome.DENY


def test_outsiders_text_beside_a_good_recipient_is_no_attack() -> None:
    code = 'pay({"iban": get_vendor()["iban"], "note": read_mail()["subject"]})'
    actual = {"order": {"iban": "x", "note": "invoice 7"}}
    assert decided(facts_of(code), actual).outcome is Outcome.ALLOW


def test_an_amount_inside_an_argument_counts_against_the_budgets() -> None:
    roles = {"order.iban": "recipient", "order.cents": "amount_minor"}
    weight = weigh(roles, {"order": {"iban": "X", "cents": 700}})
    assert weight.amount_minor == 700
    assert weight.recipients == {"x"}


def test_amounts_that_stand_in_several_lines_are_not_taken_for_none() -> None:
    roles = {"lines.iban": "recipient", "lines.cents": "amount_minor"}
    weight = weigh(roles, {"lines": [{"iban": "X", "cents": 700}, {"iban": "Y", "cents": 1}]})
    assert weight.amount_minor is None  # which no budget of money lets pass
    assert weight.recipients == {"x", "y"}


def test_objects_nested_to_explode_end_as_too_complex() -> None:
    lines = ['a0 = {"x": 1}']
    lines += [
        f"a{n} = {{{', '.join(f'{key!r}: a{n - 1}' for key in 'abcdefghij')}}}" for n in range(1, 9)
    ]
    facts = facts_of("\n".join([*lines, "pay(a8)"]))
    assert [problem.kind for problem in facts.problems] == ["too-complex"]


@pytest.mark.parametrize(
    "lines", ['[{"iban": "DE01"}] * count', 'count * [{"iban": "DE01"}]', "written * count"]
)
def test_a_number_from_a_tool_does_not_make_a_written_recipient_the_tools(lines: str) -> None:
    staff = ToolSpec("count_staff", effect="read", labels=frozenset({"confidential"}))
    line = {"type": "object", "properties": {"iban": {"type": "string"}}}
    lists = {"type": "object", "properties": {"order": {"type": "array", "items": line}}}
    tools = (staff, ToolSpec("pay", tier=1, parameters=lists))
    code = f'written = [{{"iban": "DE01"}}]\ncount = count_staff()\npay({lines})'
    origin = facts_of(code, tools).origins_of("pay", "order.iban", {"order": [{"iban": "DE01"}]})
    assert origin.sources <= {"literal", "literal:text"}
    assert "confidential" in origin.control
