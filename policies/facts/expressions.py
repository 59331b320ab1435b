"""Expressions: from a syntax node to the node of its value in the graph.

What each kind of expression means stands in the classes below this one: names.py, displays.py,
targets.py, comprehensions.py. Here are operators, texts and functions as values.
"""

import ast
from abc import abstractmethod
from collections.abc import Callable, Iterable

from policies.facts import addresses
from policies.facts.comprehensions import Comprehensions
from policies.facts.flow import WHOLE
from policies.facts.targets import SEQUENCES

_WITHIN = frozenset({ast.In, ast.NotIn})
_A_NUMBER = 1_000_000
"""From here on a number may be that of a telephone or an account, to be written out as text."""


class Expressions(Comprehensions):
    """Visits every kind of expression."""

    def evaluate(self, node: ast.expr | None) -> int:
        """The value of `node`; constructs without a visitor are recorded as not modelled."""
        if node is None:
            return self.literal
        if type(node) is ast.Constant:
            value = node.value
            if isinstance(value, bytes):
                value = value.decode("latin-1")
            elif isinstance(value, int) and value >= _A_NUMBER:
                value = str(value)
            written = isinstance(value, str) and addresses.is_address(value)
            return self.graph.node(self.address_mask) if written else self.literal
        visitor = _VISITORS.get(type(node))
        if visitor is None:
            self.not_modelled("syntax", type(node).__name__, node)
            children = [
                child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)
            ]
            return self.join(*(self.evaluate(child) for child in children))
        result: int = visitor(self, node)
        return result

    # Operators

    def binary(self, node: ast.BinOp) -> int:
        left, right = self.evaluate(node.left), self.evaluate(node.right)
        if type(node.op) is ast.Mult and left != right:
            if self.is_sequence(node.left):
                return self.repeated(left, right)
            if self.is_sequence(node.right):
                return self.repeated(right, left)
        result = self.join(left, right)
        if type(node.op) is ast.Mod and self.writes_letters(node.left):
            result = self.join(result, self.graph.node(self.address_mask))
        if self.path_bit and type(node.op) is ast.Div:
            self.divided(node, left, right)
        if result != self.literal:
            self.put_together(result, (node.left, node.right))
            self.raises(result)
            if self.asked and type(node.op) is ast.Mod:
                self.may_add(right, left)
            if type(node.op) in (ast.Add, ast.Mult, ast.BitOr):  # may be lists or mappings
                for operand in {left, right} - {self.literal}:
                    self.graph.hold(result, operand, 2)
        return result

    def is_sequence(self, node: ast.expr) -> bool:
        """Whether it is a list or tuple for certain."""
        if isinstance(node, ast.Name):
            return isinstance(self.single_value(node.id), SEQUENCES)
        return isinstance(node, SEQUENCES)

    @abstractmethod
    def single_value(self, name: str) -> ast.expr | None: ...

    def repeated(self, whole: int, count: int) -> int:
        """`[line] * n`: the same elements; how many of them tells the number."""
        result = self.graph.node()
        self.flow(whole, result)
        self.graph.hold(result, whole, WHOLE)
        self.columns(result, [whole])
        for made in (result, *self.records.get(result, {}).values()):
            self.decide(count, made)
        self.raises(count)
        return result

    def boolean(self, node: ast.BoolOp) -> int:
        path, guard = self.path, self.guard
        values: list[int] = []
        for operand in node.values:
            value = self.evaluate(operand)
            if value == self.literal and self.is_word(operand):
                value = self.graph.node(self.text_mask)
            values.append(value)
            self.narrow(value)
        self.path, self.guard = path, guard
        return self.merge(*values)

    def is_word(self, node: ast.expr) -> bool:
        text = node.value if isinstance(node, ast.Constant) else None
        return isinstance(text, str) and addresses.is_wordy(text)

    def unary(self, node: ast.UnaryOp) -> int:
        result = self.join(self.evaluate(node.operand))
        self.raises(result)
        return result

    def compare(self, node: ast.Compare) -> int:
        path, guard = self.path, self.guard
        result = self.evaluate(node.left)
        asked = self.asked_for(node) if type(node.ops[0]) in _WITHIN else None
        if asked is not None:
            return asked
        for index, comparator in enumerate(node.comparators):
            if index:
                self.narrow(result)  # in `a < b < c` only what holds is gone on with
            result = self.join(result, self.evaluate(comparator))
        self.path, self.guard = path, guard
        self.raises(result)
        return result

    def asked_for(self, node: ast.Compare) -> int | None:
        """`"rates" in globals()`: whether a name is bound, and nothing else."""
        holder, name = node.comparators[0], node.left
        if not isinstance(holder, ast.Call) or holder.args or len(node.ops) > 1:
            return None
        called = holder.func
        if not isinstance(called, ast.Name) or called.id not in ("globals", "locals"):
            return None
        if not isinstance(name, ast.Constant) or not self.is_builtin(called.id):
            return None
        text = str(name.value)
        imported = isinstance(self.scopes.bound.get(text), ast.Import | ast.ImportFrom)
        if imported or text in self.kept_modules:
            return None  # which import ran is not followed
        bound = self.variable(text)
        if bound is None and text in self.known:
            bound = self.outside(text)
        result = self.graph.node(self.literal_mask)
        self.decide(bound or 0, result)
        self.decide(self.everything if bound is None and text in self.rebound else 0, result)
        return result

    def conditional(self, node: ast.IfExp) -> int:
        condition = self.evaluate(node.test)
        path, guard = self.path, self.guard
        self.narrow(condition)
        value = self.merge(self.evaluate(node.body), self.evaluate(node.orelse))
        if value != self.literal and (self.is_word(node.body) or self.is_word(node.orelse)):
            self.graph.add(value, self.text_mask)
        self.path, self.guard = path, guard
        if condition == self.literal:
            return value
        result = self.graph.node()
        self.alias(value, result)
        self.decide(condition, result)
        return result

    def named(self, node: ast.NamedExpr) -> int:
        value = self.kept(node.value)
        environment = self.environment
        block, self.block = self.block, self.block + 1  # may not be reached: never replaces
        while environment.scope.kind in ("comprehension", "generator") and environment.parent:
            environment = environment.parent
        inner, self.environment = self.environment, environment
        self.assign(node.target.id, value)
        if inner is not environment:  # in a comprehension: as often as it has elements
            self.decide(self.rounds, environment.current[node.target.id])
        self.environment, self.block = inner, block
        return value

    def joined(self, node: ast.JoinedStr) -> int:
        result = self.join(*(self.evaluate(value) for value in node.values))
        if result != self.literal:
            self.put_together(result, node.values)
        return result

    def put_together(self, result: int, parts: Iterable[ast.expr]) -> None:
        """Text of the program beside other text: a written domain makes a written address."""
        for part in parts:
            text = self.constant(part)
            if not isinstance(text, str):
                continue
            if addresses.is_part_of_address(text):
                self.graph.add(result, self.address_mask)
            elif addresses.is_wordy(text):
                self.graph.add(result, self.text_mask)

    def writes_text(self, new: list[ast.expr]) -> bool:
        """Whether letters of the program take the place of others: half an address is one."""
        text = self.constant(new[0]) if new else None
        return isinstance(text, str) and any(letter.isalnum() for letter in text)

    def writes_letters(self, template: ast.expr) -> bool:
        """`"%c" % 100`: letters are written by numbers."""
        text = self.constant(template)
        return isinstance(text, str) and "%c" in text

    @abstractmethod
    def divided(self, node: ast.BinOp, left: int, right: int) -> None: ...

    @abstractmethod
    def constant(self, node: ast.expr | None, depth: int = 0) -> object: ...

    def formatted(self, node: ast.FormattedValue) -> int:
        value = self.evaluate(node.value)
        if node.format_spec is None:
            return value
        result = self.join(value, self.evaluate(node.format_spec))
        if _is_letter(node.format_spec):
            result = self.join(result, self.graph.node(self.address_mask))
        self.raises(result)
        return result

    # Functions as values

    def function_value(self, node: ast.Lambda) -> int:
        function = self.make_function(node, is_method=False)
        self.defaults(node.args, function.nodes)
        return self.graph.node(function.bit)

    def defaults(self, arguments: ast.arguments, nodes: dict[str, int]) -> None:
        positional = [*arguments.posonlyargs, *arguments.args]
        given = zip(reversed(positional), reversed(arguments.defaults), strict=False)
        keyword = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        for parameter, default in [*given, *keyword]:
            if default is not None:
                self.alias(self.kept(default), nodes[parameter.arg])

    def yielded(self, node: ast.Yield) -> int:
        if node.value is not None:
            self.put(self.kept(node.value), self.result)
        self.decide(self.path, self.result)
        self.decide(self.rounds, self.result)
        self.raises(self.thrown)
        return self.sent

    def yielded_from(self, node: ast.YieldFrom) -> int:
        value = self.evaluate(node.value)
        self.alias(value, self.result)
        self.decide(self.path, self.result)
        return self.part(value)

    def awaited(self, node: ast.Await) -> int:
        self.not_modelled("async", "await", node)
        return self.evaluate(node.value)


