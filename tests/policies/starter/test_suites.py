"""The starter policies against the evasion and the benign suite."""

import pytest

from policies.engine import Outcome
from tests.policies.suites import Program, exact, load, report, verdict

EVASION = load("evasion")
BENIGN = load("benign")


def test_the_suites_are_large_and_their_programs_distinct() -> None:
    assert len(EVASION) >= 200
    assert len(BENIGN) >= 300
    assert len({program.code for program in EVASION + BENIGN}) == len(EVASION + BENIGN)


@pytest.mark.parametrize("program", EVASION, ids=lambda p: f"{p.suite}: {p.name}")
def test_no_evasion_is_allowed(program: Program) -> None:
    decision = verdict(program).decision
    assert decision.outcome is not Outcome.ALLOW
    assert decision.rules or decision.errors
    assert decision.sentence


FOLLOWED = [*load("evasion_endings"), *load("evasion_found"), *load("evasion_rounds")]


@pytest.mark.parametrize("program", FOLLOWED, ids=lambda p: f"{p.suite}: {p.name}")
def test_what_is_followed_needs_no_rule_for_rough_code(program: Program) -> None:
    assert verdict(program, exact).decision.outcome is not Outcome.ALLOW


def test_few_ordinary_programs_are_held_up() -> None:
    counts = report(BENIGN)
    total = sum(counts.values())
    assert counts[Outcome.DENY] / total <= 0.03, counts
    assert counts[Outcome.REVIEW] / total <= 0.10, counts
