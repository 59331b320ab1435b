"""The only writers of the log."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db import IntegrityError
from opentelemetry import trace

from audit import canonical, payloads
from audit.canonical import JSON
from audit.errors import (
    ChainBroken,
    EntryTooLarge,
    WrongWorkspace,
)
from audit.merkle import leaf_hash
from audit.models import Entry
from audit.transactions import PLATFORM, current_block

LEAF_VERSION = 1
MAX_LEAF = 65_535
"""Bytes; C2SP entry bundles carry the length as an unsigned 16-bit number."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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


@dataclass
class _Head:
    """Where a run's chain stands."""

    seq: int = 0
    hash: bytes = b""


def record(workspace_id: UUID | None, drafts: Sequence[Draft]) -> list[Entry]:
    """Append entries in the caller's transaction; None is the platform's own log.

    Costs two round trips however many drafts there are (the heads of the runs, one
    insert), and two more where drafts carry payloads. Entries keep the drafts' order.
    U+0000 and lone surrogates in text become U+FFFD: hostile text is recorded, it
    does not stop its recording.

    Raises:
        NotInTransaction, WrongWorkspace: No `in_workspace` block of this workspace is
            open (the caller's fault; nothing was written).
        CanonicalError, EntryTooLarge: A draft's detail is outside the profile or belongs
            into a payload (the caller's fault; nothing was written).
        ChainBroken: Another writer advanced the run's chain; the transaction is lost.
    """
    workspace = PLATFORM if workspace_id is None else workspace_id
    _require_transaction(workspace)
    if not drafts:
        return []
    now, heads = _heads(drafts)
    times = [now + timedelta(microseconds=index) for index in range(len(drafts))]
    ids = [_entry_id(time) for time in times]
    sealed = payloads.seal(workspace, now, _plaintexts(workspace, drafts, ids))
    entries = []
    for index, draft in enumerate(drafts):
        commitments = {p.name: p.commitment for p in sealed if p.entry_id == ids[index]}
        head = heads.setdefault(draft.run, _Head()) if draft.run else None
        leaf = _leaf(workspace, draft, ids[index], times[index], head, commitments)
        entries.append(_entry(workspace, draft, ids[index], times[index], head, leaf))
        if head is not None:
            head.seq, head.hash = head.seq + 1, leaf_hash(leaf)
    _insert(entries)
    payloads.store(sealed)
    return entries


def _require_transaction(workspace: UUID) -> None:
    present = current_block().workspace_id
    if present != workspace:
        raise WrongWorkspace(f"the transaction is that of workspace {present}")


def _heads(drafts: Iterable[Draft]) -> tuple[datetime, dict[UUID, _Head]]:
    """Return the database's clock and the head of each run's chain, in one query."""
    runs = list({draft.run for draft in drafts if draft.run})
    with current_block().connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT clock_timestamp(), wanted.run, head.run_seq, head.leaf_hash
            FROM unnest(%s::uuid[] || NULL::uuid) AS wanted(run)
            LEFT JOIN LATERAL (
                SELECT run_seq, leaf_hash FROM audit_entry
                WHERE run_id = wanted.run ORDER BY run_seq DESC LIMIT 1
            ) AS head ON wanted.run IS NOT NULL
            """,
            [runs],
        )
        rows = cursor.fetchall()
    heads = {row[1]: _Head(row[2], bytes(row[3])) for row in rows if row[2] is not None}
    return rows[0][0].astimezone(UTC), heads


def _entry_id(time: datetime) -> UUID:
    """Return a UUID of version 7 (RFC 9562 §5.7) whose milliseconds are the entry's.

    A verifier that checks this needs to remember ids only as long as clocks may differ
    to see that no entry came twice.
    """
    milliseconds = (time - _EPOCH) // timedelta(milliseconds=1)
    value = (milliseconds << 80) | secrets.randbits(80)
    value = (value & ~(0xF << 76)) | (7 << 76)
    return UUID(int=(value & ~(0x3 << 62)) | (0x2 << 62))


def _plaintexts(
    workspace: UUID, drafts: Sequence[Draft], ids: Sequence[UUID]
) -> list[payloads.Plaintext]:
    found = []
    for draft, entry_id in zip(drafts, ids, strict=True):
        default = f"run:{draft.run}" if draft.run else f"workspace:{workspace}"
        for name, value in draft.payloads.items():
            subject = draft.data_subject or default
            found.append(payloads.Plaintext(entry_id, name, value, subject))
    return found


def _leaf(
    workspace: UUID,
    draft: Draft,
    entry_id: UUID,
    time: datetime,
    head: _Head | None,
    commitments: Mapping[str, JSON],
) -> bytes:
    """Return the exact bytes that are stored and hashed (deploy/docs/log-format.md)."""
    body: dict[str, JSON] = {
        "v": LEAF_VERSION,
        "id": str(entry_id),
        "time": canonical.timestamp(time),
        "workspace": str(workspace),
        "actor": _actor(draft.actor),
        "action": draft.action,
        "subject": _subject(draft.subject),
    }
    if draft.on_behalf_of:
        body["on_behalf_of"] = _actor(draft.on_behalf_of)
    if draft.run and head is not None:
        body["run"], body["run_seq"] = str(draft.run), head.seq + 1
        if head.seq:
            body["prev"] = head.hash.hex()
    if draft.detail:
        body["detail"] = dict(draft.detail)
    if commitments:
        body["payloads"] = dict(commitments)
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        body["trace"] = f"{context.trace_id:032x}"
    leaf = canonical.encode(canonical.clean(body))
    if len(leaf) > MAX_LEAF:
        raise EntryTooLarge(f"{draft.action}: {len(leaf)} bytes, at most {MAX_LEAF}")
    return leaf


def _actor(actor: Actor) -> dict[str, JSON]:
    return {"type": actor.type, "id": actor.id, "name": actor.name}


def _subject(subject: Subject) -> dict[str, JSON]:
    body = {"type": subject.type, "id": subject.id}
    return {**body, "version": subject.version} if subject.version else body


def _entry(
    workspace: UUID,
    draft: Draft,
    entry_id: UUID,
    time: datetime,
    head: _Head | None,
    leaf: bytes,
) -> Entry:
    return Entry(
        id=entry_id,
        workspace_id=workspace,
        leaf=leaf,
        leaf_hash=leaf_hash(leaf),
        time=time,
        action=draft.action,
        actor_type=draft.actor.type,
        actor_id=draft.actor.id,
        actor_name=draft.actor.name,
        subject_type=draft.subject.type,
        subject_id=draft.subject.id,
        subject_version=draft.subject.version,
        run_id=draft.run,
        run_seq=head.seq + 1 if head is not None else None,
    )


def _insert(entries: Sequence[Entry]) -> None:
    """Insert leaves only: the trigger fills every other column from them."""
    leaves = [bytes(entry.leaf) for entry in entries]
    try:
        with current_block().connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO audit_entry (leaf) SELECT unnest(%s::bytea[]) RETURNING id, number",
                [leaves],
            )
            numbers = dict(cursor.fetchall())
    except IntegrityError as error:
        if "audit_entry_run_seq" in str(error):
            raise ChainBroken("another writer appended to this run") from error
        raise
    for entry in entries:
        entry.number = numbers[entry.id]
        entry._state.adding = False
