"""Origins of values, read off the solved graph."""

from collections.abc import Collection, Sequence

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
        sources = labels = control = frozenset[str]()
        bits = data | steering
        while bits:
            bit = bits & -bits
            bits ^= bit
            meaning = self.walk.origins[bit.bit_length() - 1]
            if not isinstance(meaning, Origin):
                continue  # it stands for a function or a class
            if data & bit:
                sources |= meaning.sources
                labels |= meaning.labels
                control |= meaning.control
            else:
                control |= meaning.labels | meaning.control
        return Origin(sources, labels, control)

    def labels(self, *nodes: int) -> frozenset[str]:
        """Labels of what these values contain or were decided by."""
        mask = union(self.walk.graph.value, nodes)
        labels = self._labels.get(mask) if mask else _NONE
        if labels is None:
            origin = self.origin_of_mask(mask)
            labels = self._labels[mask] = origin.labels | origin.control
        return labels


_NONE = frozenset[str]()


def union(value: Sequence[int], nodes: Collection[int]) -> int:
    mask = 0
    for node in nodes:
        mask |= value[node]
    return mask
