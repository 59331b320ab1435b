"""One-time codes by RFC 6238: six digits, SHA-1, steps of thirty seconds; and recovery codes. Pure.

The algorithm is the one that every authenticator app knows; the calculation is `cryptography`'s.
The step before and the one after count too, for clocks that differ by half a minute.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import segno
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.hotp import HOTP
from cryptography.hazmat.primitives.twofactor.totp import TOTP

DIGITS = 6
STEP_S = 30
SEALED_BYTES = 32
"""What the installation's key seals; the secret is the beginning of it."""
SECRET_BYTES = 20
RECOVERY_CODES = 10
ISSUER = "Countersign"
# Without 0, 1, i, l, o: people copy these from paper.
ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"


def new_secret() -> bytes:
    """32 random bytes, of which the first 20 are the secret."""
    return secrets.token_bytes(SEALED_BYTES)


def text_of(secret: bytes) -> str:
    """The secret as authenticator apps take it by hand: base 32, in groups of four."""
    text = base64.b32encode(secret[:SECRET_BYTES]).decode()
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def address_of(secret: bytes, username: str) -> str:
    """The otpauth address, which holds the secret, for the picture that a phone reads."""
    totp = TOTP(secret[:SECRET_BYTES], DIGITS, SHA1(), STEP_S)  # noqa: S303 - HMAC; what apps know
    return totp.get_provisioning_uri(username, ISSUER)


def picture_of(address: str) -> tuple[int, str]:
    """A QR code: its side in modules with the quiet border, and the path that draws it.

    A path in modules, so that the template can draw it without inline style.
    """
    border = 4
    rows = tuple(segno.make_qr(address, error="m").matrix)
    path = "".join(
        f"M{x + border} {y + border}h1v1h-1z"
        for y, row in enumerate(rows)
        for x, dark in enumerate(row)
        if dark
    )
    return len(rows) + 2 * border, path


def step_of(now: datetime) -> int:
    """The step that ``now`` lies in."""
    return int(now.timestamp()) // STEP_S


def code_at(secret: bytes, step: int) -> str:
    """The code of one step."""
    return HOTP(secret[:SECRET_BYTES], DIGITS, SHA1()).generate(step).decode()  # noqa: S303 - as above


def matching(secret: bytes, code: str, now: datetime) -> int | None:
    """The step whose code this is, of the present one and its neighbours; None where it is of none.

    All three are compared, each in constant time: how long it takes says nothing.
    """
    here = step_of(now)
    found = None
    for step in (here - 1, here + 1, here):
        if hmac.compare_digest(code_at(secret, step).encode(), code.encode()):
            found = step
    return found


def is_code(text: str) -> bool:
    """Whether this has the form of an authenticator's code."""
    return len(text) == DIGITS and text.isascii() and text.isdigit()


def cleaned(text: str) -> str:
    """A code as people type it, without spaces and hyphens, in small letters."""
    return "".join(text.split()).replace("-", "").lower()


def new_recovery_codes() -> list[str]:
    """Ten codes to be shown once, as in "abcd-efgh-jkmn-pqrs"."""
    return [readable(4) for _ in range(RECOVERY_CODES)]


def readable(groups: int) -> str:
    """Random groups of four, almost 20 bits each."""
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(4)) for _ in range(groups))


def digest_of(factor: UUID, code: str) -> str:
    """What is stored of a recovery code."""
    return hashlib.sha256(factor.bytes + cleaned(code).encode()).hexdigest()


def among(digest: str, stored: Iterable[str]) -> bool:
    """Whether a digest is one of these; looks at all of them, each in constant time."""
    found = False
    for each in stored:
        found |= hmac.compare_digest(digest, each)
    return found
