"""Origins of values, read off the solved graph."""

from collections.abc import Collection, Iterator, Sequence

from policies.facts.record import Origin
from policies.facts.statements import Statements


class Origins:
    """Reads origins off the solved graph."""

    def __init__(self, walk: Statements) -> None:
        self.walk = walk
        self._origins: dict[int, Origin] = {}
        self._labels: dict[int, frozenset[str]] = {}

    def origin_of_mask(self, mask: int) -> Origin:
        origin = self._origins.get(mask)
        if origin is None:
            origin = self._origins[mask] = self._read(mask)
        return origin

    def _read(self, mask: int) -> Origin:
        graph = self.walk.graph
        data, steering = mask & graph.low, mask >> graph.width
        sources: set[str] = set()
        labels: set[str] = set()
        control: set[str] = set()
        for bit, meaning in self._meanings(data | steering):
            if data & bit:
                sources |= meaning.sources
                labels |= meaning.labels
                control |= meaning.control
            else:
                control |= meaning.labels | meaning.control
        return Origin(frozenset(sources), frozenset(labels), frozenset(control))

    def _meanings(self, bits: int) -> Iterator[tuple[int, Origin]]:
        """The sources among these bits; others stand for functions and classes."""
        while bits:
            bit = bits & -bits
            bits ^= bit
            meaning = self.walk.origins[bit.bit_length() - 1]
            if isinstance(meaning, Origin):
                yield bit, meaning

    def labels(self, *nodes: int) -> frozenset[str]:
        """Labels of what these values contain or were decided by."""
        mask = union(self.walk.graph.value, nodes)
        labels = self._labels.get(mask)
        if labels is None:
            origin = self.origin_of_mask(mask)
            labels = self._labels[mask] = origin.labels | origin.control
        return labels


def union(value: Sequence[int], nodes: Collection[int]) -> int:
    mask = 0
    for node in nodes:
        mask |= value[node]
    return mask
