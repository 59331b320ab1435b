"""What can go wrong with people and accounts.

A refusal (wrong password, expired token) is a value, ``policies.errors.Refusal``; the errors
here are faults of the caller.
"""


class AccountsError(Exception):
    """Base of this room."""


class InvalidRoleError(AccountsError):
    """The text names no role."""


class InvalidPersonError(AccountsError):
    """The description of a person, workspace or account cannot be used; the message says why."""


class UnknownAccountError(AccountsError):
    """The person, membership, service account or token does not exist in this workspace."""
