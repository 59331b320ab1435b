"""The operations of version 1. Each parses, checks the scope, calls one service or selector."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Header, Query, Router

from agents import selectors as agents
from agents import services
from audit import canonical
from audit import selectors as audit
from audit.models import Entry
from countersign.accounts.scopes import Scope
from countersign.api import schemas as out
from countersign.api.auth import caller, needs
from countersign.api.problems import ProblemOut, not_found
from policies import selectors as policies
from policies.models import ApprovalRequest, ApprovalState

runs = Router(tags=["runs"])
approvals = Router(tags=["approvals"])
registry = Router(tags=["registry"])
log = Router(tags=["audit"])

PROBLEMS = dict.fromkeys((401, 403, 404, 409, 422, 429), ProblemOut)
MAX_PAGE = 200


def _responses(schema: Any, *codes: int) -> dict[int, Any]:  # noqa: ANN401 - a schema class
    return dict.fromkeys(codes or (200,), schema) | PROBLEMS


# Runs


@runs.post("", response=_responses(out.RunDetailOut, 200, 201), summary="Start a run")
@needs(Scope.RUNS_START)
def run_start(
    request: HttpRequest,
    response: HttpResponse,
    body: out.RunIn,
    idempotency_key: str = Header("", max_length=200, alias="Idempotency-Key"),
) -> tuple[int, agents.RunDetail]:
    """Start a run of the newest version of an agent.

    With an `Idempotency-Key` a repeated request gives the run of the first one (200).
    """
    who = caller(request)
    started = services.run_start(
        workspace_id=who.workspace_id,
        agent=body.agent,
        requester=who.actor,
        goal=body.goal,
        inputs=body.inputs,
        idempotency_key=idempotency_key,
    )
    response["Location"] = f"/api/v1/runs/{started.run.id}"
    status = HTTPStatus.OK if started.repeated else HTTPStatus.CREATED
    return status.value, agents.run(who.workspace_id, started.run.id)


@runs.get("", response=_responses(out.PageOut[out.RunOut]), summary="List runs, newest first")
@needs(Scope.RUNS_READ)
def run_list(
    request: HttpRequest,
    state: list[str] = Query(default_factory=list),
    agent: str = "",
    text: str = "",
    cursor: str = "",
    limit: int = Query(50, ge=1, le=MAX_PAGE),
) -> Mapping[str, Any]:
    page = agents.runs(
        caller(request).workspace_id,
        states=state,
        agent=agent,
        text=text,
        after=cursor,
        limit=limit,
    )
    return {"items": page.rows, "next": page.next}


@runs.get("/{uuid:run_id}", response=_responses(out.RunDetailOut), summary="One run")
@needs(Scope.RUNS_READ)
def run_get(request: HttpRequest, run_id: UUID) -> agents.RunDetail:
    return agents.run(caller(request).workspace_id, run_id)


@runs.post("/{uuid:run_id}/cancel", response=_responses(out.RunDetailOut), summary="Stop a run")
@needs(Scope.RUNS_CONTROL)
def run_cancel(request: HttpRequest, run_id: UUID, body: out.CancelIn) -> agents.RunDetail:
    """End the run at once. Effects already made stay; a run that has ended stays as it is."""
    who = caller(request)
    services.run_cancel(
        workspace_id=who.workspace_id, run_id=run_id, actor=who.actor, reason=body.reason
    )
    return agents.run(who.workspace_id, run_id)


@runs.get(
    "/{uuid:run_id}/steps", response=_responses(list[out.StepOut]), summary="The steps of a run"
)
@needs(Scope.RUNS_READ)
def run_steps(
    request: HttpRequest, run_id: UUID, after: int = Query(0, ge=0)
) -> tuple[agents.StepView, ...]:
    """Steps numbered above `after`, in order, with program, output and tool calls."""
    who = caller(request)
    agents.run(who.workspace_id, run_id)
    return agents.steps(who.workspace_id, run_id, after=after)


@runs.get(
    "/{uuid:run_id}/events",
    response=_responses(out.PageOut[out.EventOut]),
    summary="What happened in a run, in order",
)
@needs(Scope.RUNS_READ)
def run_events(
    request: HttpRequest,
    run_id: UUID,
    after: int = Query(0, ge=0, description="Only events with a higher `seq`."),
    limit: int = Query(100, ge=1, le=MAX_PAGE),
) -> Mapping[str, Any]:
    """Follow a run: ask again with `after` set to the last `seq` you have."""
    who = caller(request)
    agents.run(who.workspace_id, run_id)
    entries = [e for e in audit.run_entries(who.workspace_id, run_id) if (e.run_seq or 0) > after]
    more = str(entries[limit - 1].run_seq) if len(entries) > limit else ""
    return {"items": [_event(entry) for entry in entries[:limit]], "next": more}


def _event(entry: Entry) -> Mapping[str, Any]:
    return {
        "seq": entry.run_seq,
        "id": entry.id,
        "time": entry.time,
        "action": entry.action,
        "actor": entry.actor_name,
        "subject_type": entry.subject_type,
        "subject_id": entry.subject_id,
        "detail": canonical.decode(bytes(entry.leaf)).get("detail", {}),
    }


# Approvals: to read. A vote needs a person.


@approvals.get("", response=_responses(list[out.ApprovalOut]), summary="What waits for signatures")
@needs(Scope.APPROVALS_READ)
def approval_list(
    request: HttpRequest,
    run: UUID | None = None,
    state: list[ApprovalState] = Query(default_factory=list),
) -> list[ApprovalRequest]:
    """Open requests, or those of a run, or those in the states named."""
    workspace_id = caller(request).workspace_id
    return policies.requests(workspace_id, run_id=run, states=[each.value for each in state])


@approvals.get(
    "/{uuid:request_id}", response=_responses(out.ApprovalDetailOut), summary="One request"
)
@needs(Scope.APPROVALS_READ)
def approval_get(request: HttpRequest, request_id: UUID) -> Mapping[str, Any]:
    found = policies.request(caller(request).workspace_id, request_id)
    if found is None:
        raise not_found()
    fields = {name: getattr(found, name) for name in out.ApprovalDetailOut.model_fields}
    return fields | {"votes": list(found.votes.all())}


# What is registered


@registry.get("/agents", response=_responses(list[out.AgentOut]), summary="Agents")
@needs(Scope.REGISTRY_READ)
def agent_list(request: HttpRequest) -> list[Mapping[str, Any]]:
    """Every agent in its newest version."""
    return [_agent(row.version) for row in agents.agents(caller(request).workspace_id)]


def _agent(version: agents.AgentVersionView) -> Mapping[str, Any]:
    return {
        **{name: getattr(version, name) for name in _AGENT_FIELDS},
        "model": version.endpoint.name,
        "scripted": version.endpoint.scripted,
        "tools": [tool.name for tool in version.tools],
    }


_AGENT_FIELDS = ("name", "number", "digest", "description", "goal", "mode", "agency", "inputs")


@registry.get("/tools", response=_responses(list[out.ToolOut]), summary="Tools")
@needs(Scope.REGISTRY_READ)
def tool_list(request: HttpRequest) -> tuple[agents.ToolView, ...]:
    """Every tool in its newest version."""
    return agents.tools(caller(request).workspace_id)


@registry.get("/models", response=_responses(list[out.ModelOut]), summary="Models")
@needs(Scope.REGISTRY_READ)
def model_list(request: HttpRequest) -> tuple[agents.EndpointView, ...]:
    """Every model endpoint in its newest version; keys are nowhere in the database."""
    return agents.endpoints(caller(request).workspace_id)


# The log


@log.get(
    "/entries", response=_responses(out.PageOut[out.EntryOut]), summary="Entries, newest first"
)
@needs(Scope.AUDIT_READ)
def entry_list(
    request: HttpRequest,
    action: list[str] = Query(default_factory=list),
    actor: str = "",
    subject: str = "",
    run: UUID | None = None,
    cursor: str = "",
    limit: int = Query(50, ge=1, le=MAX_PAGE),
) -> Mapping[str, Any]:
    page = audit.entries(
        caller(request).workspace_id,
        actions=action,
        actor=actor,
        subject=subject,
        run=run,
        cursor=cursor,
        limit=limit,
    )
    return {"items": [_entry(entry) for entry in page.entries], "next": page.cursor}


@log.get("/entries/{uuid:entry_id}", response=_responses(out.EntryOut), summary="One entry")
@needs(Scope.AUDIT_READ)
def entry_get(request: HttpRequest, entry_id: UUID) -> Mapping[str, Any]:
    found = audit.entry(caller(request).workspace_id, entry_id)
    if found is None:
        raise not_found()
    return _entry(found)


def _entry(entry: Entry) -> Mapping[str, Any]:
    fields = {name: getattr(entry, name) for name in out.EntryOut.model_fields}
    return fields | {
        "leaf": bytes(entry.leaf).decode(),
        "leaf_hash": bytes(entry.leaf_hash).hex(),
    }
