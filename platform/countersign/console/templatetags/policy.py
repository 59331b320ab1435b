"""What a card showed of a policy version, as rows; nothing here asks the database."""

from collections.abc import Mapping
from typing import Any

from django import template

from agents.selectors.records import DecisionView
from countersign.console import policy_words
from countersign.console.policy_words import ExampleRow, Move

register = template.Library()


@register.filter
def examples(findings: Mapping[str, Any]) -> list[ExampleRow]:
    """Requests whose outcome changes: `{% with rows=shown.readiness|examples %}`."""
    return policy_words.examples(findings.get("difference") or {})


@register.filter
def masked(decision: DecisionView | None) -> frozenset[str]:
    """Arguments that the rules of a decision hide until whoever reads asks for them."""
    rules = () if decision is None else decision.rules
    return policy_words.masked({"obligations": rule.obligations} for rule in rules)


@register.filter
def moves(simulation: Mapping[str, Any]) -> list[Move]:
    """How many past decisions would differ."""
    return policy_words.moves(simulation.get("counts") or {})
