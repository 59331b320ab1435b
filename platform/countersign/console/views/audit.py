"""The audit log: search, one entry with its proof and payloads, verification."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from agents import selectors as agents
from audit import disclosure, selectors
from audit.errors import KeyUnavailable, PayloadDamaged, PayloadGone
from audit.export.proof import entry_proof
from audit.models import Entry, Verification
from audit.payloads import Opened
from audit.selectors import ActorRow
from audit.services import Subject
from audit.tasks import run_verification
from audit.transactions import in_workspace
from audit.verification import request_verification
from countersign.accounts import selectors as accounts
from countersign.console import audit_guards, code, entry_details, guards, proofs
from countersign.console.audit_forms import AuditFilter, who
from countersign.console.guards import Member
from countersign.console.logbook import Logbook
from countersign.console.pages import render, render_fragment

MAX_SHOWN = 200_000
"""Characters of a revealed payload on the page; all of it is in an export with payloads."""


@require_safe
@guards.page
def audit_list(request: HttpRequest, slug: str) -> HttpResponse:
    member = guards.auditor(request, slug)
    with in_workspace(member.id):  # one transaction for all that the page reads of the log
        form = audit_filter(request, member)
        page = selectors.entries(member.id, form.search(), cursor=request.GET.get("after", ""))
        checks = selectors.verifications(member.id, limit=1)
    context = {
        "nav": "audit",
        "tab": "entries",
        "page": page,
        "lines": logbook(member, page.entries).lines(page.entries),
        "form": form,
        "people": _people(form.actors),
        "chosen": form.chosen(),
        "query": form.query(),
        "without": {name: form.query(name) for name in ("run", "subject")},
        "later": "after" in request.GET,
        "checks": checks,
    }
    return render(request, member, "console/audit_list.html", context)


def _people(actors: Sequence[ActorRow]) -> list[tuple[str, str]]:
    """What the field offers: whom, and of what type."""
    called = who(actors)
    return sorted({(called[row.id], row.type) for row in actors})


def audit_filter(request: HttpRequest, member: Member) -> AuditFilter:
    """The search that an address of the log names."""
    return AuditFilter(
        request.GET or None,
        actions=selectors.actions(member.id),
        actors=selectors.actors(member.id),
        tools=sorted(tool.name for tool in agents.tools(member.id)),
    )


def logbook(member: Member, entries: Sequence[Entry]) -> Logbook:
    """What tells these entries, with the names that they need."""
    if member.is_platform:
        return Logbook(member.slug, accounts.names_anywhere({row.subject_id for row in entries}))
    return Logbook(member.slug, accounts.names(member.id))


@require_safe
@guards.page
def audit_entry(request: HttpRequest, slug: str, entry_id: UUID) -> HttpResponse:
    member = guards.auditor(request, slug)
    return _entry_page(request, member, _entry(member, entry_id))


def _entry(member: Member, entry_id: UUID) -> Entry:
    found = selectors.entry(member.id, entry_id)
    if found is None:
        raise Http404("no such entry")
    return found


def _entry_page(
    request: HttpRequest, member: Member, entry: Entry, *, opened: Opened | None = None
) -> HttpResponse:
    line = logbook(member, [entry]).line(entry)
    body: dict[str, Any] = dict(line.body)
    stored = set(selectors.stored_payloads(member.id, entry.id))
    context = {
        "nav": "audit",
        "entry": entry,
        "line": line,
        "body": body,
        "details": entry_details.details(member.id, member.slug, body.get("detail", {})),
        "proof": proofs.of_entry(member.id, entry),
        "payloads": [
            {"name": name, "said": said, "stored": name in stored}
            for name, said in body.get("payloads", {}).items()
        ],
        "opened": opened,
        "shown": _readable(opened) if opened else "",
        "leaf_hash": bytes(entry.leaf_hash).hex(),
        "leaf_bytes": len(bytes(entry.leaf)),
        "leaf": code.rows(json.dumps(body, indent=2, ensure_ascii=False), language="json"),
        "reader": member.user.name,
    }
    return render(request, member, "console/audit_entry.html", context)


def _readable(opened: Opened) -> str:
    value = opened.value
    if isinstance(value, bytes):
        return value[: MAX_SHOWN // 2].hex(" ")
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    return text[:MAX_SHOWN]


@never_cache
@require_POST
@guards.page
def audit_payload(request: HttpRequest, slug: str, entry_id: UUID) -> HttpResponse:
    """Show one masked payload; the log says who looked before anything is shown."""
    member = audit_guards.auditor(request, slug, "payload.refused", Subject("entry", str(entry_id)))
    entry = _entry(member, entry_id)
    name = request.POST.get("name", "")
    try:
        opened = disclosure.disclose(member.id, entry.id, name, actor=member.actor)
    except PayloadGone:
        messages.error(request, f"The payload {name[:100]} is gone: erased, or its time was up.")
    except PayloadDamaged as error:
        messages.error(request, f"{error}. Verify the log and tell whoever answers for security.")
    except KeyUnavailable:
        messages.error(request, "The key of the payloads cannot be read; the operator must look.")
    else:
        return _entry_page(request, member, entry, opened=opened)
    return redirect("console:audit_entry", slug, entry_id)


@require_safe
@guards.page
def audit_proof(request: HttpRequest, slug: str, entry_id: UUID) -> HttpResponse:
    """The entry's proof as a file that `countersign_verify.py` takes."""
    member = guards.auditor(request, slug)
    found = entry_proof(member.id, entry_id)
    if found is None:
        raise Http404("no such entry, or no checkpoint over it yet")
    text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    response = HttpResponse(text, content_type="application/json")
    response["Content-Disposition"] = f'attachment; filename="entry-{entry_id}.proof.json"'
    return response


@require_POST
@guards.page
def audit_verify(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask for a check of the whole log of the workspace; one that is under way will do."""
    member = guards.auditor(request, slug)
    if (present := selectors.verification_under_way(member.id)) is not None:
        return redirect("console:audit_report", slug, present.id)
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
    context = {"nav": "audit", "tab": "entries", "report": run, "took": _took(run)}
    if "live" in request.GET:
        return render_fragment(request, member, "console/_audit_report.html", context)
    checks = selectors.verifications(member.id, limit=10)
    context["earlier"] = [check for check in checks if check.id != verification_id]
    return render(request, member, "console/audit_report.html", context)


def _took(run: Verification) -> timedelta:
    return (run.finished_at or timezone.now()) - run.requested_at
