"""Passwords: logging in, giving the password again, changing it.

Order of a check: (1) count the attempt and commit, so that parallel guesses cannot share one
count; (2) refuse beyond a limit before any password is looked at; (3) check, spending the same
time on an unknown name; (4) take the count back if the password was right; (5) record.

Guarantees at most `PAIR_LIMIT` wrong passwords per name and address in `WINDOW`, and
`ACCOUNT_LIMIT` per name over all addresses. Does not guarantee that nobody can keep someone else
out: whoever sends wrong passwords from many addresses reaches the second limit.

Call these outside ``in_workspace``: their entries belong to the platform's log.
"""

from datetime import datetime, timedelta
from math import ceil
from uuid import UUID

from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from audit.canonical import JSON
from audit.services import Actor, Draft, Subject, record
from audit.transactions import in_workspace
from countersign.accounts import rates
from countersign.accounts.models import User
from countersign.accounts.services.code import code_take
from policies.errors import Reason, Refusal

WINDOW = timedelta(minutes=15)
PAIR_LIMIT = 10
ACCOUNT_LIMIT = 50
ADDRESS_LIMIT = 100
NOBODY = Actor("user", "unknown", "Unknown person")
_WRONG = {
    "login": "User name or password is wrong.",
    "reauthentication": "That is not your password. Nothing was recorded.",
    "password_change": "That is not your present password. Nothing was changed.",
    "factor": "That is not your password. Nothing was changed.",
}
"""What the person is told; the attempt itself stands in the platform's log."""


def login(*, username: str, password: str, address: str, now: datetime) -> User | Refusal:
    """The person whose name and password these are. Starting the session is the door's part.

    ``address``: of the client, as the door sees it; only its keyed hash is kept.
    """
    username = username.strip()
    user = User.objects.filter(username__iexact=username, is_active=True).first()
    checked = _check("login", user, username, password, address, now)
    if isinstance(checked, Refusal):
        return checked
    _record("login.succeeded", checked)
    return checked


def reauthenticate(
    *,
    user_id: UUID,
    password: str,
    address: str,
    now: datetime,
    code: str = "",
    purpose: str = "",
) -> datetime | Refusal:
    """When the person gave the password again, for what must not rest on a session alone.

    Counts towards the same limits as a login: a stolen session is no place to guess. A code is
    looked at where one is given, after the password, and counts for ``purpose`` alone: the id of
    the request to be signed. Recovery codes sign nothing.
    """
    checked = password_given(
        "reauthentication", user_id=user_id, password=password, address=address, now=now
    )
    if isinstance(checked, Refusal):
        return checked
    with in_workspace(None):
        taken = code_take(user=checked, code=code, purpose=purpose, now=now) if code else None
        if isinstance(taken, Refusal):
            _record("reauthentication.failed", checked, {"reason": taken.reason.value})
            return taken
        _record("reauthentication.succeeded", checked, {"factor": taken.by} if taken else None)
        return now


def password_given(
    what: str, *, user_id: UUID, password: str, address: str, now: datetime
) -> User | Refusal:
    """The person, whose password this is; a wrong one is recorded as ``{what}.failed``."""
    user = User.objects.filter(id=user_id, is_active=True).first()
    name = user.username if user else str(user_id)
    return _check(what, user, name, password, address, now)


def logout(*, user_id: UUID) -> None:
    """Record that the person ended the session."""
    user = User.objects.filter(id=user_id).first()
    if user is not None:
        _record("session.ended", user)


def password_change(
    *, user_id: UUID, old: str, new: str, address: str, now: datetime
) -> User | Refusal:
    """Set a new password, given the old one. Other sessions of the person end by it."""
    checked = password_given(
        "password_change", user_id=user_id, password=old, address=address, now=now
    )
    if isinstance(checked, Refusal):
        return checked
    weakness = _weakness(new, old, checked)
    if weakness:
        refusal = Refusal(Reason.WEAK_PASSWORD, weakness)
        _record("password_change.refused", checked, {"reason": refusal.reason.value})
        return refusal
    with in_workspace(None):
        checked.set_password(new)
        checked.must_change_password = False
        checked.save(update_fields=["password", "must_change_password"])
        _record("password.changed", checked)
    return checked


def _check(
    what: str, user: User | None, username: str, password: str, address: str, now: datetime
) -> User | Refusal:
    limits = {
        rates.key("password", username.lower(), address): PAIR_LIMIT,
        rates.key("account", username.lower()): ACCOUNT_LIMIT,
        rates.key("address", address): ADDRESS_LIMIT,
    }
    with in_workspace(None):  # (1)
        # In one order everywhere: two attempts that share keys must not wait for each other.
        counts = {key: rates.tick(key, WINDOW, now) for key in sorted(limits)}
    over = max(counts[key] - limit for key, limit in limits.items())
    if over > 0:  # (2)
        return _locked(what, user, over, now)
    if not _matches(user, password) or user is None:  # (3)
        _record(f"{what}.failed", user, {"reason": Reason.WRONG_PASSWORD.value})
        return Refusal(Reason.WRONG_PASSWORD, _WRONG[what])
    with in_workspace(None):  # (4)
        for key in sorted(limits):
            rates.untick(key, WINDOW, now)
    return user


def _matches(user: User | None, password: str) -> bool:
    if user is None:
        make_password(password)  # an unknown name must not answer faster than a known one
        return False

    def upgrade(raw: str) -> None:
        User.objects.filter(id=user.id).update(password=make_password(raw))

    return check_password(password, user.password, setter=upgrade)


def _locked(what: str, user: User | None, over: int, now: datetime) -> Refusal:
    if rates.is_milestone(over):
        _record(f"{what}.failed", user, {"reason": Reason.LOCKED.value, "beyond_limit": over})
    wait = rates.left(WINDOW, now)
    sentence = f"Too many wrong passwords. Try again in {ceil(wait / 60)} minutes."
    return Refusal(Reason.LOCKED, sentence, wait)


def _weakness(new: str, old: str, user: User) -> str:
    if new == old:
        return "Choose a password other than the present one."
    try:
        validate_password(new, user)
    except ValidationError as error:
        return " ".join(error.messages)
    return ""


def _record(action: str, user: User | None, detail: dict[str, JSON] | None = None) -> None:
    actor = NOBODY if user is None else Actor("user", str(user.id), user.name)
    draft = Draft(action, actor, Subject("user", actor.id), detail=detail or {})
    with in_workspace(None):
        record(None, [draft])
