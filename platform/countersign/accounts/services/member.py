"""Who is in a workspace and with which roles.

Roles are given by two people (``appointment``): an administrator proposes, never for themselves,
and a policy officer signs. Taking a role away, or ending a membership, is how one stops somebody:
any other administrator does it alone and at once, though never so that nobody is left who could
propose or sign. The set-up of a workspace is the command line's: there is nobody yet to ask.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db.models import Max
from guardian.shortcuts import assign_perm

from audit.canonical import JSON
from audit.services import Actor, Draft, Subject, record
from audit.transactions import in_workspace
from countersign.accounts import codes, selectors
from countersign.accounts.errors import InvalidPerson, UnknownAccount
from countersign.accounts.models import Appointment, Membership, User, Workspace
from countersign.accounts.roles import Role, group_name, parse_role, permission_of
from policies.errors import Reason, Refusal
from policies.facts.alike import look_alike

MAX_NAME = 80
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_BLANKS = set("\u034f\u115f\u1160\u2800\u3164\uffa0")
"""Letters and marks that are drawn as nothing."""


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


def members_set_up(
    *,
    workspace: Workspace,
    actor: Actor,
    people: Sequence[PersonDraft],
    must_change_password: bool = True,
) -> list[Joined]:
    """Make the first members of a workspace that has none.

    Raises:
        InvalidPerson, InvalidRole: a draft cannot be used, or there are members already.
    """
    with in_workspace(workspace.id):
        locked_workspace(workspace.id)
        if Membership.objects.filter(workspace=workspace).exists():
            raise InvalidPerson(f"{workspace.slug} has members already.")
        wanted = [role_list(person.roles) for person in people]
        made = [person_account(p, must_change_password=must_change_password) for p in people]
        held = [(user, roles) for (user, _), roles in zip(made, wanted, strict=True)]
        appoint(workspace, held, None, actor)
        return [
            Joined(join(workspace, user, roles, actor, new=bool(password)), password)
            for (user, password), roles in zip(made, wanted, strict=True)
        ]


def appoint(
    workspace: Workspace,
    held: Sequence[tuple[User, Sequence[str]]],
    request_id: UUID | None,
    actor: Actor,
) -> Appointment:
    """Keep what people hold from here on; the workspace's row is locked by the caller."""
    last = Appointment.objects.filter(workspace=workspace).aggregate(last=Max("number"))["last"]
    return Appointment.objects.create(
        workspace=workspace,
        number=(last or 0) + 1,
        people=appointed(held),
        request_id=request_id,
        appointed_by=actor.name,
    )


def appointed(held: Sequence[tuple[User, Sequence[str]]]) -> list[dict[str, JSON]]:
    """People and all of their roles, as an appointment keeps them."""
    return [{"user": str(user.id), "roles": sorted(roles)} for user, roles in held]


def join(
    workspace: Workspace, user: User, roles: Sequence[str], actor: Actor, *, new: bool
) -> Membership:
    """Make the membership that an appointment gives."""
    membership = Membership.objects.create(user=user, workspace=workspace, roles=list(roles))
    _grant(workspace, user, roles)
    record(workspace.id, [_entry("member.added", actor, user, {"roles": list(roles), "new": new})])
    return membership


def told_apart(workspace_id: UUID, user: User) -> None:
    """See to it that a new member is not taken for one who is there.

    Raises:
        InvalidPerson: somebody has the name already, or one that looks like it.
    """
    for key, name in selectors.names(workspace_id).items():
        same = name.casefold() == user.name.casefold() or look_alike(user.name, name)
        if same and key != str(user.id):
            raise InvalidPerson(
                f"There is a {name} here already. Give the full name, or something else that tells"
                " the two apart: names stand beside signatures."
            )


def change_roles(
    workspace: Workspace, membership: Membership, wanted: Sequence[str], actor: Actor
) -> Membership:
    """Make a membership's roles exactly those that an appointment gives."""
    before = sorted(membership.roles)
    membership.roles = list(wanted)
    membership.save(update_fields=["roles"])
    _withdraw(workspace, membership.user, set(before) - set(wanted))
    _grant(workspace, membership.user, wanted)
    detail: dict[str, JSON] = {"before": before, "roles": list(wanted)}
    record(workspace.id, [_entry("member.changed", actor, membership.user, detail)])
    return membership


def member_set_roles(
    *, workspace_id: UUID, actor: Actor, user_id: UUID, roles: Sequence[str]
) -> Membership | Refusal:
    """Leave a member only these of their roles, at least one, at once.

    Raises:
        InvalidRole, InvalidPerson: a role does not exist, or none is given.
        UnknownAccount: not a member of this workspace.
    """
    wanted = role_list(roles)
    with in_workspace(workspace_id):
        workspace = locked_workspace(workspace_id)
        membership = membership_of(workspace_id, user_id)
        refusal = _may_change(workspace_id, actor, membership, wanted)
        if refusal is None and not set(wanted) <= set(membership.roles):
            refusal = _TWO
        if refusal is not None:
            return refuse(workspace_id, actor, "set_roles", refusal)
        if sorted(membership.roles) == wanted:
            return membership
        appoint(workspace, [(membership.user, wanted)], None, actor)
        return change_roles(workspace, membership, wanted, actor)


