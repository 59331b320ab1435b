"""Exports of the log: ask for one, follow it, take it away. For auditors only."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.http import (
    require_GET,
    require_http_methods,
    require_POST,
    require_safe,
)

from agents import selectors as agents
from audit import exports, removal, selectors, signing
from audit.errors import AuditError, ExportFailed
from audit.export.scope import Kind, Scope, between
from audit.exports import Form
from audit.models import Export
from audit.services import Subject
from audit.tasks import make_export
from countersign import downloads
from countersign.console import audit_guards, guards, logbook
from countersign.console.audit_forms import AuditFilter, ExportForm
from countersign.console.guards import Member
from countersign.console.pages import posted, render, render_fragment
from countersign.console.words import ALLOW, DENY, LIVE, Word

REFUSAL = "export.refused"
STATES: Mapping[str, Word] = {
    Export.State.WAITING: Word("○", "waits for a worker"),
    Export.State.RUNNING: Word("▶", "being made", LIVE),
    Export.State.DONE: Word("✓", "ready", ALLOW),
    Export.State.FAILED: Word("✕", "failed", DENY),
    Export.State.REMOVED: Word("–", "file removed"),
}


@dataclass(frozen=True)
class ExportLine:
    """An export in words."""

    job: Export
    covers: str
    word: Word


@require_http_methods(["GET", "HEAD", "POST"])
@guards.page
def audit_exports(request: HttpRequest, slug: str) -> HttpResponse:
    """The exports there are, and the form that asks for another."""
    if request.method == "POST":
        member = audit_guards.auditor(request, slug, REFUSAL, Subject("export", "new"))
    else:
        member = guards.auditor(request, slug)
    form = ExportForm(posted(request), search=_search(request))
    if request.method == "POST" and form.is_valid():
        try:
            job = exports.request_export(
                member.id,
                replace(_scope(member, form), sizes=form.cleaned_data["sizes"]),
                payloads=form.cleaned_data["payloads"],
                actor=member.actor,
            )
        except (ExportFailed, ValueError) as error:
            form.add_error(None, f"This cannot be exported: {error}.")
        else:
            _enqueue(job)
            return redirect("console:audit_export", slug, job.id)
    context = {
        "nav": "audit",
        "tab": "exports",
        "lines": [_line(job) for job in selectors.exports(member.id, limit=50)],
        "form": form,
    }
    return render(request, member, "console/audit_exports.html", context)


def _search(request: HttpRequest) -> str:
    """The search to export, as the list of entries has it in its address."""
    return request.POST.get("search", "") or request.GET.urlencode()


def _scope(member: Member, form: ExportForm) -> Scope:
    """What is to be exported.

    Raises:
        ExportFailed: it covers nothing.
        ValueError: a search that no form made.
    """
    given = form.cleaned_data
    match Kind(given["kind"]):
        case Kind.RANGE:
            return between(member.id, given["since"], given["until"])
        case Kind.RUN:
            found = selectors.runs_named(member.id, given["run"])
            if len(found) != 1:
                many = "more than one run begins so; give more of its id"
                raise ExportFailed(many if found else "there is no such run in the log")
            return Scope(Kind.RUN, run=found[0])
        case Kind.SEARCH:
            asked = AuditFilter(
                QueryDict(given["search"]),
                actions=selectors.actions(member.id),
                actors=selectors.actors(member.id),
                tools=sorted(tool.name for tool in agents.tools(member.id)),
            )
            return Scope(Kind.SEARCH, filters=asked.search().to_text())
    return Scope(Kind.WORKSPACE)


def _enqueue(job: Export) -> None:
    ids = (str(job.workspace_id), str(job.id))
    # A broker that is away must not fail the page; the sweep finds the job within minutes.
    transaction.on_commit(lambda: make_export.delay(*ids), robust=True)


@require_safe
@guards.page
def audit_export(request: HttpRequest, slug: str, export_id: UUID) -> HttpResponse:
    """One export: how far it is, then how to take it away and check it."""
    member = guards.auditor(request, slug)
    job = selectors.export(member.id, export_id)
    if job is None:
        raise Http404("no such export")
    context: dict[str, Any] = {
        "nav": "audit",
        "tab": "exports",
        "line": _line(job),
        "here": job.state == Export.State.DONE and exports.file_of(job).is_file(),
        "size": _size(job),
        "keys": _keys(member),
        "kept_until": removal.kept_until(job),
        "days": settings.COUNTERSIGN_EXPORT_DAYS,
    }
    if "live" in request.GET:
        return render_fragment(request, member, "console/_audit_export.html", context)
    return render(request, member, "console/audit_export.html", context)


def _size(job: Export) -> int:
    path = exports.file_of(job)
    return path.stat().st_size if job.state == Export.State.DONE and path.is_file() else 0


def _keys(member: Member) -> list[str]:
    try:
        return [str(key) for key in signing.verifier_keys(member.id)]
    except AuditError:
        return []


@require_POST
@guards.page
def audit_export_again(request: HttpRequest, slug: str, export_id: UUID) -> HttpResponse:
    """Let a failed export go on from where it stopped; make one anew whose file is gone."""
    subject = Subject("export", str(export_id))
    member = audit_guards.auditor(request, slug, REFUSAL, subject)
    if selectors.export(member.id, export_id) is None:
        raise Http404("no such export")
    job = exports.retry_export(member.id, export_id, actor=member.actor) or exports.repeat_export(
        member.id, export_id, actor=member.actor
    )
    if job is None:
        messages.info(request, "This export has not failed, and its file is here.")
        return redirect("console:audit_export", slug, export_id)
    _enqueue(job)
    return redirect("console:audit_export", slug, job.id)


@require_GET
@guards.page
def audit_download(request: HttpRequest, slug: str, export_id: UUID, form: str) -> HttpResponseBase:
    """Take an export away; the log says who did before the first byte leaves."""
    subject = Subject("export", str(export_id))
    member = audit_guards.auditor(request, slug, REFUSAL, subject)
    if form not in set(Form):
        raise Http404("no such form of an export")
    try:
        found = exports.download(member.id, export_id, Form(form), actor=member.actor)
    except ExportFailed as error:
        messages.error(request, f"Nothing to download: {error}.")
        return redirect("console:audit_export", slug, export_id)
    if found is None:
        raise Http404("no such export")
    return downloads.of_export(request, found, Form(form))


def _line(job: Export) -> ExportLine:
    return ExportLine(job, covers(job.scope), STATES[job.state])


def covers(scope: Mapping[str, Any]) -> str:
    """What an export covers, in words."""
    filters = scope.get("filters") or {}
    match scope.get("kind"):
        case Kind.WORKSPACE:
            return "the whole log"
        case Kind.RUN:
            return f"run {str(scope['run'])[:8]}"
        case Kind.RANGE:
            days = " ".join(
                f"{word} {filters[name][:10]}"
                for word, name in (("from", "since"), ("until", "until"))
                if name in filters
            )
            places = f"positions {scope['first']:,} to {scope['end'] - 1:,}"
            return f"{days}: {places}" if days else places
    said = [f"{name} {_told(name, value)}" for name, value in filters.items()]
    return "a search: " + (", ".join(said) or "everything")


def _told(name: str, value: str) -> str:
    if name == "outcome" and value in logbook.OUTCOMES:
        return logbook.OUTCOMES[value].text
    return value if len(value) < 60 else f"{value[:57]}…"
