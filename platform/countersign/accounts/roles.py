"""The roles a person may hold in a workspace, and the permission each one grants.

A role is text: ``operator``, ``policy_officer``, ``auditor``, ``admin`` or ``reviewer:<group>``.
For django-guardian each (workspace, role) is one Group which holds one object permission on
the Workspace; a person has the role by being in that group *and* by a Membership naming it.
"""

import re
from enum import StrEnum
from uuid import UUID

from countersign.accounts.errors import InvalidRole

REVIEWER_PREFIX = "reviewer:"
ANY_REVIEWER = "reviewer"
"""What a policy may ask for instead of a group; whoever reviews for any group holds it."""

# A label in URLs, group names (150 characters with the workspace's id) and policy text.
_REVIEWER = re.compile(r"reviewer:[a-z][a-z0-9_-]{0,47}")


class Role(StrEnum):
    OPERATOR = "operator"
    POLICY_OFFICER = "policy_officer"
    AUDITOR = "auditor"
    ADMIN = "admin"


class Permission(StrEnum):
    """Codenames of the object permissions on a Workspace."""

    OPERATE = "operate"
    SET_POLICY = "set_policy"
    AUDIT = "audit"
    ADMINISTER = "administer"
    REVIEW = "review"


_GRANTS = {
    Role.OPERATOR: Permission.OPERATE,
    Role.POLICY_OFFICER: Permission.SET_POLICY,
    Role.AUDITOR: Permission.AUDIT,
    Role.ADMIN: Permission.ADMINISTER,
}


def parse_role(text: str) -> str:
    """The role in its one spelling.

    Raises:
        InvalidRole: the caller's text names no role; the message lists what exists.
    """
    if text in _GRANTS or _REVIEWER.fullmatch(text):
        return str(text)
    known = ", ".join([*_GRANTS, "reviewer:<group>"])
    raise InvalidRole(f"There is no role {text!r}. Roles are: {known}.")


def permission_of(role: str) -> Permission:
    """The object permission that ``role`` grants on its workspace."""
    parse_role(role)
    return Permission.REVIEW if role.startswith(REVIEWER_PREFIX) else _GRANTS[Role(role)]


def group_name(workspace_id: UUID, role: str) -> str:
    """Name of the Group behind one role in one workspace."""
    return f"{workspace_id}:{role}"
