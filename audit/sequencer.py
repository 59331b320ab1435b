"""The one process that gives committed entries their positions.

Guarantees: every committed entry gets exactly one position in its workspace's tree,
positions are dense, and a batch (positions, tiles, root) commits whole or not at all, at
whatever statement the process dies. Two sequencers cannot both succeed: an advisory lock
keeps the second out, and if the lock were lost, the primary key on the position refuses
it.

How new entries are found: by anti-join above a safe floor. "id greater than the last one
seen" would lose a late commit for ever. The floor may rise to m when no transaction that could
still hold a number at or below m is open and all entries up to m are placed:
- the fill trigger draws the number after its transaction has its xid, so whoever holds a number
  at or below that of an entry one can see had its xid before;
- an xid that is assigned after the entries of a round were read (that of the transaction that
  places them) is therefore above the xids of all such holders. The xmax of a snapshot would not
  be: it is one past the highest transaction that has *ended*, and one that is open may be above;
- once the xmin of a later snapshot has reached that xid, all of them have ended, and what the
  same snapshot shows is all there will ever be at or below m.
A foreign transaction that stays open only widens the window that the anti-join scans.

One round:
1. one statement, one snapshot: the committed entries above the floor without a position, by
   number, and the snapshot's xmin;
2. if there are any, one transaction: positions, full tiles, one batch row for each tree;
3. raise the floor to what the xmin has settled, and remember what step 2 will settle.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import connections, transaction

from audit import wire
from audit.errors import SequencerBusy
from audit.tree import GrowingTree, NewTile, StoredTree

if TYPE_CHECKING:
    from django.db.backends.postgresql.base import DatabaseWrapper

LOCK = 0x61756469745F7365
"""Advisory lock of the sequencer ("audit_se"); one per database."""
BATCH = 4096
"""Entries in one commit: 27-35 thousand a second, a tenth of that at 16."""

_UNPLACED = """
WITH snapshot AS MATERIALIZED (
    SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS xmin,
        clock_timestamp() AS now
)
SELECT xmin, now, number, workspace_id, leaf_hash, time
FROM snapshot LEFT JOIN (
    SELECT e.number, e.workspace_id, e.leaf_hash, e.time
    FROM audit_entry e WHERE e.number > $1 AND NOT EXISTS (
        -- The floor again: the planner does not infer it, and would read all positions.
        SELECT FROM audit_position p WHERE p.entry_number = e.number AND p.entry_number > $1
    ) ORDER BY e.number LIMIT $2
) AS unplaced ON true
"""
_APPEND = """
WITH placed AS (
    INSERT INTO audit_position (workspace_id, position, entry_number, leaf_hash)
    SELECT * FROM unnest($1, $2, $3, $4)
)
INSERT INTO audit_batch (workspace_id, size, root, sequenced_at)
SELECT *, clock_timestamp() FROM unnest($5, $6, $7)
RETURNING pg_current_xact_id()::text::bigint
"""
_PLACE_TYPES = (wire.UUID_, wire.BIGINT, wire.BIGINT, wire.BYTEA)
_HEAD_TYPES = (wire.UUID_, wire.BIGINT, wire.BYTEA)
_TILES = (
    "INSERT INTO audit_tile (workspace_id, level, index, hashes, root)"
    " SELECT * FROM unnest(%s::uuid[], %s::smallint[], %s::bigint[], %s::bytea[], %s::bytea[])"
)


@dataclass(frozen=True)
class Round:
    """What one round did. `oldest_s`: age of the oldest entry it placed, in seconds."""

    placed: int = 0
    trees: frozenset[UUID] = frozenset()
    oldest_s: float = 0.0
    full: bool = False
    """The batch was full: there is more, go on at once."""


@dataclass(frozen=True)
class _Candidate:
    """A floor to be, once every transaction below an xid has ended."""

    number: int
    xid: int


@dataclass(frozen=True)
class _Found:
    """What one snapshot shows: entries without a position, and which transactions have ended."""

    entries: list[tuple[int, bytes, bytes]]
    """Number, workspace (16 raw bytes), leaf hash; by number."""
    oldest_s: float
    xmin: int


@dataclass
class Sequencer:
    """Places entries; make one per connection, hold the lock while it runs."""

    using: str
    batch: int = BATCH
    floor: int = 0
    _waiting: list[_Candidate] = field(default_factory=list)
    """The one that settles next, and the newest: those between would gain nothing."""
    _trees: dict[UUID, GrowingTree] = field(default_factory=dict)

    @property
    def connection(self) -> "DatabaseWrapper":
        return connections[self.using]  # type: ignore[return-value]

    def lock(self) -> None:
        """Become the sequencer, until the session ends.

        Raises:
            SequencerBusy: Another session is (a stand-by tries again later).
        """
        if not self._query("SELECT pg_try_advisory_lock(%s)", LOCK)[0][0]:
            raise SequencerBusy("another sequencer is at work")

    def unlock(self) -> None:
        self._query("SELECT pg_advisory_unlock(%s)", LOCK)

    def round(self) -> Round:
        """Place one batch of entries; on any error nothing is placed and memory is dropped."""
        try:
            found = self._unplaced()
            placing = self._place(found) if found.entries else self._start()
        except BaseException:
            self._trees.clear()
            raise
        full = len(found.entries) == self.batch
        self._raise_floor(found, full, placing)
        trees = frozenset(UUID(bytes=workspace) for _, workspace, _ in found.entries)
        return Round(len(found.entries), trees, found.oldest_s, full)

    def catch_up(self) -> int:
        """Place all there is now; return how many."""
        placed = 0
        while True:
            done = self.round()
            placed += done.placed
            if not done.full:
                return placed

    def _unplaced(self) -> _Found:
        rows = wire.rows(
            self.connection, _UNPLACED, [wire.bigint(self.floor), wire.bigint(self.batch)]
        )
        xmin, now = wire.integer(rows[0][0]), wire.integer(rows[0][1])
        if rows[0][2] is None:
            return _Found([], 0.0, xmin)
        oldest = min(wire.integer(row[5]) for row in rows)
        entries = sorted((wire.integer(row[2]), row[3], row[4]) for row in rows)
        return _Found(entries, (now - oldest) / 1e6, xmin)

    def _place(self, found: _Found) -> _Candidate:
        """Give each entry its place in its tree, in one transaction."""
        by_tree: dict[bytes, list[tuple[int, bytes]]] = {}
        for number, workspace, digest in found.entries:
            by_tree.setdefault(workspace, []).append((number, digest))
        with transaction.atomic(using=self.using):
            xid = self._append(by_tree)
        return _Candidate(found.entries[-1][0], xid)

    def _append(self, by_tree: Mapping[bytes, Sequence[tuple[int, bytes]]]) -> int:
        """Write positions, tiles and batches; return the transaction's id."""
        tiles: list[tuple[UUID, NewTile]] = []
        places: list[tuple[bytes, bytes, bytes, bytes]] = []
        heads: list[tuple[bytes, bytes, bytes]] = []
        for workspace, entries in by_tree.items():
            tree = self._tree(workspace_id := UUID(bytes=workspace))
            for position, (number, digest) in enumerate(entries, tree.edge.size):
                places.append((workspace, wire.int8(position), wire.int8(number), digest))
            tiles += [(workspace_id, tile) for tile in tree.append(d for _, d in entries)]
            heads.append((workspace, wire.int8(tree.edge.size), tree.edge.root()))
        self._insert_tiles(tiles)
        xid = wire.call(
            self.connection,
            _APPEND,
            [*_columns(_PLACE_TYPES, places), *_columns(_HEAD_TYPES, heads)],
        )
        return wire.integer(xid or b"")

    def _insert_tiles(self, tiles: Sequence[tuple[UUID, NewTile]]) -> None:
        if tiles:
            rows = [(w, t.level, t.index, t.hashes, t.root) for w, t in tiles]
            with self.connection.cursor() as cursor:
                cursor.execute(_TILES, [list(column) for column in zip(*rows, strict=True)])

    def _tree(self, workspace_id: UUID) -> GrowingTree:
        if workspace_id not in self._trees:
            self._trees[workspace_id] = GrowingTree.load(StoredTree(self.connection, workspace_id))
        return self._trees[workspace_id]

    def _start(self) -> _Candidate | None:
        """Where all was placed before this process began: a floor that no entry brought."""
        if self.floor or self._waiting:
            return None
        number = self._query("SELECT max(number) FROM audit_entry")[0][0]
        if number is None:
            return None
        # After the number was read, in a statement of its own: see the module's proof.
        xid = self._query("SELECT pg_current_xact_id()::text::bigint")[0][0]
        return _Candidate(number, xid)

    def _raise_floor(self, found: _Found, full: bool, placing: _Candidate | None) -> None:
        # A full batch may have left out what its snapshot showed above it.
        reached = found.entries[-1][0] if full else math.inf
        while self._waiting and self._waiting[0].xid <= found.xmin:
            if self._waiting[0].number > reached:
                break
            self.floor = max(self.floor, self._waiting.pop(0).number)
        if placing is not None:
            self._waiting[1:] = [placing]

    def _query(self, sql: str, *parameters: int) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall())


def _columns(types: Sequence[int], rows: Sequence[Sequence[bytes]]) -> list[wire.Value]:
    columns = zip(*rows, strict=True)
    return [wire.array(kind, column) for kind, column in zip(types, columns, strict=True)]
