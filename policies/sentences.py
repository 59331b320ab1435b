"""Policies in plain English, generated from their syntax trees.

Nobody writes these sentences, so they cannot drift from what the policy does. The author's
own `@reason("…")` is shown beside the sentence, never instead of it.

Guarantees: the sentence has one reading, and that is the rule. Every clause, negation and group of
the rule is in it; a group inside another stands in brackets, or behind "either" or "both" where it
runs to the end. What an author may choose freely (a label, a name, a text) is quoted as soon as it
could be read as part of the sentence, and characters that cannot be seen are spelled out.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Final

from cedarpy import pst

from policies import vocabulary as words

_PLAIN: Final = re.compile(r"[\w.:@/+-]+(?: [\w.:@/+-]+)*")
_GRAMMAR: Final = frozenset(
    {"a", "all", "an", "and", "any", "anything", "are", "both", "by", "data", "each", "either"}
    | {"else", "every", "exactly", "false", "first", "if", "in", "is", "it", "its", "least", "less"}
    | {"more", "most", "never", "no", "none", "not", "nothing", "of", "on", "one", "only", "or"}
    | {"other", "otherwise", "some", "something", "than", "that", "the", "then", "to", "true"}
    | {"what", "when", "whether", "who", "with"}
)
"""Whatever has one of these words in its name could be read as part of the sentence."""
_VALUES: Final = frozenset({"add", "sub", "mul", "get_tag", "offset", "duration_since"})
"""What has two operands and is a value; all else with two is a condition."""
_LITERALS: Final = frozenset({"decimal", "datetime", "duration", "ip"})


@dataclass(frozen=True)
class _Joined:
    """Conditions that hold together ("and") or one of which does ("or"); at least two."""

    word: str
    parts: tuple["str | _Joined", ...]

    @property
    def flat(self) -> bool:
        return all(isinstance(part, str) for part in self.parts)


def sentence(policy: pst.Template, *, roles: str = "", quorum: int = 0, factor: str = "") -> str:
    """One sentence that says what `policy` does.

    Args:
        roles: who must sign, for a rule that asks for review; "" for the others.
        quorum: how many of them.
        factor: what signing needs beside the password; "" for nothing.
    """
    subject = _subject(policy)
    clauses = [_shape(c.expr, negated=isinstance(c, pst.Unless)) for c in _spoken(policy)]
    rest = f" when {_outer(_join('and', clauses))}" if clauses else ""
    if policy.effect == "permit":
        return f"Allow {subject}{rest}."
    if roles:
        signers = people(roles, quorum, factor)
        return f"Ask {signers} to countersign {subject}{rest}."
    return f"Never allow {subject}{rest}."


def _spoken(policy: pst.Template) -> Sequence[pst.Clause]:
    """The conditions; what a rule about asking a model acts on is that model."""
    scope = policy.action
    if not isinstance(scope, pst.ActionEq) or scope.entity.id != "use_model":
        return policy.clauses
    return [_about_model(clause) for clause in policy.clauses]


def _about_model(node: Any) -> Any:  # noqa: ANN401 - any part of a syntax tree
    if node == pst.Var("resource"):
        return pst.GetAttr(pst.Var("context"), "model")
    if isinstance(node, tuple):
        return tuple(map(_about_model, node))
    if not is_dataclass(node) or isinstance(node, type):
        return node
    return replace(
        node, **{one.name: _about_model(getattr(node, one.name)) for one in fields(node)}
    )


def people(role: str, quorum: int, factor: str = "") -> str:
    """How many of whom, as in "two finance reviewers, each with a code,"."""
    number = words.NUMBERS[quorum] if quorum < len(words.NUMBERS) else str(quorum)
    family, _, group = role.partition(":")
    who = f"{group} {family}".strip().replace("_", " ")
    code = f",{' each' if quorum > 1 else ''} with a code of their authenticator," if factor else ""
    return f"{number} {who}{'' if quorum == 1 else 's'}{code}"


def obligation(text: str) -> str:
    """What follows beside a rule's outcome, e.g. of "mask:iban", as a sentence."""
    kind, _, name = text.partition(":")
    match kind:
        case "redact":
            return f"The field {name} of what the tool answers is withheld from program and model."
        case "mask":
            return f"The argument {name} is hidden in console and API until whoever reads opens it."
        case "notify":
            return f"{people(name, 2).removeprefix('two ').capitalize()} are told by mail."
    return text


