"""Kill switches as doors read them."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Q, QuerySet

from agents.errors import NotFound
from agents.models import TWO_PERSON_SCOPES, KillScope, KillSwitch, RunState
from audit.transactions import in_workspace

HISTORY = 200
"""Switches that a list goes back to; every one stays in the log."""


@dataclass(frozen=True)
class KillSwitchView:
    """One switch; `runs` counts those of this workspace that wait for its lifting."""

    id: UUID
    scope: KillScope
    subject: str
    reason: str
    sentence: str
    set_by: str
    set_at: datetime
    needs_two: bool
    lift_asked_by_id: str
    lift_asked_by: str
    lift_asked_at: datetime | None
    lift_reason: str
    lifted_by: str
    lifted_at: datetime | None
    runs: int

    @property
    def in_force(self) -> bool:
        return self.lifted_at is None


def kill_switches(workspace_id: UUID, *, lifted: bool = False) -> tuple[KillSwitchView, ...]:
    """The switches that this workspace is under, newest first; with `lifted` those of the past too.

    Those for everything are among them; they are lifted on the command line only.
    """
    with in_workspace(workspace_id):
        found = _counted(workspace_id)
        if not lifted:
            found = found.filter(lifted_at__isnull=True)
        return tuple(_view(switch) for switch in found.order_by("-set_at", "id")[:HISTORY])


def kill_switch(workspace_id: UUID, switch_id: UUID) -> KillSwitchView:
    """One switch, in force or lifted.

    Raises:
        NotFound: this workspace is under no such switch.
    """
    with in_workspace(workspace_id):
        found = _counted(workspace_id).filter(id=switch_id).first()
        if found is None:
            raise NotFound(f"no kill switch {switch_id}")
        return _view(found)


def standstills(workspace_id: UUID) -> tuple[KillSwitchView, ...]:
    """The switches under which no run of this workspace goes on, whatever it does."""
    with in_workspace(workspace_id):
        found = _counted(workspace_id).filter(
            lifted_at__isnull=True, scope__in=[scope.value for scope in TWO_PERSON_SCOPES]
        )
        return tuple(_view(switch) for switch in found.order_by("set_at", "id"))


def _counted(workspace_id: UUID) -> QuerySet[KillSwitch]:
    waiting = Q(runs__workspace_id=workspace_id, runs__state=RunState.QUEUED)
    return KillSwitch.objects.annotate(waiting=Count("runs", filter=waiting))


def _view(switch: KillSwitch) -> KillSwitchView:
    scope = KillScope(switch.scope)
    return KillSwitchView(
        id=switch.id,
        scope=scope,
        subject=switch.subject,
        reason=switch.reason,
        sentence=switch.sentence,
        set_by=switch.set_by_name,
        set_at=switch.set_at,
        needs_two=scope in TWO_PERSON_SCOPES,
        lift_asked_by_id=switch.lift_asked_by_id,
        lift_asked_by=switch.lift_asked_by_name,
        lift_asked_at=switch.lift_asked_at,
        lift_reason=switch.lift_reason,
        lifted_by=switch.lifted_by_name,
        lifted_at=switch.lifted_at,
        runs=vars(switch)["waiting"],
    )
