"""The approval queue, the card, and the ways to answer it."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from agents import selectors as agents
from agents import services
from agents.approvals.editing import as_program
from audit.services import Subject
from countersign.accounts import services as accounts
from countersign.accounts.selectors import factor_of
from countersign.console import cards, guards
from countersign.console.approval_forms import EditForm, ReassignForm, WithdrawForm
from countersign.console.forms import AskForm, BallotForm, InformForm, RejectForm, SignForm
from countersign.console.guards import Member
from countersign.console.pages import posted, render, render_fragment
from countersign.console.views.session import address
from policies import masks
from policies import selectors as policies
from policies.errors import Reason, Refusal
from policies.models import OPEN_STATES, Answer, ApprovalRequest, ApprovalState, Kind, Meaning
from policies.selectors import QueueRow, RequestDetail
from policies.services import mask_opened
from policies.services.change import change_make, change_withdraw

CLOSED = tuple(sorted(set(ApprovalState) - set(OPEN_STATES)))
MINE, ALL, ENDED = "mine", "all", "closed"
MAX_CLOSED = 100

FORBIDDEN, CONFLICT, INVALID = 403, 409, 422
STATUS = {
    Reason.ROLE: FORBIDDEN,
    Reason.REQUESTER: FORBIDDEN,
    Reason.NOT_REQUESTER: FORBIDDEN,
    Reason.BARRED: FORBIDDEN,
    Reason.NOT_A_PERSON: FORBIDDEN,
    Reason.FACTOR: FORBIDDEN,
    Reason.NOT_ENROLLED: FORBIDDEN,
    Reason.ALREADY_VOTED: CONFLICT,
    Reason.STATE: CONFLICT,
    Reason.SIGN_BY: CONFLICT,
    Reason.DISPLAYED: CONFLICT,
    Reason.LOCKED: 429,
}


@require_safe
@guards.page
def approval_list(request: HttpRequest, slug: str) -> HttpResponse:
    member = guards.member(request, slug)
    scope = _scope(request, member)
    context = {"nav": "approvals", "scope": scope, "rows": _queue(member, scope)}
    return render(request, member, "console/approval_list.html", context)


def _scope(request: HttpRequest, member: Member) -> str:
    asked = request.GET.get("show", "")
    if asked in (MINE, ALL, ENDED):
        return asked
    return MINE if member.is_reviewer or member.is_officer else ALL


def _queue(member: Member, scope: str) -> list[QueueRow]:
    states = CLOSED if scope == ENDED else tuple(OPEN_STATES)
    rows = policies.queue(member.id, str(member.user.id), datetime.now(UTC), states)
    if scope == ENDED:
        return sorted(rows, key=lambda row: row.request.created, reverse=True)[:MAX_CLOSED]
    return [row for row in rows if row.refusal is None] if scope == MINE else rows


@require_safe
@guards.page
def approval_card(request: HttpRequest, slug: str, request_id: UUID) -> HttpResponse:
    member = guards.member(request, slug)
    return _card(request, member, _detail(member, request_id))


@never_cache
@require_POST
@guards.page
def approval_unmask(request: HttpRequest, slug: str, request_id: UUID) -> HttpResponse:
    """The card with what rules mask; the log says who looked before anything is shown."""
    member = guards.member(request, slug)
    detail = _detail(member, request_id)
    mask_opened(
        workspace_id=member.id,
        actor=member.actor,
        subject=Subject("approval_request", str(request_id)),
        arguments=masks.masked(detail.request.displayed.get("rules", ())),
    )
    return _card(request, member, detail, unmasked=True)


def _detail(member: Member, request_id: UUID) -> RequestDetail:
    found = policies.request_detail(member.id, request_id, str(member.user.id), datetime.now(UTC))
    if found is None:
        raise Http404("no such request")
    return found


def _card(
    request: HttpRequest,
    member: Member,
    detail: RequestDetail,
    *,
    status: int = 200,
    unmasked: bool = False,
) -> HttpResponse:
    context = {
        "nav": "approvals",
        **_context(member, detail, unmasked=unmasked),
        "rows": _queue(member, ALL),
        "inform": InformForm(),
    }
    return render(request, member, "console/approval_card.html", context, status=status)


def _context(member: Member, detail: RequestDetail, *, unmasked: bool = False) -> dict[str, Any]:
    asked = detail.request
    run = agents.run(member.id, asked.run_id) if asked.run_id else None
    step = None
    if asked.run_id and asked.step is not None:
        step = agents.step(member.id, asked.run_id, asked.step)
    calls = agents.request_calls(member.id, asked.id)
    return {
        "detail": detail,
        "asked": asked,
        "run": run,
        "open": asked.state in OPEN_STATES,
        "card": cards.build(detail, run, step, calls, unmasked=unmasked),
        "withdrawable": is_withdrawable(member, detail),
    }


def is_withdrawable(member: Member, detail: RequestDetail) -> bool:
    """Whether this person asked for a change that is neither made nor over."""
    asked, approval = detail.request, detail.approval
    if asked.kind != Kind.CHANGE or not _asked_by(member, asked):
        return False
    if asked.state == ApprovalState.APPROVED:
        return approval is not None and approval.consumed_at is None
    return asked.state in OPEN_STATES


def _asked_by(member: Member, asked: ApprovalRequest) -> bool:
    return (asked.requester_type, asked.requester_id) == (member.actor.type, member.actor.id)


@require_safe
@guards.page
def approval_live(request: HttpRequest, slug: str, request_id: UUID) -> HttpResponse:
    """The two lines: what was signed, and what has happened."""
    member = guards.member(request, slug)
    context = _context(member, _detail(member, request_id))
    return render_fragment(request, member, "console/_approval_lines.html", context)


@sensitive_post_parameters("password", "code")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@guards.page
def approval_sign(request: HttpRequest, slug: str, request_id: UUID) -> HttpResponse:
    return _answer(request, slug, request_id, SignForm, Answer.SIGN)


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@guards.page
def approval_reject(request: HttpRequest, slug: str, request_id: UUID) -> HttpResponse:
    return _answer(request, slug, request_id, RejectForm, Answer.REJECT)


def _answer(
    request: HttpRequest,
    slug: str,
    request_id: UUID,
    kind: type[SignForm] | type[RejectForm],
    answer: Answer,
) -> HttpResponse:
    """The page that asks for password and meaning, and the vote.

    It opens from the card only: the digest of what the card showed comes along, and the vote
    carries it on. Who may vote is the service's to say, and its refusals are recorded.
    """
    member = guards.member(request, slug)
    detail = _detail(member, request_id)
    card = cards.build(detail, None, None, ())
    seen = request.POST.get("displayed") or request.GET.get("seen", "")
    if request.method != "POST" and seen != card.digest:
        messages.info(request, "Read the request first, then sign it from here.")
        return redirect("console:approval_card", slug, request_id)
    # A code is asked for where there can be one; that a signature has it, the service sees to.
    coded = bool(detail.request.factor) and answer is Answer.SIGN
    enrolled = factor_of(member.user.id) is not None
    form = kind(posted(request), initial={"displayed": seen}, coded=coded and enrolled)
    status = 200
    if request.method == "POST":
        refusal = _vote(request, member, request_id, form, answer)
        if refusal is None and form.is_valid():
            messages.success(request, _thanks(answer))
            _make_change(request, member, request_id)
            return redirect("console:approval_card", slug, request_id)
        status = INVALID
        if refusal is not None:
            status = _told(form, refusal)
    context = {
        "nav": "approvals",
        "detail": detail,
        "asked": detail.request,
        "card": card,
        "form": form,
        "answer": answer.value,
        "coded": coded,
        "enrolled": enrolled,
        "here": f"{request.path}?{urlencode({'seen': seen})}",
    }
    return render(request, member, "console/approval_sign.html", context, status=status)


def _vote(
    request: HttpRequest, member: Member, request_id: UUID, form: BallotForm, answer: Answer
) -> Refusal | None:
    """Check password and code, then cast the vote; a form with faults casts nothing."""
    if not form.is_valid():
        return None
    given = form.cleaned_data
    fresh = accounts.reauthenticate(
        user_id=member.user.id,
        password=given["password"],
        code=given.get("code", ""),
        purpose=str(request_id),
        address=address(request),
        now=datetime.now(UTC),
    )
    if isinstance(fresh, Refusal):
        return fresh
    result = services.approval_vote(
        workspace_id=member.id,
        request_id=request_id,
        voter=member.actor,
        answer=answer,
        meaning=Meaning(given.get("meaning", Meaning.REVIEWED)),
        comment=given["comment"],
        displayed_digest=given["displayed"],
        reauthenticated_at=fresh,
    )
    return result.refusal


def _make_change(request: HttpRequest, member: Member, request_id: UUID) -> None:
    """Put a change into force that this vote may have completed; a sweep does it otherwise."""
    now = datetime.now(UTC)
    outcome = change_make(workspace_id=member.id, request_id=request_id, now=now)
    if isinstance(outcome, Refusal):
        messages.error(request, f"The change was not made. {outcome.sentence}")
    elif outcome:
        messages.success(request, "The change is in force.")


def _told(form: Form, refusal: Refusal) -> int:
    """The status of a page that says at its form why something was refused."""
    form.add_error(None, refusal.sentence)
    return STATUS.get(refusal.reason, INVALID)


def _thanks(answer: Answer) -> str:
    if answer is Answer.SIGN:
        return "Your signature is recorded."
    return "Your rejection is recorded. Nothing of this happens; the agent is told your reason."


@require_http_methods(["GET", "HEAD", "POST"])
@guards.page
def approval_ask(request: HttpRequest, slug: str, request_id: UUID) -> HttpResponse:
    member = guards.member(request, slug)
    detail = _detail(member, request_id)
    form = AskForm(posted(request))
    status = 200
    if request.method == "POST" and form.is_valid():
        refusal = services.approval_ask(
            workspace_id=member.id,
            request_id=request_id,
            asker=member.actor,
            text=form.cleaned_data["text"],
        )
        if refusal is None:
            messages.success(request, "Your question is recorded. Both clocks keep running.")
            return redirect("console:approval_card", slug, request_id)
        status = _told(form, refusal)
    context = {"nav": "approvals", "asked": detail.request, "form": form}
    return render(request, member, "console/approval_ask.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@guards.page
def approval_edit(request: HttpRequest, slug: str, request_id: UUID) -> HttpResponse:
    """A program of the reviewer's own in place of what waits for signatures."""
    member = guards.member(request, slug)
    asked = _detail(member, request_id).request
    if asked.kind not in (Kind.CODE, Kind.MANIFEST):
        raise Http404("only programs and effects can be edited")
    form = EditForm(posted(request), initial={"code": _program_to_edit(request, asked)})
    status = 200
    if request.method == "POST":
        status = INVALID
        if form.is_valid():
            refusal = services.approval_edit(
                workspace_id=member.id,
                request_id=request_id,
                editor=member.actor,
                code=form.cleaned_data["code"],
                reason=form.cleaned_data["reason"],
            )
            if refusal is None:
                messages.success(
                    request,
                    "Your program takes its place: it is analysed and decided like any other. "
                    "What it needs signed, others sign.",
                )
                return redirect("console:approval_card", slug, request_id)
            status = _told(form, refusal)
    context = {"nav": "approvals", "asked": asked, "form": form}
    return render(request, member, "console/approval_edit.html", context, status=status)


