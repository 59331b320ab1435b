"""Who is in a workspace and with which roles.

Only an administrator of the workspace changes it, never for themselves, and never so that no
administrator is left. The command line acts as the system: it makes the first people.
"""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from guardian.shortcuts import assign_perm

from audit.canonical import JSON
from audit.services import Actor, Draft, Subject, record
from audit.transactions import in_workspace
from countersign.accounts import selectors
from countersign.accounts.errors import InvalidPerson, UnknownAccount
from countersign.accounts.models import Membership, User, Workspace
from countersign.accounts.roles import Role, group_name, parse_role, permission_of
from policies.errors import Reason, Refusal

# Without 0, 1, i, l, o: people copy these from paper.
_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"


@dataclass(frozen=True)
class PersonDraft:
    """A person to add. A known ``username`` joins as who they are; else an account is made."""

    username: str
    name: str
    email: str
    roles: Sequence[str]


@dataclass(frozen=True)
class Joined:
    """A membership, and the one-time password where the account is new (else empty)."""

    membership: Membership
    password: str


def member_add(
    *,
    workspace_id: UUID,
    actor: Actor,
    person: PersonDraft,
    must_change_password: bool = True,
) -> Joined | Refusal:
    """Add a person to a workspace.

    Raises:
        InvalidPerson, InvalidRole: the draft cannot be used; the message says why.
    """
    roles = _roles(person.roles)
    with in_workspace(workspace_id):
        workspace = _locked(workspace_id)
        refusal = not_admin(workspace_id, actor)
        if refusal is not None:
            return _refuse(workspace_id, actor, "add", refusal)
        user, password = _user(person, must_change_password=must_change_password)
        if Membership.objects.filter(user=user, workspace=workspace).exists():
            raise InvalidPerson(f"{user.username} is in this workspace already.")
        if _is(actor, user.id):
            return _refuse(workspace_id, actor, "add", _OWN)
        membership = Membership.objects.create(user=user, workspace=workspace, roles=roles)
        _grant(workspace, user, roles)
        entry = _entry("member.added", actor, user, {"roles": roles, "new": bool(password)})
        record(workspace_id, [entry])
        return Joined(membership, password)


def member_set_roles(
    *, workspace_id: UUID, actor: Actor, user_id: UUID, roles: Sequence[str]
) -> Membership | Refusal:
    """Give a member exactly these roles, at least one.

    Raises:
        InvalidRole, InvalidPerson: a role does not exist, or none is given.
        UnknownAccount: not a member of this workspace.
    """
    wanted = _roles(roles)
    with in_workspace(workspace_id):
        workspace = _locked(workspace_id)
        membership = _membership(workspace_id, user_id)
        refusal = _may_change(workspace_id, actor, membership, wanted)
        if refusal is not None:
            return _refuse(workspace_id, actor, "set_roles", refusal)
        before = sorted(membership.roles)
        if before == wanted:
            return membership
        membership.roles = wanted
        membership.save(update_fields=["roles"])
        _withdraw(workspace, membership.user, set(before) - set(wanted))
        _grant(workspace, membership.user, wanted)
        detail: dict[str, JSON] = {"before": before, "roles": wanted}
        record(workspace_id, [_entry("member.changed", actor, membership.user, detail)])
        return membership


def member_remove(*, workspace_id: UUID, actor: Actor, user_id: UUID) -> Refusal | None:
    """End a membership; the person's account stays, their open votes stop counting.

    Raises:
        UnknownAccount: not a member of this workspace.
    """
    with in_workspace(workspace_id):
        workspace = _locked(workspace_id)
        membership = _membership(workspace_id, user_id)
        refusal = _may_change(workspace_id, actor, membership, [])
        if refusal is not None:
            return _refuse(workspace_id, actor, "remove", refusal)
        user, roles = membership.user, sorted(membership.roles)
        _withdraw(workspace, user, roles)
        membership.delete()
        record(workspace_id, [_entry("member.removed", actor, user, {"before": roles})])
        return None


