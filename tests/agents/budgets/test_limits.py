"""Limits of a run: positive numbers only, and the sentence when one is crossed."""

from typing import Any

import pytest

from agents.budgets.limits import Limits, Spent, crossed
from agents.errors import LimitsInvalid

NOTHING = Spent(steps=0, working_ms=0, tokens=0, cost_micros=0, calls=0)


@pytest.mark.parametrize("value", [0, -1, True, 1.5, "10", None])
def test_a_limit_that_is_no_positive_whole_number_is_refused(value: Any) -> None:
    with pytest.raises(LimitsInvalid, match="steps"):
        Limits.from_json({"steps": value})


def test_an_unknown_limit_is_refused_by_name() -> None:
    with pytest.raises(LimitsInvalid, match="stepps"):
        Limits.from_json({"stepps": 3})


def test_limits_survive_being_stored() -> None:
    assert Limits.from_json(Limits(steps=3).to_json()) == Limits(steps=3)


def test_nothing_spent_crosses_nothing() -> None:
    assert crossed(Limits(), NOTHING) is None


@pytest.mark.parametrize(
    ("spent", "named"),
    [
        (Spent(3, 0, 0, 0, 0), "step limit"),
        (Spent(0, 60_000, 0, 0, 0), "time limit"),
        (Spent(0, 0, 100, 0, 0), "token limit"),
        (Spent(0, 0, 0, 5, 0), "cost limit"),
        (Spent(0, 0, 0, 0, 7), "call limit"),
    ],
)
def test_each_limit_ends_the_run_by_name(spent: Spent, named: str) -> None:
    limits = Limits(steps=3, wall_s=60, tokens=100, cost_micros=5, calls=7)
    assert named in (crossed(limits, spent) or "")
