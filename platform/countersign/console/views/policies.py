"""Policies: the text in force and its versions, drafts and how they stand, simulations."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from agents import registry
from countersign.console import code, guards, policy_words, rules
from countersign.console.guards import Member
from countersign.console.pages import render, render_fragment
from countersign.console.policy_forms import SimulateForm
from policies import life, selectors, services, tasks
from policies.engine import PolicyError
from policies.errors import InvalidRequest, NotFound, Reason, Refusal
from policies.forms import pieces
from policies.models import PolicySimulation, PolicyVersion
from policies.readiness import Readiness
from policies.selectors import VersionRow

VERSIONS_SHOWN = 30
TRIAL_DAYS = 30


@require_safe
@guards.page
def policy_detail(request: HttpRequest, slug: str, number: int | None = None) -> HttpResponse:
    """The active version, or one by its number; a draft with how it stands."""
    member = guards.member(request, slug)
    versions = selectors.policy_versions(member.id)
    wanted = _wanted(versions, number)
    if wanted is None and number is not None:
        raise NotFound(f"no policy version {number}")
    context: dict[str, Any] = {
        "nav": "policies",
        "versions": versions[:VERSIONS_SHOWN],
        "row": wanted,
        "active": _wanted(versions, None),
    }
    if wanted is not None:
        context |= _version(member, wanted, versions)
    return render(request, member, "console/policy_detail.html", context)


def _wanted(versions: list[VersionRow], number: int | None) -> VersionRow | None:
    return next(
        (r for r in versions if (r.active if number is None else r.version.number == number)),
        None,
    )


def _version(member: Member, row: VersionRow, versions: list[VersionRow]) -> dict[str, Any]:
    """What the page of a version shows beside its head."""
    tools = registry.tool_specs(member.id)
    version = row.version
    before = _before(row, versions)
    found: dict[str, Any] = {
        "before": before,
        "rules": rules.read(version.text, tools),
        "text": code.rows(version.text, language="cedar"),
        "changes": code.difference(before.version.text, version.text) if before else (),
        "is_draft": not row.active and row.activated is None,
        "invariants": _promises(version),
        "simulations": life.simulations(member.id, version.id, limit=5),
        "simulate": SimulateForm(),
    }
    if not row.active:
        ready = life.standing_of(member.id, version, tools)
        found |= {"ready": ready, **told(ready)}
    return found


def _before(row: VersionRow, versions: list[VersionRow]) -> VersionRow | None:
    """What a version is compared with: a draft with the one in force, others with their own."""
    if not row.active and row.activated is None:
        return _wanted(versions, None)
    return next((r for r in versions if r.version.id == row.version.parent_id), None)


def _promises(version: PolicyVersion) -> list[rules.RuleRow]:
    """The invariants as sentences; they are rules that no tool is needed to read."""
    found = []
    for text in version.invariants:
        read = rules.read(text, ())
        [piece] = pieces(text)
        blank = rules.RuleRow(piece.id, read.problem, "", policy_words.outcome("?"), False)
        found.append(read.rows[0] if read.rows else blank)
    return found


def told(ready: Readiness) -> dict[str, Any]:
    """What was found about a version, for `_policy_findings.html`."""
    shown = ready.to_json()
    return {"findings": shown, "examples": policy_words.examples(shown["difference"])}


@require_POST
@guards.page
def policy_start(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """A draft with the rules of a version, to go on from or to go back to."""
    member = guards.member(request, slug)
    version = chosen(member, number)
    made = services.policy_draft(
        workspace_id=member.id,
        author=member.actor,
        parent_id=version.id,
        note=f"From version {number}",
        tools=registry.tool_specs(member.id),
    )
    return after(request, member, made, f"A draft of version {number}.")


@require_POST
@guards.page
def policy_submit(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    member = guards.member(request, slug)
    version = chosen(member, number)
    try:
        asked = services.policy_submit(
            workspace_id=member.id,
            version_id=version.id,
            submitter=member.actor,
            now=datetime.now(UTC),
            tools=registry.tool_specs(member.id),
        )
    except PolicyError as error:
        asked = Refusal(Reason.NOT_READY, str(error))
    if isinstance(asked, Refusal):
        return refused(request, member, number, asked)
    messages.success(request, "Submitted. It takes effect when another officer has signed it.")
    return redirect("console:approval_card", slug, asked.id)


@require_POST
@guards.page
def policy_simulate(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Ask for a version to be tried on past decisions."""
    member = guards.member(request, slug)
    version = chosen(member, number)
    form = SimulateForm(request.POST)
    made: PolicySimulation | Refusal
    try:
        made = services.policy_simulate(
            workspace_id=member.id,
            version_id=version.id,
            requester=member.actor,
            days=form.cleaned_data["days"] if form.is_valid() else 0,
            now=datetime.now(UTC),
        )
    except InvalidRequest as error:
        made = Refusal(Reason.INCOMPLETE, str(error))
    if isinstance(made, Refusal):
        return refused(request, member, number, made)
    ids = (str(member.id), str(made.id))
    # A broker that is away must not fail the page, which says that nobody works.
    transaction.on_commit(lambda: tasks.simulate.delay(*ids), robust=True)
    return redirect("console:policy_simulation", slug, made.id)


