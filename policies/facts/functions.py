"""Functions and classes of the program: who may call which, with what."""

import ast
from abc import abstractmethod
from collections.abc import Iterable

from policies.facts import library
from policies.facts.files import Files
from policies.facts.flow import DEEP, PART, STEER, STORE, WORDS
from policies.facts.state import ClassRecord, Environment, Function, Place

_INLINE_DEPTH = 4
_PAIRS = (ast.List, ast.Tuple, ast.ListComp, ast.GeneratorExp, ast.Call, ast.Starred)


class Arguments:
    """Evaluated arguments of one call."""

    def __init__(self, positional: list[int], named: dict[str, int], spread: list[int]) -> None:
        self.positional = positional
        self.named = named
        self.spread = spread

    def all(self) -> list[int]:
        return [*self.positional, *self.named.values(), *self.spread]


class Functions(Files):
    """Connects callers with what they may call."""

    def may_build_class(self, callee: int, arguments: Arguments, node: ast.Call) -> None:
        if arguments.spread or len(arguments.positional) + len(arguments.named) > 1:
            self.class_builder(callee, node)

    def arguments(self, node: ast.Call, *, kept: bool = False) -> Arguments:
        """Evaluates what a call passes; `kept` where it may be kept rather than looked at."""
        evaluate = self.kept if kept else self.evaluate
        positional: list[int] = []
        spread: list[int] = []
        for argument in node.args:
            if isinstance(argument, ast.Starred):
                spread.append(self.part(self.evaluate(argument.value)))
            else:
                value = evaluate(argument)
                (spread if spread else positional).append(value)
        named: dict[str, int] = {}
        for keyword in node.keywords:
            value = evaluate(keyword.value)
            if keyword.arg is None:
                spread.append(self.part(value))
                spread += self.callbacks([value]) if self.scopes.hooks else []
            else:
                named[keyword.arg] = value
                if kept and value != self.literal:
                    self.worded.setdefault(keyword.arg, []).append(value)
        return Arguments(positional, named, spread)

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
        self.name_fields(record, arguments)
        self.instantiate(record, arguments, result, self.place())
        self.decide(self.path, result)
        return result

    def name_fields(self, record: ClassRecord, arguments: Arguments) -> None:
        """What a record without a constructor of its own is given stands under its fields."""
        if "__init__" in record.methods:
            return
        body = [s.target for s in record.node.body if isinstance(s, ast.AnnAssign)]
        names = [target.id for target in body if isinstance(target, ast.Name)]
        shown = not arguments.spread and not record.node.bases
        for index, value in enumerate((*arguments.positional, *arguments.spread)):
            name = names[index] if shown and index < len(names) else ""
            self.worded.setdefault(name, []).append(value)

    def may_be_pairs(self, node: ast.Call) -> bool:
        """Whether this makes a dictionary of keys and values that come apart: `dict(zip(…))`."""
        given = node.args[0] if len(node.args) == 1 else None
        if isinstance(given, ast.Name):
            given = self.single_value(given.id)
        return len(node.args) > 1 or isinstance(given, _PAIRS)

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
            self.mutate_together([callee, *values], deep=bool(self.known))
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

    def stop(self, error: str) -> None:
        """An error ends the program here, or as much of it as does not catch it."""
        if self.path or self.rounds:
            self.stops.append((self.join(self.path, self.rounds), error))

    def guarded(self) -> int:
        """The branch conditions, and what in this statement could have ended it before."""
        pending = [decider for decider, _ in self.stops[self.before :]]
        return self.join(self.guard, *pending) if pending else self.guard

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
        if callee and "__init__" not in record.methods:  # which fields it fills is not looked up
            for value in arguments.all():
                self.graph.edge(value, self.loose_words, WORDS)
                self.graph.add(self.loose_words, self.text_mask if value == self.word else 0)
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

    def callbacks(self, values: list[int]) -> list[int]:
        """Library code may call any function among `values` with any of the others.

        Returns:
            What such calls may return: it is part of what the library returns.
        """
        distinct = [value for value in dict.fromkeys(values) if value and value != self.literal]
        runs = self.scopes.definitions or self.kept_methods or self.touched
        if not distinct or not runs:
            return []
        pool, result = self.graph.node(), self.graph.node()
        for value in distinct:
            self.flow(value, pool)
        parts = [self.part(value) for value in distinct]
        if self.touched:  # among them may be a function of an earlier step
            self.mutate_together([*distinct, *parts], deep=True)
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

    def mutate_together(
        self, values: list[int], *, spread: bool = False, deep: bool = False
    ) -> None:
        """An unknown callee may store any of these into any other; one may stand for several.

        With `deep`, where it may be of an earlier step, it may store them into their parts, too.
        """
        distinct = [value for value in dict.fromkeys(values) if value and value != self.literal]
        if len(distinct) < 2 and not spread:
            return
        pool = self.graph.node()
        for value in distinct:
            self.flow(value, pool)
        self.decide(self.path, pool)
        for value in distinct:
            self.graph.edge(pool, value, DEEP if deep else STORE)

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


def _name_of(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""
