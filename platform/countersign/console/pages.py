"""Renders pages: adds what the frame needs, and lets no template reach the database."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn

from django.contrib import messages
from django.db import connection
from django.http import HttpRequest, HttpResponse, QueryDict
from django.template.loader import render_to_string

from agents import selectors as agents
from countersign.accounts import selectors as accounts
from countersign.accounts.models import User
from countersign.accounts.roles import ANY_REVIEWER
from countersign.console.guards import Member
from policies.waiting import waiting_count


class QueryInTemplateError(RuntimeError):
    """A template asked the database; give it everything from the view."""


def render(
    request: HttpRequest,
    member: Member,
    template: str,
    context: Mapping[str, Any],
    *,
    status: int = 200,
) -> HttpResponse:
    """A page inside the frame of one workspace."""
    frame = {
        "member": member,
        "waiting_count": _waiting(member),
        # Whoever reads the platform's log has no page of kill switches there.
        "standstills": [] if member.is_platform else agents.standstills(member.id),
        **context,
    }
    return HttpResponse(_text(request, template, frame), status=status)


def render_plain(
    request: HttpRequest, template: str, context: Mapping[str, Any], *, status: int = 200
) -> HttpResponse:
    """A page outside any workspace, such as the login."""
    return HttpResponse(_text(request, template, context), status=status)


def render_fragment(
    request: HttpRequest, member: Member, template: str, context: Mapping[str, Any]
) -> HttpResponse:
    """A part of a page, the same file that the page includes."""
    return HttpResponse(_text(request, template, {"member": member, **context}))


def posted(request: HttpRequest) -> QueryDict | None:
    """What a form was sent with; None where it is only shown."""
    return request.POST if request.method == "POST" else None


def _waiting(member: Member) -> int:
    """How many requests this person could sign now."""
    if not member.may_sign:
        return 0
    roles = member.roles | ({ANY_REVIEWER} if member.is_reviewer else set())
    return waiting_count(member.id, str(member.user.id), roles, datetime.now(UTC))


def _text(request: HttpRequest, template: str, context: Mapping[str, Any]) -> str:
    viewer = request.user if isinstance(request.user, User) else None
    told = list(messages.get_messages(request))
    with connection.execute_wrapper(_refuse):
        return render_to_string(
            template,
            {
                **context,
                "viewer": viewer,
                "told": told,
                "reads_platform": viewer is not None and accounts.reads_platform(viewer),
            },
            request=request,
        )


def _refuse(execute: Callable[..., object], sql: str, *rest: object) -> NoReturn:
    raise QueryInTemplateError(f"a template asked the database: {sql[:200]}")
