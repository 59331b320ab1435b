"""Addresses of the REST API, its published schema and the health checks."""

from django.urls import URLPattern, include, path, re_path

from countersign.api import health, problems
from countersign.api.auth import Bearer
from countersign.api.openapi import Api
from countersign.api.parsing import StrictParser, only_known_parameters
from countersign.api.views import (
    approvals,
    audit,
    changes,
    kill_switches,
    policy_drafts,
    registry,
    runs,
)

api = Api(
    title="Countersign",
    version="1",
    description=(
        "Start runs, follow them, read what waits for signatures and what the log says. "
        "Send `Authorization: Bearer cs_…`; the token names its workspace. Errors are RFC 9457 "
        "problem details. Votes are cast by people in the console, never by a token."
    ),
    urls_namespace="api",
    # An operation that names no scope of its own is open to nobody.
    auth=Bearer(),
    parser=StrictParser(),
    openapi_url=None,
    docs_url=None,
    openapi_extra={"info": {"license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}}},
)
api.add_decorator(only_known_parameters)
api.add_router("/runs", runs.router)
api.add_router("/kill-switches", kill_switches.router)
api.add_router("/approvals", approvals.router)
api.add_router("/changes", changes.router)
api.add_router("", registry.router)
api.add_router("/policies", policy_drafts.router)
api.add_router("/audit", audit.router)
problems.install(api)


def _addresses() -> list[URLPattern]:
    """The framework's addresses, answering in problem details, and all others as unknown."""
    operations, _, _ = api.urls
    found = [
        each for each in operations if isinstance(each, URLPattern) and each.name != "api-root"
    ]
    for each in found:
        each.callback = problems.answering_in_problems(each.callback)
    return [
        path("openapi.json", problems.answering_in_problems(api.publish), name="openapi-json"),
        *found,
    ]


# Also what nobody offers below /api/ is asked for by programs, and answered to them.
_unknown = re_path(r"^api(?:/|$)", problems.answering_in_problems(problems.unknown_address))

urlpatterns = [
    path("api/v1/", include((_addresses(), "api"))),
    path("", include([_unknown])),
    path("healthz", health.alive, name="healthz"),
    path("readyz", health.ready, name="readyz"),
]
