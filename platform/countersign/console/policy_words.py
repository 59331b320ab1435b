"""What was found about a policy version, in the words of its pages and of the card. Pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from countersign.console import words
from countersign.console.words import Word
from policies.approvals import folded
from policies.engine import Decision, Outcome
from policies.outlook import Outlook, Prospect
from policies.sentences import obligation, people

_FACTS = {
    "call.amount_minor": "amount",
    "call.amount_known": "the amount is known",
    "call.labels": "data in its arguments",
    "call.seen": "read before it",
    "call.flows": "data that decides an argument",
    "call.choices": "data with a say in an argument",
    "call.deciders": "data with a say in its arguments",
    "call.guards": "data that decides whether it happens",
    "call.rounds": "data that decides how often it happens",
    "call.recipient_sources": "recipient comes from",
    "call.amount_sources": "amount comes from",
    "call.recipient_tools": "recipient comes from the tool",
    "call.first_use": "first use by this version of the agent",
    "call.made_before": "made before in this run, with the same recipients and amounts",
    "call.hosts": "hosts in its arguments",
    "call.roles": "arguments with the role",
    "call.secrets": "passwords or keys in its arguments",
    "call.personal": "personal data in its arguments",
    "run.hour": "hour (UTC)",
    "run.weekday": "weekday (Monday is 1)",
    "run.seen": "read by the model",
    "run.spent.cost_micros": "cost so far, in millionths",
    "run.spent.tool_calls": "tool calls so far",
    "run.spent.writes": "write calls so far",
    "run.spent.tokens": "tokens so far",
    "run.spent.steps": "steps so far",
    "run.spent.seconds": "seconds so far",
    "call.today.writes": "write calls today",
    "call.today.recipients": "recipients today",
    "call.today.amount_minor": "amount moved today",
    "call.over_budget": "it would cross a budget of the day",
    "program.imports": "imports",
    "answer.labels": "data in the answer",
    "prompt.secrets": "passwords or keys in the prompt",
    "prompt.personal": "personal data in the prompt",
}
_ACTIONS = {
    "start_run": "Starting a run",
    "use_model": "Sending what was read to a model",
    "execute": "A program",
    "release": "An answer",
    "change": "A change of",
}
_HYPOTHETICAL = "any_"


@dataclass(frozen=True)
class ExampleRow:
    """A request whose outcome changes, or what follows from it: that is said where it differs."""

    what: str
    facts: tuple[tuple[str, str], ...]
    before: Word
    after: Word
    imagined: bool
    before_follows: tuple[str, ...] = ()
    after_follows: tuple[str, ...] = ()


def examples(difference: Mapping[str, Any]) -> list[ExampleRow]:
    """The examples of a difference as `Readiness.to_json` tells it."""
    return [_example(each) for each in difference.get("examples", ())]


@dataclass(frozen=True)
class Breach:
    """A request that breaks an invariant, and how it is answered."""

    what: str
    facts: tuple[tuple[str, str], ...]
    answer: Word
    imagined: bool


def breach(example: Mapping[str, Any]) -> Breach:
    """The `example` of an invariant as `Readiness.to_json` tells it."""
    tool = example["tool"]
    effect = {"write": "writes", "read": "only reads"}.get(tool.get("effect", ""), "")
    known = (("the tool", f"{effect}, risk tier {tool['tier']}"),) if effect else ()
    return Breach(
        _what(example),
        (*known, *_told(example["facts"])),
        outcome(example["answer"], example["signatures"]),
        str(example["resource"]).startswith(_HYPOTHETICAL),
    )


def _what(each: Mapping[str, Any]) -> str:
    action, resource = str(each["action"]), str(each["resource"])
    if action.startswith("call:"):
        return f"A call of {resource}"
    what = _ACTIONS.get(action, action)
    return f"{what} a {resource}" if action == "change" else what


def _told(facts: Sequence[Mapping[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (_FACTS.get(fact["name"], fact["name"].replace("_", " ").replace(".", ", ")), fact["value"])
        for fact in facts
        if not (fact["name"] == "call.amount_known" and fact["value"] == "yes")
    )


def _example(each: Mapping[str, Any]) -> ExampleRow:
    then = (each.get("before_follows", []), each.get("after_follows", []))
    return ExampleRow(
        _what(each),
        _told(each["facts"]),
        outcome(each["before"], each.get("before_signatures", ())),
        outcome(each["after"], each.get("after_signatures", ())),
        str(each["resource"]).startswith(_HYPOTHETICAL),
        *(tuple(follows) if follows != other else () for follows, other in (then, then[::-1])),
    )


def outcome(value: str, signatures: Sequence[Mapping[str, Any]] = ()) -> Word:
    """An outcome with who must sign."""
    if value == "review" and signatures:
        seats = folded({str(seat["role"]): int(seat["quorum"]) for seat in signatures})
        told = [people(role, quorum) for role, quorum in seats.items()]
        code = ", with a code" if any(seat.get("factor") for seat in signatures) else ""
        return Word("◆", f"waits for {words.names(told)}{code}", words.REVIEW)
    short = {
        "allow": Word("✓", "allowed", words.ALLOW),
        "review": Word("◆", "needs signatures", words.REVIEW),
        "deny": Word("✕", "refused", words.DENY),
        "other": Word("◆", "needs other signatures", words.REVIEW),
    }
    return short.get(value, Word("?", "cannot be said", words.DOUBT))


@dataclass(frozen=True)
class Move:
    """So many past decisions would go from one outcome to another."""

    count: int
    before: Word
    after: Word


def moves(counts: Mapping[str, int]) -> list[Move]:
    """What a simulation counted, the most frequent first, without what stays the same."""
    found = [
        Move(int(count), outcome(move.split(" -> ")[0]), outcome(move.split(" -> ")[1]))
        for move, count in counts.items()
        if " -> " in move
    ]
    return sorted(found, key=lambda move: -move.count)


def alike(changes: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Simulated decisions in their order, those of one step that differ alike as one with `count`.

    A program that pays twelve times is decided twelve times; its first call stands for them.
    """
    found: dict[str, dict[str, Any]] = {}
    for change in changes:
        told = {name: part for name, part in change.items() if name not in ("decision", "at")}
        key = json.dumps(told if "step" in told else dict(change), sort_keys=True)
        found.setdefault(key, {**change, "count": 0})["count"] += 1
    return list(found.values())


