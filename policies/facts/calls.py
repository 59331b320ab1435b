"""Calls: tools, functions of the program, methods, builtins and the library."""

import ast
import re
from abc import abstractmethod
from collections.abc import Iterable

from policies.facts import library
from policies.facts.expressions import VISITORS
from policies.facts.files import Files
from policies.facts.flow import ALIAS, CHANGES, PART, STEER, STORE, TOLD, TooComplexError
from policies.facts.paths import MAX_DEPTH, below
from policies.facts.record import CALLS, FINAL_ANSWER, ToolSpec
from policies.facts.scopes import MAX_NODES, NEVER_CAUGHT
from policies.facts.state import ClassRecord, Environment, Function, Module, Place, Site

_INLINE_DEPTH = 4
_MUTATING_MODULES = frozenset(
    {"heapq", "bisect", "operator", "random", "pprint", "struct", "xml.etree.ElementTree"}
)
# What these return may be an element of what they are given, or hold the same elements.
_CHOOSING = frozenset(
    {"random", "secrets", "heapq", "operator", "functools", "statistics", "copy", "itertools"}
)
_MUTATING_MEMBERS = frozenset(
    {("json", "dump"), ("copy", "deepcopy"), ("base64", "encode"), ("base64", "decode")}
)


class Arguments:
    """Evaluated arguments of one call."""

    def __init__(self, positional: list[int], named: dict[str, int], spread: list[int]) -> None:
        self.positional = positional
        self.named = named
        self.spread = spread

    def all(self) -> list[int]:
        return [*self.positional, *self.named.values(), *self.spread]


