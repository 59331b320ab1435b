"""Call sites of tools, read off the solved graph."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import reduce

from policies.facts.literals import PLAIN, literal_in, stands_in
from policies.facts.origins import Origins
from policies.facts.paths import enclosing, inside
from policies.facts.record import (
    FINAL_ANSWER,
    LITERAL,
    TASK_LITERAL,
    Argument,
    CallSite,
    Origin,
    ToolSpec,
)
from policies.facts.roles import OBJECT
from policies.facts.state import Site
from policies.facts.statements import Statements

ANSWER = ToolSpec(
    name=FINAL_ANSWER,
    effect="release",
    parameters={"type": "object", "properties": {"value": {}}},
)


class Sites(Origins):
    """Reads the call sites: what each argument may be, and what decided that it is passed."""

    def __init__(self, walk: Statements, task_text: str, code: str) -> None:
        super().__init__(walk)
        # Offsets are in UTF-8 bytes and lines are the parser's own where only newlines end them.
        plain = "\r" not in code and "\f" not in code
        self.lines = code.encode().split(b"\n") if plain else []
        self.task_text = task_text
        self._written: dict[tuple[str, int], Origin] = {}

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
        called = spec.name, spec.effect, spec.tier, spec.labels, site.line, site.column
        decided = self.labels(site.guard), self.labels(site.rounds, site.path)
        return CallSite(*called, arguments, *decided, site.in_loop, site.maximum, site.after)

    def arguments(self, site: Site) -> tuple[Argument, ...]:
        module = self.walk.environment
        self.walk.environment = site.environment
        try:
            return self._arguments(site)
        finally:
            self.walk.environment = module

    def _arguments(self, site: Site) -> tuple[Argument, ...]:
        found: dict[str, Argument] = {}
        value = self.walk.graph.value
        for name, node, expression in _spread(site, value):
            if not value[node] and "." in name:
                continue  # a field that is not there
            argument = self.argument(site.spec, name, node, expression)
            found[name] = _either(found[name], argument) if name in found else argument
            if type(argument.value) in PLAIN:
                continue
            for part in self.inner(site.spec, argument, node):
                before = found.get(part.name)
                found[part.name] = part if before is None else _either(before, part)
        return tuple(found.values())

    def inner(self, spec: ToolSpec, argument: Argument, node: int) -> Iterator[Argument]:
        """What has a role inside an argument whose value is known."""
        for path, value in inside(argument.name, argument.value):
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
        found, value = literal_in(self.walk, expression)
        if found:
            origin = self.written(self.literal_source(value, role), mask)
            return Argument(name, role, True, value, "", origin)
        if name in spec.open_arguments and self.is_opaque(node):
            role = OBJECT
        text = "" if expression is None else self.text(expression)
        return Argument(name, role, False, None, text, self.origin_of_mask(mask))

    def literal_source(self, value: object, role: str) -> str:
        minor = role == "amount_minor"
        told = self.task_text and stands_in(value, self.task_text, minor=minor)
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
