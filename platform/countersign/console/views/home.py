"""The workspaces of a person, and the overview of one."""

from datetime import UTC, datetime, time

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_safe

from agents import selectors as agents
from agents.models import FINAL_STATES, RunState
from agents.selectors.spend import spend_by_day
from audit.naming import PLATFORM_NAME
from countersign.accounts import selectors as accounts
from countersign.console import days, guards, health
from countersign.console.pages import render, render_plain
from policies import selectors as policies
from policies.models import ApprovalState
from policies.selectors import QueueRow
from policies.tally import decisions_by_day

RECENT = 8


@require_safe
@guards.page
def home(request: HttpRequest) -> HttpResponse:
    """To the only workspace, or the choice of several."""
    user = guards.signed_in(request)
    workspaces = accounts.workspaces_of(user)
    if len(workspaces) == 1 and not accounts.reads_platform(user):
        return redirect("console:overview", workspaces[0].slug)
    return render_plain(request, "console/workspace_list.html", {"workspaces": workspaces})


@require_safe
@guards.page
def overview(request: HttpRequest, slug: str) -> HttpResponse:
    if slug == PLATFORM_NAME and accounts.reads_platform(guards.signed_in(request)):
        return redirect("console:audit_list", slug)
    member = guards.member(request, slug)
    now = datetime.now(UTC)
    today = now.date()
    first = datetime.combine(days.since(today), time(), UTC)
    queue = policies.queue(member.id, str(member.user.id), now)
    open_states = [state for state in RunState if not state.final]
    counts = agents.run_counts(member.id)
    context = {
        "nav": "overview",
        "mine": [row for row in queue if row.refusal is None][:RECENT],
        "asked": [row for row in queue if _asks(row, member)][:RECENT],
        "waiting": len(queue),
        "open_runs": agents.runs(member.id, states=open_states, limit=RECENT).rows,
        "ended_runs": agents.runs(member.id, states=sorted(FINAL_STATES), limit=RECENT).rows,
        "counts": counts,
        "doubts": agents.calls_in_doubt(member.id),
        "health": health.lines(member.id),
        "decisions": days.decisions(decisions_by_day(member.id, first), today),
        "spend": days.spend(spend_by_day(member.id, first), today),
    }
    return render(request, member, "console/overview.html", context)


def _asks(row: QueueRow, member: guards.Member) -> bool:
    """Whether a reviewer has a question about what this person asked for."""
    asked = row.request
    mine = asked.requester_id == str(member.user.id)
    return mine and asked.state == ApprovalState.INFO_REQUESTED
