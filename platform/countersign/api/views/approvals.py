"""What waits for signatures, to read.

None of it casts a vote: a vote is a person's, given with a password in the console, and no token
stands for a person.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router

from countersign.accounts.scopes import Scope
from countersign.api import cursors
from countersign.api.answers import page, says
from countersign.api.auth import Bearer, caller
from countersign.api.problems import not_found
from countersign.api.schemas import approvals as out
from policies import selectors as policies
from policies.models import ApprovalRequest

router = Router(tags=["approvals"])


@router.get(
    "",
    auth=Bearer(Scope.APPROVALS_READ),
    response=says(out.ApprovalPage),
    summary="What waits for signatures",
)
def approval_list(request: HttpRequest, filters: Query[out.ApprovalFilters]) -> Mapping[str, Any]:
    """Open requests, or those of a run, or those in the states named; oldest first.

    Of very many the newest 500 are listed. Signing and rejecting is done by people in the console;
    there is no operation for it.
    """
    found = policies.requests(
        caller(request).workspace_id,
        run_id=filters.run,
        states=[state.value for state in filters.state],
    )
    last = cursors.unseal("approvals", filters.cursor)
    later = [each for each in found if _place(each) > last]
    some = later[: filters.limit]
    more = _place(some[-1]) if len(later) > len(some) else ""
    return page(some, cursors.seal("approvals", more))


def _place(request: ApprovalRequest) -> str:
    """Sorts as the list does."""
    return f"{request.created.isoformat(timespec='microseconds')} {request.id}"


@router.get(
    "/{uuid:request_id}",
    auth=Bearer(Scope.APPROVALS_READ),
    response=says(out.ApprovalDetailOut, 404),
    summary="One request, with what its signers see and who has voted",
)
def approval_get(request: HttpRequest, request_id: UUID) -> Mapping[str, Any]:
    found = policies.request(caller(request).workspace_id, request_id)
    if found is None:
        raise not_found()
    fields = {name: getattr(found, name) for name in out.ApprovalDetailOut.model_fields}
    return fields | {"votes": list(found.votes.all())}
