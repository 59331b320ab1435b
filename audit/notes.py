"""C2SP signed notes, checkpoints and cosignatures, in bytes.

A note is text, an empty line, and signature lines `— <name> base64(key id ‖ signature)`.
A checkpoint is a note of three lines: origin, size, base64 of the root. Formats:
c2sp.org/signed-note, /tlog-checkpoint, /tlog-cosignature (all v1.0.0).

Guarantees: what parses is exactly what the specification writes; a signature counts only
under the very name and key id asked for. Extension lines are refused: witnesses do not
vouch for them, so they are a place to smuggle text.

Pure: no Django, no clock, no I/O.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit.errors import AuditError

LOG = 0x01
"""Signature type of a log: Ed25519 over the note's text."""
WITNESS = 0x04
"""Signature type of a witness: Ed25519 cosignature/v1, with the witness's time."""

_DASH = "\u2014"


class NoteError(AuditError):
    """Not a well-formed note, checkpoint or key; whoever wrote it is at fault."""


class Signer(Protocol):
    """Holds an Ed25519 key, perhaps in another machine."""

    @property
    def public(self) -> bytes:
        """The public key, 32 raw bytes."""

    def sign(self, message: bytes) -> bytes:
        """Return the signature, 64 raw bytes."""


class LocalSigner:
    """An Ed25519 key in this process."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)

    @property
    def public(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


@dataclass(frozen=True)
class VerifierKey:
    """A key to verify with: `<name>+<key id>+<base64(type ‖ key)>` in text."""

    name: str
    kind: int
    public: bytes

    @property
    def id(self) -> bytes:
        """First 4 bytes of SHA-256(name ‖ newline ‖ type ‖ key)."""
        content = self.name.encode() + b"\n" + bytes([self.kind]) + self.public
        return hashlib.sha256(content).digest()[:4]

    def __str__(self) -> str:
        material = base64.b64encode(bytes([self.kind]) + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{material}"

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """Read a key.

        Raises:
            NoteError: Malformed, or its id does not fit its material.
        """
        try:
            name, key_id, material = text.strip().split("+", 2)
            raw = base64.b64decode(material, validate=True)
        except (ValueError, binascii.Error) as error:
            raise NoteError(f"not a verifier key: {text!r}") from error
        if len(raw) != 33 or raw[0] not in (LOG, WITNESS) or not _name_fits(name):
            raise NoteError(f"not an Ed25519 verifier key: {text!r}")
        key = cls(name, raw[0], raw[1:])
        if key.id.hex() != key_id:
            raise NoteError(f"the id of the key {name} does not fit it")
        return key


@dataclass(frozen=True)
class Signature:
    """One signature line."""

    name: str
    key_id: bytes
    body: bytes

    def __str__(self) -> str:
        return f"{_DASH} {self.name} {base64.b64encode(self.key_id + self.body).decode()}\n"


@dataclass(frozen=True)
class Head:
    """What a checkpoint says: the log's name, its size and root (32 raw bytes)."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@dataclass(frozen=True)
class Note:
    """A checkpoint with its signatures, none of them verified yet."""

    head: Head
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return self.head.text + "\n" + "".join(map(str, self.signatures))

    def with_signatures(self, more: Iterable[Signature]) -> "Note":
        return Note(self.head, (*self.signatures, *more))


def sign(head: Head, name: str, signers: Iterable[Signer]) -> Note:
    """Return the checkpoint signed by every signer as the log `name`."""
    message = head.text.encode()
    signatures = [
        Signature(name, VerifierKey(name, LOG, signer.public).id, signer.sign(message))
        for signer in signers
    ]
    return Note(head, tuple(signatures))


def cosign(head: Head, name: str, signer: Signer, timestamp: int) -> Signature:
    """Return a witness's cosignature; `timestamp` in POSIX seconds."""
    key = VerifierKey(name, WITNESS, signer.public)
    body = timestamp.to_bytes(8, "big") + signer.sign(_cosigned(head, timestamp))
    return Signature(name, key.id, body)


def signed_by(note: Note, key: VerifierKey) -> bool:
    """Tell whether the log key `key` signed the note."""
    return any(
        len(line.body) == 64 and _valid(key.public, line.body, note.head.text.encode())
        for line in _lines_of(note, key)
        if key.kind == LOG
    )


def cosigned_at(note: Note, key: VerifierKey) -> int | None:
    """Return when the witness `key` cosigned the note (POSIX seconds), or None."""
    for line in _lines_of(note, key):
        timestamp = int.from_bytes(line.body[:8], "big")
        if (
            key.kind == WITNESS
            and len(line.body) == 72
            and _valid(key.public, line.body[8:], _cosigned(note.head, timestamp))
        ):
            return timestamp
    return None


def parse(text: str) -> Note:
    """Read a checkpoint.

    Raises:
        NoteError: Anything but the exact form, extension lines included.
    """
    body, separator, tail = text.partition("\n\n")
    lines = body.split("\n")
    if not separator or len(lines) != 3:
        raise NoteError("a checkpoint has three lines, an empty one and signatures")
    origin, size, root = lines
    if not origin or not size.isdecimal() or not size.isascii() or str(int(size)) != size:
        raise NoteError("a checkpoint names its origin and its size in decimal")
    if not tail.endswith("\n"):
        raise NoteError("a note ends with a newline")
    head = Head(origin, int(size), _base64(root, 32))
    return Note(head, parse_signatures(tail))


def parse_signatures(text: str) -> tuple[Signature, ...]:
    """Read signature lines, each ended by a newline.

    Raises:
        NoteError: A line of another form, or none.
    """
    found = []
    for line in text.removesuffix("\n").split("\n"):
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != _DASH or not _name_fits(parts[1]):
            raise NoteError(f"not a signature line: {line!r}")
        raw = _base64(parts[2], None)
        if len(raw) < 5:
            raise NoteError("a signature line is too short")
        found.append(Signature(parts[1], raw[:4], raw[4:]))
    return tuple(found)


def _name_fits(name: str) -> bool:
    return bool(name) and "+" not in name and not any(c.isspace() for c in name)


def _lines_of(note: Note, key: VerifierKey) -> Iterable[Signature]:
    return (s for s in note.signatures if s.name == key.name and s.key_id == key.id)


def _cosigned(head: Head, timestamp: int) -> bytes:
    return f"cosignature/v1\ntime {timestamp}\n{head.text}".encode()


def _valid(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _base64(text: str, size: int | None) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteError(f"not base64: {text!r}") from error
    if size is not None and len(raw) != size:
        raise NoteError(f"{len(raw)} bytes where {size} belong")
    if base64.b64encode(raw).decode() != text:
        raise NoteError(f"not canonical base64: {text!r}")
    return raw
