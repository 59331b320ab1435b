"""Targets: what an assignment, a loop or a pattern binds or changes."""

import ast

from policies.facts import library
from policies.facts.addresses import is_address
from policies.facts.displays import Displays
from policies.facts.flow import ALIAS, STEER
from policies.facts.state import Function

SEQUENCES = (ast.Tuple, ast.List)


class Targets(Displays):
    """Binds values to targets of any form."""

    def bind(self, target: ast.expr, value: int, *, fresh: bool = False) -> None:
        """Assigns `value` to a target of any form."""
        if isinstance(target, ast.Name):
            self.check_name(target.id, target)
            self.assign(target.id, value, fresh=fresh)
        elif isinstance(target, SEQUENCES):
            self.raises(value)
            for element in target.elts:
                if isinstance(element, ast.Starred):
                    gathered = self.graph.node()
                    self.put(self.part(value), gathered)
                    self.bind(element.value, gathered)
                else:
                    self.bind(element, self.part(value))
        elif isinstance(target, ast.Attribute):
            self.write_attribute(target, value)
        elif isinstance(target, ast.Subscript):
            self.write_item(target, value)
        elif isinstance(target, ast.Starred):
            self.bind(target.value, value)
        else:
            self.not_modelled("target", type(target).__name__, target)

    def write_attribute(self, target: ast.Attribute, value: int) -> None:
        if self.module_of(target.value) is not None:
            self.feature("monkeypatch", target.attr, target)
            return
        base = target.value
        if isinstance(base, ast.Name) and self.is_builtin(base.id):
            self.feature("monkeypatch", f"{base.id}.{target.attr}", target)
        if library.is_dunder(target.attr) or library.is_introspection(target.attr):
            self.check_attribute(target.attr, target)
        self.set_attribute(self.evaluate(base), target.attr, value)

    def set_attribute(self, receiver: int, name: str, value: int) -> None:
        self.store(value, receiver)
        node = self.attribute_node(name)
        self.alias(value, node)
        self.decide(self.path, node)
        self.decide(self.rounds, node)
        self.graph.edge(receiver, node, STEER)
        if self.scopes.properties > 0:
            self.run_descriptor(name, [receiver, value], self.graph.node())
        for method in self.scopes.methods.get(name, ()):
            for function in self.definitions.get(method, ()):
                if function.decorated:  # it may be the property's setter
                    self.set_property(function, receiver, value)

    def set_property(self, function: Function, receiver: int, value: int) -> None:
        self.enter(function, self.place())
        for parameter in function.nodes.values():
            for given in (receiver, value):
                self.alias(given, parameter)

    def write_item(self, target: ast.Subscript, value: int) -> None:
        whole = self.evaluate(target.value)
        key = self.evaluate(target.slice)
        self.raises(key)
        self.raises(whole)
        fields = self.records.get(whole)
        constant = isinstance(target.slice, ast.Constant) and target.slice.value
        if isinstance(constant, str) and is_address(constant):
            self.store(self.evaluate(target.slice), whole)  # whoever goes over the keys has it
        self.put_under(target.slice, value)
        if fields is not None and isinstance(constant, str):
            self.field(fields, constant, value)
            self.put(value, whole)
            for decider in (self.path, self.rounds):
                self.decide(decider, fields[constant])
                self.decide(decider, whole)
            if any(edge & 3 == ALIAS for edge in self.graph.back.get(whole, ())):
                self.store(value, whole)  # it may be another dictionary as well
            return
        self.store(self.merge(value, key) if key != self.literal else value, whole)

    def bind_loop(self, target: ast.expr, iterable: ast.expr, value: int) -> None:
        """Binds a loop target; zip() and enumerate() keep their parts apart."""
        if isinstance(target, SEQUENCES):
            parts = self.loop_parts(target, iterable)
            if parts is not None:
                for element, part in zip(target.elts, parts, strict=True):
                    self.bind(element, part)
                return
        self.bind(target, self.part(value))

    def loop_parts(self, target: ast.Tuple | ast.List, iterable: ast.expr) -> list[int] | None:
        if not isinstance(iterable, ast.Call):
            return None
        function, arguments = iterable.func, iterable.args
        if not isinstance(function, ast.Name) or not self.is_builtin(function.id):
            return None
        if any(isinstance(a, ast.Starred) for a in (*target.elts, *arguments)):
            return None
        if function.id == "zip" and len(arguments) == len(target.elts):
            values = [self.evaluate(argument) for argument in arguments]
            return [self.part(value) for value in values]
        if function.id == "enumerate" and len(target.elts) == 2 and arguments:
            value = self.evaluate(arguments[0])
            index = self.graph.node(self.literal_mask)
            for start in (*arguments[1:], *(keyword.value for keyword in iterable.keywords)):
                self.flow(self.evaluate(start), index)
            self.decide(value, index)
            return [index, self.part(value)]
        return None
