"""What doors read about people, workspaces and service accounts."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import Group

from countersign.accounts.models import (
    Factor,
    Membership,
    RecoveryCode,
    ServiceAccount,
    Token,
    User,
    Workspace,
)
from countersign.accounts.roles import Permission, group_name


@dataclass(frozen=True)
class PersonRow:
    """One member of a workspace, with the roles that count."""

    user: User
    membership: Membership
    roles: tuple[str, ...]


@dataclass(frozen=True)
class AccountRow:
    """One service account with all its tokens, newest first."""

    account: ServiceAccount
    tokens: tuple[Token, ...]


def workspace_for(user: User, slug: str) -> Workspace | None:
    """The workspace, if this person is a member; None is a 404, whether or not it exists."""
    if not user.is_active:
        return None
    return Workspace.objects.filter(slug=slug, memberships__user=user).first()


def workspaces_of(user: User) -> list[Workspace]:
    """Every workspace this person is a member of, by name."""
    return list(Workspace.objects.filter(memberships__user=user).order_by("name"))


def roles_of(user_id: UUID, workspace_id: UUID) -> frozenset[str]:
    """The roles an active person holds: in the membership *and* by the role's group and grant.

    Two records must agree, so that one wrong row gives nobody a right.
    """
    named = (
        Membership.objects.filter(user_id=user_id, workspace_id=workspace_id, user__is_active=True)
        .values_list("roles", flat=True)
        .first()
    )
    if not named:
        return frozenset()
    groups = set(
        Group.objects.filter(
            user__id=user_id, workspacegrant__content_object_id=workspace_id
        ).values_list("name", flat=True)
    )
    return frozenset(role for role in named if group_name(workspace_id, role) in groups)


def may(user: User, permission: Permission, workspace: Workspace) -> bool:
    """Whether a role of this person grants ``permission`` on ``workspace``."""
    return user.has_perm(f"accounts.{permission.value}", workspace)


def reads_platform(user: User) -> bool:
    """Whether the installation's settings name this person for the platform's own log."""
    return user.is_active and names_platform_auditor(user.username)


def names_platform_auditor(username: str) -> bool:
    named = {name.casefold() for name in settings.COUNTERSIGN_PLATFORM_AUDITORS}
    return username.casefold() in named


def people(workspace_id: UUID) -> list[PersonRow]:
    """Members by name."""
    memberships = Membership.objects.filter(workspace_id=workspace_id).select_related("user")
    groups: dict[UUID, set[str]] = {}
    granted = Group.objects.filter(workspacegrant__content_object_id=workspace_id)
    for user_id, name in granted.values_list("user__id", "name"):
        groups.setdefault(user_id, set()).add(name)
    return [
        PersonRow(row.user, row, _agreeing(row, groups.get(row.user_id, set())))
        for row in memberships.order_by("user__name", "id")
    ]


def _agreeing(membership: Membership, groups: Collection[str]) -> tuple[str, ...]:
    """The roles of a person that `roles_of` gives, without asking for each person."""
    if not membership.user.is_active:
        return ()
    named = set(membership.roles)
    return tuple(
        sorted(role for role in named if group_name(membership.workspace_id, role) in groups)
    )


def member_named(workspace_id: UUID, username: str) -> UUID | None:
    """The member of this user name, in any spelling of upper and lower case."""
    found = Membership.objects.filter(workspace_id=workspace_id, user__username__iexact=username)
    return found.values_list("user_id", flat=True).first()


def names(workspace_id: UUID) -> dict[str, str]:
    """Names of the workspace's people and service accounts, by id as text."""
    found = Membership.objects.filter(workspace_id=workspace_id)
    accounts = ServiceAccount.objects.filter(workspace_id=workspace_id)
    rows = [*found.values_list("user_id", "user__name"), *accounts.values_list("id", "name")]
    return {str(key): name for key, name in rows}


@dataclass(frozen=True)
class FactorRow:
    """A person's authenticator: since when it counts, and how many recovery codes are left."""

    id: UUID
    confirmed: datetime
    recovery_codes: int


def factor_id_of(user_id: UUID) -> UUID | None:
    """Which authenticator is in force."""
    found = Factor.objects.filter(
        user_id=user_id, confirmed__isnull=False, removed__isnull=True
    ).values_list("id", flat=True)
    return found.first()


def factor_of(user_id: UUID) -> FactorRow | None:
    """The authenticator in force, without anything secret; None where there is none."""
    found = Factor.objects.filter(
        user_id=user_id, confirmed__isnull=False, removed__isnull=True
    ).first()
    if found is None or found.confirmed is None:
        return None
    left = RecoveryCode.objects.filter(factor=found, used__isnull=True).count()
    return FactorRow(found.id, found.confirmed, left)


def names_anywhere(ids: Collection[str]) -> dict[str, str]:
    """Names of the people and workspaces among these ids, for the platform's own log."""
    keys = [key for key in map(_uuid, ids) if key]
    people = User.objects.filter(id__in=keys).values_list("id", "name")
    workspaces = Workspace.objects.filter(id__in=keys).values_list("id", "name")
    return {str(key): name for key, name in [*people, *workspaces]}


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def reviewer_groups(workspace_id: UUID) -> list[str]:
    """The reviewer roles that anyone holds, in order."""
    rows = Membership.objects.filter(workspace_id=workspace_id).values_list("roles", flat=True)
    return sorted({role for roles in rows for role in roles if role.startswith("reviewer:")})


def service_accounts(workspace_id: UUID) -> list[AccountRow]:
    """Service accounts by name."""
    accounts = ServiceAccount.objects.filter(workspace_id=workspace_id).prefetch_related("tokens")
    return [
        AccountRow(
            account, tuple(sorted(account.tokens.all(), key=lambda t: t.created, reverse=True))
        )
        for account in accounts.order_by("name")
    ]
