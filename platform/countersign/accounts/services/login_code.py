"""The one-time code at login: what lies between the right password and the session.

``settings.COUNTERSIGN_LOGIN_TOTP`` says who is asked: nobody (``off``), whoever has an
authenticator (``enrolled``), or everybody (``required``: whoever has none must set one up before
anything else).

After the password a *ticket* goes to the browser that sent it. Order of the second step: (1) is the
ticket ours; (2) count the attempt, and refuse beyond a limit before a code is looked at; (3) under
the lock of the person's row, is the ticket still good; (4) take the code, or a recovery code;
(5) record; (6) take the count back if the code was right.

Guarantees: no session exists before the code. A ticket is good for five minutes, for this step
alone, and no longer than password, authenticator and last login are what they were when it was
given; it holds nothing secret. Limits are those of passwords, and those of wrong codes (``code``)
beside them. Only who knows the password learns whether there is an authenticator.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.utils.crypto import constant_time_compare, salted_hmac

from audit.transactions import in_workspace
from countersign.accounts.models import Factor, User
from countersign.accounts.services import attempts
from countersign.accounts.services.code import Given, code_take, in_force
from policies.errors import Reason, Refusal

CODE_WITHIN = timedelta(minutes=5)
"""From the password to the code."""
PURPOSE = "login"
_SALT = "accounts.login.ticket"
_signer = Signer(salt=_SALT)
_LATE = Refusal(Reason.STATE, "This took too long, or something has changed since. Log in again.")


class CodeAtLogin(StrEnum):
    """Who is asked for a code; the values of the setting."""

    OFF = "off"
    ENROLLED = "enrolled"
    REQUIRED = "required"


@dataclass(frozen=True)
class HalfLogin:
    """The password was right; a code is still to come, with this ticket."""

    ticket: str


@dataclass(frozen=True)
class FullLogin:
    """Who has come in by a code of which authenticator; ``by``: "totp" or "recovery_code"."""

    user: User
    factor: UUID
    by: str


def code_at_login() -> CodeAtLogin:
    return CodeAtLogin(settings.COUNTERSIGN_LOGIN_TOTP)


def half_login(user: User, now: datetime) -> HalfLogin | None:
    """A ticket for whoever has to give a code; None for whoever the password lets in."""
    factor = None if code_at_login() is CodeAtLogin.OFF else in_force(user.id)
    if factor is None:
        return None
    # The check of the password may have stored it anew, by a newer hasher.
    user.refresh_from_db(fields=["password", "last_login"])
    attempts.note("login.begun", user)
    ticket = {"user": str(user.id), "at": int(now.timestamp()), "state": _state(user, factor)}
    return HalfLogin(_signer.sign_object(ticket))


def login_is_half(*, ticket: str, now: datetime) -> bool:
    """Whether a code is worth asking for: there is a ticket of ours that is not too old."""
    known = _read(ticket)
    return known is not None and _in_time(known, now)


def login_finish(*, ticket: str, code: str, address: str, now: datetime) -> FullLogin | Refusal:
    """Let the person in whose ticket and code these are. Starting the session is the door's part.

    A refusal for ``Reason.STATE`` ends this login: it begins again with the password.
    """
    known = _read(ticket)  # (1)
    if known is None:
        return _LATE
    user = User.objects.filter(id=known["user"]).first()
    limits = attempts.limits_of("code", known["user"], address)
    over = attempts.count(limits, now)  # (2)
    if over > 0:
        return attempts.locked("login", user, over, now, of="codes")
    with in_workspace(None):
        given = _taken(known, code, now)
        if isinstance(given, Refusal):
            attempts.note("login.failed", user, {"reason": given.reason.value, "with": "code"})
            return given
        attempts.note("login.succeeded", given.user, {"factor": given.by})  # (5)
    attempts.take_back(limits, now)  # (6)
    return given


def _taken(known: dict[str, str], code: str, now: datetime) -> FullLogin | Refusal:
    user = User.objects.select_for_update().filter(id=known["user"], is_active=True).first()
    factor = None if user is None else in_force(user.id)
    if user is None or factor is None or not _in_time(known, now):  # (3)
        return _LATE
    if not constant_time_compare(_state(user, factor), known["state"]):
        return _LATE
    given = code_take(user=user, code=code, purpose=PURPOSE, now=now, recovery=True)  # (4)
    return FullLogin(user, given.factor.id, given.by) if isinstance(given, Given) else given


def _read(ticket: str) -> dict[str, str] | None:
    try:
        found = _signer.unsign_object(ticket)
    except BadSignature:
        return None
    return {key: str(value) for key, value in found.items()}


def _in_time(known: dict[str, str], now: datetime) -> bool:
    return now - datetime.fromtimestamp(int(known["at"]), UTC) <= CODE_WITHIN


def _state(user: User, factor: Factor) -> str:
    """What must not change between password and code: a login in between voids the ticket too."""
    parts = (str(user.id), user.password, str(user.last_login), str(factor.id))
    return salted_hmac(_SALT, "\0".join(parts), algorithm="sha256").hexdigest()
