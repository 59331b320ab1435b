"""Requests that make a rule hold, or not: found from the rule's own text. Pure.

From the syntax tree of a condition come sets of wishes, such as "the amount is 1,000,001 or more"
and "untrusted is among the labels"; a wish is fulfilled by writing values at the boundaries into a
request in which nothing special happens. This searches, it does not prove: a condition that the
search does not understand adds no wish, and whoever uses a witness decides it with the engine.
"""

import copy
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from cedarpy import pst

from policies import requests
from policies.facts.extract import extract
from policies.facts.record import TASK, Origin, ToolSpec
from policies.requests import LONG_MAX, Request, RunContext, tool_entity

MOST_WAYS = 24
"""Ways to fulfil one condition that are followed; more are dropped."""
ANY_MODEL = "any_model"
"""A model that could be registered, for data of whatever labels a rule asks about."""
_WORKDAY = datetime(2026, 1, 14, 10, tzinfo=UTC)
_FLIP = {"less": "greater_eq", "greater_eq": "less", "greater": "less_eq", "less_eq": "greater"}
_MIRROR = {"less": "greater", "greater": "less", "less_eq": "greater_eq", "greater_eq": "less_eq"}


@dataclass(frozen=True)
class Wish:
    """What one attribute must be.

    Attributes:
        low, high: inclusive bounds of a number (in ten-thousandths for a decimal).
        among, absent: what a set must and must not hold, or what a text must (one) and must not
            be; "*" among: the set must not be empty, "*" absent: it must be empty.
        flag: a truth value, or None where nothing is wished.
    """

    low: int = -LONG_MAX
    high: int = LONG_MAX
    among: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()
    flag: bool | None = None
    decimal: bool = False

    def join(self, other: "Wish") -> "Wish | None":
        """Both wishes at once; None where they contradict."""
        flags = {flag for flag in (self.flag, other.flag) if flag is not None}
        joined = Wish(
            max(self.low, other.low),
            min(self.high, other.high),
            self.among | other.among,
            self.absent | other.absent,
            next(iter(flags), None),
            self.decimal or other.decimal,
        )
        held = joined.among - {"*"}
        wrong = joined.low > joined.high or len(flags) > 1 or joined.among & joined.absent
        return None if wrong or ("*" in joined.absent and held) else joined


Way = Mapping[str, Wish]


def ways(rule: pst.Template, *, holds: bool = True) -> list[Way]:
    """Ways in which a rule's scope and conditions hold, or in which one of them does not."""
    parts = [*_scopes(rule)]
    parts += [_ways(c.expr, want=isinstance(c, pst.When)) for c in rule.clauses]
    if holds:
        return _both(parts)
    lacking = [_ways(c.expr, want=not isinstance(c, pst.When)) for c in rule.clauses]
    return [way for part in lacking for way in part][:MOST_WAYS]


def join(one: Way, other: Way) -> Way | None:
    """Both ways at once; None where they contradict."""
    joined = dict(one)
    for path, wish in other.items():
        both = joined[path].join(wish) if path in joined else wish
        if both is None:
            return None
        joined[path] = both
    return joined


def _scopes(rule: pst.Template) -> Iterator[list[Way]]:
    for name, scope in (("principal", rule.principal), ("resource", rule.resource)):
        if isinstance(scope, pst.ScopeEq) and isinstance(scope.entity, pst.EntityUid):
            yield [{name: Wish(among=frozenset({scope.entity.id}))}]


def _both(parts: Iterable[list[Way]]) -> list[Way]:
    found: list[Way] = [{}]
    for part in parts:
        pairs = itertools.product(found, part)
        found = [way for one, other in pairs if (way := join(one, other)) is not None]
        found = found[:MOST_WAYS]
    return found


def _ways(node: pst.Expr, *, want: bool) -> list[Way]:
    if isinstance(node, pst.UnaryOp):
        if node.op == "not":
            return _ways(node.arg, want=not want)
        if node.op == "is_empty":
            some = Wish(absent=frozenset("*")) if want else Wish(among=frozenset("*"))
            return _at(node.arg, some)
    if isinstance(node, pst.BinaryOp):
        if node.op in ("and", "or"):
            sides = [_ways(node.left, want=want), _ways(node.right, want=want)]
            together = (node.op == "and") == want
            return _both(sides) if together else [*sides[0], *sides[1]][:MOST_WAYS]
        return _atom(node, want=want)
    if isinstance(node, pst.BoolLit):
        return [{}] if node.value == want else []
    if isinstance(node, pst.GetAttr):
        return _at(node, Wish(flag=want))
    return [{}]


