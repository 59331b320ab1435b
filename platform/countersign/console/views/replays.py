"""Replays of runs: asked for, followed, and shown with both sides where they part."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_safe

from agents import selectors as agents
from agents.errors import Refused
from agents.replay.service import replay_ask
from countersign.console import guards, sides
from countersign.console.guards import Member
from countersign.console.pages import render, render_fragment


@require_http_methods(["GET", "HEAD", "POST"])
@guards.page
def run_replays(request: HttpRequest, slug: str, run_id: UUID) -> HttpResponse:
    """The replays of a run so far; a POST asks for another."""
    member = guards.member(request, slug)
    if request.method != "POST":
        found = agents.replays(member.id, run_id)
        context = {"run": agents.run(member.id, run_id), "earlier": found, "nav": "runs"}
        return render(request, member, "console/run_replay.html", context)
    member = guards.replayer(request, slug)
    try:
        made = replay_ask(workspace_id=member.id, run_id=run_id, asker=member.actor)
    except Refused as refused:
        messages.error(request, str(refused))
        return redirect("console:run_replays", slug, run_id)
    return redirect("console:run_replay", slug, run_id, made.id)


@require_safe
@guards.page
def run_replay(request: HttpRequest, slug: str, run_id: UUID, replay_id: UUID) -> HttpResponse:
    """One replay: how far it is, then where it differs."""
    member = guards.member(request, slug)
    context = _told(member, run_id, replay_id)
    if "live" in request.GET:
        return render_fragment(request, member, "console/_run_replay.html", context)
    # Not itself: the page follows it, and the list below would not.
    others = agents.replays(member.id, run_id)
    context["earlier"] = [each for each in others if each.id != replay_id]
    return render(request, member, "console/run_replay.html", context)


def _told(member: Member, run_id: UUID, replay_id: UUID) -> dict[str, Any]:
    found = agents.replay(member.id, run_id, replay_id)
    differing = found.differing
    return {
        "nav": "runs",
        "run": agents.run(member.id, run_id),
        "replay": found,
        "differing": differing,
        "sides": sides.apart(differing.divergence) if differing else None,
    }