def trial(counts: Mapping[str, int], asks: Word) -> list[Move]:
    """What was decided where a rule on trial would have held, beside what it asks for."""
    refused = outcome("deny")
    after = {"allow": asks, "review": refused if asks.tone == words.DENY else asks, "deny": refused}
    return [
        Move(counts[then], outcome(then), after[then])
        for then in ("allow", "review", "deny")
        if counts.get(then)
    ]


@dataclass(frozen=True)
class Forecast:
    """What the policy will say of a tool's calls: of every one, and by what it depends on.

    `covered`: rules that may hold as well and ask for nothing more. `problem`: why nothing is
    known.
    """

    word: Word
    rows: tuple[tuple[str, str, Word], ...] = ()
    covered: int = 0
    problem: str = ""


def forecast(found: Outlook) -> Forecast:
    """An outlook in words; each row is a rule's id, its sentence and what follows."""
    word = Word("◆", "depends on the call", words.REVIEW)
    if found.outcome is not None:
        word = outcome(found.outcome.value, found.requirement.to_json())
    rows = [
        (each.rule.id, " ".join([each.sentence, *map(obligation, each.rule.obligations)]),
         _follows(each))
        for each in found.depends
    ]  # fmt: skip
    return Forecast(word, tuple(rows), found.covered)


def _follows(each: Prospect) -> Word:
    if each.rule.shadow:
        return Word("○", "only recorded", words.QUIET)
    if each.permits:
        return outcome("allow")
    seats = Decision(Outcome.REVIEW, (each.rule,)).requirement
    return outcome("deny" if each.final else "review", seats.to_json())


def action(name: str) -> str:
    """What a stored decision was about."""
    if name.startswith("call:"):
        return f"call of {name.removeprefix('call:')}"
    return _ACTIONS.get(name, name).lower().removesuffix(" of")
