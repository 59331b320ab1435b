"""Addresses of the REST API, its published schema and the health checks."""

from django.urls import path
from ninja import NinjaAPI

from countersign.api import health, problems, views
from countersign.api.auth import Bearer

api = NinjaAPI(
    title="Countersign",
    version="1",
    description=(
        "Start runs, follow them, read what waits for signatures and what the log says. "
        "Send `Authorization: Bearer cs_…`; the token names its workspace. Errors are RFC 9457 "
        "problem details. Votes are cast by people in the console, never by a token."
    ),
    urls_namespace="api",
    auth=Bearer(),
    docs_url=None,
    openapi_extra={"info": {"license": {"name": "Apache-2.0"}}},
)
api.add_router("/runs", views.runs)
api.add_router("/approvals", views.approvals)
api.add_router("", views.registry)
api.add_router("/audit", views.log)
problems.install(api)

urlpatterns = [
    path("api/v1/", api.urls),
    path("healthz", health.alive, name="healthz"),
    path("readyz", health.ready, name="readyz"),
]
