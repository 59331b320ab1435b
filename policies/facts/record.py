"""The facts of one program: the only thing a policy ever reads about code.

A `Facts` record is frozen, versioned and hashed. It says what the program *may* do, as an
over-approximation: a value whose origin is not certain carries every origin it could have.
Labels come with origins (a tool version labels what it returns) and are tracked in two
kinds that are never mixed:

- data: the value contains, or is computed from, what the source returned;
- control: the source only decided *which* value this is (a branch, a loop, a lookup key).
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

from policies.facts.paths import enclosing, is_open
from policies.facts.paths import of_schema as paths_of_schema
from policies.facts.roles import CONTENT_ROLES, role_of
from policies.facts.shape import Syntax

FACTS_VERSION = 6

TASK = "task"
TASK_LITERAL = "task:literal"
LITERAL = "literal"
ADDRESS = "literal:address"
TEXT = "literal:text"
TOOL = "tool:"
STEP = "step:"
UNBOUND = "unbound:"
CALLS = "calls:"
FINAL_ANSWER = "final_answer"
UNKNOWN_LABEL = "unknown"
FILES = "<files>"
"""Among the variables: what the working directory holds. No name of a program is like it."""
EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class ToolSpec:
    """What the analysis and the policies know about one tool version.

    Attributes:
        version: content hash of the tool version, or "" where it is not registered.
        effect: "read" or "write"; anything else is treated as a write.
        labels: data labels of what the tool returns, e.g. "untrusted".
        roles: argument name, or path inside an argument, to role, e.g. {"to": "recipient",
            "order.iban": "recipient"}.
        parameters: JSON Schema object; the order of its properties binds positions.
    """

    name: str
    version: str = ""
    effect: str = "write"
    tier: int = 0
    labels: frozenset[str] = frozenset()
    roles: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    idempotent: bool = False

    @cached_property
    def parameter_names(self) -> tuple[str, ...]:
        properties = self.parameters.get("properties", {})
        return tuple(properties) if isinstance(properties, Mapping) else ()

    def role(self, argument: str) -> str:
        """The role of an argument, or of a path inside one: declared, or what its name implies."""
        role = self._roles.get(argument)
        return self._role(argument) if role is None else role

    @cached_property
    def _roles(self) -> dict[str, str]:
        paths = paths_of_schema(self.parameters)
        return {name: self._role(name) for name in (*self.parameter_names, *self.roles, *paths)}

    def _role(self, argument: str) -> str:
        declared = self.roles.get(argument, "")
        if not declared and any(self.roles.get(a) in CONTENT_ROLES for a in enclosing(argument)):
            return ""
        return role_of(argument.rpartition(".")[2], declared, self.effect)

    @cached_property
    def role_paths(self) -> tuple[str, ...]:
        """Paths inside arguments that are known to have a role before there is a value."""
        return tuple(path for path, role in self._roles.items() if role and "." in path)

    @cached_property
    def open_arguments(self) -> frozenset[str]:
        """Written arguments that may be objects with any fields, which may have any role."""
        if self.effect in ("read", "release"):
            return frozenset()
        schemas = {name: self.parameters["properties"][name] for name in self.parameter_names}
        return frozenset(
            name
            for name, schema in schemas.items()
            if not self.role(name) and is_open(schema, self.parameters)
        )


@dataclass(frozen=True)
class Origin:
    """Where a value comes from.

    Attributes:
        sources: "task", "literal", "tool:<name>", "step:<variable>", "unbound:<name>", and
            "calls:<tool>" for a value that holds a function which calls that tool. Most
            values were touched by a literal; "literal:address" says that a written address
            or account, or a part of one, is among what this may be, "literal:text" that
            written words are put together in it with what others gave; "task:literal" is a
            literal that stands in the task.
        labels: labels of the data in the value.
        control: labels of what decided which value this is.
    """

    sources: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()
    control: frozenset[str] = frozenset()

    def joined(self, other: "Origin") -> "Origin":
        return Origin(
            self.sources | other.sources,
            self.labels | other.labels,
            self.control | other.control,
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "sources": sorted(self.sources),
            "labels": sorted(self.labels),
            "control": sorted(self.control),
        }


_UNKNOWN = Origin(frozenset({UNKNOWN_LABEL}), frozenset({UNKNOWN_LABEL}))


def join_origins(origins: Iterable[Origin]) -> Origin:
    result = Origin()
    for origin in origins:
        result = result.joined(origin)
    return result


@dataclass(frozen=True)
class Finding:
    """One thing found in the code.

    Attributes:
        kind: stable word a policy can name, e.g. "dunder" or "computed-callee".
        name: the identifier, module, path or other subject; bounded text.
    """

    kind: str
    name: str
    line: int
    column: int

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name, "line": self.line, "column": self.column}


@dataclass(frozen=True)
class Import:
    module: str
    name: str
    line: int
    column: int
    allowed: bool

    def to_json(self) -> dict[str, Any]:
        return {
            "module": self.module,
            "name": self.name,
            "line": self.line,
            "column": self.column,
            "allowed": self.allowed,
        }


class Argument(NamedTuple):
    """One argument of a call site. A tuple, as `CallSite`: programs have many, soon made.

    Attributes:
        name: parameter name, or the path of what has a role inside one (`order.iban`); "*" or
            "**" stands for every parameter not named.
        role: declared role, or the one its name implies where none is declared, or "".
        known: whether `value` is the exact value that will be passed.
        value: JSON value when known.
        text: source text otherwise, cut at 200 characters; "" for a known value.
    """

    name: str
    role: str
    known: bool
    value: Any
    text: str
    origin: Origin

    def to_json(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"value": safe_json(self.value)} if self.known else {}
        return {
            "name": self.name,
            "role": self.role,
            "known": self.known,
            **shown,
            "text": self.text,
            **self.origin.to_json(),
        }


class CallSite(NamedTuple):
    """One place where the program may call a tool.

    Attributes:
        guarded_by: labels of the branch conditions that decide whether it is reached.
        looped_by: labels of what decides how often it is reached.
        maximum: greatest number of calls from this site, or None when unknown.
        after: tools that may have run before it.
    """

    tool: str
    effect: str
    tier: int
    tool_labels: frozenset[str]
    line: int
    column: int
    arguments: tuple[Argument, ...]
    guarded_by: frozenset[str]
    looped_by: frozenset[str]
    in_loop: bool
    maximum: int | None
    after: frozenset[str]

    @property
    def writes(self) -> bool:
        return self.effect == "write"

    def fits(self, actual: Mapping[str, Any]) -> bool:
        """Whether a call with these arguments may have been made here."""
        return all(
            passed.value == actual[passed.name]
            for passed in self.arguments
            if passed.known and passed.name in actual
        )

    def passed_as(self, argument: str) -> list[Argument]:
        """What is passed as `argument`; for a path, what contains it where it is not known."""
        stars = [passed for passed in self.arguments if passed.name in ("*", "**")]
        for name in (argument, *enclosing(argument)):
            found = [passed for passed in self.arguments if passed.name == name]
            if found:
                return found + stars
        return stars

    def to_json(self) -> dict[str, Any]:
        count: dict[str, Any] = {} if self.maximum is None else {"maximum": self.maximum}
        return {
            "tool": self.tool,
            "effect": self.effect,
            "tier": self.tier,
            "tool_labels": sorted(self.tool_labels),
            "line": self.line,
            "column": self.column,
            "arguments": [argument.to_json() for argument in self.arguments],
            "guarded_by": sorted(self.guarded_by),
            "looped_by": sorted(self.looped_by),
            "in_loop": self.in_loop,
            **count,
            "after": sorted(self.after),
        }


@dataclass(frozen=True)
class Cost:
    """What the program could cost, as far as its text shows.

    Attributes:
        loop_depth: deepest nesting of loops.
        unbounded_loops: `while` loops with a constant true condition and no way out.
    """

    lines: int = 0
    nodes: int = 0
    loop_depth: int = 0
    unbounded_loops: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "lines": self.lines,
            "nodes": self.nodes,
            "loop_depth": self.loop_depth,
            "unbounded_loops": self.unbounded_loops,
        }


@dataclass(frozen=True)
class Facts:
    """Everything the policies may know about one program.

    Attributes:
        source_sha256: of the program's UTF-8 text.
        problems: why the program could not be analysed; any one of them means deny.
        features: dynamic features and other things outside the allowed language.
        unmodelled: constructs the analysis does not follow.
        rough: what lies outside the plain language that the analysis follows exactly, in this
            program or in an earlier step of the run; see plain.py.
        touches: labels of all that the program can reach: what its tools return, and what
            earlier steps left.
        unbound: names read that nothing binds.
        variables: origins of the top-level names after this program, for the next step.
        resources: hosts, paths, addresses, SQL, secrets and the like found in literals.
    """

    source_sha256: str
    problems: tuple[Finding, ...] = ()
    imports: tuple[Import, ...] = ()
    features: tuple[Finding, ...] = ()
    unmodelled: tuple[Finding, ...] = ()
    rough: tuple[Finding, ...] = ()
    touches: frozenset[str] = frozenset()
    unbound: tuple[str, ...] = ()
    calls: tuple[CallSite, ...] = ()
    resources: tuple[Finding, ...] = ()
    cost: Cost = Cost()
    variables: Mapping[str, Origin] = field(default_factory=dict)
    version: int = FACTS_VERSION
    syntax: Syntax | None = field(default=None, repr=False, compare=False)

    @cached_property
    def shape(self) -> str:
        """SHA-256, in hex, of the normalised syntax tree; "" where there is none."""
        return "" if self.syntax is None else self.syntax.shape()

    def origins_of(self, tool: str, argument: str, actual: Mapping[str, Any] = EMPTY) -> Origin:
        """Joins what every call site of `tool` may pass as `argument`, or at a path inside it.

        Args:
            actual: the arguments of a call that happens. A site whose literals are others did
                not make it; where no site fits, all count, and what the analysis did not see.
        """
        sites = [site for site in self.calls if site.tool == tool]
        fitting = [site for site in sites if site.fits(actual)]
        origin = join_origins(
            passed.origin for site in fitting or sites for passed in site.passed_as(argument)
        )
        return origin if fitting else origin.joined(_UNKNOWN)

    def guards_of(self, tool: str) -> frozenset[str]:
        """Labels of the conditions that decide whether `tool` is called."""
        return frozenset().union(*(site.guarded_by for site in self.calls if site.tool == tool))

    def rounds_of(self, tool: str) -> frozenset[str]:
        """Labels of what decides how often `tool` is called."""
        return frozenset().union(*(site.looped_by for site in self.calls if site.tool == tool))

    def read_before(self, tool: str) -> frozenset[str]:
        """Labels of what this program may have read before it calls `tool`."""
        before = frozenset().union(*(site.after for site in self.calls if site.tool == tool))
        return frozenset().union(*(s.tool_labels for s in self.calls if s.tool in before))

    def to_json(self) -> dict[str, Any]:
        """A JSON value of the canonical profile: ASCII keys, no floats, no nulls."""
        return {
            "version": self.version,
            "source_sha256": self.source_sha256,
            "shape": self.shape,
            "problems": [finding.to_json() for finding in self.problems],
            "imports": [imported.to_json() for imported in self.imports],
            "features": [finding.to_json() for finding in self.features],
            "unmodelled": [finding.to_json() for finding in self.unmodelled],
            "rough": [finding.to_json() for finding in self.rough],
            "touches": sorted(self.touches),
            "unbound": list(self.unbound),
            "calls": [site.to_json() for site in self.calls],
            "resources": [finding.to_json() for finding in self.resources],
            "cost": self.cost.to_json(),
            "variables": [
                {"name": name, **origin.to_json()}
                for name, origin in sorted(self.variables.items())
            ],
        }

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hex, over the RFC 8785 form of `to_json()`."""
        # The record has ASCII keys and no floats, so sorted compact JSON is its RFC 8785 form.
        text = json.dumps(self.to_json(), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


_EXACT = 2**53 - 1


def safe_json(value: object) -> object:
    """Rewrites a literal so that the record keeps its canonical profile.

    Floats and integers beyond ±2**53-1 become {"number": text}, null becomes
    {"null": true}, mappings become lists of pairs, since their keys need not be ASCII.
    """
    if isinstance(value, bool | str):
        return value
    if value is None:
        return {"null": True}
    if isinstance(value, int) and -_EXACT <= value <= _EXACT:
        return value
    if isinstance(value, int):
        # Hexadecimal: decimal text of a huge number is refused by the interpreter, and slow.
        return {"number": hex(value)[:200]}
    if isinstance(value, float):
        return {"number": repr(value)}
    if isinstance(value, Mapping):
        return {"pairs": [[safe_json(key), safe_json(item)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return [safe_json(item) for item in value]
    return {"text": str(value)[:200]}
