"""What a step does to an object is seen through every variable of the run that leads to it."""

import pytest

from policies.engine import Outcome
from policies.facts.extract import extract
from policies.facts.record import Origin
from policies.requests import RunContext
from policies.verdict import judge
from tests.policies.suites import Program, exact, kind_of, load, tools


def outcome(program: Program) -> Outcome:
    """The verdict on the last of its steps, which `---` parts, each after the one before."""
    known: dict[str, Origin] = {}
    kind = kind_of(program)
    for code in program.code.split("---\n"):
        facts = extract(code, tools=tools(kind), known=known)
        known = dict(facts.variables)
    return judge(RunContext(), facts, tools(kind), exact(kind)).decision.outcome


@pytest.mark.parametrize("program", load("steps_laundered"), ids=lambda p: p.name)
def test_what_outsiders_wrote_is_found_behind_another_name(program: Program) -> None:
    assert outcome(program) is not Outcome.ALLOW


@pytest.mark.parametrize("program", load("steps_escaping"), ids=lambda p: p.name)
def test_a_module_is_one_in_later_steps_too(program: Program) -> None:
    assert outcome(program) is not Outcome.ALLOW


@pytest.mark.parametrize("program", load("steps_ordinary"), ids=lambda p: p.name)
def test_what_is_kept_apart_stays_apart(program: Program) -> None:
    assert outcome(program) is Outcome.ALLOW


@pytest.mark.parametrize(
    "steps",
    [
        ["plan = [('XX66', 990)]", "for a, b in plan: transfer(iban=a, amount=b, memo='x')"],
        ["n = 990", "transfer(iban=get_vendor(vendor_id='1')['iban'], amount=n, memo='x')"],
    ],
)
def test_what_was_typed_in_an_earlier_step_was_typed(steps: list[str]) -> None:
    known: dict[str, Origin] = {}
    for code in steps:
        facts = extract(code, tools=tools(), known=known)
        known = dict(facts.variables)
    seen = RunContext(step=2, control_labels=frozenset({"untrusted"}))
    assert judge(seen, facts, tools(), exact()).decision.outcome is not Outcome.ALLOW
    assert judge(RunContext(step=2), facts, tools(), exact()).decision.outcome is Outcome.ALLOW


@pytest.mark.parametrize("inner", ["def now():\n    return x", "now = lambda: x"])
def test_what_a_function_reads_through_another_is_read_by_it(inner: str) -> None:
    steps = [
        f"x = 'ann@corp.example'\n{inner}\ndef soon():\n    return now()\n"
        "def later():\n    return soon()",
        "x = fetch_page(url='https://news.example')",
        "send_mail(to=later(), subject='s', body='b')",
    ]
    assert outcome(Program("", "", "---\n".join(f"{step}\n" for step in steps))) is Outcome.DENY
