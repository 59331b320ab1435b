"""Logging in, out, and changing the password."""

from datetime import UTC, datetime

from django.conf import settings
from django.contrib import auth, messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from countersign.accounts import services as accounts
from countersign.console.forms import LoginForm, PasswordForm
from countersign.console.guards import signed_in
from countersign.console.pages import posted, render_plain
from policies.errors import Refusal

BACKEND = "django.contrib.auth.backends.ModelBackend"
TOO_MANY = 429


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
        status = TOO_MANY if found.retry_after_s else 200
        form.add_error(None, found.sentence)
        context = {"form": form, "next": target}
        response = render_plain(request, "registration/login.html", context, status=status)
        if found.retry_after_s:
            response["Retry-After"] = str(found.retry_after_s)
        return response
    auth.login(request, found, backend=BACKEND)
    return redirect(_safe(request, target))


@require_POST
@login_required
def logout(request: HttpRequest) -> HttpResponse:
    accounts.logout(user_id=signed_in(request).id)
    auth.logout(request)
    return redirect(settings.LOGOUT_REDIRECT_URL)


@sensitive_post_parameters("old", "new", "again")
@never_cache
@login_required
@require_http_methods(["GET", "POST"])
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


def _safe(request: HttpRequest, target: str) -> str:
    """Where to go after logging in: a page of ours, never somebody else's."""
    ours = url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return target if target and ours else settings.LOGIN_REDIRECT_URL
