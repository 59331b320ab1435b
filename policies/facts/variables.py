"""Variables as the program leaves them, for the next step: their origins, and what they run."""

import ast
from collections.abc import Collection, Mapping
from functools import cached_property

from policies.facts import sharing
from policies.facts.origins import Origins, union
from policies.facts.record import CALLS, FILES, STEP, Finding, Origin
from policies.facts.scopes import Scope
from policies.facts.state import Environment, Function


class Variables(Origins):
    """Reads what outlives the program: variables, files, the state of modules, and notes."""

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
                seen = self.with_functions(value[walk.captured[read]])
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
            if walk.path_bit and any(walk.graph.value[node] & walk.path_bit for node in versions)
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
        if kept_parameters(function.node.args):
            return True
        walk, kept = self.walk, 0
        for read, owner in self.reads(function):
            if owner is not walk.environment.scope:
                kept |= union(walk.graph.value, self.captured(function, read, owner))
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
        module = self.walk.environment.scope
        for name, mask in self._masks.items():
            reads = found.get(name, set())
            for function in self._functions(mask):
                reads |= {read for read, owner in self.reads(function) if owner is module}
            for source in self.origin_of_mask(mask).sources if self.walk.captures else ():
                reads |= self.walk.captures.get(source.removeprefix(STEP), set())
            if reads:
                found[name] = reads
        return _closed(found)

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
                for read, owner in self.reads(function):
                    nodes += self.captured(function, read, owner)
                nodes += function.nodes.values()
        return found

    def reached(self, mask: int) -> list[Function]:
        """The functions that a value holds, and those that they read or return, and so on."""
        found = self._functions(mask)
        if not found:
            return found
        known = set(map(id, found))
        for function in found:  # it grows on the way
            new = [f for f in self._functions(self._told(function)) if id(f) not in known]
            known.update(map(id, new))
            found += new
        return found

    def with_functions(self, mask: int) -> Origin:
        """A function's origin: what it tells or does, and the tools it may call when called."""
        functions = self.reached(mask)
        if not functions and not mask & sum(self.walk.deferred):
            return self.origin_of_mask(mask)
        for function in functions:
            mask |= self._told(function)
        origin = self.origin_of_mask(mask)
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
        return {name: union(value, nodes) for name, nodes in versions.items()}

    def _functions(self, mask: int) -> list[Function]:
        if not mask & (self.walk.function_mask | self.walk.class_mask):
            return []
        found = list(self.walk.functions_in(mask))
        for record in self.walk.classes_in(mask):
            found.extend(f for functions in record.methods.values() for f in functions)
        return found

    def _told(self, function: Function) -> int:
        """What a function returns, reads outside itself, keeps, or puts into what it is given."""
        graph = self.walk.graph
        mask = graph.value[function.result]
        for name, owner in self.reads(function):
            mask |= union(graph.value, self.captured(function, name, owner))
        for name in kept_parameters(function.node.args):
            mask |= graph.value[function.nodes[name]]
        for node in function.nodes.values():
            mask |= graph.shallow.get(node, 0) | graph.deep.get(node, 0)
        return mask

    def reads(self, function: Function) -> list[tuple[str, Scope]]:
        """Outer names that a function, or what stands within it, reads, and whose they are.

        What nothing here binds, and is no tool, was left by an earlier step. Files are one more.
        """
        known = self._reads.get(function.scope)
        if known is not None:
            return known
        found: dict[tuple[str, Scope], None] = {}
        within = [function.scope]
        for scope in within:  # it grows on the way
            within += self._inner.get(scope, ())
            for name in scope.uses:
                owner = scope.owner(name)
                if owner is None and name not in self.walk.tools:
                    owner = self.walk.environment.scope
                if owner is not None:
                    found[name, owner] = None
        outer = [(name, owner) for name, owner in found if owner not in within]
        if not self.walk.file_scopes.isdisjoint(within):
            outer.append((FILES, self.walk.environment.scope))
        self._reads[function.scope] = outer
        return outer

    @cached_property
    def _reads(self) -> dict[Scope, list[tuple[str, Scope]]]:
        return {}

    @cached_property
    def _inner(self) -> dict[Scope, list[Scope]]:
        found: dict[Scope, list[Scope]] = {}
        for scope in self.walk.scopes.by_node.values():
            if scope.parent is not None:
                found.setdefault(scope.parent, []).append(scope)
        return found

    def captured(self, function: Function, name: str, owner: Scope) -> list[int]:
        environment: Environment | None = function.environment
        while environment is not None and environment.scope is not owner:
            environment = environment.parent
        return [] if environment is None else environment.versions.get(name, [])


def kept_parameters(arguments: ast.arguments) -> list[str]:
    """Parameters whose default is made once, and kept from one call to the next."""
    named = [*arguments.posonlyargs, *arguments.args]
    last = named[len(named) - len(arguments.defaults) :]
    pairs = [
        *zip(last, arguments.defaults, strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    return [p.arg for p, default in pairs if not isinstance(default, ast.Constant | None)]


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