def not_admin(workspace_id: UUID, actor: Actor) -> Refusal | None:
    """Why ``actor`` may not administer this workspace; None if they may."""
    if actor.type == "system":
        return None
    if actor.type == "user" and Role.ADMIN in selectors.roles_of(UUID(actor.id), workspace_id):
        return None
    return Refusal(Reason.ROLE, "Only administrators of this workspace may do this.")


_OWN = Refusal(Reason.OWN_ROLES, "Nobody changes their own roles; ask another administrator.")


def _may_change(
    workspace_id: UUID, actor: Actor, membership: Membership, wanted: Sequence[str]
) -> Refusal | None:
    refusal = not_admin(workspace_id, actor)
    if refusal is not None:
        return refusal
    if _is(actor, membership.user_id):
        return _OWN
    if Role.ADMIN in membership.roles and Role.ADMIN not in wanted:
        others = Membership.objects.filter(
            workspace_id=workspace_id, roles__contains=[Role.ADMIN], user__is_active=True
        ).exclude(id=membership.id)
        if not others.exists():
            return Refusal(Reason.LAST_ADMIN, "A workspace keeps at least one administrator.")
    return None


def _is(actor: Actor, user_id: UUID) -> bool:
    return actor.type == "user" and UUID(actor.id) == user_id


def _locked(workspace_id: UUID) -> Workspace:
    """The workspace, locked: two administrators must not remove each other at once."""
    workspace = Workspace.objects.select_for_update().filter(id=workspace_id).first()
    if workspace is None:
        raise UnknownAccount("There is no such workspace.")
    return workspace


def _membership(workspace_id: UUID, user_id: UUID) -> Membership:
    memberships = Membership.objects.filter(workspace_id=workspace_id, user_id=user_id)
    membership = memberships.select_related("user").first()
    if membership is None:
        raise UnknownAccount("This person is not a member of this workspace.")
    return membership


def _roles(roles: Iterable[str]) -> list[str]:
    found = sorted({parse_role(role) for role in roles})
    if not found:
        raise InvalidPerson("A member needs at least one role.")
    return found


def _user(person: PersonDraft, *, must_change_password: bool) -> tuple[User, str]:
    known = User.objects.filter(username__iexact=person.username).first()
    if known is not None:
        if known.email.lower() != person.email.lower():
            raise InvalidPerson(
                f"The user name {person.username} belongs to somebody else. Choose another one, or"
                " give that account's e-mail address to add the person. Nothing was made."
            )
        return known, ""
    if User.objects.filter(email__iexact=person.email).exists():
        raise InvalidPerson(f"{person.email} belongs to another account already.")
    password = "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4))
    user = User(
        username=person.username,
        email=person.email,
        name=person.name.strip() or person.username,
        password=make_password(password),
        must_change_password=must_change_password,
    )
    try:
        user.clean_fields()
    except ValidationError as error:
        raise InvalidPerson(f"{person.username}: {' '.join(error.messages)}") from error
    user.save(force_insert=True)
    return user, password


def _grant(workspace: Workspace, user: User, roles: Iterable[str]) -> None:
    for role in roles:
        group, _ = Group.objects.get_or_create(name=group_name(workspace.id, role))
        assign_perm(permission_of(role).value, group, workspace)
        user.groups.add(group)


def _withdraw(workspace: Workspace, user: User, roles: Iterable[str]) -> None:
    names = [group_name(workspace.id, role) for role in roles]
    user.groups.remove(*Group.objects.filter(name__in=names))


def _entry(action: str, actor: Actor, user: User, detail: dict[str, JSON]) -> Draft:
    return Draft(
        action=action,
        actor=actor,
        subject=Subject("user", str(user.id)),
        detail=detail,
        payloads={"person": {"username": user.username, "name": user.name, "email": user.email}},
        data_subject=f"user:{user.id}",
    )


def _refuse(workspace_id: UUID, actor: Actor, attempt: str, refusal: Refusal) -> Refusal:
    detail = {"reason": refusal.reason.value, "attempt": attempt}
    subject = Subject("workspace", str(workspace_id))
    record(workspace_id, [Draft("member.refused", actor, subject, detail=detail)])
    return refusal
