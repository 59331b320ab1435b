"""Logging in, out, and changing the password.

Between password and code a browser holds a cookie with a ticket, and no session: it goes to the
login's addresses only, and the service says what it is good for.
"""

from datetime import UTC, datetime

from django import forms
from django.conf import settings
from django.contrib import auth, messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from countersign.accounts import services as accounts
from countersign.accounts.services import HalfLogin
from countersign.console import guards
from countersign.console.factor_forms import LoginCodeForm
from countersign.console.forms import LoginForm, PasswordForm
from countersign.console.guards import FACTOR_KEY, signed_in
from countersign.console.pages import posted, render_plain
from policies.errors import Reason, Refusal

BACKEND = "django.contrib.auth.backends.ModelBackend"
TOO_MANY = 429
TICKET_PATH = "/login"
RECOVERED = (
    "You logged in with a recovery code, which is used up by it. If your phone is lost, set up"
    " another one under your name, Second factor."
)


def address(request: HttpRequest) -> str:
    """The client's address as the server saw it."""
    return str(request.META.get("REMOTE_ADDR", ""))


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "POST"])
def login(request: HttpRequest) -> HttpResponse:
    if request.user.is_authenticated:
        return redirect("console:home")
    form = LoginForm(posted(request))
    target = request.POST.get("next") or request.GET.get("next") or ""
    if request.method != "POST" or not form.is_valid():
        return render_plain(request, "registration/login.html", {"form": form, "next": target})
    found = accounts.login(
        username=form.cleaned_data["username"],
        password=form.cleaned_data["password"],
        address=address(request),
        now=datetime.now(UTC),
    )
    if isinstance(found, Refusal):
        return _refused(request, "registration/login.html", form, found, target)
    if isinstance(found, HalfLogin):
        return _half(request, found, target)
    auth.login(request, found, backend=BACKEND)
    return redirect(_safe(request, target))


@sensitive_post_parameters("code")
@never_cache
@require_http_methods(["GET", "POST"])
def login_code(request: HttpRequest) -> HttpResponse:
    """The one-time code, for a browser that has given the right password just now."""
    if request.user.is_authenticated:
        return redirect("console:home")
    ticket, now = request.COOKIES.get(settings.LOGIN_COOKIE_NAME, ""), datetime.now(UTC)
    target = request.POST.get("next") or request.GET.get("next") or ""
    form = LoginCodeForm(posted(request))
    if request.method == "GET" and not accounts.login_is_half(ticket=ticket, now=now):
        return _anew(request, target)
    if request.method != "POST" or not form.is_valid():
        context = {"form": form, "next": target}
        return render_plain(request, "registration/login_code.html", context)
    found = accounts.login_finish(
        ticket=ticket, code=form.cleaned_data["code"], address=address(request), now=now
    )
    if isinstance(found, Refusal):
        if found.reason is Reason.STATE:
            messages.error(request, found.sentence)
            return _anew(request, target)
        return _refused(request, "registration/login_code.html", form, found, target)
    auth.login(request, found.user, backend=BACKEND)
    request.session[FACTOR_KEY] = str(found.factor)
    if found.by == accounts.RECOVERY:
        messages.warning(request, RECOVERED)
    return _without_ticket(redirect(_safe(request, target)))


@require_POST
@login_required
def logout(request: HttpRequest) -> HttpResponse:
    accounts.logout(user_id=signed_in(request).id)
    auth.logout(request)
    return redirect(settings.LOGOUT_REDIRECT_URL)


@sensitive_post_parameters("old", "new", "again")
@never_cache
@require_http_methods(["GET", "POST"])
@guards.password_page
def password(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    form = PasswordForm(posted(request))
    if request.method != "POST" or not form.is_valid():
        return render_plain(request, "registration/password.html", {"form": form})
    changed = accounts.password_change(
        user_id=user.id,
        old=form.cleaned_data["old"],
        new=form.cleaned_data["new"],
        address=address(request),
        now=datetime.now(UTC),
    )
    if isinstance(changed, Refusal):
        form.add_error(None, changed.sentence)
        return render_plain(request, "registration/password.html", {"form": form})
    update_session_auth_hash(request, changed)
    messages.success(request, "Your password is changed. Other sessions of yours have ended.")
    return redirect("console:home")


def _refused(
    request: HttpRequest, template: str, form: forms.Form, refusal: Refusal, target: str
) -> HttpResponse:
    """The form again, saying why; for how long where there is a wait."""
    form.add_error(None, refusal.sentence)
    status = TOO_MANY if refusal.retry_after_s else 200
    response = render_plain(request, template, {"form": form, "next": target}, status=status)
    if refusal.retry_after_s:
        response["Retry-After"] = str(refusal.retry_after_s)
    return response


def _half(request: HttpRequest, half: HalfLogin, target: str) -> HttpResponse:
    """To the page for the code, with the ticket in a cookie of this browser."""
    response = redirect(_with_next("console:login_code", _safe(request, target)))
    response.set_cookie(
        settings.LOGIN_COOKIE_NAME,
        half.ticket,
        max_age=accounts.CODE_WITHIN,
        path=TICKET_PATH,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Strict",
    )
    return response


def _anew(request: HttpRequest, target: str) -> HttpResponse:
    """To the login: the password comes first."""
    return _without_ticket(redirect(_with_next("console:login", _safe(request, target))))


def _without_ticket(response: HttpResponse) -> HttpResponse:
    response.delete_cookie(settings.LOGIN_COOKIE_NAME, path=TICKET_PATH, samesite="Strict")
    return response


def _with_next(page: str, target: str) -> str:
    given = f"?{urlencode({'next': target})}" if target != settings.LOGIN_REDIRECT_URL else ""
    return reverse(page) + given


def _safe(request: HttpRequest, target: str) -> str:
    """Where to go after logging in: a page of ours, never somebody else's."""
    ours = url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return target if target and ours else settings.LOGIN_REDIRECT_URL
