"""Calls of the standard library, and of packages that were allowed additionally."""

import ast

from policies.facts import library
from policies.facts.flow import ALIAS, PART, STORE
from policies.facts.functions import Functions
from policies.facts.state import Module

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

_KEEPING = frozenset({"collections", "dataclasses", "types"})


class LibraryCalls(Functions):
    """Visits calls of what is imported."""

    def library_call(self, module: Module, node: ast.Call) -> int:
        arguments = self.arguments(node, kept=module.path in _KEEPING)
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
        for value in values if path in _KEEPING or path in ("csv", "re") else ():
            self.put_under(None, value)  # a record of it, or a dictionary, has it somewhere
        unknown = path not in library.MODULES
        mutating = path in _MUTATING_MODULES or (path, member) in _MUTATING_MEMBERS
        if unknown or mutating or "." in member:  # `deque.append(d, x)` changes `d`
            self.mutate_together(values, spread=bool(arguments.spread))
            self.change_silently(values)
        result = self.computed(path, member, values)
        rounds = self.rounds
        if self.marking and path == "itertools":  # how far one is read depends on the others
            self.repeat(self.join(*values))
            result = self.merge(result)
        result = self.with_shared(path, member, values, result)
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
        self.rounds = rounds
        return result

    def computed(self, path: str, member: str, values: list[int]) -> int:
        """What is returned: of the arguments, of a state that the call changes, or of a clock."""
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
        return result

    def with_shared(self, path: str, member: str, values: list[int], result: int) -> int:
        """What is returned may be an object that all who import it share."""
        shared = library.shared_object(path, member)
        if "." in member and member.rpartition(".")[2] in library.MUTATING_METHODS:
            for value in values:
                self.store(value, self.state_of(shared))  # `keyword.kwlist.append(x)`
        if f"<{shared}>" in self.known or shared in self.module_state:
            result = self.merge(result, self.state_of(shared))
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

    def drawn(self, values: list[int]) -> int:
        """Numbers of the one random source: how many were drawn shows in the next one."""
        state = self.state_of("random")
        for value in [self.literal, *values]:
            self.store(value, state)
        return state


def _is_display(node: ast.expr) -> bool:
    """Whether it is a tuple or list of literals alone."""
    parts = node.elts if isinstance(node, ast.Tuple | ast.List) else ()
    return bool(parts) and all(
        isinstance(part, ast.Constant) or _is_display(part) for part in parts
    )
