"""The rules of a policy text as rows that anyone can read. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from countersign.console import words
from countersign.console.words import Word
from policies.engine import FiredRule, PolicyError, PolicySet, compile_policy
from policies.facts.record import ToolSpec


@dataclass(frozen=True)
class RuleRow:
    """One rule: its sentence, and what follows when it holds."""

    id: str
    sentence: str
    reason: str
    word: Word
    shadow: bool


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
    rows = sorted(compiled.rules.values(), key=lambda rule: text.find(f'@id("{rule.id}")'))
    return Rules(tuple(_row(rule, compiled) for rule in rows))


def _row(rule: FiredRule, compiled: PolicySet) -> RuleRow:
    return RuleRow(rule.id, rule.sentence, rule.reason, _word(rule, compiled), rule.shadow)


def _word(rule: FiredRule, compiled: PolicySet) -> Word:
    if rule.roles:
        who = words.names([words.role(role) for role in rule.roles])
        signatures = words.count(rule.quorum, "signature")
        return Word("◆", f"{signatures}: {who}", words.REVIEW)
    if compiled.trees[rule.id].effect == "permit":
        return Word("✓", "allowed", words.ALLOW)
    return Word("✕", "refused", words.DENY)
