"""JSON as it comes in: I-JSON (RFC 7493), so that every program reads the same value.

Two readers who disagree about a document (which of two equal names counts, what 1e400 or 2**60 is)
would disagree about what was asked for. Such documents are refused, as is what the database cannot
hold (U+0000) and what is nested deeper than `MAX_DEPTH`.
"""

import json
import math
import re
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest
from django.utils.datastructures import MultiValueDict
from ninja.parser import Parser
from ninja.types import DictStrAny

from countersign.api.problems import Problem, invalid

MAX_DEPTH = 32
MAX_NAMED = 10
MAX_INTEGER = 2**53 - 1
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class StrictParser(Parser):
    """Reads bodies of `application/json`, forms where they are asked for, and nothing else."""

    def parse_querydict(
        self, data: MultiValueDict[str, Any], list_fields: list[str], request: HttpRequest
    ) -> DictStrAny:
        """Fields of an address, or of a form.

        Raises:
            Problem: 415 for a form that is not sent as one.
        """
        is_form = data is not request.GET
        if is_form and request.content_type != "multipart/form-data":
            raise Problem(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "not_a_form",
                "Send the body as Content-Type: multipart/form-data.",
            )
        return super().parse_querydict(data, list_fields, request)

    def parse_body(self, request: HttpRequest) -> DictStrAny:
        """The body's value; an object, since no operation takes anything else.

        Raises:
            Problem: 413, 415 or 400 for what is no JSON, 422 for what no field may hold.
        """
        if request.content_type != "application/json":
            raise Problem(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "not_json",
                "Send the body as Content-Type: application/json.",
            )
        value = parse(request.body)
        if not isinstance(value, dict):
            raise invalid([("body", "must be a JSON object")])
        return value


def parse(body: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """The value of a JSON text.

    Raises:
        Problem: 400 for what is no JSON, 422 for what no field may hold.
    """
    try:
        value = json.loads(body.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
        _check(value, "body", 0)
    except (ValueError, RecursionError) as error:
        raise Problem(
            HTTPStatus.BAD_REQUEST, "malformed", f"The body is not JSON: {error}"
        ) from error
    return value


def storable(text: str) -> str:
    """Text that the database can hold.

    Raises:
        ValueError: It cannot; for pydantic.
    """
    if _UNSTORABLE.search(text):
        raise ValueError("holds a character that cannot be stored (NUL or half of a pair)")
    return text


def only_known_parameters(view: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse query parameters that the operation does not have.

    A misspelt filter would else be a list of everything.
    """

    @wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> Any:  # noqa: ANN401
        unknown = sorted(set(request.GET) - _parameters(view))
        if unknown:
            raise invalid([(name, "is no parameter here") for name in unknown[:MAX_NAMED]])
        return view(request, *args, **kwargs)

    return guarded


def _parameters(view: Callable[..., Any]) -> set[str]:
    """Names of the query parameters of an operation."""
    models = view._ninja_operation.models  # type: ignore[attr-defined]
    return {
        name
        for model in models
        if model.__ninja_param_source__ == "query"
        for name in model.__ninja_flatten_map__
    }


def _check(value: Any, where: str, depth: int) -> None:  # noqa: ANN401 - any JSON value
    if depth > MAX_DEPTH:
        raise invalid([("body", f"is nested deeper than {MAX_DEPTH}")])
    match value:
        case str() if _UNSTORABLE.search(value):
            raise invalid([(where, "holds a character that cannot be stored")])
        case int() if abs(value) > MAX_INTEGER:
            raise invalid([(where, "is beyond 2**53-1; send large numbers as text")])
        case float() if not math.isfinite(value):
            raise invalid([(where, "is beyond the range of numbers; send it as text")])
        case dict():
            for key, item in value.items():
                if not key or _UNSTORABLE.search(key):
                    raise invalid([(where, "has an empty name or one that cannot be stored")])
                _check(item, f"{where}.{key}", depth + 1)
        case list():
            for number, item in enumerate(value):
                _check(item, f"{where}.{number}", depth + 1)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has the same name twice")
    return found


def _no_constant(text: str) -> Any:  # noqa: ANN401 - never returns
    raise ValueError(f"{text} is no number of JSON")
