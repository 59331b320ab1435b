"""Members and their roles: given by two people, taken away by one."""

from datetime import UTC, datetime
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from agents import registry
from countersign.accounts import selectors, services
from countersign.accounts.errors import AccountsError, UnknownAccount
from countersign.accounts.selectors import PersonRow
from countersign.accounts.services import PersonDraft
from countersign.console import guards
from countersign.console.guards import Member
from countersign.console.pages import posted, render
from countersign.console.people_forms import PersonForm, RemoveForm, ResetForm, RolesForm
from policies import selectors as policies
from policies.errors import Refusal
from policies.models import ApprovalRequest, Kind

INVALID = 422


@require_safe
@guards.page
def person_list(request: HttpRequest, slug: str) -> HttpResponse:
    member = guards.member(request, slug)
    context = {
        "nav": "people",
        "people": selectors.people(member.id),
        "accounts": selectors.service_accounts(member.id) if member.is_admin else (),
        "asked": _asked(member),
    }
    return render(request, member, "console/person_list.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@guards.page
def person_add(request: HttpRequest, slug: str) -> HttpResponse:
    """Propose a new member. The page that answers shows a new account's password, once."""
    member = guards.administrator(request, slug)
    form = PersonForm(posted(request))
    status = 200
    if request.method == "POST":
        status = INVALID
        if form.is_valid():
            given = form.cleaned_data
            person = PersonDraft(given["username"], given["name"], given["email"], form.wanted())
            asked = _propose(member, person)
            if isinstance(asked, services.Asked):
                context = {"nav": "people", "asked": asked, "person": person}
                return render(request, member, "console/person_asked.html", context)
            form.add_error(None, asked)
    context = {"nav": "people", "form": form}
    return render(request, member, "console/person_add.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@guards.page
def person_roles(request: HttpRequest, slug: str, user_id: UUID) -> HttpResponse:
    """Change someone's roles: at once where they lose some, by proposal where they gain one."""
    member = guards.administrator(request, slug)
    row = _row(member, user_id)
    form = RolesForm(posted(request), initial=RolesForm.initial_of(row.membership.roles))
    status = 200
    if request.method == "POST":
        status = INVALID
        if form.is_valid():
            wrong = _change(request, member, row, form.wanted())
            if not wrong:
                return redirect("console:person_list", slug)
            form.add_error(None, wrong)
    return _person(request, member, row, status, form=form)


@require_POST
@guards.page
def person_remove(request: HttpRequest, slug: str, user_id: UUID) -> HttpResponse:
    member = guards.administrator(request, slug)
    row = _row(member, user_id)
    form = RemoveForm(request.POST)
    if form.is_valid():
        refusal = services.member_remove(
            workspace_id=member.id, actor=member.actor, user_id=user_id
        )
        if refusal is None:
            messages.success(request, f"{row.user.name} is no member any more.")
            return redirect("console:person_list", slug)
        form.add_error(None, refusal.sentence)
    return _person(request, member, row, INVALID, remove=form)


@require_POST
@guards.page
def person_factor(request: HttpRequest, slug: str, user_id: UUID) -> HttpResponse:
    """Ask that someone's authenticator be taken away; someone else signs it."""
    member = guards.administrator(request, slug)
    row = _row(member, user_id)
    form = ResetForm(request.POST)
    if form.is_valid():
        asked = services.factor_reset_propose(
            workspace_id=member.id,
            actor=member.actor,
            user_id=user_id,
            reason=form.cleaned_data["reason"],
            now=datetime.now(UTC),
            tools=registry.tool_specs(member.id),
        )
        if not isinstance(asked, Refusal):
            messages.success(
                request, "Asked. Nothing changes before a policy officer signs it, under Approvals."
            )
            return redirect("console:person_list", slug)
        form.add_error(None, asked.sentence)
    return _person(request, member, row, INVALID, reset=form)


def _person(
    request: HttpRequest,
    member: Member,
    row: PersonRow,
    status: int,
    *,
    form: RolesForm | None = None,
    remove: RemoveForm | None = None,
    reset: ResetForm | None = None,
) -> HttpResponse:
    """The page of one person; of its three forms the one that was sent shows its faults."""
    context = {
        "nav": "people",
        "row": row,
        "form": form or RolesForm(initial=RolesForm.initial_of(row.membership.roles)),
        "remove": remove or RemoveForm(),
        "factor": selectors.factor_of(row.user.id),
        "reset": reset or ResetForm(auto_id="reset_%s"),
    }
    return render(request, member, "console/person_roles.html", context, status=status)


def _row(member: Member, user_id: UUID) -> PersonRow:
    for row in selectors.people(member.id):
        if row.user.id == user_id:
            return row
    raise Http404("no such member")


def _asked(member: Member) -> list[ApprovalRequest]:
    """What waits for a signature about people: roles, and second factors to be taken away."""
    return [
        request
        for request in policies.requests(member.id)
        if request.kind == Kind.CHANGE
        and request.binding.get("change") in ("member", "factor.reset")
    ]


def _propose(member: Member, person: PersonDraft) -> services.Asked | str:
    """The request, or what is wrong."""
    try:
        asked = services.member_propose(
            workspace_id=member.id,
            actor=member.actor,
            person=person,
            now=datetime.now(UTC),
            tools=registry.tool_specs(member.id),
        )
    except AccountsError as error:
        return str(error)
    return asked.sentence if isinstance(asked, Refusal) else asked


def _change(request: HttpRequest, member: Member, row: PersonRow, wanted: list[str]) -> str:
    """What is wrong; nothing where it is done or asked for."""
    user = row.user
    if not set(wanted) <= set(row.membership.roles):
        person = PersonDraft(user.username, user.name, user.email, wanted)
        asked = _propose(member, person)
        if isinstance(asked, str):
            return asked
        messages.success(
            request, "Proposed. Nothing changes before a policy officer signs it, under Approvals."
        )
        return ""
    try:
        changed = services.member_set_roles(
            workspace_id=member.id, actor=member.actor, user_id=user.id, roles=wanted
        )
    except UnknownAccount as error:
        return str(error)
    if isinstance(changed, Refusal):
        return changed.sentence
    messages.success(request, f"{user.name} has these roles only, from now on.")
    return ""
