"""What every response of ours says about itself, and what no request of ours brings in."""

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import sync_and_async_middleware

# No inline script or style anywhere: text that a model wrote can then never become code.
CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)

INERT_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"
INERT = "X-Countersign-Inert"
"""Marks a response as content that others made; it gets the stricter policy and is not sent on."""

type_view = Callable[[HttpRequest], HttpResponse]
type_async_view = Callable[[HttpRequest], Awaitable[HttpResponse]]


@sync_and_async_middleware
def content_security_policy(get_response: type_view | type_async_view) -> object:
    """Set the policy on every response; a view cannot loosen it."""
    if iscoroutinefunction(get_response):
        asynchronous = cast("type_async_view", get_response)

        async def async_middleware(request: HttpRequest) -> HttpResponse:
            return _with_policy(await asynchronous(request))

        return async_middleware
    synchronous = cast("type_view", get_response)

    def middleware(request: HttpRequest) -> HttpResponse:
        return _with_policy(synchronous(request))

    return middleware


@sync_and_async_middleware
def storable_session(get_response: type_view | type_async_view) -> object:
    """Take a session cookie that no database can look up for none; a quoted one may hold U+0000."""
    if iscoroutinefunction(get_response):
        asynchronous = cast("type_async_view", get_response)

        async def async_middleware(request: HttpRequest) -> HttpResponse:
            _drop_unstorable(request)
            return await asynchronous(request)

        return async_middleware
    synchronous = cast("type_view", get_response)

    def middleware(request: HttpRequest) -> HttpResponse:
        _drop_unstorable(request)
        return synchronous(request)

    return middleware


def _drop_unstorable(request: HttpRequest) -> None:
    name = settings.SESSION_COOKIE_NAME
    if "\x00" in request.COOKIES.get(name, ""):
        del request.COOKIES[name]


def _with_policy(response: HttpResponse) -> HttpResponse:
    inert = INERT in response
    del response[INERT]
    response["Content-Security-Policy"] = INERT_POLICY if inert else CONTENT_SECURITY_POLICY
    # What is no style or script is somebody's data: it stays in no cache and on no disk.
    response.setdefault("Cache-Control", "no-store")
    return response
