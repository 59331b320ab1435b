"""Definitions of functions and classes, and the walk through their bodies."""

import ast
from abc import abstractmethod
from collections.abc import Sequence

from policies.facts import library
from policies.facts.calls import Calls
from policies.facts.flow import ALIAS, STEER
from policies.facts.functions import Arguments
from policies.facts.scopes import Definition, parameters_of
from policies.facts.state import ClassRecord, Environment, Function


class Definitions(Calls):
    """Visits definitions; walks a body where it is called, and once more for all who share it."""

    @abstractmethod
    def run(self, statements: Sequence[ast.stmt]) -> None: ...

    def annotation(self, node: ast.expr | None) -> None:
        """Annotations are evaluated too, and may hold calls; names in them are only names."""
        if node is None:
            return
        if any(self.is_loose(inner) for inner in ast.walk(node)):
            self.loose_annotations.append(node)
        for inner in ast.walk(node):
            if isinstance(inner, ast.Call | ast.NamedExpr | ast.Lambda | ast.Attribute):
                self.evaluate(node)
                return
            if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                self.check_annotation_text(inner)
            elif isinstance(inner, ast.Name):
                self.check_name(inner.id, inner)
                if inner.id in self.tools:
                    self.feature("tool-as-value", inner.id, inner)

    # Definitions

    def function_definition(self, node: Definition) -> None:
        if isinstance(node, ast.AsyncFunctionDef):
            self.not_modelled("async", node.name, node)
        in_class = self.environment.scope.kind == "class"
        if library.is_dunder(node.name) and not (
            in_class and node.name in library.ORDINARY_DUNDERS
        ):
            self.feature("dunder", node.name, node)
        function = self.make_function(node, is_method=in_class)
        self.defaults(node.args, function.nodes)
        for parameter in parameters_of(node.args):
            self.annotation(parameter.annotation)
        self.annotation(node.returns)
        value = self.graph.node(function.bit)
        if in_class and self.class_record is not None:
            self.class_record.methods.setdefault(node.name, []).append(function)
        value = self.decorated(node.decorator_list, value)
        self.assign(node.name, value, fresh=True)
        if in_class:
            self.alias(value, self.attribute_node(node.name))

    def decorated(self, decorators: Sequence[ast.expr], value: int) -> int:
        for decorator in reversed(decorators):
            named = decorator.func if isinstance(decorator, ast.Call) else decorator
            plain = isinstance(named, ast.Name) and self.is_builtin(named.id)
            if isinstance(decorator, ast.Call):
                self.applied.add(decorator)
            module = self.module_of(named)
            if plain or (module is not None and library.keeps_function(module.path, module.member)):
                made = self.evaluate(decorator)
                self.graph.hold(value, made, ALIAS)  # `wraps` shares what the function holds
                continue
            if module is not None and (module.path, module.member) != ("functools", "partial"):
                self.not_modelled("decorator", f"{module.path}.{module.member}", decorator)
            applied = self.apply(self.evaluate(decorator), Arguments([value], {}, []))
            value = self.merge(value, applied)
        return value

    def class_definition(self, node: ast.ClassDef) -> None:
        for keyword in node.keywords:
            if keyword.arg == "metaclass" and self.is_plain_metaclass(keyword.value):
                continue
            self.evaluate(keyword.value)
            if keyword.arg not in ("frozen", "total", "boundary"):
                self.not_modelled("metaclass", keyword.arg or "**", node)
        record = ClassRecord(0, node, self.graph.node())
        record.bit = self.new_bit(record)
        record.factories = bool(node.decorator_list)
        self.classes[record.bit] = record
        self.class_mask |= record.bit
        for base in node.bases:
            self.inherit(base, record, node)
        value = self.graph.node(record.bit)
        value = self.decorated(node.decorator_list, value)
        outer, outer_record = self.environment, self.class_record
        self.environment = Environment(self.scopes.by_node[node], outer, self.block)
        self.class_record = record
        self.run(node.body)
        inner = self.environment
        self.environment, self.class_record = outer, outer_record
        for name, versions in inner.versions.items():
            for version in versions:
                self.alias(version, self.attribute_node(name))
                if version != self.literal and self.graph.value[version] not in self.functions:
                    self.put(version, record.state)
        self.graph.edge(record.state, value)
        self.graph.hold(value, record.state, 0)
        if record.external:
            self.called_by_library(record)
        if record.implicit:
            self.graph.special |= record.bit
            # Where Python calls them does not show: anything from here on may be ended by them.
            self.stops += [(f.stop, "?") for f in record.implicit if f.stop]
        if record.is_enum:
            self.enum_mask |= record.bit
        self.assign(node.name, value, fresh=True)

    def called_by_library(self, record: ClassRecord) -> None:
        """What its base makes of a method, and when, nobody knows: anything may get there."""
        self.scopes.hooks = True
        anything = self.everything
        for function in (each for named in record.methods.values() for each in named):
            self.enter(function, (anything, anything, anything, self.error, 0))
            for parameter in function.nodes.values():
                self.flow(anything, parameter)

    def is_plain_metaclass(self, node: ast.expr) -> bool:
        module = self.module_of(node)
        return module is not None and (module.path, module.member) == ("abc", "ABCMeta")

    def inherit(self, base: ast.expr, record: ClassRecord, node: ast.ClassDef) -> None:
        module = self.module_of(base.value if isinstance(base, ast.Subscript) else base)
        if module is not None:
            record.is_enum = record.is_enum or module.member in library.ENUMERATIONS
            record.external = record.external or module.member not in library.PLAIN_BASES
            if module.member in library.METACLASSES:
                self.not_modelled("metaclass", module.member, node)
            if module.path == "pathlib":
                self.not_modelled("outside", f"a class of {module.member}", node)
        elif isinstance(base, ast.Name) and base.id == "type":
            self.not_modelled("metaclass", "type", node)
        value = self.evaluate(base) if not isinstance(base, ast.Name) else 0
        named = base.value if isinstance(base, ast.Subscript) else base
        if isinstance(base, ast.Subscript):
            self.class_bases.append((value, node))
        if isinstance(named, ast.Name):
            value = self.name(named)
            if module is None:
                self.class_bases.append((value, node))
            # What it is by now, not the use of it here, which the graph still has to fill.
            known = self.variable(named.id) or value
            parent = self.classes.get(self.graph.value[known])
            if parent is None and module is None and not self.is_builtin(named.id):
                self.not_modelled("computed-base", named.id, node)
            if parent is not None:
                self.put(parent.state, record.state)
                record.is_enum = record.is_enum or parent.is_enum
                record.external = record.external or parent.external
                record.factories = record.factories or parent.factories
                for name, functions in parent.methods.items():
                    record.methods.setdefault(name, list(functions))
        elif module is None:
            self.not_modelled("computed-base", ast.unparse(base)[:60], node)
        self.graph.edge(value, record.state, STEER)  # what chose the base

    def walk_body(self, function: Function, *, inline: bool = False) -> None:
        """Walks a function's body with the given parameters."""
        saved = self.save()
        node = function.node
        self.block = 0
        self.environment = Environment(function.scope, function.environment, 0)
        for name, value in function.nodes.items():
            self.environment.set(name, value)
        self.path, self.guard, self.error = function.path, function.guard, function.error
        self.rounds, self.loop_names = function.rounds, []
        self.function, self.result = function, function.result
        self.class_record = None
        self.moment = 0
        self.stops, self.before, self.exits = function.stops, 0, []
        if not inline:
            self.multiplicity, self.ran = None, frozenset(self.tools)
        if isinstance(node, ast.Lambda):
            self.alias(self.kept(node.body), function.result)
            self.decide(self.path, function.result)
        else:
            if inline:
                self.budget -= 10 * len(node.body)
            self.run(node.body)
        ran = self.ran
        for decider, _ in function.stops if function.stop else ():
            self.flow(decider, function.stop)
        self.restore(saved)
        if inline:
            self.ran |= ran

    def walk_uncalled(self) -> None:
        """Bodies that no direct call has walked: reached through values, or not at all."""
        done = 0
        while done < len(self.functions):
            for function in list(self.functions.values())[done:]:
                done += 1
                if not function.inlined:
                    self.share(function)

    def share(self, function: Function) -> None:
        """Walks the one shared instance of a function, if that has not been done."""
        if not function.shared:
            function.shared = True
            self.walk_body(function)

    def run_implicitly(self, node: int, bits: int) -> None:
        """A value that may be an instance: Python may call its special methods on it.

        A generator runs in the same way, as far as whoever has it takes from it.
        """
        place = self.place_of(node)
        for function in self.functions_in(bits):
            self.enter(function, place)
        for bit, own in self.deferred.items():
            if bits & bit:
                for decider, target in zip(place, own, strict=False):
                    self.flow(decider, target)
        for record in self.classes_in(bits):
            for function in record.implicit:
                self.enter(function, place)
                self.choose(node, function)
                names = function.positional
                for index, name in enumerate(names):
                    self.alias(node, function.nodes[name])
                    if index:
                        self.flow(self.sent, function.nodes[name])
                self.flow(node, function.path)
                self.alias(function.result, node)

    def save(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in _CONTEXT)

    def restore(self, saved: tuple[object, ...]) -> None:
        for name, value in zip(_CONTEXT, saved, strict=True):
            setattr(self, name, value)


_CONTEXT = (
    "block",
    "environment",
    "path",
    "guard",
    "rounds",
    "loop_names",
    "error",
    "function",
    "result",
    "class_record",
    "multiplicity",
    "ran",
    "moment",
    "stops",
    "before",
    "exits",
)
