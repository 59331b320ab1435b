"""The data subjects' keys a process has at hand.

Guarantees: no payload is ever committed under a key that has been destroyed, although keys
are remembered: the statement that appends looks each key up in the database again
(`audit_append`), and the foreign key refuses, at commit, the race that is left.

Does not guarantee that a destroyed key has left every process's memory at once: it is
forgotten after `KEPT_S` at the latest.
"""

import secrets
from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from time import monotonic
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from audit.keys import KEY_SIZE, wrapper
from audit.transactions import current_block

KEPT_S = 60.0
KEPT = 1024
"""Keys remembered at most; the one used longest ago makes room."""


@dataclass(frozen=True)
class SealingKey:
    """A data subject's key, ready to encrypt."""

    id: UUID
    secret: bytes = field(repr=False)
    cipher: AESGCM
    expires: float
    """By this process's monotonic clock."""


_known: OrderedDict[tuple[UUID, str], SealingKey] = OrderedDict()
_lock = Lock()


def keys_of(workspace: UUID, now: datetime, subjects: set[str]) -> dict[str, SealingKey]:
    """Return each data subject's key: remembered, read, or made where there is none."""
    found = _remembered(workspace, subjects)
    missing = subjects - found.keys()
    if missing:
        read = _stored(workspace, missing)
        new = missing - read.keys()
        if new:
            _make(workspace, now, new)
            read |= _stored(workspace, new)
        _remember(workspace, read)
        found |= read
    return found


def forget(workspace: UUID, subjects: Iterable[str]) -> None:
    """Drop remembered keys, so that the next look-up asks the database."""
    with _lock:
        for subject in subjects:
            _known.pop((workspace, subject), None)


def _remembered(workspace: UUID, subjects: set[str]) -> dict[str, SealingKey]:
    now = monotonic()
    found = {}
    with _lock:
        for subject in subjects:
            key = _known.get((workspace, subject))
            if key is not None and key.expires > now:
                _known.move_to_end((workspace, subject))
                found[subject] = key
    return found


def _remember(workspace: UUID, keys: dict[str, SealingKey]) -> None:
    now = monotonic()
    with _lock:
        for subject, key in keys.items():
            _known[workspace, subject] = key
        # By use, not by age: an old one that is never used again must not stay either.
        for place in [place for place, key in _known.items() if key.expires <= now]:
            del _known[place]
        while len(_known) > KEPT:
            _known.popitem(last=False)


def _stored(workspace: UUID, subjects: Collection[str]) -> dict[str, SealingKey]:
    with current_block().connection.cursor() as cursor:
        cursor.execute(
            "SELECT data_subject, id, wrapped FROM audit_subjectkey"
            " WHERE workspace_id = %s AND data_subject = ANY (%s)",
            [workspace, list(subjects)],
        )
        rows = cursor.fetchall()
    unwrap, expires = wrapper().unwrap, monotonic() + KEPT_S
    found = {}
    for subject, key_id, wrapped in rows:
        secret = unwrap(bytes(wrapped), key_id.bytes)
        found[subject] = SealingKey(key_id, secret, AESGCM(secret), expires)
    return found


def _make(workspace: UUID, now: datetime, subjects: Iterable[str]) -> None:
    wrap = wrapper()
    with current_block().connection.cursor() as cursor:
        for subject in sorted(subjects):
            key_id = uuid4()
            cursor.execute(
                "INSERT INTO audit_subjectkey"
                " (id, workspace_id, data_subject, wrapping_key, wrapped, created_at)"
                " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                [
                    key_id,
                    workspace,
                    subject,
                    wrap.name,
                    wrap.wrap(secrets.token_bytes(KEY_SIZE), key_id.bytes),
                    now,
                ],
            )
