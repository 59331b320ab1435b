"""A graph of values: what flows where, solved to a fixed point.

Every node stands for a value and holds a bit mask of the sources it may come from. The low
half of a mask is data, the high half control: the same sources, where they only decided
which value it is. An edge copies a mask; a control edge moves the data half into the control
half on the way, a steering edge passes the control half alone, a store edge mutates its
target, a deep edge also what its target holds, a changes edge passes on only what was stored,
a told edge leaves out written words, as a tool does, and a words edge passes on nothing else.

Mutation runs backwards. What is stored into an object is seen by everyone who holds the
same object, so each node also has `shallow` (stored into the object itself) and `deep`
(stored into something the object holds), and they travel along `back` edges:

- ALIAS: two names of one object: shallow to shallow, deep to deep;
- PART: this value was taken out of the target: anything stored into it is deep there;
- WHOLE: this value holds the target: what is deep here may be in the target.
"""

from collections import defaultdict
from collections.abc import Callable

COPY, CONTROL, STORE, CHANGES, STEER, TOLD, DEEP, WORDS = range(8)
ALIAS, PART, WHOLE = 0, 1, 2
MAX_STEPS = 150_000


class TooComplexError(Exception):
    """More than `MAX_STEPS` edges or steps to the fixed point: nobody writes such a program."""


class Graph:
    """Nodes are integers; node 0 is "nothing": it holds no source and takes none."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.low = (1 << width) - 1
        self.value: list[int] = [0]
        self.shallow: defaultdict[int, int] = defaultdict(int)
        self.deep: defaultdict[int, int] = defaultdict(int)
        self.forward: defaultdict[int, list[int]] = defaultdict(list)
        self.back: defaultdict[int, list[int]] = defaultdict(list)
        self.constant = 0  # up to here nodes that nothing flows into: all literals are one value
        self.edges = 0
        self.untold = 0  # bits that do not pass through a tool
        self.special = 0  # bits whose every arrival is told
        self.watchers: dict[int, list[tuple[int, Callable[[int], None]]]] = {}
        self._waiting = bytearray()  # by node; empty until the graph is being solved

    def node(self, mask: int = 0) -> int:
        self.value.append(mask)
        if self._waiting:
            self._waiting.append(mask != 0)
        return len(self.value) - 1

    def edge(self, source: int, target: int, kind: int = COPY) -> None:
        if target <= self.constant or not source:
            return
        if source != target or kind == STORE:
            self.forward[source].append(target << 3 | kind)
            self.edges += 1
            if self.edges > MAX_STEPS:
                raise TooComplexError
            if self._waiting and self.value[source]:
                self._waiting[source] = 1

    def hold(self, value: int, target: int, kind: int) -> None:
        """Adds a back edge: what is stored into `value` reaches `target`."""
        if value and target > self.constant and value != target:
            self.back[value].append(target << 2 | kind)
            self.edges += 1
            if self._waiting and (value in self.shallow or value in self.deep):
                self._waiting[value] = 1

    def add(self, node: int, mask: int) -> None:
        if node and mask & ~self.value[node]:
            self.value[node] |= mask
            if self._waiting:
                self._waiting[node] = 1

    def watch(self, node: int, mask: int, call: Callable[[int], None]) -> None:
        """Calls `call(bits)` whenever new bits of `mask` reach `node`."""
        self.watchers.setdefault(node, []).append((mask, call))
        self.edges += 1
        if self._waiting and self.value[node]:
            self._waiting[node] = 1

    def solve(self, broadcast: Callable[[int, int], None]) -> None:
        """Pushes until nothing changes; calls `broadcast(node, bits)` for new `special` bits.

        Values are made in the order in which they are computed, so the nodes that wait are
        taken in that order, round after round: most are then pushed once.
        """
        seen: dict[tuple[int, int], int] = {}
        spread: dict[int, int] = {}
        waiting = self._waiting = bytearray(map(bool, self.value))
        budget = MAX_STEPS
        node = -1
        while (node := waiting.find(1, node + 1)) >= 0 or (node := waiting.find(1)) >= 0:
            budget -= 1
            if budget < 0:
                raise TooComplexError
            waiting[node] = 0
            self._push(node)
            if node in self.watchers:
                mask = self.value[node]
                for index, (wanted, call) in enumerate(self.watchers[node]):
                    new = mask & wanted & ~seen.get((node, index), 0)
                    if new:
                        seen[node, index] = seen.get((node, index), 0) | new
                        call(new)
            if self.special:
                new = self.value[node] & self.special & ~spread.get(node, 0)
                if new:
                    spread[node] = spread.get(node, 0) | new
                    broadcast(node, new)
        self.watchers.clear()  # they hold what made the graph: nothing need wait for a collector

    def _push(self, node: int) -> None:
        value, waiting = self.value, self._waiting
        mask, changes = value[node], 0
        if self.shallow:
            changes = self.shallow.get(node, 0) | self.deep.get(node, 0)
            mask = value[node] = mask | changes
        for edge in self.forward.get(node, ()):
            target, kind = edge >> 3, edge & 7
            if kind == COPY:
                new = value[target] | mask
            elif kind == CONTROL:
                new = value[target] | self.as_control(mask)
            elif kind == CHANGES:
                new = value[target] | changes
            elif kind == STEER:
                new = value[target] | mask >> self.width << self.width
            elif kind == TOLD:
                new = value[target] | mask & ~self.untold
            elif kind == WORDS:
                new = value[target] | mask & self.untold
            else:
                if mask & ~self.shallow.get(target, 0):
                    self.shallow[target] |= mask
                    waiting[target] = 1
                if kind == DEEP and mask & ~self.deep.get(target, 0):
                    self.deep[target] |= mask
                    waiting[target] = 1
                continue
            if new != value[target]:
                value[target] = new
                waiting[target] = 1
        if changes:
            self._push_back(node)

    def _push_back(self, node: int) -> None:
        shallow, deep = self.shallow, self.deep
        for edge in self.back.get(node, ()):
            target, kind = edge >> 2, edge & 3
            if kind == ALIAS:
                top, below = shallow.get(node, 0), deep.get(node, 0)
            elif kind == PART:
                top, below = 0, shallow.get(node, 0) | deep.get(node, 0)
            else:
                top = below = deep.get(node, 0)
            if top & ~shallow.get(target, 0) or below & ~deep.get(target, 0):
                shallow[target] |= top
                deep[target] |= below
                self._waiting[target] = 1

    def as_control(self, mask: int) -> int:
        return (mask & self.low) << self.width | (mask >> self.width) << self.width
