"""RFC 9162 §2.1 Merkle trees over leaf hashes: roots, inclusion, consistency.

All hashes are 32 raw bytes. Nothing here is our own invention, on purpose: a log that
invented its own proof (immudb's linear part) let a server show two histories.

`Frontier` is the compact form a growing tree needs: the roots of its perfect subtrees,
largest first. `root`, `inclusion_path` and `consistency_path` read the roots of perfect
subtrees through a `Nodes` function, so that the same code runs over a list in tests and
over stored tiles in the database.

Pure: no Django, no clock, no I/O.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

HASH_SIZE = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

Nodes: TypeAlias = Callable[[int, int], bytes]
"""(level, index) → root of the perfect subtree of 2**level leaves, index-th from the left."""

_sha256 = hashlib.sha256


def leaf_hash(leaf: bytes) -> bytes:
    """Return SHA-256(0x00 ‖ leaf); the prefix keeps a node from passing as a leaf."""
    return _sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 ‖ left ‖ right)."""
    return _sha256(b"\x01" + left + right).digest()


@dataclass
class Frontier:
    """The roots of the perfect subtrees of a tree of `size` leaves, largest first."""

    size: int = 0
    peaks: list[bytes] = field(default_factory=list)

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash (32 raw bytes)."""
        self.peaks.append(leaf)
        self.size += 1
        carry = self.size
        while not carry & 1:
            right, left = self.peaks.pop(), self.peaks.pop()
            self.peaks.append(node_hash(left, right))
            carry >>= 1

    def extend(self, leaves: Iterable[bytes]) -> None:
        for leaf in leaves:
            self.append(leaf)

    def root(self) -> bytes:
        if not self.peaks:
            return EMPTY_ROOT
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root

    def copy(self) -> "Frontier":
        return Frontier(self.size, list(self.peaks))


def frontier(size: int, nodes: Nodes) -> Frontier:
    """Return the frontier of the first `size` leaves."""
    peaks = []
    start = 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            peaks.append(nodes(level, start >> level))
            start += 1 << level
    return Frontier(size, peaks)


def subtree_root(start: int, end: int, nodes: Nodes) -> bytes:
    """Return MTH(D[start:end]), where start is a multiple of 2**⌈log2(end - start)⌉."""
    count = end - start
    if count & (count - 1) == 0:
        level = count.bit_length() - 1
        return nodes(level, start >> level)
    split = _split(count)
    return node_hash(
        subtree_root(start, start + split, nodes), subtree_root(start + split, end, nodes)
    )


def inclusion_path(position: int, size: int, nodes: Nodes) -> list[bytes]:
    """Return PATH(position, D[0:size]), nearest sibling first (§2.1.3.1)."""
    if not 0 <= position < size:
        raise ValueError(f"position {position} is outside a tree of {size}")
    path = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if position < middle:
            path.append(subtree_root(middle, end, nodes))
            end = middle
        else:
            path.append(subtree_root(start, middle, nodes))
            start = middle
    return path[::-1]


def consistency_path(old: int, new: int, nodes: Nodes) -> list[bytes]:
    """Return PROOF(old, D[0:new]) (§2.1.4.1); empty where old is 0 or new."""
    if not 0 <= old <= new:
        raise ValueError(f"{old} is not a size before {new}")
    if old in (0, new):
        return []
    path = []
    start, end, whole = 0, new, True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(subtree_root(middle, end, nodes))
            end = middle
        else:
            path.append(subtree_root(start, middle, nodes))
            start, whole = middle, False
    if not whole:
        path.append(subtree_root(start, end, nodes))
    return path[::-1]


def verify_inclusion(
    leaf: bytes, position: int, size: int, path: Sequence[bytes], root: bytes
) -> bool:
    """Tell whether `path` proves the leaf hash at `position` under `root` (§2.1.3.2)."""
    if not 0 <= position < size:
        return False
    node, index, last = leaf, position, size - 1
    for sibling in path:
        if last == 0 or len(sibling) != HASH_SIZE:
            return False
        if index & 1 or index == last:
            node = node_hash(sibling, node)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        index, last = index >> 1, last >> 1
    return last == 0 and node == root


def verify_consistency(
    old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]
) -> bool:
    """Tell whether `path` proves that the new tree only appended (§2.1.4.2)."""
    if not 0 <= old <= new or any(len(node) != HASH_SIZE for node in path):
        return False
    if old == 0:
        return not path and old_root == EMPTY_ROOT
    if old == new:
        return not path and old_root == new_root
    nodes = [old_root, *path] if old & (old - 1) == 0 else list(path)
    if not nodes:
        return False
    index, last = old - 1, new - 1
    while index & 1:
        index, last = index >> 1, last >> 1
    first = second = nodes[0]
    for node in nodes[1:]:
        if last == 0:
            return False
        if index & 1 or index == last:
            first, second = node_hash(node, first), node_hash(node, second)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            second = node_hash(second, node)
        index, last = index >> 1, last >> 1
    return last == 0 and first == old_root and second == new_root


def nodes_of(leaves: Sequence[bytes]) -> Nodes:
    """Return `Nodes` over leaf hashes held in memory."""

    def node(level: int, index: int) -> bytes:
        if level == 0:
            return leaves[index]
        return node_hash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1))

    return node


def _split(count: int) -> int:
    """Return the largest power of two below `count` (count ≥ 2)."""
    return 1 << (count - 1).bit_length() - 1
