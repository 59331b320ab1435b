"""Policy versions, how they stand, and what they were tried on; to read."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router

from agents import registry
from countersign.accounts.scopes import Scope
from countersign.api.answers import page, says
from countersign.api.auth import Bearer, caller
from countersign.api.problems import not_found
from countersign.api.schemas import policies as out
from policies import life, selectors
from policies.models import PolicySimulation, PolicyVersion

router = Router(tags=["registry"])


@router.get(
    "",
    auth=Bearer(Scope.REGISTRY_READ),
    response=says(out.PolicyPage),
    summary="Policy versions, newest first",
)
def policy_list(request: HttpRequest) -> Mapping[str, Any]:
    """Every version, drafts included; the active one decides now."""
    return page([_policy(row) for row in selectors.policy_versions(caller(request).workspace_id)])


@router.get(
    "/simulations/{uuid:simulation}",
    auth=Bearer(Scope.REGISTRY_READ),
    response=says(out.SimulationDetailOut, 404),
    summary="One simulation, with what would have been different",
)
def policy_simulation_get(request: HttpRequest, simulation: UUID) -> Mapping[str, Any]:
    found = life.simulation(caller(request).workspace_id, simulation)
    if found is None:
        raise not_found()
    return simulation_row(found) | {"changes": found.changes}


@router.get(
    "/{int:number}",
    auth=Bearer(Scope.REGISTRY_READ),
    response=says(out.PolicyDetailOut, 404),
    summary="One policy version, with its text, required tests and invariants",
)
def policy_get(request: HttpRequest, number: int) -> Mapping[str, Any]:
    return detail(caller(request).workspace_id, number)


def detail(workspace_id: UUID, number: int) -> Mapping[str, Any]:
    """One version as the API says it.

    Raises:
        Problem: 404.
    """
    rows = selectors.policy_versions(workspace_id)
    found = next((row for row in rows if row.version.number == number), None)
    if found is None:
        raise not_found()
    stored = found.version
    numbers = {row.version.id: row.version.number for row in rows}
    return _policy(found) | {
        "text": stored.text,
        "tests": stored.tests,
        "invariants": stored.invariants,
        "parent": numbers.get(stored.parent_id) if stored.parent_id else None,
    }


@router.get(
    "/{int:number}/readiness",
    auth=Bearer(Scope.REGISTRY_READ),
    response=says(out.ReadinessOut, 404),
    summary="How a version stands: required tests, invariants, what it decides otherwise",
)
def policy_readiness_get(request: HttpRequest, number: int) -> Mapping[str, Any]:
    """Looked at now, with the tools that are registered now.

    An example of `difference` was decided by both versions. That there is none among the requests
    that were tried is no proof that there is none.
    """
    workspace_id = caller(request).workspace_id
    found = life.standing_of(
        workspace_id, version(workspace_id, number), registry.tool_specs(workspace_id)
    )
    return {
        "ready": found.ready,
        "problem": found.problem,
        "obstacles": list(found.obstacles),
        **found.to_json(),
    }


@router.get(
    "/{int:number}/simulations",
    auth=Bearer(Scope.REGISTRY_READ),
    response=says(out.SimulationPage, 404),
    summary="Simulations of a version over past decisions, newest first",
)
def policy_simulation_list(request: HttpRequest, number: int) -> Mapping[str, Any]:
    workspace_id = caller(request).workspace_id
    tried = version(workspace_id, number)
    return page([simulation_row(each) for each in life.simulations(workspace_id, tried.id)])


def version(workspace_id: UUID, number: int) -> PolicyVersion:
    """A version of this workspace.

    Raises:
        Problem: 404.
    """
    found = selectors.policy_version(workspace_id, number)
    if found is None:
        raise not_found()
    return found


def _policy(row: selectors.VersionRow) -> dict[str, Any]:
    fields = {name: getattr(row.version, name) for name in _POLICY_FIELDS}
    return fields | {"active": row.active, "activated": row.activated}


def simulation_row(found: PolicySimulation) -> dict[str, Any]:
    fields = {name: getattr(found, name) for name in _SIMULATION_FIELDS}
    return fields | {"number": found.version.number}


_POLICY_FIELDS = ("number", "digest", "note", "author_name", "created")
_SIMULATION_FIELDS = (
    "id", "days", "state", "done", "total", "counts", "problem", "requester_name",
    "requested", "finished",
)  # fmt: skip
