"""The sentence of a rule says what the rule does, whatever an expert writes.

A small reader knows the grammar of the sentences and nothing of Cedar; what it reads must hold
exactly where the engine says that the rule does.
"""

import re
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.engine import Outcome, PolicyError, compile_policy, decide
from policies.facts.record import TASK, Origin
from policies.requests import Request, RunContext, call
from tests.policies.engine.strategies import SEND, TOOLS

ALL = '@id("p") permit(principal, action, resource);\n'
EVERY_CALL = 'forbid(principal, action in Action::"call", resource)'
SENDING = 'forbid(principal, action == Action::"call:send", resource)'

# Facts that a request can have or lack, each alone: Cedar, said if it holds, said if it does not.
ATOMS = (
    (
        "context.call.over_budget",
        "it would cross a budget of the day",
        "it crosses no budget of the day",
    ),
    (
        'context.call.labels.contains("secret")',
        "its arguments contain secret data",
        "its arguments contain no secret data",
    ),
    ("context.run.hour < 8", "it is before 8:00 UTC", "it is after 8:00 UTC"),
    (
        "context.argument has urgent && context.argument.urgent",
        "its urgent is given and its urgent is true",
        "its urgent is not given or its urgent is false",
    ),
)
# The last holds by two conditions, so that groups of an author's own are among the atoms.


def told(rule: str) -> str:
    return compile_policy(f'{ALL}@id("r") {rule};', tools=TOOLS).rules["r"].sentence


def asked(facts: tuple[bool, ...]) -> Request:
    """A call of "send" in which exactly these of the `ATOMS` hold."""
    budget, secret, early, urgent = facts
    ctx = RunContext(
        "w", "agent", "v1", "alice", now=datetime(2026, 1, 14, 7 if early else 9, tzinfo=UTC)
    )
    origin = Origin(frozenset({TASK}), frozenset({"secret"} if secret else ()))
    arguments = {"to": "x", "amount": 1, **({"urgent": True} if urgent else {})}
    made = call(ctx, SEND, arguments, {"**": origin})
    about: dict[str, Any] = {**made.context["call"], "over_budget": budget}
    made.context["call"].clear()
    made.context["call"].update(about)
    return made


ASKED = {facts: asked(facts) for facts in product((False, True), repeat=len(ATOMS))}

conditions = st.recursive(
    st.sampled_from([f"({cedar})" for cedar, _, _ in ATOMS] + ["true", "false"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(("&&", "||", "==", "!=")), inner).map(
            lambda parts: f"({' '.join(parts)})"
        ),
        inner.map(lambda one: f"!{one}"),
        st.tuples(inner, inner, inner).map(lambda parts: "(if {} then {} else {})".format(*parts)),
    ),
    max_leaves=9,
)
clauses = st.lists(
    st.tuples(st.sampled_from(("when", "unless")), conditions), min_size=1, max_size=3
)


@settings(max_examples=100, deadline=None)
@given(clauses)
def test_a_sentence_reads_as_the_rule_decides(parts: list[tuple[str, str]]) -> None:
    rule = SENDING + " ".join(f" {word} {{ {cedar} }}" for word, cedar in parts)
    policies = compile_policy(f'{ALL}@id("r") {rule};', tools=TOOLS)
    words = policies.rules["r"].sentence
    start = "Never allow a call of send when "
    assert words.startswith(start)
    for facts, request in ASKED.items():
        found = decide(request, policies)
        assert not found.errors
        held = Reader(words.removeprefix(start), facts).read()
        assert held == (found.outcome is Outcome.DENY), (words, facts)


