"""The operations of version 1. Each parses, checks the scope, calls one service or selector.

None casts a vote: a vote is a person's, given with a password in the console, and no token stands
for a person.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from ninja import Header, Query, Router, Status

from agents import selectors as agents
from agents import services
from agents.errors import InputsInvalid, Refused
from audit import selectors as audit
from audit.models import Entry
from countersign.accounts.scopes import Scope
from countersign.api import cursors, events, stream
from countersign.api import schemas as out
from countersign.api.auth import Bearer, caller
from countersign.api.problems import Problem, ProblemOut, not_found
from policies import selectors as policies
from policies.models import ApprovalRequest

runs = Router(tags=["runs"])
approvals = Router(tags=["approvals"])
registry = Router(tags=["registry"])
log = Router(tags=["audit"])

Answers = dict[int | tuple[int, ...], Any]


def _says(schema: Any, *problems: int) -> Answers:  # noqa: ANN401 - a schema class
    """What an operation answers: `schema`, or one of these problems, or one any may have."""
    said: Answers = {200: schema}
    return said | dict.fromkeys((401, 403, *problems, 422, 429, 500, 503), ProblemOut)


# Runs


@runs.post(
    "",
    auth=Bearer(Scope.RUNS_START),
    response={201: out.RunDetailOut} | _says(out.RunDetailOut, 400, 404, 409, 413, 415),
    summary="Start a run",
)
def run_start(
    request: HttpRequest, response: HttpResponse, body: out.RunIn, sent: Header[out.RunHeaders]
) -> Status[agents.RunDetail]:
    """Start a run of the newest version of an agent.

    With an `Idempotency-Key` a repeated request gives the run of the first one (200); the same key
    with another request is refused (409). A run that the policy does not allow is made all the
    same, ended as `denied`, with the reason.
    """
    who = caller(request)
    try:
        started = services.run_start(
            workspace_id=who.workspace_id,
            agent=body.agent,
            requester=who.actor,
            goal=body.goal,
            inputs=body.inputs,
            idempotency_key=sent.idempotency_key,
        )
    except InputsInvalid:
        raise
    except Refused as error:
        raise Problem(HTTPStatus.CONFLICT, "idempotency_key_used", str(error)) from error
    response["Location"] = f"/api/v1/runs/{started.run.id}"
    status = HTTPStatus.OK if started.repeated else HTTPStatus.CREATED
    return Status(status.value, agents.run(who.workspace_id, started.run.id))


@runs.get(
    "",
    auth=Bearer(Scope.RUNS_READ),
    response=_says(out.RunPage),
    summary="List runs, newest first",
)
def run_list(request: HttpRequest, filters: Query[out.RunFilters]) -> Mapping[str, Any]:
    page = agents.runs(
        caller(request).workspace_id,
        states=[state.value for state in filters.state],
        agent=filters.agent,
        text=filters.text,
        after=cursors.unseal("runs", filters.cursor),
        limit=filters.limit,
    )
    return _page(page.rows, cursors.seal("runs", page.next))


@runs.get(
    "/{uuid:run_id}",
    auth=Bearer(Scope.RUNS_READ),
    response=_says(out.RunDetailOut, 404),
    summary="One run, with its answer once it has one",
)
def run_get(request: HttpRequest, run_id: UUID) -> agents.RunDetail:
    return agents.run(caller(request).workspace_id, run_id)


@runs.post(
    "/{uuid:run_id}/cancel",
    auth=Bearer(Scope.RUNS_CONTROL),
    response=_says(out.RunDetailOut, 400, 404, 413, 415),
    summary="Stop a run",
)
def run_cancel(request: HttpRequest, run_id: UUID, body: out.CancelIn) -> agents.RunDetail:
    """End the run at once. Effects already made stay; a run that has ended stays as it is."""
    who = caller(request)
    services.run_cancel(
        workspace_id=who.workspace_id, run_id=run_id, actor=who.actor, reason=body.reason
    )
    return agents.run(who.workspace_id, run_id)


@runs.get(
    "/{uuid:run_id}/steps",
    auth=Bearer(Scope.RUNS_READ),
    response=_says(out.StepPage, 404),
    summary="The steps of a run, in order",
)
def run_steps(
    request: HttpRequest, run_id: UUID, filters: Query[out.StepFilters]
) -> Mapping[str, Any]:
    """With program, tool calls and the beginning of the output. A run has few enough for a page."""
    who = caller(request)
    agents.run(who.workspace_id, run_id)
    return _page(agents.steps(who.workspace_id, run_id, after=filters.after))


@runs.get(
    "/{uuid:run_id}/events",
    auth=Bearer(Scope.RUNS_READ),
    response=_says(out.EventPage, 404),
    summary="What happened in a run, in order",
)
def run_events(
    request: HttpRequest, run_id: UUID, filters: Query[out.EventFilters]
) -> Mapping[str, Any]:
    """Follow a run: ask again with `after` set to the last `seq` you have.

    `next` is the `after` of the next page where there is one already.
    """
    who = caller(request)
    agents.run(who.workspace_id, run_id)
    found, more = events.after(who.workspace_id, run_id, filters.after, filters.limit)
    return _page(found, str(found[-1].seq) if more else "")


@runs.get(
    "/{uuid:run_id}/events/stream",
    auth=Bearer(Scope.RUNS_READ),
    response=_says(str, 404) | {204: None},
    summary="What happens in a run, as it happens",
)
async def run_stream(
    request: HttpRequest, run_id: UUID, sent: Header[out.StreamHeaders]
) -> HttpResponseBase:
    """Server-sent events: the data of each is an event as `/events` has it, its id the `seq`.

    The stream ends with an event named `end` once the run has ended (its data: `{"state": …}`),
    else after some minutes; go on by `Last-Event-ID`, as browsers' EventSource does by itself.
    A request with nothing left to come gets 204.
    """
    authorization = request.headers.get("Authorization", "")
    return await stream.respond(caller(request), authorization, run_id, sent.last_event_id)


# Approvals: to read. A vote needs a person.


@approvals.get(
    "",
    auth=Bearer(Scope.APPROVALS_READ),
    response=_says(out.ApprovalPage),
    summary="What waits for signatures",
)
def approval_list(request: HttpRequest, filters: Query[out.ApprovalFilters]) -> Mapping[str, Any]:
    """Open requests, or those of a run, or those in the states named; oldest first.

    Of very many the newest 500 are listed. Signing and rejecting is done by people in the console;
    there is no operation for it.
    """
    found = policies.requests(
        caller(request).workspace_id,
        run_id=filters.run,
        states=[state.value for state in filters.state],
    )
    last = cursors.unseal("approvals", filters.cursor)
    later = [each for each in found if _place(each) > last]
    some = later[: filters.limit]
    more = _place(some[-1]) if len(later) > len(some) else ""
    return _page(some, cursors.seal("approvals", more))


def _place(request: ApprovalRequest) -> str:
    """Sorts as the list does."""
    return f"{request.created.isoformat(timespec='microseconds')} {request.id}"


@approvals.get(
    "/{uuid:request_id}",
    auth=Bearer(Scope.APPROVALS_READ),
    response=_says(out.ApprovalDetailOut, 404),
    summary="One request, with what its signers see and who has voted",
)
def approval_get(request: HttpRequest, request_id: UUID) -> Mapping[str, Any]:
    found = policies.request(caller(request).workspace_id, request_id)
    if found is None:
        raise not_found()
    fields = {name: getattr(found, name) for name in out.ApprovalDetailOut.model_fields}
    return fields | {"votes": list(found.votes.all())}


# What is registered


@registry.get(
    "/agents", auth=Bearer(Scope.REGISTRY_READ), response=_says(out.AgentPage), summary="Agents"
)
def agent_list(request: HttpRequest) -> Mapping[str, Any]:
    """Every agent in its newest version, by name; `inputs` is the JSON Schema of a run's inputs."""
    return _page([_agent(row.version) for row in agents.agents(caller(request).workspace_id)])


