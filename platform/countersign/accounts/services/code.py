"""Checking a one-time code, for whatever it is given.

Order of a check, under the lock of the person's row: (1) is an authenticator set up; (2) is there a
wait, then nothing is looked at; (3) is it a code of this moment, or a recovery code where one may
serve; (4) was it, or a later one, given before; (5) note its use, for this purpose.

Guarantees: each code is taken once, whoever sends it how often and at once (the lock, and a unique
constraint behind it); four wrong codes are free, each further one doubles the wait, up to an hour,
over all sessions and addresses. Does not guarantee that nobody can keep someone else from signing:
whoever knows the password can make that person wait.

The caller's transaction is the platform's, and commits whatever comes of it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from uuid import UUID

from audit.errors import KeyUnavailable
from audit.keys import wrapper
from countersign.accounts import codes
from countersign.accounts.models import CodeUse, Factor, RecoveryCode, User
from countersign.accounts.services.notice import About, tell
from policies.errors import Reason, Refusal

FREE_FAILURES = 4
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)
TOTP, RECOVERY = "totp", "recovery_code"


@dataclass(frozen=True)
class Given:
    """A right code: which authenticator it counts for, and how it was given."""

    factor: Factor
    by: str


NOT_ENROLLED = Refusal(Reason.NOT_ENROLLED, "You have no authenticator set up.")
_WRONG = Refusal(Reason.WRONG_CODE, "That is not the code your authenticator shows now.")
_USED = Refusal(
    Reason.USED_CODE, "This code was used before. Wait for the next one; each counts once."
)


def code_take(
    *, user: User, code: str, purpose: str, now: datetime, recovery: bool = False
) -> Given | Refusal:
    """Use up a code for one purpose.

    Args:
        purpose: the id of what is signed, or a word for the act.
        recovery: whether a recovery code serves as well.
    """
    User.objects.select_for_update().get(id=user.id)
    factor = in_force(user.id)
    if factor is None:  # (1)
        return NOT_ENROLLED
    if factor.wait_until is not None and now < factor.wait_until:  # (2)
        return _wait(factor.wait_until - now)
    text = codes.cleaned(code)
    if codes.is_code(text):
        return _authenticator(factor, text, purpose, now)
    if not (recovery and _recovery(factor, text, now)):  # (3)
        return _failed(factor, now)
    tell(user, About.RECOVERY_CODE, now)
    return _right(factor, RECOVERY)


def in_force(user_id: UUID) -> Factor | None:
    """The authenticator that counts for this person."""
    return Factor.objects.filter(
        user_id=user_id, confirmed__isnull=False, removed__isnull=True
    ).first()


def seal(factor: Factor, secret: bytes) -> None:
    """Put the secret into the row, encrypted and bound to row and person."""
    key = wrapper()
    factor.wrapping_key = key.name
    factor.sealed = key.wrap(secret, _context(factor))


def opened(factor: Factor) -> bytes:
    """The secret.

    Raises:
        KeyUnavailable: the wrapping key is out of reach, or the row is not what was sealed.
    """
    return wrapper().unwrap(bytes(factor.sealed), _context(factor))


def step_given(factor: Factor, secret: bytes, code: str, now: datetime) -> int | Refusal:
    """The step that a code is of, if neither it nor a later one was given before."""
    step = codes.matching(secret, code, now)  # (3)
    if step is None:
        return _WRONG
    if CodeUse.objects.filter(factor=factor, step__gte=step).exists():  # (4)
        return _USED
    return step


def note_use(factor: Factor, step: int, purpose: str, now: datetime) -> None:
    CodeUse.objects.create(  # (5)
        user_id=factor.user_id, factor=factor, step=step, purpose=purpose, created=now
    )


def _authenticator(factor: Factor, code: str, purpose: str, now: datetime) -> Given | Refusal:
    try:
        step = step_given(factor, opened(factor), code, now)
    except KeyUnavailable:
        return Refusal(
            Reason.LOCKED, "Codes cannot be checked: the installation's key is out of reach."
        )
    if isinstance(step, int):
        note_use(factor, step, purpose, now)
        return _right(factor, TOTP)
    # Who sends a code again did not guess it.
    return step if step.reason is Reason.USED_CODE else _failed(factor, now)


def _recovery(factor: Factor, code: str, now: datetime) -> bool:
    unused = list(RecoveryCode.objects.filter(factor=factor, used__isnull=True))
    digest = codes.digest_of(factor.id, code)
    if not codes.among(digest, [each.digest for each in unused]):
        return False
    RecoveryCode.objects.filter(factor=factor, digest=digest).update(used=now)
    return True


def _right(factor: Factor, by: str) -> Given:
    Factor.objects.filter(id=factor.id).update(failures=0, wait_until=None)
    return Given(factor, by)


def _failed(factor: Factor, now: datetime) -> Refusal:
    failures = factor.failures + 1
    over = failures - FREE_FAILURES
    wait = min(FIRST_WAIT * 2 ** min(over - 1, 16), LONGEST_WAIT) if over > 0 else None
    until = None if wait is None else now + wait
    Factor.objects.filter(id=factor.id).update(failures=failures, wait_until=until)
    return _WRONG if wait is None else _wait(wait)


def _wait(left: timedelta) -> Refusal:
    seconds = max(ceil(left.total_seconds()), 1)
    told = f"{seconds} seconds" if seconds < 120 else f"{ceil(seconds / 60)} minutes"
    return Refusal(Reason.LOCKED, f"Too many wrong codes. Try again in {told}.", seconds)


def _context(factor: Factor) -> bytes:
    return b"accounts.factor:" + factor.id.bytes + factor.user_id.bytes