def _atom(node: pst.BinaryOp, *, want: bool) -> list[Way]:
    left, right, op = node.left, node.right, node.op
    if isinstance(left, pst.Set) and op == "contains_all":
        return _at(right, _only(_texts(left), want=want))
    if op.startswith("contains"):
        return _membership(left, op, _texts(right), want=want)
    if isinstance(left, pst.LongLit | pst.StringLit | pst.EntityLit):
        left, right, op = right, left, _MIRROR.get(op, op)  # type: ignore[assignment]
    if op in ("eq", "not_eq"):
        return _equal(left, right, want=(op == "eq") == want)
    scaled = op.startswith("decimal_")
    number = _number(right, scaled=scaled)
    if number is None:
        return [{}]
    plain = {"less_than": "less", "less_eq": "less_eq"}.get(op[8:], op[8:]) if scaled else op
    op_wanted = plain if want else _FLIP.get(plain, plain)
    bounds = {
        "less": (-LONG_MAX, number - 1),
        "less_eq": (-LONG_MAX, number),
        "greater": (number + 1, LONG_MAX),
        "greater_eq": (number, LONG_MAX),
    }
    low, high = bounds.get(op_wanted, (-LONG_MAX, LONG_MAX))
    return _at(left, Wish(low, high, decimal=scaled))


def _only(names: frozenset[str], *, want: bool) -> Wish:
    if not want:
        return Wish(among=frozenset({"unknown" if "unknown" not in names else "other"}))
    return Wish(absent=frozenset({"unknown", "other", "untrusted"}) - names)


def _membership(node: pst.Expr, op: str, names: frozenset[str], *, want: bool) -> list[Way]:
    together = (op != "contains_any") == want
    if together and want:
        return _at(node, Wish(among=names))
    if not want and op == "contains_any":
        return _at(node, Wish(absent=names))
    each = [Wish(among=frozenset({n})) if want else Wish(absent=frozenset({n})) for n in names]
    return [way for wish in each for way in _at(node, wish)]


def _equal(left: pst.Expr, right: pst.Expr, *, want: bool) -> list[Way]:
    if isinstance(right, pst.BoolLit):
        return _at(left, Wish(flag=right.value == want))
    text = right.value if isinstance(right, pst.StringLit) else None
    if isinstance(right, pst.EntityLit):
        text = right.value.id
    if text is not None:
        one = frozenset({text})
        return _at(left, Wish(among=one) if want else Wish(absent=one))
    number = _number(right, scaled=False)
    if number is None:
        return [{}]
    if want:
        return _at(left, Wish(number, number))
    return _at(left, Wish(high=number - 1)) + _at(left, Wish(low=number + 1))


def _at(node: pst.Expr, wish: Wish) -> list[Way]:
    path = _path(node)
    return [{path: wish}] if path else [{}]


def _path(node: pst.Expr) -> str:
    parts: list[str] = []
    while isinstance(node, pst.GetAttr):
        parts.append(node.attr)
        node = node.base
    return ".".join([node.name, *reversed(parts)]) if isinstance(node, pst.Var) else ""


def _texts(node: pst.Expr) -> frozenset[str]:
    items = node.elements if isinstance(node, pst.Set) else (node,)
    return frozenset(item.value for item in items if isinstance(item, pst.StringLit))


def _number(node: pst.Expr, *, scaled: bool) -> int | None:
    if isinstance(node, pst.LongLit) and not scaled:
        return node.value
    if isinstance(node, pst.UnaryOp) and node.op == "neg":
        inner = _number(node.arg, scaled=scaled)
        return None if inner is None else -inner
    if scaled and isinstance(node, pst.UnaryOp) and isinstance(node.arg, pst.StringLit):
        whole, _, rest = node.arg.value.partition(".")
        digits = f"{whole}{rest[:4]:0<4}"
        return int(digits) if digits.lstrip("-").isdigit() else None
    return None