def _agent(version: agents.AgentVersionView) -> Mapping[str, Any]:
    return {
        **{name: getattr(version, name) for name in _AGENT_FIELDS},
        "model": version.endpoint.name,
        "scripted": version.endpoint.scripted,
        "tools": [tool.name for tool in version.tools],
    }


_AGENT_FIELDS = ("name", "number", "digest", "description", "goal", "mode", "agency", "inputs")


@registry.get(
    "/tools", auth=Bearer(Scope.REGISTRY_READ), response=_says(out.ToolPage), summary="Tools"
)
def tool_list(request: HttpRequest) -> Mapping[str, Any]:
    """Every tool in its newest version, by name."""
    return _page(agents.tools(caller(request).workspace_id))


@registry.get(
    "/models", auth=Bearer(Scope.REGISTRY_READ), response=_says(out.ModelPage), summary="Models"
)
def model_list(request: HttpRequest) -> Mapping[str, Any]:
    """Every model endpoint in its newest version; keys are nowhere in the database."""
    return _page(agents.endpoints(caller(request).workspace_id))


@registry.get(
    "/policies",
    auth=Bearer(Scope.REGISTRY_READ),
    response=_says(out.PolicyPage),
    summary="Policy versions, newest first",
)
def policy_list(request: HttpRequest) -> Mapping[str, Any]:
    """Every version; the active one decides now."""
    return _page([_policy(row) for row in policies.policy_versions(caller(request).workspace_id)])


@registry.get(
    "/policies/{int:number}",
    auth=Bearer(Scope.REGISTRY_READ),
    response=_says(out.PolicyDetailOut, 404),
    summary="One policy version, with its text",
)
def policy_get(request: HttpRequest, number: int) -> Mapping[str, Any]:
    rows = policies.policy_versions(caller(request).workspace_id)
    found = next((row for row in rows if row.version.number == number), None)
    if found is None:
        raise not_found()
    return _policy(found) | {"text": found.version.text, "tests": found.version.tests}


def _policy(row: policies.VersionRow) -> dict[str, Any]:
    fields = {name: getattr(row.version, name) for name in _POLICY_FIELDS}
    return fields | {"active": row.active, "activated": row.activated}


_POLICY_FIELDS = ("number", "digest", "note", "author_name", "created")


# The log


@log.get(
    "/entries",
    auth=Bearer(Scope.AUDIT_READ),
    response=_says(out.EntryPage),
    summary="Entries, newest first",
)
def entry_list(request: HttpRequest, filters: Query[out.EntryFilters]) -> Mapping[str, Any]:
    page = audit.entries(
        caller(request).workspace_id,
        audit.Filters(
            actions=tuple(filters.action),
            actor=filters.actor,
            subject=filters.subject,
            run=filters.run,
        ),
        cursor=cursors.unseal("entries", filters.cursor),
        limit=filters.limit,
    )
    return _page([_entry(entry) for entry in page.entries], cursors.seal("entries", page.cursor))


@log.get(
    "/entries/{uuid:entry_id}",
    auth=Bearer(Scope.AUDIT_READ),
    response=_says(out.EntryOut, 404),
    summary="One entry",
)
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


def _page(items: Sequence[Any], more: str = "") -> Mapping[str, Any]:
    return {"items": items, "next": more}