def phrase(node: pst.Expr, *, negated: bool = False) -> str:
    """A condition as English."""
    return _outer(_shape(node, negated=negated))


# What the rule is about


def _subject(policy: pst.Template) -> str:
    actions = _actions(policy.action)
    who, on = _scope(policy.principal), _scope(policy.resource)
    if on and actions == [words.ACTIONS["call"]]:
        actions, on = [f"a call of {on.removeprefix('the tool ')}"], ""
    what = " or ".join(actions)
    if len(actions) > 1 and (who or on):
        what += ", each"
    return what + (f" by {who}" if who else "") + (f" on {on}" if on else "")


def _actions(constraint: pst.ActionConstraint) -> list[str]:
    if isinstance(constraint, pst.ActionEq):
        return [_action(constraint.entity.id)]
    if isinstance(constraint, pst.ActionIn):
        return list(dict.fromkeys(_action(entity.id) for entity in constraint.entities))
    return ["anything"]


def _action(name: str) -> str:
    if name.startswith("call:"):
        return f"a call of {_name(name.removeprefix('call:'))}"
    return words.ACTIONS.get(name, _name(name))


def _scope(constraint: pst.PrincipalOrResourceConstraint) -> str:
    # No entity of the schema is in another one: to be in it is to be it.
    if isinstance(constraint, pst.ScopeEq | pst.ScopeIn | pst.ScopeIsIn):
        entity = constraint.entity
        return _entity(entity) if isinstance(entity, pst.EntityUid) else "a chosen one"
    if isinstance(constraint, pst.ScopeIs):
        return f"any {_name(str(constraint.entity_type).lower())}"
    return ""


def _entity(entity: pst.EntityUid) -> str:
    if str(entity.type) == "Action":
        return _action(entity.id)
    return words.ENTITIES.get(str(entity.type), "{}").format(_name(entity.id))


# Conditions


def _join(word: str, parts: Sequence[str | _Joined]) -> str | _Joined:
    flat: list[str | _Joined] = []
    for part in parts:
        same = isinstance(part, _Joined) and part.word == word
        flat += part.parts if isinstance(part, _Joined) and same else [part]
    return flat[0] if len(flat) == 1 else _Joined(word, tuple(flat))


def _outer(shape: str | _Joined) -> str:
    """A condition that runs to the end of the sentence."""
    if isinstance(shape, str):
        return shape
    *first, last = shape.parts
    told = [_inner(part) for part in first]
    if isinstance(last, _Joined) and last.flat:
        # Told aloud, "either" and "both" say where a group begins; it ends with the sentence.
        told.append(f"{'either' if last.word == 'or' else 'both'} {_listing(last)}")
    else:
        told.append(_inner(last))
    return f" {shape.word} ".join(told)


def _inner(shape: str | _Joined) -> str:
    return shape if isinstance(shape, str) else f"({_listing(shape)})"


def _listing(shape: str | _Joined) -> str:
    """A condition whose end is marked by what follows it, such as a bracket."""
    if isinstance(shape, str):
        return shape
    return f" {shape.word} ".join(_inner(part) for part in shape.parts)


def _shape(node: pst.Expr, *, negated: bool) -> str | _Joined:
    known = _known(node, negated=negated)
    if known:
        return known
    if isinstance(node, pst.BinaryOp):
        return _binary(node, negated=negated)
    if isinstance(node, pst.UnaryOp):
        return _unary(node, negated=negated)
    if isinstance(node, pst.IfThenElse):
        yes, no = (_shape(n, negated=negated) for n in (node.then_expr, node.else_expr))
        cond = _listing(_shape(node.cond, negated=False))
        return f"(if {cond}, then {_listing(yes)}, otherwise {_listing(no)})"
    if isinstance(node, pst.HasAttr):
        return f"{_given(node)} {'is not given' if negated else 'is given'}"
    if isinstance(node, pst.Like):
        return f"{_value(node.base)} {'is not' if negated else 'is'} like {_pattern(node)}"
    if isinstance(node, pst.Is):
        return _is(node, negated=negated)
    if isinstance(node, pst.BoolLit):
        return f"this {'always' if node.value is not negated else 'never'} holds"
    return f"{_value(node)} is {'false' if negated else 'true'}"


def _given(node: pst.HasAttr) -> str:
    path: pst.Expr = node.base
    for name in node.attrs:
        path = pst.GetAttr(path, name)
    return _value(path)


