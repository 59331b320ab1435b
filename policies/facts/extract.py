"""Static analysis of one program: `extract(code, …) -> Facts`.

Guarantees: never raises and never runs the program; whatever it cannot follow is in the
record as a problem, a feature or an unmodelled construct; origins are an over-approximation.
Does not guarantee: that a program behaves well. The broker decides again on actual values.

Order:
1. parse, with limits (source.py);
2. resolve names (scopes.py);
3. walk the statements into a value graph (statements.py and below), then solve it (flow.py);
4. read call sites and variables off the solved graph;
5. look at the literals (resources.py).
"""

import ast
import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, reduce

from policies.facts import library, sharing
from policies.facts.flow import MAX_STEPS, TooComplexError
from policies.facts.lookalikes import lookalike
from policies.facts.paths import enclosing, inside
from policies.facts.plain import Rough, rough_parts
from policies.facts.record import (
    CALLS,
    EMPTY,
    FILES,
    FINAL_ANSWER,
    LITERAL,
    STEP,
    TASK_LITERAL,
    Argument,
    CallSite,
    Cost,
    Facts,
    Finding,
    Origin,
    ToolSpec,
)
from policies.facts.resources import resources_in
from policies.facts.scopes import MAX_DEPTH, MAX_NODES, Scope, Scopes, TooDeepError, TooLargeError
from policies.facts.shape import Syntax
from policies.facts.source import Source, parse
from policies.facts.state import Environment, Function, Site
from policies.facts.statements import Statements

ANSWER = ToolSpec(
    name=FINAL_ANSWER,
    effect="release",
    parameters={"type": "object", "properties": {"value": {}}},
)


def extract(
    code: str,
    *,
    tools: Sequence[ToolSpec],
    allowed_imports: Collection[str] = library.DEFAULT_IMPORTS,
    known: Mapping[str, Origin] = EMPTY,
    task_text: str = "",
) -> Facts:
    """Facts of `code`.

    Args:
        code: the program's text; it may be anything.
        tools: the tool versions the program may call; `final_answer` is always one more.
        allowed_imports: module names; "pandas" also allows its public submodules.
        known: origins of variables that exist before the program runs.
        task_text: the goal as the requester typed it; a literal that stands in it as a
            whole word counts as coming from the task.
    """
    source = parse(code)
    if source.tree is None:
        return Facts(_digest(code), problems=source.problems, variables=dict(known))
    try:
        return _analyse(code, source, source.tree, tools, allowed_imports, known, task_text)
    except (RecursionError, TooDeepError):
        problem = Finding("too-deep", f"nesting over {MAX_DEPTH}", 1, 0)
    except TooComplexError:
        problem = Finding("too-complex", f"over {MAX_STEPS} steps of analysis", 1, 0)
    except TooLargeError:
        problem = Finding("too-large", f"over {MAX_NODES} nodes", 1, 0)
    except Exception as error:  # noqa: BLE001 - hostile input must end as a fact, and deny
        problem = Finding("analysis-failed", type(error).__name__, 1, 0)
    return Facts(_digest(code), problems=(problem,), variables=dict(known))


def _analyse(
    code: str,
    source: Source,
    tree: ast.Module,
    tools: Sequence[ToolSpec],
    allowed: Collection[str],
    known: Mapping[str, Origin],
    task_text: str,
) -> Facts:
    scopes = Scopes(tree)
    specs = {spec.name: spec for spec in (*tools, ANSWER)}
    walk = Statements(scopes, specs, allowed, known)
    walk.run(tree.body)
    walk.walk_uncalled()
    walk.late_fields()
    walk.rebind()
    walk.graph.add(walk.everything, walk.all_sources())
    walk.graph.solve(walk.run_implicitly)
    _rebindings(walk)
    _relied_on(walk)
    _computed_classes(walk)
    _switches(walk)
    reader = _Reader(walk, task_text, code)
    walk.check_divisions()
    for name, opened in walk.named_files:
        if not _OUTSIDERS.isdisjoint(reader.origin_of_mask(walk.graph.value[name]).labels):
            walk.not_modelled("file-path", "made of outsiders' text", opened)
    calls = reader.calls()
    rough, kept = _rough(scopes, specs, known)
    return Facts(
        source_sha256=_digest(code),
        syntax=Syntax(tree, frozenset(specs), frozenset(scopes.bound)),
        imports=tuple(sorted(walk.imports, key=lambda i: (i.line, i.column, i.module, i.name))),
        features=_sorted(walk.features),
        unmodelled=_sorted(walk.unmodelled),
        rough=rough,
        touches=_touches(calls, known),
        unbound=tuple(sorted(walk.unbound)),
        calls=calls,
        resources=resources_in(scopes.strings),
        cost=Cost(source.lines, scopes.nodes, walk.deepest_loop, walk.unbounded),
        variables=reader.variables((*rough, *kept)),
    )


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()


