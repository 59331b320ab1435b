"""The stored Merkle tree of a workspace: tiles of 256 and the ragged right edge.

Full tiles are stored once (C2SP tlog-tiles); what lies right of the last full tile is
read from the positions, or from the roots of the tiles below. A proof reads at most one
tile per 8 levels and edge.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from audit.merkle import HASH_SIZE, Frontier, frontier, node_hash

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT


class StoredTree:
    """Reads subtree roots of one workspace; make one per transaction, it caches tiles."""

    def __init__(self, connection: "BaseDatabaseWrapper", workspace_id: UUID) -> None:
        self._connection = connection
        self._workspace_id = workspace_id
        self._tiles: dict[tuple[int, int], list[bytes]] = {}

    def size(self) -> int:
        rows = self._query(
            "SELECT coalesce(max(position) + 1, 0) FROM audit_position WHERE workspace_id = %s"
        )
        return int(rows[0][0])

    def nodes(self, level: int, index: int) -> bytes:
        """Return the root of a perfect subtree (see `merkle.Nodes`)."""
        tile_level, rest = divmod(level, TILE_HEIGHT)
        first = index << rest
        tile = self.tile(tile_level, first >> TILE_HEIGHT)
        offset = first & (TILE_WIDTH - 1)
        return fold(tile[offset : offset + (1 << rest)])

    def tile(self, level: int, index: int) -> list[bytes]:
        """Return the hashes of a tile, fewer than 256 at the right edge."""
        key = (level, index)
        if key not in self._tiles:
            self._tiles[key] = self._read(level, index)
        return self._tiles[key]

    def _read(self, level: int, index: int) -> list[bytes]:
        rows = self._query(
            "SELECT hashes FROM audit_tile WHERE workspace_id = %s AND level = %s AND index = %s",
            level,
            index,
        )
        if rows:
            return split(bytes(rows[0][0]))
        start = index << TILE_HEIGHT
        if level == 0:
            rows = self._query(
                "SELECT leaf_hash FROM audit_position WHERE workspace_id = %s"
                " AND position >= %s AND position < %s ORDER BY position",
                start,
                start + TILE_WIDTH,
            )
        else:
            rows = self._query(
                "SELECT root FROM audit_tile WHERE workspace_id = %s AND level = %s"
                " AND index >= %s AND index < %s ORDER BY index",
                level - 1,
                start,
                start + TILE_WIDTH,
            )
        return [bytes(row[0]) for row in rows]

    def _query(self, sql: str, *parameters: int) -> list[tuple[bytes]]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, [self._workspace_id, *parameters])
            return list(cursor.fetchall())


@dataclass(frozen=True)
class NewTile:
    """A tile that has just become full."""

    level: int
    index: int
    hashes: bytes
    root: bytes


@dataclass
class GrowingTree:
    """The right edge of a tree in memory: what the sequencer needs to append."""

    edge: Frontier = field(default_factory=Frontier)
    partial: list[list[bytes]] = field(default_factory=list)
    """For each tile level the hashes of its last, not yet full tile."""

    @classmethod
    def load(cls, stored: StoredTree) -> "GrowingTree":
        size = stored.size()
        partial = []
        count, level = size, 0
        while count:
            index = count >> TILE_HEIGHT
            partial.append(list(stored.tile(level, index)) if count % TILE_WIDTH else [])
            count, level = index, level + 1
        return cls(frontier(size, stored.nodes), partial)

    def append(self, leaves: Iterable[bytes]) -> list[NewTile]:
        """Add leaf hashes; return the tiles that became full."""
        full: list[NewTile] = []
        for leaf in leaves:
            self.edge.append(leaf)
            self._add(0, leaf, full)
        return full

    def _add(self, level: int, node: bytes, full: list[NewTile]) -> None:
        if level == len(self.partial):
            self.partial.append([])
        tile = self.partial[level]
        tile.append(node)
        if len(tile) == TILE_WIDTH:
            index = (self.edge.size >> (TILE_HEIGHT * (level + 1))) - 1
            made = NewTile(level, index, b"".join(tile), fold(tile))
            full.append(made)
            self.partial[level] = []
            self._add(level + 1, made.root, full)


def fold(hashes: list[bytes]) -> bytes:
    """Return the root over a power of two of node hashes."""
    while len(hashes) > 1:
        pairs = zip(hashes[::2], hashes[1::2], strict=True)
        hashes = [node_hash(left, right) for left, right in pairs]
    return hashes[0]


def split(joined: bytes) -> list[bytes]:
    return [joined[i : i + HASH_SIZE] for i in range(0, len(joined), HASH_SIZE)]
