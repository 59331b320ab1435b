"""What the walk over a program carries: sources, environments, the current path.

The walk visits every statement once, in order, and turns it into a value graph (flow.py). It is
one class, parted into a line of classes by what they visit, each in its module: names, displays,
targets, comprehensions, expressions; reflection, texts, files; functions, earlier steps, calls of
tools, of the library, of methods and of builtins; imports, definitions, statements. `Walk`, below
all of them, holds the state and the small operations they share; `Function` and `ClassRecord` are
notes about definitions.
"""

import ast
from bisect import bisect_right
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from policies.facts import library
from policies.facts.flow import ALIAS, CONTROL, COPY, PART, STEER, STORE, WHOLE, Graph
from policies.facts.record import (
    ADDRESS,
    FILES,
    LITERAL,
    TEXT,
    TOOL,
    Finding,
    Import,
    Origin,
    ToolSpec,
)
from policies.facts.scopes import Scope, Scopes, parameters_of
from policies.facts.sharing import (
    captures_in,
    groups_in,
    live_in,
    modules_in,
    paths_in,
    reads_in,
    written_in,
)


class Environment:
    """The variables of one scope while it runs.

    Attributes:
        current: node of each variable as the walk now sees it.
        versions: all nodes a variable has had; what the next step may find in it.
        block: block depth at which the scope's own straight line runs.
    """

    __slots__ = ("block", "current", "parent", "scope", "versions")

    def __init__(self, scope: Scope, parent: "Environment | None", block: int) -> None:
        self.scope = scope
        self.parent = parent
        self.current: dict[str, int] = {}
        self.versions: dict[str, list[int]] = {}
        self.block = block

    def set(self, name: str, node: int) -> None:
        self.current[name] = node
        self.versions.setdefault(name, []).append(node)


@dataclass(eq=False)
class Function:
    """A function, method or lambda of the program.

    Attributes:
        bit: its bit in the masks: a value with this bit may be this function.
        nodes: parameter name to graph node, of the one shared instance.
        stop: what decides whether it ends by an error it raises itself; 0 where none does.
    """

    node: "ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda"
    bit: int
    scope: Scope
    environment: Environment
    is_method: bool
    result: int
    error: int
    path: int
    guard: int
    rounds: int
    nodes: dict[str, int] = field(default_factory=dict)
    stop: int = 0
    stops: list[tuple[int, str]] = field(default_factory=list)
    shared: bool = False
    inlined: bool = False

    @property
    def decorated(self) -> bool:
        return not isinstance(self.node, ast.Lambda) and bool(self.node.decorator_list)

    @property
    def positional(self) -> list[str]:
        return [p.arg for p in (*self.node.args.posonlyargs, *self.node.args.args)]


@dataclass(eq=False)
class ClassRecord:
    """A class of the program and the functions in its body.

    Attributes:
        state: all values assigned in its body; each instance holds them.
        is_enum: calling it with names makes another class.
        factories: a data class, which may call functions that its fields hold.
        external: a class of the library is below it, which may call any of its methods.
    """

    bit: int
    node: ast.ClassDef
    state: int
    is_enum: bool = False
    external: bool = False
    factories: bool = False
    methods: dict[str, list[Function]] = field(default_factory=dict)

    @property
    def implicit(self) -> list[Function]:
        """Methods that Python itself may call on an instance."""
        return [
            function
            for name, functions in self.methods.items()
            if library.is_implicit(name)
            for function in functions
        ]


@dataclass(eq=False, slots=True)
class Site:
    """A call site as the walk met it; its origins are read after the graph is solved.

    Attributes:
        environment: in which its names mean what they mean there.
        line, column: where it stands: 1-based and 0-based, as in `ast`.
    """

    spec: ToolSpec
    environment: "Environment"
    line: int
    column: int
    arguments: list[tuple[str, int, ast.expr | None]]
    guard: int
    path: int
    rounds: int
    in_loop: bool
    maximum: int | None
    after: frozenset[str]


@dataclass(eq=False)
class Module:
    """An imported module, or one name imported from it, as a compile-time thing."""

    path: str
    member: str = ""


Place = tuple[int, int, int, int, int]
"""Where a call stands: path, guard, rounds, where its errors go, and what may end it."""