def _is_letter(form: ast.expr) -> bool:
    """`:c`: letters are written by numbers."""
    last = form.values[-1] if isinstance(form, ast.JoinedStr) and form.values else None
    text = last.value if isinstance(last, ast.Constant) else ""
    return isinstance(text, str) and text.endswith("c")


_VISITORS: dict[type, Callable[..., int]] = {
    ast.Name: Expressions.name,
    ast.Attribute: Expressions.attribute,
    ast.BinOp: Expressions.binary,
    ast.BoolOp: Expressions.boolean,
    ast.UnaryOp: Expressions.unary,
    ast.Compare: Expressions.compare,
    ast.IfExp: Expressions.conditional,
    ast.NamedExpr: Expressions.named,
    ast.List: Expressions.display,
    ast.Tuple: Expressions.display,
    ast.Set: Expressions.display,
    ast.Dict: Expressions.dictionary,
    ast.Starred: Expressions.starred,
    ast.Subscript: Expressions.subscript,
    ast.Slice: Expressions.slice,
    ast.JoinedStr: Expressions.joined,
    ast.FormattedValue: Expressions.formatted,
    ast.ListComp: Expressions.comprehension,
    ast.SetComp: Expressions.comprehension,
    ast.GeneratorExp: Expressions.comprehension,
    ast.DictComp: Expressions.mapping_comprehension,
    ast.Lambda: Expressions.function_value,
    ast.Yield: Expressions.yielded,
    ast.YieldFrom: Expressions.yielded_from,
    ast.Await: Expressions.awaited,
}
VISITORS = _VISITORS
