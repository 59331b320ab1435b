"""What a service account's token may be used for. None of them is voting."""

from collections.abc import Iterable
from enum import StrEnum

from countersign.accounts.errors import InvalidScope


class Scope(StrEnum):
    RUNS_READ = "runs:read"
    RUNS_START = "runs:start"
    RUNS_CONTROL = "runs:control"
    KILL_SWITCHES_READ = "kill_switches:read"
    KILL_SWITCHES_SET = "kill_switches:set"
    APPROVALS_READ = "approvals:read"
    MASKS_OPEN = "masks:open"
    REGISTRY_READ = "registry:read"
    REGISTRY_CHANGE = "registry:change"
    AUDIT_READ = "audit:read"
    AUDIT_EXPORT = "audit:export"


def parse_scopes(texts: Iterable[str]) -> frozenset[Scope]:
    """The scopes, at least one.

    Raises:
        InvalidScope: nothing given, or a word that is no scope; the message lists what exists.
    """
    known = ", ".join(Scope)
    try:
        scopes = frozenset(Scope(text) for text in texts)
    except ValueError as error:
        raise InvalidScope(f"{error}. Scopes are: {known}.") from error
    if not scopes:
        raise InvalidScope(f"A token needs at least one scope. Scopes are: {known}.")
    return scopes
