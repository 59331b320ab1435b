"""What the starter policy says of the scripted programs, and why, before anything runs."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from agents.bound import spec_of
from agents.conversation.parsing import Program, parse_code
from agents.llm.script import Turn, load_script
from agents.registry.format import parse
from countersign.demo import registration
from countersign.demo.model import SCRIPT, DemoModel
from policies import requests
from policies.engine import Decision, Outcome, PolicySet, compile_policy, decide
from policies.facts.extract import extract
from policies.facts.record import Facts, Origin
from policies.starter import starter_text
from tests.countersign.demo.bench import ALL

SPECS = [spec_of(tool) for tool in ALL]
REGISTERED = parse(
    registration.text(DemoModel("scripted-demo", "http://127.0.0.1:1/v1", "", "scripted_model"))
)
[AGENT] = REGISTERED.agents
TURNS = load_script(SCRIPT).tasks[0].turns
MATCH, MISTAKE, PAY, FINISH = (turn for turn in TURNS if not turn.when.patterns)
INPUTS = {name: Origin(frozenset({"task"})) for name in ("week", "report_to")}
ARGUMENTS: dict[str, dict[str, object]] = {
    "create_payment": {
        "vendor": "V-101",
        "payee": "Kessler Büro GmbH",
        "account": "DE56357183525498302029",
        "amount_cents": 120_400,
        "currency": "EUR",
        "reference": "9004",
    },
    "send_mail": {"recipient": "alice@demo.example", "subject": "Paid", "body": "Twelve."},
    "list_invoices": {"week": "2026-W47"},
    "get_vendors": {},
    "read_vendor_notes": {"week": "2026-W47"},
}


@pytest.fixture(scope="module")
def policy() -> PolicySet:
    return compile_policy(starter_text(), tools=SPECS)


@pytest.fixture(scope="module")
def known() -> Mapping[str, Origin]:
    """Origins of the variables after the first program."""
    return {**INPUTS, **facts_of(MATCH, INPUTS).variables}


def facts_of(turn: Turn, known: Mapping[str, Origin]) -> Facts:
    program = parse_code(turn.reply.replace("${number}", "8924"))
    assert isinstance(program, Program)
    return extract(program.code, tools=SPECS, allowed_imports=AGENT.imports, known=known)


def asked(facts: Facts, tool: str, policy: PolicySet) -> Decision:
    """The decision on one call of the program, after letters have been read."""
    spec = next(spec for spec in SPECS if spec.name == tool)
    arguments = ARGUMENTS[tool]
    origins = {name: facts.origins_of(tool, name) for name in arguments}
    return decide(requests.call(context(), spec, arguments, origins), policy)


def context() -> requests.RunContext:
    return requests.RunContext(
        workspace="demo",
        agent=AGENT.name,
        agent_version="1",
        requester="alice",
        step=3,
        control_labels=frozenset({"confidential", "untrusted"}),
        now=datetime(2026, 11, 22, 12, tzinfo=UTC),
    )


def test_register_file_names_every_tool_of_the_demo() -> None:
    assert {entry.name for entry in REGISTERED.tools} == {tool.name for tool in ALL}
    assert {entry.function for entry in REGISTERED.tools} == {tool.import_path for tool in ALL}
    assert REGISTERED.models[0].base_url == "http://127.0.0.1:1/v1"
    assert "scripted" in REGISTERED.models[0].model


@pytest.mark.parametrize("turn", TURNS, ids=range(len(TURNS)))
def test_every_program_is_within_what_is_modelled(known: Mapping[str, Origin], turn: Turn) -> None:
    facts = facts_of(turn, known)
    assert not facts.problems + facts.features + facts.unmodelled + facts.resources
    assert all(imported.allowed for imported in facts.imports)


def test_account_from_the_letter_is_denied_before_anything_runs(
    known: Mapping[str, Origin], policy: PolicySet
) -> None:
    decision = decide(requests.execute(context(), facts_of(MISTAKE, known)), policy)
    assert decision.outcome is Outcome.DENY
    assert [rule.id for rule in decision.rules] == ["recipient-not-from-untrusted"]


@pytest.mark.parametrize("turn", [t for t in TURNS if t is not MISTAKE])
def test_every_other_program_may_run(
    known: Mapping[str, Origin], policy: PolicySet, turn: Turn
) -> None:
    decision = decide(requests.execute(context(), facts_of(turn, known)), policy)
    assert decision.outcome is Outcome.ALLOW, decision.sentence


def test_payments_need_two_signatures_and_the_mail_one(
    known: Mapping[str, Origin], policy: PolicySet
) -> None:
    facts = facts_of(PAY, known)
    payment, mail = (asked(facts, tool, policy) for tool in ("create_payment", "send_mail"))
    assert payment.outcome is mail.outcome is Outcome.REVIEW
    assert "tier-3-and-4" in [rule.id for rule in payment.rules]
    assert payment.requirement.quorums == (("reviewer", 2),)
    assert mail.requirement.quorums == (("reviewer", 1),)


@pytest.mark.parametrize("tool", ["list_invoices", "get_vendors", "read_vendor_notes"])
def test_reads_need_nobody(policy: PolicySet, tool: str) -> None:
    assert asked(facts_of(MATCH, INPUTS), tool, policy).outcome is Outcome.ALLOW


def test_answer_may_leave(known: Mapping[str, Origin], policy: PolicySet) -> None:
    after = {**known, **facts_of(PAY, known).variables}
    origin = facts_of(FINISH, after).origins_of("final_answer", "value")
    request = requests.release(context(), {"paid": []}, origin)
    assert decide(request, policy).outcome is Outcome.ALLOW