# Requests in which nothing special happens


def ground_tools(tools: Sequence[ToolSpec]) -> tuple[ToolSpec, ...]:
    """The workspace's tools, and one of each tier and effect that could be registered."""
    schema = {
        "type": "object",
        "properties": {"recipient": {"type": "string"}, "amount": {"type": "number"}},
    }
    roles = {"recipient": "recipient", "amount": "amount"}
    made = [
        ToolSpec(f"any_write_of_tier_{n}", "", "write", n, frozenset(), roles, schema, False)
        for n in range(5)
    ]
    outside = frozenset({"untrusted"})
    made.append(ToolSpec("any_read", "", "read", 0, frozenset(), {}, {}, True))
    made.append(ToolSpec("any_read_outside", "", "read", 1, outside, {}, {}, True))
    taken = {tool.name for tool in tools}
    return (*tools, *(tool for tool in made if tool.name not in taken))


def base(tools: Sequence[ToolSpec]) -> list[Request]:
    """One quiet request of each kind, and of each tool."""
    names = frozenset(tool.name for tool in tools)
    ctx = RunContext("workspace", "agent", "v1", "person", used_tools=names, now=_WORKDAY)
    nothing = requests.PromptFacts()
    found = [
        requests.start_run(ctx, "A task."),
        requests.use_model(ctx, requests.ModelSpec("model"), nothing),
        requests.use_model(ctx, requests.ModelSpec(ANY_MODEL, frozenset()), nothing),
        requests.execute(ctx, extract("pass", tools=(), allowed_imports=())),
        requests.release(ctx, "done", Origin(frozenset({TASK}))),
        requests.change(person="person", kind="policy", summary="", tier=4, now=_WORKDAY),
        requests.change(person="person", kind="tool", summary="", tier=2, now=_WORKDAY),
    ]
    for tool in tools:
        arguments = _quiet_arguments(tool)
        origins = dict.fromkeys(arguments, Origin(frozenset({TASK})))
        found.append(requests.call(ctx, tool, arguments, origins))
    return found


_QUIET: Mapping[str, Any] = {
    "string": "", "integer": 0, "number": 0, "boolean": False, "array": [], "object": {},
}  # fmt: skip


def _quiet_arguments(tool: ToolSpec) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name, schema in dict(tool.parameters.get("properties", {})).items():
        kind = schema.get("type") if isinstance(schema, Mapping) else None
        if isinstance(kind, list):
            kind = next((one for one in kind if one != "null"), None)
        if isinstance(kind, str):
            given[str(name)] = _QUIET.get(kind)
    return given


# Fulfilling wishes


def fulfil(request: Request, way: Way, tools: Mapping[str, ToolSpec]) -> list[Request]:
    """The request with the wishes of a way written into it, at each boundary; [] if it cannot."""
    if request.resource == ("Model", ANY_MODEL) and "resource.labels" in way:
        request = _registered_for(request, way["resource.labels"])
    if not _fits(request, way, tools):
        return []
    context = [wish for wish in way.items() if wish[0].startswith("context.")]
    if "principal" in way:
        [agent] = way["principal"].among or {request.principal[1]}
        request = replace(request, principal=(request.principal[0], agent))
    found = [request]
    for path, wish in context:
        found = [made for one in found for made in _written(one, path.split(".")[1:], wish)]
        found = found[:MOST_WAYS]
    return found


def _registered_for(request: Request, wish: Wish) -> Request:
    """The same to a model that takes the labels that are wished for."""
    name = request.resource[1]
    labels = sorted(wish.among - {"*"}) or (["something"] if "*" in wish.among else [])
    entity = {"uid": {"type": "Model", "id": name}, "attrs": {"name": name, "labels": labels}}
    return replace(request, entities=({**entity, "parents": []},))


