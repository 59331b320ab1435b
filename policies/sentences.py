"""Policies in plain English, generated from their syntax trees.

Nobody writes these sentences, so they cannot drift from what the policy does. The author's
own `@reason("…")` is shown beside the sentence, never instead of it.
"""

from collections.abc import Mapping, Sequence
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
    "context.call.deciders": "the labels of what decides its arguments",
    "context.call.guards": "what decides whether it happens",
    "context.call.rounds": "what decides how often it happens",
    "context.call.seen": "what was read before it",
    "context.call.recipient_sources": "where its recipient comes from",
    "context.call.amount_sources": "where its amount comes from",
    "context.call.amount_minor": "its amount in hundredths",
    "context.call.amount_known": "its amount is known",
    "context.call.today.writes": "write calls of its agent today",
    "context.call.today.recipients": "recipients of its agent today",
    "context.call.today.amount_minor": "amounts of its agent today in hundredths",
    "context.call.over_budget": "it would cross a budget of the day",
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


_NUMBERS: Final = (
    "no", "one", "two", "three", "four", "five", "six",
    "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip

# A fact that holds or does not: what it says if it does, and if it does not.
_FACTS: Final = {
    "resource.outward": ("the tool lets data out", "the tool lets no data out"),
    "context.program.has_effect": (
        "the program can have an effect",
        "the program can have no effect",
    ),
    "context.program.writes_counted": (
        "its write calls can be counted",
        "its write calls cannot be counted",
    ),
    "context.call.amount_known": ("the amount is known", "the amount is not known"),
    "context.call.over_budget": (
        "it would cross a budget of the day",
        "it crosses no budget of the day",
    ),
    "context.call.first_use": (
        "this version of the agent uses the tool for the first time",
        "this version of the agent has used the tool before",
    ),
}
# A set that is not empty, and one that is.
_FILLED: Final = {
    "context.goal.secrets": ("the task contains what looks like a password or key", ""),
    "context.goal.personal": ("the task contains personal data", ""),
    "context.prompt.refused_labels": ("it has labels that the model may not be sent", ""),
    "context.program.problems": (
        "the program cannot be analysed",
        "the program can be analysed",
    ),
    "context.program.refused_imports": (
        "it imports something outside the allowed list",
        "it imports nothing outside the allowed list",
    ),
    "context.program.features": (
        "it uses features that hide what it does",
        "it uses no feature that hides what it does",
    ),
    "context.program.unmodelled": (
        "it has constructs that the analysis cannot follow",
        "the analysis can follow all of it",
    ),
    "context.program.secrets": ("its text contains what looks like a password or key", ""),
    "context.program.personal": ("its text contains personal data", ""),
    "context.program.sql": ("its text contains SQL", ""),
    "context.program.hosts": ("its text names a host", "its text names no host"),
    "context.program.writes": ("it can write", "it cannot write"),
    "context.call.secrets": ("its arguments contain what looks like a password or key", ""),
    "context.call.personal": ("its arguments contain personal data", ""),
    "context.call.hosts": ("its arguments name a host", "its arguments name no host"),
    "context.answer.secrets": ("the answer contains what looks like a password or key", ""),
    "context.answer.personal": ("the answer contains personal data", ""),
}
# A set that has some of the items, and one that has none of them.
_MEMBERS: Final = {
    "context.call.labels": ("its arguments contain {} data", "its arguments contain no {} data"),
    "context.call.seen": ("{} data was read before it", "no {} data was read before it"),
    "context.run.seen": ("the model has read {} data", "the model has read no {} data"),
    "context.call.deciders": (
        "{} data has a say in its arguments",
        "no {} data has a say in its arguments",
    ),
    "context.call.guards": (
        "{} data decides whether it happens",
        "no {} data decides whether it happens",
    ),
    "context.call.rounds": (
        "{} data decides how often it happens",
        "no {} data decides how often it happens",
    ),
    "context.call.roles": ("it has an argument that is {}", "it has no argument that is {}"),
    "context.call.hosts": ("its arguments name the host {}", "its arguments do not name {}"),
    "context.call.emails": ("its arguments name the address {}", "its arguments do not name {}"),
    "context.call.amount_sources": (
        "the amount comes from {}",
        "the amount does not come from {}",
    ),
    "context.call.recipient_tools": (
        "the recipient comes from the tool {}",
        "the recipient does not come from the tool {}",
    ),
    "context.program.imports": ("it imports {}", "it does not import {}"),
    "context.program.tools": ("it may call {}", "it may not call {}"),
    "context.program.reads": ("it reads {} data", "it reads no {} data"),
    "context.program.sent": ("it lets {} data out", "it lets no {} data out"),
    "context.answer.choices": (
        "{} data has a say in the answer",
        "no {} data has a say in the answer",
    ),
    "context.answer.labels": ("the answer contains {} data", "the answer contains no {} data"),
    "context.prompt.labels": ("it contains {} data", "it contains no {} data"),
    "resource.labels": ("the tool returns {} data", "the tool returns no {} data"),
}
# A set with nothing but the items, and one with something else.
_ONLY: Final = {
    "context.call.hosts": (
        "its arguments name no host but {}",
        "its arguments name a host other than {}",
    ),
    "context.call.emails": (
        "its arguments name no address but {}",
        "its arguments name an address other than {}",
    ),
    "context.call.recipient_sources": (
        "the recipient comes from {} alone",
        "the recipient comes from elsewhere than {}",
    ),
    "context.call.recipient_tools": (
        "the recipient comes from no tool but {}",
        "the recipient comes from another tool than {}",
    ),
    "context.call.labels": (
        "its arguments contain no data but {}",
        "its arguments contain other data than {}",
    ),
    "context.program.imports": ("it imports nothing but {}", "it imports more than {}"),
}
_SOURCES: Final = {
    "literal": "the agent wrote the recipient into its program",
    "unknown": "it is not known where the recipient comes from",
    "task": "the recipient comes from the task",
    "tool": "the recipient comes from a tool",
    "step": "the recipient comes from an earlier step",
}
_SOURCE_NAMES: Final = {
    "task": "the task", "tool": "a tool", "literal": "the program", "step": "an earlier step",
}  # fmt: skip
_SPENT: Final = {
    "tool_calls": "{} tool calls",
    "writes": "{} write calls",
    "steps": "{} steps",
    "seconds": "{} seconds of work",
    "tokens": "{} tokens of the model",
}
_TODAY: Final = {
    "context.call.today.writes": "made {} write calls",
    "context.call.today.recipients": "reached {} recipients",
}
_BOUNDS: Final = {
    "greater": "more than {}",
    "greater_eq": "at least {}",
    "less": "less than {}",
    "less_eq": "at most {}",
    "eq": "exactly {}",
    "not_eq": "not exactly {}",
}
_OPPOSITE: Final = {
    "greater": "less_eq", "less_eq": "greater", "less": "greater_eq", "greater_eq": "less",
    "eq": "not_eq", "not_eq": "eq",
}  # fmt: skip
_MIRROR: Final = {
    "greater": "less", "less": "greater", "greater_eq": "less_eq", "less_eq": "greater_eq",
}  # fmt: skip
_TIERS: Final = {
    "eq": "the tool is of risk tier {}",
    "not_eq": "the tool is not of risk tier {}",
    "greater_eq": "the tool is of risk tier {} or higher",
    "less_eq": "the tool is of risk tier {} or lower",
    "greater": "the tool is of a risk tier above {}",
    "less": "the tool is of a risk tier below {}",
}


def sentence(policy: pst.Template, *, roles: str = "", quorum: int = 0, factor: str = "") -> str:
    """One sentence that says what `policy` does.

    Args:
        roles: who must sign, for a rule that asks for review; "" for the others.
        quorum: how many of them.
        factor: what signing needs beside the password; "" for nothing.
    """
    subject = _subject(policy)
    conditions = [_clause(clause) for clause in policy.clauses]
    rest = f" when {' and '.join(conditions)}" if conditions else ""
    if policy.effect == "permit":
        return f"Allow {subject}{rest}."
    if roles:
        signers = people(roles, quorum, factor)
        return f"Ask {signers} to countersign {subject}{rest}."
    return f"Never allow {subject}{rest}."


def people(role: str, quorum: int, factor: str = "") -> str:
    """How many of whom, as in "two finance reviewers, each with a code,"."""
    number = _NUMBERS[quorum] if quorum < len(_NUMBERS) else str(quorum)
    family, _, group = role.partition(":")
    words = f"{group} {family}".strip().replace("_", " ")
    code = f",{' each' if quorum > 1 else ''} with a code of their authenticator," if factor else ""
    return f"{number} {words}{'' if quorum == 1 else 's'}{code}"


def _subject(policy: pst.Template) -> str:
    what = _action(policy.action)
    who = _entity_scope(policy.principal)
    on = _entity_scope(policy.resource)
    if on and what == _ACTIONS["call"]:
        what, on = f"a call of {on}", ""
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
        if not isinstance(entity, pst.EntityUid):
            return "a chosen one"
        return f"the agent {entity.id}" if str(entity.type) == "Agent" else entity.id
    if isinstance(constraint, pst.ScopeIs):
        return f"any {constraint.entity_type}".lower()
    if isinstance(constraint, pst.ScopeIsIn):
        return f"any {constraint.entity_type} in a group".lower()
    return ""


def _clause(clause: pst.Clause) -> str:
    return phrase(clause.expr, negated=isinstance(clause, pst.Unless))


def phrase(node: pst.Expr, *, negated: bool = False) -> str:
    """An expression as English."""
    known = _known(node, negated=negated)
    if known:
        return known
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


def _known(node: pst.Expr, *, negated: bool) -> str:
    """What people call this condition; "" where there is no better way than word for word."""
    if isinstance(node, pst.GetAttr):
        return _FACTS.get(_dotted(node), ("", ""))[negated]
    if isinstance(node, pst.UnaryOp) and node.op == "is_empty":
        return _FILLED.get(_dotted(node.arg), ("", ""))[not negated]
    if not isinstance(node, pst.BinaryOp):
        return ""
    if node.op in _OPPOSITE:
        return _compared(node, negated=negated)
    if node.op == "contains_all" and isinstance(node.left, pst.Set):
        return _only(node.left, _dotted(node.right), negated=negated)
    if node.op in ("contains", "contains_any", "contains_all"):
        return _member(node, negated=negated)
    return ""


def _dotted(node: pst.Expr) -> str:
    """`context.call.labels` for that expression; "" for any but a plain path."""
    parts: list[str] = []
    while isinstance(node, pst.GetAttr):
        parts.append(node.attr)
        node = node.base
    return ".".join([node.name, *reversed(parts)]) if isinstance(node, pst.Var) else ""


def _only(items: pst.Set, path: str, *, negated: bool) -> str:
    forms = _ONLY.get(path)
    if forms is None or not items.elements:
        return ""
    names = [_value(item).strip('"') for item in items.elements]
    if path.endswith("recipient_sources"):
        names = [_SOURCE_NAMES.get(name, name) for name in names]
    return forms[negated].format(_listed(names, "or"))


def _member(node: pst.BinaryOp, *, negated: bool) -> str:
    path = _dotted(node.left)
    items = node.right.elements if isinstance(node.right, pst.Set) else (node.right,)
    if not items or not all(isinstance(item, pst.StringLit) for item in items):
        return ""
    names = [item.value for item in items if isinstance(item, pst.StringLit)]
    word = "and" if node.op == "contains_all" else "or"
    if path.endswith((".flows", ".choices")) and path not in _MEMBERS:
        return _flow(names, word, chosen=path.endswith(".choices"), negated=negated)
    if path.endswith(".recipient_sources") and len(names) == 1 and not negated:
        return _SOURCES.get(names[0], "")
    if path == "context.call.roles":
        names = [_argument(name) for name in names]
        names = list(dict.fromkeys(names)) if word == "or" else names
    forms = _MEMBERS.get(path)
    return forms[negated].format(_listed(names, word)) if forms else ""


def _argument(role: str) -> str:
    """A role with its article; an amount is one in whatever unit."""
    name = "amount" if role == "amount_minor" else role.replace("_", " ")
    return f"{'an' if name[:1] in ('a', 'e', 'i', 'o') else 'a'} {name}"


def _flow(names: Sequence[str], word: str, *, chosen: bool, negated: bool) -> str:
    """Flows read "<label> -> <role>"; those of one label are said together."""
    pairs = [name.partition(" -> ") for name in names]
    labels = list(dict.fromkeys(label for label, _, _ in pairs))
    if not all(arrow for _, arrow, _ in pairs) or len(labels) != 1:
        return ""
    targets = _listed([target.replace("_", " ") for _, _, target in pairs], word)
    verb = "has a say in" if chosen else "decides"
    return f"{'no ' if negated else ''}{labels[0]} data {verb} the {targets}"


def _compared(node: pst.BinaryOp, *, negated: bool) -> str:
    left, right = node.left, node.right
    op: str = node.op
    if isinstance(left, pst.LongLit | pst.StringLit) and op in {**_MIRROR, "eq": "", "not_eq": ""}:
        left, right, op = right, left, _MIRROR.get(op, op)
    path = _dotted(left)
    if negated:
        op = _OPPOSITE[op]
    if isinstance(right, pst.StringLit):
        return _text_compared(path, op, right.value)
    if not isinstance(right, pst.LongLit):
        return ""
    number = right.value
    if path == "resource.tier":
        return _TIERS[op].format(number)
    if path == "context.call.amount_minor":
        return f"the amount is {_BOUNDS[op].format(f'{number / 100:,.2f}')}"
    if path == "context.call.today.amount_minor":
        return f"the agent has moved {_BOUNDS[op].format(f'{number / 100:,.2f}')} today"
    if path in _TODAY:
        return f"the agent has {_TODAY[path].format(_BOUNDS[op].format(f'{number:,}'))} today"
    if path.startswith("context.run.spent."):
        return _spent(path.rsplit(".", 1)[1], op, number)
    return _counted(path, op, number)


def _text_compared(path: str, op: str, text: str) -> str:
    if path == "resource.effect" and text in ("read", "write"):
        reads = (text == "read") == (op == "eq")
        return "the tool only reads" if reads else "the tool writes"
    if path == "resource.name":
        return f"the tool is {'' if op == 'eq' else 'not '}{text}"
    return ""


def _spent(counter: str, op: str, number: int) -> str:
    if counter == "cost_micros":
        return f"the run has cost {_BOUNDS[op].format(f'{number / 1_000_000:,.2f}')}"
    words = _SPENT.get(counter)
    return f"the run has used {_BOUNDS[op].format(words.format(f'{number:,}'))}" if words else ""


def _counted(path: str, op: str, number: int) -> str:
    if path == "context.run.hour" and op in ("less", "greater_eq"):
        return f"it is {'before' if op == 'less' else 'after'} {number}:00 UTC"
    if path == "context.run.weekday" and (op, number) in (("greater", 5), ("greater_eq", 6)):
        return "it is a weekend"
    if path == "context.program.blobs" and (op, number) == ("greater", 0):
        return "it contains a large encoded text"
    if path == "context.program.unbounded_loops" and (op, number) == ("greater", 0):
        return "it has a loop without an end in sight"
    return ""


def _listed(names: Sequence[str], word: str) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {word} {names[-1]}"


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
    if own == word:
        return text
    # Told aloud, "either" and "both" say where a group begins.
    return f"{'either' if own == 'or' else 'both'} {text}"


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


def obligation(text: str) -> str:
    """What follows beside a rule's outcome, e.g. of "mask:iban", as a sentence."""
    kind, _, name = text.partition(":")
    match kind:
        case "redact":
            return f"The field {name} of what the tool answers is withheld from program and model."
        case "mask":
            return f"The argument {name} is hidden in the console until whoever reads opens it."
        case "notify":
            return f"{people(name, 2).removeprefix('two ').capitalize()} are told by mail."
    return text
