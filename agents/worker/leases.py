"""Which worker may write to a run.

A lease is a conditional UPDATE: whoever raises the run's `epoch` owns it until `lease_until`, and
renews it while it works. Every write of a worker goes through `held`, which locks the run's row
and compares the epoch: a worker that lost its lease (it stalled, the run was stopped, another took
over) writes nothing. PostgreSQL's clock is the only clock.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import Error, close_old_connections, connection
from django.db.models import DateTimeField, ExpressionWrapper, F, Q
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Coalesce, Now

from agents import tracing
from agents.errors import LeaseLost
from agents.kill_switches import switches
from agents.models import KillSwitch, Run, RunState
from audit import wire
from audit.services import Actor, Draft, Subject, record
from audit.transactions import in_workspace

LEASE = timedelta(seconds=15)
RENEW_EVERY_S = 5.0
CHECK_EVERY_S = 0.5
LOOK_AGAIN = timedelta(seconds=30)
"""When a run held by a kill switch is looked at again, should nobody wake it at its lifting."""
SURE_S = 10.0
"""How long after renewing its lease a worker may begin an effect without looking again."""


@dataclass(frozen=True)
class Lease:
    """The right to write to one run, while its epoch stands."""

    workspace_id: UUID
    run_id: UUID
    epoch: int
    owner: str
    """`name:process:thread`; see `agents.tasks`."""

    @property
    def worker(self) -> Actor:
        """Who works, for the log: one id for a host, or each of its processes would be another."""
        return Actor("system", f"worker:{self.owner.split(':')[0]}", "worker")


def claim(*, workspace_id: UUID, run_id: UUID, owner: str) -> Lease | None:
    """Take a run that is queued, or whose worker is gone; None if there is nothing to take.

    A run that a kill switch holds is not taken: it is put back with the switch as its reason.
    """
    with in_workspace(workspace_id):
        if _held_back(run_id):
            return None
        taken = Run.objects.filter(_claimable(), id=run_id).update(
            state=RunState.RUNNING,
            epoch=F("epoch") + 1,
            attempts=F("attempts") + 1,
            lease_owner=owner,
            lease_until=lease_end(),
            started=Coalesce("started", Now()),
            wake_at=None,
            stopped_by=None,
        )
        if not taken:
            return None
        run = Run.objects.only("epoch", "workspace_id", "trace_parent").get(id=run_id)
        lease = Lease(workspace_id, run_id, run.epoch, owner)
        with tracing.in_trace_of(run):
            record(workspace_id, [_claimed(lease)])
    return lease


def _named(run_id: UUID) -> Run:
    """The run with the names that a kill switch may hold it by."""
    return Run.objects.select_related("agent_version__agent", "agent_version__endpoint").get(
        id=run_id
    )


_LOCK = "SELECT epoch, state, now() FROM agents_run WHERE id = $1 FOR UPDATE"


@contextlib.contextmanager
def held(lease: Lease) -> Iterator[datetime]:
    """One transaction of the lease's holder, the run's row locked; with PostgreSQL's time.

    While epoch and state stand, nobody but the holder writes the row, save for `lease_until`; so
    the holder goes on from the row it knows and need not read it at every commit.

    Raises:
        LeaseLost: the run is another worker's by now, or was stopped.
    """
    with in_workspace(lease.workspace_id):
        found = wire.row(connection, _LOCK, [wire.uuid(lease.run_id)])
        if found is None:
            raise LeaseLost(f"run {lease.run_id} is not in this workspace")
        epoch, state, now = found
        stands = (wire.integer(epoch), state.decode())
        if stands != (lease.epoch, RunState.RUNNING):
            raise LeaseLost("run {} moved on to epoch {} ({})".format(lease.run_id, *stands))
        yield wire.moment(now)


@contextlib.contextmanager
def recording(lease: Lease) -> Iterator[Run]:
    """One transaction about what already happened: it is recorded even if the run was stopped."""
    with in_workspace(lease.workspace_id):
        yield locked(lease.run_id)


def locked(run_id: UUID) -> Run:
    """The run with its row locked until the transaction ends.

    Raises:
        Run.DoesNotExist: not in the open workspace.
    """
    return (
        Run.objects.select_for_update(of=("self",))
        .select_related("agent_version__agent", "agent_version__endpoint")
        .get(id=run_id)
    )


def _claimable() -> Q:
    lapsed = Q(lease_until__isnull=True) | Q(lease_until__lt=Now())
    due = Q(wake_at__isnull=True) | Q(wake_at__lte=Now())
    return (Q(state=RunState.QUEUED) | Q(state=RunState.RUNNING) & lapsed) & due


def _held_back(run_id: UUID) -> bool:
    run = (
        Run.objects.select_related("agent_version__agent", "agent_version__endpoint", "stopped_by")
        .filter(_claimable(), id=run_id)
        .first()
    )
    switch = switches.holding(run) if run is not None else None
    if run is None or switch is None:
        return False
    hold(run.id, switch)
    return True


def hold(run_id: UUID, switch: KillSwitch) -> None:
    """Put a run that no worker holds back until `switch` is lifted; part of a caller's commit."""
    run = Run.objects.select_for_update(of=("self",)).filter(_claimable(), id=run_id).first()
    if run is None:
        return
    known = run.stopped_by_id == switch.id
    # The epoch: a worker that comes back from a stall must not write over this.
    Run.objects.filter(id=run_id).update(
        state=RunState.QUEUED,
        reason=switch.sentence,
        stopped_by=switch,
        wake_at=ExpressionWrapper(Now() + LOOK_AGAIN, output_field=DateTimeField()),
        epoch=F("epoch") + 1,
        lease_owner="",
        lease_until=None,
    )
    if not known:
        record(run.workspace_id, [_parked(run, switch)])


