"""Policies in plain English, generated from their syntax trees.

Nobody writes these sentences, so they cannot drift from what the policy does. The author's
own `@reason("…")` is shown beside the sentence, never instead of it.
"""

from collections.abc import Mapping
from typing import Final

from cedarpy import pst

# What the attributes of a request are called; anything else is called by its own name.
_TERMS: Final = {
    "context.run.seen": "what the model has read",
    "context.run.spent.tokens": "tokens spent",
    "context.run.spent.cost_micros": "cost in millionths",
    "context.run.spent.tool_calls": "tool calls made",
    "context.run.spent.writes": "write calls made",
    "context.run.spent.steps": "steps taken",
    "context.run.spent.seconds": "seconds used",
    "context.run.agency": "the agent's level of agency",
    "context.run.hour": "the hour (UTC)",
    "context.run.weekday": "the weekday (Monday is 1)",
    "context.run.step": "the step number",
    "context.program.problems": "the problems of the program",
    "context.program.refused_imports": "its imports outside the allowed list",
    "context.program.features": "its dynamic features",
    "context.program.unmodelled": "its constructs that the analysis does not follow",
    "context.program.has_effect": "it can have an effect",
    "context.program.flows": "its data flows",
    "context.program.choices": "what decides its values",
    "context.program.guards": "what decides its calls",
    "context.program.reads": "the labels of what it reads",
    "context.program.sent": "the labels of what it sends out",
    "context.program.secrets": "the secrets in its text",
    "context.program.blobs": "the number of large encoded texts in it",
    "context.program.max_writes": "the most write calls it can make",
    "context.program.writes_counted": "its write calls can be counted",
    "context.program.unbounded_loops": "the number of endless loops",
    "context.call.flows": "the data flows into its arguments",
    "context.call.choices": "what decides its arguments",
    "context.call.labels": "the labels of its arguments",
    "context.call.guards": "what decides whether it happens",
    "context.call.rounds": "what decides how often it happens",
    "context.call.seen": "what was read before it",
    "context.call.recipient_sources": "where its recipient comes from",
    "context.call.amount_minor": "its amount in hundredths",
    "context.call.amount_known": "its amount is known",
    "context.call.secrets": "the secrets in its arguments",
    "context.call.personal": "the personal data in its arguments",
    "context.answer.labels": "the labels of the answer",
    "context.answer.secrets": "the secrets in the answer",
    "context.prompt.refused_labels": "labels that the model may not be sent",
    "resource.effect": "the tool's effect",
    "resource.tier": "the tool's risk tier",
    "resource.outward": "the tool reaches outward",
    "resource.labels": "the tool's labels",
    "resource.name": "the tool",
}
_ACTIONS: Final = {
    "start_run": "starting a run",
    "use_model": "sending what was read to a model",
    "execute": "a program",
    "call": "a tool call",
    "release": "an answer",
    "change": "a change of the rules",
}
_COMPARISONS: Final = {
    "eq": "is",
    "not_eq": "is not",
    "less": "is less than",
    "less_eq": "is at most",
    "greater": "is more than",
    "greater_eq": "is at least",
    "decimal_less_than": "is less than",
    "decimal_less_eq": "is at most",
    "decimal_greater": "is more than",
    "decimal_greater_eq": "is at least",
    "in": "is in",
    "contains": "include",
    "contains_all": "include all of",
    "contains_any": "include any of",
    "add": "plus",
    "sub": "minus",
    "mul": "times",
    "has_tag": "has the tag",
    "get_tag": "tag",
    "is_in_range": "is in the range",
    "offset": "offset by",
    "duration_since": "since",
}
_NEGATED: Final = {
    "eq": "is not",
    "not_eq": "is",
    "less": "is at least",
    "less_eq": "is more than",
    "greater": "is at most",
    "greater_eq": "is less than",
    "contains": "do not include",
    "contains_all": "do not include all of",
    "contains_any": "include none of",
    "in": "is not in",
}


def sentence(policy: pst.Template, *, roles: str = "", quorum: int = 0) -> str:
    """One sentence that says what `policy` does.

    Args:
        roles: who must sign, for a rule that asks for review; "" for the others.
        quorum: how many of them.
    """
    subject = _subject(policy)
    conditions = [_clause(clause) for clause in policy.clauses]
    rest = f" when {' and '.join(conditions)}" if conditions else ""
    if policy.effect == "permit":
        return f"Allow {subject}{rest}."
    if roles:
        people = "one signature" if quorum == 1 else f"{quorum} signatures"
        return f"Ask for {people} of {roles} for {subject}{rest}."
    return f"Never allow {subject}{rest}."


def _subject(policy: pst.Template) -> str:
    what = _action(policy.action)
    who = _entity_scope(policy.principal)
    on = _entity_scope(policy.resource)
    return what + (f" by {who}" if who else "") + (f" on {on}" if on else "")


def _action(constraint: pst.ActionConstraint) -> str:
    if isinstance(constraint, pst.ActionEq):
        return _action_name(constraint.entity.id)
    if isinstance(constraint, pst.ActionIn):
        return " or ".join(_action_name(entity.id) for entity in constraint.entities)
    return "anything"