def _sorted(findings: Collection[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda f: (f.line, f.column, f.kind, f.name)))


def _rough(
    scopes: Scopes, tools: Mapping[str, ToolSpec], known: Mapping[str, Origin]
) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """What is rough in this program, and what more is rough in later steps."""
    here, later = rough_parts(scopes, tools)
    earlier = {Finding(kind, name, 0, 0) for kind, name in sharing.rough_in(known)}
    return _sorted({_noted(part) for part in here} | earlier), _sorted(set(map(_noted, later)))


def _noted(part: Rough) -> Finding:
    kind, name, node = part
    return Finding(kind, name[:80], getattr(node, "lineno", 1), getattr(node, "col_offset", 0))


def _touches(calls: Collection[CallSite], known: Mapping[str, Origin]) -> frozenset[str]:
    returned = (site.tool_labels for site in calls)
    kept = (origin.labels | origin.control for origin in known.values())
    return frozenset().union(*returned, *kept)


_GUARDED = (library.CRITICAL_BUILTINS | library.CHECKED_BUILTINS) - {"type"}
_REFUSED_NAMES = _GUARDED - library.HARMLESS_TO_SHADOW


def _rebindings(walk: Statements) -> None:
    for name, node in walk.scopes.bound.items():
        if name in walk.tools:
            walk.feature("tool-rebound", name, node)
        elif name in _REFUSED_NAMES:
            walk.feature("builtin-rebound", name, node)
        elif not name.isascii():
            twin = lookalike(name)
            if twin in walk.tools or twin in library.BUILTINS:
                walk.feature("lookalike", name, node)
    for name in walk.unbound:
        if not name.isascii() and lookalike(name) in walk.tools:
            walk.feature("lookalike", name, ast.Pass(lineno=1, col_offset=0))
    for (scope, name), _module in walk.modules.items():
        if scope.bindings.get(name, 0) > walk.import_counts[scope, name]:
            walk.not_modelled("module-rebound", name, walk.scopes.bound[name])
    module = walk.environment.scope
    for name in walk.kept_modules.keys() & module.bindings.keys():
        if module.bindings[name] > walk.import_counts.get((module, name), 0):
            walk.not_modelled("module-rebound", name, walk.scopes.bound[name])


def _relied_on(walk: Statements) -> None:
    """What an earlier step read as written text, and this one binds anew."""
    for note in sorted(walk.reads):
        name = note.removeprefix("=")
        if name != note and name in walk.environment.scope.bindings.keys() | (
            walk.scopes.stored_attributes
        ):
            walk.not_modelled("relied-on", name, walk.scopes.bound.get(name, _NOWHERE))


_NOWHERE = ast.Pass(lineno=1, col_offset=0)


def _computed_classes(walk: Statements) -> None:
    """What makes classes, or names attributes, in ways that only the whole program shows."""
    plain = walk.function_mask | walk.class_mask
    everything = walk.type_bit | walk.enum_mask
    for made, makers in (
        (walk.class_builders, walk.type_bit | walk.enum_mask),
        (walk.class_bases, walk.type_bit),
        # A class method makes instances of its own class, which is an enumeration or is not.
        ([(c, n) for c, n, method in walk.own_makers if _may_be_enum(walk, method)], everything),
    ):
        for callee, node in made:
            mask = walk.graph.value[callee]
            if mask & makers:
                finding = walk.not_modelled if mask & plain else walk.feature
                finding("computed-type", "a class is made by a call", node)
    for node in walk.loose_annotations if walk.dispatches else ():
        walk.feature("annotation-code", ast.unparse(node), node)
    for scope in walk.scopes.by_node.values():
        for name in library.ATTRIBUTE_LISTS & scope.bindings.keys():
            if scope.bindings[name] > len(walk.special_names.get((scope, name), ())):
                walk.feature("reflection", name, walk.scopes.bound[name])