@require_safe
@guards.page
def policy_simulation(request: HttpRequest, slug: str, simulation_id: UUID) -> HttpResponse:
    """One simulation: how far it is, then what would have been different."""
    member = guards.member(request, slug)
    found = life.simulation(member.id, simulation_id)
    if found is None:
        raise Http404("no such simulation")
    context = {"nav": "policies", "sim": found, **_simulated(found)}
    if "live" in request.GET:
        return render_fragment(request, member, "console/_policy_simulation.html", context)
    return render(request, member, "console/policy_simulation.html", context)


@require_safe
@guards.page
def policy_trial(request: HttpRequest, slug: str, number: int, rule: str) -> HttpResponse:
    """What a rule that is only recorded would have done."""
    member = guards.member(request, slug)
    version = chosen(member, number)
    read = rules.read(version.text, registry.tool_specs(member.id))
    row = next((each for each in read.rows if each.id == rule and each.shadow), None)
    if row is None:
        raise Http404("no such rule on trial")
    asked = SimulateForm(request.GET if "days" in request.GET else None)
    days = asked.cleaned_data["days"] if asked.is_valid() else TRIAL_DAYS
    found = life.trial(member.id, rule, datetime.now(UTC) - timedelta(days=days))
    context = {
        "nav": "policies",
        "version": version,
        "rule": row,
        "days": days,
        "trial": found,
        "recorded": selectors.was_in_force(member.id, version.id),
        "moves": policy_words.trial(found.counts, row.word),
        "newest": [
            {"past": each, "what": policy_words.action(each.action),
             "then": policy_words.outcome(each.outcome, each.signatures.to_json())}
            for each in found.newest
        ],
    }  # fmt: skip
    return render(request, member, "console/policy_trial.html", context)


def _simulated(found: PolicySimulation) -> dict[str, Any]:
    return {
        "moves": policy_words.moves(found.counts),
        "same": found.counts.get("same", 0),
        "newest": len(found.changes),
        "changes": [
            change
            | {
                "what": policy_words.action(change["action"]),
                "before": policy_words.outcome(change["then"], change["then_signatures"]),
                "after": policy_words.outcome(change["now"], change["now_signatures"]),
            }
            for change in policy_words.alike(found.changes)
        ],
    }


# What the pages that edit have in common


def chosen(member: Member, number: int) -> PolicyVersion:
    """The version of an address.

    Raises:
        NotFound: the workspace has none of that number.
    """
    version = selectors.policy_version(member.id, number)
    if version is None:
        raise NotFound(f"no policy version {number}")
    return version


def after(
    request: HttpRequest, member: Member, made: PolicyVersion | Refusal, told: str
) -> HttpResponse:
    """On to the draft that an edit made.

    Raises:
        PermissionDenied: the service refused, and has recorded it.
    """
    if isinstance(made, Refusal):
        raise PermissionDenied(made.sentence)
    messages.success(request, f"{told} This is draft {made.number}; nothing of it is in force.")
    return redirect("console:policy_version", member.slug, made.number)


def refused(request: HttpRequest, member: Member, number: int, refusal: Refusal) -> HttpResponse:
    """Back to the version with the service's sentence.

    Raises:
        PermissionDenied: the person's role is what is missing.
    """
    if refusal.reason is Reason.ROLE:
        raise PermissionDenied(refusal.sentence)
    messages.error(request, refusal.sentence)
    return redirect("console:policy_version", member.slug, number)
