"""Passwords: logging in, giving the password again, changing it.

Order of a check: (1) count the attempt and commit, so that parallel guesses cannot share one
count; (2) refuse beyond a limit before any password is looked at; (3) check, spending the same
time on an unknown name; (4) take the count back if the password was right; (5) record.

Guarantees at most `PAIR_LIMIT` wrong passwords per name and address in `WINDOW`, and
`ACCOUNT_LIMIT` per name over all addresses (``attempts``). Does not guarantee that nobody can keep
someone else out: whoever sends wrong passwords from many addresses reaches the second limit.

Call these outside ``in_workspace``: their entries belong to the platform's log.
"""

from datetime import datetime
from uuid import UUID

from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from audit.transactions import in_workspace
from countersign.accounts.models import User
from countersign.accounts.services import attempts
from countersign.accounts.services.code import code_take
from countersign.accounts.services.login_code import HalfLogin, half_login
from countersign.accounts.services.notice import About, tell
from policies.errors import Reason, Refusal

_WRONG = {
    "login": "User name or password is wrong.",
    "reauthentication": "That is not your password. Nothing was done; the attempt is in the log.",
    "password_change": "That is not your present password. Nothing was changed.",
    "factor": "That is not your password. Nothing was changed.",
}
"""What the person is told; the attempt itself stands in the platform's log."""


def login(
    *, username: str, password: str, address: str, now: datetime
) -> User | HalfLogin | Refusal:
    """The person whose name and password these are. Starting the session is the door's part.

    ``address``: of the client, as the door sees it; only its keyed hash is kept. Where a code is
    asked for as well, ``login_finish`` gives the person.
    """
    username = username.strip()
    user = User.objects.filter(username__iexact=username, is_active=True).first()
    checked = _check("login", user, username, password, address, now)
    if isinstance(checked, Refusal):
        return checked
    half = half_login(checked, now)
    if half is not None:
        return half
    attempts.note("login.succeeded", checked)
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
            attempts.note("reauthentication.failed", checked, {"reason": taken.reason.value})
            return taken
        attempts.note(
            "reauthentication.succeeded", checked, {"factor": taken.by} if taken else None
        )
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
        attempts.note("session.ended", user)


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
        attempts.note("password_change.refused", checked, {"reason": refusal.reason.value})
        return refusal
    with in_workspace(None):
        checked.set_password(new)
        checked.must_change_password = False
        checked.save(update_fields=["password", "must_change_password"])
        attempts.note("password.changed", checked)
        tell(checked, About.PASSWORD, now)
    return checked


def _check(
    what: str, user: User | None, username: str, password: str, address: str, now: datetime
) -> User | Refusal:
    limits = attempts.limits_of("password", username.lower(), address)
    over = attempts.count(limits, now)  # (1)
    if over > 0:  # (2)
        return attempts.locked(what, user, over, now, of="passwords")
    if not _matches(user, password) or user is None:  # (3)
        attempts.note(f"{what}.failed", user, {"reason": Reason.WRONG_PASSWORD.value})
        return Refusal(Reason.WRONG_PASSWORD, _WRONG[what])
    attempts.take_back(limits, now)  # (4)
    return user


def _matches(user: User | None, password: str) -> bool:
    if user is None:
        make_password(password)  # an unknown name must not answer faster than a known one
        return False

    def upgrade(raw: str) -> None:
        User.objects.filter(id=user.id).update(password=make_password(raw))

    return check_password(password, user.password, setter=upgrade)


def _weakness(new: str, old: str, user: User) -> str:
    if new == old:
        return "Choose a password other than the present one."
    try:
        validate_password(new, user)
    except ValidationError as error:
        return " ".join(error.messages)
    return ""
