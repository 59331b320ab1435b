"""Calls of methods: of the program's classes, and of strings, containers and the like."""

import ast
import re

from policies.facts import addresses, library
from policies.facts.functions import Arguments
from policies.facts.library_calls import LibraryCalls
from policies.facts.texts import passes_plain


class Methods(LibraryCalls):
    """Visits `receiver.method(…)`."""

    def method_call(self, function: ast.Attribute, node: ast.Call) -> int:
        name = function.attr
        if name == "__setattr__" and _is_name(function.value, "object"):
            own = self.function is not None and self.function.is_method
            if own and node.args and _is_name(node.args[0], "self"):
                return self.set_frozen(node)
        if self.is_parent_call(function):
            receiver = self.evaluate(function.value)
            if name == "__call__":
                arguments = self.arguments(node)
                self.may_build_class(receiver, arguments, node)
                return self.apply(receiver, arguments)
        else:
            self.check_attribute(name, function)
            receiver = self.evaluate(function.value)
        if name in self.reads and not passes_plain(node):
            self.not_modelled("relied-on", name, node)
        if name in ("format", "format_map"):
            self.check_format(function.value, node)
        elif name == "scanner" and name not in self.scopes.methods:
            self.not_modelled("iterator", name, node)  # of a pattern: its `search` moves on
        kept = name in _KEEPING or name in self.scopes.stored_attributes
        arguments = self.arguments(node, kept=kept)
        if name in _FILLING:
            self.fill(name, receiver, arguments, node)
        if len(arguments.positional) > 1 and self.is_type(function.value):
            receiver = arguments.positional.pop(0)  # `dict.get(d, key)` is `d.get(key)`
        elif arguments.spread and self.is_type(function.value):
            self.mutate_together(arguments.all(), spread=True)
        if self.packages:
            self.check_query(name, node)
        if len(arguments.positional) > 3 or arguments.spread:
            self.class_builder(arguments.all()[0], node)
        more = self.met(name, arguments.all())
        if self.path_bit and name in library.PATH_METHODS:
            handle = self.path_method(name, node, receiver, more)
            if handle is not None:
                return handle
        if name in self.scopes.stored_attributes:
            return self.own_method(name, receiver, arguments, node, more)
        return self.builtin_method(function, receiver, arguments, node, more)

    def fill(self, name: str, receiver: int, arguments: Arguments, node: ast.Call) -> None:
        """A method that puts what it is given under keys, which need not stand there."""
        if name in ("fromkeys", "_asdict"):
            self.put_under(None, receiver)
        if name == "update" and not self.may_be_pairs(node):
            return
        named = name == "setdefault" and bool(node.args)
        for value in (*arguments.positional[named:], *arguments.spread):
            self.put_under(node.args[0] if named else None, value)

    def met(self, name: str, given: list[int]) -> list[int]:
        """What a method gets at beside its receiver: what it is given, and a clock or a source."""
        values = list(given)
        if name == "send":
            for value in given:
                self.flow(value, self.sent)
        if name == "throw":
            for value in given:
                self.flow(value, self.thrown)
        if name in library.DRAWING_METHODS:
            values.append(self.drawn(given))
        if name in library.CLOCK_METHODS:
            values.append(self.looked())
        return values

    def own_method(
        self, name: str, receiver: int, arguments: Arguments, node: ast.Call, more: list[int]
    ) -> int:
        """A method of the program's classes, or of something else that has one of this name."""
        if name in library.CHANGING_VALUES or name in library.CONSUMING_METHODS:
            self.may_change(receiver, arguments)
        method = self.read_attribute(receiver, name)
        if name not in self.scopes.methods or name in self.also_stored:
            self.may_build_class(method, arguments, node)
        met = more[len(arguments.all()) :]
        return self.apply(method, arguments, self.merge(receiver, *met) if met else receiver)

    def builtin_method(
        self,
        function: ast.Attribute,
        receiver: int,
        arguments: Arguments,
        node: ast.Call,
        values: list[int],
    ) -> int:
        name = function.attr
        values += self.callbacks([receiver, *values])
        silent = not values or name in library.KEYED_METHODS  # else `plain_method` stores them
        if name in library.CONSUMING_METHODS or (
            silent and name not in library.SCALAR_METHODS and name not in library.READING_METHODS
        ):
            self.change_silently([receiver])
        if name == "pop" or name in library.CONSUMING_METHODS:
            self.steer(arguments.all(), receiver)
        values += self.words_of(function, node)
        if name in library.SCALAR_METHODS:
            result = self.join(receiver, *values)
        elif name in library.KEYED_METHODS and arguments.positional:
            wordy = any(map(_is_wordy, node.args[1:]))
            self.default_text = self.text_mask if wordy else 0
            result = self.keyed(receiver, arguments, self.constant(node.args[0]))
        else:
            result = self.plain_method(name, receiver, values)
        self.decide(self.path, result) if result != self.literal else None
        self.raises(result)
        return result

    def words_of(self, function: ast.Attribute, node: ast.Call) -> list[int]:
        """Written words, or parts of an address, that a method puts into a text."""
        name = function.attr
        written = [function.value] if name == "join" else _rewritten(name, node)
        template = self.constant(function.value) if name == "format" else None
        told = isinstance(template, str) and addresses.is_part_of_address(template)
        if told or self.writes_text(written):
            return [self.graph.node(self.address_mask)]
        if name == "join" and node.args and isinstance(node.args[0], ast.List | ast.Tuple):
            pieces = self.graph.node()
            self.put_together(pieces, node.args[0].elts)
            return [pieces]
        wordy = isinstance(template, str) and addresses.is_wordy(_between_fields(template))
        return [self.graph.node(self.text_mask)] if wordy else []

    def may_change(self, receiver: int, arguments: Arguments) -> None:
        """A list's `pop` is not the program's own method of this name: what is left depends."""
        values = arguments.all()
        self.change_silently([receiver])
        self.steer([*values, *self.callbacks([receiver, *values])], receiver)

    def is_type(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and self.is_builtin(node.id)

    def set_frozen(self, node: ast.Call) -> int:
        """`object.__setattr__(self, "name", value)`, as frozen dataclasses need it."""
        arguments = self.arguments(node)
        name = self.constant(node.args[1]) if len(node.args) == 3 else None
        if arguments.spread or not isinstance(name, str):
            self.feature("reflection", "__setattr__", node)
            return self.apply(self.literal, arguments)
        self.check_written_attribute(node.args[0], name, node)
        self.check_attribute(name, node)
        self.set_attribute(arguments.positional[0], name, arguments.positional[2])
        return self.literal

    def is_parent_call(self, function: ast.Attribute) -> bool:
        """`super().__init__(…)` and `Base.__init__(self, …)`."""
        base = function.value
        parent = (isinstance(base, ast.Name) and base.id != "type") or (
            isinstance(base, ast.Call) and _is_name(base.func, "super")
        )
        return function.attr in library.ORDINARY_DUNDERS and parent

    def plain_method(self, name: str, receiver: int, values: list[int]) -> int:
        reading = name in library.READING_METHODS
        if receiver == self.literal and (reading or not values):
            result = self.graph.node(self.literal_mask)
        else:
            result = self.graph.node()
            self.alias(self.part(receiver), result)
            if not reading:
                self.graph.hold(result, receiver, 0)  # may return itself
        for value in values:
            self.put(value, result)
            if not reading:
                self.store(value, receiver)
        if not reading:
            self.mutate_together([receiver, *values], deep=bool(self.known))
        return result

    def keyed(self, receiver: int, arguments: Arguments, name: object) -> int:
        """`get(key, default)`: the key decides, the receiver's parts are the value."""
        key, *others = arguments.all()
        result = self.graph.node()
        part = self.under(receiver, name) if isinstance(name, str) else self.part(receiver)
        self.alias(part, result)
        self.decide(key, result)
        for value in others:
            self.alias(value, result)
        self.graph.add(result, self.default_text)
        self.raises(key)
        return result


_FILLING = frozenset({
    "setdefault", "update", "fromkeys", "__setitem__", "_asdict", "match", "search", "fullmatch",
    "finditer",
})  # fmt: skip
_KEEPING = library.MUTATING_METHODS | {"_replace"}
# Methods by which letters of the program take the place of others, and where those letters are.
_REWRITING = {"replace": 1, "maketrans": 1, "sub": 0, "subn": 0}


def _rewritten(name: str, node: ast.Call) -> list[ast.expr]:
    index = _REWRITING.get(name)
    return [] if index is None else node.args[index : index + 1]


def _is_wordy(node: ast.expr) -> bool:
    text = node.value if isinstance(node, ast.Constant) else None
    return isinstance(text, str) and addresses.is_wordy(text)


def _between_fields(template: str) -> str:
    return re.sub(r"\{[^{}]*\}", " ", template)


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
