"""What is to be recorded, and the bytes it becomes (deploy/docs/log-format.md §3, §4).

A leaf's keys stand in alphabetical order, so all that the writer knows beforehand lies on
two sides of what only the database knows when the entry is written: the link to the run's
chain (`prev`, `run`, `run_seq`). A leaf is therefore made of two halves, and the database
puts the link between them (`audit_append`, migration 0006).

Pure: no Django, no clock, no I/O.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from audit import canonical
from audit.canonical import JSON
from audit.errors import EntryTooLarge

LEAF_VERSION = 1
MAX_LEAF = 65_535
"""Bytes; C2SP entry bundles carry the length as an unsigned 16-bit number."""
MAX_LINK = len(f'"prev":"{"0" * 64}","run":"{UUID(int=0)}","run_seq":{2**31},')

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Actor:
    """Who acted. `type` is "user", "service", "agent" or "system"."""

    type: str
    id: str
    name: str


@dataclass(frozen=True)
class Subject:
    """What it was done to."""

    type: str
    id: str
    version: str = ""


@dataclass(frozen=True)
class Draft:
    """An entry before it has its id, time and place."""

    action: str
    actor: Actor
    subject: Subject
    run: UUID | None = None
    """The run whose chain it joins; the caller holds that run row's lock."""
    on_behalf_of: Actor | None = None
    detail: Mapping[str, JSON] = field(default_factory=dict)
    """Canonical profile: ASCII keys, no floats, no null; see `audit.canonical`."""
    payloads: Mapping[str, JSON | bytes] = field(default_factory=dict)
    """name → text, bytes or JSON value: stored encrypted, the leaf only commits to it."""
    data_subject: str = ""
    """Whose key encrypts the payloads; default the run, else the workspace."""


@dataclass(frozen=True)
class Halves:
    """A leaf without its link; `before + link + after` is the leaf."""

    before: bytes
    after: bytes


def halves(
    workspace: UUID,
    draft: Draft,
    entry_id: UUID,
    time: datetime,
    commitments: Mapping[str, JSON],
    trace: str = "",
) -> Halves:
    """Return the exact bytes on both sides of an entry's link.

    Raises:
        CanonicalError: The detail lies outside the profile (the caller's fault).
        EntryTooLarge: With the longest link the leaf could exceed its limit.
    """
    before: dict[str, JSON] = {
        "action": draft.action,
        "actor": _actor(draft.actor),
        "id": str(entry_id),
    }
    if draft.detail:
        before["detail"] = dict(draft.detail)
    if draft.on_behalf_of:
        before["on_behalf_of"] = _actor(draft.on_behalf_of)
    if commitments:
        before["payloads"] = commitments
    subject = canonical.encode_clean(_subject(draft.subject)).decode()
    traced = f',"trace":"{trace}"' if trace else ""
    after = (
        f'"subject":{subject},"time":"{canonical.timestamp(time)}"{traced}'
        f',"v":{LEAF_VERSION},"workspace":"{workspace}"}}'
    )
    found = Halves(canonical.encode_clean(before)[:-1] + b",", after.encode())
    size = len(found.before) + len(found.after) + (MAX_LINK if draft.run else 0)
    if size > MAX_LEAF:
        raise EntryTooLarge(f"{draft.action}: {size} bytes, at most {MAX_LEAF}")
    return found


def link(run: UUID, seq: int, prev: bytes) -> bytes:
    """Return what stands between the halves of a run's entry; `prev`: raw hash, or empty."""
    before = f'"prev":"{prev.hex()}",' if prev else ""
    return f'{before}"run":"{run}","run_seq":{seq},'.encode()


def new_id(time: datetime) -> UUID:
    """Return a UUID of version 7 (RFC 9562 §5.7) of the given time.

    A verifier that checks an entry's id against its time needs to remember ids only as long
    as clocks may differ to see that no entry came twice. Ids made one after the other also
    lie together in an index, which costs the database less.
    """
    milliseconds = (time - _EPOCH) // _MILLISECOND
    value = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
    value = (value & ~(0xF << 76)) | (7 << 76)
    return UUID(int=(value & ~(0x3 << 62)) | (0x2 << 62))


def _actor(actor: Actor) -> dict[str, JSON]:
    return {"type": actor.type, "id": actor.id, "name": actor.name}


def _subject(subject: Subject) -> dict[str, JSON]:
    body = {"type": subject.type, "id": subject.id}
    return {**body, "version": subject.version} if subject.version else body
