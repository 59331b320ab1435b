"""The second factor: setting an authenticator up, replacing and removing it, its recovery codes.

A session alone does nothing here: each act begins with the password, and with a code where there is
an authenticator already. Setting up has two steps. `factor_begin` makes a secret and a ticket that
only the page which answers holds; `factor_confirm` takes ticket and first code. Without the ticket
nobody, not in the same session either, gets to see the secret or to confirm it.

The secret lies sealed under the installation's key; recovery codes lie as digests. Neither is ever
in an entry of the log. Call these outside ``in_workspace``: their entries belong to the platform's
log. A lost authenticator without recovery codes is taken away by two people (``factor_reset``).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.core.signing import BadSignature, Signer
from django.db.models import QuerySet

from audit.canonical import JSON
from audit.services import Actor, Draft, Subject, record
from audit.transactions import in_workspace
from countersign.accounts import codes
from countersign.accounts.models import Factor, RecoveryCode, User
from countersign.accounts.services.code import (
    Given,
    code_take,
    in_force,
    note_use,
    opened,
    seal,
    step_given,
)
from countersign.accounts.services.login import password_given
from countersign.accounts.services.notice import About, tell
from policies.errors import Reason, Refusal

CONFIRM_WITHIN = timedelta(minutes=15)
"""From the password to the first code; then the secret is forgotten."""
_signer = Signer(salt="accounts.factor.ticket")
_LATE = Refusal(Reason.STATE, "This took too long, or was begun anew elsewhere. Begin again.")


@dataclass(frozen=True)
class Enrolment:
    """An authenticator that is being set up.

    Attributes:
        ticket: comes back with the first code; proves that the password was given.
        address: what the QR code says. text: the same secret, to be typed.
    """

    ticket: str
    address: str
    text: str


@dataclass(frozen=True)
class Unconfirmed:
    """The first code was wrong; the page shows the secret once more, to whoever has the ticket."""

    refusal: Refusal
    enrolment: Enrolment


def factor_begin(
    *, user_id: UUID, password: str, code: str = "", address: str, now: datetime
) -> Enrolment | Refusal:
    """Make the secret of a new authenticator; one in force stays until the new one is confirmed.

    ``code``: of the authenticator in force, or a recovery code; nothing where there is none.
    """
    user = password_given("factor", user_id=user_id, password=password, address=address, now=now)
    if isinstance(user, Refusal):
        return user
    with in_workspace(None):
        detail: dict[str, JSON] = {}
        if in_force(user.id) is not None:
            given = _given(user, code, "replacement", now)
            if isinstance(given, Refusal):
                return given
            detail = {"by": given.by}
        _forget(_unconfirmed(user), now)
        secret = codes.new_secret()
        factor = Factor(id=uuid4(), user=user, created=now)
        seal(factor, secret)
        factor.save(force_insert=True)
        record(None, [_entry("factor.begun", user, detail)])
        return _enrolment(factor, secret, user)


def factor_confirm(
    *, user_id: UUID, ticket: str, code: str, now: datetime
) -> list[str] | Unconfirmed | Refusal:
    """Let an authenticator count from now on; gives ten recovery codes, which nobody sees again."""
    with in_workspace(None):
        user = User.objects.select_for_update().get(id=user_id, is_active=True)
        factor = _ticketed(user, ticket, now)
        if factor is None:
            return _refuse(user, "confirm", _LATE)
        secret = opened(factor)
        step = step_given(factor, secret, codes.cleaned(code), now)
        if isinstance(step, Refusal):
            return Unconfirmed(_refuse(user, "confirm", step), _enrolment(factor, secret, user))
        replaced = _forget(_confirmed(user), now)
        factor.confirmed = now
        factor.save(update_fields=["confirmed"])
        note_use(factor, step, "enrolment", now)
        record(None, [_entry("factor.confirmed", user, {"replaced": bool(replaced)})])
        tell(user, About.ENROLLED, now)
        return _recovery_codes(factor)


def factor_remove(
    *, user_id: UUID, password: str, code: str, address: str, now: datetime
) -> Refusal | None:
    """Take one's own authenticator away, given its code or a recovery code."""
    user = password_given("factor", user_id=user_id, password=password, address=address, now=now)
    if isinstance(user, Refusal):
        return user
    with in_workspace(None):
        given = _given(user, code, "removal", now)
        if isinstance(given, Refusal):
            return given
        _forget(_confirmed(user), now)
        record(None, [_entry("factor.removed", user, {"by": given.by})])
        tell(user, About.REMOVED, now)
        return None