def _may_be_enum(walk: Statements, method: ast.AST) -> bool:
    holders = (
        record
        for record in walk.classes.values()
        if any(f.node is method for functions in record.methods.values() for f in functions)
    )
    return any(record.is_enum or record.external for record in holders)


def _switches(walk: Statements) -> None:
    """All else can tell how the interpreter was set: by what is written in the program alone."""
    sources = walk.all_sources() & ~walk.address_mask
    for member, node, deciders in walk.switches:
        mask = 0
        for decider in deciders:
            mask |= walk.graph.value[decider]
        if (mask | mask >> walk.graph.width) & sources:
            walk.not_modelled("interpreter-limit", member, node)


class _Reader:
    """Reads origins off the solved graph."""

    def __init__(self, walk: Statements, task_text: str, code: str) -> None:
        self.walk = walk
        # Offsets are in UTF-8 bytes and lines are the parser's own where only newlines end them.
        plain = "\r" not in code and "\f" not in code
        self.lines = code.encode().split(b"\n") if plain else []
        self.task_text = task_text
        self._origins: dict[int, Origin] = {}
        self._written: dict[tuple[str, int], Origin] = {}
        self._labels: dict[int, frozenset[str]] = {}

    def origin_of_mask(self, mask: int) -> Origin:
        origin = self._origins.get(mask)
        if origin is None:
            origin = self._origins[mask] = self._read(mask)
        return origin

    def _read(self, mask: int) -> Origin:
        graph = self.walk.graph
        data, steering = mask & graph.low, mask >> graph.width
        sources: set[str] = set()
        labels: set[str] = set()
        control: set[str] = set()
        for bit, meaning in self._meanings(data | steering):
            if data & bit:
                sources |= meaning.sources
                labels |= meaning.labels
                control |= meaning.control
            else:
                control |= meaning.labels | meaning.control
        return Origin(frozenset(sources), frozenset(labels), frozenset(control))

    def _meanings(self, bits: int) -> Iterator[tuple[int, Origin]]:
        """The sources among these bits; others stand for functions and classes."""
        while bits:
            bit = bits & -bits
            bits ^= bit
            meaning = self.walk.origins[bit.bit_length() - 1]
            if isinstance(meaning, Origin):
                yield bit, meaning

    def labels(self, *nodes: int) -> frozenset[str]:
        """Labels of what these values contain or were decided by."""
        mask = _union(self.walk.graph.value, nodes)
        labels = self._labels.get(mask)
        if labels is None:
            origin = self.origin_of_mask(mask)
            labels = self._labels[mask] = origin.labels | origin.control
        return labels

    # Call sites

    def calls(self) -> tuple[CallSite, ...]:
        """One for each place in the code; its function may have been walked for many callers."""
        found: dict[tuple[int, int, str], CallSite] = {}
        for site in self.walk.sites:
            place = site.line, site.column, site.spec.name
            call = self.call_site(site)
            found[place] = _same_place(found[place], call) if place in found else call
        return tuple(found[place] for place in sorted(found))

    def call_site(self, site: Site) -> CallSite:
        spec = site.spec
        arguments = self.arguments(site)
        if spec is ANSWER:
            # That there is this answer, and no other, tells what led here.
            led = self.labels(site.guard, site.rounds, site.path)
            arguments = tuple(_chosen(argument, led) for argument in arguments)
        return CallSite(
            tool=spec.name,
            effect=spec.effect,
            tier=spec.tier,
            tool_labels=spec.labels,
            line=site.line,
            column=site.column,
            arguments=arguments,
            guarded_by=self.labels(site.guard),
            looped_by=self.labels(site.rounds, site.path),
            in_loop=site.in_loop,
            maximum=site.maximum,
            after=site.after,
        )

    def arguments(self, site: Site) -> tuple[Argument, ...]:
        module = self.walk.environment
        self.walk.environment = site.environment
        try:
            return self._arguments(site)
        finally:
            self.walk.environment = module

    def _arguments(self, site: Site) -> tuple[Argument, ...]:
        found: dict[str, Argument] = {}
        for name, node, expression in _spread(site, self.walk.graph.value):
            if "." in name and not self.walk.graph.value[node]:
                continue  # a field that is not there
            for argument in self.passed(site.spec, name, node, expression):
                before = found.get(argument.name)
                found[argument.name] = argument if before is None else _either(before, argument)
        return tuple(found.values())

    def passed(
        self, spec: ToolSpec, name: str, node: int, expression: ast.expr | None
    ) -> Iterator[Argument]:
        """An argument; where its value is known, then also what has a role inside it."""
        argument = self.argument(spec, name, node, expression)
        yield argument
        if type(argument.value) in _PLAIN:
            return
        for path, value in inside(name, argument.value):
            role = spec.role(path)
            if role:
                source = self.literal_source(value, role)
                origin = self.written(source, self.walk.graph.value[node])
                yield Argument(path, role, True, value, "", origin)

    def argument(
        self, spec: ToolSpec, name: str, node: int, expression: ast.expr | None
    ) -> Argument:
        role = "" if spec is ANSWER else spec.role(name)
        mask = self.walk.graph.value[node]
        found, value = _literal(self.walk, expression)
        if found:
            origin = self.written(self.literal_source(value, role), mask)
            return Argument(name, role, True, value, "", origin)
        if name in spec.open_arguments and self.is_opaque(node):
            role = library.OBJECT
        text = "" if expression is None else self.text(expression)
        return Argument(name, role, False, None, text, self.origin_of_mask(mask))

    def literal_source(self, value: object, role: str) -> str:
        minor = role == "amount_minor"
        told = self.task_text and _stands_in(value, self.task_text, minor=minor)
        return TASK_LITERAL if told else LITERAL

    def is_opaque(self, node: int) -> bool:
        """Whether a value may have fields that the program does not show."""
        walk, pending, seen = self.walk, [node], {node}
        while pending:
            item = pending.pop()
            if (
                item not in walk.records
                or walk.graph.shallow.get(item)
                or walk.graph.deep.get(item)
            ):
                return True
            inner = (i for f in walk.records[item].values() for i in walk.held.get(f, ()))
            pending += (new := set(inner) - seen)
            seen |= new
        return False

    def written(self, source: str, mask: int) -> Origin:
        """The origin of a literal that stands at the call itself."""
        origin = self._written.get((source, mask))
        if origin is None:
            read = self.origin_of_mask(mask)
            origin = Origin(frozenset({source}), read.labels, read.control)
            self._written[source, mask] = origin
        return origin

    def text(self, node: ast.expr) -> str:
        """The source of an expression, on one line, cut at 200 characters."""
        if not self.lines or node.end_lineno != node.lineno:
            return ast.unparse(node)[:200]
        line = self.lines[node.lineno - 1][node.col_offset : node.end_col_offset]
        return line.decode()[:200]

    # Variables

    def variables(self, rough: Collection[Finding]) -> dict[str, Origin]:
        result = dict(self.walk.known)
        files = self.walk.graph.value[self.walk.files]
        if files:
            result[FILES] = self.origin_of_mask(files)
        for name, mask in self._masks.items():
            origin = self.with_functions(mask)
            before = result.get(name)
            result[name] = origin if before is None else before.joined(origin)
        self.outlive(result)
        if rough:
            result[sharing.ROUGH] = sharing.note_of((part.kind, part.name) for part in rough)
        return {name: origin for name, origin in result.items() if name not in self.walk.unbound}

    def outlive(self, result: dict[str, Origin]) -> None:
        """Notes what is no variable, and what one variable tells of another."""
        walk, value = self.walk, self.walk.graph.value
        for path, state in walk.module_state.items():
            if value[state] & ~walk.literal_mask:
                result[f"<{path}>"] = self.with_functions(value[state])
        for name, nodes in walk.shared.items():
            for node in nodes if name in result or name.startswith("<") else ():
                origin = self.origin_of_mask(value[node])
                result[name] = result.get(name, origin).joined(origin)
        for name, reads in walk.captures.items():
            for read in reads if name in result else ():
                seen = self.origin_of_mask(value[walk.captured[read]])
                result[name] = result[name].joined(seen)
        modules = {**walk.kept_modules}
        modules |= {n: m for (scope, n), m in walk.modules.items() if scope.parent is None}
        captures = self.captures()
        live, written = self.live_names()
        for name, reads in captures.items():
            names = set[str]().union(*(written.get(read, ()) for read in reads))
            if names:
                written.setdefault(name, set()).update(names)
        shared = sharing.groups(walk.graph, self.holders(captures))
        for key, notes in (
            (sharing.SHARED, shared),
            (sharing.MODULES, [(n, m.path, m.member) for n, m in modules.items()]),
            (sharing.CAPTURED, [(n, read) for n, reads in captures.items() for read in reads]),
            (sharing.WRITTEN, [(n, name) for n, names in written.items() for name in names]),
            (sharing.LIVE, [(name,) for name in sorted(live)]),
            (sharing.READS, [(name,) for name in sorted(walk.relied)]),
            (sharing.PATHS, [(name,) for name in self.path_names()]),
        ):
            if notes:
                result[key] = sharing.note_of(notes)

    def path_names(self) -> list[str]:
        """Variables that may hold a path object."""
        walk = self.walk
        return [
            name
            for name, versions in walk.environment.versions.items()
            if any(walk.graph.value[node] & walk.path_bit for node in versions)
        ]

    def live_names(self) -> tuple[set[str], dict[str, set[str]]]:
        """Variables that run something by being used, and what calling them may bind."""
        walk = self.walk
        live, written = set(walk.live), {name: set(names) for name, names in walk.written.items()}
        earlier = bool(walk.live or walk.written)
        for name, mask in self._masks.items():
            functions = self._functions(mask)
            if name in walk.scopes.iterators or self.is_live(mask, functions):
                live.add(name)
            names = {bound for function in functions for bound in self.binds(function)}
            for source in self.origin_of_mask(mask).sources if earlier else ():
                before = source.removeprefix(STEP)
                names |= walk.written.get(before, set())
                if before in walk.live:
                    live.add(name)
            if names:
                written.setdefault(name, set()).update(names)
        return live, written

    def is_live(self, mask: int, found: list[Function]) -> bool:
        """Whether it is more than a function that only a direct call runs."""
        walk, functions, running = self.walk, self.walk.function_mask, self._running
        if mask & running:
            return True
        if not found:
            return False
        results = 0
        for function in found:
            results |= walk.graph.value[function.result]
        held = bool(mask & ~functions) or any(function.scope.yields for function in found)
        return held or bool(results & (running | functions)) or any(map(self.keeps, found))

    @cached_property
    def _running(self) -> int:
        """What may run code of the program by being used in any way."""
        walk = self.walk
        running = walk.default_bit | walk.mutator_bit | sum(walk.deferred)
        for record in walk.classes.values():
            state = walk.graph.value[record.state]
            if record.methods or record.external or state & walk.function_mask:
                running |= record.bit
        return running

    def keeps(self, function: Function) -> bool:
        """Whether a function may hold, from one call to the next, what it was given."""
        details = function.node.args
        defaults = (*details.defaults, *details.kw_defaults)
        if any(d is not None and not isinstance(d, ast.Constant) for d in defaults):
            return True
        walk, kept = self.walk, 0
        for read in function.scope.uses:
            if function.scope.owner(read) is not walk.environment.scope:
                for node in self.captured(function, read):
                    kept |= walk.graph.value[node]
        return bool(kept & ~(walk.function_mask | walk.literal_mask))

    def binds(self, function: Function) -> set[str]:
        """Names outside the function that it, or a function within it, assigns."""
        inner = {scope for scope in self.walk.scopes.by_node.values() if scope.globals}
        found: set[str] = set()
        for scope in inner:
            around: Scope | None = scope
            while around is not None and around is not function.scope:
                around = around.parent
            if around is not None:
                found |= scope.globals & scope.bindings.keys()
        return found

    def captures(self) -> dict[str, set[str]]:
        """Names that functions read, by the variables that hold these functions."""
        found = {name: set(reads) for name, reads in self.walk.captures.items()}
        for name, mask in self._masks.items():
            reads = found.setdefault(name, set())
            for function in self._functions(mask):
                for read in function.scope.uses:
                    owner = function.scope.owner(read)
                    outer = owner is None and read not in self.walk.tools
                    if owner is self.walk.environment.scope or outer:
                        reads.add(read)
            for source in self.origin_of_mask(mask).sources if self.walk.captures else ():
                reads |= self.walk.captures.get(source.removeprefix(STEP), set())
        return _closed({name: reads for name, reads in found.items() if reads})

    def holders(self, captures: Mapping[str, set[str]]) -> dict[str, list[int]]:
        """Nodes of each variable: its own, and those that its functions keep."""
        walk = self.walk
        found = {name: list(nodes) for name, nodes in walk.shared.items()}
        for path, state in walk.module_state.items():
            if "." in path:  # an object of the library
                found.setdefault(f"<{path}>", []).append(state)
        for name, versions in walk.environment.versions.items():
            nodes = found.setdefault(name, [])
            nodes += [node for node in versions if node != walk.literal]
            for function in self.reached(self._masks[name]):
                for read in function.scope.uses:
                    nodes += self.captured(function, read)
                nodes += function.nodes.values()
        return found

    def reached(self, mask: int) -> list[Function]:
        """The functions that a value holds, and those that they read, and so on."""
        found = self._functions(mask)
        known = set(map(id, found))
        for function in found:  # it grows on the way
            mask = 0
            for read in function.scope.uses:
                for node in self.captured(function, read):
                    mask |= self.walk.graph.value[node]
            new = [each for each in self._functions(mask) if id(each) not in known]
            known.update(map(id, new))
            found += new
        return found

    def with_functions(self, mask: int) -> Origin:
        """A function's origin: what it returns, and the tools it may call when called."""
        functions = self._functions(mask)
        if not functions and not mask & sum(self.walk.deferred):
            return self.origin_of_mask(mask)
        origin = self.origin_of_mask(mask | self._results(functions))
        return Origin(origin.sources | self._kept_calls, origin.labels, origin.control)

    @cached_property
    def _kept_calls(self) -> frozenset[str]:
        """What a function that is kept may call: the tools called in the body of any."""
        spans = [(f.node.lineno, f.node.end_lineno or 0) for f in self.walk.functions.values()]
        spans += self.walk.spans
        return frozenset(
            f"{CALLS}{site.spec.name}"
            for site in self.walk.sites
            if any(first <= site.line <= last for first, last in spans)
        )

    @cached_property
    def _masks(self) -> dict[str, int]:
        """What each variable of the module may hold, in any of its versions."""
        value, versions = self.walk.graph.value, self.walk.environment.versions
        return {name: _union(value, nodes) for name, nodes in versions.items()}

    def _functions(self, mask: int) -> list[Function]:
        if not mask & (self.walk.function_mask | self.walk.class_mask):
            return []
        found = list(self.walk.functions_in(mask))
        for record in self.walk.classes_in(mask):
            found.extend(f for functions in record.methods.values() for f in functions)
        return found

    def _results(self, functions: list[Function]) -> int:
        mask = 0
        for function in functions:
            mask |= self.walk.graph.value[function.result]
            for name in function.scope.uses:
                for node in self.captured(function, name):
                    mask |= self.walk.graph.value[node]
        return mask

    def captured(self, function: Function, name: str) -> list[int]:
        owner = function.scope.owner(name)
        environment: Environment | None = function.environment
        while environment is not None and environment.scope is not owner:
            environment = environment.parent
        return [] if environment is None else environment.versions.get(name, [])


