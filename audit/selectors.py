"""The only readers of the log for doors; keyset pages, newest first."""

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias
from uuid import UUID

from django.db import connection

from audit import search
from audit.errors import ProofUnavailable
from audit.merkle import EMPTY_ROOT, consistency_path, inclusion_path, node_hash
from audit.models import (
    AnchorState,
    Batch,
    Checkpoint,
    Entry,
    Export,
    Hold,
    Payload,
    Position,
    Receipt,
    Verification,
)
from audit.sequencer import LOCK
from audit.transactions import PLATFORM, current_block, in_workspace
from audit.tree import StoredTree

MAX_PAGE = 500
STUCK = timedelta(minutes=5)
"""A verification that has not ended after this may be asked for anew."""
Filters: TypeAlias = search.Filters


@dataclass(frozen=True)
class Page:
    """One page of entries; `cursor` fetches the next one, "" means there is none."""

    entries: list[Entry]
    cursor: str
    looked_to: datetime | None = None
    """The page is not full and older entries were not looked at; `cursor` goes on from here."""


@dataclass(frozen=True)
class TreeStatus:
    """How a tree stands. `oldest_s`: seconds the oldest entry has waited for a place."""

    size: int
    root: bytes
    waiting: int
    oldest_s: float
    checkpoint: Checkpoint | None
    anchors: list[AnchorState]

    @property
    def unsigned(self) -> int:
        """Entries placed since the last checkpoint."""
        return self.size - (self.checkpoint.size if self.checkpoint else 0)


@dataclass(frozen=True)
class Inclusion:
    """Why an entry is in a checkpoint: RFC 9162 inclusion proof, nearest sibling first."""

    position: int
    leaf_hash: bytes
    path: list[bytes]
    checkpoint: Checkpoint

    def steps(self) -> "list[ProofStep]":
        """Return the way from the entry to the root, for drawing."""
        node, index, last = self.leaf_hash, self.position, self.checkpoint.size - 1
        steps = []
        for sibling in self.path:
            left = bool(index & 1) or index == last
            result = node_hash(sibling, node) if left else node_hash(node, sibling)
            steps.append(ProofStep(node, sibling, left, result))
            if left:
                while not index & 1 and index:
                    index, last = index >> 1, last >> 1
            node, index, last = result, index >> 1, last >> 1
        return steps


@dataclass(frozen=True)
class ProofStep:
    """One level: `node` and its `sibling` (left of it, where `sibling_left`) give `result`."""

    node: bytes
    sibling: bytes
    sibling_left: bool
    result: bytes


def entries(
    workspace_id: UUID | None,
    filters: Filters = search.EVERYTHING,
    *,
    cursor: str = "",
    limit: int = 50,
) -> Page:
    """Return entries newest first; an unreadable cursor starts at the newest."""
    limit = max(1, min(limit, MAX_PAGE))
    workspace = _tree(workspace_id)
    with in_workspace(workspace):
        found = search.find(
            workspace,
            filters,
            before=_read_cursor(cursor),
            limit=limit,
            occurring=lambda: actions(workspace_id),
        )
    more = "" if found.rest is None else _cursor(*found.rest)
    looked_to = found.rest[0] if found.rest and found.exhausted else None
    return Page(found.rows, more, looked_to)


def entry(workspace_id: UUID | None, entry_id: UUID) -> Entry | None:
    """Return one entry of the workspace, or None (also for another workspace's)."""
    with in_workspace(workspace_id):
        return Entry.objects.filter(workspace_id=_tree(workspace_id), id=entry_id).first()


def run_entries(
    workspace_id: UUID, run_id: UUID, *, after: int = 0, limit: int | None = None
) -> list[Entry]:
    """Return a run's entries in its own order: those numbered above `after`, at most `limit`."""
    with in_workspace(workspace_id):
        found = Entry.objects.filter(run_id=run_id, run_seq__gt=after).order_by("run_seq")
        return list(found if limit is None else found[:limit])


def runs_named(workspace_id: UUID, text: str) -> list[UUID]:
    """Return the runs, at most two, whose id begins with the text: eight digits or more."""
    bounds = search.ids_from(text.strip().lower())
    if bounds is None:
        return []
    with in_workspace(workspace_id):
        rows = Entry.objects.filter(workspace_id=workspace_id, run_id__range=bounds)
        found = rows.order_by("run_id").values_list("run_id", flat=True).distinct()[:2]
        return [run for run in found if run is not None]


def verifications(workspace_id: UUID | None, *, limit: int = 20) -> list[Verification]:
    """Return verification runs, newest first."""
    with in_workspace(workspace_id):
        rows = Verification.objects.filter(workspace_id=_tree(workspace_id))
        return list(rows.order_by("-requested_at")[:limit])


def verification_under_way(workspace_id: UUID | None) -> Verification | None:
    """Return the newest run that has not ended, if it was asked for a few minutes ago."""
    newest = next(iter(verifications(workspace_id, limit=1)), None)
    if newest is None or newest.state == Verification.State.DONE:
        return None
    return newest if datetime.now(UTC) - newest.requested_at < STUCK else None


