"""How often a workspace's policies allowed, refused and asked, day by day."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from uuid import UUID

from django.db.models import Count
from django.db.models.functions import TruncDate

from audit.transactions import in_workspace
from policies.models import DecisionRecord


def decisions_by_day(workspace_id: UUID, since: datetime) -> Mapping[tuple[date, str], int]:
    """Decisions by day (UTC) and outcome; what did not occur is left out."""
    with in_workspace(workspace_id):
        rows = (
            DecisionRecord.objects.filter(workspace_id=workspace_id, created__gte=since)
            .order_by()
            .values_list(TruncDate("created", tzinfo=UTC), "outcome")
            .annotate(Count("id"))
        )
        return {(day, outcome): number for day, outcome, number in rows}
