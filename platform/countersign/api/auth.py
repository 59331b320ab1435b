"""Who calls: a bearer token of a service account, its workspace and what it may do.

A token names its workspace, so no address does: whatever is asked for in another workspace is 404.
Nothing else opens this door: no cookie, no session, no header but `Authorization`. The scope is
checked before anything of the request is parsed, and an operation that names none is open to
nobody.
"""

from datetime import UTC, datetime
from typing import cast

from django.http import HttpRequest
from ninja.security import HttpBearer

from countersign.accounts.scopes import Scope
from countersign.accounts.services import TokenContext, token_authenticate
from countersign.api.problems import of_refusal
from policies.errors import Reason, Refusal

CHALLENGE = 'Bearer realm="Countersign"'
_NO_TOKEN = Refusal(Reason.UNKNOWN_TOKEN, "Send a token: Authorization: Bearer cs_…")
_NO_SCOPE = Refusal(Reason.SCOPE, "No token may be used for this.")


class Bearer(HttpBearer):
    """`Authorization: Bearer cs_…` of a token with one scope.

    Args:
        scope: What the token must be good for; None lets no token in.
    """

    openapi_scheme = "bearer"

    def __init__(self, scope: Scope | None = None) -> None:
        super().__init__()
        self.scope = scope

    def __call__(self, request: HttpRequest) -> TokenContext:
        return self.authenticate(request, request.headers.get("Authorization", ""))

    def authenticate(self, request: HttpRequest, token: str) -> TokenContext:
        return authenticate(token, self.scope)


def authenticate(authorization: str, scope: Scope | None) -> TokenContext:
    """Who an `Authorization` header speaks for; the service counts the use, records refusals.

    Raises:
        Problem: 401, 403 or 429, with the challenge of RFC 6750 §3.
    """
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise of_refusal(_NO_TOKEN, challenge=CHALLENGE)
    found = token_authenticate(raw=token.strip(), now=datetime.now(UTC))
    if isinstance(found, Refusal):
        raise of_refusal(found, challenge=f'{CHALLENGE}, error="invalid_token"')
    refusal = found.require(scope) if scope else _NO_SCOPE
    if refusal is not None:
        wanted = f', scope="{scope.value}"' if scope else ""
        raise of_refusal(refusal, challenge=f'{CHALLENGE}, error="insufficient_scope"{wanted}')
    return found


def caller(request: HttpRequest) -> TokenContext:
    """Who calls, in an operation that `Bearer` guards."""
    return cast("TokenContext", request.auth)  # type: ignore[attr-defined]
