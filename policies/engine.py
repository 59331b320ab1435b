"""The engine: `decide(request, policy_set) -> Decision`, in Cedar, failing closed.

Guarantees:
- only Cedar's Allow with no evaluation error is allow; a missing fact, an unknown attribute, a
  value of the wrong type, an engine error and a version mismatch are deny, with the reason
  recorded. Cedar drops a `forbid` that raises an error, which is why errors are never ignored
  and why nothing is ever evaluated that does not fit the schema (`shapes`);
- `decide` never raises.

Order of a decision:
1. the request must be whole, of the schema's shape, and the tool version the one the policies
   were compiled for. Cedar is then told what the rules about the action read, no more;
2. all rules about the action together: Allow is allow, since no `forbid` of either kind fired;
   a `forbid` without `@review` among those that fired, or none at all, is deny;
3. only `forbid`s with `@review("role")`, `@quorum("2")` fired: the rules without them are
   asked again, and must say Allow. Then it is review, and what fired is the requirement;
4. rules with `@shadow` are evaluated apart and recorded; they change nothing.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeAlias

import cedarpy
from cedarpy import pst

from policies import sentences
from policies.facts.record import ToolSpec
from policies.pieces import fault, find
from policies.requests import Request, tool_entity
from policies.schema import argument_types, schema_for
from policies.shapes import Shape, shapes

MAX_POLICY_BYTES = 500_000
MAX_QUORUM = 12
"""More people than this cannot be found to sign before a request expires."""
_CALLS = pst.EntityUid(pst.EntityType("Action"), "call")
"""The group of all calls."""
_PERMIT_ALL = "permit(principal, action, resource);"
_ANNOTATIONS = frozenset(
    {"id", "review", "quorum", "factor", "reason", "shadow", "title", "form"}
    | {"redact", "mask", "notify"}
)
_ROLE = re.compile(r"[a-z][a-z0-9_]{0,47}(:[a-z0-9][a-z0-9_-]{0,47})?")
_FIELD = re.compile(r"\w{1,80}")
_OBLIGATIONS = ("redact", "mask", "notify")
TOTP = "totp"
"""The one factor that a rule can ask for beside the password: a code of an authenticator."""


class PolicyError(Exception):
    """A policy text that cannot be used; the message names the rule and what to do."""


class Outcome(StrEnum):
    """What the engine answers, from the mildest to the strictest."""

    ALLOW = "allow"
    REVIEW = "review"
    DENY = "deny"


@dataclass(frozen=True)
class FiredRule:
    """A rule that decided, or with `shadow` would have.

    Attributes:
        sentence: generated from the rule's syntax tree.
        reason: the author's own words, or "".
        roles: the role that must sign, for a review; else empty.
        quorum: how many signatures of it.
        factor: what signing needs beside the password: "totp" or "".
        obligations: what follows from the rule, e.g. ("mask:iban", "notify:reviewer:treasury").
    """

    id: str
    sentence: str
    reason: str = ""
    roles: tuple[str, ...] = ()
    quorum: int = 0
    shadow: bool = False
    obligations: tuple[str, ...] = ()
    factor: str = ""


@dataclass(frozen=True)
class Requirement:
    """Signatures needed: (role, how many) pairs, each role once, in order of role.

    Attributes:
        factor: what each of them needs beside the password: "totp" or "".
    """

    quorums: tuple[tuple[str, int], ...] = ()
    factor: str = ""

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return iter(self.quorums)

    def __len__(self) -> int:
        return len(self.quorums)

    @property
    def roles(self) -> tuple[str, ...]:
        return tuple(role for role, _ in self.quorums)

    def covers(self, wanted: "Requirement") -> bool:
        """Whether these signatures are at least those.

        Seats of named groups are seats of reviewers; the two are never added up.
        """
        if wanted.factor and self.factor != wanted.factor:
            return False
        held = dict(self.quorums)
        grouped = sum(n for role, n in self.quorums if role.startswith("reviewer:"))
        held["reviewer"] = max(held.get("reviewer", 0), grouped)
        return all(held.get(role, 0) >= quorum for role, quorum in wanted)

    def to_json(self) -> list[dict[str, Any]]:
        more = {"factor": self.factor} if self.factor else {}
        return [{"role": role, "quorum": quorum, **more} for role, quorum in self.quorums]


@dataclass(frozen=True)
class Decision:
    """Allow, review or deny, with everything needed to say why.

    Attributes:
        rules: the rules that decided, then the shadow rules that would have.
        errors: engine errors; present only with deny.
    """

    outcome: Outcome
    rules: tuple[FiredRule, ...] = ()
    sentence: str = ""
    policy_hash: str = ""
    errors: tuple[str, ...] = ()

    def obliged(self, kind: str) -> tuple[str, ...]:
        """What the rules that hold oblige to, of one kind: "redact", "mask" or "notify"."""
        found = [
            named.removeprefix(f"{kind}:")
            for rule in self.rules
            if not rule.shadow
            for named in rule.obligations
            if named.startswith(f"{kind}:")
        ]
        return tuple(dict.fromkeys(found))

    @property
    def requirement(self) -> Requirement:
        needed: dict[str, int] = {}
        for rule in self.rules:
            for role in () if rule.shadow else rule.roles:
                needed[role] = max(needed.get(role, 0), rule.quorum)
        # One rule is enough: where several hold, the strictest of each thing is what counts.
        factors = {rule.factor for rule in self.rules if rule.roles and not rule.shadow}
        return Requirement(tuple(sorted(needed.items())), TOTP if TOTP in factors else "")

    def to_json(self) -> dict[str, Any]:
        return {
            "outcome": self.outcome.value,
            "rules": [
                {
                    "id": rule.id,
                    "sentence": rule.sentence,
                    "reason": rule.reason,
                    "roles": list(rule.roles),
                    "quorum": rule.quorum,
                    "factor": rule.factor,
                    "shadow": rule.shadow,
                    "obligations": list(rule.obligations),
                }
                for rule in self.rules
            ],
            "sentence": self.sentence,
            "policy_hash": self.policy_hash,
            "requirement": self.requirement.to_json(),
            "errors": list(self.errors),
        }


@dataclass(frozen=True, eq=False)
class PolicySet:
    """Policies and schema, parsed and validated once per version.

    Attributes:
        hash: SHA-256, in hex, over text and schema.
        rules: rule id to what is shown when it fires.
        read_arguments: argument names that any rule reads.
        reads: every path into the context that a rule reads, such as "context.call.labels"; two
            requests of the same shape that agree on these are decided alike.
    """

    text: str
    hash: str
    schema_text: str
    rules: Mapping[str, FiredRule]
    versions: Mapping[str, str]
    read_arguments: frozenset[str]
    reads: frozenset[str]
    schema: cedarpy.Schema = field(repr=False)
    entities: cedarpy.Entities = field(repr=False)
    hard: cedarpy.PolicySet = field(repr=False)
    soft: cedarpy.PolicySet | None = field(repr=False)
    trees: Mapping[str, pst.Template] = field(repr=False)
    tools: tuple[ToolSpec, ...] = field(repr=False, default=())
    _asked: dict[str, "Asked"] = field(repr=False, default_factory=dict)

    def obliged(self, kind: str) -> tuple[str, ...]:
        """What any rule obliges to, of one kind."""
        found = [o for rule in self.rules.values() for o in rule.obligations]
        return tuple(o.removeprefix(f"{kind}:") for o in found if o.startswith(f"{kind}:"))

    def asked(self, action: str) -> "Asked":
        """What of these policies a request of this action has to do with."""
        found = self._asked.get(action)
        if found is None:
            found = self._asked[action] = _asked(self, action)
        return found


Wanted: TypeAlias = "Mapping[str, Wanted] | None"
"""Which attributes of a record; None is all of it."""


@dataclass(frozen=True, eq=False)
class Asked:
    """The rules that can hold for one action, and what they read.

    Attributes:
        shape: what a request must be; None where the schema does not know the action.
        wanted: the part of the context that any of the rules reads.
    """

    shape: Shape | None
    wanted: Wanted
    whole: cedarpy.PolicySet = field(repr=False)
    hard: cedarpy.PolicySet = field(repr=False)
    shadows: tuple[tuple[str, cedarpy.PolicySet], ...] = field(repr=False)


# Compiling


def compile_policy(text: str, *, tools: Sequence[ToolSpec]) -> PolicySet:
    """Parses, validates and splits a policy text for a workspace with these tools.

    Raises:
        PolicyError: the author's fault; names the rule or line and what to do.
    """
    schema_text = schema_for(tools)
    entities = json.dumps([tool_entity(tool) for tool in sorted(tools, key=lambda t: t.name)])
    versions = tuple(sorted((tool.name, tool.version) for tool in tools))
    return replace(_compiled(text, schema_text, entities, versions), tools=tuple(tools))


@lru_cache(maxsize=64)
def _compiled(
    text: str, schema_text: str, entities: str, versions: tuple[tuple[str, str], ...]
) -> PolicySet:
    if len(text) > MAX_POLICY_BYTES:
        raise PolicyError(f"the policy text is longer than {MAX_POLICY_BYTES} characters")
    parsed = _parsed(text)
    try:
        schema = cedarpy.Schema.from_str(schema_text)
        entity_set = cedarpy.Entities.from_json_str(entities, schema)
    except ValueError as error:
        raise PolicyError(f"the tools cannot be told to Cedar: {error}") from error
    if parsed.templates or parsed.template_links:
        raise PolicyError("templates with ?principal or ?resource are not supported: name it")
    trees: dict[str, pst.Template] = {}
    rules: dict[str, FiredRule] = {}
    for tree in parsed.static_policies.values():
        rule = _rule(tree)
        if rule.id in rules:
            raise PolicyError(f"two rules have the id {rule.id!r}: ids must differ")
        rules[rule.id] = rule
        trees[rule.id] = replace(tree, id=rule.id)
    _validate(text, schema, parsed)
    _reject_overflow(trees)
    _reject_idle(trees)
    _reject_crowds(rules.values())
    hard = [trees[r.id] for r in rules.values() if not r.roles and not r.shadow]
    soft = [trees[r.id] for r in rules.values() if r.roles and not r.shadow]
    return PolicySet(
        text=text,
        hash=hashlib.sha256(f"{text}\0{schema_text}\0{entities}".encode()).hexdigest(),
        schema_text=schema_text,
        rules=rules,
        versions=dict(versions),
        read_arguments=_read_arguments(trees.values()),
        reads=frozenset(path for tree in trees.values() for path in _reads(tree)),
        schema=schema,
        entities=entity_set,
        hard=_policies(hard),
        soft=_with_permit_all(soft) if soft else None,
        trees=trees,
    )


def _parsed(text: str) -> pst.PolicySet:
    try:
        return cedarpy.policies_to_pst(text)
    except ValueError as error:
        line, rule_id = fault(text, _problem)
        where = f"line {line}" + (f", in rule {rule_id!r}" if rule_id else "")
        raise PolicyError(f"not valid Cedar: {where if line else 'text'}: {error}") from error


def _problem(text: str) -> str:
    try:
        cedarpy.policies_to_pst(text)
    except ValueError as error:
        return str(error)
    return ""


def _rule(tree: pst.Template) -> FiredRule:
    notes = tree.annotations
    rule_id = notes.get("id", "")
    if not rule_id:
        raise PolicyError(f'the {tree.effect} rule {tree.id} has no @id("…"): give it one')
    unknown = sorted(set(notes) - _ANNOTATIONS)
    if unknown:
        raise PolicyError(f"rule {rule_id!r}: unknown annotation @{unknown[0]}")
    roles = (notes["review"],) if "review" in notes else ()
    if roles and not _ROLE.fullmatch(roles[0]):
        raise PolicyError(f'rule {rule_id!r}: @review must name one role, as in "reviewer:finance"')
    if tree.effect == "permit" and (roles or "shadow" in notes):
        raise PolicyError(f"rule {rule_id!r}: only a forbid can ask for review or be in shadow")
    quorum = _quorum(rule_id, notes) if roles else 0
    factor = notes.get("factor", "")
    if "factor" in notes and (factor != TOTP or not roles):
        raise PolicyError(
            f'rule {rule_id!r}: @factor("{TOTP}") stands beside a @review, or nowhere'
        )
    _check_obligations(rule_id, notes)
    return FiredRule(
        id=rule_id,
        sentence=sentences.sentence(tree, roles="".join(roles), quorum=quorum, factor=factor),
        reason=notes.get("reason", ""),
        roles=roles,
        quorum=quorum,
        shadow="shadow" in notes,
        factor=factor,
        obligations=tuple(f"{kind}:{notes[kind]}" for kind in _OBLIGATIONS if kind in notes),
    )


def _check_obligations(rule_id: str, notes: Mapping[str, str]) -> None:
    for kind in ("redact", "mask"):
        if kind in notes and not _FIELD.fullmatch(notes[kind]):
            raise PolicyError(f'rule {rule_id!r}: @{kind} must name one field, as in "iban"')
    if "notify" in notes and not _ROLE.fullmatch(notes["notify"]):
        raise PolicyError(
            f'rule {rule_id!r}: @notify must name one role, as in "reviewer:treasury"'
        )


def _quorum(rule_id: str, notes: Mapping[str, str]) -> int:
    text = notes.get("quorum", "1")
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:3]) <= MAX_QUORUM:
        raise PolicyError(f"rule {rule_id!r}: @quorum must be a number from 1 to {MAX_QUORUM}")
    return int(text)


def _validate(text: str, schema: cedarpy.Schema, parsed: pst.PolicySet) -> None:
    result = cedarpy.validate_policies(text, schema)
    if result.validation_passed:
        return
    messages = []
    for error in result.errors:
        tree = parsed.static_policies.get(error.policy_id)
        name = tree.annotations.get("id", error.policy_id) if tree else error.policy_id
        piece = find(text, name)
        where = f" (line {piece.line})" if piece is not None else ""
        messages.append(f"rule {name!r}{where}: {error.error}" if name else error.error)
    raise PolicyError("; ".join(messages) or "the policies do not fit the schema")


def _reject_overflow(trees: Mapping[str, pst.Template]) -> None:
    """Arithmetic can overflow, and an overflow is an error that would deny everything."""
    for rule_id, tree in trees.items():
        for node in nodes(tree):
            if isinstance(node, pst.BinaryOp) and node.op in ("add", "sub", "mul"):
                raise PolicyError(f"rule {rule_id!r}: compare numbers, do not compute with them")


def _reject_idle(trees: Mapping[str, pst.Template]) -> None:
    """Calls are asked as `call:<tool>`: a rule that wants the group itself would never hold."""
    for rule_id, tree in trees.items():
        equal = isinstance(tree.action, pst.ActionEq) and tree.action.entity == _CALLS
        if equal or any(_compares_group(clause.expr) for clause in tree.clauses):
            raise PolicyError(
                f'rule {rule_id!r}: no request is Action::"call" itself, so this never holds;'
                ' write action in Action::"call"'
            )


def _compares_group(node: object) -> bool:
    if node == pst.EntityLit(_CALLS):
        return True
    if isinstance(node, pst.BinaryOp) and node.op == "in":
        return _compares_group(node.left)
    return any(map(_compares_group, _children(node)))


def _reject_crowds(rules: Iterable[FiredRule]) -> None:
    """Rules may hold together, and then all their roles must sign."""
    needed: dict[str, int] = {}
    for rule in rules:
        for role in () if rule.shadow else rule.roles:
            needed[role] = max(needed.get(role, 0), rule.quorum)
    if sum(needed.values()) > MAX_QUORUM:
        told = ", ".join(f"{count} of {role}" for role, count in sorted(needed.items()))
        raise PolicyError(
            f"together the rules can ask for more than {MAX_QUORUM} signatures: {told}"
        )


def nodes(root: object) -> Iterable[object]:
    """Everything in a syntax tree, the root among it, in no order."""
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(_children(node))


def _children(node: object) -> Iterable[object]:
    if isinstance(node, Mapping):
        return list(node.values())
    if isinstance(node, tuple):
        return node
    return [getattr(node, name) for name in getattr(node, "__dataclass_fields__", ())]


def _read_arguments(trees: Iterable[pst.Template]) -> frozenset[str]:
    names: set[str] = set()
    for tree in trees:
        for node in nodes(tree):
            if isinstance(node, pst.GetAttr | pst.HasAttr) and _is_argument(node.base):
                names.update((node.attr,) if isinstance(node, pst.GetAttr) else node.attrs)
            elif _is_argument(node) or node == pst.Var("context"):
                names.add("*") if _is_argument(node) else None
    return frozenset(names)


def _reads(root: object) -> Iterator[str]:
    """Paths into the context; a path is not followed by those of its beginning."""
    stack = [root]
    while stack:
        node = stack.pop()
        path = _context_path(node)
        if path:
            yield path
        elif isinstance(node, pst.HasAttr):
            stack.append(pst.GetAttr(node.base, node.attrs[0]))
        else:
            stack.extend(_children(node))


def _context_path(node: object) -> str:
    parts: list[str] = []
    while isinstance(node, pst.GetAttr):
        parts.append(node.attr)
        node = node.base
    return ".".join(["context", *reversed(parts)]) if node == pst.Var("context") else ""


def _asked(policies: PolicySet, action: str) -> Asked:
    trees = {name: tree for name, tree in policies.trees.items() if _about(tree, action)}
    rules = [policies.rules[name] for name in trees]
    enforced = [rule for rule in rules if not rule.shadow]
    reads = {path for tree in trees.values() for path in _reads(tree)}
    return Asked(
        shape=shapes(policies.schema_text).get(action),
        wanted=_wanted(path.split(".")[1:] for path in reads),
        whole=_policies(trees[rule.id] for rule in enforced),
        hard=_policies(trees[rule.id] for rule in enforced if not rule.roles),
        shadows=tuple((r.id, _with_permit_all([trees[r.id]])) for r in rules if r.shadow),
    )


def _about(tree: pst.Template, action: str) -> bool:
    """Whether the head of a rule lets it hold for this action."""
    if isinstance(tree.action, pst.ActionEq):
        named = [tree.action.entity]
    elif isinstance(tree.action, pst.ActionIn):
        named = list(tree.action.entities)
    else:
        return True
    own = pst.EntityUid(pst.EntityType("Action"), action)
    return own in named or (_CALLS in named and action.startswith("call:"))


def _wanted(paths: Iterable[Sequence[str]]) -> Wanted:
    below: dict[str, list[Sequence[str]]] = {}
    for path in paths:
        if not path:
            return None
        below.setdefault(path[0], []).append(path[1:])
    return {name: _wanted(rest) for name, rest in below.items()}


def _is_argument(node: object) -> bool:
    return (
        isinstance(node, pst.GetAttr)
        and node.attr == "argument"
        and node.base == pst.Var("context")
    )


def _policies(trees: Iterable[pst.Template]) -> cedarpy.PolicySet:
    static = {tree.id: tree for tree in trees}
    return cedarpy.PolicySet.from_pst(pst.PolicySet({}, static, ()))


def _with_permit_all(trees: Iterable[pst.Template]) -> cedarpy.PolicySet:
    everything = cedarpy.policies_to_pst(_PERMIT_ALL).static_policies["policy0"]
    return _policies([replace(everything, id="\0permit-all"), *trees])


# Deciding


def decide(request: Request, policy_set: PolicySet) -> Decision:
    """The decision on a whole request; never raises, and denies whatever it cannot decide."""
    if request.unknown:
        return _refused(policy_set, "the request has arguments that are not known")
    try:
        return _decide(request, policy_set)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        return _refused(policy_set, f"engine failure: {type(error).__name__}: {error}")


def _decide(request: Request, policy_set: PolicySet) -> Decision:
    asked = policy_set.asked(request.action)
    problem = _mismatch(request, policy_set) or _misshapen(request, asked)  # (1)
    if problem:
        return _refused(policy_set, problem)
    question = _question(request, asked)
    entities = _entities(request, policy_set)
    shadows = _shadow_rules(question, entities, asked, policy_set)  # (4)
    whole = cedarpy.is_authorized(question, asked.whole, entities)  # (2)
    errors = list(whole.diagnostics.errors)
    if errors or whole.decision is cedarpy.Decision.NoDecision:
        return _denied(policy_set, whole.diagnostics.reasons, errors or ["no decision"], shadows)
    if whole.decision is cedarpy.Decision.Allow:
        permits = _obliging(whole.diagnostics.reasons, policy_set)
        return Decision(Outcome.ALLOW, (*permits, *shadows), "Allowed.", policy_set.hash)
    fired = tuple(policy_set.rules[rule_id] for rule_id in sorted(whole.diagnostics.reasons))
    if not fired or not all(rule.roles for rule in fired):
        return _denied(policy_set, whole.diagnostics.reasons, (), shadows)
    hard = cedarpy.is_authorized(question, asked.hard, entities)  # (3)
    errors = list(hard.diagnostics.errors)
    if errors or hard.decision is not cedarpy.Decision.Allow:
        return _denied(policy_set, hard.diagnostics.reasons, errors, shadows)
    permits = _obliging(hard.diagnostics.reasons, policy_set)
    told = _review_sentence(fired)
    return Decision(Outcome.REVIEW, (*fired, *permits, *shadows), told, policy_set.hash)


def _obliging(reasons: Iterable[str], policy_set: PolicySet) -> tuple[FiredRule, ...]:
    """The permits among these that oblige to something beside allowing."""
    rules = [policy_set.rules[name] for name in sorted(reasons)]
    return tuple(rule for rule in rules if rule.obligations)


def _mismatch(request: Request, policy_set: PolicySet) -> str:
    if request.problems:
        return "; ".join(request.problems)
    if request.tool is not None:
        name, version = request.tool
        if policy_set.versions.get(name) != version:
            return f"tool {name!r} is not the version these policies were compiled for"
    return ""


def _misshapen(request: Request, asked: Asked) -> str:
    if asked.shape is None:
        return f"there is no action {request.action!r}"
    return asked.shape.fault(request.principal, request.resource, request.context)


_WRITTEN = json.JSONEncoder(allow_nan=False)


def _question(request: Request, asked: Asked) -> dict[str, Any]:
    return {
        "principal": {"type": request.principal[0], "id": request.principal[1]},
        "action": {"type": "Action", "id": request.action},
        "resource": {"type": request.resource[0], "id": request.resource[1]},
        "context": _WRITTEN.encode(_only(asked.wanted, request.context)),
    }


def _only(wanted: Wanted, value: Any) -> Any:  # noqa: ANN401 - JSON
    """The part of a record that is wanted."""
    if wanted is None:
        return value
    return {name: _only(below, value[name]) for name, below in wanted.items() if name in value}


def _entities(request: Request, policy_set: PolicySet) -> cedarpy.Entities:
    if not request.entities:
        return policy_set.entities
    return policy_set.entities.with_added_json_str(
        json.dumps(list(request.entities)), policy_set.schema
    )


def _shadow_rules(
    question: dict[str, Any], entities: cedarpy.Entities, asked: Asked, policy_set: PolicySet
) -> tuple[FiredRule, ...]:
    fired = []
    for rule_id, policies in asked.shadows:
        answer = cedarpy.is_authorized(question, policies, entities)
        if answer.decision is not cedarpy.Decision.Allow:
            fired.append(policy_set.rules[rule_id])
    return tuple(fired)


def _refused(policy_set: PolicySet, why: str) -> Decision:
    return Decision(
        Outcome.DENY, (), f"Denied because it could not be decided: {why}.", policy_set.hash, (why,)
    )


def _denied(
    policy_set: PolicySet,
    reasons: Iterable[str],
    errors: Sequence[str],
    shadows: tuple[FiredRule, ...],
) -> Decision:
    fired = tuple(policy_set.rules[rule_id] for rule_id in sorted(reasons))
    forbids = tuple(
        rule for rule in fired if policy_set.trees[rule.id].effect == "forbid" and not rule.roles
    )
    if errors:
        sentence = f"Denied because it could not be decided: {errors[0]}."
    elif forbids:
        sentence = "Denied: " + _reasons(forbids)
    else:
        sentence = "Denied: no rule allows this."
    return Decision(Outcome.DENY, (*forbids, *shadows), sentence, policy_set.hash, tuple(errors))


def _reasons(rules: Sequence[FiredRule]) -> str:
    return " ".join(_ended(rule.reason or rule.sentence) for rule in rules)


def _ended(text: str) -> str:
    """A reason as one sentence, also where its author left the full stop out."""
    return text if text.rstrip().endswith((".", "!", "?", "…")) else f"{text.rstrip()}."


def _review_sentence(rules: Sequence[FiredRule]) -> str:
    return "Needs a countersignature: " + _reasons(rules)


# Previews


def preview(request: Request, policy_set: PolicySet) -> Decision:
    """What the decision will be, as far as it does not depend on unknown arguments.

    A rule that depends on one is answered as "review": it may fire. A preview is for
    planning and display; what runs is decided by `decide` on actual values.
    """
    read = policy_set.read_arguments
    if not request.unknown:
        return decide(request, policy_set)
    if "*" not in read and not read.intersection(request.unknown):
        return decide(_filled(request, policy_set), policy_set)
    try:
        return _partial(request, policy_set)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        return _refused(policy_set, f"engine failure: {type(error).__name__}: {error}")


_NEUTRAL: Mapping[str, Any] = {
    "String": "",
    "Long": 0,
    "Bool": False,
    "decimal": {"__extn": {"fn": "decimal", "arg": "0.0"}},
    "Set<String>": [],
}


def _filled(request: Request, policy_set: PolicySet) -> Request:
    """No rule reads the unknown arguments, so any value of the right type will do."""
    argument = dict(request.context["argument"])
    types = _types_of(request, policy_set)
    for name in request.unknown:
        if name in types:
            argument.setdefault(name, _NEUTRAL[types[name]])
    return replace(request, context={**request.context, "argument": argument}, unknown=())


def _types_of(request: Request, policy_set: PolicySet) -> dict[str, str]:
    for tool in policy_set.tools:
        if request.tool is not None and tool.name == request.tool[0]:
            return {name: kind for name, (kind, _) in argument_types(tool).items()}
    return {}


def _partial(request: Request, policy_set: PolicySet) -> Decision:
    problem = _mismatch(request, policy_set)
    if problem:
        return _refused(policy_set, problem)
    argument = dict(request.context["argument"])
    for name in request.unknown:
        if name in _types_of(request, policy_set):
            argument[name] = {"__extn": {"fn": "unknown", "arg": name}}
    question = {
        "principal": f"{request.principal[0]}::{json.dumps(request.principal[1])}",
        "action": f"Action::{json.dumps(request.action)}",
        "resource": f"{request.resource[0]}::{json.dumps(request.resource[1])}",
        "context": {**request.context, "argument": argument},
    }
    entities = [tool_entity(tool) for tool in policy_set.tools]
    entities.append(
        {
            "uid": {"type": "Action", "id": request.action},
            "attrs": {},
            "parents": [{"type": "Action", "id": "call"}],
        }
    )
    entities.append({"uid": {"type": "Action", "id": "call"}, "attrs": {}, "parents": []})
    hard = cedarpy.is_authorized_partial(question, policy_set.hard, entities)
    if hard.decision is cedarpy.Decision.Deny or hard.diagnostics.errors:
        return _denied(policy_set, hard.diagnostics.reasons, list(hard.diagnostics.errors), ())
    open_rules = _open(hard, policy_set)
    if policy_set.soft is not None:
        soft = cedarpy.is_authorized_partial(question, policy_set.soft, entities)
        if soft.diagnostics.errors:
            return _denied(policy_set, (), list(soft.diagnostics.errors), ())
        open_rules += [*_fired(soft, policy_set), *_open(soft, policy_set)]
    if not open_rules and hard.decision is cedarpy.Decision.Allow:
        return Decision(Outcome.ALLOW, (), "Allowed.", policy_set.hash)
    fired = tuple(dict.fromkeys(open_rules))
    return Decision(Outcome.REVIEW, fired, _review_sentence(fired), policy_set.hash)


def _open(answer: cedarpy.PartialAuthzResult, policy_set: PolicySet) -> list[FiredRule]:
    names = sorted(answer.diagnostics.nontrivial_residuals)
    return [policy_set.rules[name] for name in names if name in policy_set.rules]


def _fired(answer: cedarpy.PartialAuthzResult, policy_set: PolicySet) -> list[FiredRule]:
    names = sorted(set(answer.diagnostics.reasons) - set(answer.diagnostics.nontrivial_residuals))
    rules = [policy_set.rules[name] for name in names if name in policy_set.rules]
    return [rule for rule in rules if policy_set.trees[rule.id].effect == "forbid"]


def strictest(decisions: Iterable[Decision]) -> Decision:
    """Joins decisions: the strictest outcome, with every rule that fired for it."""
    found = list(decisions)
    order = list(Outcome)
    outcome = max((d.outcome for d in found), key=order.index)
    deciding = [d for d in found if d.outcome is outcome]
    rules = tuple(dict.fromkeys(rule for d in deciding for rule in d.rules))
    errors = tuple(dict.fromkeys(error for d in deciding for error in d.errors))
    enforced = [rule for rule in rules if not rule.shadow]
    if outcome is Outcome.REVIEW:
        text = _review_sentence(enforced)
    elif outcome is Outcome.DENY and not errors and enforced:
        text = "Denied: " + _reasons(enforced)
    else:
        text = deciding[0].sentence
    return Decision(outcome, rules, text, deciding[0].policy_hash, errors)