def _pattern(node: pst.Like) -> str:
    told = (_seen(e.value).replace("*", r"\*") if isinstance(e, pst.Char) else "*"
            for e in node.pattern)  # fmt: skip
    return f'"{"".join(told)}"'


def _is(node: pst.Is, *, negated: bool) -> str | _Joined:
    kind = words.KINDS.get(str(node.entity_type), _name(str(node.entity_type)))
    verb = "is not" if negated else "is"
    parts: list[str | _Joined] = [f"{_value(node.base)} {verb} {kind}"]
    if node.in_expr is not None:
        parts.append(f"{_value(node.base)} {verb} {_one_of(node.in_expr)}")
    return _join("or" if negated else "and", parts)


def _binary(node: pst.BinaryOp, *, negated: bool) -> str | _Joined:
    op, left, right = node.op, node.left, node.right
    if op in ("and", "or"):
        word = op if not negated else {"and": "or", "or": "and"}[op]
        return _join(word, [_shape(side, negated=negated) for side in (left, right)])
    if op in ("eq", "not_eq"):
        return _equal(left, right, negated=(op == "not_eq") is not negated)
    if isinstance(left, pst.Set) and op.startswith("contains"):
        return _among(op, left, right, negated=negated)
    plain = op.removeprefix("decimal_").removesuffix("_than")
    table = words.OF_TIMES if _is_time(left) or _is_time(right) else words.COMPARISONS
    word = table.get(plain, words.COMPARISONS.get(plain, (plain, f"not {plain}")))[negated]
    told = _one_of(right) if op == "in" else _items(right)
    return f"{_value(left)} {word} {told}"


def _equal(left: pst.Expr, right: pst.Expr, *, negated: bool) -> str | _Joined:
    if isinstance(left, pst.BoolLit):
        left, right = right, left
    if isinstance(right, pst.BoolLit):
        return _shape(left, negated=right.value is negated)
    if _is_condition(left) or _is_condition(right):
        one, other = _inner(_shape(left, negated=False)), _inner(_shape(right, negated=negated))
        return f"({one} exactly if {other})"
    if isinstance(left, pst.Set) or isinstance(right, pst.Set):
        held, named = (right, left) if isinstance(left, pst.Set) else (left, right)
        return f"{_value(held)} are {'not exactly' if negated else 'exactly'} {_items(named)}"
    return f"{_value(left)} {'is not' if negated else 'is'} {_value(right)}"


def _among(op: str, left: pst.Set, right: pst.Expr, *, negated: bool) -> str:
    """A set that the rule names, and something of the request in it."""
    if op == "contains":
        of = f"one of {_items(left)}" if len(left.elements) > 1 else _items(left)
        other = f"none of {_items(left)}" if len(left.elements) > 1 else f"not {_items(left)}"
        return f"{_value(right)} is {other if negated else of}"
    if op == "contains_any":
        return f"{_value(right)} {words.COMPARISONS[op][negated]} {_items(left)}"
    verb = "include something other than" if negated else "include nothing but"
    return f"{_value(right)} {verb} {_items(left)}"


def _unary(node: pst.UnaryOp, *, negated: bool) -> str | _Joined:
    if node.op == "not":
        return _shape(node.arg, negated=not negated)
    if node.op == "is_empty":
        return f"{_value(node.arg)} {'are not empty' if negated else 'are empty'}"
    if node.op in words.ADDRESSES:
        return f"{_value(node.arg)} {words.ADDRESSES[node.op][negated]}"
    return f"{_value(node)} is {'false' if negated else 'true'}"


def _is_condition(node: pst.Expr) -> bool:
    if isinstance(node, pst.BinaryOp):
        return node.op not in _VALUES
    if isinstance(node, pst.UnaryOp):
        return node.op in ("not", "is_empty") or node.op in words.ADDRESSES
    if isinstance(node, pst.IfThenElse):
        return any(map(_is_condition, (node.then_expr, node.else_expr)))
    if isinstance(node, pst.GetAttr):
        return _dotted(node) in words.FACTS
    return isinstance(node, pst.HasAttr | pst.Like | pst.Is | pst.BoolLit)


def _is_time(node: pst.Expr) -> bool:
    if isinstance(node, pst.UnaryOp):
        return node.op in ("datetime", "to_date")
    if isinstance(node, pst.BinaryOp):
        return node.op == "offset"
    return _dotted(node) in ("context.run.now", "context.change.now")


