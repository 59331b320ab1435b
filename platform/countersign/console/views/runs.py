"""Runs: list, start, follow, stop, settle an effect in doubt."""

import uuid
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from agents import selectors as agents
from agents import services
from agents.errors import Refused
from agents.files.artifacts import MAX_GIVEN
from agents.models import CallState, RunState
from agents.selectors import CallDetail
from audit.services import Subject
from countersign.console import guards, timeline
from countersign.console.forms import GivenFilesForm, GoalForm, ResolveForm, StopForm
from countersign.console.guards import Member
from countersign.console.pages import posted, render, render_fragment
from countersign.console.schema_forms import InputsForm
from policies.services import mask_opened

OPEN = "open"
MAX_TEXT = 200


@require_safe
@guards.page
def run_list(request: HttpRequest, slug: str) -> HttpResponse:
    member = guards.member(request, slug)
    chosen = {
        name: request.GET.get(name, "")[:MAX_TEXT].replace("\x00", "")
        for name in ("state", "agent", "text", "after")
    }
    try:
        page = agents.runs(
            member.id,
            states=_states(chosen["state"]),
            agent=chosen["agent"],
            text=chosen["text"],
            after=chosen["after"],
        )
    except Refused as refused:
        messages.error(request, str(refused))
        return redirect("console:run_list", slug)
    context = {
        "nav": "runs",
        "page": page,
        "chosen": chosen,
        "filtered": any(chosen[name] for name in ("state", "agent", "text")),
        "states": timeline.labels(agents.run_counts(member.id).by_state),
        "agents": [row.version.name for row in agents.agents(member.id)],
    }
    return render(request, member, "console/run_list.html", context)


def _states(chosen: str) -> list[str]:
    if chosen == OPEN:
        return [state for state in RunState if not state.final]
    return [chosen] if chosen else []


@require_safe
@guards.page
def run_detail(request: HttpRequest, slug: str, run_id: UUID) -> HttpResponse:
    member = guards.member(request, slug)
    context = {"nav": "runs", **_live(member, run_id)}
    return render(request, member, "console/run_detail.html", context)


@require_safe
@guards.page
def run_live(request: HttpRequest, slug: str, run_id: UUID) -> HttpResponse:
    """The part of the run's page that changes; nothing while nothing has."""
    member = guards.member(request, slug)
    if agents.run_fingerprint(member.id, run_id) == request.GET.get("seen"):
        return HttpResponse(status=204)
    return render_fragment(request, member, "console/_run_live.html", _live(member, run_id))


def _live(member: Member, run_id: UUID) -> dict[str, Any]:
    # The fingerprint first: what changes after it is shown too early, never too late.
    seen = agents.run_fingerprint(member.id, run_id)
    run = agents.run(member.id, run_id)
    steps = agents.steps(member.id, run_id)
    files = agents.artifacts(member.id, run_id)
    return {
        "run": run,
        "files": files,
        "answer_files": agents.artifacts_of_answer(run.answer, files),
        "steps": timeline.cards(steps),
        "shares": timeline.shares(run, steps),
        "found": agents.prompt_sightings(member.id, run_id),
        "seen": seen,
        "waits_for": timeline.open_request(steps),
    }


