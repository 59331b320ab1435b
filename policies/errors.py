"""Refusals and errors of the policies room.

A refusal is a value: the caller shows its sentence and the transaction that holds its log
entry commits. An exception would roll that entry back. The errors below are faults.
"""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why something was refused; stable words for the API and for tests."""

    # accounts
    NOT_A_PERSON = "not_a_person"
    INACTIVE = "inactive"
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - the name of a refusal
    LOCKED = "locked"
    RATE_LIMITED = "rate_limited"
    WRONG_CODE = "wrong_code"
    USED_CODE = "used_code"
    NOT_ENROLLED = "not_enrolled"
    ENROLLED = "enrolled"
    WEAK_PASSWORD = "weak_password"  # noqa: S105 - the name of a refusal
    UNKNOWN_TOKEN = "unknown_token"  # noqa: S105 - the name of a refusal
    EXPIRED_TOKEN = "expired_token"  # noqa: S105 - the name of a refusal
    REVOKED_TOKEN = "revoked_token"  # noqa: S105 - the name of a refusal
    SCOPE = "scope"
    OWN_ROLES = "own_roles"
    LAST_ADMIN = "last_admin"
    LAST_OFFICER = "last_officer"
    # approvals
    NOT_FOUND = "not_found"
    ROLE = "role"
    REQUESTER = "requester"
    NOT_REQUESTER = "not_requester"
    BARRED = "barred"
    ALREADY_VOTED = "already_voted"
    STATE = "state"
    SIGN_BY = "sign_by"
    EXECUTE_BY = "execute_by"
    DISPLAYED = "displayed"
    REAUTHENTICATE = "reauthenticate"
    FACTOR = "factor"
    INCOMPLETE = "incomplete"
    CONSUMED = "consumed"
    BINDING = "binding"
    POLICY_CHANGED = "policy_changed"
    VOTER_INELIGIBLE = "voter_ineligible"
    POLICY = "policy"
    NOT_READY = "not_ready"


@dataclass(frozen=True)
class Refusal:
    """Why something may not happen.

    Attributes:
        sentence: what a person is shown; says what to do where something can be done.
        retry_after_s: whole seconds after which trying again makes sense; 0 where it never does.
    """

    reason: Reason
    sentence: str
    retry_after_s: int = 0


class PoliciesError(Exception):
    """Base of this room."""


class InvalidRequest(PoliciesError):
    """The caller asked for an approval that cannot mean anything, such as one by nobody."""


class NotFound(PoliciesError):
    """This workspace has no such row; a door answers 404."""


class KeyReused(PoliciesError):
    """The caller's key for a proposal was used for another one; a door answers 409."""
