"""Changes of what governs: what is asked for, asking for one, taking it back.

A program proposes; people sign, in the console, and none of them may be behind the program. No
operation here signs, rejects or makes anything.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Header, Query, Router, Status

from agents import registry
from agents.errors import Refused
from audit.canonical import JSON
from countersign.accounts import selectors as accounts
from countersign.accounts import services as people
from countersign.accounts.errors import InvalidRole
from countersign.accounts.scopes import Scope
from countersign.accounts.services import TokenContext
from countersign.api import change_words, cursors
from countersign.api.answers import page, says
from countersign.api.auth import Bearer, caller
from countersign.api.problems import Problem, invalid, not_found, of_refusal
from countersign.api.schemas import changes as out
from policies import selectors, services
from policies.errors import KeyReused, Refusal
from policies.models import ApprovalRequest, ApprovalState
from policies.services.repeats import Proposed

router = Router(tags=["changes"])

KINDS = {"registry": "registry", "policy.activate": "policy", "member": "role"}


@router.get(
    "",
    auth=Bearer(Scope.APPROVALS_READ),
    response=says(out.ChangePage),
    summary="Changes that were asked for, newest first",
)
def change_list(request: HttpRequest, filters: Query[out.ChangeFilters]) -> Mapping[str, Any]:
    """Of agents, tools, models, policies and roles; in the states named, or in any."""
    found = selectors.changes(
        caller(request).workspace_id,
        states=[state.value for state in filters.state],
        after=cursors.unseal("changes", filters.cursor),
        limit=filters.limit + 1,
    )
    some = found[: filters.limit]
    more = selectors.place(some[-1]) if len(found) > len(some) else ""
    return page([_row(each) for each in some], cursors.seal("changes", more))


@router.get(
    "/{uuid:change_id}",
    auth=Bearer(Scope.APPROVALS_READ),
    response=says(out.ChangeDetailOut, 404),
    summary="One change: what would be different, in words and as data, and who has voted",
)
def change_get(request: HttpRequest, change_id: UUID) -> Mapping[str, Any]:
    return detail(caller(request).workspace_id, change_id)


@router.post(
    "/registrations",
    auth=Bearer(Scope.REGISTRY_CHANGE),
    response={201: out.ProposalOut} | says(out.ProposalOut, 400, 409, 413, 415),
    summary="Propose a registration file",
)
def registration_propose(
    request: HttpRequest,
    response: HttpResponse,
    body: out.RegistrationIn,
    sent: Header[out.ProposalHeaders],
) -> Status[Mapping[str, Any]]:
    """Ask for everything in a file to be registered. Nothing changes before people have signed.

    201 with the change that waits now; 200 where the file changes nothing, or the same key was
    sent before.
    """
    who = caller(request)

    def make() -> ApprovalRequest | Refusal | None:
        found = registry.propose(
            workspace_id=who.workspace_id,
            text=body.file,
            documents=body.documents,
            actor=who.actor,
            now=datetime.now(UTC),
        )
        return found if isinstance(found, Refusal) else found.request

    try:
        made, repeated = once(who, sent, ["registration", body.file, body.documents], make)
    except Refused as error:
        raise invalid([("file", fault) for fault in str(error).splitlines()]) from error
    return answer(response, who, made, repeated=repeated)


@router.post(
    "/roles",
    auth=Bearer(Scope.REGISTRY_CHANGE),
    response={201: out.ProposalOut} | says(out.ProposalOut, 400, 404, 409, 413, 415),
    summary="Propose to give or take roles of a member",
)
def roles_propose(
    request: HttpRequest,
    response: HttpResponse,
    body: out.RolesIn,
    sent: Header[out.ProposalHeaders],
) -> Status[Mapping[str, Any]]:
    """Ask that a member hold exactly these roles. Nothing changes before people have signed.

    201 with the change that waits now; 200 where the member holds just these roles, or the same key
    was sent before. Members only: an account for somebody new is made in the console.
    """
    who = caller(request)
    member = accounts.member_named(who.workspace_id, body.username)
    if member is None:
        raise not_found("Nobody of this user name is a member of this token's workspace.")

    def make() -> ApprovalRequest | Refusal | None:
        return people.roles_propose(
            workspace_id=who.workspace_id,
            actor=who.actor,
            user_id=member,
            roles=body.roles,
            now=datetime.now(UTC),
            tools=registry.tool_specs(who.workspace_id),
        )

    try:
        made, repeated = once(who, sent, ["roles", str(member), sorted(body.roles)], make)
    except InvalidRole as error:
        raise invalid([("roles", str(error))]) from error
    return answer(response, who, made, repeated=repeated)


@router.post(
    "/{uuid:change_id}/withdraw",
    auth=Bearer(Scope.REGISTRY_CHANGE),
    response=says(out.ChangeDetailOut, 400, 404, 409, 413, 415),
    summary="Take back a change that this account asked for",
)
def change_withdraw(request: HttpRequest, change_id: UUID, body: out.WithdrawIn) -> Any:  # noqa: ANN401
    """While it waits, or is signed and not made. Votes stay in the log."""
    who = caller(request)
    refusal = services.change_withdraw(
        workspace_id=who.workspace_id,
        request_id=change_id,
        actor=who.actor,
        reason=body.reason,
        now=datetime.now(UTC),
    )
    if refusal is not None:
        raise of_refusal(refusal)
    return detail(who.workspace_id, change_id)


def once(
    who: TokenContext,
    sent: out.ProposalHeaders,
    content: JSON,
    make: Callable[[], Proposed | Refusal | None],
) -> tuple[Proposed | None, bool]:
    """What `make` proposes, or proposed when the same key came before; and whether it did.

    Args:
        content: all that was sent.

    Raises:
        Problem: it was refused, or the key came with other content.
    """
    try:
        made, repeated = services.propose_once(
            workspace_id=who.workspace_id,
            requester=who.actor,
            key=sent.idempotency_key,
            content=content,
            make=make,
        )
    except KeyReused as error:
        raise key_reused(error) from error
    if isinstance(made, Refusal):
        raise of_refusal(made)
    return made, repeated


def answer(
    response: HttpResponse, who: TokenContext, made: object, *, repeated: bool
) -> Status[Mapping[str, Any]]:
    """What proposing a change answers."""
    if not isinstance(made, ApprovalRequest):
        return Status(HTTPStatus.OK.value, {"change": None})
    response["Location"] = f"/api/v1/changes/{made.id}"
    status = HTTPStatus.OK if repeated else HTTPStatus.CREATED
    return Status(status.value, {"change": detail(who.workspace_id, made.id)})


def key_reused(error: KeyReused) -> Problem:
    return Problem(HTTPStatus.CONFLICT, "idempotency_key_used", str(error))


def detail(workspace_id: UUID, change_id: UUID) -> Mapping[str, Any]:
    """One change as the API says it.

    Raises:
        Problem: 404.
    """
    found = selectors.change(workspace_id, change_id)
    if found is None:
        raise not_found()
    return {
        **_row(found),
        "words": change_words.sentences(found.displayed),
        "displayed": found.displayed,
        "displayed_digest": found.displayed_digest,
        "binding_digest": found.binding_digest,
        "votes": list(found.votes.all()),
    }


def _row(found: ApprovalRequest) -> dict[str, Any]:
    fields = {name: getattr(found, name) for name in _FIELDS}
    signed = found.state == ApprovalState.APPROVED
    return fields | {
        "kind": KINDS.get(str(found.binding.get("change", "")), "other"),
        "made": found.approval.consumed_at if signed else None,
    }


_FIELDS = (
    "id", "title", "tier", "requester_type", "requester_name", "state", "requirement", "sign_by",
    "created",
)  # fmt: skip
