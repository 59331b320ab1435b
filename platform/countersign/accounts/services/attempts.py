"""Attempts to get in, by password or by code: how many, what is said beyond, what is recorded.

Counts are committed before anything is looked at, so that parallel guesses cannot share one count;
a right one is taken back. Call these outside ``in_workspace``: their entries belong to the
platform's log.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from math import ceil

from audit.canonical import JSON
from audit.services import Actor, Draft, Subject, record
from audit.transactions import in_workspace
from countersign.accounts import rates
from countersign.accounts.models import User
from policies.errors import Reason, Refusal

WINDOW = timedelta(minutes=15)
PAIR_LIMIT = 10
ACCOUNT_LIMIT = 50
ADDRESS_LIMIT = 100
NOBODY = Actor("user", "unknown", "Unknown person")


def limits_of(kind: str, name: str, address: str) -> dict[str, int]:
    """Key → limit: per name and address, per name over all addresses, per address.

    Passwords and codes of one address share its limit.
    """
    per_name = "account" if kind == "password" else f"{kind}-account"
    return {
        rates.key(kind, name, address): PAIR_LIMIT,
        rates.key(per_name, name): ACCOUNT_LIMIT,
        rates.key("address", address): ADDRESS_LIMIT,
    }


def count(limits: Mapping[str, int], now: datetime) -> int:
    """Count an attempt; gives how far beyond a limit it is, at most 0 where it is allowed."""
    with in_workspace(None):
        # In one order everywhere: two attempts that share keys must not wait for each other.
        counts = {key: rates.tick(key, WINDOW, now) for key in sorted(limits)}
    return max(counts[key] - limit for key, limit in limits.items())


def take_back(limits: Mapping[str, int], now: datetime) -> None:
    """The attempt was right: it counts towards no limit."""
    with in_workspace(None):
        for key in sorted(limits):
            rates.untick(key, WINDOW, now)


def locked(what: str, user: User | None, over: int, now: datetime, *, of: str) -> Refusal:
    """Refuse an attempt beyond a limit; a flood leaves a trace without flooding the log.

    ``of``: "passwords" or "codes".
    """
    if rates.is_milestone(over):
        note(f"{what}.failed", user, {"reason": Reason.LOCKED.value, "beyond_limit": over})
    wait = rates.left(WINDOW, now)
    sentence = f"Too many wrong {of}. Try again in {ceil(wait / 60)} minutes."
    return Refusal(Reason.LOCKED, sentence, wait)


def note(action: str, user: User | None, detail: dict[str, JSON] | None = None) -> None:
    """Record what somebody did about getting in."""
    actor = NOBODY if user is None else Actor("user", str(user.id), user.name)
    draft = Draft(action, actor, Subject("user", actor.id), detail=detail or {})
    with in_workspace(None):
        record(None, [draft])
