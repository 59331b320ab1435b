"""``policies.directory.Directory`` over memberships and role groups."""

from datetime import datetime
from uuid import UUID

from django.db.models import Q

from countersign.accounts import selectors
from countersign.accounts.models import CodeUse, ServiceAccount, Token, User
from countersign.accounts.roles import ANY_REVIEWER, REVIEWER_PREFIX, group_name
from policies.directory import Person


class Directory:
    """Reads the database each time: a role taken away stops counting at once."""

    def roles(self, user_id: str, workspace_id: UUID) -> frozenset[str]:
        key = _key(user_id)
        roles = frozenset() if key is None else selectors.roles_of(key, workspace_id)
        reviews = any(role.startswith(REVIEWER_PREFIX) for role in roles)
        return roles | {ANY_REVIEWER} if reviews else roles

    def person(self, user_id: str) -> Person | None:
        key = _key(user_id)
        user = None if key is None else User.objects.filter(id=key, is_active=True).first()
        return None if user is None else _person(user)

    def members_with_role(self, workspace_id: UUID, role: str) -> list[Person]:
        if role == ANY_REVIEWER:
            groups = selectors.reviewer_groups(workspace_id)
            people = {
                p.id: p for group in groups for p in self.members_with_role(workspace_id, group)
            }
            return sorted(people.values(), key=lambda person: (person.name, person.id))
        users = User.objects.filter(
            is_active=True,
            memberships__workspace_id=workspace_id,
            memberships__roles__contains=[role],
            groups__name=group_name(workspace_id, role),
            groups__workspacegrant__content_object_id=workspace_id,
        )
        return [_person(user) for user in users.distinct().order_by("name", "id")]

    def behind(self, account_id: str) -> frozenset[str]:
        key = _key(account_id)
        if key is None:
            return frozenset()
        made = User.objects.filter(
            Q(id__in=ServiceAccount.objects.filter(id=key).values("created_by_id"))
            | Q(id__in=Token.objects.filter(service_account_id=key).values("created_by_id"))
        )
        return frozenset(str(user_id) for user_id in made.values_list("id", flat=True))

    def has_factor(self, user_id: str) -> bool:
        key = _key(user_id)
        return key is not None and selectors.factor_of(key) is not None

    def gave_code(self, user_id: str, purpose: str, since: datetime) -> bool:
        key = _key(user_id)
        if key is None:
            return False
        # Of the authenticator in force: a code of one that was taken away since counts for nothing.
        given = CodeUse.objects.filter(user_id=key, purpose=purpose, created__gte=since)
        return given.filter(factor__removed__isnull=True).exists()


def _person(user: User) -> Person:
    return Person(str(user.id), user.name, user.email)


def _key(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
