"""The only writers of the log."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import IntegrityError
from opentelemetry import trace

from audit import keyring, payloads, wire
from audit.canonical import JSON
from audit.drafts import Actor, Draft, Halves, Subject, halves, new_id
from audit.errors import ChainBroken, KeyUnavailable, WrongWorkspace
from audit.payloads import Plaintext, Sealed
from audit.transactions import PLATFORM, Block, current_block

__all__ = ["Actor", "Draft", "Recorded", "Subject", "record"]

KEY_ATTEMPTS = 3
_APPEND = "SELECT audit_append($1, $2, $3, $4, $5, $6, $7, $8, $9, {})"
_PAYLOADS_AT = 10


@dataclass(frozen=True)
class Recorded:
    """An entry that will be in the log once the caller's transaction commits."""

    id: UUID
    workspace_id: UUID
    number: int
    """Order of arrival over all workspaces; its position in the tree comes later."""
    time: datetime


def record(workspace_id: UUID | None, drafts: Sequence[Draft]) -> list[Recorded]:
    """Append entries in the caller's transaction; None is the platform's own log.

    Costs one round trip however many drafts there are and whatever they carry; the first
    payload of a data subject in this process costs one or two more, for the key. Entries
    keep the drafts' order. U+0000 and lone surrogates in text become U+FFFD: hostile text
    is recorded, it does not stop its recording.

    Raises:
        NotInTransaction, WrongWorkspace: No `in_workspace` block of this workspace is
            open (the caller's fault; nothing was written).
        CanonicalError, EntryTooLarge: A draft's detail is outside the profile or belongs
            into a payload (the caller's fault; nothing was written).
        ChainBroken: Another writer advanced the run's chain; the transaction is lost.
        KeyUnavailable: A data subject is being erased this moment, over and over.
    """
    block = current_block()
    if block.workspace_id != (PLATFORM if workspace_id is None else workspace_id):
        raise WrongWorkspace(f"the transaction is that of workspace {block.workspace_id}")
    if not drafts:
        return []
    now = block.clock()
    times = [now + timedelta(microseconds=index) for index in range(len(drafts))]
    ids = [new_id(time) for time in times]
    plaintexts = [
        _plaintexts(block.workspace_id, draft, entry_id)
        for draft, entry_id in zip(drafts, ids, strict=True)
    ]
    for _ in range(KEY_ATTEMPTS):
        sealed = _sealed(block.workspace_id, now, plaintexts)
        leaves = _leaves(block.workspace_id, drafts, ids, times, sealed)
        numbers = _append(block, now, drafts, leaves, sealed)
        if numbers is not None:
            return [
                Recorded(entry_id, block.workspace_id, number, time)
                for entry_id, number, time in zip(ids, numbers, times, strict=True)
            ]
        # A remembered key is no longer in the database: its subject was erased.
        keyring.forget(block.workspace_id, {p.data_subject for some in plaintexts for p in some})
    raise KeyUnavailable("the data subject's key is destroyed as often as it is made")


def _plaintexts(workspace: UUID, draft: Draft, entry_id: UUID) -> list[Plaintext]:
    default = f"run:{draft.run}" if draft.run else f"workspace:{workspace}"
    subject = draft.data_subject or default
    return [Plaintext(entry_id, name, value, subject) for name, value in draft.payloads.items()]


def _sealed(
    workspace: UUID, now: datetime, plaintexts: Sequence[Sequence[Plaintext]]
) -> list[list[Sealed]]:
    """Encrypt each entry's payloads, each under its data subject's key."""
    subjects = {plaintext.data_subject for some in plaintexts for plaintext in some}
    keys = keyring.keys_of(workspace, now, subjects) if subjects else {}
    return [[payloads.seal(p, keys[p.data_subject]) for p in some] for some in plaintexts]


def _leaves(
    workspace: UUID,
    drafts: Sequence[Draft],
    ids: Sequence[UUID],
    times: Sequence[datetime],
    sealed: Sequence[Sequence[Sealed]],
) -> list[Halves]:
    context = trace.get_current_span().get_span_context()
    traced = f"{context.trace_id:032x}" if context.is_valid else ""
    found = []
    for draft, entry_id, time, own in zip(drafts, ids, times, sealed, strict=True):
        commitments: dict[str, JSON] = {item.name: item.commitment for item in own}
        found.append(halves(workspace, draft, entry_id, time, commitments, traced))
    return found


def _append(
    block: Block,
    now: datetime,
    drafts: Sequence[Draft],
    leaves: Sequence[Halves],
    sealed: Sequence[Sequence[Sealed]],
) -> list[int] | None:
    """Write entries and payloads in one statement; None where a key is gone.

    The database links each entry to its run's chain: nothing but the entry that stands
    there says what comes before (see `audit_append` in migration 0006).
    """
    rows = [item for own in sealed for item in own]
    values = [
        wire.array(wire.BYTEA, [leaf.before for leaf in leaves]),
        wire.array(wire.BYTEA, [leaf.after for leaf in leaves]),
        wire.array(wire.UUID_, [draft.run.bytes if draft.run else None for draft in drafts]),
        wire.uuid(block.workspace_id),
        wire.time(now),
        wire.array(wire.UUID_, [new_id(now).bytes for _ in rows]),
        wire.array(wire.UUID_, [item.entry_id.bytes for item in rows]),
        wire.array(wire.TEXT, [item.name.encode() for item in rows]),
        wire.array(wire.UUID_, [item.key_id.bytes for item in rows]),
    ]
    place, payload_values = wire.placed(wire.BYTEA, [item.sealed for item in rows], _PAYLOADS_AT)
    try:
        numbers = wire.call(block.connection, _APPEND.format(place), values + payload_values)
    except IntegrityError as error:
        if "audit_entry_run_seq" in str(error):
            raise ChainBroken("another writer appended to this run") from error
        raise
    return None if numbers is None else wire.integers(numbers)