def _fits(request: Request, way: Way, tools: Mapping[str, ToolSpec]) -> bool:
    """Whether the request's resource is one that the way is about."""
    for path, wish in way.items():
        if path == "resource" and (
            wish.among - {request.resource[1]} or request.resource[1] in wish.absent
        ):
            return False
        if path == "principal" and (len(wish.among) > 1 or request.principal[0] != "Agent"):
            return False
        if path.startswith("resource.") and not _has(request, path, wish, tools):
            return False
        if path.startswith("context.call.") and not _may_be(request, path, wish):
            return False
    return True


def _may_be(request: Request, path: str, wish: Wish) -> bool:
    """Whether a call of this tool can be so: what has no amount cannot have a large one."""
    held = request.context["call"]
    roles = frozenset(held["roles"]) if isinstance(held, Mapping) else frozenset()
    name = path.removeprefix("context.call.")
    if name == "amount_known":
        return wish.flag is not False  # only a plan has amounts that are not known
    if name == "amount_minor":
        return wish.low <= 0 <= wish.high or bool(roles & {"amount", "amount_minor"})
    if name == "roles":
        return wish.among <= roles | {"*"} and not wish.absent & roles
    if name.startswith("recipient_"):
        return "recipient" in roles
    if name in ("flows", "choices"):
        ends = roles | set(request.context.get("argument", ()))
        ends |= {"amount"} if "amount_minor" in roles else set()
        return all(flow.partition(" -> ")[2] in ends for flow in wish.among - {"*"})
    return True


def _has(request: Request, path: str, wish: Wish, tools: Mapping[str, ToolSpec]) -> bool:
    known = _attributes(request, tools)
    if known is None:
        return request.resource[0] != "Tool"
    value = known.get(path.removeprefix("resource."))
    if isinstance(value, bool):
        return wish.flag is None or wish.flag == value
    if isinstance(value, int):
        return wish.low <= value <= wish.high
    held = frozenset([value] if isinstance(value, str) else value or ())
    return wish.among - {"*"} <= held and not wish.absent & held


def _attributes(request: Request, tools: Mapping[str, ToolSpec]) -> Mapping[str, Any] | None:
    kind, name = request.resource
    if kind == "Tool":
        return tool_entity(tools[name])["attrs"] if name in tools else None
    own = [one["attrs"] for one in request.entities if one["uid"] == {"type": kind, "id": name}]
    return own[0] if own else None


def _written(request: Request, path: list[str], wish: Wish) -> list[Request]:
    context = copy.deepcopy(dict(request.context))
    place: Any = context
    for name in path[:-1]:
        place = place.get(name) if isinstance(place, dict) else None
    if not isinstance(place, dict) or (path[-1] not in place and path[0] != "argument"):
        return []
    found = []
    for value in _values(place.get(path[-1]), wish):
        place[path[-1]] = value
        found.append(replace(request, context=copy.deepcopy(context)))
    return found


def _values(now: object, wish: Wish) -> list[Any]:
    if isinstance(now, bool) or wish.flag is not None:
        return [wish.flag if wish.flag is not None else now]
    if isinstance(now, list):
        if "*" in wish.absent:
            return [[]]
        wanted = wish.among - {"*"}
        kept = {item for item in now if item not in wish.absent}
        return [
            sorted(kept | wanted | ({"something"} if "*" in wish.among and not kept else set()))
        ]
    if wish.among or wish.absent:
        return [min(wish.among) if wish.among else "other" if now in wish.absent else now]
    ends = [end for end in (wish.low, wish.high) if abs(end) < LONG_MAX] or [0]
    return [_decimal(end) for end in ends] if wish.decimal else list(dict.fromkeys(ends))


def _decimal(ten_thousandths: int) -> dict[str, Any]:
    sign, rest = ("-" if ten_thousandths < 0 else ""), abs(ten_thousandths)
    return {"__extn": {"fn": "decimal", "arg": f"{sign}{rest // 10000}.{rest % 10000:04d}"}}


def acts_on(rule: pst.Template, request: Request) -> bool:
    """Whether the rule's scope names the request's action."""
    scope = rule.action
    names: set[str] = set()
    if isinstance(scope, pst.ActionEq):
        names = {scope.entity.id}
    elif isinstance(scope, pst.ActionIn):
        names = {entity.id for entity in scope.entities}
    else:
        return True
    group = {"call"} if request.action.startswith("call:") else set()
    return bool(names & ({request.action} | group))
