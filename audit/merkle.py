"""RFC 9162 §2.1 Merkle trees over leaf hashes: roots, inclusion, consistency.

All hashes are 32 raw bytes. Nothing here is our own invention, on purpose: a log that
invented its own proof (immudb's linear part) let a server show two histories.

`Frontier` is the compact form a growing tree needs: the roots of its perfect subtrees,
largest first. `root`, `inclusion_proof` and `consistency_proof` read subtree roots from a
function, so that they run over a list in tests and over stored tiles in the database.

Pure: no Django, no clock, no I/O.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

HASH_SIZE = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

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