def _action_name(name: str) -> str:
    if name.startswith("call:"):
        return f"a call of {name.removeprefix('call:')}"
    return _ACTIONS.get(name, name)


def _entity_scope(constraint: pst.PrincipalOrResourceConstraint) -> str:
    if isinstance(constraint, pst.ScopeEq | pst.ScopeIn):
        entity = constraint.entity
        return entity.id if isinstance(entity, pst.EntityUid) else "a chosen one"
    if isinstance(constraint, pst.ScopeIs):
        return f"any {constraint.entity_type}".lower()
    if isinstance(constraint, pst.ScopeIsIn):
        return f"any {constraint.entity_type} in a group".lower()
    return ""


def _clause(clause: pst.Clause) -> str:
    return phrase(clause.expr, negated=isinstance(clause, pst.Unless))


def phrase(node: pst.Expr, *, negated: bool = False) -> str:
    """An expression as English."""
    if isinstance(node, pst.BinaryOp):
        return _binary(node, negated=negated)
    if isinstance(node, pst.UnaryOp):
        return _unary(node, negated=negated)
    if isinstance(node, pst.IfThenElse):
        yes, no = phrase(node.then_expr, negated=negated), phrase(node.else_expr, negated=negated)
        return f"({phrase(node.cond)}: {yes}; otherwise {no})"
    if isinstance(node, pst.HasAttr):
        known = "is not given" if negated else "is given"
        return f"{phrase(node.base)} {'.'.join(node.attrs)} {known}".replace("the call's ", "")
    if isinstance(node, pst.Like):
        pattern = "".join(e.value if isinstance(e, pst.Char) else "*" for e in node.pattern)
        return f'{phrase(node.base)} {"is not like" if negated else "is like"} "{pattern}"'
    if isinstance(node, pst.Is):
        return f"{phrase(node.base)} {'is not' if negated else 'is'} a {node.entity_type}".lower()
    text = _value(node)
    return f"not {text}" if negated else text


def _value(node: pst.Expr) -> str:
    if isinstance(node, pst.StringLit):
        return f'"{node.value}"'
    if isinstance(node, pst.LongLit):
        return str(node.value)
    if isinstance(node, pst.BoolLit):
        return "always" if node.value else "never"
    if isinstance(node, pst.EntityLit):
        return node.value.id
    if isinstance(node, pst.Set):
        return ", ".join(_value(element) for element in node.elements) or "nothing"
    if isinstance(node, pst.Var):
        return f"the {node.name}"
    if isinstance(node, pst.GetAttr):
        return _path(node)
    if isinstance(node, pst.Record):
        return ", ".join(f"{key}: {_value(value)}" for key, value in node.fields.items())
    return phrase(node) if not isinstance(node, pst.Slot) else "a chosen one"


def _path(node: pst.GetAttr) -> str:
    parts = [node.attr]
    base = node.base
    while isinstance(base, pst.GetAttr):
        parts.append(base.attr)
        base = base.base
    root = base.name if isinstance(base, pst.Var) else phrase(base)
    path = ".".join([root, *reversed(parts)])
    argument = path.removeprefix("context.argument.")
    return f"its {argument}" if argument != path else _TERMS.get(path, path)


def _binary(node: pst.BinaryOp, *, negated: bool) -> str:
    if node.op in ("and", "or"):
        word = node.op if not negated else {"and": "or", "or": "and"}[node.op]
        left, right = (_grouped(side, word, negated=negated) for side in (node.left, node.right))
        return f"{left} {word} {right}"
    words: Mapping[str, str] = _NEGATED if negated else _COMPARISONS
    word = words.get(node.op) or f"not {_COMPARISONS.get(node.op, node.op)}"
    if isinstance(node.right, pst.BoolLit) and node.op in ("eq", "not_eq"):
        wanted = (node.right.value == (node.op == "eq")) is not negated
        return phrase(node.left, negated=not wanted)
    return f"{phrase(node.left)} {word} {phrase(node.right)}"


def _grouped(node: pst.Expr, word: str, *, negated: bool) -> str:
    text = phrase(node, negated=negated)
    inner = isinstance(node, pst.BinaryOp) and node.op in ("and", "or")
    if not inner or not isinstance(node, pst.BinaryOp):
        return text
    own = node.op if not negated else {"and": "or", "or": "and"}[node.op]
    return text if own == word else f"({text})"


def _unary(node: pst.UnaryOp, *, negated: bool) -> str:
    if node.op == "not":
        return phrase(node.arg, negated=not negated)
    if node.op == "is_empty":
        return f"{phrase(node.arg)} {'are not empty' if negated else 'are empty'}"
    if node.op == "neg":
        return f"-{phrase(node.arg)}"
    if node.op in ("decimal", "datetime", "duration", "ip"):
        return phrase(node.arg).strip('"')
    text = f"{phrase(node.arg)} {node.op.replace('_', ' ')}"
    return f"not {text}" if negated else text