class Calls(Files):
    """Visits calls and connects callers with what they may call."""

    def call(self, node: ast.Call) -> int:
        result = self.called(node)
        if self.moment:
            self.graph.edge(result, self.moment)
        return result

    def called(self, node: ast.Call) -> int:
        function = node.func
        if len(node.args) == 1 and isinstance(node.args[0], ast.GeneratorExp):
            self.consumes(function, node.args[0])
        if isinstance(function, ast.Name):
            if function.id in self.tools:
                return self.tool_call(self.tools[function.id], node)
            return self.named_call(function, node)
        if isinstance(function, ast.Attribute) and self.is_standard_stream(function.value):
            return self.written_out(function, node)
        module = self.module_of(function)
        if module is not None:
            return self.library_call(module, self.without_stream(node))
        if isinstance(function, ast.Attribute):
            return self.method_call(function, node)
        if isinstance(function, ast.Call):
            self.applied.add(function)
        callee, arguments = self.evaluate(function), self.arguments(node)
        self.may_build_class(callee, arguments, node)
        return self.apply(callee, arguments)

    def consumes(self, function: ast.expr, argument: ast.GeneratorExp) -> None:
        """Builtins that take all of a generator expression at once make it an ordinary loop."""
        if isinstance(function, ast.Attribute):
            whole = function.attr in ("join", "extend", "update")
            whole = whole and function.attr not in self.scopes.stored_attributes
        elif isinstance(function, ast.Name):
            whole = function.id in library.TAKING_ALL and self.is_builtin(function.id)
        else:
            whole = False
        if whole:
            self.consumed.add(argument)
            if isinstance(function, ast.Name) and function.id in ("all", "any", "next"):
                self.stopping.add(argument)

    def may_build_class(self, callee: int, arguments: Arguments, node: ast.Call) -> None:
        if arguments.spread or len(arguments.positional) + len(arguments.named) > 1:
            self.class_builder(callee, node)

    def arguments(self, node: ast.Call) -> Arguments:
        positional: list[int] = []
        spread: list[int] = []
        for argument in node.args:
            if isinstance(argument, ast.Starred):
                spread.append(self.part(self.evaluate(argument.value)))
            else:
                value = self.evaluate(argument)
                (spread if spread else positional).append(value)
        named: dict[str, int] = {}
        for keyword in node.keywords:
            value = self.evaluate(keyword.value)
            if keyword.arg is None:
                spread.append(self.part(value))
                spread += self.callbacks([value]) if self.scopes.hooks else []
            else:
                named[keyword.arg] = value
        return Arguments(positional, named, spread)

    # Tools

    def tool_call(self, spec: ToolSpec, node: ast.Call) -> int:
        passed = self.tool_arguments(spec, node)
        for name, value, expression in tuple(passed):
            if name in spec.parameter_names:
                passed += self.inner_arguments(spec, name, value, expression)
        site = Site(
            spec=spec,
            environment=self.environment,
            line=node.lineno,
            column=node.col_offset,
            arguments=passed,
            guard=self.guarded(),
            path=self.path,
            rounds=self.rounds,
            in_loop=self.multiplicity != 1,
            maximum=self.multiplicity,
            after=self.ran,
        )
        self.sites.append(site)
        self.ran |= {spec.name}
        result = self.graph.node(self.result_of(spec))
        for name, value, _ in passed:
            if spec.effect == "read" and library.is_key(name, spec.roles.get(name, "")):
                self.decide(value, result)
            elif value == self.literal:
                self.graph.add(result, self.literal_mask)
            else:
                self.graph.edge(value, result, TOLD)
        self.decide(self.path, result)
        self.raises(result)
        if spec.name == FINAL_ANSWER:
            self.stop(NEVER_CAUGHT)
        return result

    def tool_arguments(
        self, spec: ToolSpec, node: ast.Call
    ) -> list[tuple[str, int, ast.expr | None]]:
        names = spec.parameter_names
        passed: list[tuple[str, int, ast.expr | None]] = []
        starred = False
        for index, argument in enumerate(node.args):
            if isinstance(argument, ast.Starred):
                passed.append(("*", self.part(self.evaluate(argument.value)), None))
                starred = True
            elif starred or index >= len(names):
                passed.append(("*", self.evaluate(argument), None))
            else:
                passed.append((names[index], self.evaluate(argument), argument))
        for keyword in node.keywords:
            value = self.evaluate(keyword.value)
            fields = self.records.get(value) if keyword.arg is None else None
            if keyword.arg is not None:
                passed.append((keyword.arg, value, keyword.value))
            elif fields is not None:
                passed.extend((key, self.read_field(value, fields, key), None) for key in fields)
                stored = self.graph.node()  # under keys that the program does not show
                self.graph.edge(value, stored, CHANGES)
                passed.append(("**", stored, None))
                self.spreads.append((passed, value, fields))
            else:
                passed.append(("**", self.part(value), None))
        return passed

    def late_fields(self) -> None:
        """Fields that a dictionary got after the walk had passed a call that spreads it."""
        for passed, value, fields in self.spreads:
            names = {name for name, _, _ in passed}
            for key in [key for key in fields if key not in names]:
                passed.append((key, self.read_field(value, fields, key), None))

    def inner_arguments(
        self, spec: ToolSpec, name: str, value: int, expression: ast.expr | None
    ) -> list[tuple[str, int, ast.expr | None]]:
        """What has a role inside an argument: a field where the fields are seen, else all of it."""
        fields = self.records.get(value)
        if fields is None and not spec.role_paths:
            return []
        declared = [path for path in spec.role_paths if path.startswith(f"{name}.")]
        if fields is None:
            return [(path, value, None) for path in declared]
        found = {path: path.split(".")[1] for path in declared}
        found |= {path: key for path, key in self.paths_in(name, fields) if spec.role(path)}
        shown = _items_of(expression)
        return [
            (path, self.read_field(value, fields, key), shown.get(key) if direct else None)
            for path, key in found.items()
            for direct in [path == below(name, key)]
        ]

    def paths_in(self, name: str, fields: dict[str, int]) -> list[tuple[str, str]]:
        """Paths of all keys that are seen in an object, each with the outermost key on its way."""
        found: list[tuple[str, str]] = []
        waiting = [(below(name, key), key, node, MAX_DEPTH) for key, node in fields.items()]
        while waiting:
            path, key, node, depth = waiting.pop()
            found.append((path, key))
            self.paths += 1
            if self.paths > MAX_NODES:
                raise TooComplexError
            for item in self.held.get(node, ()) if depth > 1 else ():
                inner = self.records[item].items()
                waiting += [(below(path, k), key, n, depth - 1) for k, n in inner]
        return found

    def stop(self, error: str) -> None:
        """An error ends the program here, or as much of it as does not catch it."""
        if self.path:
            self.stops.append((self.path, error))

    def guarded(self) -> int:
        """The branch conditions, and what in this statement could have ended it before."""
        pending = [decider for decider, _ in self.stops[self.before :]]
        return self.join(self.guard, *pending) if pending else self.guard

    # Functions and classes of the program

    def named_call(self, function: ast.Name, node: ast.Call) -> int:
        name = function.id
        module = self.module_of(function)
        if module is not None:
            return self.library_call(module, node)
        environment = self.environment_of(name)
        if environment is None and name in library.BUILTINS and name not in self.known:
            self.check_name(name, function)
            return self.builtin_call(name, node)
        self.direct = function
        callee = self.evaluate(function)
        if name in self.reads and not _passes_plain(node):
            self.not_modelled("relied-on", name, node)
        if environment is None:
            self.earlier_function(name, callee, node)
            if name not in self.known:
                self.not_modelled("unbound-call", name, node)
        definition = self.inlineable(name, environment)
        arguments = self.arguments(node)
        if definition is not None:
            return self.run_inline(definition, arguments)
        if environment is None:
            for value in arguments.all() or [self.literal]:
                self.store(value, callee)  # its function may keep what it is given
        record = self.certain_class(name, environment)
        method = self.class_method_of(name, environment)
        if method is not None:
            self.own_makers.append((callee, node, method))
        elif record is None or record.is_enum:
            self.may_build_class(callee, arguments, node)
        return (
            self.apply(callee, arguments) if record is None else self.construct(record, arguments)
        )

    def certain_class(self, name: str, environment: Environment | None) -> ClassRecord | None:
        if environment is None or environment.scope.bindings.get(name) != 1:
            return None
        return self.classes.get(self.graph.value[environment.current.get(name, 0)])

    def class_method_of(self, name: str, environment: Environment | None) -> ast.AST | None:
        """The class method whose first parameter this name is: `cls`."""
        function = self.function
        if function is None or environment is None or environment.scope is not function.scope:
            return None
        made = function.node
        plain = isinstance(made, ast.FunctionDef) and function.positional[:1] == [name]
        if not plain or function.scope.bindings.get(name) != 1 or not function.is_method:
            return None
        decorators = made.decorator_list  # type: ignore[union-attr]
        return made if [_name_of(d) for d in decorators] == ["classmethod"] else None

    def construct(self, record: ClassRecord, arguments: Arguments) -> int:
        """A new instance: it holds its arguments, and other instances do not."""
        result = self.graph.node(self.literal_mask)
        for value in arguments.all():
            self.put(value, result)
        self.put(record.state, result)
        self.instantiate(record, arguments, result, self.place())
        self.decide(self.path, result)
        return result

    def earlier_function(self, name: str, callee: int, node: ast.Call) -> None:
        """A function kept from an earlier step may call the tools its origin names."""
        for source in sorted(self.known[name].sources) if name in self.known else ():
            tool = source.removeprefix(CALLS)
            if tool != source and tool in self.tools:
                everything = self.join(callee, *self.arguments(node).all())
                self.sites.append(self.hidden_site(self.tools[tool], everything, node))

    def touch(self, name: str, node: ast.Name) -> None:
        """Uses what an earlier step left: it may do anything that its functions do."""
        calls = any(source.startswith(CALLS) for source in self.sources_of(name))
        running = calls or name in self.live or name in self.written or name in self.captures
        if name in self.touched or not running:
            return
        self.rebound |= self.written.get(name, set())
        if node is self.direct and name not in self.live:
            return  # a plain function that is called: `earlier_function` says with what
        self.touched.add(name)
        for one in self.shared.get(name, ()):
            self.graph.edge(self.everything, one, STORE)
        value = self.outside(name) if self.variable(name) is None else self.variable(name)
        self.graph.edge(self.everything, value or 0, STORE)
        for source in sorted(self.sources_of(name)):
            tool = self.tools.get(source.removeprefix(CALLS)) if source.startswith(CALLS) else None
            if tool is not None:
                self.sites.append(self.hidden_site(tool, self.everything, node, self.everything))

    def sources_of(self, name: str) -> frozenset[str]:
        return self.known[name].sources if name in self.known else frozenset()

    def rebind(self) -> None:
        """Names that functions of earlier steps may have bound anew, wherever they are read."""
        module = self.environment
        for name in sorted(self.rebound):
            if name in self.known and name not in module.versions:
                self._first(module, name)
            for node in module.versions.get(name, ()):
                self.graph.edge(self.everything, node)

    def hidden_site(
        self, spec: ToolSpec, value: int, node: ast.Call | ast.Name, decider: int = 0
    ) -> Site:
        return Site(
            spec=spec,
            environment=self.environment,
            line=node.lineno,
            column=node.col_offset,
            arguments=[("**", value, None)],
            guard=decider or self.guarded(),
            path=decider or self.path,
            rounds=decider or self.rounds,
            in_loop=True,
            maximum=None,
            after=frozenset(self.tools),
        )

    def inlineable(self, name: str, environment: Environment | None) -> Function | None:
        """The one plain function that `name` certainly is, if it can be walked anew here."""
        if environment is None or environment.scope.bindings.get(name) != 1:
            return None
        current = environment.current.get(name, 0)
        function = self.functions.get(self.graph.value[current])
        if function is None or isinstance(function.node, ast.Lambda | ast.AsyncFunctionDef):
            return None
        if function.node.decorator_list or function.node in self.active:
            return None
        if len(self.active) >= _INLINE_DEPTH or self.budget <= 0 or function.scope.nests:
            return None
        if function.scope.yields:  # it runs where something is taken from it
            return None
        return function

    def run_inline(self, function: Function, arguments: Arguments) -> int:
        """Walks the body for this call alone, so that two callers are not mixed up."""
        graph = self.graph
        own = Function(
            node=function.node,
            bit=function.bit,
            scope=function.scope,
            environment=function.environment,
            is_method=function.is_method,
            result=graph.node(),
            error=graph.node(),
            path=self.path,
            guard=self.guard,
            rounds=self.rounds,
            nodes={name: graph.node() for name in function.nodes},
        )
        for name, given in own.nodes.items():
            self.alias(function.nodes[name], given)  # defaults
        self.connect(own, arguments)
        self.active.append(function.node)
        self.walk_body(own, inline=True)
        self.active.pop()
        self.raises(own.error)
        self.stops += own.stops
        function.inlined = True
        return own.result

    @abstractmethod
    def walk_body(self, function: Function, *, inline: bool = False) -> None: ...

    def connect(self, function: Function, arguments: Arguments, *, shift: int = 0) -> None:
        """Passes arguments to parameters; what cannot be placed goes to all of them."""
        details = function.node.args
        positional = function.positional[shift:]
        rest = function.nodes[details.vararg.arg] if details.vararg else None
        keywords = function.nodes[details.kwarg.arg] if details.kwarg else None
        for index, value in enumerate(arguments.positional):
            if index < len(positional):
                self.alias(value, function.nodes[positional[index]])
            elif rest is not None:
                self.put(value, rest)
        for name, value in arguments.named.items():
            if name in function.nodes:
                self.alias(value, function.nodes[name])
            elif keywords is not None:
                self.put(value, keywords)
        for value in arguments.spread:
            for parameter in function.nodes.values():
                self.alias(value, parameter)

    def apply(self, callee: int, arguments: Arguments, extra: int = 0) -> int:
        """Calls a value: whichever functions it turns out to hold get the arguments."""
        result = self.graph.node(self.literal_mask)
        values = arguments.all()
        for value in (callee, *values, extra):
            if value:
                self.alias(value, result)
        for value in values if callee != self.literal else ():
            self.graph.hold(result, value, PART)  # it may return one of its elements
        if callee != self.literal:
            self.mutate_together([callee, *values])
            self.link_callees(callee, arguments, result)
        self.decide(self.path, result)
        self.raises(result)
        return result

    def link_callees(self, callee: int, arguments: Arguments, result: int) -> None:
        at = self.place()

        def link(bits: int) -> None:
            if bits & self.mutator_bit:
                inner = [self.part(value) for value in arguments.spread]
                self.mutate_together([callee, *arguments.all(), *inner], spread=bool(inner))
                changed = self.graph.node(self.literal_mask)
                for decider in (at[0], at[2]):
                    self.decide(decider, changed)
                self.graph.edge(callee, changed, STEER)
                self.graph.edge(changed, callee, STORE)
            for function in self.functions_in(bits):
                self.enter(function, at)
                self.choose(callee, function)
                for parameter in function.nodes.values():
                    self.flow(callee, parameter)
                self.connect(function, arguments)
                if function.is_method:
                    self.connect(function, arguments, shift=1)
                self.alias(function.result, result)
            for record in self.classes_in(bits):
                self.instantiate(record, arguments, result, at, callee)

        self.graph.watch(callee, -1, link)

    def link_hooks(self, pool: int, result: int) -> None:
        """The library may call what overrides its methods, with anything it was given."""
        at = self.place()

        def link(bits: int) -> None:
            for record in self.classes_in(bits):
                for name, functions in record.methods.items():
                    for function in functions if record.external or library.is_hook(name) else ():
                        self.enter(function, at)
                        self.choose(pool, function)
                        for parameter in function.nodes.values():
                            self.alias(pool, parameter)
                        self.alias(function.result, result)

        self.graph.watch(pool, self.class_mask, link)

    @abstractmethod
    def share(self, function: Function) -> None: ...

    def run_descriptor(self, name: str, values: list[int], result: int) -> None:
        """The attribute may have been made by `property(f, g)`."""
        self.link_callees(self.attribute_node(name), Arguments([], {}, values), result)

    def choose(self, callee: int, function: Function) -> None:
        """What decided which function, class or object this is decides that the function runs."""
        for node in (function.path, function.guard):
            self.graph.edge(callee, node, STEER)

    def place(self) -> Place:
        stop = 0
        if self.scopes.stops:
            stop = self.graph.node()
            self.stops.append((stop, "?"))
        return self.path, self.guarded(), self.rounds, self.error, stop

    def enter(self, function: Function, at: Place) -> None:
        path, guard, rounds, error, stop = at
        self.share(function)
        self.flow(path, function.path)
        self.flow(guard, function.guard)
        self.flow(rounds, function.rounds)
        if error:
            self.graph.edge(function.error, error)
        self.flow(function.stop, stop)

    def instantiate(
        self,
        record: ClassRecord,
        arguments: Arguments,
        result: int,
        at: Place,
        callee: int = 0,
    ) -> None:
        self.graph.add(result, record.bit)
        self.put(record.state, result)
        if record.external:
            for function in (each for named in record.methods.values() for each in named):
                for name in function.positional[:1]:
                    self.alias(result, function.nodes[name])
                self.alias(function.result, result)
        if record.factories:
            self.link_factories(record, result, at)
        for name in ("__init__", "__post_init__"):
            for function in record.methods.get(name, ()):
                self.enter(function, at)
                self.choose(callee, function)
                if function.positional:
                    self.alias(result, function.nodes[function.positional[0]])
                self.connect(function, arguments, shift=1)

    def link_factories(self, record: ClassRecord, result: int, at: Place) -> None:
        """A data class calls what its fields have as `default_factory`."""

        def link(bits: int) -> None:
            for function in self.functions_in(bits):
                self.enter(function, at)
                self.put(function.result, result)
            for made in self.classes_in(bits):
                if (made.bit, result) not in self.made:
                    self.made.add((made.bit, result))
                    self.instantiate(made, Arguments([], {}, []), result, at)

        self.graph.watch(record.state, -1, link)

    def functions_in(self, bits: int) -> Iterable[Function]:
        found = bits & self.function_mask
        while found:
            bit = found & -found
            found ^= bit
            yield self.functions[bit]

    def classes_in(self, bits: int) -> Iterable[ClassRecord]:
        found = bits & self.class_mask
        while found:
            bit = found & -found
            found ^= bit
            yield self.classes[bit]

    def mutate_together(self, values: list[int], *, spread: bool = False) -> None:
        """An unknown callee may store any of these into any other; one may stand for several."""
        distinct = [value for value in dict.fromkeys(values) if value and value != self.literal]
        if len(distinct) < 2 and not spread:
            return
        pool = self.graph.node()
        for value in distinct:
            self.flow(value, pool)
        self.decide(self.path, pool)
        for value in distinct:
            self.graph.edge(pool, value, STORE)

    def change_silently(self, values: list[int]) -> None:
        """What decides that a change happens, and to which object: the change tells of it."""
        for value in values:
            self.store(self.literal, value)

    def steer(self, deciders: list[int], target: int) -> None:
        """What is left of `target` depends on these: which element went, how much was read."""
        seen = self.graph.node()
        for value in deciders:
            self.decide(value, seen)
        if target != self.literal and set(deciders) - {self.literal}:
            self.graph.edge(seen, target, STORE)

    # Methods

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
        if name in self.reads and not _passes_plain(node):
            self.not_modelled("relied-on", name, node)
        if name in ("format", "format_map"):
            self.check_format(function.value, node)
        elif name == "scanner" and name not in self.scopes.methods:
            self.not_modelled("iterator", name, node)  # of a pattern: its `search` moves on
        arguments = self.arguments(node)
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
            handle = self.path_method(name, node, more)
            if handle is not None:
                return handle
        if name in self.scopes.stored_attributes:
            return self.own_method(name, receiver, arguments, node, more)
        return self.builtin_method(function, receiver, arguments, node, more)

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
            result = self.keyed(receiver, arguments)
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
        told = isinstance(template, str) and library.is_part_of_address(template)
        if told or self.writes_text(written):
            return [self.graph.node(self.address_mask)]
        if name == "join" and node.args and isinstance(node.args[0], ast.List | ast.Tuple):
            pieces = self.graph.node()
            self.put_together(pieces, node.args[0].elts)
            return [pieces]
        wordy = isinstance(template, str) and library.is_wordy(_between_fields(template))
        return [self.graph.node(self.text_mask)] if wordy else []

    def drawn(self, values: list[int]) -> int:
        """Numbers of the one random source: how many were drawn shows in the next one."""
        state = self.state_of("random")
        for value in [self.literal, *values]:
            self.store(value, state)
        return state

    def may_change(self, receiver: int, arguments: Arguments) -> None:
        """A list's `pop` is not the program's own method of this name: what is left depends."""
        values = arguments.all()
        self.change_silently([receiver])
        self.steer([*values, *self.callbacks([receiver, *values])], receiver)

    def writes_text(self, new: list[ast.expr]) -> bool:
        """Whether letters of the program take the place of others: half an address is one."""
        text = self.constant(new[0]) if new else None
        return isinstance(text, str) and any(letter.isalnum() for letter in text)

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
            self.mutate_together([receiver, *values])
        return result

    def keyed(self, receiver: int, arguments: Arguments) -> int:
        """`get(key, default)`: the key decides, the receiver's parts are the value."""
        key, *others = arguments.all()
        result = self.graph.node()
        self.alias(self.part(receiver), result)
        self.decide(key, result)
        for value in others:
            self.alias(value, result)
        self.graph.add(result, self.default_text)
        self.raises(key)
        return result

    def callbacks(self, values: list[int]) -> list[int]:
        """Library code may call any function among `values` with any of the others.

        Returns:
            What such calls may return: it is part of what the library returns.
        """
        distinct = [value for value in dict.fromkeys(values) if value and value != self.literal]
        if not distinct or not (self.scopes.definitions or self.kept_methods):
            return []
        pool, result = self.graph.node(), self.graph.node()
        for value in distinct:
            self.flow(value, pool)
        parts = [self.part(value) for value in distinct]
        rounds, error = self.rounds, self.error
        self.error = self.graph.node()
        self.repeat(pool)  # it calls them as often as what it is given says
        self.link_callees(pool, Arguments([], {}, parts + distinct), result)
        if self.scopes.hooks:
            self.link_hooks(pool, result)
        self.decide(self.error, result)  # StopIteration, KeyError: it takes some errors itself
        if error:
            self.graph.edge(self.error, error)
        self.rounds, self.error = rounds, error
        return [result]

    # Builtins and the library

    def builtin_call(self, name: str, node: ast.Call) -> int:
        if name in ("getattr", "hasattr", "setattr", "delattr"):
            return self.reflective(name, node)
        if name == "open":
            return self.open_file(node)
        if name == "print":
            node = self.without_stream(node)
        arguments = self.arguments(node)
        values = arguments.all()
        if name == "print":
            targets = [arguments.named.pop("file", 0), *arguments.spread]
            for target in filter(None, targets):
                for value in arguments.all():
                    self.store(value, target)
                if self.scopes.hooks:
                    self.callbacks([target, *arguments.all()])
            return self.literal
        if name == "type" and len(values) != 1:
            self.feature("computed-type", "type(name, bases, body)", node)
        if name == "format":
            self.check_format_value(node)
        if name not in library.SCALAR_FUNCTIONS:  # they run special methods, and nothing else
            values += self.callbacks(values)
        if name == "next":
            self.change_silently(values[:1])
        if name == "map" and len(values) > 3:
            self.class_builder(values[0], node)
        if name in ("chr", "bytes", "bytearray"):
            values.append(self.graph.node(self.address_mask))  # letters are written by numbers
        if name == "type":
            result = self.graph.node(self.type_bit)
            for value in values:
                self.alias(value, result)
        elif name in library.SCALAR_FUNCTIONS:
            result = self.join(*values)
        elif name in ("super", "iter", "next") and values:
            result = self.merge(*values, self.part(values[0]))
        else:
            result = self.graph.node(self.literal_mask)
            if name == "dict" and not (arguments.positional or arguments.spread):
                fields = self.records[result] = dict[str, int]()
                for key, value in arguments.named.items():
                    self.field(fields, key, value)
            if name == "super":
                self.super_of(result)
            for value in values:
                self.put(value, result)
                self.graph.hold(result, value, ALIAS)
                if name in ("max", "min", "sum"):  # one of its elements
                    self.graph.hold(result, value, PART)
        self.raises(result)
        return result

    def without_stream(self, node: ast.Call) -> ast.Call:
        """`print(…, file=sys.stderr)` is a print; as a value the stream stays refused."""
        kept = [keyword for keyword in node.keywords if not self.is_stream(keyword)]
        if len(kept) == len(node.keywords):
            return node
        return ast.copy_location(ast.Call(node.func, node.args, kept), node)

    def is_stream(self, keyword: ast.keyword) -> bool:
        return keyword.arg in ("file", "stream") and self.is_standard_stream(keyword.value)

    def is_standard_stream(self, stream: ast.expr) -> bool:
        if not isinstance(stream, ast.Attribute) or stream.attr not in ("stdout", "stderr"):
            return False
        module = self.module_of(stream.value)
        return module is not None and (module.path, module.member) == ("sys", "")

    def written_out(self, function: ast.Attribute, node: ast.Call) -> int:
        """`sys.stdout.write(…)` is a print; nothing else of the stream is known."""
        if function.attr not in ("write", "flush", "writelines"):
            self.feature("module-attribute", f"sys.stdout.{function.attr}", node)
        values = self.arguments(node).all()
        return self.join(*values, *self.callbacks(values))

    def super_of(self, result: int) -> None:
        """`super()` is the instance: the first parameter of the function around it."""
        if self.function is not None and self.function.positional:
            self.alias(self.function.nodes[self.function.positional[0]], result)

    def reflective(self, name: str, node: ast.Call) -> int:
        """What getattr and its kin do is plain attribute access when the name is a literal."""
        arguments = self.arguments(node)
        self.relying += 1
        attributes = self.strings_of(node.args[1]) if len(node.args) > 1 else None
        self.relying -= 1
        if node.keywords or arguments.spread or not attributes:
            self.feature("reflection", name, node)
            return self.apply(self.literal, arguments)
        if self.module_of(node.args[0]) is not None:
            self.feature("reflection", name, node)
        results = [
            self.reflected(name, each, node, arguments) for each in dict.fromkeys(attributes)
        ]
        return results[0] if len(results) == 1 else self.merge(*results)

    def reflected(self, name: str, attribute: str, node: ast.Call, arguments: Arguments) -> int:
        if name in ("setattr", "delattr"):
            self.check_written_attribute(node.args[0], attribute, node)
        self.check_attribute(attribute, node)
        if name == "getattr":
            self.check_bound_format(attribute, node.args[0], node)
        receiver = arguments.positional[0]
        if name == "setattr" and len(arguments.positional) == 3:
            self.set_attribute(receiver, attribute, arguments.positional[2])
            return self.literal
        result = self.read_attribute(receiver, attribute)
        return self.merge(result, *arguments.positional[2:])

    def check_written_attribute(self, base: ast.expr, name: str, node: ast.Call) -> None:
        if isinstance(base, ast.Name) and self.is_builtin(base.id):
            self.feature("monkeypatch", f"{base.id}.{name}", node)
        if name not in self.scopes.stored_attributes:  # put together, so as not to be read
            self.feature("reflection", f"attribute {name}", node)

    def library_call(self, module: Module, node: ast.Call) -> int:
        arguments = self.arguments(node)
        values = arguments.all()
        path, member = module.path, module.member
        if not member:
            self.feature("module-as-value", path, node)
        self.check_member(path, member, node, values)
        if (path, member) == ("sys", "exit"):
            self.stop("SystemExit")
        if (path, member) == ("operator", "attrgetter"):
            values += self.properties(node)
        if path == "re" and member in ("sub", "subn") and self.writes_text(node.args[1:2]):
            values.append(self.graph.node(self.address_mask))
        if path in library.DECODERS and self.is_written(node):
            values.append(self.graph.node(self.address_mask))  # what it says is not seen
        values += self.factories(values) if member == "defaultdict" else self.callbacks(values)
        unknown = path not in library.MODULES
        mutating = path in _MUTATING_MODULES or (path, member) in _MUTATING_MEMBERS
        if unknown or mutating or "." in member:  # `deque.append(d, x)` changes `d`
            self.mutate_together(values, spread=bool(arguments.spread))
            self.change_silently(values)
        draws = library.draws(path, member)
        if draws or path in library.STATEFUL_MODULES or (path, member) in library.STATEFUL_MEMBERS:
            state = self.state_of("random" if draws else path)
            self.change_silently([state])  # a draw, a record: the next one differs
            if path == "logging":
                for value in set(values) - {self.literal}:
                    self.graph.edge(state, value, STORE)  # a stream or handler gets records
            for value in values:
                self.store(value, state)
            result = self.graph.node(self.literal_mask)
            self.alias(state, result)
            self.flow(self.clock(path, member), result)
        elif path in library.SCALAR_MODULES:
            result = self.join(*values, self.clock(path, member))
            if result == self.literal:  # it may be changed, and then under all its names
                result = self.graph.node(self.literal_mask)
        else:
            result = self.graph.node(self.literal_mask)
            self.flow(self.module_state.get(path, 0), result)
            self.flow(self.clock(path, member), result)
        shared = library.shared_object(path, member)
        if "." in member and member.rpartition(".")[2] in library.MUTATING_METHODS:
            for value in values:
                self.store(value, self.state_of(shared))  # `keyword.kwlist.append(x)`
        if f"<{shared}>" in self.known or shared in self.module_state:
            result = self.merge(result, self.state_of(shared))
        if member == "defaultdict":
            self.graph.add(result, self.default_bit)
        if result != self.literal:
            for value in values:
                self.put(value, result)
                self.graph.hold(result, value, ALIAS)
                if path in _CHOOSING:
                    self.graph.hold(result, value, PART)
            self.decide(self.path, result)
        self.raises(result)
        return result

    def is_written(self, node: ast.Call) -> bool:
        """Whether all that is passed stands in the program."""
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        return all(self.constant(each) is not None or _is_display(each) for each in given)

    def properties(self, node: ast.Call) -> list[int]:
        """What `attrgetter` reads may be properties, which then run."""
        texts = [text for text in map(self.constant, node.args) if isinstance(text, str)]
        names = {part for text in texts for part in text.split(".")}
        methods = [method for name in names for method in self.scopes.methods.get(name, ())]
        found = [f for method in methods for f in self.definitions.get(method, ())]
        return [self.graph.node(function.bit) for function in found if function.decorated]

    def factories(self, values: list[int]) -> list[int]:
        """The first is called whenever a key is read that is not there."""
        path, guard, rounds = self.path, self.guard, self.rounds
        self.narrow(self.asked)
        self.repeat(self.asked)
        found = self.callbacks(values)
        self.path, self.guard, self.rounds = path, guard, rounds
        return found

    def check_member(self, path: str, member: str, node: ast.Call, values: list[int]) -> None:
        """Members of the library that do more than compute with what they are given."""
        if (path, member) == ("operator", "attrgetter"):
            self.check_getter(node)
        elif (path, member) == ("functools", "wraps"):
            self.check_wraps(node)
        elif member in library.METACLASSES:
            self.feature("computed-type", member, node)
        elif path == "enum" and member in library.ENUMERATIONS and len(values) > 1:
            self.check_class_names(member, node)
        elif path == "logging":
            self.check_style(node)
            self.check_log_file(node)
        elif (path, member) == ("xml.etree.ElementTree", "canonicalize"):
            self.check_log_file(node)
        elif library.is_switch(path, member):
            self.switches.append((member, node, [*values, self.path, self.rounds]))
        elif path in ("functools", "itertools") and values:
            self.class_builder(values[0], node)
        elif path == "operator" and member in ("truediv", "itruediv") and self.path_bit:
            self.not_modelled("file-path", member, node)
        elif path in ("os", "os.path", "pathlib"):
            self.check_files(path, member, node, values)
        elif path == "traceback":
            self.tell_errors(values)
        elif path not in library.MODULES:
            self.check_package(path, member, node)

    def tell_errors(self, values: list[int]) -> None:
        """`traceback` tells, or prints into a stream, what was caught last."""
        for value in tuple(values):
            self.store(self.handled, value)
        values.append(self.handled)

    def check_style(self, node: ast.Call) -> None:
        """With `style="{"` the format of a log record is a format string."""
        style = next((k.value for k in node.keywords if k.arg == "style"), None)
        starred = any(isinstance(argument, ast.Starred) for argument in node.args)
        starred = starred or any(k.arg is None for k in node.keywords)
        if style is None and len(node.args) < 3 and not starred:
            return
        if self.constant(style) != "%":
            self.not_modelled("format-string", "style of log records", node)

    def clock(self, path: str, member: str) -> int:
        """What was slept is seen on every clock."""
        return self.looked() if library.tells_time(path, member) else 0

    def looked(self) -> int:
        """The time; each look takes some, too."""
        self.change_silently([self.state_of("time")])
        return self.state_of("time")


