"""The rules of a policy text as rows that anyone can read. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from countersign.console import words
from countersign.console.words import Word
from policies import forms, sentences
from policies.engine import FiredRule, PolicyError, PolicySet, compile_policy
from policies.facts.record import ToolSpec


@dataclass(frozen=True)
class RuleRow:
    """One rule: its sentence, and what follows when it holds.

    `by_form`: it opens in the form that made it; the others are Cedar. `obligations`: sentences of
    what follows beside the outcome.
    """

    id: str
    sentence: str
    reason: str
    word: Word
    shadow: bool
    by_form: bool = False
    obligations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rules:
    """All rules of a text, or why it cannot be read with the tools of today."""

    rows: tuple[RuleRow, ...] = ()
    problem: str = ""


def read(text: str, tools: Sequence[ToolSpec]) -> Rules:
    """The rules of `text` in its order."""
    try:
        compiled = compile_policy(text, tools=tools)
    except PolicyError as error:
        return Rules(problem=str(error))
    found = {piece.id: (place, piece) for place, piece in enumerate(forms.pieces(text))}
    rows = sorted(compiled.rules.values(), key=lambda rule: found[rule.id][0])
    return Rules(tuple(_row(rule, compiled, found[rule.id][1].text) for rule in rows))


def _row(rule: FiredRule, compiled: PolicySet, text: str) -> RuleRow:
    return RuleRow(
        rule.id,
        rule.sentence,
        rule.reason,
        _word(rule, compiled),
        rule.shadow,
        forms.read(text) is not None,
        tuple(sentences.obligation(each) for each in rule.obligations),
    )


def _word(rule: FiredRule, compiled: PolicySet) -> Word:
    if rule.roles:
        who = words.names([words.role(role) for role in rule.roles])
        signatures = words.count(rule.quorum, "signature")
        code = ", with a code" if rule.factor else ""
        return Word("◆", f"{signatures}: {who}{code}", words.REVIEW)
    if compiled.trees[rule.id].effect == "permit":
        return Word("✓", "allowed", words.ALLOW)
    return Word("✕", "refused", words.DENY)