class Reader:
    """Reads the conditions of a sentence as a person does, from left to right."""

    def __init__(self, text: str, facts: tuple[bool, ...]) -> None:
        self.left = text
        self.said = {"this always holds": True, "this never holds": False}
        for (_, yes, no), holds in zip(ATOMS[:3], facts[:3], strict=True):
            self.said |= {yes: holds, no: not holds}
        urgent = facts[3]
        for what in ("given", "true"):
            self.said[f"its urgent is {what}"] = urgent
        self.said |= {"its urgent is not given": not urgent, "its urgent is false": not urgent}

    def read(self) -> bool:
        found = self._list()
        assert self.left == ".", self.left
        return found

    def _next(self, text: str) -> bool:
        taken = self.left.startswith(text)
        self.left = self.left[len(text) :] if taken else self.left
        return taken

    def _list(self) -> bool:
        """Conditions with one word between them; "either" and "both" only before the last."""
        items, word = [self._one()], ""
        while match := re.match(r" (and|or) (either |both )?", self.left):
            assert word in ("", match[1]), f"two words in one list: {self.left}"
            word = match[1]
            self.left = self.left[match.end() :]
            if not match[2]:
                items.append(self._one())
                continue
            other = {"either ": "or", "both ": "and"}[match[2]]
            assert other != word
            items.append(self._last(other))
            break
        return all(items) if word == "and" else any(items)

    def _last(self, word: str) -> bool:
        items = [self._one()]
        while self._next(f" {word} "):
            items.append(self._one())
        assert len(items) > 1
        return all(items) if word == "and" else any(items)

    def _one(self) -> bool:
        if self._next("(if "):
            cond = self._list()
            assert self._next(", then ")
            yes = self._list()
            assert self._next(", otherwise ")
            no = self._list()
            assert self._next(")")
            return yes if cond else no
        if self._next("("):
            one = self._list()
            if self._next(" exactly if "):
                one = one == self._list()
            assert self._next(")")
            return one
        name = max((n for n in self.said if self.left.startswith(n)), key=len, default="")
        assert name, self.left
        self.left = self.left[len(name) :]
        return self.said[name]


SAID = (
    # several clauses, each a group
    (
        f"{EVERY_CALL} when {{ resource.tier == 2 || resource.tier == 3 }}"
        " when { resource.outward }",
        "(the tool is of risk tier 2 or the tool is of risk tier 3) and the tool lets data out",
    ),
    # what is not all there may be there in part
    (
        f'{EVERY_CALL} unless {{ context.call.labels.containsAll(["pii", "health"]) }}',
        'the labels of its arguments do not include all of "pii", "health"',
    ),
    (
        f'{EVERY_CALL} unless {{ context.call.flows.containsAll(["x -> url", "x -> path"]) }}',
        'the data flows into its arguments do not include all of "x -> url", "x -> path"',
    ),
    (
        f'{EVERY_CALL} when {{ context.call.amount_sources.containsAny(["literal", "task"]) }}',
        "the amount comes from the program or the task",
    ),
    # nothing is rounded
    (
        f"{EVERY_CALL} when {{ context.run.spent.cost_micros > 4999 }}",
        "the run has cost more than 0.004999",
    ),
    (
        f"{EVERY_CALL} when {{ context.call.amount_minor > 9007199254740993 }}",
        "the amount is more than 90,071,992,547,409.93",
    ),
    (
        f"{EVERY_CALL} when {{ -150 >= context.call.amount_minor }}",
        "the amount is at most -1.50",
    ),
    # values, sets, records
    (
        f'{EVERY_CALL} when {{ context.call.labels == ["pii", "health"] }}',
        'the labels of its arguments are exactly "pii", "health"',
    ),
    (
        f'{EVERY_CALL} unless {{ ["ap", "hr"].contains(context.run.agent) }}',
        'context.run.agent is none of "ap", "hr"',
    ),
    (
        f"{EVERY_CALL} when {{ {{low: 1, high: resource.tier}}.high == 1 }}",
        "the high of {high: the tool's risk tier, low: 1} is 1",
    ),
    (
        f'{EVERY_CALL} when {{ (if resource.outward then "x" else "y") == context.run.agent }}',
        '(if the tool lets data out, then "x", otherwise "y") is context.run.agent',
    ),
    # extension functions
    (
        f'{SENDING} unless {{ context.argument has price && '
        'context.argument.price.lessThan(decimal("5.0")) }',
        "its price is not given or its price is at least 5.0",
    ),
    (
        f'{EVERY_CALL} when {{ ip("10.0.0.1").isInRange(ip("10.0.0.0/8")) }}'
        ' unless { ip("::1").isLoopback() }',
        "10.0.0.1 is in the range 10.0.0.0/8 and ::1 is no address of the machine itself",
    ),
    (
        f'{EVERY_CALL} when {{ context.run.now.offset(duration("1h")) < datetime("2026-01-01") }}',
        "(the time (UTC) moved by 1h) is before 2026-01-01",
    ),
    (
        f'{EVERY_CALL} unless {{ context.run.now.toTime() > duration("8h") }}',
        "the time of day of the time (UTC) is at most 8h",
    ),
    # entities
    (
        f'{EVERY_CALL} when {{ principal is Agent in Agent::"ap" }}',
        "who acts is an agent and who acts is the agent ap",
    ),
    (
        f'{EVERY_CALL} unless {{ principal in [Agent::"ap", Agent::"hr"] }}',
        "who acts is not one of the agent ap, the agent hr",
    ),
    (
        f'{EVERY_CALL} when {{ action in [Action::"call:send", Action::"call:pay"] }}',
        "what is asked is one of a call of send, a call of pay",
    ),
    # what an author may choose is never taken for a part of the sentence
    (
        f'{EVERY_CALL} when {{ context.call.labels.contains("no") }}',
        'its arguments contain "no" data',
    ),
    (
        f'{EVERY_CALL} when {{ context.call.labels.contains("pii data or no secret") }}',
        'its arguments contain "pii data or no secret" data',
    ),
    (
        f'{SENDING} when {{ context.argument.to == "x\\" and its amount is \\"1" }}',
        r'its "to" is "x\" and its amount is \"1"',
    ),
    (
        f'{EVERY_CALL} when {{ context.run.agent == "a\\u{{202e}}b" }}',
        r'context.run.agent is "a\u{202e}b"',
    ),
    (
        f'{SENDING} when {{ context.argument.to like "a\\*b*" }}',
        r'its "to" is like "a\*b*"',
    ),
)  # fmt: skip