@require_safe
@guards.page
def run_step(request: HttpRequest, slug: str, run_id: UUID, number: int) -> HttpResponse:
    member = guards.member(request, slug)
    run = agents.run(member.id, run_id)
    step = agents.step(member.id, run_id, number)
    context = {"nav": "runs", "run": run, "card": timeline.card(step), "step": step}
    return render(request, member, "console/run_step.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@guards.page
def run_call(request: HttpRequest, slug: str, run_id: UUID, call_id: UUID) -> HttpResponse:
    """One tool call; where its outcome is in doubt, the form to settle it."""
    member = guards.member(request, slug)
    if request.method == "POST":
        member = guards.settler(request, slug)
    call = agents.call(member.id, run_id, call_id)
    form = ResolveForm(posted(request))
    if request.method == "POST" and form.is_valid():
        refusal = services.call_resolve(
            workspace_id=member.id,
            call_id=call_id,
            actor=member.actor,
            happened=form.cleaned_data["happened"] == "yes",
            result=form.cleaned_data["result"],
            comment=form.cleaned_data["comment"],
        )
        if refusal is None:
            messages.success(request, "Recorded. The run goes on.")
            return redirect("console:run_detail", slug, run_id)
        form.add_error(None, refusal.sentence)
    return _call_page(request, member, call, run_id, form)


@never_cache
@require_POST
@guards.page
def run_call_unmask(request: HttpRequest, slug: str, run_id: UUID, call_id: UUID) -> HttpResponse:
    """The call with what rules mask; the log says who looked before anything is shown."""
    member = guards.member(request, slug)
    call = agents.call(member.id, run_id, call_id)
    mask_opened(
        workspace_id=member.id,
        actor=member.actor,
        subject=Subject("call", str(call_id)),
        arguments=call.masked,
    )
    return _call_page(request, member, call, run_id, ResolveForm(), unmasked=True)


def _call_page(
    request: HttpRequest,
    member: Member,
    call: CallDetail,
    run_id: UUID,
    form: ResolveForm,
    *,
    unmasked: bool = False,
) -> HttpResponse:
    context = {
        "nav": "runs",
        "run": agents.run(member.id, run_id),
        "call": call,
        "hidden": () if unmasked else call.masked,
        "form": form if call.state == CallState.UNKNOWN and member.may_settle else None,
        "operation": timeline.operation([call], ""),
    }
    return render(request, member, "console/run_call.html", context)


@require_safe
@guards.page
def run_choose(request: HttpRequest, slug: str) -> HttpResponse:
    """Which agent is to run."""
    member = guards.operator(request, slug)
    rows = agents.agents(member.id)
    # Files of an earlier run, on their way to the form.
    files = agents.artifacts_named(member.id, request.GET.getlist("file")[:MAX_GIVEN])
    taken = f"?{urlencode([('file', str(file.id)) for file in files])}" if files else ""
    if len(rows) == 1:
        address = reverse("console:run_start", args=[slug, rows[0].version.name])
        return redirect(f"{address}{taken}")
    context = {"nav": "runs", "agents": rows, "files": files, "taken": taken}
    return render(request, member, "console/run_choose.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@guards.page
def run_start(request: HttpRequest, slug: str, agent: str) -> HttpResponse:
    member = guards.operator(request, slug)
    version = agents.agent_versions(member.id, agent)[0]
    data = posted(request)
    # The key makes a second click, or a reload, the same request.
    goal = GoalForm(data, initial={"goal": version.goal, "key": uuid.uuid4().hex})
    inputs = InputsForm(version.inputs, data)
    named = request.GET.getlist("file") + request.POST.getlist("earlier")
    earlier = agents.artifacts_named(member.id, named[:MAX_GIVEN])
    files = request.FILES if data is not None else None
    given = GivenFilesForm(data, files, earlier=earlier)
    # Each is asked, so that all faults are shown at once.
    valid = [form.is_valid() for form in (goal, inputs, given)]
    if request.method == "POST" and all(valid):
        try:
            started = services.run_start(
                workspace_id=member.id,
                agent=agent,
                requester=member.actor,
                goal=goal.cleaned_data["goal"],
                inputs=inputs.inputs(),
                idempotency_key=f"console-{goal.cleaned_data['key']}",
                files=given.uploads(),
                file_labels=given.labels(),
                references=given.references(),
            )
        except Refused as refused:
            goal.add_error(None, str(refused))
        else:
            return redirect("console:run_detail", slug, started.run.id)
    context = {"nav": "runs", "version": version, "goal": goal, "inputs": inputs, "given": given}
    return render(request, member, "console/run_start.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@guards.page
def run_stop(request: HttpRequest, slug: str, run_id: UUID) -> HttpResponse:
    member = guards.stopper(request, slug)
    run = agents.run(member.id, run_id)
    form = StopForm(posted(request))
    if request.method == "POST" and form.is_valid():
        services.run_cancel(
            workspace_id=member.id,
            run_id=run_id,
            actor=member.actor,
            reason=form.cleaned_data["reason"],
        )
        if run.state.final:
            messages.info(request, "The run had already ended.")
        else:
            messages.success(request, "The run is stopped. Effects already made stay.")
        return redirect("console:run_detail", slug, run_id)
    context: Mapping[str, Any] = {"nav": "runs", "run": run, "form": form}
    return render(request, member, "console/run_stop.html", context)
