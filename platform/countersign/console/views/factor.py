"""One's own second factor: set up, replaced, removed, new recovery codes.

Secret and recovery codes stand only in the answer to the POST that made them: no address shows
them, to nobody, and no cache keeps them.
"""

from datetime import UTC, datetime
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from countersign.accounts import codes, selectors, services
from countersign.accounts.services import Enrolment, Unconfirmed, code_at_login
from countersign.console import guards
from countersign.console.factor_forms import FirstCodeForm, ProofForm
from countersign.console.pages import render_plain
from countersign.console.views.session import TOO_MANY, address
from policies.errors import Refusal

INVALID = 422
SET_UP, REMOVE, RENEW = "set-up", "remove", "recovery-codes"


@never_cache
@require_http_methods(["GET", "HEAD"])
@guards.factor_page
def factor(request: HttpRequest) -> HttpResponse:
    """Whether there is an authenticator, and what can be done about it."""
    return _page(request)


@sensitive_post_parameters("password", "code")
@never_cache
@require_POST
@guards.factor_page
def factor_begin(request: HttpRequest) -> HttpResponse:
    """Make a secret, and show it."""
    form = _proof(request)
    if not form.is_valid():
        return _page(request, SET_UP, form)
    begun = services.factor_begin(**_given(request, form))
    if isinstance(begun, Refusal):
        return _refused(request, SET_UP, form, begun)
    return _set_up(request, begun, FirstCodeForm(initial={"ticket": begun.ticket}))


@sensitive_post_parameters("ticket", "code")
@never_cache
@require_POST
@guards.factor_page
def factor_confirm(request: HttpRequest) -> HttpResponse:
    """Take the first code; from then on the authenticator counts."""
    form = FirstCodeForm(request.POST)
    # A form with faults is looked at too: whoever has the ticket gets the picture once more.
    confirmed = services.factor_confirm(
        user_id=guards.signed_in(request).id,
        ticket=request.POST.get("ticket", ""),
        code=request.POST.get("code", ""),
        now=datetime.now(UTC),
    )
    if isinstance(confirmed, Refusal):
        messages.error(request, confirmed.sentence)
        return redirect("console:factor")
    if isinstance(confirmed, Unconfirmed):
        if form.is_valid():
            form.add_error("code", confirmed.refusal.sentence)
        return _set_up(request, confirmed.enrolment, form, status=INVALID)
    # Whoever shares this session from before knows its key no longer.
    request.session.cycle_key()
    request.session[guards.FACTOR_KEY] = str(selectors.factor_id_of(guards.signed_in(request).id))
    return _codes(request, confirmed, fresh=True)


@sensitive_post_parameters("password", "code")
@never_cache
@require_POST
@guards.factor_page
def factor_remove(request: HttpRequest) -> HttpResponse:
    form = _proof(request)
    if not form.is_valid():
        return _page(request, REMOVE, form)
    refusal = services.factor_remove(**_given(request, form))
    if refusal is not None:
        return _refused(request, REMOVE, form, refusal)
    messages.success(request, "Your authenticator is removed, its recovery codes with it.")
    return redirect("console:factor")


@sensitive_post_parameters("password", "code")
@never_cache
@require_POST
@guards.factor_page
def factor_recovery_codes(request: HttpRequest) -> HttpResponse:
    """Ten new recovery codes; the old ones are void."""
    form = _proof(request)
    if not form.is_valid():
        return _page(request, RENEW, form)
    made = services.recovery_codes_renew(**_given(request, form))
    if isinstance(made, Refusal):
        return _refused(request, RENEW, form, made)
    return _codes(request, made, fresh=False)


def _proof(request: HttpRequest) -> ProofForm:
    enrolled = selectors.factor_of(guards.signed_in(request).id) is not None
    return ProofForm(request.POST, enrolled=enrolled)


def _given(request: HttpRequest, form: ProofForm) -> dict[str, Any]:
    return {
        "user_id": guards.signed_in(request).id,
        "password": form.cleaned_data["password"],
        "code": form.cleaned_data.get("code", ""),
        "address": address(request),
        "now": datetime.now(UTC),
    }


def _page(
    request: HttpRequest, act: str = "", sent: ProofForm | None = None, status: int = INVALID
) -> HttpResponse:
    found = selectors.factor_of(guards.signed_in(request).id)
    forms = {
        name: sent
        if sent is not None and name == act
        else ProofForm(enrolled=found is not None, auto_id=f"{name}_%s")
        for name in (SET_UP, REMOVE, RENEW)
    }
    context = {
        "factor": found,
        "set_up": forms[SET_UP],
        "remove": forms[REMOVE],
        "renew": forms[RENEW],
        "act": act,
        "back": _back(request),
        "at_login": code_at_login(),
    }
    return render_plain(request, "registration/factor.html", context, status=status if act else 200)


def _refused(request: HttpRequest, act: str, form: ProofForm, refusal: Refusal) -> HttpResponse:
    form.add_error(None, refusal.sentence)
    return _page(request, act, form, TOO_MANY if refusal.retry_after_s else INVALID)


def _set_up(
    request: HttpRequest, begun: Enrolment, form: FirstCodeForm, *, status: int = 200
) -> HttpResponse:
    side, path = codes.picture_of(begun.address)
    context = {
        "side": side,
        "path": path,
        "text": begun.text,
        "form": form,
        "back": _back(request),
    }
    return render_plain(request, "registration/factor_set_up.html", context, status=status)


def _codes(request: HttpRequest, made: list[str], *, fresh: bool) -> HttpResponse:
    context = {"codes": made, "fresh": fresh, "back": _back(request)}
    return render_plain(request, "registration/factor_codes.html", context)


def _back(request: HttpRequest) -> str:
    """Where the person came from to set this up: a page of ours, or nothing."""
    target = request.POST.get("next") or request.GET.get("next") or ""
    ours = url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return target if ours else ""