def _union(value: Sequence[int], nodes: Collection[int]) -> int:
    mask = 0
    for node in nodes:
        mask |= value[node]
    return mask


def _closed(captures: dict[str, set[str]]) -> dict[str, set[str]]:
    """What a function reads through the functions that it reads is read by it, too."""
    grown = True
    while grown:
        grown = False
        for reads in captures.values():
            before = len(reads)
            for inner in tuple(reads & captures.keys()):
                reads.update(captures[inner])
            grown = grown or len(reads) > before
    return captures


_OUTSIDERS = frozenset({"untrusted", "unknown"})
_STARS = ("*", "**")


def _spread(site: Site, value: Sequence[int]) -> list[tuple[str, int, ast.expr | None]]:
    """`*` and `**` may fill any parameter that is not passed by name."""
    named = [given for given in site.arguments if given[0] not in _STARS]
    if len(named) == len(site.arguments):
        return named
    names = {name for name, _, _ in named}
    spec = site.spec
    declared = dict.fromkeys((*spec.parameter_names, *spec.roles, *spec.role_paths))
    open_ = [name for name in declared if names.isdisjoint((name, *enclosing(name)))]
    for star, node, _ in site.arguments:
        if star in _STARS and value[node]:
            named.extend((name, node, None) for name in open_ or [star])
    return named


