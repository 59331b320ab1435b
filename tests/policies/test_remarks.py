"""Whoever wrote a program, and whoever reads it, is told what the analysis found, and where."""

import pytest

from policies.facts.extract import extract
from policies.remarks import KINDS, MOST, in_words, notes, remarks
from tests.policies.suites import load, tools


def told(code: str) -> list[tuple[str, str]]:
    found = remarks(extract(code, tools=tools()).to_json())
    return [(remark.where, remark.text) for remark in found]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("x = 1\neval('1')", ("line 2", "eval, which programs may not use")),
        ("\nimport ctypes", ("line 2", "the import of ctypes, which is not on the allowed list")),
        ("x = (1", ("line 1", "not valid Python: '(' was never closed")),
        ("x.__class__", ("line 1", "the special name __class__")),
        ("f = send_mail", ("line 1", "the tool send_mail used otherwise than by calling it")),
        (
            "def f():\n    yield 1",
            ("line 2", "a generator that may run later or elsewhere; a list is followed"),
        ),
        (
            "from math import *",
            ("line 1", "the import of all that math holds: import names one by one"),
        ),
        (
            "from operator import methodcaller",
            (
                "line 1",
                "the import of methodcaller from operator, which is not on the allowed list",
            ),
        ),
        ("f = open('a', 'w')", ("line 1", "a file that stays open; `with` closes it")),
    ],
)
def test_it_says_what_in_which_line(code: str, expected: tuple[str, str]) -> None:
    assert expected in told(code)


def test_what_an_earlier_step_left_has_no_line() -> None:
    first = extract("def f():\n    yield 1", tools=tools())
    facts = extract("x = 1", tools=tools(), known=first.variables)
    [remark] = remarks(facts.to_json())
    assert (remark.where, remark.rough) == ("an earlier step", True)
    assert notes([remark]) == {}


def test_a_plain_program_and_facts_of_nobody_have_none() -> None:
    assert told("x = 1") == []
    assert remarks({}) == ()


def test_an_agent_is_told_a_bounded_number_the_gravest_first() -> None:
    code = "def f():\n    yield 1\n" + "\n".join(f"eval('{n}')" for n in range(20))
    text = in_words(remarks(extract(code, tools=tools()).to_json()))
    assert text.splitlines()[0] == "- line 3: eval, which programs may not use"
    assert len(text.splitlines()) == MOST + 1
    assert text.endswith("more")


def test_several_of_a_line_are_one_note() -> None:
    found = remarks(extract("eval(x.__class__)", tools=tools()).to_json())
    assert notes(found) == {1: "eval, which programs may not use; the special name __class__"}


@pytest.mark.parametrize("suite", ["evasion_escapes", "evasion_reflection", "evasion_second_look"])
def test_every_kind_of_finding_has_words(suite: str) -> None:
    for program in load(suite):
        facts = extract(program.code, tools=tools())
        found = facts.problems + facts.features + facts.unmodelled + facts.rough
        assert {finding.kind for finding in found} <= KINDS, program.name
