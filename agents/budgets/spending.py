"""Reserves effects against the budgets of their day, before they happen.

Guarantees: the effects of one day that happened, may have happened or are about to happen never
cross a budget of their agent version, however many runs race; save those whose signers were shown
that they cross it, where the budget says `over: sign`. The reservation is made in the transaction
of the call's intent, behind one lock per workspace, and given back only when the tool says that
nothing happened; a call that is repeated keeps the one it has.

What the policy is told beforehand (`foresee`) is not reserved: a budget that another run used up
meanwhile stops the effect, and what is asked for again is decided with the budget crossed.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from uuid import UUID

from django.db import connection
from django.db.models import Count, Func, Sum, TextField

from agents.budgets import effects
from agents.budgets.effects import Budget, Used, Weight
from agents.errors import BudgetCrossed
from agents.models import Call, Effect, EffectSpend, Run, ToolVersion
from audit.canonical import JSON
from audit.transactions import in_workspace
from policies.models import ApprovalRequest


@dataclass(frozen=True)
class Foreseen:
    """What an effect would come to, before it is asked for.

    Attributes:
        today: what its agent has done today and is about to do: writes, recipients (at most), and
            amount_minor in the currency of this effect; this one not counted.
        over: the budgets that it would cross, as sentences, where signatures may cross them.
    """

    today: Mapping[str, int] = field(default_factory=dict)
    over: tuple[str, ...] = ()


def foresee(
    run: Run, tool: ToolVersion, arguments: Mapping[str, JSON], planned: Iterable[Call] = ()
) -> Foreseen:
    """What a policy may know of the day before it decides on a call; nothing is reserved.

    Args:
        planned: effects that were deferred before this one, and will happen before it.
    """
    if tool.effect != Effect.WRITE:
        return Foreseen()
    weight, day = effects.weigh(tool.roles, arguments), datetime.now(UTC).date()
    before = [effects.weigh(c.tool_version.roles, c.arguments) for c in planned]
    asking = [scope for scope in _scopes(run) if scope.budget.over == effects.SIGN]
    return Foreseen(_today(run, day, weight, before), _over(run, day, weight, before, asking))


def _today(run: Run, day: date, weight: Weight, before: Sequence[Weight]) -> dict[str, int]:
    """Sums in one round trip and no transaction, since every write asks for them."""
    with connection.cursor() as cursor:
        whose = (run.workspace_id, run.agent_version.agent_id, day)
        cursor.execute("SELECT countersign_effects(%s, %s, %s)", whose)
        sums = json.loads(cursor.fetchone()[0])
    planned = _with(Used(), before)
    currency = weight.currency
    return {
        "writes": sums["writes"] + planned.writes,
        # Those of planned effects may be among today's; a rule had better count them twice.
        "recipients": sums["recipients"] + len(planned.recipients),
        "amount_minor": int(sums["amounts"].get(currency, 0)) + planned.amounts.get(currency, 0),
    }


def _over(
    run: Run, day: date, weight: Weight, before: Sequence[Weight], asking: "Sequence[_Scope]"
) -> tuple[str, ...]:
    """Sentences of the budgets that the effect would cross after those planned before it."""
    if not asking:
        return ()
    with in_workspace(run.workspace_id):
        problems = [
            scope.crossed(_with(used(day, scope.agent_id), before), weight) for scope in asking
        ]
    return tuple(problem for problem in problems if problem)


def check(run: Run, call: Call) -> EffectSpend | None:
    """The reservation of a write that is about to be intended, not yet saved; None if it has one.

    Part of the intent's transaction: takes the workspace's lock until it ends. Whether the
    signatures that may cross a budget stand is `countersigned`'s, in the same transaction.

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
    weight = effects.weigh(call.tool_version.roles, call.arguments)
    today = datetime.now(UTC).date()
    for scope in _scopes(run):
        problem = scope.crossed(used(today, scope.agent_id), weight)
        if problem and not (scope.budget.over == effects.SIGN and _signed_over(call)):
            raise BudgetCrossed(problem)
    return EffectSpend(
        workspace_id=run.workspace_id,
        agent=run.agent_version.agent,
        call=call,
        day=today,
        currency=weight.currency[:100],
        amount_minor=weight.amount_minor or 0,
        recipients=sorted(weight.recipients),
    )


def _signed_over(call: Call) -> bool:
    """Whether the card of its request showed that this effect crosses a budget."""
    if call.approval_request_id is None:
        return False
    shown = ApprovalRequest.objects.filter(id=call.approval_request_id)
    over = shown.values_list("displayed__over_budget", flat=True).first()
    return str(call.position) in (over or {})


@dataclass(frozen=True)
class _Scope:
    """Whose effects one budget bounds: an agent's, or all of the workspace."""

    whose: str
    agent_id: UUID | None
    budget: Budget

    def crossed(self, used: Used, weight: Weight) -> str | None:
        return effects.crossed(self.budget, used, weight, whose=self.whose)


def _scopes(run: Run) -> list[_Scope]:
    agent, given = run.agent_version.agent, run.agent_version.budgets
    every = (
        ("per_day", f"agent {agent.name}", agent.id),
        ("workspace_per_day", "the workspace", None),
    )
    return [
        _Scope(whose, agent_id, Budget.from_json(given[key]))
        for key, whose, agent_id in every
        if key in given
    ]


def _with(used: Used, more: Iterable[Weight]) -> Used:
    for weight in more:
        used = used.plus(weight)
    return used


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