def member_remove(*, workspace_id: UUID, actor: Actor, user_id: UUID) -> Refusal | None:
    """End a membership at once; the person's account stays, their open votes stop counting.

    Raises:
        UnknownAccount: not a member of this workspace.
    """
    with in_workspace(workspace_id):
        workspace = locked_workspace(workspace_id)
        membership = membership_of(workspace_id, user_id)
        refusal = _may_change(workspace_id, actor, membership, [])
        if refusal is not None:
            return refuse(workspace_id, actor, "remove", refusal)
        user, roles = membership.user, sorted(membership.roles)
        appoint(workspace, [(user, [])], None, actor)
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


OWN = Refusal(Reason.OWN_ROLES, "Nobody changes their own roles; ask another administrator.")
_TWO = Refusal(Reason.INCOMPLETE, "A role is given by two people: propose it, and someone signs.")
_KEPT = {
    Role.ADMIN: Refusal(Reason.LAST_ADMIN, "A workspace keeps at least one administrator."),
    Role.POLICY_OFFICER: Refusal(
        Reason.LAST_OFFICER, "A workspace keeps at least one policy officer, who can sign changes."
    ),
}
"""Without the first nobody proposes, without the second nobody signs, ever again."""


def _may_change(
    workspace_id: UUID, actor: Actor, membership: Membership, wanted: Sequence[str]
) -> Refusal | None:
    refusal = not_admin(workspace_id, actor)
    if refusal is not None:
        return refusal
    if is_self(actor, membership.user_id):
        return OWN
    return last_of_its_role(membership, wanted)


def last_of_its_role(membership: Membership, wanted: Sequence[str]) -> Refusal | None:
    """Why this membership may not shrink to ``wanted``: nobody else could propose, or sign."""
    for role, refusal in _KEPT.items():
        if role in membership.roles and role not in wanted:
            others = Membership.objects.filter(
                workspace_id=membership.workspace_id, roles__contains=[role], user__is_active=True
            ).exclude(id=membership.id)
            if not others.exists():
                return refusal
    return None


def is_self(actor: Actor, user_id: UUID) -> bool:
    return actor.type == "user" and UUID(actor.id) == user_id


def locked_workspace(workspace_id: UUID) -> Workspace:
    """The workspace, locked: two administrators must not remove each other at once."""
    workspace = Workspace.objects.select_for_update().filter(id=workspace_id).first()
    if workspace is None:
        raise UnknownAccount("There is no such workspace.")
    return workspace


def membership_of(workspace_id: UUID, user_id: UUID) -> Membership:
    memberships = Membership.objects.filter(workspace_id=workspace_id, user_id=user_id)
    membership = memberships.select_related("user").first()
    if membership is None:
        raise UnknownAccount("This person is not a member of this workspace.")
    return membership


def role_list(roles: Iterable[str]) -> list[str]:
    found = sorted({parse_role(role) for role in roles})
    if not found:
        raise InvalidPerson("A member needs at least one role.")
    return found


def person_account(person: PersonDraft, *, must_change_password: bool) -> tuple[User, str]:
    """The person's account, made if nobody has the name, and then with a one-time password.

    An account alone may nothing: rights come from memberships.

    Raises:
        InvalidPerson: name or address cannot be used, or belongs to somebody else.
    """
    known = User.objects.filter(username__iexact=person.username).first()
    if known is not None:
        if known.email.lower() != person.email.lower():
            raise InvalidPerson(
                f"The user name {person.username} belongs to somebody else. Choose another one, or"
                " give that account's e-mail address to add the person. Nothing was made."
            )
        return known, ""
    if selectors.names_platform_auditor(person.username):
        # Else whoever makes accounts would read the platform's log under the name first.
        raise InvalidPerson(
            f"The user name {person.username} stands in COUNTERSIGN_PLATFORM_AUDITORS. Choose"
            " another one, or take it out there until the account is made."
        )
    if User.objects.filter(email__iexact=person.email).exists():
        raise InvalidPerson(f"{person.email} belongs to another account already.")
    password = codes.readable(4)
    user = User(
        username=person.username,
        email=person.email,
        name=_name(person.name.strip() or person.username),
        password=make_password(password),
        must_change_password=must_change_password,
    )
    try:
        user.clean_fields()
    except ValidationError as error:
        raise InvalidPerson(f"{person.username}: {' '.join(error.messages)}") from error
    user.save(force_insert=True)
    return user, password


def _name(name: str) -> str:
    """A name as it may stand beside a signature.

    Raises:
        InvalidPerson: it is long, or holds what shows nothing or reorders what stands around it.
    """
    hidden = {unicodedata.category(letter) for letter in name} & _HIDDEN or set(name) & _BLANKS
    if hidden or len(name) > MAX_NAME:
        raise InvalidPerson(
            f"The name is one line of at most {MAX_NAME} characters, all of which can be seen."
        )
    return name


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


def refuse(workspace_id: UUID, actor: Actor, attempt: str, refusal: Refusal) -> Refusal:
    detail = {"reason": refusal.reason.value, "attempt": attempt}
    subject = Subject("workspace", str(workspace_id))
    record(workspace_id, [Draft("member.refused", actor, subject, detail=detail)])
    return refusal
