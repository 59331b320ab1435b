"""Comprehensions and generator expressions, and how many rounds a loop has."""

import ast
from abc import abstractmethod

from policies.facts import library
from policies.facts.state import Environment
from policies.facts.targets import Targets


class Comprehensions(Targets):
    """Visits comprehensions; what statements share with them about loops is here, too."""

    def comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> int:
        return self.run_comprehension(node, node.generators, [node.elt])

    def mapping_comprehension(self, node: ast.DictComp) -> int:
        return self.run_comprehension(node, node.generators, [node.key, node.value])

    def run_comprehension(
        self, node: ast.expr, generators: list[ast.comprehension], elements: list[ast.expr]
    ) -> int:
        outer, path, guard, rounds = self.environment, self.path, self.guard, self.rounds
        multiplicity, before, ran = self.multiplicity, len(self.sites), self.ran
        deferred = self.deferral(node)
        self.loops += len(generators)
        self.deepest_loop = max(self.deepest_loop, self.loops)
        late = self.graph.node() if node in self.stopping and (self.asked or _acts(node)) else 0
        lazy = late and self.calls_lazily(generators[0].iter)
        first = 0 if lazy else self.evaluate(generators[0].iter)
        inner = Environment(self.scopes.by_node[node], outer, self.block)
        if late:  # another element is asked for only if the one before was no hit
            self.narrow(late)
            first = self.evaluate(generators[0].iter) if lazy else self.used(first)
        for index, generator in enumerate(generators):
            if generator.is_async:
                self.not_modelled("async", "async for", node)
            if index:
                first = self.evaluate(generator.iter)
            self.environment = inner
            self.raises(first)
            self.multiplicity = self.times(self.multiplicity, generator.iter)
            self.bind_loop(generator.target, generator.iter, first)
            self.repeat(first)
            for condition in generator.ifs:
                kept = self.evaluate(condition)
                self.narrow(kept)
                self.flow(kept, late) if late else None
        result = self.graph.node(self.literal_mask)
        values = [self.evaluate(element) for element in elements]
        for value in values:
            self.put(value, result)
            self.flow(value, late) if late else None
        if len(values) == 1:
            self.columns(result, values)
        elif values:
            self.put_under(elements[0], values[1])
        if deferred:
            self.graph.add(result, deferred)
            self.ran = ran.union(site.spec.name for site in self.sites[before:])
        for made in (result, *self.records.get(result, {}).values()):
            self.decide(self.path, made)
            self.decide(self.rounds, made)
        self.environment, self.path, self.guard, self.rounds = outer, path, guard, rounds
        self.loops -= len(generators)
        self.multiplicity = multiplicity
        self.loop_ran(before)
        return result

    @abstractmethod
    def calls_lazily(self, node: ast.expr) -> bool: ...

    def deferral(self, node: ast.expr) -> int:
        """A generator expression with effects has them where something is taken from it."""
        if not isinstance(node, ast.GeneratorExp) or node in self.consumed:
            return 0
        if not any(isinstance(inner, ast.Call | ast.NamedExpr) for inner in ast.walk(node)):
            return 0
        bit = self.new_bit(None)
        self.spans.append((node.lineno, node.end_lineno or 0))
        self.marking = True
        self.graph.special |= bit
        own = self.deferred[bit] = (self.graph.node(), self.graph.node(), self.graph.node())
        self.path, self.guard, self.rounds = (
            self.join(one, other)
            for one, other in zip((self.path, self.guard, self.rounds), own, strict=True)
        )
        self.ran = frozenset(self.tools)
        return bit

    def loop_ran(self, before: int) -> None:
        """Calls of one loop may each come before each other."""
        inside = self.sites[before:]
        names = {site.spec.name for site in inside}
        for site in inside:
            site.in_loop = True
            site.after |= names

    def times(self, outer: int | None, iterable: ast.expr) -> int | None:
        count = _count(iterable)
        return None if outer is None or count is None else outer * count


def _acts(node: ast.expr) -> bool:
    """Whether something is called, or bound, that more than computes."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.NamedExpr):
            return True
        if isinstance(inner, ast.Call):
            called = inner.func
            named = isinstance(called, ast.Name) and called.id in library.SCALAR_FUNCTIONS
            method = isinstance(called, ast.Attribute) and called.attr in _COMPUTING_METHODS
            if not named and not method:
                return True
    return False


_COMPUTING_METHODS = library.SCALAR_METHODS | {"get", "items", "keys", "values", "split"}


def _count(iterable: ast.expr) -> int | None:
    """How many elements a literal or a range of literals has."""
    if isinstance(iterable, ast.List | ast.Tuple | ast.Set):
        return len(iterable.elts)
    if not isinstance(iterable, ast.Call) or not isinstance(iterable.func, ast.Name):
        return None
    if iterable.func.id == "enumerate" and len(iterable.args) == 1:
        return _count(iterable.args[0])
    if iterable.func.id != "range":
        return None
    bounds = [_integer(bound) for bound in iterable.args]
    numbers = [bound for bound in bounds if bound is not None]
    if len(numbers) != len(iterable.args) or not 1 <= len(numbers) <= 3 or numbers[2:] == [0]:
        return None
    return len(range(*numbers)) if all(abs(n) < 2**31 for n in numbers) else None


def _integer(node: ast.expr) -> int | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _integer(node.operand)
        return None if value is None else -value
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value
    return None
