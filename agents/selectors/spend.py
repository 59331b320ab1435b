"""What models cost a workspace, day by day."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID

from django.db.models import Count, F, Sum
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import TruncDate

from agents.models import Run
from agents.selectors.records import CURRENCY
from audit.transactions import in_workspace


@dataclass(frozen=True)
class DaySpend:
    """What the runs that began on one day (UTC) have used, in one currency.

    Attributes:
        cost_micros: millionths of `currency`; 0 where the endpoint has no price.
    """

    day: date
    currency: str
    runs: int
    tokens: int
    cost_micros: int


def spend_by_day(workspace_id: UUID, since: datetime) -> tuple[DaySpend, ...]:
    """Days on which runs began, oldest first; a day without any is left out."""
    with in_workspace(workspace_id):
        rows = (
            Run.objects.filter(workspace_id=workspace_id, created__gte=since)
            .order_by()
            .annotate(
                day=TruncDate("created", tzinfo=UTC),
                currency=KeyTextTransform("currency", "agent_version__endpoint__settings"),
            )
            .values_list("day", "currency")
            .annotate(
                runs=Count("id"),
                tokens=Sum(F("input_tokens") + F("output_tokens")),
                cost=Sum("cost_micros"),
            )
        )
        found = (DaySpend(day, currency or CURRENCY, *sums) for day, currency, *sums in rows)
        return tuple(sorted(found, key=lambda row: (row.day, row.currency)))