def _program_to_edit(request: HttpRequest, asked: ApprovalRequest) -> str:
    """The agent's program, or the effects written out one by one where that is asked for."""
    effects = asked.displayed.get("effects") or ()
    if request.GET.get("from") == "effects" and effects:
        return as_program(effects)
    return str(asked.displayed.get("code", ""))


@require_http_methods(["GET", "HEAD", "POST"])
@guards.page
def approval_reassign(request: HttpRequest, slug: str, request_id: UUID) -> HttpResponse:
    """Hand the request to someone else who may sign it, or to a group."""
    member = guards.member(request, slug)
    asked = _detail(member, request_id).request
    form = _reassign_form(request, member, request_id)
    status = 200
    if request.method == "POST":
        status = INVALID
        if form.is_valid():
            refusal = services.approval_reassign(
                workspace_id=member.id,
                request_id=request_id,
                actor=member.actor,
                reason=form.cleaned_data["reason"],
                **form.target(),
            )
            if refusal is None:
                messages.success(request, "Handed on, with an e-mail. Others may still sign.")
                return redirect("console:approval_card", slug, request_id)
            status = _told(form, refusal)
    context = {"nav": "approvals", "asked": asked, "form": form}
    return render(request, member, "console/approval_reassign.html", context, status=status)


def _reassign_form(request: HttpRequest, member: Member, request_id: UUID) -> ReassignForm:
    """Everyone but this person who may sign; a form that was sent may name anybody else."""
    now, own = datetime.now(UTC), str(member.user.id)
    able = policies.eligible_groups(member.id, request_id, now)
    groups = {role: [p for p in people if p.id != own] for role, people in able.items()}
    people = policies.eligible(member.id, request_id, now)
    return ReassignForm(
        posted(request),
        {role: others for role, others in groups.items() if others},
        [person for person in people if person.id != own],
    )


