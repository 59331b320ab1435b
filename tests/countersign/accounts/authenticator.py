"""An authenticator app, as far as a test needs one: what was typed into it, and its codes."""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

from countersign.accounts.services import Enrolment, factor_begin, factor_confirm
from tests.countersign.accounts.cast import NOW, Cast

HOME = "192.0.2.7"
STEP = timedelta(seconds=30)


@dataclass(frozen=True)
class Phone:
    """Calculates by itself: RFC 6238 over the secret's text, with nothing of the product."""

    text: str

    def code(self, now: datetime = NOW) -> str:
        key = base64.b32decode(self.text.replace(" ", ""))
        counter = (int(now.timestamp()) // 30).to_bytes(8, "big")
        mac = hmac.new(key, counter, hashlib.sha1).digest()
        at = mac[-1] & 15
        number = int.from_bytes(mac[at : at + 4], "big") & 0x7FFFFFFF
        return f"{number % 1_000_000:06d}"

    def wrong(self, now: datetime = NOW) -> str:
        """A code of none of the steps around."""
        right = {self.code(now + n * STEP) for n in (-1, 0, 1)}
        return next(code for code in ("000000", "111111", "222222", "333333") if code not in right)


@dataclass(frozen=True)
class Enrolled:
    phone: Phone
    recovery: list[str]


def begin(cast: Cast, name: str, now: datetime = NOW, code: str = "") -> Enrolment:
    begun = factor_begin(
        user_id=cast.id(name), password=cast.passwords[name], code=code, address=HOME, now=now
    )
    assert isinstance(begun, Enrolment), begun
    return begun


def enrol(cast: Cast, name: str, now: datetime = NOW - timedelta(minutes=10)) -> Enrolled:
    """Someone's authenticator, set up ten minutes ago unless told otherwise."""
    begun = begin(cast, name, now)
    phone = Phone(begun.text)
    made = factor_confirm(user_id=cast.id(name), ticket=begun.ticket, code=phone.code(now), now=now)
    assert isinstance(made, list), made
    return Enrolled(phone, made)
