"""Replays that people ask for: in the background, by any worker, with an entry for each.

Nothing of the run is changed and nothing is called (`restoring.rehearse`). Guarantees: asking
leaves `run.replay_asked`, and what came of it `run.replayed` or `run.replay_failed`, in the
transaction that stores it. Those entries are outside of the run's own chain, which its worker or
its end has closed. A replay whose worker died may be asked for again; its own row stays as it was
left.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from uuid import UUID

from celery import current_app
from django.db import transaction
from django.db.models import Q

from agents.errors import NotFound, Refused, ToolChanged
from agents.models import Replay, ReplayState, Run
from agents.replay import restoring
from agents.replay.restoring import Replayed
from agents.sandbox.errors import SandboxError
from agents.session import open_session
from agents.worker.leases import Lease
from audit.canonical import JSON
from audit.services import Actor, Draft, Subject, record
from audit.transactions import in_workspace

NO_LEASE = -1
"""An epoch that no run has: whatever tried to write under it would be refused."""

STALE = timedelta(minutes=5)
"""A replay without a sign of life for so long has lost its worker."""

AT_ONCE = 2
"""Replays of one workspace under way; each keeps a thread of a worker and a jail busy."""


def replay_ask(*, workspace_id: UUID, run_id: UUID, asker: Actor) -> Replay:
    """Ask for a replay of a run as it stands; one of this run that is under way will do.

    Raises:
        NotFound: no such run in this workspace.
        Refused: enough replays are under way.
    """
    with in_workspace(workspace_id):
        run = Run.objects.select_for_update().only("id").filter(id=run_id).first()
        if run is None:
            raise NotFound(f"There is no run {run_id} in this workspace.")
        alive = Replay.objects.filter(_alive())
        row = alive.filter(run_id=run_id).first()
        if row is None:
            if alive.count() >= AT_ONCE:
                raise Refused(f"{AT_ONCE} replays are under way; ask again when one has ended.")
            row = Replay.objects.create(
                workspace_id=workspace_id,
                run_id=run_id,
                requester_id=asker.id,
                requester_name=asker.name,
            )
            record(workspace_id, [_draft(run_id, "run.replay_asked", asker, replay=str(row.id))])
        ids = [str(workspace_id), str(row.id)]
        # Also for one that waits: its message may be lost.
        transaction.on_commit(lambda: current_app.send_task("agents.replay", ids), robust=True)
    return row


def replay_make(*, workspace_id: UUID, replay_id: UUID) -> None:
    """Make a replay that waits; a second call does nothing."""
    with in_workspace(workspace_id):
        waiting = Replay.objects.filter(id=replay_id, state=ReplayState.WAITING)
        if not waiting.update(state=ReplayState.RUNNING, touched=datetime.now(UTC)):
            return
        row = Replay.objects.get(id=replay_id)
    error = "It stopped for a reason of its own; the worker's log has it."
    try:
        session = open_session(Lease(workspace_id, row.run_id, NO_LEASE, "replay"))
        for each in restoring.rehearse(session):
            row.steps.append(asdict(each))
            _tell(row)
        error = ""
    except (ToolChanged, Refused, SandboxError) as refused:
        error = f"The run cannot be replayed here: {refused}"
    finally:
        _end(row, error)


def replayed(run: Run, told: Sequence[Replayed], actor: Actor) -> None:
    """Record that a run was replayed, and where it differs. Part of a caller's transaction."""
    record(run.workspace_id, [_outcome(run.id, told, actor)])


def _alive() -> Q:
    since = datetime.now(UTC) - STALE
    return Q(state__in=(ReplayState.WAITING, ReplayState.RUNNING), touched__gt=since)


def _tell(row: Replay) -> None:
    row.touched = datetime.now(UTC)
    with in_workspace(row.workspace_id):
        row.save(update_fields=["steps", "touched"])


def _end(row: Replay, error: str) -> None:
    row.state = ReplayState.FAILED if error else ReplayState.DONE
    row.error, row.ended = error, datetime.now(UTC)
    asker = Actor("user", row.requester_id, row.requester_name)
    if error:
        draft = _draft(row.run_id, "run.replay_failed", asker, replay=str(row.id))
    else:
        draft = _outcome(row.run_id, list(steps_of(row)), asker, replay=str(row.id))
    with in_workspace(row.workspace_id):
        row.save(update_fields=["state", "error", "steps", "ended"])
        record(row.workspace_id, [draft])


def steps_of(row: Replay) -> Iterable[Replayed]:
    """What came of each step of a replay, as stored."""
    return (Replayed.from_json(each) for each in row.steps)


def _outcome(run_id: UUID, told: Sequence[Replayed], actor: Actor, **detail: JSON) -> Draft:
    differs = [each.divergence for each in told if each.divergence]
    where: dict[str, JSON] = {}
    sides: dict[str, JSON] = {}
    if differs:
        where = {"step": differs[0].step, "what": differs[0].what}
        sides = {"recorded": differs[0].recorded, "replayed": differs[0].replayed}
    matched = sum(bool(each.matched) for each in told)
    return _draft(
        run_id, "run.replayed", actor, sides, matches=not differs, steps=matched, **where, **detail
    )


def _draft(
    run_id: UUID,
    action: str,
    actor: Actor,
    payloads: dict[str, JSON] | None = None,
    **detail: JSON,
) -> Draft:
    return Draft(
        action=action,
        actor=actor,
        subject=Subject("run", str(run_id)),
        detail=detail,
        payloads=payloads or {},
        data_subject=f"run:{run_id}",
    )
