"""Budgets of effects: how much an agent, or all of a workspace, may do in a day (UTC). Pure.

Counted by what the tools' argument roles say: money moved (`amount`, `amount_minor`, by
`currency`), distinct recipients (`recipient`), and writes of any kind. A budget that names any
amount bounds all money: a currency it does not name, or an amount that cannot be counted exactly,
is not covered by it.

Crossing a budget stops the effect (`over: stop`, the default), or asks for the signatures that the
policy names for it (`over: sign`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.approvals.manifest import minor_units, money
from agents.errors import LimitsInvalid
from audit.canonical import JSON
from policies.facts.paths import value_at

NO_CURRENCY = "none"
"""Names, in a budget, the money of tools that have no argument for its currency."""

STOP, SIGN = "stop", "sign"
"""What crossing a budget does."""

_AMOUNT_ROLES = frozenset({"amount", "amount_minor"})


@dataclass(frozen=True)
class Budget:
    """What may be done in one day; what is None is not bounded.

    Attributes:
        amounts: currency → hundredths of it.
        over: what crossing it does, `STOP` or `SIGN`.
    """

    writes: int | None = None
    recipients: int | None = None
    amounts: Mapping[str, int] | None = None
    over: str = STOP

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Budget":
        """Read a budget as registered, amounts in whole units of their currencies.

        Raises:
            LimitsInvalid: something in it is unknown or no positive whole number.
        """
        unknown = set(stored) - {"writes", "recipients", "amounts", "over"}
        if unknown:
            raise LimitsInvalid(f"unknown budget: {', '.join(sorted(unknown))}")
        over = stored.get("over", STOP)
        if over not in (STOP, SIGN):
            raise LimitsInvalid("budget over must be stop or sign")
        amounts = stored.get("amounts")
        if amounts is not None and (not isinstance(amounts, Mapping) or not amounts):
            raise LimitsInvalid("budget amounts must be a mapping of currency to amount")
        numbers = {**stored, **(amounts or {})}
        numbers.pop("amounts", None)
        numbers.pop("over", None)
        for name, value in numbers.items():
            if type(value) is not int or not 0 < value <= 2**53 - 1:
                raise LimitsInvalid(f"budget {name} must be a positive whole number")
        return cls(
            writes=stored.get("writes"),
            recipients=stored.get("recipients"),
            amounts=None if amounts is None else {c: n * 100 for c, n in amounts.items()},
            over=over,
        )


@dataclass(frozen=True)
class Weight:
    """What one effect counts for.

    Attributes:
        amount_minor: hundredths; None where the call moves money that cannot be counted exactly.
    """

    currency: str = NO_CURRENCY
    amount_minor: int | None = 0
    recipients: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Used:
    """What was done so far, in the words of `Budget`."""

    writes: int = 0
    amounts: Mapping[str, int] = field(default_factory=dict)
    recipients: frozenset[str] = frozenset()

    def plus(self, weight: Weight) -> "Used":
        """What would be used after one more effect; an amount nobody can count adds nothing."""
        amounts = dict(self.amounts)
        amounts[weight.currency] = amounts.get(weight.currency, 0) + (weight.amount_minor or 0)
        return Used(self.writes + 1, amounts, self.recipients | weight.recipients)


def weigh(roles: Mapping[str, str], arguments: Mapping[str, JSON]) -> Weight:
    """What a call with these arguments would count for."""
    by_role = {role: value_at(arguments, name) for name, role in roles.items()}
    moves_money = any(by_role.get(role) is not None for role in _AMOUNT_ROLES)
    minor = minor_units(by_role) if moves_money else 0
    currency = by_role.get("currency")
    return Weight(
        currency=currency.upper() if isinstance(currency, str) and currency else NO_CURRENCY,
        # What comes back moves as well: negative amounts must not make room.
        amount_minor=None if minor is None else abs(minor),
        recipients=frozenset(
            text
            for name, role in roles.items()
            if role == "recipient"
            for text in _recipients(value_at(arguments, name))
        ),
    )


def crossed(budget: Budget, used: Used, weight: Weight, *, whose: str) -> str | None:
    """The sentence that stops an effect which would cross the budget, else None.

    Args:
        whose: "agent Teller" or "the workspace".
    """
    if budget.writes is not None and used.writes + 1 > budget.writes:
        return f"The daily budget of {whose} is used up: {budget.writes} writes."
    people = len(used.recipients | weight.recipients)
    if budget.recipients is not None and people > max(budget.recipients, len(used.recipients)):
        return (
            f"The daily budget of {whose} is used up: {budget.recipients} recipients, "
            f"and this would be number {people}."
        )
    return _money_crossed(budget, used, weight, whose)


def _money_crossed(budget: Budget, used: Used, weight: Weight, whose: str) -> str | None:
    if budget.amounts is None or weight.amount_minor == 0:
        return None
    if weight.amount_minor is None:
        return f"The amount cannot be counted against the daily budget of {whose}."
    name = "" if weight.currency == NO_CURRENCY else weight.currency
    limit = budget.amounts.get(weight.currency)
    if limit is None:
        return f"The daily budget of {whose} covers no amounts in {name or 'no named currency'}."
    spent = used.amounts.get(weight.currency, 0)
    if spent + weight.amount_minor <= limit:
        return None
    return (
        f"The daily budget of {whose} would be crossed: {money(weight.amount_minor, name)} more "
        f"than the {money(spent, name)} of today is above {money(limit, name)}."
    )


def _recipients(value: JSON) -> list[str]:
    if value is None:
        return []
    if isinstance(value, list):
        return [text for item in value for text in _recipients(item)]
    return [str(value).strip().casefold()]