def verification(workspace_id: UUID | None, verification_id: UUID) -> Verification | None:
    with in_workspace(workspace_id):
        rows = Verification.objects.filter(workspace_id=_tree(workspace_id), id=verification_id)
        return rows.first()


def exports(workspace_id: UUID | None, *, limit: int = 20) -> list[Export]:
    """Return export jobs, newest first; `exports.file_of` says where a bundle lies."""
    with in_workspace(workspace_id):
        rows = Export.objects.filter(workspace_id=_tree(workspace_id))
        return list(rows.order_by("-requested_at")[:limit])


def export(workspace_id: UUID | None, export_id: UUID) -> Export | None:
    with in_workspace(workspace_id):
        return Export.objects.filter(workspace_id=_tree(workspace_id), id=export_id).first()


def checkpoints(
    workspace_id: UUID | None, *, before: int | None = None, limit: int = 50
) -> list[Checkpoint]:
    """Return signed tree heads, largest first; `before` is a size, for the next page."""
    with in_workspace(workspace_id):
        rows = Checkpoint.objects.filter(workspace_id=_tree(workspace_id))
        if before is not None:
            rows = rows.filter(size__lt=before)
        rows = rows.prefetch_related("receipt_set")
        return list(rows.order_by("-size", "-signed_at")[:limit])


def holds(workspace_id: UUID, *, standing: bool = True) -> list[Hold]:
    """Return legal holds, newest first; with `standing` those not lifted."""
    with in_workspace(workspace_id):
        rows = Hold.objects.filter(workspace_id=workspace_id)
        if standing:
            rows = rows.filter(lifted_at=None)
        return list(rows.order_by("-set_at"))


def actions(workspace_id: UUID | None) -> list[str]:
    """Return the actions that occur in the log, sorted; one index probe for each."""
    with in_workspace(workspace_id), current_block().connection.cursor() as cursor:
        cursor.execute(
            """
            WITH RECURSIVE found(action) AS (
                (SELECT action FROM audit_entry WHERE workspace_id = %(w)s
                 ORDER BY action LIMIT 1)
                UNION ALL
                SELECT (SELECT e.action FROM audit_entry e WHERE e.workspace_id = %(w)s
                        AND e.action > found.action ORDER BY e.action LIMIT 1)
                FROM found WHERE found.action IS NOT NULL
            )
            SELECT action FROM found WHERE action IS NOT NULL
            """,
            {"w": _tree(workspace_id)},
        )
        return [row[0] for row in cursor.fetchall()]


@dataclass(frozen=True)
class ActorRow:
    """Somebody who has acted, under the name of the last time."""

    id: str
    type: str
    name: str


def actors(workspace_id: UUID | None, *, limit: int = 1000) -> list[ActorRow]:
    """Return who has ever acted, by name; two index probes for each, at most `limit` of them."""
    with in_workspace(workspace_id), current_block().connection.cursor() as cursor:
        cursor.execute(
            """
            WITH RECURSIVE found(id, place) AS (
                (SELECT actor_id, 1 FROM audit_entry WHERE workspace_id = %(w)s
                 ORDER BY actor_id LIMIT 1)
                UNION ALL
                SELECT (SELECT e.actor_id FROM audit_entry e WHERE e.workspace_id = %(w)s
                        AND e.actor_id > found.id ORDER BY e.actor_id LIMIT 1), place + 1
                FROM found WHERE found.id IS NOT NULL AND place <= %(limit)s
            )
            SELECT found.id, newest.actor_type, newest.actor_name FROM found
            CROSS JOIN LATERAL (
                SELECT actor_type, actor_name FROM audit_entry
                WHERE workspace_id = %(w)s AND actor_id = found.id
                ORDER BY time DESC, number DESC LIMIT 1
            ) AS newest
            """,
            {"w": _tree(workspace_id), "limit": limit},
        )
        rows = [ActorRow(*row) for row in cursor.fetchall()]
    return sorted(rows, key=lambda row: (row.name.casefold(), row.type, row.id))


def tree_status(workspace_id: UUID | None) -> TreeStatus:
    """Return how the workspace's tree stands: size, what waits, checkpoint, anchors."""
    tree = _tree(workspace_id)
    with in_workspace(workspace_id):
        batch = Batch.objects.filter(workspace_id=tree).order_by("-size").first()
        latest = (
            Checkpoint.objects.filter(workspace_id=tree).order_by("-size", "-signed_at").first()
        )
        anchors = list(AnchorState.objects.filter(workspace_id=tree).order_by("anchor"))
        waiting, oldest = _waiting(tree)
    return TreeStatus(
        size=batch.size if batch else 0,
        root=bytes(batch.root) if batch else EMPTY_ROOT,
        waiting=waiting,
        oldest_s=oldest,
        checkpoint=latest,
        anchors=anchors,
    )


@dataclass(frozen=True)
class Held:
    """Since when an anchor holds an entry, by the first checkpoint over it; `receipt` None: not."""

    state: AnchorState
    receipt: Receipt | None


