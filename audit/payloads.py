"""Payloads: what an entry commits to without holding it.

Guarantees: a payload that opens is byte for byte what its entry committed to, or opening
raises. Destroying a subject's key makes all its payloads unreadable while every proof
stays valid, since the leaf holds HMAC-SHA256(random salt, plaintext) and the salt is
encrypted together with the plaintext. The commitment is to the plaintext, not to the
ciphertext: that would forbid re-encryption, and AES-GCM does not bind its key (one
ciphertext can open to two plaintexts).

Does not guarantee: erasure from backups made earlier with the wrapping key beside them.
"""

import hmac
import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

from audit.canonical import JSON
from audit.errors import PayloadDamaged, PayloadGone
from audit.keyring import SealingKey
from audit.keys import NONCE_SIZE, wrapper
from audit.models import Payload, SubjectKey
from audit.transactions import current_block

SALT_SIZE = 32
TAG_SIZE = 16
LARGE = 1 << 16
"""Bytes from which a payload is encrypted straight into its place: a file of 25 MB is then in
memory once more, not three times. Below it the other way is the faster one."""

TEXT = "text/plain"
BYTES = "application/octet-stream"
STRUCTURE = "application/json"

# Members in the order they came in: a program replayed from a bundle must meet them so.
_dumps = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True)
class Plaintext:
    """One payload of one entry, before it is sealed."""

    entry_id: UUID
    name: str
    value: JSON | bytes
    data_subject: str


@dataclass(frozen=True)
class Sealed:
    """A payload ready to store, and what the leaf says of it."""

    entry_id: UUID
    name: str
    key_id: UUID
    sealed: bytes | bytearray
    commitment: Mapping[str, JSON]


@dataclass(frozen=True)
class Opened:
    """A payload in the clear; `salt` lets an outsider check the commitment."""

    name: str
    media: str
    salt: bytes
    data: bytes

    @property
    def value(self) -> JSON | bytes:
        """The value as it was given to `record`: text, bytes or JSON."""
        if self.media == STRUCTURE:
            return json.loads(self.data)
        return self.data.decode() if self.media == TEXT else self.data


def commit(salt: bytes, data: bytes) -> str:
    """Return the commitment a leaf holds, in hex."""
    return hmac.digest(salt, data, "sha256").hex()


def seal(plaintext: Plaintext, key: SealingKey) -> Sealed:
    """Encrypt one payload, and commit to it."""
    media, data = _bytes(plaintext.value)
    random = os.urandom(SALT_SIZE + NONCE_SIZE)
    salt, nonce = random[:SALT_SIZE], random[SALT_SIZE:]
    context = _context(plaintext.entry_id, plaintext.name)
    return Sealed(
        plaintext.entry_id,
        plaintext.name,
        key.id,
        _encrypted(key, nonce, salt, data, context),
        {
            "commitment": commit(salt, data),
            "key": str(key.id),
            "length": len(data),
            "media": media,
        },
    )


def _encrypted(
    key: SealingKey, nonce: bytes, salt: bytes, data: bytes, context: bytes
) -> bytes | bytearray:
    """Nonce, ciphertext of salt and data, tag."""
    if len(data) < LARGE:
        return nonce + key.cipher.encrypt(nonce, salt + data, context)
    sealed = bytearray(NONCE_SIZE + SALT_SIZE + len(data) + TAG_SIZE)
    place = memoryview(sealed)
    place[:NONCE_SIZE] = nonce
    encryptor = Cipher(AES(key.secret), GCM(nonce)).encryptor()
    encryptor.authenticate_additional_data(context)
    encryptor.update_into(salt, place[NONCE_SIZE:])
    encryptor.update_into(data, place[NONCE_SIZE + SALT_SIZE :])
    encryptor.finalize()
    place[-TAG_SIZE:] = encryptor.tag
    return sealed


def open_payload(payload: Payload, commitment: Mapping[str, JSON]) -> Opened:
    """Decrypt a payload and hold it against what its entry committed to.

    Raises:
        PayloadGone: Its key was destroyed.
        PayloadDamaged: Ciphertext or plaintext is not what was recorded.
        KeyUnavailable: The wrapping key is out of reach (an operator's matter).
    """
    secret = secrets_of([payload.key_id]).get(payload.key_id)
    if secret is None:
        raise PayloadGone(f"the key of payload {payload.name} was destroyed")
    return open_sealed(payload, commitment, secret)


def secrets_of(key_ids: Collection[UUID]) -> dict[UUID, bytes]:
    """Return the unwrapped keys that still exist."""
    rows = SubjectKey.objects.using(current_block().using).filter(id__in=key_ids)
    unwrap = wrapper().unwrap
    return {row.id: unwrap(bytes(row.wrapped), row.id.bytes) for row in rows}


def open_sealed(payload: Payload, commitment: Mapping[str, JSON], secret: bytes) -> Opened:
    """Decrypt a payload with its key's secret; see `open_payload`."""
    sealed = memoryview(payload.sealed)
    context = _context(payload.entry_id, payload.name)
    try:
        plain = AESGCM(secret).decrypt(sealed[:NONCE_SIZE], sealed[NONCE_SIZE:], context)
    except (InvalidTag, ValueError) as error:
        raise PayloadDamaged(f"payload {payload.name} does not decrypt") from error
    opened = Opened(payload.name, str(commitment["media"]), plain[:SALT_SIZE], plain[SALT_SIZE:])
    if not hmac.compare_digest(commit(opened.salt, opened.data), str(commitment["commitment"])):
        raise PayloadDamaged(f"payload {payload.name} is not what its entry commits to")
    return opened


def _context(entry_id: UUID, name: str) -> bytes:
    return entry_id.bytes + name.encode()


def _bytes(value: JSON | bytes) -> tuple[str, bytes]:
    if isinstance(value, bytes):
        return BYTES, value
    if isinstance(value, str):
        try:
            return TEXT, value.encode()
        except UnicodeEncodeError:
            # A lone surrogate has no UTF-8 form; JSON can still escape it.
            return STRUCTURE, json.dumps(value).encode()
    return STRUCTURE, _dumps(value).encode()
