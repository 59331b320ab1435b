"""Bodies, forms and parameters as they come in; JSON is read as `strict_json` says."""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest
from django.utils.datastructures import MultiValueDict
from ninja.parser import Parser
from ninja.types import DictStrAny

from countersign import strict_json
from countersign.api.problems import Problem, invalid

MAX_NAMED = 10


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
        return strict_json.read(body.decode(), "body")
    except strict_json.Unfit as error:
        raise invalid([(error.where, error.what)]) from error
    except ValueError as error:
        raise Problem(
            HTTPStatus.BAD_REQUEST, "malformed", f"The body is not JSON: {error}"
        ) from error


def storable(text: str) -> str:
    """Text that the database can hold.

    Raises:
        ValueError: It cannot; for pydantic.
    """
    if strict_json.UNSTORABLE.search(text):
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
