"""Proposing a policy: a draft, tried on past decisions, submitted for people to sign."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from ninja import Header, Status

from agents import registry
from countersign.accounts.scopes import Scope
from countersign.api.answers import says
from countersign.api.auth import Bearer, caller
from countersign.api.problems import invalid, of_refusal
from countersign.api.schemas import changes as taken
from countersign.api.schemas import policies as out
from countersign.api.views import changes, policies
from policies import services, tasks
from policies.engine import PolicyError
from policies.errors import KeyReused, Refusal
from policies.models import PolicyVersion

# The addresses are those of the versions; the framework wants one router for each address.
router = policies.router
TAGS = ["changes"]


@router.post(
    "",
    tags=TAGS,
    auth=Bearer(Scope.REGISTRY_CHANGE),
    response={201: out.PolicyDetailOut} | says(out.PolicyDetailOut, 400, 404, 409, 413, 415),
    summary="Write a draft of the policy",
)
def policy_draft(
    request: HttpRequest,
    response: HttpResponse,
    body: taken.PolicyDraftIn,
    sent: Header[taken.ProposalHeaders],
) -> Status[Mapping[str, Any]]:
    """A draft decides nothing. How it stands, `readiness` says; then submit it.

    201 with the new version; 200 where the same key was sent before.
    """
    who = caller(request)
    parent = policies.version(who.workspace_id, body.parent) if body.parent else None
    make = partial(
        services.policy_draft,
        workspace_id=who.workspace_id,
        author=who.actor,
        text=body.text,
        tests=body.tests,
        invariants=body.invariants,
        note=body.note,
        tools=registry.tool_specs(who.workspace_id),
        parent_id=parent.id if parent else None,
    )
    try:
        made, repeated = changes.once(who, sent, ["policy", body.model_dump()], make)
    except PolicyError as error:
        raise invalid([("text", str(error))]) from error
    if not isinstance(made, PolicyVersion):
        raise changes.key_reused(KeyReused("This Idempotency-Key was used for another request."))
    response["Location"] = f"/api/v1/policies/{made.number}"
    status = HTTPStatus.OK if repeated else HTTPStatus.CREATED
    return Status(status.value, policies.detail(who.workspace_id, made.number))


@router.post(
    "/{int:number}/simulations",
    tags=TAGS,
    auth=Bearer(Scope.REGISTRY_CHANGE),
    response={201: out.SimulationOut} | says(out.SimulationOut, 400, 404, 409, 413, 415),
    summary="Try a version on the decisions of the past days",
)
def policy_simulate(
    request: HttpRequest, response: HttpResponse, number: int, body: taken.SimulateIn
) -> Status[Mapping[str, Any]]:
    """A worker does it; ask for it until its `state` is `done`."""
    who = caller(request)
    made = services.policy_simulate(
        workspace_id=who.workspace_id,
        version_id=policies.version(who.workspace_id, number).id,
        requester=who.actor,
        days=body.days,
        now=datetime.now(UTC),
    )
    if isinstance(made, Refusal):
        raise of_refusal(made)
    _start(who.workspace_id, made.id)
    response["Location"] = f"/api/v1/policies/simulations/{made.id}"
    return Status(HTTPStatus.CREATED.value, policies.simulation_row(made))


@router.post(
    "/{int:number}/submit",
    tags=TAGS,
    auth=Bearer(Scope.REGISTRY_CHANGE),
    response={201: taken.ProposalOut} | says(taken.ProposalOut, 404, 409),
    summary="Submit a version for another person to sign",
)
def policy_submit(
    request: HttpRequest,
    response: HttpResponse,
    number: int,
    sent: Header[taken.ProposalHeaders],
) -> Status[Mapping[str, Any]]:
    """Refused (409) while a required test fails or an invariant is broken; `detail` says which.

    Who wrote a part of it does not sign it, nor who made this account or one of its tokens.
    """
    who = caller(request)
    version = policies.version(who.workspace_id, number)
    make = partial(
        services.policy_submit,
        workspace_id=who.workspace_id,
        version_id=version.id,
        submitter=who.actor,
        now=datetime.now(UTC),
        tools=registry.tool_specs(who.workspace_id),
    )
    try:
        made, repeated = changes.once(who, sent, ["submit", str(version.id)], make)
    except PolicyError as error:
        raise invalid([("number", str(error))]) from error
    return changes.answer(response, who, made, repeated=repeated)


def _start(workspace_id: UUID, simulation_id: UUID) -> None:
    """Robust: where the broker is away, the sweep sends it again."""
    start = partial(tasks.simulate.delay, str(workspace_id), str(simulation_id))
    transaction.on_commit(start, robust=True)
