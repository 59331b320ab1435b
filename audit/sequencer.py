"""The one process that gives committed entries their positions.

Guarantees: every committed entry gets exactly one position in its workspace's tree,
positions are dense, and a batch (positions, tiles, root) commits whole or not at all, at
whatever statement the process dies. Two sequencers cannot both succeed: an advisory lock
keeps the second out, and if the lock were lost, the primary key on the position refuses
it.

How new entries are found: by anti-join above a safe floor. "id greater than the last one
seen" would lose a late commit for ever. The floor rises to m only when no transaction
that could still hold a number at or below m is open: the fill trigger draws the number
after its transaction has its xid, so every holder of a number ≤ m had an xid below the
xmax of a snapshot taken after m was read; once a later snapshot's xmin has reached that
xmax, and everything visible below m has been placed, the floor may rise. A foreign
transaction that stays open only widens the window that the anti-join scans.

Steps of one round, in one transaction:
1. is the pending floor settled (xmin of a fresh snapshot);
2. committed entries above the floor without a position, by number;
3. append them to their trees: positions, full tiles, one batch row each;
4. commit; then raise the floor, if settled and nothing was left over, and read a new
   pending one.
"""

from collections.abc import Iterable, Mapping, Sequence
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


@dataclass(frozen=True)
class Round:
    """What one round did. `oldest_s`: age of the oldest entry it placed, in seconds."""

    placed: int = 0
    trees: frozenset[UUID] = frozenset()
    oldest_s: float = 0.0
    full: bool = False
    """The batch was full: there is more, go on at once."""


@dataclass
class _Candidate:
    """A floor waiting until every transaction that could undercut it has ended."""

    number: int
    xmax: int


@dataclass
class Sequencer:
    """Places entries; make one per connection, hold the lock while it runs."""

    using: str
    batch: int = BATCH
    floor: int = 0
    _candidate: _Candidate | None = None
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
            with transaction.atomic(using=self.using):
                settled = self._settled()
                rows = self._unplaced()
                done = self._place(rows)
        except BaseException:
            self._trees.clear()
            raise
        self._raise_floor(settled, done)
        return done

    def catch_up(self) -> int:
        """Place all there is now; return how many."""
        placed = 0
        while True:
            done = self.round()
            placed += done.placed
            if not done.full:
                return placed

    def _settled(self) -> bool:
        if self._candidate is None:
            return False
        rows = self._query("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        return int(rows[0][0]) >= self._candidate.xmax

    def _unplaced(self) -> list[tuple[int, UUID, bytes, float]]:
        return self._query(
            "SELECT e.number, e.workspace_id, e.leaf_hash,"
            " extract(epoch FROM clock_timestamp() - e.time)::float8"
            " FROM audit_entry e WHERE e.number > %s AND NOT EXISTS"
            # The floor again: the planner does not infer it, and would read all positions.
            " (SELECT FROM audit_position p WHERE p.entry_number = e.number"
            " AND p.entry_number > %s) ORDER BY e.number LIMIT %s",
            self.floor,
            self.floor,
            self.batch,
        )

    def _place(self, rows: Iterable[tuple[int, UUID, bytes, float]]) -> Round:
        by_tree: dict[UUID, list[tuple[int, bytes]]] = {}
        oldest, count = 0.0, 0
        for number, workspace_id, digest, age in rows:
            by_tree.setdefault(workspace_id, []).append((number, digest))
            oldest, count = max(oldest, age), count + 1
        if by_tree:
            self._append(by_tree)
        return Round(count, frozenset(by_tree), oldest, count == self.batch)

    def _append(self, by_tree: Mapping[UUID, list[tuple[int, bytes]]]) -> None:
        tiles: list[tuple[UUID, NewTile]] = []
        heads: list[tuple[UUID, int, bytes]] = []
        for workspace_id, found in by_tree.items():
            tree = self._tree(workspace_id)
            self._insert(workspace_id, tree.edge.size, found)
            tiles += [(workspace_id, tile) for tile in tree.append(d for _, d in found)]
            heads.append((workspace_id, tree.edge.size, tree.edge.root()))
        self._execute(
            "INSERT INTO audit_tile (workspace_id, level, index, hashes, root)"
            " SELECT * FROM unnest(%s::uuid[], %s::smallint[], %s::bigint[], %s::bytea[],"
            " %s::bytea[])",
            [(w, t.level, t.index, t.hashes, t.root) for w, t in tiles],
        )
        self._execute(
            "INSERT INTO audit_batch (workspace_id, size, root, sequenced_at)"
            " SELECT *, clock_timestamp() FROM unnest(%s::uuid[], %s::bigint[], %s::bytea[])",
            heads,
        )

    def _insert(self, workspace_id: UUID, start: int, found: Sequence[tuple[int, bytes]]) -> None:
        wire.call(
            self.connection,
            "INSERT INTO audit_position (workspace_id, position, entry_number, leaf_hash)"
            " SELECT $1, $2 + place - 1, number, hash"
            " FROM unnest($3, $4) WITH ORDINALITY AS placed(number, hash, place)",
            [
                wire.uuid(workspace_id),
                wire.bigint(start),
                wire.bigints([number for number, _ in found]),
                wire.array(wire.BYTEA, [digest for _, digest in found]),
            ],
        )

    def _tree(self, workspace_id: UUID) -> GrowingTree:
        if workspace_id not in self._trees:
            self._trees[workspace_id] = GrowingTree.load(StoredTree(self.connection, workspace_id))
        return self._trees[workspace_id]

    def _raise_floor(self, settled: bool, done: Round) -> None:
        if done.full:
            return
        if settled and self._candidate is not None:
            self.floor, self._candidate = self._candidate.number, None
        if self._candidate is None:
            # m first, the snapshot after it, in two statements: see the module's proof.
            rows = self._query("SELECT max(number) FROM audit_entry")
            number = rows[0][0] or 0
            if number > self.floor:
                rows = self._query("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
                self._candidate = _Candidate(number, int(rows[0][0]))

    def _query(self, sql: str, *parameters: int) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall())

    def _execute(self, sql: str, rows: list[tuple[Any, ...]]) -> None:
        if rows:
            with self.connection.cursor() as cursor:
                cursor.execute(sql, [list(column) for column in zip(*rows, strict=True)])