def position(workspace_id: UUID | None, entry: Entry) -> int | None:
    """Return the entry's position in its tree; None while it waits for the sequencer."""
    with in_workspace(workspace_id):
        place = Position.objects.filter(entry_number=entry.number).first()
    return place.position if place else None


def inclusion(workspace_id: UUID | None, entry_id: UUID) -> Inclusion | None:
    """Return the entry's proof, under the newest checkpoint over it that an anchor took, if any.

    None: no such entry in this workspace, or it is not under a checkpoint yet (a matter
    of seconds while the sequencer runs).
    """
    tree = _tree(workspace_id)
    with in_workspace(workspace_id):
        found = Entry.objects.filter(workspace_id=tree, id=entry_id).first()
        if found is None:
            return None
        place = Position.objects.filter(entry_number=found.number).first()
        over = None if place is None else _checkpoint_over(tree, place.position)
        if place is None or over is None:
            return None
        stored = StoredTree(current_block().connection, tree)
        path = inclusion_path(place.position, over.size, stored.nodes)
    return Inclusion(place.position, bytes(found.leaf_hash), path, over)


def _checkpoint_over(tree: UUID, position: int) -> Checkpoint | None:
    signed = Checkpoint.objects.filter(workspace_id=tree, size__gt=position)
    newest = signed.order_by("-size", "-signed_at")
    sizes = AnchorState.objects.filter(workspace_id=tree, size__gt=position)
    anchored = newest.filter(size__in=sizes.values("size")).exclude(receipt=None)
    return anchored.first() or newest.first()


def held(workspace_id: UUID | None, position: int) -> list[Held]:
    """Return for each anchor the first receipt for a checkpoint that holds this position."""
    tree = _tree(workspace_id)
    with in_workspace(workspace_id):
        states = list(AnchorState.objects.filter(workspace_id=tree).order_by("anchor"))
        return [Held(state, _first_receipt(tree, state, position)) for state in states]


def _first_receipt(tree: UUID, state: AnchorState, position: int) -> Receipt | None:
    if state.size <= position:
        return None
    over = Receipt.objects.filter(
        workspace_id=tree, anchor=state.anchor, checkpoint__size__gt=position
    )
    return over.select_related("checkpoint").order_by("checkpoint__size").first()


def checkpoint(workspace_id: UUID | None, size: int | None = None) -> Checkpoint | None:
    """Return the newest checkpoint, or the newest of this size."""
    with in_workspace(workspace_id):
        rows = Checkpoint.objects.filter(workspace_id=_tree(workspace_id))
        if size is not None:
            rows = rows.filter(size=size)
        return rows.prefetch_related("receipt_set").order_by("-size", "-signed_at").first()


def sequencing() -> bool:
    """Tell whether a sequencer is at work on this database: it holds its lock while it lives."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            " AND objsubid = 1 AND classid = %s AND objid = %s)",
            [LOCK >> 32, LOCK & 0xFFFFFFFF],
        )
        return bool(cursor.fetchone()[0])


def consistency(workspace_id: UUID | None, old: int, new: int) -> list[bytes]:
    """Return the RFC 9162 proof that the tree of `new` grew out of that of `old`.

    Raises:
        ProofUnavailable: Not sizes this tree has had.
    """
    tree = _tree(workspace_id)
    with in_workspace(workspace_id):
        stored = StoredTree(current_block().connection, tree)
        if not 0 < old <= new <= stored.size():
            raise ProofUnavailable(f"the tree has sizes from 1 to {stored.size()}")
        return consistency_path(old, new, stored.nodes)


def stored_payloads(workspace_id: UUID | None, entry_id: UUID) -> list[str]:
    """Return the names of the entry's payloads that still exist, without opening them."""
    with in_workspace(workspace_id):
        rows = Payload.objects.filter(workspace_id=_tree(workspace_id), entry_id=entry_id)
        return sorted(rows.values_list("name", flat=True))


def _waiting(tree: UUID) -> tuple[int, float]:
    """Return how many entries wait for a position, and for how long (seconds).

    Looks at the newest ones only: what waits longer is found by verification.
    """
    with current_block().connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT count(*), coalesce(max(extract(epoch FROM clock_timestamp() - time)), 0)::float8
            FROM (SELECT number, time FROM audit_entry WHERE workspace_id = %s
                  ORDER BY time DESC, number DESC LIMIT 1000) AS newest
            WHERE NOT EXISTS (SELECT 1 FROM audit_position p WHERE p.entry_number = newest.number)
            """,
            [tree],
        )
        row = cursor.fetchone()
    return int(row[0]), float(row[1])


def _tree(workspace_id: UUID | None) -> UUID:
    return PLATFORM if workspace_id is None else workspace_id


def _cursor(time: datetime, number: int) -> str:
    text = f"{time.isoformat()} {number}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def _read_cursor(cursor: str) -> tuple[datetime, int] | None:
    try:
        time, number = base64.urlsafe_b64decode(cursor).decode().split(" ")
        return datetime.fromisoformat(time), int(number)
    except (ValueError, binascii.Error, UnicodeDecodeError):
        return None
