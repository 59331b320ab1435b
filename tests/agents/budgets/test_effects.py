"""What effects count for, and when a budget is crossed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.budgets.effects import Budget, Used, Weight, crossed, weigh
from agents.errors import LimitsInvalid

PAY = {"account": "recipient", "cents": "amount_minor", "money": "currency"}


@pytest.mark.parametrize(
    ("roles", "arguments", "weight"),
    [
        ({}, {"text": "x"}, Weight()),
        (
            PAY,
            {"account": " DE01 ", "cents": 5, "money": "eur"},
            Weight("EUR", 5, frozenset({"de01"})),
        ),
        (PAY, {"account": "DE01", "cents": -5}, Weight("none", 5, frozenset({"de01"}))),
        ({"n": "amount"}, {"n": "12.50"}, Weight("none", 1250)),
        ({"n": "amount"}, {"n": 12.505}, Weight("none", None)),
        ({"n": "amount"}, {"n": True}, Weight("none", None)),
        ({"n": "amount"}, {"n": None}, Weight()),
        ({"to": "recipient"}, {"to": ["A@b", "a@B", None]}, Weight(recipients=frozenset({"a@b"}))),
    ],
)
def test_what_a_call_counts_for(
    roles: dict[str, str], arguments: dict[str, object], weight: Weight
) -> None:
    assert weigh(roles, arguments) == weight


@pytest.mark.parametrize(
    "stored",
    [
        {"write": 1},
        {"writes": 0},
        {"writes": True},
        {"recipients": -1},
        {"amounts": {}},
        {"amounts": {"EUR": 1.5}},
        {"amounts": 5},
    ],
)
def test_what_is_no_budget(stored: dict[str, object]) -> None:
    with pytest.raises(LimitsInvalid):
        Budget.from_json(stored)


@pytest.mark.parametrize(
    ("budget", "used", "weight", "says"),
    [
        ({"writes": 2}, Used(writes=2), Weight(), "2 writes"),
        (
            {"recipients": 1},
            Used(recipients=frozenset("a")),
            Weight(recipients=frozenset("b")),
            "2",
        ),
        ({"amounts": {"EUR": 10}}, Used(amounts={"EUR": 600}), Weight("EUR", 401), "10.00 EUR"),
        ({"amounts": {"EUR": 10}}, Used(), Weight("USD", 1), "no amounts in USD"),
        ({"amounts": {"EUR": 10}}, Used(), Weight("EUR", None), "cannot be counted"),
        ({"amounts": {"none": 1}}, Used(), Weight(amount_minor=101), "above 1.00"),
    ],
)
def test_what_crosses(budget: dict[str, object], used: Used, weight: Weight, says: str) -> None:
    sentence = crossed(Budget.from_json(budget), used, weight, whose="agent A")
    assert sentence is not None
    assert says in sentence


@pytest.mark.parametrize(
    ("budget", "used", "weight"),
    [
        ({}, Used(writes=10**9), Weight("EUR", None, frozenset("abc"))),
        ({"writes": 2}, Used(writes=1), Weight()),
        ({"recipients": 1}, Used(recipients=frozenset("a")), Weight(recipients=frozenset("a"))),
        ({"recipients": 1}, Used(recipients=frozenset("ab")), Weight()),
        ({"amounts": {"EUR": 10}}, Used(amounts={"EUR": 600}), Weight("EUR", 400)),
        ({"amounts": {"EUR": 10}}, Used(amounts={"EUR": 1000}), Weight()),
    ],
)
def test_what_does_not(budget: dict[str, object], used: Used, weight: Weight) -> None:
    assert crossed(Budget.from_json(budget), used, weight, whose="agent A") is None


weights = st.builds(
    Weight,
    st.sampled_from(["EUR", "USD"]),
    st.integers(0, 700),
    st.frozensets(st.sampled_from("abcdef"), max_size=2),
)


@given(st.lists(weights, max_size=30))
def test_whatever_is_asked_for_the_sum_of_what_is_let_through_stays_within(
    asked: list[Weight],
) -> None:
    budget = Budget.from_json({"writes": 9, "recipients": 3, "amounts": {"EUR": 20, "USD": 5}})
    used = Used()
    for weight in asked:
        if crossed(budget, used, weight, whose="it") is None:
            spent = dict(used.amounts)
            spent[weight.currency] = spent.get(weight.currency, 0) + (weight.amount_minor or 0)
            used = Used(used.writes + 1, spent, used.recipients | weight.recipients)
    assert used.writes <= 9
    assert len(used.recipients) <= 3
    assert used.amounts.get("EUR", 0) <= 2000
    assert used.amounts.get("USD", 0) <= 500
