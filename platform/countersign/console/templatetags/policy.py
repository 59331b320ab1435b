"""What a card showed of a policy version, as rows; nothing here asks the database."""

from collections.abc import Mapping
from typing import Any

from django import template

from countersign.console import policy_words
from countersign.console.policy_words import ExampleRow, Move

register = template.Library()


@register.filter
def examples(findings: Mapping[str, Any]) -> list[ExampleRow]:
    """Requests whose outcome changes: `{% with rows=shown.readiness|examples %}`."""
    return policy_words.examples(findings.get("difference") or {})


@register.filter
def moves(simulation: Mapping[str, Any]) -> list[Move]:
    """How many past decisions would differ."""
    return policy_words.moves(simulation.get("counts") or {})
