"""Giving people roles: an administrator or a program proposes, someone else signs, then it holds.

What is signed is who will hold which roles, and what they hold now; if that has changed when enough
have signed, the request is taken out of force. The person concerned may not sign, nor may whoever
proposed it. Proposing for a new person makes their account, which may nothing without a membership.

A program proposes for members only, never for those who made its account or tokens, and takes
nothing away alone: that is signed too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from audit.canonical import JSON
from audit.services import Actor
from audit.transactions import in_workspace
from countersign.accounts.errors import InvalidPerson
from countersign.accounts.models import Membership, User, Workspace
from countersign.accounts.services.member import (
    OWN,
    PersonDraft,
    appoint,
    appointed,
    change_roles,
    is_self,
    join,
    last_of_its_role,
    locked_workspace,
    membership_of,
    not_admin,
    person_account,
    refuse,
    role_list,
    told_apart,
)
from policies.directory import directory
from policies.errors import Reason, Refusal
from policies.facts.record import ToolSpec
from policies.models import ApprovalRequest
from policies.services import Change, approval_consume, change_request

CHANGE = "member"
TIER = 3
_MAKER = Refusal(
    Reason.OWN_ROLES,
    "A program proposes no roles for those who made its account or one of its tokens.",
)


@dataclass(frozen=True)
class Asked:
    """A request to give roles, and the one-time password where the account is new (else empty)."""

    request: ApprovalRequest
    password: str


def member_propose(
    *,
    workspace_id: UUID,
    actor: Actor,
    person: PersonDraft,
    now: datetime,
    tools: Sequence[ToolSpec] = (),
) -> Asked | Refusal:
    """Ask that a person hold exactly these roles, as a new or a present member.

    ``tools``: those of the workspace, which the active policy may name.

    Raises:
        InvalidPerson, InvalidRole: the draft cannot be used, or gives nothing; says why.
        PolicyError: the active policy does not fit these tools (the caller's fault).
    """
    roles = role_list(person.roles)
    with in_workspace(workspace_id):
        workspace = locked_workspace(workspace_id)
        refusal = not_admin(workspace_id, actor)
        if refusal is not None:
            return refuse(workspace_id, actor, "propose", refusal)
        user, password = person_account(person, must_change_password=True)
        if is_self(actor, user.id):
            return refuse(workspace_id, actor, "propose", OWN)
        if set(roles) <= set(_held(workspace, user)):
            raise InvalidPerson("This gives no role. To take roles away needs no signature.")
        membership = Membership.objects.filter(workspace=workspace, user=user).first()
        if membership is None:
            told_apart(workspace_id, user)
        left = None if membership is None else last_of_its_role(membership, roles)
        if left is not None:
            return refuse(workspace_id, actor, "propose", left)
        asked = change_request(
            workspace_id=workspace_id,
            requester=actor,
            change=_change(workspace, actor, user, roles),
            now=now,
            tools=tools,
        )
        return asked if isinstance(asked, Refusal) else Asked(asked, password)


def roles_propose(
    *,
    workspace_id: UUID,
    actor: Actor,
    user_id: UUID,
    roles: Sequence[str],
    now: datetime,
    tools: Sequence[ToolSpec] = (),
) -> ApprovalRequest | Refusal | None:
    """Ask, as a program, that a member hold exactly these roles: others, more or fewer than now.

    Of a program the door has checked that its token is good for changes. None where the member
    holds just these.

    Raises:
        InvalidRole, InvalidPerson: a role does not exist, or none is given.
        UnknownAccount: not a member of this workspace.
        PolicyError: the active policy does not fit these tools (the caller's fault).
    """
    wanted = role_list(roles)
    with in_workspace(workspace_id):
        workspace = locked_workspace(workspace_id)
        membership = membership_of(workspace_id, user_id)
        refusal = _may_have_proposed(actor, user_id) or last_of_its_role(membership, wanted)
        if refusal is not None:
            return refuse(workspace_id, actor, "propose", refusal)
        if sorted(membership.roles) == wanted:
            return None
        return change_request(
            workspace_id=workspace_id,
            requester=actor,
            change=_change(workspace, actor, membership.user, wanted),
            now=now,
            tools=tools,
        )


def _may_have_proposed(actor: Actor, user_id: UUID) -> Refusal | None:
    if actor.type != "service":
        return Refusal(Reason.ROLE, "People propose roles in the console, under People.")
    return _MAKER if str(user_id) in directory().behind(actor.id) else None


def apply(*, workspace_id: UUID, request: ApprovalRequest, now: datetime) -> Refusal | None:
    """Give what was signed, using up its approval; called with the request's row locked."""
    actor = Actor(request.requester_type, request.requester_id, request.requester_name)
    [signed] = request.binding["people"]
    with in_workspace(workspace_id):
        workspace = locked_workspace(workspace_id)
        user = User.objects.get(id=UUID(signed["user"]))
        roles = list(signed["roles"])
        membership = Membership.objects.filter(workspace=workspace, user=user).first()
        left = None if membership is None else last_of_its_role(membership, roles)
        if left is not None:
            return left
        used = approval_consume(
            workspace_id=workspace_id,
            request_id=request.id,
            binding=_binding(workspace, user, roles),
            consumer="people",
            now=now,
        )
        if isinstance(used, Refusal):
            return used
        appoint(workspace, [(user, roles)], request.id, actor)
        if membership is None:
            join(workspace, user, roles, actor, new=False)
        else:
            change_roles(workspace, membership, roles, actor)
        return None


def _binding(workspace: Workspace, user: User, roles: list[str]) -> dict[str, JSON]:
    return {
        "change": CHANGE,
        "people": appointed([(user, roles)]),
        "before": _held(workspace, user),
    }


def _held(workspace: Workspace, user: User) -> list[str]:
    found = Membership.objects.filter(workspace=workspace, user=user).first()
    return sorted(found.roles) if found else []


def _change(workspace: Workspace, actor: Actor, user: User, roles: list[str]) -> Change:
    before = _held(workspace, user)
    wording = f"{'the roles' if len(roles) > 1 else 'the role'} {', '.join(roles)}"
    return Change(
        kind="role",
        title=(
            f"{actor.name} wants to leave {user.name} {wording} only."
            if set(roles) <= set(before)
            else f"{actor.name} wants to give {user.name} {wording}, and no other."
        ),
        notice="A change of people's roles waits for a second person.",
        tier=TIER,
        binding=_binding(workspace, user, roles),
        displayed={
            "headline": f"Roles of {user.name}",
            "changes": [
                {
                    "kind": "person",
                    "name": f"{user.name} ({user.username})",
                    "fields": [
                        {
                            "field": "roles",
                            "before": ", ".join(before) or "none: not a member",
                            "after": ", ".join(roles),
                        }
                    ],
                }
            ],
        },
        barred=[str(user.id)],
    )
