"""The published schema: OpenAPI 3.1, made from the operations and completed with what they share.

The framework leaves out media types of problems, headers of answers, scopes and examples; they
are added here, by rule, so that a new operation has them too.
"""

from collections.abc import Mapping
from functools import cached_property
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import NinjaAPI
from ninja.operation import Operation

from countersign.api.auth import Bearer
from countersign.api.problems import MEDIA_TYPE

ROOT = "/api/v1/"
TAGS = {
    "runs": "Start runs of an agent, follow them, stop them, fetch their answers.",
    "kill switches": "What stands still, and stopping something. People let it go on.",
    "approvals": "What waits for people's signatures. Votes are cast in the console, by people.",
    "registry": "Agents, tools, models and policies in force.",
    "audit": "The log: entries with the exact bytes that are hashed, proofs, checkpoints, exports.",
}
_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "description": "A token of a service account (`cs_…`), made by `manage.py token_issue`. It "
    "names its workspace; each operation lists the scope it needs.",
}
_MEANINGS = {
    200: "It is so.",
    201: "It was made.",
    204: "Nothing is left to come.",
    400: "The body is not JSON.",
    401: "No token, or one that is unknown, expired or revoked.",
    403: "The token lacks the scope.",
    404: "This token's workspace has no such thing; another's is never said to exist.",
    409: "Not as things are; `detail` says why.",
    413: "The body is too large.",
    415: "The body is not sent as what the operation takes.",
    422: "A field cannot be used; `errors` names it.",
    429: "Too many requests, or too many streams, of this token.",
    500: "Our fault; it is in the log of the server.",
    503: "The database does not answer.",
}
_TEXT = {"type": "string"}
_HEADERS = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": "A challenge (RFC 6750 §3)."},
    HTTPStatus.FORBIDDEN: {"WWW-Authenticate": "Names the scope that is missing (RFC 6750 §3)."},
    HTTPStatus.TOO_MANY_REQUESTS: {"Retry-After": "Seconds to wait."},
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": "Seconds to wait."},
    HTTPStatus.CREATED: {"Location": "Address of what was made."},
}
_STREAM_EXAMPLE = (
    'retry: 1000\n\nid: 1\ndata: {"seq": 1, "action": "run.started", …}\n\n'
    'event: end\ndata: {"state": "succeeded"}\n\n'
)
_NOTE_EXAMPLE = "log.example/…\n812\nq1d…=\n\n— log.example/… k2c…=\n"
_BYTES = {"type": "string", "contentMediaType": "application/octet-stream"}
_BODIES: Mapping[str, Mapping[str, Any]] = {
    "run_stream": {"text/event-stream": {"schema": _TEXT, "example": _STREAM_EXAMPLE}},
    "checkpoint_note": {"text/plain": {"schema": _TEXT, "example": _NOTE_EXAMPLE}},
    "export_download": {
        "application/zip": {"schema": _BYTES},
        "text/html": {"schema": _TEXT},
        "text/csv": {"schema": _TEXT},
    },
}
"""What operations answer that do not answer JSON."""


class Api(NinjaAPI):
    """The framework's API, with operation ids that are the names of ours and stay."""

    def get_openapi_operation_id(self, operation: Operation) -> str:
        return str(operation.view_func.__name__)

    def publish(self, request: HttpRequest) -> HttpResponse:
        """The schema, for everybody: it says nothing that differs between installations."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
        response = JsonResponse(self.document)
        response["Cache-Control"] = "public, max-age=300"
        return response

    @cached_property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = dict(self.get_openapi_schema(path_prefix=ROOT))
        found["servers"] = [{"url": "/", "description": "This installation."}]
        found["tags"] = [{"name": name, "description": said} for name, said in TAGS.items()]
        found["components"]["securitySchemes"] = {"Bearer": _SCHEME}
        for methods in found["paths"].values():
            for operation in methods.values():
                _complete(operation, self.scopes[operation["operationId"]])
        return found

    @cached_property
    def scopes(self) -> dict[str, str]:
        """Operation id → scope that it needs, as its guard has it; "" opens to nobody."""
        return {
            self.get_openapi_operation_id(operation): guard.scope.value if guard.scope else ""
            for router in self._get_bound_routers()
            for view in router.path_operations.values()
            for operation in view.operations
            for guard in operation.auth_callbacks
            if isinstance(guard, Bearer)
        }


def _complete(operation: dict[str, Any], scope: str) -> None:
    """Add to one operation what the framework leaves out."""
    operation["security"] = [{"Bearer": [scope]}]
    said = operation.get("description", "")
    operation["description"] = f"{said}\n\nScope: `{scope}`.".strip()
    for parameter in operation["parameters"]:
        # A list, where OpenAPI wants names; the parameter's schema has them too.
        parameter.pop("examples", None)
    for status, answer in operation["responses"].items():
        answer["description"] = _MEANINGS[status]
        if headers := _HEADERS.get(status):
            answer["headers"] = {
                name: {"description": meaning, "schema": _TEXT} for name, meaning in headers.items()
            }
        if status >= HTTPStatus.BAD_REQUEST:
            answer["content"] = {MEDIA_TYPE: answer["content"].pop("application/json")}
    if body := _BODIES.get(operation["operationId"]):
        operation["responses"][200]["content"] = dict(body)
    # JSON has no other names than texts; the framework counts by numbers.
    operation["responses"] = {str(code): one for code, one in operation["responses"].items()}
