"""What can go wrong with people and accounts.

A refusal (wrong password, expired token) is a value, ``policies.errors.Refusal``; the errors
here are faults of the caller.
"""


class AccountsError(Exception):
    """Base of this room."""


class InvalidRole(AccountsError):
    """The text names no role."""


class InvalidScope(AccountsError):
    """The text names no scope of a token."""


class InvalidPerson(AccountsError):
    """The description of a person, workspace or account cannot be used; the message says why."""


class UnknownAccount(AccountsError):
    """The person, membership, service account or token does not exist in this workspace."""
