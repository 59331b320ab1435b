"""Key material outside the database: the wrapping key of payloads.

A payload is sealed under its data subject's key; that key lies in the database, wrapped by
a key that does not. Default is a file under `COUNTERSIGN_HOME/keys`, 0600, made at first
use. `COUNTERSIGN_KEY_WRAPPER` names another `KeyWrapper` (a factory without arguments) for
a KMS. Back the file up apart from the database: a backup of both undoes every erasure.
"""

import hashlib
import os
import secrets
from functools import cache
from pathlib import Path
from typing import Protocol, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.utils.module_loading import import_string

from audit.errors import KeyUnavailable

KEY_SIZE = 32
NONCE_SIZE = 12


class KeyWrapper(Protocol):
    """Wraps 32-byte keys; `name` tells which wrapping key made a given result."""

    name: str

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Return `key` encrypted and bound to `context`."""

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Return the key.

        Raises:
            KeyUnavailable: The service is out of reach, or this is not its key.
        """


class FileWrapper:
    """AES-256-GCM under a key in a local file."""

    def __init__(self, path: Path) -> None:
        key = secret_file(path, KEY_SIZE)
        self.name = f"file:{hashlib.sha256(key).hexdigest()[:16]}"
        self._cipher = AESGCM(key)

    def wrap(self, key: bytes, context: bytes) -> bytes:
        nonce = secrets.token_bytes(NONCE_SIZE)
        return nonce + self._cipher.encrypt(nonce, key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        try:
            return self._cipher.decrypt(wrapped[:NONCE_SIZE], wrapped[NONCE_SIZE:], context)
        except (InvalidTag, ValueError) as error:
            raise KeyUnavailable(f"{self.name} did not wrap this key") from error


def wrapper() -> KeyWrapper:
    """Return the configured wrapper; made once per process and key directory."""
    factory = getattr(settings, "COUNTERSIGN_KEY_WRAPPER", "")
    return _wrapper(factory, key_directory())


def key_directory() -> Path:
    return Path(settings.COUNTERSIGN_HOME) / "keys"


@cache
def _wrapper(factory: str, directory: Path) -> KeyWrapper:
    if factory:
        return cast(KeyWrapper, import_string(factory)())
    return FileWrapper(directory / "payload-wrapping.key")


def secret_file(path: Path, size: int) -> bytes:
    """Return the secret in `path` (`size` raw bytes), making it where it is missing.

    Raises:
        KeyUnavailable: Unreadable, of another size, or readable by others.
    """
    try:
        if not path.exists():
            _create(path, secrets.token_bytes(size))
        if path.stat().st_mode & 0o077:
            raise KeyUnavailable(f"{path} is open to others; run: chmod 600 {path}")
        secret = path.read_bytes()
    except OSError as error:
        raise KeyUnavailable(f"{path}: {error.strerror}") from error
    if len(secret) != size:
        raise KeyUnavailable(f"{path} holds {len(secret)} bytes, expected {size}")
    return secret


def _create(path: Path, secret: bytes) -> None:
    """Make the file whole or not at all; the first of several processes wins."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secret)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