def _chosen(argument: Argument, labels: frozenset[str]) -> Argument:
    origin = argument.origin
    if labels <= origin.control:
        return argument
    return argument._replace(origin=replace(origin, control=origin.control | labels))


def _same_place(first: CallSite, second: CallSite) -> CallSite:
    """Calls from one place in the code, walked for two callers."""
    names = dict.fromkeys(passed.name for passed in (*first.arguments, *second.arguments))
    arguments = {name: _joined(name, first, second) for name in names}
    counts = first.maximum, second.maximum
    return first._replace(
        arguments=tuple(arguments.values()),
        guarded_by=first.guarded_by | second.guarded_by,
        looped_by=first.looped_by | second.looped_by,
        in_loop=first.in_loop or second.in_loop,
        maximum=None if None in counts else sum(filter(None, counts)),
        after=first.after | second.after,
    )


def _joined(name: str, first: CallSite, second: CallSite) -> Argument:
    """What either passes as `name`; a path may be known of one alone, and in all of the other's."""
    found = [*first.passed_as(name), *second.passed_as(name)]
    exact = [passed for passed in found if passed.name == name]
    around = [passed._replace(known=False) for passed in found if passed.name != name]
    return reduce(_either, exact + around if "." in name else exact)


def _either(first: Argument, second: Argument) -> Argument:
    """An argument that is passed at one place with one value or another."""
    known = first.known and second.known and first.value == second.value
    value = first.value if known else None
    origin = first.origin.joined(second.origin)
    return first._replace(known=known, value=value, origin=origin)


