"""Proposing a change of tools, models and agents; what is proposed waits in the queue."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from agents import registry, selectors
from agents.errors import Refused
from agents.registry import writing
from agents.registry.looking import look
from countersign.console import cards, guards
from countersign.console.guards import Member
from countersign.console.pages import posted, render
from countersign.console.registry_forms import EXAMPLE, AgentForm, FileForm
from policies.errors import Refusal

FORBIDDEN, INVALID = 403, 422
_WRITERS = {
    "agent": writing.agent_text,
    "model": writing.model_text,
    "tool": writing.tool_text,
}


@require_http_methods(["GET", "HEAD", "POST"])
@guards.page
def registry_propose(request: HttpRequest, slug: str) -> HttpResponse:
    """A register file: look at what it would change, then propose it."""
    member = guards.proposer(request, slug)
    form = FileForm(
        posted(request), request.FILES or None, initial={"text": _start(request, member)}
    )
    context: dict[str, Any] = {"nav": "agents", "form": form, "example": EXAMPLE}
    status = 200
    if request.method == "POST" and form.is_valid():
        text, documents = form.cleaned_data["text"], form.cleaned_data["documents"]
        try:
            if "look" in request.POST:
                context |= _look(member, text, documents)
                context["form"] = FileForm(initial={"text": text})
            else:
                return _propose(request, member, text, documents)
        except Refused as error:
            status = INVALID
            context["faults"] = str(error).splitlines()
    elif request.method == "POST":
        status = INVALID
    return render(request, member, "console/registry_propose.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@guards.page
def agent_propose(request: HttpRequest, slug: str, name: str) -> HttpResponse:
    """An agent's instructions, model, tools and limits by form."""
    member = guards.proposer(request, slug)
    version = selectors.agent_versions(member.id, name)[0]
    form = AgentForm(
        posted(request),
        models=[model.name for model in selectors.endpoints(member.id)],
        tools=[tool.name for tool in selectors.tools(member.id)],
        initial={
            "base": version.digest,
            "description": version.description,
            "goal": version.goal,
            "instructions": version.instructions,
            "model": version.endpoint.name,
            "tools": [tool.name for tool in version.tools],
            **{f"limit_{key}": value for key, value in version.limits.to_json().items()},
        },
    )
    context: dict[str, Any] = {"nav": "agents", "form": form, "version": version}
    status = 200
    if request.method == "POST":
        status = INVALID
        if form.is_valid() and form.cleaned_data["base"] != version.digest:
            form.add_error(None, "This agent has changed meanwhile. Load the page again.")
        elif form.is_valid():
            try:
                text = writing.agent_text(member.id, name, form.changes())
                return _propose(request, member, text)
            except Refused as error:
                form.add_error(None, str(error))
    context["limits"] = [field for field in form if field.name.startswith("limit_")]
    context["others"] = [field for field in form if not field.name.startswith("limit_")]
    return render(request, member, "console/agent_propose.html", context, status=status)


def _start(request: HttpRequest, member: Member) -> str:
    """What stands in the field at first: what is registered under the name asked for."""
    for kind, write in _WRITERS.items():
        if kind in request.GET:
            return write(member.id, request.GET[kind].replace("\x00", ""))
    return ""


def _look(member: Member, text: str, documents: Mapping[str, str]) -> Mapping[str, Any]:
    planned = look(member.id, text, documents)
    return {
        "looked": True,
        "changes": cards.changes({"changes": planned.changes}),
        "unchanged": planned.unchanged,
    }


def _propose(
    request: HttpRequest,
    member: Member,
    text: str,
    documents: Mapping[str, str] | None = None,
) -> HttpResponse:
    found = registry.propose(
        workspace_id=member.id,
        text=text,
        documents=documents,
        actor=member.actor,
        now=datetime.now(UTC),
    )
    if isinstance(found, Refusal):
        raise Refused(found.sentence)
    if found.request is None:
        raise Refused("This changes nothing: all of it is registered as it is.")
    messages.success(request, "Proposed. Nothing changes before another person signs it.")
    return redirect("console:approval_card", member.slug, found.request.id)
