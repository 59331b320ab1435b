"""A second, small evaluator of the same policies, over Cedar's JSON form.

Written from the language reference, not from the engine, and with no code in common with it:
where the two disagree, one of them is wrong. It knows the operators our schema can need.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import cedarpy

from policies.engine import Outcome
from policies.facts.record import ToolSpec
from policies.requests import Request, tool_entity


class EvaluationError(Exception):
    """A policy that cannot be evaluated for this request."""


def outcome(request: Request, text: str, tools: list[ToolSpec]) -> Outcome:
    """The decision on a request that is known to fit the schema."""
    if request.problems or request.unknown:
        return Outcome.DENY
    policies = json.loads(cedarpy.policies_to_json_str(text))["staticPolicies"].values()
    world = _World(request, tools)
    permitted = False
    review = False
    for policy in policies:
        notes = policy.get("annotations", {})
        if "shadow" in notes:
            continue
        try:
            applies = world.applies(policy)
        except EvaluationError:
            return Outcome.DENY
        if not applies:
            continue
        if policy["effect"] == "permit":
            permitted = True
        elif "review" in notes:
            review = True
        else:
            return Outcome.DENY
    if not permitted:
        return Outcome.DENY
    return Outcome.REVIEW if review else Outcome.ALLOW


class _World:
    def __init__(self, request: Request, tools: list[ToolSpec]) -> None:
        self.variables: dict[str, Any] = {
            "principal": request.principal,
            "action": ("Action", request.action),
            "resource": request.resource,
            "context": request.context,
        }
        entities = [*(tool_entity(tool) for tool in tools), *request.entities]
        self.entities = {(e["uid"]["type"], e["uid"]["id"]): e["attrs"] for e in entities}

    def applies(self, policy: Mapping[str, Any]) -> bool:
        if not all(self.scope(name, policy[name]) for name in ("principal", "action", "resource")):
            return False
        for condition in policy["conditions"]:
            value = self.value(condition["body"])
            if not isinstance(value, bool):
                raise EvaluationError
            if value != (condition["kind"] == "when"):
                return False
        return True

    def scope(self, name: str, constraint: Mapping[str, Any]) -> bool:
        actual = self.variables[name]
        if constraint["op"] == "All":
            return True
        if constraint["op"] == "is":
            return bool(actual[0] == constraint["entity_type"])
        wanted = constraint.get("entities") or [constraint["entity"]]
        names = [(entity["type"], entity["id"]) for entity in wanted]
        return any(self.inside(actual, one, constraint["op"]) for one in names)

    def inside(self, actual: tuple[str, str], wanted: tuple[str, str], op: str) -> bool:
        if actual == wanted:
            return True
        group = wanted == ("Action", "call") and actual[1].startswith("call:")
        return op == "in" and group and actual[0] == "Action"

    def value(self, node: Mapping[str, Any]) -> Any:
        [(kind, body)] = node.items()
        if kind == "Value":
            return _literal(body)
        if kind == "Var":
            return self.variables[body]
        if kind == "Set":
            return [self.value(item) for item in body]
        if kind in ("&&", "||"):
            left = self.value(body["left"])
            if left is (kind == "||"):
                return left
            return self.value(body["right"])
        if kind == "if-then-else":
            return self.value(body["then"] if self.value(body["if"]) else body["else"])
        if kind == ".":
            return self.attribute(self.value(body["left"]), body["attr"])
        if kind == "has":
            return body["attr"] in self.record(self.value(body["left"]))
        if kind in ("!", "isEmpty", "neg"):
            argument = self.value(body["arg"])
            return -argument if kind == "neg" else not argument
        if kind == "like":
            return _like(self.value(body["left"]), body["pattern"])
        if kind in _BINARY:
            return _BINARY[kind](self.value(body["left"]), self.value(body["right"]))
        if kind in ("decimal", "datetime"):
            return _extension(kind, self.value(body[0]))
        if kind in _METHODS:
            return _METHODS[kind](_plain(self.value(body[0])), _plain(self.value(body[1])))
        raise EvaluationError(kind)

    def record(self, value: Any) -> Mapping[str, Any]:
        if isinstance(value, tuple):
            found: Mapping[str, Any] = self.entities.get(value, {})
            return found
        if isinstance(value, Mapping):
            return value
        raise EvaluationError

    def attribute(self, value: Any, name: str) -> Any:
        record = self.record(value)
        if name not in record:
            raise EvaluationError(name)
        found = record[name]
        if isinstance(found, Mapping) and set(found) == {"__extn"}:
            return _extension(found["__extn"]["fn"], found["__extn"]["arg"])
        return found


def _literal(body: Any) -> Any:
    if isinstance(body, Mapping) and "__entity" in body:
        return (body["__entity"]["type"], body["__entity"]["id"])
    return body


def _extension(kind: str, text: str) -> Any:
    return Decimal(text) if kind == "decimal" else datetime.fromisoformat(text)


def _plain(value: Any) -> Any:
    return value


def _like(text: str, pattern: list[Any]) -> bool:
    import re

    parts = [re.escape(p["Literal"]) if isinstance(p, Mapping) else ".*" for p in pattern]
    return re.fullmatch("".join(parts), text, re.DOTALL) is not None


_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "==": lambda a, b: a == b and type(a) is type(b),
    "!=": lambda a, b: not (a == b and type(a) is type(b)),
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "contains": lambda a, b: b in a,
    "containsAll": lambda a, b: all(item in a for item in b),
    "containsAny": lambda a, b: any(item in a for item in b),
    "in": lambda a, b: a == b,
}
_METHODS: dict[str, Callable[[Any, Any], Any]] = {
    "lessThan": lambda a, b: a < b,
    "lessThanOrEqual": lambda a, b: a <= b,
    "greaterThan": lambda a, b: a > b,
    "greaterThanOrEqual": lambda a, b: a >= b,
}
