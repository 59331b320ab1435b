"""What a card showed of a policy version, as rows; nothing here asks the database."""

from collections.abc import Mapping
from typing import Any

from django import template

from countersign.console import policy_words
from countersign.console.policy_words import Breach, ExampleRow, Move
from policies.invariants import Kept
from policies.readiness import counterexample
from policies.sentences import people

register = template.Library()


@register.filter
def examples(findings: Mapping[str, Any]) -> list[ExampleRow]:
    """Requests whose outcome changes: `{% with rows=shown.readiness|examples %}`."""
    return policy_words.examples(findings.get("difference") or {})


@register.filter
def breach(kept: Kept) -> Breach:
    """The request that breaks an invariant: `{% with breach=kept|breach %}`."""
    return policy_words.breach(counterexample(kept))


@register.simple_tag
def seat(role: str, quorum: int) -> str:
    """So many of a role, as in "two reviewers"."""
    return people(role, quorum)


@register.filter
def moves(simulation: Mapping[str, Any]) -> list[Move]:
    """How many past decisions would differ."""
    return policy_words.moves(simulation.get("counts") or {})
