"""Errors as RFC 9457 problem details: one shape, whatever went wrong.

`code` is a stable word for programs, `detail` a sentence for people that says what to do, `errors`
names the fields that are wrong. Nothing of ours (a query, a path, a stack) is ever in them.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from inspect import iscoroutinefunction
from typing import Any, TypeVar

from django.core.exceptions import DisallowedHost, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from ninja import Field, NinjaAPI, Schema
from ninja.errors import HttpError, ValidationError

from agents import errors as agents
from policies.errors import NotFound as PolicyNotFound
from policies.errors import Reason, Refusal

log = logging.getLogger(__name__)

E = TypeVar("E", bound=Exception)
MEDIA_TYPE = "application/problem+json"
DATABASE_RETRY_S = 5
_INPUT = re.compile(r"(\S+): (.*)", re.DOTALL)


class FieldProblemOut(Schema):
    """One field that is wrong; `field` is a path such as `inputs.limit`."""

    field: str
    message: str


class ProblemOut(Schema):
    """RFC 9457 problem details."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(description="The status in words.", examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(description="What is wrong and what to do, for people.")
    code: str = Field(description="What is wrong, for programs.", examples=["not_found"])
    errors: list[FieldProblemOut] = Field(description="The fields that are wrong, if any are.")


@dataclass
class Problem(Exception):
    """Ends a request with problem details.

    Attributes:
        retry_after_s: whole seconds after which trying again makes sense; 0 where it never does.
        challenge: `WWW-Authenticate` of the response, "" for none.
        errors: (field, what is wrong with it).
    """

    status: HTTPStatus
    code: str
    detail: str
    retry_after_s: int = 0
    challenge: str = ""
    errors: Sequence[tuple[str, str]] = ()


def not_found(detail: str = "There is no such thing in this token's workspace.") -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, "not_found", detail)


def invalid(errors: Sequence[tuple[str, str]]) -> Problem:
    """Fields that cannot be used: (field, what is wrong with it)."""
    said = "; ".join(f"{field}: {message}" for field, message in errors)
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "request_invalid", said, errors=errors)


_STATUS = {
    Reason.RATE_LIMITED: HTTPStatus.TOO_MANY_REQUESTS,
    Reason.SCOPE: HTTPStatus.FORBIDDEN,
    Reason.NOT_REQUESTER: HTTPStatus.FORBIDDEN,
    Reason.UNKNOWN_TOKEN: HTTPStatus.UNAUTHORIZED,
    Reason.EXPIRED_TOKEN: HTTPStatus.UNAUTHORIZED,
    Reason.REVOKED_TOKEN: HTTPStatus.UNAUTHORIZED,
}
_CHALLENGED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


def of_refusal(refusal: Refusal, *, challenge: str = "") -> Problem:
    """The problem that says why something was refused."""
    status = _STATUS.get(refusal.reason, HTTPStatus.CONFLICT)
    return Problem(
        status,
        refusal.reason.value,
        refusal.sentence,
        refusal.retry_after_s,
        challenge if status in _CHALLENGED else "",
    )


def respond(problem: Problem) -> HttpResponse:
    """The response of a problem."""
    body = ProblemOut(
        type="about:blank",
        title=problem.status.phrase,
        status=problem.status.value,
        detail=problem.detail,
        code=problem.code,
        errors=[FieldProblemOut(field=field, message=said) for field, said in problem.errors],
    )
    response = HttpResponse(body.model_dump_json(), status=problem.status, content_type=MEDIA_TYPE)
    if problem.retry_after_s:
        response["Retry-After"] = str(problem.retry_after_s)
    if problem.challenge:
        response["WWW-Authenticate"] = problem.challenge
    return response


def install(api: NinjaAPI) -> None:
    """Turn every error of ours, and of the framework, into problem details."""

    def on(kind: type[E], make: Callable[[E], Problem]) -> None:
        def handle(request: HttpRequest, error: Any) -> HttpResponse:  # noqa: ANN401 - an E
            return respond(make(error))

        api.add_exception_handler(kind, handle)

    on(Problem, lambda error: error)
    on(agents.NotFound, lambda error: not_found(str(error)))
    on(PolicyNotFound, lambda error: not_found(str(error)))
    on(Http404, lambda error: _NO_ADDRESS)
    on(agents.InputsInvalid, _inputs_invalid)
    on(agents.Refused, lambda error: Problem(HTTPStatus.CONFLICT, "refused", str(error)))
    on(ValidationError, _invalid)
    on(HttpError, _of_framework)
    on(RequestDataTooBig, lambda error: _TOO_BIG)
    on(SuspiciousOperation, lambda error: _MALFORMED)
    on(MultiPartParserError, lambda error: _MALFORMED)
    on(OperationalError, _no_database)
    on(InterfaceError, _no_database)
    on(Exception, _unforeseen)