def recovery_codes_renew(
    *, user_id: UUID, password: str, code: str, address: str, now: datetime
) -> list[str] | Refusal:
    """Ten new recovery codes; those of before are void."""
    user = password_given("factor", user_id=user_id, password=password, address=address, now=now)
    if isinstance(user, Refusal):
        return user
    with in_workspace(None):
        given = _given(user, code, "recovery codes", now)
        if isinstance(given, Refusal):
            return given
        RecoveryCode.objects.filter(factor=given.factor, used__isnull=True).update(used=now)
        record(None, [_entry("factor.renewed", user, {"by": given.by})])
        tell(user, About.RENEWED, now)
        return _recovery_codes(given.factor)


def unconfirmed_forget(now: datetime) -> int:
    """Forget secrets that nobody confirmed in time; returns how many."""
    late = Factor.objects.filter(
        confirmed__isnull=True, removed__isnull=True, created__lt=now - CONFIRM_WITHIN
    )
    return _forget(late, now)


def factor_drop(user: User, now: datetime) -> bool:
    """Take somebody's authenticator away, for a caller who records why; whether there was one."""
    _forget(_unconfirmed(user), now)
    return bool(_forget(_confirmed(user), now))


def _given(user: User, code: str, purpose: str, now: datetime) -> Given | Refusal:
    """A right code or recovery code; anything else is recorded as refused."""
    given = code_take(user=user, code=code, purpose=purpose, now=now, recovery=True)
    return _refuse(user, purpose, given) if isinstance(given, Refusal) else given


def _ticketed(user: User, ticket: str, now: datetime) -> Factor | None:
    try:
        factor_id = _signer.unsign(ticket)
    except BadSignature:
        return None
    begun = _unconfirmed(user).filter(id=factor_id, created__gte=now - CONFIRM_WITHIN)
    return begun.first()


def _unconfirmed(user: User) -> QuerySet[Factor]:
    return Factor.objects.filter(user=user, confirmed__isnull=True, removed__isnull=True)


def _confirmed(user: User) -> QuerySet[Factor]:
    return Factor.objects.filter(user=user, confirmed__isnull=False, removed__isnull=True)


def _forget(factors: QuerySet[Factor], now: datetime) -> int:
    return factors.update(removed=now, sealed=b"")


def _enrolment(factor: Factor, secret: bytes, user: User) -> Enrolment:
    return Enrolment(
        ticket=_signer.sign(str(factor.id)),
        address=codes.address_of(secret, user.username),
        text=codes.text_of(secret),
    )


def _recovery_codes(factor: Factor) -> list[str]:
    made = codes.new_recovery_codes()
    RecoveryCode.objects.bulk_create(
        [RecoveryCode(factor=factor, digest=codes.digest_of(factor.id, code)) for code in made]
    )
    return made


def _refuse(user: User, attempt: str, refusal: Refusal) -> Refusal:
    detail: dict[str, JSON] = {"attempt": attempt, "reason": refusal.reason.value}
    record(None, [_entry("factor.refused", user, detail)])
    return refusal


def _entry(action: str, user: User, detail: dict[str, JSON]) -> Draft:
    actor = Actor("user", str(user.id), user.name)
    return Draft(action, actor, Subject("user", actor.id), detail=detail)