def _items_of(node: ast.expr | None) -> dict[str, ast.expr]:
    """The items of a dictionary that is written out at its place."""
    if not isinstance(node, ast.Dict) or None in node.keys:
        return {}
    return {
        key.value: value
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    }


# Methods by which letters of the program take the place of others, and where those letters are.
_REWRITING = {"replace": 1, "maketrans": 1, "sub": 0, "subn": 0}


def _rewritten(name: str, node: ast.Call) -> list[ast.expr]:
    index = _REWRITING.get(name)
    return [] if index is None else node.args[index : index + 1]


def _is_wordy(node: ast.expr) -> bool:
    text = node.value if isinstance(node, ast.Constant) else None
    return isinstance(text, str) and library.is_wordy(text)


def _between_fields(template: str) -> str:
    return re.sub(r"\{[^{}]*\}", " ", template)


def _passes_plain(node: ast.Call) -> bool:
    """Whether all that is passed is written out, and neither a template nor a way out."""
    given = [*node.args, *(keyword.value for keyword in node.keywords)]
    texts = [each.value for each in given if isinstance(each, ast.Constant)]
    return len(texts) == len(given) and not any(
        isinstance(text, str) and ("{" in text or library.is_outside_path(text)) for text in texts
    )


def _name_of(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _is_display(node: ast.expr) -> bool:
    """Whether it is a tuple or list of literals alone."""
    parts = node.elts if isinstance(node, ast.Tuple | ast.List) else ()
    return bool(parts) and all(
        isinstance(part, ast.Constant) or _is_display(part) for part in parts
    )


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


VISITORS[ast.Call] = Calls.call
