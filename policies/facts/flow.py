"""A graph of values: what flows where, solved to a fixed point.

Every node stands for a value and holds a bit mask of the sources it may come from. The low
half of a mask is data, the high half control: the same sources, where they only decided
which value it is. An edge copies a mask; a control edge moves the data half into the control
half on the way, a steering edge passes the control half alone, a store edge mutates its
target, a changes edge passes on only what was stored, a told edge leads through a tool.

Mutation runs backwards. What is stored into an object is seen by everyone who holds the
same object, so each node also has `shallow` (stored into the object itself) and `deep`
(stored into something the object holds), and they travel along `back` edges:

- ALIAS: two names of one object: shallow to shallow, deep to deep;
- PART: this value was taken out of the target: anything stored into it is deep there;
- WHOLE: this value holds the target: what is deep here may be in the target.
"""

from collections import defaultdict, deque
from collections.abc import Callable

COPY, CONTROL, STORE, CHANGES, STEER, TOLD = range(6)
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
        self.constant = 0  # a node that nothing flows into: all literals are one value
        self.edges = 0
        self.untold = 0  # bits that do not pass through a tool
        self.special = 0  # bits whose every arrival is told
        self.watchers: dict[int, list[tuple[int, Callable[[int], None]]]] = {}
        self._queue: deque[int] = deque()
        self._queued = bytearray()  # by node; empty until the graph is being solved

    def node(self, mask: int = 0) -> int:
        self.value.append(mask)
        node = len(self.value) - 1
        if self._queued:
            self._queued.append(0)
            if mask:
                self._wake(node)
        return node

    def edge(self, source: int, target: int, kind: int = COPY) -> None:
        if target == self.constant:
            return
        if source and target and (source != target or kind == STORE):
            self.forward[source].append(target << 3 | kind)
            self.edges += 1
            if self.edges > MAX_STEPS:
                raise TooComplexError
            if self._queued and self.value[source]:
                self._wake(source)

    def hold(self, value: int, target: int, kind: int) -> None:
        """Adds a back edge: what is stored into `value` reaches `target`."""
        if value and target and value != target and target != self.constant:
            self.back[value].append(target << 2 | kind)
            self.edges += 1
            if value in self.shallow or value in self.deep:
                self._wake(value)

    def add(self, node: int, mask: int) -> None:
        if node and mask & ~self.value[node]:
            self.value[node] |= mask
            if self._queued:
                self._wake(node)

    def watch(self, node: int, mask: int, call: Callable[[int], None]) -> None:
        """Calls `call(bits)` whenever new bits of `mask` reach `node`."""
        self.watchers.setdefault(node, []).append((mask, call))
        self.edges += 1
        if self._queued and self.value[node]:
            self._wake(node)

    def _wake(self, node: int) -> None:
        """Has `node` pushed once more; `solve` begins with all that hold anything."""
        if not self._queued[node]:
            self._queued[node] = 1
            self._queue.append(node)

    def solve(self, broadcast: Callable[[int, int], None]) -> None:
        """Pushes until nothing changes; calls `broadcast(node, bits)` for new `special` bits."""
        seen: dict[tuple[int, int], int] = {}
        spread: dict[int, int] = {}
        queue, queued = self._queue, self._queued = (
            deque(node for node, mask in enumerate(self.value) if mask),
            bytearray(map(bool, self.value)),
        )
        budget = MAX_STEPS
        while queue:
            budget -= 1
            if budget < 0:
                raise TooComplexError
            node = queue.popleft()
            queued[node] = 0
            self._push(node)
            mask = self.value[node]
            if node in self.watchers:
                for index, (wanted, call) in enumerate(self.watchers[node]):
                    new = mask & wanted & ~seen.get((node, index), 0)
                    if new:
                        seen[node, index] = seen.get((node, index), 0) | new
                        call(new)
            new = mask & self.special & ~spread.get(node, 0)
            if new:
                spread[node] = spread.get(node, 0) | new
                broadcast(node, new)
        self.watchers.clear()  # they hold what made the graph: nothing need wait for a collector

    def _push(self, node: int) -> None:
        value, shallow, deep = self.value, self.shallow, self.deep
        changes = shallow.get(node, 0) | deep.get(node, 0)
        mask = value[node] = value[node] | changes
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
            else:
                if mask & ~shallow.get(target, 0):
                    shallow[target] |= mask
                    self._wake(target)
                continue
            if new != value[target]:
                value[target] = new
                self._wake(target)
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
                self._wake(target)

    def as_control(self, mask: int) -> int:
        return (mask & self.low) << self.width | (mask >> self.width) << self.width
