"""Errors as RFC 9457 problem details: one shape, whatever went wrong.

`code` is a stable word for programs, `detail` a sentence for people that says what to do.
"""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI, Schema
from ninja.errors import HttpError, ValidationError

from agents import errors as agents
from policies.errors import NotFound as PolicyNotFound
from policies.errors import Reason, Refusal

E = TypeVar("E", bound=Exception)


class ProblemOut(Schema):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str
    code: str


@dataclass
class Problem(Exception):
    """Ends a request with problem details."""

    status: HTTPStatus
    code: str
    detail: str
    retry_after_s: int = 0


def not_found(detail: str = "There is no such thing in this token's workspace.") -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, "not_found", detail)


_STATUS = {
    Reason.RATE_LIMITED: HTTPStatus.TOO_MANY_REQUESTS,
    Reason.SCOPE: HTTPStatus.FORBIDDEN,
    Reason.UNKNOWN_TOKEN: HTTPStatus.UNAUTHORIZED,
    Reason.EXPIRED_TOKEN: HTTPStatus.UNAUTHORIZED,
    Reason.REVOKED_TOKEN: HTTPStatus.UNAUTHORIZED,
}


def of_refusal(refusal: Refusal) -> Problem:
    """The problem that says why something was refused."""
    status = _STATUS.get(refusal.reason, HTTPStatus.CONFLICT)
    return Problem(status, refusal.reason.value, refusal.sentence, refusal.retry_after_s)


def respond(request: HttpRequest, problem: Problem) -> HttpResponse:
    """The response of a problem."""
    body = ProblemOut(
        type="about:blank",
        title=problem.status.phrase,
        status=problem.status.value,
        detail=problem.detail,
        code=problem.code,
    )
    response = HttpResponse(
        body.model_dump_json(), status=problem.status, content_type="application/problem+json"
    )
    if problem.retry_after_s:
        response["Retry-After"] = str(problem.retry_after_s)
    if problem.status is HTTPStatus.UNAUTHORIZED:
        response["WWW-Authenticate"] = "Bearer"
    return response


def install(api: NinjaAPI) -> None:
    """Turn every error of ours, and of the framework, into problem details."""

    def on(kind: type[E], make: Callable[[E], Problem]) -> None:
        api.add_exception_handler(kind, lambda request, error: respond(request, make(error)))

    on(Problem, lambda error: error)
    on(agents.NotFound, lambda error: not_found(str(error)))
    on(PolicyNotFound, lambda error: not_found(str(error)))
    on(
        agents.InputsInvalid,
        lambda error: Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "inputs_invalid", str(error)),
    )
    on(agents.Refused, lambda error: Problem(HTTPStatus.CONFLICT, "refused", str(error)))
    on(ValidationError, _invalid)
    on(
        HttpError,
        lambda error: Problem(HTTPStatus(error.status_code), "bad_request", str(error.message)),
    )


def _invalid(error: ValidationError) -> Problem:
    wrong = [
        f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors
    ]
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "request_invalid", "; ".join(wrong))
