"""Replays of runs, as doors read them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from agents.errors import NotFound
from agents.models import Replay, ReplayState, Run
from agents.replay.restoring import Replayed
from agents.replay.service import STALE, steps_of
from audit.transactions import in_workspace


@dataclass(frozen=True)
class ReplayView:
    """One replay; `lost`: its worker has given no sign of life for minutes."""

    id: UUID
    run_id: UUID
    state: ReplayState
    requester_name: str
    steps: tuple[Replayed, ...]
    error: str
    requested: datetime
    ended: datetime | None
    lost: bool

    @property
    def is_under_way(self) -> bool:
        return self.state in (ReplayState.WAITING, ReplayState.RUNNING) and not self.lost

    @property
    def matched(self) -> int:
        return sum(bool(step.matched) for step in self.steps)

    @property
    def differing(self) -> Replayed | None:
        """The step that differs; a replay stops there."""
        return next((step for step in self.steps if step.divergence is not None), None)


def replays(workspace_id: UUID, run_id: UUID, *, limit: int = 10) -> tuple[ReplayView, ...]:
    """The replays of a run, newest first.

    Raises:
        NotFound: no such run in this workspace.
    """
    with in_workspace(workspace_id):
        if not Run.objects.filter(id=run_id).exists():
            raise NotFound(f"There is no run {run_id} in this workspace.")
        return tuple(_view(row) for row in Replay.objects.filter(run_id=run_id)[:limit])


def replay(workspace_id: UUID, run_id: UUID, replay_id: UUID) -> ReplayView:
    """One replay of a run.

    Raises:
        NotFound: no such replay of this run in this workspace.
    """
    with in_workspace(workspace_id):
        row = Replay.objects.filter(id=replay_id, run_id=run_id).first()
    if row is None:
        raise NotFound(f"There is no replay {replay_id} of this run.")
    return _view(row)


def _view(row: Replay) -> ReplayView:
    state = ReplayState(row.state)
    open_still = state in (ReplayState.WAITING, ReplayState.RUNNING)
    return ReplayView(
        id=row.id,
        run_id=row.run_id,
        state=state,
        requester_name=row.requester_name,
        steps=tuple(steps_of(row)),
        error=row.error,
        requested=row.requested,
        ended=row.ended,
        lost=open_still and datetime.now(UTC) - row.touched > STALE,
    )
