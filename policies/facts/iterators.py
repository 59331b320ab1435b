"""Which variables may hold an iterator that somebody has half used up. Pure syntax.

How far an iterator has been read may tell of all that was read beside it (`zip(rows, it)`), and
whoever reads on sees it. An iterator is harmless where all of it is taken where it is made, or
where it has names alone; then the walk knows by its names when it is read. In every other place
it is *loose*: any value may be it, or hold it.
"""

import ast
from collections.abc import Collection
from typing import Final

from policies.facts.library import ITERATING_METHODS, ITERATOR_MODULES, ITERATORS, TAKING_ALL


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


CONSUMERS: Final = ITERATORS | TAKING_ALL | _words(
    "len print str repr type isinstance Counter OrderedDict deque array DataFrame Series Decimal"
    " fsum prod mean fmean median mode stdev pstdev variance pvariance multimode reduce nlargest"
    " nsmallest from_iterable join extend update union intersection difference fromkeys"
    " symmetric_difference issubset issuperset writerows writelines dump load writer DictWriter"
    " parse"
)  # fmt: skip
"""Functions and methods that take all of what they are given, or are an iterator over it."""

_MAKERS: Final = ITERATORS | ITERATING_METHODS
_COPYING: Final = frozenset({"copy", "deepcopy", "iter", "next"})


class Iterators:
    """What `Scopes` has met that makes, names, takes or keeps an iterator.

    Attributes:
        names: of variables that may hold one.
        loose: whether there may be some that these names alone do not lead to.
        aliases: names assigned from another name, or from what it returns.
        calls: calls with arguments.
        holders: what may put its parts into something, or hand them on.
        taken: expressions all of which is taken at their place, and what takes them.
    """

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.loose = False
        self.aliases: list[tuple[str, str]] = []
        self.calls: list[ast.Call] = []
        self.holders: list[ast.AST] = []
        self.taken: dict[int, str] = {}
        self._takers: set[str] = set()

    def call(self, node: ast.Call, name: str) -> None:
        """A call of a function or method of this name."""
        if node.args or node.keywords:
            self.calls.append(node)
            if name in CONSUMERS:
                for argument in node.args:
                    self.taken[id(argument)] = name
        if name in _MAKERS and makes_iterator(node):
            self.made(node)

    def made(self, node: ast.expr) -> None:
        taker = self.taken.get(id(node))
        if taker is None:
            self.loose = True
        else:
            self._takers.add(taker)

    def named(self, name: str, value: ast.expr | None) -> None:
        """`value` may be an iterator under this name, or something that has another one."""
        if isinstance(value, ast.Name):
            self.aliases.append((name, value.id))
        elif makes_iterator(value):
            self.names.add(name)
            self.taken[id(value)] = ""
        elif isinstance(value, ast.Call):
            self._named_after(name, value)

    def _named_after(self, name: str, call: ast.Call) -> None:
        called = call.func
        if isinstance(called, ast.Name):
            self.aliases.append((name, called.id))
            if called.id in TAKING_ALL:
                return
        for given in call.args:
            if isinstance(given, ast.Name):
                self.aliases.append((name, given.id))
            elif makes_iterator(given) and last_name(called) in _COPYING:
                self.names.add(name)

    def mark(self, own: Collection[str], generators: Collection[str]) -> None:
        """Finds other names of iterators, and whether one is kept in something that is no name.

        Args:
            own: names of the program's functions, methods and classes.
            generators: those of functions that yield.
        """
        for _ in range(3 if self.names or generators else 0):
            for name, other in self.aliases:
                if other in self.names or other in generators:
                    self.names.add(name)
        self.loose = self.loose or not self._takers.isdisjoint(own)
        if self.names and not self.loose:
            self.loose = any(self._hands_on(call, own) for call in self.calls) or any(
                self._is_named(part)
                for holder in self.holders
                for part in ast.iter_child_nodes(holder)
            )

    def _hands_on(self, call: ast.Call, own: Collection[str]) -> bool:
        """Whether it passes an iterator to what may keep it."""
        name = last_name(call.func)
        taken = name in CONSUMERS and name not in own
        given = [keyword.value for keyword in call.keywords]
        return any(map(self._is_named, given if taken else [*given, *call.args]))

    def _is_named(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Name) and node.id in self.names


def last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def makes_iterator(value: ast.AST | None) -> bool:
    if type(value) is ast.Name or type(value) is ast.Constant:
        return False
    if isinstance(value, ast.Call):
        called = value.func
        if isinstance(called, ast.Name):
            return called.id in ITERATORS
        if not isinstance(called, ast.Attribute):
            return False
        if called.attr in ITERATING_METHODS:
            return True
        plain = isinstance(called.value, ast.Name) and called.attr in ITERATORS
        return plain and called.value.id in ITERATOR_MODULES  # type: ignore[attr-defined]
    return isinstance(value, ast.GeneratorExp)