def _parked(run: Run, switch: KillSwitch) -> Draft:
    return Draft(
        action="run.parked",
        actor=Actor("system", "kill-switch", "kill switch"),
        subject=Subject("run", str(run.id)),
        run=run.id,
        detail={"waits_for": "kill_switch", "switch": str(switch.id)},
    )


def lease_end() -> "ExpressionWrapper[CombinedExpression]":
    """When a lease that is given or renewed in this transaction lapses."""
    return ExpressionWrapper(Now() + LEASE, output_field=DateTimeField())


def _claimed(lease: Lease) -> Draft:
    return Draft(
        action="run.claimed",
        actor=lease.worker,
        subject=Subject("run", str(lease.run_id)),
        run=lease.run_id,
        detail={"epoch": lease.epoch, "process": lease.owner},
    )


class Keeper:
    """Renews the leases a process holds, and says at once when a run may not go on.

    One thread for all runs of the process: it looks twice a second (so that the jail of a run that
    was stopped, or is held by a kill switch, ends within a second) and renews every five.
    """

    def __init__(self) -> None:
        self._held: dict[Lease, Callable[[], None]] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def keeping(self, lease: Lease, on_lost: Callable[[], None]) -> Iterator[None]:
        """Keep `lease` while the block runs; `on_lost` is called from the keeper's thread."""
        with self._lock:
            self._held[lease] = on_lost
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="lease-keeper", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._held.pop(lease, None)

    def _loop(self) -> None:
        since_renewal = 0.0
        while not self._wake.wait(CHECK_EVERY_S):
            since_renewal += CHECK_EVERY_S
            renew = since_renewal >= RENEW_EVERY_S
            since_renewal = 0.0 if renew else since_renewal
            with self._lock:
                held = dict(self._held)
            if held:
                self._look(held, renew=renew)

    def _look(self, held: dict[Lease, Callable[[], None]], *, renew: bool) -> None:
        close_old_connections()
        try:
            for lease, on_lost in held.items():
                if not _stands(lease, renew=renew):
                    on_lost()
        except Error:
            # The database is away. The lease may lapse meanwhile; every write checks the epoch.
            return
        finally:
            connection.close()


def _stands(lease: Lease, *, renew: bool) -> bool:
    """Whether the worker may go on: the lease is its own, and no kill switch holds the run."""
    with in_workspace(lease.workspace_id):
        if switches.in_force(_named(lease.run_id)) is not None:
            return False
        mine = Run.objects.filter(id=lease.run_id, epoch=lease.epoch, state=RunState.RUNNING)
        return bool(mine.update(lease_until=lease_end())) if renew else mine.exists()
