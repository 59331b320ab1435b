"""The log's signing keys and names.

One Ed25519 key signs the checkpoints of every tree of an installation; the tree's origin
is the signer's name, so each tree has a verifier key of its own. The key comes from
`COUNTERSIGN_LOG_SIGNING_KEY` (base64 of the 32-byte seed), else from
`COUNTERSIGN_LOG_SIGNER` (import path of a factory that returns a `notes.Signer`, for a KMS
or PKCS#11), else from a file under `COUNTERSIGN_HOME/keys`, 0600, made at first use.

Rotation: the old file key stays beside the new one as `log-signing.previous.key` and both
sign, until the auditors hold the new one and the operator retires the old.
"""

import base64
import binascii
from typing import cast
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string

from audit.errors import KeyUnavailable
from audit.keys import key_directory, secret_file
from audit.notes import LOG, LocalSigner, Signer, VerifierKey

SEED_SIZE = 32
CURRENT = "log-signing.key"
PREVIOUS = "log-signing.previous.key"


def origin(workspace_id: UUID) -> str:
    """Return the name of a workspace's tree; the nil UUID is the platform's."""
    base = getattr(settings, "COUNTERSIGN_AUDIT_ORIGIN", "countersign.local")
    return f"{base}/{workspace_id}"


def signers() -> list[Signer]:
    """Return who signs now: the current key, then the one being retired, if any.

    Raises:
        KeyUnavailable: The key is missing where it should be, malformed, or open to others.
    """
    found = [current_signer()]
    previous = key_directory() / PREVIOUS
    if previous.exists():
        found.append(LocalSigner(secret_file(previous, SEED_SIZE)))
    return found


def current_signer() -> Signer:
    text = getattr(settings, "COUNTERSIGN_LOG_SIGNING_KEY", "")
    factory = getattr(settings, "COUNTERSIGN_LOG_SIGNER", "")
    if text:
        return LocalSigner(_seed(text))
    if factory:
        return cast(Signer, import_string(factory)())
    return LocalSigner(secret_file(key_directory() / CURRENT, SEED_SIZE))


def verifier_keys(workspace_id: UUID) -> list[VerifierKey]:
    """Return the keys an auditor needs for a workspace's checkpoints."""
    name = origin(workspace_id)
    return [VerifierKey(name, LOG, signer.public) for signer in signers()]


def replace_key() -> None:
    """Make a new file key; the present one goes on signing beside it until retired.

    Raises:
        KeyUnavailable: The key is not a file, or a retirement is still open.
    """
    directory = key_directory()
    if not isinstance(current_signer(), LocalSigner) or not (directory / CURRENT).exists():
        raise KeyUnavailable("only a key in a file can be replaced here")
    if (directory / PREVIOUS).exists():
        raise KeyUnavailable(f"retire the last key first: remove {directory / PREVIOUS}")
    (directory / CURRENT).rename(directory / PREVIOUS)
    secret_file(directory / CURRENT, SEED_SIZE)


def retire_key() -> None:
    """Forget the previous key: from now on only the current one signs."""
    (key_directory() / PREVIOUS).unlink(missing_ok=True)


def _seed(text: str) -> bytes:
    try:
        seed = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise KeyUnavailable("COUNTERSIGN_LOG_SIGNING_KEY is not base64") from error
    if len(seed) != SEED_SIZE:
        raise KeyUnavailable(f"COUNTERSIGN_LOG_SIGNING_KEY has {len(seed)} bytes, not 32")
    return seed
