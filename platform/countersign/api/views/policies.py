"""Policy versions, to read."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
from ninja import Router

from countersign.accounts.scopes import Scope
from countersign.api.answers import page, says
from countersign.api.auth import Bearer, caller
from countersign.api.problems import not_found
from countersign.api.schemas import policies as out
from policies import selectors as policies

router = Router(tags=["registry"])


@router.get(
    "",
    auth=Bearer(Scope.REGISTRY_READ),
    response=says(out.PolicyPage),
    summary="Policy versions, newest first",
)
def policy_list(request: HttpRequest) -> Mapping[str, Any]:
    """Every version; the active one decides now."""
    return page([_policy(row) for row in policies.policy_versions(caller(request).workspace_id)])


@router.get(
    "/{int:number}",
    auth=Bearer(Scope.REGISTRY_READ),
    response=says(out.PolicyDetailOut, 404),
    summary="One policy version, with its text",
)
def policy_get(request: HttpRequest, number: int) -> Mapping[str, Any]:
    rows = policies.policy_versions(caller(request).workspace_id)
    found = next((row for row in rows if row.version.number == number), None)
    if found is None:
        raise not_found()
    return _policy(found) | {"text": found.version.text, "tests": found.version.tests}


def _policy(row: policies.VersionRow) -> dict[str, Any]:
    fields = {name: getattr(row.version, name) for name in _POLICY_FIELDS}
    return fields | {"active": row.active, "activated": row.activated}


_POLICY_FIELDS = ("number", "digest", "note", "author_name", "created")
