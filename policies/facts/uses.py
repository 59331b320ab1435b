"""Where names are read, and in what. Pure syntax, made only where a program is rough somewhere.

An iterator that is read in a straight line is used up in an order that stands in the program, and
a function that is only ever called by its name runs only where that name stands: there the
analysis follows both exactly. All questions are answered by name, over all scopes of a program,
so that what shares a name with something else counts as used like it.
"""

import ast

_LOOPS = (ast.For, ast.While, ast.AsyncFor)
_CLOSED = (ast.Lambda, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_READING = frozenset({"get", "items", "keys", "values"})
_LOOKING = frozenset({"len", "sorted", "enumerate", "print", "sum", "set", "tuple", "str"})
_EITHER = (ast.BoolOp, ast.IfExp)


class Uses:
    """The parent of every node, and where each name is read."""

    def __init__(self, tree: ast.AST) -> None:
        self.parent: dict[ast.AST, ast.AST] = {}
        self.loads: dict[str, list[ast.Name]] = {}
        pending = [tree]
        while pending:
            node = pending.pop()
            for child in ast.iter_child_nodes(node):
                self.parent[child] = node
                pending.append(child)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                self.loads.setdefault(node.id, []).append(node)

    def only_called(self, name: str) -> bool:
        """Whether whatever has this name is never a value: not kept, passed or decorated with."""
        return all(self._is_callee(load) for load in self.loads.get(name, ()))

    def only_drawn(self, name: str) -> bool:
        """Whether all that reads an iterator of this name takes one element by `next`."""
        loads = self.loads.get(name)
        return bool(loads) and all(self._is_next(load) for load in loads or ())

    def calls_of(self, name: str) -> list[ast.Call]:
        calls = (self.parent[load] for load in self.loads.get(name, ()))
        return [call for call in calls if isinstance(call, ast.Call)]

    def _is_callee(self, load: ast.Name) -> bool:
        call = self.parent[load]
        return isinstance(call, ast.Call) and call.func is load

    def is_read(self, load: ast.Name) -> bool:
        """Whether a list or dictionary is only looked into here."""
        parent = self.parent[load]
        if isinstance(parent, ast.Subscript):
            return parent.value is load and isinstance(parent.ctx, ast.Load)
        if isinstance(parent, ast.Attribute):
            call = self.parent[parent]
            called = isinstance(call, ast.Call) and call.func is parent
            return called and parent.attr in _READING
        if isinstance(parent, ast.For | ast.comprehension):
            return parent.iter is load
        if isinstance(parent, ast.Call) and isinstance(parent.func, ast.Name):
            return parent.func is not load and parent.func.id in _LOOKING
        return isinstance(parent, ast.Compare)

    def in_order(self, target: ast.AST, name: str, consumed: set[int]) -> bool:
        """Whether an iterator of this name is used up in a straight line from where it is bound.

        All but the last read take one element by `next`; none is in a loop or may be left out.
        """
        loads = sorted(self.loads.get(name, ()), key=lambda n: (n.lineno, n.col_offset))
        block = self._block(target)
        if not loads or block is None or any(self._block(load) is not block for load in loads):
            return False
        *first, last = loads
        told = all(self._is_next(load) and not self._may_be_left_out(load) for load in first)
        return told and (id(last) in consumed or self._is_next(last))

    def read_once(self, name: str, loop: ast.AST, consumed: set[int]) -> bool:
        """Whether a name that a loop binds is read at one place of its body, and used up there."""
        loads = sorted(self.loads.get(name, ()), key=lambda n: (n.lineno, n.col_offset))
        if not loads or id(loads[0]) not in consumed:
            return not loads
        if len(loads) > 1 and not self._is_replaced(loads[0], name, loop):
            return False
        child: ast.AST = loads[0]
        while child in self.parent:
            node = self.parent[child]
            if node is loop or (isinstance(node, _COMPREHENSIONS) and loop in node.generators):
                return True
            if self._leads_away(node, child):
                return False
            child = node
        return False

    def _is_replaced(self, load: ast.Name, name: str, loop: ast.AST) -> bool:
        """`group = list(group)` as the first that a round does: what is read after is a list."""
        made = self.parent[self.parent[load]]
        first = isinstance(loop, ast.For) and loop.body[0] is made
        target = made.targets[0] if isinstance(made, ast.Assign) else None
        return first and isinstance(target, ast.Name) and target.id == name

    def _block(self, node: ast.AST) -> list[ast.stmt] | None:
        """The list of statements in whose line this is evaluated; None where it may not be."""
        while node in self.parent:
            parent = self.parent[node]
            if isinstance(node, ast.stmt):
                lists = (getattr(parent, name, None) for name in ("body", "orelse", "finalbody"))
                return next((b for b in lists if isinstance(b, list) and node in b), None)
            if self._leads_away(parent, node):
                return None
            node = parent
        return None

    def _leads_away(self, parent: ast.AST, child: ast.AST) -> bool:
        """Whether the child runs elsewhere, later or more than once."""
        if isinstance(parent, ast.comprehension):
            around = self.parent[parent]
            first = isinstance(around, _COMPREHENSIONS) and around.generators[0] is parent
            return not first or child is not parent.iter
        if isinstance(parent, _COMPREHENSIONS):
            return not isinstance(child, ast.comprehension)
        if isinstance(parent, ast.For):
            return child is not parent.iter and child is not parent.target
        return isinstance(parent, (*_LOOPS, *_CLOSED))

    def _is_next(self, load: ast.AST) -> bool:
        call = self.parent[load]
        named = isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
        return named and call.func.id == "next" and call.args[0] is load  # type: ignore[attr-defined]

    def _may_be_left_out(self, load: ast.AST) -> bool:
        node = load
        while not isinstance(node, ast.stmt):
            node = self.parent[node]
            if isinstance(node, _EITHER):
                return True
        return isinstance(node, ast.If | ast.Assert)
