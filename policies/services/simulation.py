"""A version tried on the decisions of the past days, before anyone signs it."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from audit.canonical import JSON
from audit.services import Actor, Draft, Subject, record
from audit.transactions import in_workspace
from policies import life, selectors
from policies.engine import PolicyError, compile_policy
from policies.errors import InvalidRequest, NotFound, Refusal
from policies.life import PastDecision
from policies.models import PolicySimulation, PolicyVersion
from policies.services.policy import not_proposer, refuse
from policies.simulation import Replayed, Simulator
from policies.tools import registered

MAX_DAYS = 3650
"""Longer than any installation has decided anything: the whole past."""
MOST_CHANGES = 200
"""Changes that are kept to be listed; all are counted."""
OVERDUE = timedelta(minutes=2)
"""What has waited longer lost its message, or its message will find it done."""
SILENT = timedelta(minutes=5)
"""A page of decisions takes a second; a worker that wrote nothing for so long is gone."""
MOST_ATTEMPTS = 3
_SYSTEM = Actor("system", "countersign", "Countersign")
_STATE = PolicySimulation.State


def policy_simulate(
    *, workspace_id: UUID, version_id: UUID, requester: Actor, days: int, now: datetime
) -> PolicySimulation | Refusal:
    """Ask for a version to be tried on the decisions of the past days; a worker does it.

    Raises:
        NotFound: no such version in this workspace.
        InvalidRequest: not from 1 to `MAX_DAYS` days.
    """
    with in_workspace(workspace_id):
        version = PolicyVersion.objects.filter(id=version_id).first()
        if version is None:
            raise NotFound("There is no such policy version in this workspace.")
        refusal = not_proposer(workspace_id, requester)
        if refusal is not None:
            return refuse(workspace_id, requester, "simulate", refusal, version)
        if not 1 <= days <= MAX_DAYS:
            raise InvalidRequest(f"Simulate from 1 to {MAX_DAYS:,} days.")
        made = PolicySimulation.objects.create(
            workspace_id=workspace_id,
            version=version,
            days=days,
            requester_id=requester.id,
            requester_name=requester.name,
            requested=now,
        )
        detail: dict[str, JSON] = {"version": version.number, "days": days}
        record(workspace_id, [Draft("policy.tried", requester, _subject(made), detail=detail)])
        return made


def policy_simulation_run(*, workspace_id: UUID, simulation_id: UUID) -> None:
    """Do a simulation that waits; a second call while it runs or after does nothing.

    A worker that fell silent, and whose simulation another took over, stops at its next write.
    """
    simulation = _taken(workspace_id, simulation_id)
    if simulation is None:
        return
    since = simulation.requested - timedelta(days=simulation.days)
    simulation.total = life.decisions_since(workspace_id, since)
    counts: Counter[str] = Counter()
    try:
        policies = compile_policy(simulation.version.text, tools=registered(workspace_id))
        simulator = Simulator(policies)
        for page in life.past_decisions(workspace_id, since):
            _take(simulation, simulator.replay(page), counts)
            if not _save(workspace_id, simulation, counts):
                return
    except PolicyError as error:
        simulation.problem = f"This version does not fit the tools registered today: {error}"
    _finish(workspace_id, simulation, counts)


def simulations_again(*, now: datetime) -> list[tuple[UUID, UUID]]:
    """(workspace, simulation) of those to be sent again, in every workspace.

    A message may be lost before a worker has it, and a worker may die with it: whatever has waited
    or been silent for too long waits again, from its beginning. What was taken up `MOST_ATTEMPTS`
    times ends with a problem that says so.
    """
    found: list[tuple[UUID, UUID]] = []
    for workspace_id in selectors.workspace_ids():
        with in_workspace(workspace_id):
            late = Q(touched__lt=now - OVERDUE) | Q(touched=None, requested__lt=now - OVERDUE)
            rows = PolicySimulation.objects.select_for_update(skip_locked=True, of=("self",))
            silent = Q(state=_STATE.RUNNING, touched__lt=now - SILENT)
            due = rows.filter(Q(state=_STATE.WAITING) & late | silent).select_related("version")
            found += [(workspace_id, row.id) for row in due if _again(row, now)]
    return found


def _again(simulation: PolicySimulation, now: datetime) -> bool:
    """Let a locked one wait from its beginning, or end it; whether it is to be sent."""
    if simulation.state == _STATE.RUNNING and simulation.attempt >= MOST_ATTEMPTS:
        simulation.problem = (
            f"It was interrupted {simulation.attempt} times. Simulate fewer days, or ask whoever"
            " runs this installation why its workers stop."
        )
        _end(simulation, now)
        return False
    simulation.state, simulation.touched = _STATE.WAITING, now
    simulation.done, simulation.counts, simulation.changes = 0, {}, []
    simulation.save()
    return True


def _taken(workspace_id: UUID, simulation_id: UUID) -> PolicySimulation | None:
    """The simulation, taken up by this worker; None where none waits."""
    with in_workspace(workspace_id):
        waiting = PolicySimulation.objects.filter(id=simulation_id, state=_STATE.WAITING)
        if not waiting.update(
            state=_STATE.RUNNING, attempt=F("attempt") + 1, touched=timezone.now()
        ):
            return None
        return PolicySimulation.objects.select_related("version").get(id=simulation_id)


def _take(simulation: PolicySimulation, replayed: Iterable[Replayed], counts: Counter[str]) -> None:
    for one in replayed:
        simulation.done += 1
        same = one.now is not None and not one.changed
        counts["same" if same else one.move] += 1
        if not same and len(simulation.changes) < MOST_CHANGES:
            simulation.changes.append(_change(one))


def _change(one: Replayed) -> dict[str, JSON]:
    past = one.past
    told: dict[str, JSON] = {
        "decision": str(past.key),
        "action": past.action,
        "then": past.outcome,
        "now": one.now.outcome.value if one.now else "?",
        "sentence": one.now.sentence if one.now else one.problem,
        "rules": [rule.id for rule in one.now.rules if not rule.shadow] if one.now else [],
        "then_signatures": list(past.signatures.to_json()),
        "now_signatures": list(one.now.requirement.to_json()) if one.now else [],
    }
    if isinstance(past, PastDecision):
        if past.run is not None:
            told["run"] = str(past.run)
        if past.step is not None:
            told["step"] = past.step
        if past.created is not None:
            told["at"] = past.created.isoformat(timespec="seconds")
    return told


def _ours(simulation: PolicySimulation) -> QuerySet[PolicySimulation]:
    """The row, while nobody has taken it over."""
    return PolicySimulation.objects.select_for_update().filter(
        id=simulation.id, state=_STATE.RUNNING, attempt=simulation.attempt
    )


def _save(workspace_id: UUID, simulation: PolicySimulation, counts: Counter[str]) -> bool:
    """Write how far it is; whether it is still this worker's."""
    simulation.counts = dict(sorted(counts.items()))
    simulation.touched = timezone.now()
    with in_workspace(workspace_id):
        if _ours(simulation).first() is None:
            return False
        simulation.save(update_fields=["done", "total", "counts", "changes", "touched"])
        return True


def _finish(workspace_id: UUID, simulation: PolicySimulation, counts: Counter[str]) -> None:
    with in_workspace(workspace_id):
        if _ours(simulation).first() is None:
            return
        simulation.total = simulation.done
        simulation.counts = dict(sorted(counts.items()))
        _end(simulation, timezone.now())


def _end(simulation: PolicySimulation, now: datetime) -> None:
    simulation.state, simulation.finished = _STATE.DONE, now
    simulation.save()
    detail: dict[str, JSON] = {
        "version": simulation.version.number,
        "counts": simulation.counts,
    }
    if simulation.problem:
        detail["attempts"] = simulation.attempt
    entry = Draft("policy.simulated", _SYSTEM, _subject(simulation), detail=detail)
    record(simulation.workspace_id, [entry])


def _subject(simulation: PolicySimulation) -> Subject:
    return Subject("policy_simulation", str(simulation.id))
