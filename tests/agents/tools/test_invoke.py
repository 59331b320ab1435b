"""Invocation: arguments and results are checked, every end has its name."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.tools.context import ToolContext
from agents.tools.definition import ToolDefinition
from agents.tools.errors import (
    Acted,
    ToolArgumentError,
    ToolBusy,
    ToolError,
    ToolFailed,
    ToolResultError,
    ToolTimeout,
)
from agents.tools.invoke import ToolPool, invoke, validate_arguments
from tests.agents.tools import samples

PAYMENT: dict[str, Any] = {
    "account": "DE02",
    "amount": "12.50",
    "priority": 2,
    "kind": "sepa",
    "people": [{"name": "Alice"}],
    "extra": {"fee": 0.5},
}


def context() -> ToolContext:
    return ToolContext("w", "run-1", 3, "key-1", resolve=lambda _: samples.SECRET)


def call(definition: ToolDefinition, **arguments: Any) -> Any:
    return invoke(definition, arguments, context())


def test_python_values_go_in_and_json_comes_out() -> None:
    assert call(samples.list_invoices, week="2026-W47", since="2026-11-20", limit=3) == [
        {"number": "2026-W47", "amount": "12.50", "due": "2026-11-20"},
        {"number": "run-1", "amount": "3", "due": "2026-01-02", "note": "open"},
    ]


def test_the_tool_gets_its_types_and_its_context() -> None:
    assert call(samples.pay, **PAYMENT) == {
        "key": "key-1",
        "step": 3,
        "types": ["Decimal", "Priority", "Person"],
    }


def test_defaults_are_filled_in_so_that_what_is_signed_is_concrete() -> None:
    filled = validate_arguments(samples.list_invoices, {"week": "2026-W47"})
    assert filled == {"week": "2026-W47", "status": "open", "since": None, "limit": 10}
    assert validate_arguments(samples.list_invoices, filled) == filled


def test_a_whole_number_is_an_exact_amount_a_fraction_is_not() -> None:
    assert validate_arguments(samples.pay, {**PAYMENT, "amount": 12})["amount"] == "12"
    with pytest.raises(ToolArgumentError, match="amount"):
        validate_arguments(samples.pay, {**PAYMENT, "amount": 12.5})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"amount": "one million"}, "amount"),
        ({"amount": None}, "amount"),
        ({"amount": "NaN"}, "amount"),
        ({"amount": "1e9"}, "amount"),
        ({"amount": True}, "amount"),
        ({"kind": "cash"}, "kind"),
        ({"priority": 3}, "priority"),
        ({"people": [{"name": ""}]}, "people"),
        ({"people": [{"name": "root"}]}, "root is nobody"),
        ({"people": [{"name": "A", "admin": True}]}, "admin"),
        ({"people": {"name": "A"}}, "people"),
        ({"extra": {"fee": float("nan")}}, "extra.fee"),
        ({"extra": {"fee": 2**60}}, r"2\*\*53"),
        ({"account": "a\0b"}, "no text"),
        ({"account": "\ud800"}, "no text"),
        ({"account": b"DE02"}, "bytes"),
        ({"account": {"$placeholder": "x"}}, "account"),
        ({"context": "mine"}, "context"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_arguments_that_do_not_fit_never_reach_the_tool(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ToolArgumentError, match=message) as raised:
        call(samples.pay, **{**PAYMENT, **change})
    assert raised.value.acted is Acted.NO


def test_a_missing_argument_is_named_with_what_the_tool_takes() -> None:
    with pytest.raises(ToolArgumentError, match=r"'week' is a required.*limit \(optional\)"):
        call(samples.list_invoices)


def test_deep_and_huge_arguments_are_refused() -> None:
    deep: Any = "x"
    for _ in range(100):
        deep = [deep]
    with pytest.raises(ToolArgumentError, match="nested"):
        call(samples.echo, what=deep)
    with pytest.raises(ToolArgumentError, match="bytes"):
        call(samples.echo, what="x" * 1_100_000)


@pytest.mark.parametrize(
    "kind", ["text", "nan", "object", "set", "huge", "long", "none", "bool", "surrogate", "now"]
)
def test_a_result_the_schema_forbids_is_the_tools_fault(kind: str) -> None:
    with pytest.raises(ToolResultError, match=r"wrong|result") as raised:
        call(samples.wrong, kind=kind)
    assert raised.value.acted is Acted.YES


@pytest.mark.parametrize(
    ("kind", "error", "name", "message"),
    [
        ("value", ToolFailed, "ValueError", "no such account"),
        ("said", ToolFailed, "PaymentRefused", "already paid"),
        ("exit", ToolFailed, "SystemExit", "3"),
        ("interrupt", ToolFailed, "KeyboardInterrupt", "^$"),
        ("lost", ToolTimeout, "ToolTimeout", "peer went away"),
        ("slow", ToolTimeout, "ToolTimeout", "read timed out"),
        ("unsure", ToolTimeout, "ToolTimeout", "the bank did not answer"),
    ],
)
def test_what_a_tool_raises_is_mapped(
    kind: str, error: type[ToolError], name: str, message: str
) -> None:
    with pytest.raises(error, match=message) as raised:
        call(samples.fail, kind=kind)
    assert raised.value.kind == name
    assert raised.value.acted is (Acted.UNKNOWN if error is ToolTimeout else Acted.FAILED)


def test_a_read_that_loses_its_connection_has_simply_failed() -> None:
    with pytest.raises(ToolFailed, match="peer went away"):
        call(samples.lose)


def test_a_time_out_leaves_the_effect_in_doubt() -> None:
    with pytest.raises(ToolTimeout, match=r"within 0.05 seconds") as raised:
        call(samples.hang)
    assert raised.value.acted is Acted.UNKNOWN
    samples.RELEASE.set()
    samples.RELEASE.clear()


def test_tools_that_hang_use_up_places_and_then_nothing_begins() -> None:
    pool = ToolPool(places=2, wait_s=0.01)
    for _ in range(2):
        with pytest.raises(ToolTimeout):
            invoke(samples.hang, {}, context(), pool=pool)
    with pytest.raises(ToolBusy) as raised:
        invoke(samples.doze, {}, context(), pool=pool)
    assert raised.value.acted is Acted.NO
    samples.RELEASE.set()
    samples.RELEASE.clear()


def test_the_callers_context_reaches_the_tools_thread() -> None:
    token = samples.AROUND.set("a trace")
    try:
        assert call(samples.surroundings) == ["a trace", "tool-surroundings"]
    finally:
        samples.AROUND.reset(token)


def test_a_tool_without_result_gives_null() -> None:
    assert call(samples.nothing) is None


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.decimals().map(Decimal),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from([*PAYMENT, "other"]), _JSON))
def test_any_arguments_are_accepted_whole_or_refused(arguments: dict[str, Any]) -> None:
    given_ = {**PAYMENT, **arguments}
    try:
        checked = validate_arguments(samples.pay, given_)
    except ToolArgumentError:
        return
    assert validate_arguments(samples.pay, checked) == checked
    assert json.loads(json.dumps(checked, allow_nan=False)) == checked
    assert call(samples.pay, **checked)["key"] == "key-1"
