"""Who calls: a bearer token of a service account, its workspace and its scopes.

A token names its workspace, so no address does: whatever is asked for in another workspace is 404.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any, TypeVar, cast

from django.http import HttpRequest
from ninja.security import HttpBearer

from countersign.accounts.scopes import Scope
from countersign.accounts.services import TokenContext, token_authenticate
from countersign.api.problems import of_refusal
from policies.errors import Reason, Refusal

View = TypeVar("View", bound=Callable[..., Any])


class Bearer(HttpBearer):
    """`Authorization: Bearer cs_…`; refusals are recorded by the service."""

    openapi_scheme = "bearer"

    def __call__(self, request: HttpRequest) -> TokenContext:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise of_refusal(
                Refusal(Reason.UNKNOWN_TOKEN, "Send a token: Authorization: Bearer cs_…")
            )
        return self.authenticate(request, token.strip())

    def authenticate(self, request: HttpRequest, token: str) -> TokenContext:
        found = token_authenticate(raw=token, now=datetime.now(UTC))
        if isinstance(found, Refusal):
            raise of_refusal(found)
        return found


def caller(request: HttpRequest) -> TokenContext:
    """Who calls, in a view that `Bearer` guards."""
    return cast("TokenContext", request.auth)  # type: ignore[attr-defined]


def needs(scope: Scope) -> Callable[[View], View]:
    """Refuse a token without `scope` before the view does anything."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            refusal = caller(request).require(scope)
            if refusal is not None:
                raise of_refusal(refusal)
            return view(request, *args, **kwargs)

        return cast("View", guarded)

    return decorate
