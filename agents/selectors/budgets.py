"""Budgets of a day with what is used of them, as doors read them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from agents.budgets import spending
from agents.budgets.effects import NO_CURRENCY, SIGN, Budget, Used
from audit.transactions import in_workspace


@dataclass(frozen=True)
class BudgetLine:
    """One bound of one day (UTC) and how far it is used up.

    Attributes:
        kind: "writes", "recipients" or "amount".
        used, limit: of an amount in hundredths of `currency`, which is "" where none is named.
        everyone: all agents of the workspace count, not this one alone.
        asks: crossing it asks for more signatures; else it stops the effect.
    """

    kind: str
    used: int
    limit: int
    currency: str
    everyone: bool
    asks: bool

    @property
    def percent(self) -> int:
        return min(100, 100 * self.used // self.limit)


def budgets_today(
    workspace_id: UUID, agent_id: UUID, budgets: Mapping[str, Any]
) -> tuple[BudgetLine, ...]:
    """The budgets of an agent version with what today's effects have used of them."""
    day = datetime.now(UTC).date()
    scopes = (("per_day", agent_id), ("workspace_per_day", None))
    with in_workspace(workspace_id):
        return tuple(
            line
            for key, whose in scopes
            if key in budgets
            for line in _lines(
                Budget.from_json(budgets[key]), spending.used(day, whose), everyone=whose is None
            )
        )


def _lines(budget: Budget, used: Used, *, everyone: bool) -> Iterator[BudgetLine]:
    asks = budget.over == SIGN
    if budget.writes is not None:
        yield BudgetLine("writes", used.writes, budget.writes, "", everyone, asks)
    if budget.recipients is not None:
        people = len(used.recipients)
        yield BudgetLine("recipients", people, budget.recipients, "", everyone, asks)
    for currency, limit in (budget.amounts or {}).items():
        name = "" if currency == NO_CURRENCY else currency
        yield BudgetLine("amount", used.amounts.get(currency, 0), limit, name, everyone, asks)
