"""Reserves effects against the budgets of their day, before they happen.

Guarantees: the effects of one day that happened, may have happened or are about to happen never
cross a budget of their agent version, however many runs race. The reservation is made in the
transaction of the call's intent, behind one lock per workspace, and given back only when the tool
says that nothing happened; a call that is repeated keeps the one it has.
"""

from datetime import UTC, date, datetime
from uuid import UUID

from django.db import connection
from django.db.models import Count, Func, Sum, TextField

from agents import budgets
from agents.budgets import Budget, Used
from agents.errors import BudgetCrossed
from agents.models import Call, Effect, EffectSpend, Run


def check(run: Run, call: Call) -> EffectSpend | None:
    """The reservation of a write that is about to be intended, not yet saved; None if it has one.

    Part of the intent's transaction: takes the workspace's lock until it ends.

    Raises:
        BudgetCrossed: the effect must not happen today.
    """
    if call.tool_version.effect != Effect.WRITE:
        return None
    with connection.cursor() as cursor:
        # Before anything is read: what others reserved is committed or waits behind us.
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"effects {run.workspace_id}"]
        )
    if EffectSpend.objects.filter(call_id=call.id, released__isnull=True).exists():
        return None
    weight = budgets.weigh(call.tool_version.roles, call.arguments)
    agent, today = run.agent_version.agent, datetime.now(UTC).date()
    scopes: tuple[tuple[str, str, UUID | None], ...] = (
        ("per_day", f"agent {agent.name}", agent.id),
        ("workspace_per_day", "the workspace", None),
    )
    for key, whose, agent_id in scopes:
        if key not in run.agent_version.budgets:
            continue
        budget = Budget.from_json(run.agent_version.budgets[key])
        problem = budgets.crossed(budget, used(today, agent_id), weight, whose=whose)
        if problem:
            raise BudgetCrossed(problem)
    return EffectSpend(
        workspace_id=run.workspace_id,
        agent=agent,
        call=call,
        day=today,
        currency=weight.currency[:100],
        amount_minor=weight.amount_minor or 0,
        recipients=sorted(weight.recipients),
    )


def used(day: date, agent_id: UUID | None = None) -> Used:
    """What is reserved of a day, by one agent or by all of the open workspace."""
    rows = EffectSpend.objects.filter(day=day, released__isnull=True)
    if agent_id is not None:
        rows = rows.filter(agent_id=agent_id)
    rows = rows.order_by()
    sums = rows.values_list("currency").annotate(writes=Count("id"), minor=Sum("amount_minor"))
    found = list(sums)
    # The database adds up: thousands of rows a day must not pass through here under the lock.
    people = rows.annotate(person=_Each("recipients")).values_list("person", flat=True).distinct()
    return Used(
        writes=sum(writes for _, writes, _ in found),
        amounts={currency: int(minor) for currency, _, minor in found},
        recipients=frozenset(people),
    )


class _Each(Func):
    """Every element of a JSON list of texts, one row each."""

    function = "jsonb_array_elements_text"
    output_field = TextField()
    set_returning = True


def release(call: Call) -> None:
    """Give back what a call had reserved, since nothing happened; part of the outcome's commit."""
    EffectSpend.objects.filter(call_id=call.id, released__isnull=True).update(
        released=datetime.now(UTC)
    )