@require_http_methods(["GET", "HEAD", "POST"])
@guards.page
def approval_withdraw(request: HttpRequest, slug: str, request_id: UUID) -> HttpResponse:
    """Take back a change that this person asked for; the service refuses and records others."""
    member = guards.member(request, slug)
    detail = _detail(member, request_id)
    if detail.request.kind != Kind.CHANGE:
        raise Http404("only changes are withdrawn; a run is stopped")
    form = WithdrawForm(posted(request))
    able, status = is_withdrawable(member, detail), 200
    if request.method == "POST" and (form.is_valid() or not able):
        refusal = change_withdraw(
            workspace_id=member.id,
            request_id=request_id,
            actor=member.actor,
            reason=request.POST.get("reason", ""),
            now=datetime.now(UTC),
        )
        if refusal is None:
            messages.success(request, "Withdrawn. Nothing of it happens.")
            return redirect("console:approval_card", slug, request_id)
        messages.error(request, refusal.sentence)
        return _card(request, member, detail, status=STATUS.get(refusal.reason, INVALID))
    if request.method == "POST":
        status = INVALID
    elif not _asked_by(member, detail.request):
        raise PermissionDenied("Only whoever asked for a change may withdraw it.")
    elif not able:
        messages.info(request, "This is over already: made, rejected or withdrawn.")
        return redirect("console:approval_card", slug, request_id)
    context = {"nav": "approvals", "asked": detail.request, "form": form}
    return render(request, member, "console/approval_withdraw.html", context, status=status)


@require_POST
@guards.page
def approval_inform(request: HttpRequest, slug: str, request_id: UUID) -> HttpResponse:
    """Answer a reviewer's question."""
    member = guards.member(request, slug)
    detail = _detail(member, request_id)
    form = InformForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Write an answer.")
        return redirect("console:approval_card", slug, request_id)
    refusal = services.approval_inform(
        workspace_id=member.id,
        request_id=request_id,
        informer=member.actor,
        text=form.cleaned_data["text"],
    )
    if refusal is not None:
        messages.error(request, refusal.sentence)
        return _card(request, member, detail, status=STATUS.get(refusal.reason, INVALID))
    messages.success(request, "Your answer is recorded.")
    return redirect("console:approval_card", slug, request_id)
