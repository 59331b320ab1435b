"""Kill switches: what stands still and why, stopping something, letting it go on."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from agents import selectors as agents
from agents.errors import NotFound
from agents.kill_switches import service as kill_switches
from agents.kill_switches.service import Lift
from agents.models import KillScope, KillSwitch, RunState
from agents.selectors import KillSwitchView
from countersign.accounts import services as accounts
from countersign.console import guards, values
from countersign.console.forms import KillForm, LiftForm
from countersign.console.guards import Member
from countersign.console.pages import posted, render
from countersign.console.views.approvals import INVALID, STATUS
from countersign.console.views.session import address
from policies.errors import Refusal

RUNS_TO_CHOOSE = 100
GOAL_SHOWN = 80


@require_safe
@guards.page
def kill_switch_list(request: HttpRequest, slug: str) -> HttpResponse:
    member = guards.member(request, slug)
    found = agents.kill_switches(member.id, lifted=True)
    context = {
        "nav": "kill_switches",
        "switches": [each for each in found if each.in_force],
        "lifted": [each for each in found if not each.in_force],
    }
    return render(request, member, "console/kill_switch_list.html", context)


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@guards.page
def kill_switch_set(request: HttpRequest, slug: str) -> HttpResponse:
    """Choose what has to stand still; who may is the service's to say, and it records refusals."""
    if request.method == "POST":
        member = guards.member(request, slug)
    else:
        member = guards.kill_setter(request, slug)
    wanted = request.GET.get("what", "")
    form = KillForm(posted(request), initial={"what": wanted}, choices=_choices(member, wanted))
    status = 200
    if request.method == "POST":
        refusal = _set(request, member, form)
        if refusal is None and form.is_valid():
            return redirect("console:kill_switch_list", slug)
        status = _refused(form, refusal)
    context = {"nav": "kill_switches", "form": form}
    return render(request, member, "console/kill_switch_set.html", context, status=status)


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@guards.page
def kill_switch_lift(request: HttpRequest, slug: str, switch_id: UUID) -> HttpResponse:
    """Let what a switch holds go on, or take the first of the two steps there."""
    if request.method == "POST":
        member = guards.member(request, slug)
    else:
        member = guards.kill_lifter(request, slug)
    switch = agents.kill_switch(member.id, switch_id)
    form = LiftForm(posted(request))
    status = 200
    if request.method == "POST":
        refusal = _lift(request, member, switch, form)
        if refusal is None and form.is_valid():
            return redirect("console:kill_switch_list", slug)
        status = _refused(form, refusal)
    context = {
        "nav": "kill_switches",
        "switch": switch,
        "form": form,
        "mine": switch.lift_asked_by_id == str(member.user.id),
    }
    return render(request, member, "console/kill_switch_lift.html", context, status=status)


def _set(request: HttpRequest, member: Member, form: KillForm) -> Refusal | None:
    if not form.is_valid():
        return None
    wrong = _not_the_person(request, member, form.cleaned_data["password"])
    if wrong is not None:
        return wrong
    scope, _, subject = form.cleaned_data["what"].partition(":")
    try:
        made = kill_switches.kill_set(
            workspace_id=member.id,
            scope=KillScope(scope),
            subject=subject,
            reason=form.cleaned_data["reason"],
            actor=member.actor,
        )
    except NotFound:
        form.add_error("what", "This has ended or is gone meanwhile. Choose again.")
        return None
    if isinstance(made, Refusal):
        return made
    messages.success(request, _stopped(made))
    return None


def _stopped(switch: KillSwitch) -> str:
    if switch.scope == KillScope.RUN:
        return "The run is stopped and cannot go on. Effects already made stay."
    return "It stands still. Calls already under way end; nothing new begins until it is lifted."


def _lift(
    request: HttpRequest, member: Member, switch: KillSwitchView, form: LiftForm
) -> Refusal | None:
    if not form.is_valid():
        return None
    wrong = _not_the_person(request, member, form.cleaned_data["password"])
    if wrong is not None:
        return wrong
    done = kill_switches.kill_lift(
        workspace_id=member.id,
        switch_id=switch.id,
        reason=form.cleaned_data["reason"],
        actor=member.actor,
    )
    if isinstance(done, Refusal):
        return done
    messages.success(request, _said(done))
    return None


def _said(done: Lift) -> str:
    if done.lifted:
        return "Lifted. The runs that it held go on where they were."
    return "Asked for. It is lifted once another administrator or policy officer confirms it."


def _not_the_person(request: HttpRequest, member: Member, password: str) -> Refusal | None:
    fresh = accounts.reauthenticate(
        user_id=member.user.id,
        password=password,
        address=address(request),
        now=datetime.now(UTC),
    )
    return fresh if isinstance(fresh, Refusal) else None


def _refused(form: KillForm | LiftForm, refusal: Refusal | None) -> int:
    """Put a refusal into the form; the status of the page that shows it."""
    if refusal is None:
        return INVALID
    form.add_error(None, refusal.sentence)
    return STATUS.get(refusal.reason, INVALID)


def _choices(member: Member, wanted: str) -> list[tuple[str, Any]]:
    """All that can be stopped here, in groups; each is named by its scope and subject."""
    named = (
        ("Agents", KillScope.AGENT, [row.version.name for row in agents.agents(member.id)]),
        ("Tools", KillScope.TOOL, [tool.name for tool in agents.tools(member.id)]),
        ("Models", KillScope.MODEL, [model.name for model in agents.endpoints(member.id)]),
    )
    runs = _runs(member, wanted)
    return [
        ("", "Choose what has to stop"),
        ("All", [(f"{KillScope.WORKSPACE}:", f"Every run of {member.workspace.name}")]),
        *[
            (group, [(f"{scope.value}:{name}", name) for name in names])
            for group, scope, names in named
            if names
        ],
        *([("Runs that have not ended", runs)] if runs else []),
    ]


def _runs(member: Member, wanted: str) -> list[tuple[str, str]]:
    states = [state for state in RunState if not state.final]
    scope, _, subject = wanted.partition(":")
    rows = list(agents.runs(member.id, states=states, limit=RUNS_TO_CHOOSE).rows)
    if scope == KillScope.RUN and subject not in {str(run.id) for run in rows}:
        # An older one, which the list that led here named.
        rows += agents.runs(member.id, states=states, text=subject, limit=1).rows
    return [
        (f"{KillScope.RUN}:{run.id}", f"{run.short} · {values.cut(run.goal, GOAL_SHOWN)}")
        for run in rows
    ]