_PLAIN = (str, int, float, bool, type(None))


def _literal(walk: Statements, node: ast.expr | None) -> tuple[bool, object]:
    """Whether `node` is a literal JSON value, and which."""
    if node is None:
        return False, None
    if isinstance(node, ast.Constant):
        plain = type(node.value) in _PLAIN
        return plain, node.value if plain else None
    if isinstance(node, ast.List | ast.Tuple):
        items = [_literal(walk, element) for element in node.elts]
        return all(found for found, _ in items), [value for _, value in items]
    if isinstance(node, ast.Dict):
        keys = [key.value for key in node.keys if isinstance(key, ast.Constant)]
        values = [_literal(walk, value) for value in node.values]
        texts = [key for key in keys if isinstance(key, str)]
        complete = len(texts) == len(node.values) and all(found for found, _ in values)
        return complete, dict(zip(texts, [value for _, value in values], strict=False))
    value = walk.constant(node)
    return value is not None and isinstance(value, str | int | float), value


_JOINERS = "@._+-/"


def _stands_in(value: object, text: str, *, minor: bool) -> bool:
    """Whether a string literal of three or more characters is in `text` as a whole word.

    An address is not in a longer address: a joining character beside it counts as a part of
    the word, unless it ends a sentence.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return any(_is_word(form, text) for form in _number_forms(value, minor=minor))
    return isinstance(value, str) and len(value) >= 3 and _is_word(value, text)


def _number_forms(value: float, *, minor: bool) -> set[str]:
    """How a person may have written a number; an amount in cents stands there in euros."""
    if not -1e15 < value < 1e15:
        return set()
    forms = {str(value), f"{value:g}", f"{value:.2f}", f"{value:,}", f"{value:,.2f}"}
    if minor and isinstance(value, int):
        forms |= {f"{value / 100:.2f}", f"{value / 100:,.2f}"}
    if minor and isinstance(value, int) and value % 100 == 0:
        forms |= {str(value // 100), f"{value // 100:,}"}
    swapped = str.maketrans(",.", ".,")
    return forms | {form.translate(swapped) for form in forms}


def _is_word(value: str, text: str) -> bool:
    start = text.find(value)
    while start >= 0:
        end = start + len(value)
        before, after = text[start - 1 : start] if start else "", text[end : end + 1]
        beyond = text[end + 1 : end + 2]
        left = before.isalnum() or (before and before in _JOINERS)
        right = after.isalnum() or (after and after in _JOINERS and beyond.isalnum())
        if not left and not right:
            return True
        start = text.find(value, start + 1)
    return False