def answering_in_problems(view: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what the framework makes of an address, so that its own refusals are problems too.

    No answer may be kept by a cache: each is for one token. No CSRF check: no cookie counts here.
    """
    if iscoroutinefunction(view):

        @wraps(view)
        async def wrapped_async(
            request: HttpRequest, *args: object, **kwargs: object
        ) -> HttpResponseBase:
            answer: Awaitable[HttpResponseBase] = view(request, *args, **kwargs)
            return _finished(await answer)

        return csrf_exempt(wrapped_async)

    @wraps(view)
    def wrapped(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        return _finished(view(request, *args, **kwargs))

    return csrf_exempt(wrapped)


def unknown_address(request: HttpRequest) -> HttpResponse:
    """Answers every address below /api/ that is none."""
    return respond(_NO_ADDRESS)


def is_for_programs(request: HttpRequest) -> bool:
    """Whether an address is the API's, whatever else is wrong with the request."""
    return request.path_info.startswith("/api/") or request.path_info == "/api"


def bad_request(error: Exception) -> HttpResponse:
    """Answers what was refused before any operation was reached."""
    return respond(_NO_HOST if isinstance(error, DisallowedHost) else _MALFORMED)


def _finished(response: HttpResponseBase) -> HttpResponseBase:
    if response.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(sorted(response["Allow"].split(", ")))
        response = respond(
            Problem(
                HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", f"Possible here: {allowed}."
            )
        )
        response["Allow"] = allowed
    response.setdefault("Cache-Control", "no-store")
    return response


_NO_ADDRESS = Problem(
    HTTPStatus.NOT_FOUND,
    "no_such_address",
    "There is no such address; /api/v1/openapi.json lists all.",
)
_NO_HOST = Problem(
    HTTPStatus.BAD_REQUEST,
    "unknown_host",
    "This installation does not answer for the host that the request names; the operator lists "
    "its hosts in COUNTERSIGN_HOSTS.",
)
_MALFORMED = Problem(HTTPStatus.BAD_REQUEST, "malformed", "The request could not be read.")
_TOO_BIG = Problem(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "too_large",
    "The body is larger than 2.5 MB. Files of a run go to /api/v1/runs/upload as they are.",
)


def _invalid(error: ValidationError) -> Problem:
    return invalid([(_field(item["loc"]), str(item["msg"])) for item in error.errors])


def _field(location: Sequence[object]) -> str:
    """`inputs.limit` out of ("body", "body", "inputs", "limit"): where it came from is no field."""
    parts = [str(part) for part in location]
    inner = [part for part in parts[1:] if part not in ("body", "filters", "sent")]
    return ".".join(inner) or parts[0]


def _inputs_invalid(error: agents.InputsInvalid) -> Problem:
    """The service's sentence begins with the path of the input that is wrong, or is about all."""
    text = str(error)
    named = _INPUT.fullmatch(text)
    if named is None:
        wrong = ("goal" if "goal" in text else "inputs", text)
    else:
        path, said = named.groups()
        wrong = ("inputs" if path == "inputs" else f"inputs.{path}", said)
    return invalid([wrong])


def _of_framework(error: HttpError) -> Problem:
    # The framework wraps whatever our parser raises.
    if isinstance(error.__cause__, Problem):
        return error.__cause__
    if isinstance(error.__cause__, RequestDataTooBig):
        return _TOO_BIG
    return Problem(HTTPStatus(error.status_code), "bad_request", str(error.message))


def _no_database(error: Exception) -> Problem:
    log.error("the database does not answer", exc_info=error)
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "unavailable",
        "The database does not answer; try again.",
        DATABASE_RETRY_S,
    )


def _unforeseen(error: Exception) -> Problem:
    log.error("an operation failed", exc_info=error)
    return Problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal_error",
        "Something went wrong on our side; it is in the log of the server.",
    )
