"""Ask an RFC 3161 time-stamping authority to date a checkpoint.

The message imprint is SHA-256 over the checkpoint's text (its three lines, without
signatures). The answer is checked for form, imprint and nonce here; its signature is
checked by whoever trusts the authority, with the certificate from his own hand.
"""

import hashlib
import secrets

from audit.anchors.base import Submission
from audit.anchors.http import address, post
from audit.errors import AnchorRefused, AnchorUnavailable
from audit.verifier import countersign_verify as verifier

HOUR = 3600.0
_SHA256 = bytes.fromhex("300d06096086480165030402010500")
_VERSION = b"\x02\x01\x01"
_CERTIFICATE = b"\x01\x01\xff"


class TimestampAnchor:
    """A time-stamping authority at `url`."""

    kind = "rfc3161"

    def __init__(self, name: str, url: str, every_s: float = HOUR) -> None:
        self.name = name
        self.where = address(url)
        self.every_s = every_s
        self._url = url

    def submit(self, submission: Submission) -> bytes:
        """Return the TimeStampResp, DER."""
        digest = hashlib.sha256(submission.note.head.text.encode()).digest()
        nonce = secrets.randbits(63) | 1
        answer = post(self._url, request(digest, nonce), "application/timestamp-query")
        if answer.status != 200:
            raise AnchorUnavailable(f"{self.name} answered {answer.status}")
        try:
            token = verifier.parse_timestamp(answer.body)
        except verifier.Malformed as error:
            raise AnchorRefused(f"{self.name}: {error}") from error
        if token.imprint != digest or token.nonce != nonce:
            raise AnchorRefused(f"{self.name} stamped something else")
        return answer.body


def request(digest: bytes, nonce: int) -> bytes:
    """Return a TimeStampReq for a SHA-256 digest, DER (RFC 3161 §2.4.1)."""
    imprint = _sequence(_SHA256 + _tagged(0x04, digest))
    number = nonce.to_bytes(nonce.bit_length() // 8 + 1, "big")
    return _sequence(_VERSION + imprint + _tagged(0x02, number) + _CERTIFICATE)


def _sequence(content: bytes) -> bytes:
    return _tagged(0x30, content)


def _tagged(tag: int, content: bytes) -> bytes:
    # Everything a request holds is shorter than 128 bytes: one length byte.
    return bytes([tag, len(content)]) + content
