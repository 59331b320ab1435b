"""A version tried on the decisions of the past days, before anyone signs it."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.utils import timezone

from audit.canonical import JSON
from audit.services import Actor, Draft, Subject, record
from audit.transactions import in_workspace
from policies import life
from policies.engine import PolicyError, compile_policy
from policies.errors import InvalidRequest, NotFound, Refusal
from policies.life import PastDecision
from policies.models import PolicySimulation, PolicyVersion
from policies.services.policy import not_proposer, refuse
from policies.simulation import Replayed, Simulator
from policies.tools import registered

MAX_DAYS = 365
MOST_CHANGES = 200
"""Changes that are kept to be listed; all are counted."""
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
    if not 1 <= days <= MAX_DAYS:
        raise InvalidRequest(f"Simulate from 1 to {MAX_DAYS} days.")
    with in_workspace(workspace_id):
        version = PolicyVersion.objects.filter(id=version_id).first()
        if version is None:
            raise NotFound("There is no such policy version in this workspace.")
        refusal = not_proposer(workspace_id, requester)
        if refusal is not None:
            return refuse(workspace_id, requester, "simulate", refusal, version)
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
    """Do a simulation that waits; a second call while it runs or after does nothing."""
    with in_workspace(workspace_id):
        waiting = PolicySimulation.objects.filter(id=simulation_id, state=_STATE.WAITING)
        if not waiting.update(state=_STATE.RUNNING):
            return
        simulation = PolicySimulation.objects.select_related("version").get(id=simulation_id)
    since = simulation.requested - timedelta(days=simulation.days)
    simulation.total = life.decisions_since(workspace_id, since)
    counts: Counter[str] = Counter()
    try:
        policies = compile_policy(simulation.version.text, tools=registered(workspace_id))
        simulator = Simulator(policies)
        for page in life.past_decisions(workspace_id, since):
            _take(simulation, simulator.replay(page), counts)
            _save(workspace_id, simulation, counts)
    except PolicyError as error:
        simulation.problem = str(error)
    with in_workspace(workspace_id):
        simulation.state, simulation.finished = _STATE.DONE, timezone.now()
        simulation.total = simulation.done
        simulation.counts = dict(sorted(counts.items()))
        simulation.save()
        detail: dict[str, JSON] = {
            "version": simulation.version.number,
            "counts": simulation.counts,
        }
        entry = Draft("policy.simulated", _SYSTEM, _subject(simulation), detail=detail)
        record(workspace_id, [entry])


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


def _save(workspace_id: UUID, simulation: PolicySimulation, counts: Counter[str]) -> None:
    simulation.counts = dict(sorted(counts.items()))
    with in_workspace(workspace_id):
        simulation.save(update_fields=["done", "total", "counts", "changes"])


def _subject(simulation: PolicySimulation) -> Subject:
    return Subject("policy_simulation", str(simulation.id))
