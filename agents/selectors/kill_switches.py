"""Kill switches as doors read them."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Q

from agents.models import TWO_PERSON_SCOPES, KillScope, KillSwitch, RunState
from audit.transactions import in_workspace


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
    """The switches that this workspace is under, newest first; with `lifted` all there ever were.

    Those for everything are among them; they are lifted on the command line only.
    """
    with in_workspace(workspace_id):
        waiting = Q(runs__workspace_id=workspace_id, runs__state=RunState.QUEUED)
        found = KillSwitch.objects.annotate(waiting=Count("runs", filter=waiting))
        if not lifted:
            found = found.filter(lifted_at__isnull=True)
        return tuple(_view(switch) for switch in found.order_by("-set_at", "id"))


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
