"""What waits for signatures, to read.

None of it casts a vote: a vote is a person's, given with a password in the console, and no token
stands for a person.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router

from audit.services import Subject
from countersign.accounts.scopes import Scope
from countersign.api import cursors, masking
from countersign.api.answers import page, says
from countersign.api.auth import Bearer, caller
from countersign.api.problems import not_found
from countersign.api.schemas import approvals as out
from policies import masks
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
    """What a rule masks is shown to a token with `masks:open`, and the log says so."""
    who = caller(request)
    found = policies.request(who.workspace_id, request_id)
    if found is None:
        raise not_found()
    about = Subject("approval_request", str(request_id))
    hidden = masking.kept_from(who, {about: masks.of_request(found.displayed)})[about]
    made = {
        "displayed": masks.covered(found.displayed, hidden),
        "masked": sorted(hidden),
        "votes": list(found.votes.all()),
    }
    return {name: getattr(found, name) for name in _FIELDS} | made


_FIELDS = out.ApprovalDetailOut.model_fields.keys() - {"displayed", "masked", "votes"}
