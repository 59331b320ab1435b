"""Pages that say what went wrong, in the frame of the workspace that they happened in.

The frame is drawn for members only: to anybody else the page looks the same whether or not there is
such a workspace.
"""

import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from inspect import iscoroutinefunction
from typing import Any, cast

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.decorators import sync_and_async_middleware
from django.views import defaults

from countersign.console import guards
from countersign.console.pages import render, render_plain

WORKSPACE = re.compile(r"^/w/([-\w]+)/")

type_view = Callable[[HttpRequest], HttpResponse]
type_async_view = Callable[[HttpRequest], Awaitable[HttpResponse]]


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Damaged or too large; a host that is not ours is answered without looking at who asks."""
    if isinstance(exception, RequestDataTooBig):
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        limit = {"limit": settings.DATA_UPLOAD_MAX_MEMORY_SIZE}
        return render_plain(request, "413.html", limit, status=status)
    return defaults.bad_request(request, exception)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(request, HTTPStatus.FORBIDDEN, {"exception": str(exception)})


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(request, HTTPStatus.NOT_FOUND, {})


@sync_and_async_middleware
def explain_not_allowed(get_response: type_view | type_async_view) -> object:
    """A page where Django answers a wrong method with nothing.

    People get there by logging in anew after they have sent a form: the login leads to the form's
    address, which shows nothing.
    """
    if iscoroutinefunction(get_response):
        asynchronous = cast("type_async_view", get_response)

        async def async_middleware(request: HttpRequest) -> HttpResponse:
            response = await asynchronous(request)
            if not _is_blank(response):
                return response
            return await sync_to_async(_not_allowed)(request, response)

        return async_middleware
    synchronous = cast("type_view", get_response)

    def middleware(request: HttpRequest) -> HttpResponse:
        response = synchronous(request)
        return _not_allowed(request, response) if _is_blank(response) else response

    return middleware


def _is_blank(response: HttpResponse) -> bool:
    wrong = response.status_code == HTTPStatus.METHOD_NOT_ALLOWED
    return wrong and not response.streaming and not response.content


def _not_allowed(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    page = _page(request, HTTPStatus.METHOD_NOT_ALLOWED, {})
    page["Allow"] = response["Allow"]
    return page


def _page(request: HttpRequest, status: HTTPStatus, context: dict[str, Any]) -> HttpResponse:
    template, member = f"{status.value}.html", _member(request)
    if member is None:
        return render_plain(request, template, context, status=status)
    return render(request, member, template, context, status=status)


def _member(request: HttpRequest) -> guards.Member | None:
    """The person as a member of the workspace in the address; None for everybody else."""
    found = WORKSPACE.match(request.path_info)
    try:
        if found is None or not request.user.is_authenticated:
            return None
        return None if request.user.must_change_password else guards.member(request, found[1])
    except (Http404, DatabaseError):
        return None