# Conditions that people have words for


def _known(node: pst.Expr, *, negated: bool) -> str:
    """What people call this condition; "" where there is no better way than word for word."""
    if isinstance(node, pst.GetAttr):
        return words.FACTS.get(_dotted(node), ("", ""))[negated]
    if isinstance(node, pst.UnaryOp) and node.op == "is_empty":
        return words.FILLED.get(_dotted(node.arg), ("", ""))[not negated]
    if not isinstance(node, pst.BinaryOp):
        return ""
    if node.op in words.OPPOSITE:
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


def _strings(node: pst.Expr) -> list[str]:
    """The texts of a set, or the one text; [] where it holds anything else."""
    items = node.elements if isinstance(node, pst.Set) else (node,)
    found = [item.value for item in items if isinstance(item, pst.StringLit)]
    return list(dict.fromkeys(found)) if len(found) == len(items) else []


def _only(items: pst.Set, path: str, *, negated: bool) -> str:
    forms, names = words.ONLY.get(path), _strings(items)
    if forms is None or not names:
        return ""
    return forms[negated].format(_listed([_source(n, path) for n in names], "or"))


def _member(node: pst.BinaryOp, *, negated: bool) -> str:
    path, names = _dotted(node.left), _strings(node.right)
    together = node.op == "contains_all" and len(names) > 1
    if not names or (together and negated):
        # "No a and b data" would say that neither is there.
        return ""
    word = "and" if together else "or"
    if path.endswith((".flows", ".choices")) and path not in words.MEMBERS:
        return _flow(names, word, chosen=path.endswith(".choices"), negated=negated)
    if path.endswith(".recipient_sources") and len(names) == 1 and not negated:
        return words.SOURCES.get(names[0], "")
    forms = words.MEMBERS.get(path)
    if forms is None:
        return ""
    if path.endswith(".personal"):
        told = [words.PERSONAL.get(n) or _name(n) for n in names]
    else:
        told = [_argument(n) if path == "context.call.roles" else _source(n, path) for n in names]
    return forms[negated].format(_listed(list(dict.fromkeys(told)), word))


def _source(name: str, path: str) -> str:
    """A name, or in words where it says from where a value comes."""
    known = words.SOURCE_NAMES if path.endswith("_sources") else {}
    return known.get(name) or _name(name)


def _argument(role: str) -> str:
    """A role with its article; an amount is one in whatever unit."""
    name = _name("amount" if role == "amount_minor" else role.replace("_", " "))
    return f"{'an' if name[:1] in ('a', 'e', 'i', 'o') else 'a'} {name}"


def _flow(names: Sequence[str], word: str, *, chosen: bool, negated: bool) -> str:
    """Flows read "<label> -> <role>"; those of one label are said together."""
    pairs = [name.partition(" -> ") for name in names]
    labels = list(dict.fromkeys(label for label, _, _ in pairs))
    if not all(arrow for _, arrow, _ in pairs) or len(labels) != 1:
        return ""
    targets = _listed([_name(target.replace("_", " ")) for _, _, target in pairs], word)
    verb = "has a say in" if chosen else "decides"
    return f"{'no ' if negated else ''}{_name(labels[0])} data {verb} the {targets}"


def _compared(node: pst.BinaryOp, *, negated: bool) -> str:
    left, right = node.left, node.right
    op: str = node.op
    if isinstance(left, pst.LongLit | pst.StringLit):
        left, right, op = right, left, words.MIRROR.get(op, op)
    path = _dotted(left)
    if negated:
        op = words.OPPOSITE[op]
    if isinstance(right, pst.StringLit):
        return _text_compared(path, op, right.value)
    if not isinstance(right, pst.LongLit):
        return ""
    number, bound = right.value, words.BOUNDS[op]
    if path == "resource.tier":
        return words.TIERS[op].format(number)
    if path == "context.call.amount_minor":
        return f"the amount is {bound.format(_decimal(number, 2))}"
    if path == "context.call.today.amount_minor":
        return f"the agent has moved {bound.format(_decimal(number, 2))} today"
    if path in words.TODAY:
        return f"the agent has {words.TODAY[path].format(bound.format(f'{number:,}'))} today"
    if path.startswith("context.run.spent."):
        return _spent(path.rsplit(".", 1)[1], bound, number)
    return _counted(path, op, number)


