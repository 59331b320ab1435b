"""The audit log: search, one entry with its exact bytes, verification."""

import json
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from audit import selectors
from audit.models import Verification
from audit.tasks import run_verification
from audit.verification import request_verification
from countersign.console import code, guards
from countersign.console.forms import AuditFilter
from countersign.console.pages import render, render_fragment


@require_safe
@guards.page
def audit_list(request: HttpRequest, slug: str) -> HttpResponse:
    member = guards.auditor(request, slug)
    form = AuditFilter(request.GET or None)
    chosen = form.chosen()
    filters = selectors.Filters(
        actions=(chosen["action"],) if chosen["action"] else (),
        actors=(chosen["actor"],) if chosen["actor"] else (),
        subject=chosen["subject"],
        run=chosen["run"],
        since=_midnight(chosen["since"]),
        until=_midnight(chosen["until"], days=1),
    )
    page = selectors.entries(member.id, filters, cursor=request.GET.get("after", ""))
    context = {
        "nav": "audit",
        "page": page,
        "form": form,
        "query": form.query(),
        "filtered": bool(form.query()),
        "later": "after" in request.GET,
        "checks": selectors.verifications(member.id, limit=1),
    }
    return render(request, member, "console/audit_list.html", context)


@require_safe
@guards.page
def audit_entry(request: HttpRequest, slug: str, entry_id: UUID) -> HttpResponse:
    member = guards.auditor(request, slug)
    entry = selectors.entry(member.id, entry_id)
    if entry is None:
        raise Http404("no such entry")
    body: dict[str, Any] = json.loads(bytes(entry.leaf))
    context = {
        "nav": "audit",
        "entry": entry,
        "body": body,
        "leaf_hash": bytes(entry.leaf_hash).hex(),
        "leaf_bytes": len(bytes(entry.leaf)),
        "leaf": code.rows(json.dumps(body, indent=2, ensure_ascii=False), language="json"),
        "run": entry.run_id,
    }
    return render(request, member, "console/audit_entry.html", context)


@require_POST
@guards.page
def audit_verify(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask for a check of the whole log of the workspace."""
    member = guards.auditor(request, slug)
    wanted = request_verification(member.id, member.actor)
    ids = (str(member.id), str(wanted.id))
    # A broker that is away must not fail the page, which says that nobody works.
    transaction.on_commit(lambda: run_verification.delay(*ids), robust=True)
    return redirect("console:audit_report", slug, wanted.id)


@require_safe
@guards.page
def audit_report(request: HttpRequest, slug: str, verification_id: UUID) -> HttpResponse:
    """One verification run: how far it is, then what it found."""
    member = guards.auditor(request, slug)
    run = selectors.verification(member.id, verification_id)
    if run is None:
        raise Http404("no such verification")
    context = {"nav": "audit", "report": run, "took": _took(run)}
    if "live" in request.GET:
        return render_fragment(request, member, "console/_audit_report.html", context)
    return render(request, member, "console/audit_report.html", context)


def _took(run: Verification) -> timedelta:
    return (run.finished_at or timezone.now()) - run.requested_at


def _midnight(day: date | None, *, days: int = 0) -> datetime | None:
    if day is None:
        return None
    start = datetime.combine(day + timedelta(days=days), datetime.min.time())
    return timezone.make_aware(start)
