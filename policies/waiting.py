"""How much waits for one person: what every page of the console says, in one query.

The same answer as counting `selectors.queue` without refusals, where every request comes with its
votes, events and people.
"""

from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef

from audit.transactions import in_workspace
from policies import approvals, standing
from policies.directory import OnePage, directory
from policies.models import OPEN_STATES, ApprovalEvent, ApprovalRequest, EventKind, Vote


def waiting_count(workspace_id: UUID, user_id: str, roles: frozenset[str], now: datetime) -> int:
    """How many requests this person, who holds these roles now, may sign.

    Who controls a service account that asked for one is one query more.
    """
    with in_workspace(workspace_id):
        people = OnePage(directory())
        mine = {"request": OuterRef("pk"), "user": user_id}
        rows = (
            ApprovalRequest.objects.filter(state__in=OPEN_STATES, sign_by__gte=now)
            .exclude(requester_id=user_id)
            .exclude(barred__contains=[user_id])
            .exclude(Exists(Vote.objects.filter(**mine)))
            .exclude(Exists(ApprovalEvent.objects.filter(kind=EventKind.EDITED, **mine)))
            .values_list("requirement", "requester_type", "requester_id")
        )
        return sum(
            not roles.isdisjoint(seat.role for seat in approvals.parse_requirement(requirement))
            and not (kind == standing.SERVICE and user_id in people.behind(account))
            for requirement, kind, account in rows
        )