@pytest.mark.parametrize(("rule", "condition"), SAID)
def test_every_construct_has_its_words(rule: str, condition: str) -> None:
    assert told(rule).partition(" when ")[2] == f"{condition}."


def test_who_and_what_a_rule_is_about_is_said() -> None:
    scope = "(principal {}, action {}, resource {})"
    said = {
        ("", 'in Action::"call"', ""): "a tool call",
        ("", 'in Action::"call"', '== Tool::"pay"'): "a call of pay",
        ("", 'in Action::"call"', "is Tool"): "a call of any tool",
        ('is Agent in Agent::"hr"', 'in Action::"call"', ""): "a tool call by the agent hr",
        ("", "", '== Tool::"pay"'): "anything on the tool pay",
        ('== Agent::"hr"', 'in [Action::"call:pay", Action::"execute"]', ""): (
            "a call of pay or a program, each by the agent hr"
        ),
        ('== Agent::"hr when the tool writes"', 'in Action::"call"', ""): (
            'a tool call by the agent "hr when the tool writes"'
        ),
    }
    for parts, words in said.items():
        assert told(f"forbid{scope.format(*parts)}") == f"Never allow {words}."


@pytest.mark.parametrize(
    "rule",
    [
        'forbid(principal, action == Action::"call", resource)',
        'forbid(principal, action, resource) when { action == Action::"call" }',
        'permit(principal, action, resource) unless { Action::"call" != action }',
        'forbid(principal, action, resource) when { [Action::"call"].contains(action) }',
    ],
)
def test_a_rule_about_the_group_of_calls_as_if_it_were_one_is_refused(rule: str) -> None:
    # Every call is asked as "call:<tool>": equal to the group is none, and the rule would be idle.
    with pytest.raises(PolicyError, match='action in Action::"call"'):
        told(rule)