def _text_compared(path: str, op: str, text: str) -> str:
    if op not in ("eq", "not_eq"):
        return ""
    if path == "resource.effect" and text in ("read", "write"):
        reads = (text == "read") == (op == "eq")
        return "the tool only reads" if reads else "the tool writes"
    if path == "context.model.name":
        return f"the model is {'' if op == 'eq' else 'not '}{_name(text)}"
    if path == "resource.name":
        return f"the tool is {'' if op == 'eq' else 'not '}{_name(text)}"
    return ""


def _spent(counter: str, bound: str, number: int) -> str:
    if counter == "cost_micros":
        return f"the run has cost {bound.format(_decimal(number, 6))}"
    told = words.SPENT.get(counter)
    return f"the run has used {bound.format(told.format(f'{number:,}'))}" if told else ""


def _decimal(number: int, places: int) -> str:
    """A whole number of hundredths or millionths as people write it, and nothing rounded."""
    whole, rest = divmod(abs(number), 10**places)
    digits = f"{rest:0{places}}".rstrip("0")
    return f"{'-' if number < 0 else ''}{whole:,}.{digits:0<2}"


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


# Values


def _value(node: pst.Expr) -> str:
    if isinstance(node, pst.StringLit):
        return _quoted(node.value)
    if isinstance(node, pst.LongLit):
        return str(node.value)
    if isinstance(node, pst.EntityLit):
        return _entity(node.value)
    if isinstance(node, pst.Set):
        return f"the set of {_items(node)}"
    if isinstance(node, pst.Var):
        return words.VARIABLES[node.name]
    if isinstance(node, pst.GetAttr):
        return _path(node)
    if isinstance(node, pst.Record):
        fields = (f"{_name(key)}: {_value(value)}" for key, value in node.fields.items())
        return f"{{{', '.join(fields)}}}"
    if isinstance(node, pst.Slot):
        return "a chosen one"
    return _computed(node)


def _computed(node: pst.Expr) -> str:
    if isinstance(node, pst.UnaryOp) and node.op == "neg":
        return f"-{_value(node.arg)}"
    if isinstance(node, pst.UnaryOp) and node.op in _LITERALS:
        return _name(node.arg.value) if isinstance(node.arg, pst.StringLit) else _value(node.arg)
    if isinstance(node, pst.UnaryOp) and node.op in words.PARTS:
        return words.PARTS[node.op].format(_value(node.arg))
    if isinstance(node, pst.BinaryOp) and node.op in _VALUES:
        left, right = _value(node.left), _value(node.right)
        return words.COMPUTED[node.op].format(left=left, right=right)
    if isinstance(node, pst.IfThenElse) and not _is_condition(node):
        cond = _listing(_shape(node.cond, negated=False))
        yes, no = _value(node.then_expr), _value(node.else_expr)
        return f"(if {cond}, then {yes}, otherwise {no})"
    return f"(whether {_listing(_shape(node, negated=False))})"


def _one_of(node: pst.Expr) -> str:
    many = isinstance(node, pst.Set) and len(node.elements) > 1
    return f"one of {_items(node)}" if many else _items(node)


def _items(node: pst.Expr) -> str:
    if not isinstance(node, pst.Set):
        return _value(node)
    return ", ".join(_value(element) for element in node.elements)


def _path(node: pst.GetAttr) -> str:
    parts = [node.attr]
    base = node.base
    while isinstance(base, pst.GetAttr):
        parts.append(base.attr)
        base = base.base
    if not isinstance(base, pst.Var):
        return f"the {_name('.'.join(reversed(parts)))} of {_value(base)}"
    path = ".".join([base.name, *reversed(parts)])
    argument = path.removeprefix("context.argument.")
    return f"its {_name(argument)}" if argument != path else words.TERMS.get(path) or _name(path)


def _listed(names: Sequence[str], word: str) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {word} {names[-1]}"


def _name(text: str) -> str:
    """A name as it is, where nobody can take it for anything else; otherwise quoted."""
    plain = _PLAIN.fullmatch(text) and not _GRAMMAR.intersection(text.lower().split(" "))
    return text if plain else _quoted(text)


def _quoted(text: str) -> str:
    return f'"{_seen(text)}"'


def _seen(text: str) -> str:
    r"""The text with what would end the quotation, or not be seen at all, spelled out."""
    told = text.replace("\\", r"\\").replace('"', r"\"")
    return "".join(
        rf"\u{{{ord(c):x}}}" if unicodedata.category(c)[0] in "CZ" and c != " " else c for c in told
    )
