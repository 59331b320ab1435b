"""What a policy will say of the calls of one tool, before any call is made. Pure.

Partial evaluation: what is known of the tool (its name, effect, tier, labels) is put into every
rule, and what is left of the rule is told: "will need two finance signatures when the amount is
more than 1,000.00". For planning and display only: what runs is decided by `engine.decide` on
actual values.

Guarantees: a rule that is left out holds for no call of the tool, and what is told of another one
holds exactly where the whole rule does.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cedarpy import pst

from policies import sentences
from policies.engine import Decision, FiredRule, Outcome, PolicySet, Requirement
from policies.facts.record import ToolSpec
from policies.requests import tool_entity

_YES, _NO = pst.BoolLit(True), pst.BoolLit(False)
_LITERAL = pst.BoolLit | pst.LongLit | pst.StringLit | pst.EntityLit
_CALLS = "call"


@dataclass(frozen=True)
class Prospect:
    """What is left of one rule for the calls of a tool.

    Attributes:
        sentence: the rule with what is known of the tool put in.
        always: nothing is left to depend on.
        permits: it is a `permit`.
        tree: the same as a syntax tree.
    """

    rule: FiredRule
    sentence: str
    always: bool
    permits: bool
    tree: pst.Template

    @property
    def final(self) -> bool:
        """Whether it refuses, and no signature helps."""
        return not self.permits and not self.rule.roles


@dataclass(frozen=True)
class Outlook:
    """What is known of every call of a tool, and what it depends on.

    Attributes:
        outcome: what every call gets at least; None where that depends on the call.
        requirement: the signatures that every call needs at least.
        depends: the rules whose conditions decide the rest: final ones first, then those that ask
            for signatures, then permits, then those that are only recorded.
        covered: how many more rules may hold, but ask for nothing that not every call needs.
    """

    outcome: Outcome | None
    requirement: Requirement
    depends: tuple[Prospect, ...]
    covered: int = 0


def outlook(policies: PolicySet, tool: ToolSpec) -> Outlook:
    """What `policies` will say of the calls of `tool`, which they were compiled for."""
    found = prospects(policies, tool)
    enforced = [p for p in found if not p.rule.shadow]
    sure = [p for p in enforced if p.always]
    signed = tuple(p.rule for p in sure if p.rule.roles)
    needed = Decision(Outcome.REVIEW, signed).requirement
    open_ = [p for p in found if not p.always or p.rule.shadow]
    depends = tuple(sorted((p for p in open_ if not _covered(p.rule, needed)), key=_rank))
    if any(p.final for p in sure) or not any(p.permits for p in enforced):
        return Outlook(Outcome.DENY, Requirement(), ())
    if not any(p.permits for p in sure):
        return Outlook(None, needed, depends, len(open_) - len(depends))
    outcome = Outcome.REVIEW if signed else Outcome.ALLOW
    return Outlook(outcome, needed, depends, len(open_) - len(depends))


def _covered(rule: FiredRule, needed: Requirement) -> bool:
    """Whether a rule asks for no more than every call needs."""
    if rule.shadow or not rule.roles or rule.obligations:
        return False
    counts = dict(needed)
    enough = all(counts.get(role, 0) >= rule.quorum for role in rule.roles)
    return enough and rule.factor in ("", needed.factor)


def _rank(prospect: Prospect) -> tuple[bool, bool, bool]:
    return (prospect.rule.shadow, prospect.permits, not prospect.final)


def prospects(policies: PolicySet, tool: ToolSpec) -> list[Prospect]:
    """The rules that can hold for a call of the tool, in their order."""
    left = ((name, reduced(tree, tool)) for name, tree in policies.trees.items())
    return [_prospect(policies.rules[name], tree, tool) for name, tree in left if tree is not None]


def _prospect(rule: FiredRule, tree: pst.Template, tool: ToolSpec) -> Prospect:
    said = sentences.sentence(
        tree, roles="".join(rule.roles), quorum=rule.quorum, factor=rule.factor
    )
    always = not tree.clauses and isinstance(tree.principal, pst.ScopeAny | pst.ScopeIs)
    return Prospect(rule, said, always, tree.effect == "permit", tree)


def reduced(rule: pst.Template, tool: ToolSpec) -> pst.Template | None:
    """The rule with what is known of a call of the tool put in; None where it cannot hold."""
    known = _Known(tool)
    if not known.in_scope(rule):
        return None
    clauses: list[pst.Clause] = []
    for clause in rule.clauses:
        expr = known.put(clause.expr)
        if isinstance(clause, pst.Unless):
            expr = _not(expr)
        if expr == _NO:
            return None
        if expr != _YES:
            clauses.append(pst.When(expr))
    action = pst.ActionEq(known.action)
    anything = pst.ScopeAny()
    return replace(rule, action=action, resource=anything, clauses=tuple(clauses))


class _Known:
    """What every call of a tool has in common, put into expressions."""

    def __init__(self, tool: ToolSpec) -> None:
        self.action = pst.EntityUid(pst.EntityType("Action"), f"{_CALLS}:{tool.name}")
        self.tool = pst.EntityUid(pst.EntityType("Tool"), tool.name)
        self.attributes: Mapping[str, Any] = tool_entity(tool)["attrs"]

    def in_scope(self, rule: pst.Template) -> bool:
        if isinstance(rule.action, pst.ActionEq) and rule.action.entity != self.action:
            return False
        if isinstance(rule.action, pst.ActionIn) and not any(
            self.is_in(self.action, entity) for entity in rule.action.entities
        ):
            return False
        if isinstance(rule.resource, pst.ScopeIs | pst.ScopeIsIn) and (
            rule.resource.entity_type != self.tool.type
        ):
            return False
        if isinstance(rule.resource, pst.ScopeEq | pst.ScopeIn | pst.ScopeIsIn):
            return rule.resource.entity == self.tool
        return True

    def is_in(self, one: pst.EntityUid, other: pst.EntityUid) -> bool:
        group = pst.EntityUid(pst.EntityType("Action"), _CALLS)
        return one == other or (one == self.action and other == group)

    def put(self, node: pst.Expr) -> pst.Expr:
        """The expression as far as it is known; a literal where all of it is."""
        if isinstance(node, pst.Var):
            held = {"resource": self.tool, "action": self.action}.get(node.name)
            return node if held is None else pst.EntityLit(held)
        if isinstance(node, pst.GetAttr):
            if node.base == pst.Var("resource"):
                return _literal(self.attributes[node.attr])
            return replace(node, base=self.put(node.base))
        if isinstance(node, pst.HasAttr):
            if node.base == pst.Var("resource"):
                return pst.BoolLit(node.attrs[0] in self.attributes)
            return replace(node, base=self.put(node.base))
        if isinstance(node, pst.UnaryOp):
            return _unary(replace(node, arg=self.put(node.arg)))
        if isinstance(node, pst.BinaryOp):
            return self._binary(node)
        if isinstance(node, pst.IfThenElse):
            return self._chosen(node)
        return self._other(node)

    def _binary(self, node: pst.BinaryOp) -> pst.Expr:
        left = self.put(node.left)
        if node.op in ("and", "or"):
            # As Cedar does: what is on the right is not looked at where the left decides.
            decided = _NO if node.op == "and" else _YES
            if left == decided:
                return decided
            right = self.put(node.right)
            if isinstance(left, pst.BoolLit):
                return right
            return left if right == pst.BoolLit(node.op == "and") else replace(
                node, left=left, right=right
            )  # fmt: skip
        return self._compared(replace(node, left=left, right=self.put(node.right)))

    def _compared(self, node: pst.BinaryOp) -> pst.Expr:
        left, right = node.left, node.right
        if node.op in ("eq", "not_eq") and isinstance(left, _LITERAL) and isinstance(
            right, _LITERAL
        ):  # fmt: skip
            return pst.BoolLit((left == right) == (node.op == "eq"))
        if isinstance(left, pst.LongLit) and isinstance(right, pst.LongLit):
            return _ordered(node, left.value, right.value)
        if node.op == "in" and isinstance(left, pst.EntityLit):
            return self._in(node, left.value, right)
        return _contained(node)

    def _in(self, node: pst.BinaryOp, one: pst.EntityUid, right: pst.Expr) -> pst.Expr:
        others = right.elements if isinstance(right, pst.Set) else (right,)
        known = [other.value for other in others if isinstance(other, pst.EntityLit)]
        if any(self.is_in(one, other) for other in known):
            return _YES
        return _NO if len(known) == len(others) else node

    def _chosen(self, node: pst.IfThenElse) -> pst.Expr:
        cond = self.put(node.cond)
        if isinstance(cond, pst.BoolLit):
            return self.put(node.then_expr if cond.value else node.else_expr)
        yes, no = self.put(node.then_expr), self.put(node.else_expr)
        return yes if yes == no else pst.IfThenElse(cond, yes, no)

    def _other(self, node: pst.Expr) -> pst.Expr:
        if isinstance(node, pst.Set):
            return pst.Set(tuple(self.put(element) for element in node.elements))
        if isinstance(node, pst.Record):
            fields = {name: self.put(value) for name, value in node.fields.items()}
            return pst.Record(type(node.fields)(fields))  # type: ignore[call-arg]
        if isinstance(node, pst.Like):
            return _like(replace(node, base=self.put(node.base)))
        if isinstance(node, pst.Is):
            return self._is(node)
        return node

    def _is(self, node: pst.Is) -> pst.Expr:
        base = self.put(node.base)
        if not isinstance(base, pst.EntityLit):
            return node
        if base.value.type != node.entity_type:
            return _NO
        if node.in_expr is None:
            return _YES
        return self._compared(pst.BinaryOp("in", base, self.put(node.in_expr)))


def _literal(value: object) -> pst.Expr:
    if isinstance(value, bool):
        return pst.BoolLit(value)
    if isinstance(value, int):
        return pst.LongLit(value)
    if isinstance(value, str):
        return pst.StringLit(value)
    assert isinstance(value, list)  # noqa: S101 - all kinds that the schema gives a tool
    return pst.Set(tuple(_literal(item) for item in value))


def _not(expr: pst.Expr) -> pst.Expr:
    return (
        pst.BoolLit(not expr.value) if isinstance(expr, pst.BoolLit) else pst.UnaryOp("not", expr)
    )


def _unary(node: pst.UnaryOp) -> pst.Expr:
    if node.op == "not":
        return _not(node.arg)
    if node.op == "is_empty" and isinstance(node.arg, pst.Set):
        return pst.BoolLit(not node.arg.elements)
    return node


def _ordered(node: pst.BinaryOp, left: int, right: int) -> pst.Expr:
    found = {
        "less": left < right,
        "less_eq": left <= right,
        "greater": left > right,
        "greater_eq": left >= right,
    }.get(node.op)
    return node if found is None else pst.BoolLit(found)


def _contained(node: pst.BinaryOp) -> pst.Expr:
    """Two known sets, or a known set and a known member; and what an empty set decides alone."""
    left, right = _items(node.left), _items(node.right)
    if node.op == "contains" and left is not None:
        if isinstance(node.right, _LITERAL):
            return pst.BoolLit(node.right in left)
        return node if left else _NO
    if node.op == "contains_any" and (left == frozenset() or right == frozenset()):
        return _NO
    if node.op == "contains_all" and right == frozenset():
        return _YES
    if left is None or right is None:
        return node
    if node.op == "contains_any":
        return pst.BoolLit(bool(left & right))
    if node.op == "contains_all":
        return pst.BoolLit(left >= right)
    if node.op in ("eq", "not_eq"):
        return pst.BoolLit((left == right) == (node.op == "eq"))
    return node


def _items(node: pst.Expr) -> frozenset[pst.Expr] | None:
    """What a set of literals holds; None for anything else."""
    if isinstance(node, pst.Set) and all(isinstance(e, _LITERAL) for e in node.elements):
        return frozenset(node.elements)
    return None


def _like(node: pst.Like) -> pst.Expr:
    if not isinstance(node.base, pst.StringLit):
        return node
    pattern = "".join(
        re.escape(each.value) if isinstance(each, pst.Char) else ".*" for each in node.pattern
    )
    return pst.BoolLit(re.fullmatch(pattern, node.base.value, re.DOTALL) is not None)
