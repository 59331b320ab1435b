"""Runs: start, read, follow, cancel."""

import base64
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from ninja import File, Form, Header, Query, Router, Status
from ninja.files import UploadedFile

from agents import selectors as agents
from agents import services
from agents.errors import InputsInvalid, Refused
from agents.files.artifacts import Upload
from audit.services import Subject
from countersign import downloads
from countersign.accounts.scopes import Scope
from countersign.api import cursors, events, masking, stream
from countersign.api.answers import page, says
from countersign.api.auth import CHALLENGE, Bearer, caller
from countersign.api.parsing import MAX_NAMED, parse
from countersign.api.problems import Problem, invalid, of_refusal
from countersign.api.schemas import runs as out
from policies import masks

router = Router(tags=["runs"])
EMPTY: Any = []


@router.post(
    "",
    auth=Bearer(Scope.RUNS_START),
    response={201: out.RunDetailOut} | says(out.RunDetailOut, 400, 404, 409, 413, 415),
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
    small = [(place, each) for place, each in enumerate(body.files)]
    return _started(
        request,
        response,
        sent,
        agent=body.agent,
        goal=body.goal,
        inputs=body.inputs,
        files=[_decoded(at, each) for at, each in small if isinstance(each, out.FileIn)],
        file_labels=[label.value for label in body.file_labels],
        references=[each.artifact for _, each in small if isinstance(each, out.ReferenceIn)],
    )


@router.post(
    "/upload",
    auth=Bearer(Scope.RUNS_START),
    response={201: out.RunDetailOut} | says(out.RunDetailOut, 400, 404, 409, 413, 415),
    summary="Start a run with files",
)
def run_upload(
    request: HttpRequest,
    response: HttpResponse,
    body: Form[out.RunForm],
    sent: Header[out.RunHeaders],
    file: File[list[UploadedFile]] = EMPTY,
) -> Status[agents.RunDetail]:
    """The same as `POST /runs`, sent as `multipart/form-data`, with files as they are.

    Programs find them in `in/`.
    """
    unknown = sorted({*request.POST, *request.FILES} - {*out.RunForm.model_fields, "file"})
    if unknown:
        raise invalid([(name, "is no field of this form") for name in unknown[:MAX_NAMED]])
    inputs = parse(body.inputs.encode())
    if not isinstance(inputs, dict):
        raise invalid([("inputs", "must be a JSON object")])
    labels = {label.value for label in body.file_labels}
    return _started(
        request,
        response,
        sent,
        agent=body.agent,
        goal=body.goal,
        inputs=inputs,
        files=[Upload(each.name or "", each.read()) for each in file],
        file_labels=sorted(labels if body.trusted else labels | {"untrusted"}),
        references=body.artifact,
    )


def _started(
    request: HttpRequest,
    response: HttpResponse,
    sent: out.RunHeaders,
    **asked: Any,  # noqa: ANN401 - as `run_start` takes it
) -> Status[agents.RunDetail]:
    """Start it, and say where it is."""
    who = caller(request)
    refusal = who.require(Scope.RUNS_READ) if asked["references"] else None
    if refusal is not None:
        wanted = f'{CHALLENGE}, error="insufficient_scope", scope="{Scope.RUNS_READ.value}"'
        raise of_refusal(refusal, challenge=wanted)
    try:
        started = services.run_start(
            workspace_id=who.workspace_id,
            requester=who.actor,
            idempotency_key=sent.idempotency_key,
            **asked,
        )
    except InputsInvalid:
        raise
    except Refused as error:
        raise Problem(HTTPStatus.CONFLICT, "idempotency_key_used", str(error)) from error
    response["Location"] = f"/api/v1/runs/{started.run.id}"
    status = HTTPStatus.OK if started.repeated else HTTPStatus.CREATED
    return Status(status.value, agents.run(who.workspace_id, started.run.id))


@router.get(
    "",
    auth=Bearer(Scope.RUNS_READ),
    response=says(out.RunPage),
    summary="List runs, newest first",
)
def run_list(request: HttpRequest, filters: Query[out.RunFilters]) -> Mapping[str, Any]:
    found = agents.runs(
        caller(request).workspace_id,
        states=[state.value for state in filters.state],
        agent=filters.agent,
        text=filters.text,
        after=cursors.unseal("runs", filters.cursor),
        limit=filters.limit,
    )
    return page(found.rows, cursors.seal("runs", found.next))


@router.get(
    "/{uuid:run_id}",
    auth=Bearer(Scope.RUNS_READ),
    response=says(out.RunDetailOut, 404),
    summary="One run, with its answer once it has one",
)
def run_get(request: HttpRequest, run_id: UUID) -> agents.RunDetail:
    return agents.run(caller(request).workspace_id, run_id)


@router.post(
    "/{uuid:run_id}/cancel",
    auth=Bearer(Scope.RUNS_CONTROL),
    response=says(out.RunDetailOut, 400, 404, 413, 415),
    summary="Stop a run",
)
def run_cancel(request: HttpRequest, run_id: UUID, body: out.CancelIn) -> agents.RunDetail:
    """End the run at once. Effects already made stay; a run that has ended stays as it is."""
    who = caller(request)
    services.run_cancel(
        workspace_id=who.workspace_id, run_id=run_id, actor=who.actor, reason=body.reason
    )
    return agents.run(who.workspace_id, run_id)


@router.get(
    "/{uuid:run_id}/steps",
    auth=Bearer(Scope.RUNS_READ),
    response=says(out.StepPage, 404),
    summary="The steps of a run, in order",
)
def run_steps(
    request: HttpRequest, run_id: UUID, filters: Query[out.StepFilters]
) -> Mapping[str, Any]:
    """With program, tool calls and the beginning of the output. A run has few enough for a page.

    What a rule masks of a call is shown to a token with `masks:open`, and the log says so.
    """
    who = caller(request)
    agents.run(who.workspace_id, run_id)
    steps = agents.steps(who.workspace_id, run_id, after=filters.after)
    hidden = masking.kept_from(
        who, {_about(call): call.masked for step in steps for call in step.calls}
    )
    return page([_step(step, hidden) for step in steps])


def _about(call: agents.CallView) -> Subject:
    return Subject("call", str(call.id))


def _step(step: agents.StepView, hidden: Mapping[Subject, frozenset[str]]) -> Mapping[str, Any]:
    fields = {name: getattr(step, name) for name in out.StepOut.model_fields}
    return fields | {"calls": [_call(call, hidden[_about(call)]) for call in step.calls]}


def _call(call: agents.CallView, hidden: frozenset[str]) -> Mapping[str, Any]:
    fields = {name: getattr(call, name) for name in out.CallOut.model_fields}
    if not hidden:
        return fields | {"masked": []}
    return fields | {
        "arguments": masks.arguments(call.arguments, hidden),
        "masked": sorted(hidden),
        # Why it failed often repeats what it was given.
        "error": {name: said for name, said in call.error.items() if name == "type"},
    }


@router.get(
    "/{uuid:run_id}/artifacts",
    auth=Bearer(Scope.RUNS_READ),
    response=says(out.ArtifactPage, 404),
    summary="The files of a run",
)
def artifact_list(request: HttpRequest, run_id: UUID) -> Mapping[str, Any]:
    """Those that came with the task, then those that its programs left, by step."""
    return page(agents.artifacts(caller(request).workspace_id, run_id))


@router.get(
    "/{uuid:run_id}/artifacts/{uuid:artifact_id}/content",
    auth=Bearer(Scope.RUNS_READ),
    response=says(str, 404),
    summary="Take a file away",
)
def artifact_content(request: HttpRequest, run_id: UUID, artifact_id: UUID) -> HttpResponse:
    """Its bytes, as `application/octet-stream` whatever it is; programs wrote it, trust it so."""
    file, content = agents.artifact(caller(request).workspace_id, run_id, artifact_id)
    return downloads.of_artifact(file, content)


def _decoded(place: int, file: out.FileIn) -> Upload:
    try:
        return Upload(file.name, base64.b64decode(file.content, validate=True))
    except ValueError as error:
        raise invalid([(f"body.files.{place}.content", "must be base64")]) from error


@router.get(
    "/{uuid:run_id}/events",
    auth=Bearer(Scope.RUNS_READ),
    response=says(out.EventPage, 404),
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
    return page(found, str(found[-1].seq) if more else "")


@router.get(
    "/{uuid:run_id}/events/stream",
    auth=Bearer(Scope.RUNS_READ),
    response=says(str, 404) | {204: None},
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