class Walk:
    """State and shared operations of the walk."""

    # Methods and attributes are found faster than in a dictionary of a hundred names.
    __slots__ = (
        "_bits", "active", "address_mask", "allowed", "applied", "asked", "attributes", "before",
        "block", "budget", "captured", "captures", "class_bases", "class_builders", "class_mask",
        "class_record", "classes", "consumed", "deepest_loop", "default_bit", "default_text",
        "deferred", "definitions", "depth", "direct", "dispatches", "divisions", "enum_mask",
        "environment", "error", "everything", "exits", "features", "file_scopes", "files",
        "function", "function_mask", "functions", "graph", "guard", "handled", "held",
        "import_counts", "imported", "imports", "kept_methods", "kept_modules", "known", "literal",
        "literal_mask", "live", "loop_names", "loops", "loose_annotations", "loose_words", "made",
        "marked", "marking", "marks", "module_state", "modules", "moment", "multiplicity",
        "mutator_bit", "named_files", "origins", "own_makers", "packages", "path", "path_bit",
        "paths", "paths_kept", "ran", "reads", "rebound", "records", "relied", "relying",
        "resolved", "result", "rounds", "scopes", "sent", "shared", "sites", "spans",
        "special_names", "spreads", "stopping", "stops", "switches", "text_mask", "thrown",
        "tools", "touched", "type_bit", "unbound", "unbounded", "unmodelled", "word", "worded",
        "worded_reads", "written",
    )  # fmt: skip

    def __init__(
        self,
        scopes: Scopes,
        tools: Mapping[str, ToolSpec],
        allowed: Collection[str],
        known: Mapping[str, Origin],
    ) -> None:
        self.scopes = scopes
        self.tools = tools
        self.allowed = frozenset(allowed)
        self.packages = not self.allowed <= library.DEFAULT_IMPORTS  # additionally allowed
        self.known = known
        self.graph = Graph(24 + len(tools) + 2 * len(known) + scopes.definitions + scopes.lazy)
        self.origins: list[Origin | Function | ClassRecord | None] = []
        self._bits: dict[str, int] = {}
        self._make_masks()
        self._make_room()
        # All that the program can have met, for where it is not known what a value is.
        self.everything = self.graph.node()
        self.sent = self.graph.node()
        self.thrown = self.graph.node()  # exceptions that may appear at a `yield`
        self.paths_kept = paths_in(known)
        self.path_bit = 0  # of a value that is a path object, where there are any
        # All files are one place, and it outlives the program.
        self.files = self.graph.node(self.known_mask(FILES) if FILES in known else 0)
        self.file_scopes: set[Scope] = set()  # in which something of them is read
        self._take_over(known)
        self._begin(scopes)
        self._take_notes(scopes)
        if (
            scopes.paths
            or self.paths_kept
            or any(m.path == "pathlib" for m in self.kept_modules.values())
        ):
            self.path_bit = self.new_bit(None)
        self.budget = 4_000
        self.kept_methods = False

    def _make_masks(self) -> None:
        """Give the bits that every program has, and the two values that all literals are."""
        self.mutator_bit = self.new_bit(None)
        self.type_bit = self.new_bit(None)  # a class made by `type(x)`, or a metaclass
        self.literal_mask = self.source(LITERAL, Origin(frozenset({LITERAL})))
        address = Origin(frozenset({LITERAL, ADDRESS}))
        self.address_mask = self.literal_mask | self.source(ADDRESS, address)
        words = Origin(frozenset({LITERAL, TEXT}))
        self.text_mask = self.literal_mask | self.source(TEXT, words)
        self.graph.untold = self.text_mask & ~self.literal_mask
        self.literal = self.graph.node(self.literal_mask)
        # A literal that spells something, where it is kept: it may become a recipient.
        self.word = self.graph.constant = self.graph.node(self.text_mask)

    def _make_room(self) -> None:
        """Begin what the walk gathers: definitions, findings, call sites, and what stands where."""
        self.functions: dict[int, Function] = {}
        self.classes: dict[int, ClassRecord] = {}
        self.definitions: dict[ast.AST, list[Function]] = {}
        self.function_mask = 0
        self.class_mask = 0
        self.enum_mask = 0
        self.class_builders: list[tuple[int, ast.AST]] = []
        # Calls of `cls`, and the class methods they stand in.
        self.own_makers: list[tuple[int, ast.AST, ast.AST]] = []
        self.class_bases: list[tuple[int, ast.AST]] = []
        self.special_names: dict[tuple[Scope, str], set[ast.AST]] = {}
        self.loose_annotations: list[ast.expr] = []
        self.dispatches = False  # functools may evaluate annotations
        self.applied: set[ast.AST] = set()  # decorators and callees that are calls themselves
        self.moment = 0  # all that the current statement reads, where iterators matter
        self.imports: list[Import] = []
        self.features: dict[Finding, None] = {}
        self.unmodelled: dict[Finding, None] = {}
        self.unbound: dict[str, None] = {}
        self.sites: list[Site] = []
        self.modules: dict[tuple[Scope, str], Module] = {}
        self.imported: set[str] = set()  # the names among them
        self.records: dict[int, dict[str, int]] = {}  # fields of dictionaries, where known
        # What is put under each key, "" for any, and what was read under a written key: words that
        # a program writes under one key of a record are in nothing that stands under another.
        self.worded: dict[str, list[int]] = {}
        self.worded_reads: list[tuple[str, int]] = []
        self.loose_words = self.graph.node()
        self.held: dict[int, list[int]] = {}  # dictionaries that a field may hold
        # What a call passes by `**`, and the dictionary, whose fields may still grow.
        self.spreads: list[tuple[list[tuple[str, int, ast.expr | None]], int, dict[str, int]]] = []
        self.paths = 0  # looked at inside arguments
        self.resolved = 0  # names that were looked up for what is written to them
        self.attributes: dict[str, int] = {}
        self.module_state: dict[str, int] = {}

    def _take_notes(self, scopes: Scopes) -> None:
        """Make room for what is noted of things that run by being used, and judged at the end."""
        # Where each node was made, from which on: only where something may run by being used.
        self.marking = scopes.generators or any(map(library.is_implicit, scopes.methods))
        self.marks: list[int] = []
        self.marked: list[Place] = []
        self.consumed: set[ast.AST] = set()  # generator expressions that run where they stand
        self.stopping: set[ast.AST] = set()  # those of them that end with the first hit
        self.handled = self.graph.node()  # errors that some handler took
        # Divisions, which may make a path, and whether they then stay in the folder.
        self.divisions: list[tuple[int, int, ast.AST, bool]] = []
        self.default_text = 0  # what a written default adds to what `get` returns
        self.relying = 0  # whether what is looked up now is relied on in later steps, too
        self.relied: set[str] = set(self.reads)  # names, as found then
        self.depth = 0
        self.named_files: list[tuple[int, ast.AST]] = []  # names, and where they are opened
        # Settings of the interpreter, and what decides about them.
        self.switches: list[tuple[str, ast.AST, list[int]]] = []
        self.made: set[tuple[int, int]] = set()  # classes and the values that hold an instance
        self.deferred: dict[int, tuple[int, int, int]] = {}
        self.spans: list[tuple[int, int]] = []  # lines of generator expressions with effects
        self.default_bit = self.new_bit(None)  # a `defaultdict`
        # What decides whether a factory of one is called.
        self.asked = self.graph.node() if scopes.defaults else 0

    def _begin(self, scopes: Scopes) -> None:
        """Stand before the first line, where nothing has decided anything yet."""
        self.environment = Environment(scopes.by_node[next(iter(scopes.by_node))], None, 0)
        self.block = 0
        self.path = 0  # what decides that the walk is here
        self.guard = 0  # the branch conditions of it alone
        self.rounds = 0  # what decides how often the loops around here run
        # What decided that an error ended all this, and the error's name.
        self.stops: list[tuple[int, str]] = []
        self.before = 0  # how many of them there were when the current statement began
        # Where a round, a function or the program was left: path, guard, and if only the round.
        self.exits: list[tuple[int, int, bool]] = []
        self.loop_names: list[dict[tuple[Environment, str], None]] = []
        self.error = 0
        self.function: Function | None = None
        self.result = 0
        self.class_record: ClassRecord | None = None
        self.import_counts: dict[tuple[Scope, str], int] = {}
        self.multiplicity: int | None = 1
        self.loops = 0
        self.deepest_loop = 0
        self.unbounded = 0
        self.ran: frozenset[str] = frozenset()
        self.active: list[ast.AST] = []

    def _take_over(self, known: Mapping[str, Origin]) -> None:
        """Make the places that what earlier steps left is shared through."""
        self.kept_modules = {name: Module(path, member) for name, path, member in modules_in(known)}
        # By name: what is stored into any object of its group, and what captured names become.
        self.shared: dict[str, list[int]] = {}
        for names in groups_in(known):
            one = self.graph.node()
            for name in names:
                self.shared.setdefault(name, []).append(one)
        self.captures = captures_in(known)
        self.written = written_in(known)
        self.live = live_in(known)
        self.reads = reads_in(known)
        self.rebound: set[str] = set()  # by what earlier steps left, somewhere in this one
        self.touched: set[str] = set()
        self.direct: ast.expr | None = None  # the name that is being called
        self.captured = {
            name: self.graph.node() for name in frozenset().union(*self.captures.values())
        }
        self.flow(self.files, self.captured.get(FILES, 0))

    # Sources

    def source(self, name: str, origin: Origin) -> int:
        """The mask of a source; one bit per name."""
        mask = self._bits.get(name)
        if mask is None:
            mask = self._bits[name] = self.new_bit(origin)
        return mask

    def result_of(self, spec: ToolSpec) -> int:
        """The mask of what a tool returns."""
        mask = self._bits.get(TOOL + spec.name)
        if mask is None:
            origin = Origin(frozenset({TOOL + spec.name}), spec.labels)
            mask = self.source(TOOL + spec.name, origin)
        return mask

    def mark(self) -> None:
        """Notes where what is made from here on stands."""
        if self.marking:
            self.marks.append(len(self.graph.value))
            self.marked.append((self.path, self.guard, self.rounds, self.error, 0))

    def place_of(self, node: int) -> Place:
        index = bisect_right(self.marks, node) - 1
        return self.marked[index] if index >= 0 else (0, 0, 0, 0, 0)

    def all_sources(self) -> int:
        mask = 0
        for bits in self._bits.values():
            mask |= bits
        return mask

    def new_bit(self, meaning: "Origin | Function | ClassRecord | None") -> int:
        self.origins.append(meaning)
        return 1 << (len(self.origins) - 1)

    # Findings

    def feature(self, kind: str, name: str, node: ast.AST) -> None:
        self.features[_finding(kind, name, node)] = None

    def not_modelled(self, kind: str, name: str, node: ast.AST) -> None:
        self.unmodelled[_finding(kind, name, node)] = None

    # Values

    def join(self, *parts: int) -> int:
        """A fresh immutable value computed from all `parts`."""
        distinct = set(parts)
        distinct.discard(0)
        if not distinct or max(distinct) <= self.word:
            return max(distinct, default=self.literal)
        result = self.graph.node()
        for part in distinct:
            self.flow(part, result)
        return result

    def flow(self, source: int, target: int) -> None:
        if source == self.literal:
            self.graph.add(target, self.literal_mask)
        elif source == self.word:
            self.graph.add(target, self.text_mask)
        else:
            self.graph.edge(source, target, COPY)

    def decide(self, source: int, target: int) -> None:
        """`source` decides which value `target` is, but is not in it."""
        if source > self.word:
            self.graph.edge(source, target, CONTROL)

    def alias(self, source: int, target: int) -> None:
        """`target` may be the very object that `source` is."""
        self.flow(source, target)
        if source > self.word:
            self.graph.hold(target, source, ALIAS)

    def part(self, whole: int) -> int:
        """Something taken out of `whole`: an element, an attribute."""
        if whole <= self.word:
            return whole
        result = self.graph.node()
        self.graph.edge(whole, result, COPY)
        self.graph.hold(result, whole, PART)
        return result

    def put(self, value: int, container: int) -> None:
        """`container` now holds `value`, from its making."""
        self.flow(value, container)
        if value > self.word:
            self.graph.hold(container, value, WHOLE)

    def store(self, value: int, container: int) -> None:
        """`value` is stored into the object that `container` is."""
        if container <= self.word:
            return
        carrier = self.graph.node()
        self.flow(value, carrier)
        self.decide(self.path, carrier)
        self.decide(self.rounds, carrier)
        self.graph.edge(container, carrier, STEER)  # what chose the object
        self.graph.edge(carrier, container, STORE)
        if value > self.word:
            self.graph.hold(container, value, WHOLE)

    def raises(self, value: int) -> None:
        """Evaluating this may raise, with the value in the exception."""
        if self.error and value > self.word:
            self.graph.edge(value, self.error, COPY)

    def merge(self, *values: int) -> int:
        """One of `values`, as the same object."""
        if max(values) <= self.word:
            return max(values)
        result = self.graph.node()
        for value in values:
            self.alias(value, result)
        return result

    # Where the walk is

    def narrow(self, condition: int) -> None:
        """What follows happens only if `condition` said so."""
        if condition <= self.word:
            return
        self.path = self.join(self.path, condition) if self.path else condition
        self.guard = self.join(self.guard, condition) if self.guard else condition
        self.mark()

    def repeat(self, iterable: int) -> None:
        """What follows happens as often as `iterable` has elements.

        In a round this says nothing that the number of rounds does not say; what it leaves
        behind, in variables and objects, depends on it (`leave_loop`, `store`).
        """
        if iterable > self.word:
            self.rounds = self.join(self.rounds, iterable) if self.rounds else iterable
            self.mark()

    # Variables

    def environment_of(self, name: str) -> Environment | None:
        owner = self.environment.scope.owner(name)
        if owner is None:
            return None
        environment: Environment | None = self.environment
        while environment is not None and environment.scope is not owner:
            environment = environment.parent
        return environment

    def assign(self, name: str, value: int, *, fresh: bool = False) -> None:
        """Binds `name`; an earlier value stays possible unless it certainly is replaced."""
        environment = self.environment_of(name) or self.environment
        scope = environment.scope
        for names in self.loop_names:
            names[environment, name] = None
        if name in self.captured and scope.parent is None:
            self.alias(value, self.captured[name])
            self.decide(self.path, self.captured[name])
        straight = (
            environment is self.environment
            and self.block == environment.block
            and name not in scope.captured
        )
        current = environment.current.get(name)
        only = scope.bindings.get(name, 0) <= 1 and current is None
        kept = scope.parent is None and name in self.known
        if straight or (only and fresh and not kept):
            # Of a name that may become another dictionary the fields are not known.
            alone = scope.bindings.get(name, 0) <= 1 or value not in self.records
            environment.set(name, self._steered(value, fresh=fresh and alone))
            return
        if current is None:
            current = self._first(environment, name)
        self.alias(value, current)
        self.decide(self.path, current)
        if environment is not self.environment:
            self.decide(self.rounds, current)

    def _steered(self, value: int, *, fresh: bool) -> int:
        if not fresh or value <= self.word:
            # A node of its own: a later assignment to this name must not reach another's.
            node = self.graph.node()
            self.alias(value, node)
            self.decide(self.path, node)
            return node
        if self.path:
            for item in self.records.get(value, {}).values():
                self.decide(self.path, item)
            self.decide(self.path, value)
        return value

    def _first(self, environment: Environment, name: str) -> int:
        node = self.graph.node()
        if environment.scope.parent is None and name in self.known:
            self.graph.add(node, self.known_mask(name))
            for one in self.shared.get(name, ()):
                self.alias(one, node)
                self.graph.hold(one, node, ALIAS)  # also for those of the group that are not read
            for read in self.captures.get(name, ()):
                self.alias(self.captured[read], node)
        environment.set(name, node)
        return node

    def known_mask(self, name: str) -> int:
        origin = self.known[name]
        mask = self.source(
            f"step:{name}", Origin(origin.sources | {f"step:{name}"}, origin.labels, origin.control)
        )
        if origin.control:  # apart, so that it can steer what is done to the object
            steering = self.source(f"step:{name}:control", Origin(labels=origin.control))
            mask |= steering << self.graph.width
        return mask | self.path_bit if name in self.paths_kept else mask

    def variable(self, name: str) -> int | None:
        """The node of a program variable, or None if `name` is not one."""
        environment = self.environment_of(name)
        if environment is None:
            return None
        node = environment.current.get(name)
        return self._first(environment, name) if node is None else node

    def attribute_node(self, name: str) -> int:
        """Joins everything the program stores in any attribute of this name."""
        node = self.attributes.get(name)
        if node is None:
            node = self.attributes[name] = self.graph.node()
        return node

    def make_function(
        self, node: "ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda", *, is_method: bool
    ) -> Function:
        graph = self.graph
        function = Function(
            node=node,
            bit=0,
            scope=self.scopes.by_node[node],
            environment=self.environment,
            is_method=is_method,
            result=graph.node(),
            error=graph.node(),
            path=graph.node(),
            guard=graph.node(),
            rounds=graph.node(),
            stop=graph.node() if self.scopes.stops else 0,
        )
        function.bit = self.new_bit(function)
        if function.scope.yields:
            self.graph.special |= function.bit
        self.functions[function.bit] = function
        self.function_mask |= function.bit
        self.definitions.setdefault(node, []).append(function)
        for parameter in parameters_of(node.args):
            function.nodes[parameter.arg] = graph.node()
        return function


def _finding(kind: str, name: str, node: ast.AST) -> Finding:
    return Finding(kind, name[:100], getattr(node, "lineno", 1), getattr(node, "col_offset", 0))
