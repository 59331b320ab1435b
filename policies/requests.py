"""What the engine is asked: builders of Cedar requests, one for each action.

Cedar cannot iterate, so facts are flattened here into sets of strings and counters; the
meaning of each attribute stands in schema.py beside its type. Three rules hold throughout:

- every attribute is always present: a fact that is missing makes the request invalid, and
  an invalid request is denied;
- numbers are 64-bit integers; an amount is in hundredths, rounded up, and what does not fit
  is a problem of the request, which denies;
- an argument that a rule could read but that has no faithful Cedar value is a problem too,
  never left out.
"""

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import ROUND_UP, Decimal, InvalidOperation
from typing import Any

from policies.facts.addresses import is_address
from policies.facts.paths import enclosing, inside
from policies.facts.record import (
    ADDRESS,
    FINAL_ANSWER,
    LITERAL,
    STEP,
    TASK,
    TASK_LITERAL,
    TEXT,
    TOOL,
    UNKNOWN_LABEL,
    Argument,
    CallSite,
    Facts,
    Finding,
    Origin,
    ToolSpec,
    join_origins,
)
from policies.facts.resources import hosts_in
from policies.facts.roles import CONTENT_ROLES, OBJECT, role_of
from policies.facts.sensitive import (
    PERSONAL_KINDS,
    SECRET_KINDS,
    UNREAD,
    emails_in,
    personal_in,
    secrets_in,
)
from policies.schema import argument_types

LONG_MAX = 2**63 - 1
_STORED_MAX = 2**53 - 1
"""Greatest number that a decision's record can hold."""
_AMOUNT_ROLES = {"amount": 100, "amount_minor": 1}
_NOBODY = datetime(1970, 1, 1, tzinfo=UTC)
_TODAY = ("writes", "recipients", "amount_minor")
_COUNTERS = ("tokens", "cost_micros", "tool_calls", "writes", "steps", "seconds")
UNRECORDED = "not looked for at the time"
_HEADER = re.compile(r"[\r\n\v\f\x85\u2028\u2029][ \t]*[A-Za-z][A-Za-z-]{0,40}[ \t]*:")
_IN_HEADERS = frozenset({
    "subject", "title", "topic", "sender", "from", "from_", "from_name", "sender_name",
    "display_name", "reply_to", "in_reply_to", "references", "name", "filename", "header",
})  # fmt: skip
"""Names of arguments that a tool for mails writes into its headers."""
_ADDRESSED = re.compile(r"(?:[a-z][a-z0-9+-]*:)*[/\\\s]*(?:[^/\\?#\s]*@)?([^/\\?#\s:]*)", re.I)
_OUTWARD_LABELS = frozenset({"untrusted", "external", "outward", "public", "egress"})


@dataclass(frozen=True)
class RunContext:
    """Who is asking, and what has happened in the run so far.

    Attributes:
        control_labels: labels of everything the model had read when it wrote this.
        spent: counters so far: tokens, cost_micros, tool_calls, writes, steps, seconds.
        used_tools: tools that this version of the agent has called with success before; a tool
            that is not among them counts as used for the first time.
        today: counters of the day (UTC) of this agent's effects: writes, recipients, amount_minor.
        made_before: the run has made or plans this effect already, to the same recipients and with
            the same amounts.
        over_budget: this effect would cross a budget that signatures may cross.
        now: aware; the time of the decision.
    """

    workspace: str = ""
    agent: str = ""
    agent_version: str = ""
    requester: str = ""
    agency: int = 3
    step: int = 0
    control_labels: frozenset[str] = frozenset()
    spent: Mapping[str, int] = field(default_factory=dict)
    used_tools: frozenset[str] = frozenset()
    today: Mapping[str, int] = field(default_factory=dict)
    over_budget: bool = False
    made_before: bool = False
    now: datetime = _NOBODY


@dataclass(frozen=True)
class ModelSpec:
    """A model endpoint as the policies see it; `labels` holding "*" takes any data."""

    name: str
    labels: frozenset[str] = frozenset({"*"})


@dataclass(frozen=True)
class PromptFacts:
    """Kinds found in the texts that a model is told; `UNREAD` stands for every kind there is."""

    secrets: frozenset[str] = frozenset()
    personal: frozenset[str] = frozenset()

    @classmethod
    def of(cls, text: str) -> "PromptFacts":
        return cls(frozenset(secrets_in(text)), frozenset(personal_in(text)))

    def joined(self, other: "PromptFacts") -> "PromptFacts":
        return PromptFacts(self.secrets | other.secrets, self.personal | other.personal)


@dataclass(frozen=True)
class Request:
    """One question to the engine.

    Attributes:
        action: Cedar action id, e.g. "execute" or "call:send_email".
        principal, resource: Cedar entity type and id.
        entities: attributes of entities that the schema's tools do not cover.
        problems: why the facts could not be put faithfully; any one denies.
        tool: name and version of the tool called; checked against the policy set's.
        unknown: arguments whose values are not known yet; only a preview may have any.
    """

    action: str
    principal: tuple[str, str]
    resource: tuple[str, str]
    context: Mapping[str, Any]
    entities: tuple[Mapping[str, Any], ...] = ()
    problems: tuple[str, ...] = ()
    tool: tuple[str, str] | None = None
    unknown: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The question as it is stored: enough to decide it again; see `restore`."""
        return {
            "action": self.action,
            "principal": list(self.principal),
            "resource": list(self.resource),
            "context": dict(self.context),
            "entities": [dict(entity) for entity in self.entities],
            "problems": list(self.problems),
            "tool": list(self.tool) if self.tool else [],
        }


def start_run(ctx: RunContext, goal: str) -> Request:
    """May this person start a run of this agent with this goal?"""
    about = {
        "secrets": list(secrets_in(goal)),
        "personal": list(personal_in(goal)),
        "characters": len(goal),
    }
    context = {"run": _run(ctx), "goal": about}
    return Request("start_run", ("Person", ctx.requester), ("Workspace", ctx.workspace), context)


def use_model(
    ctx: RunContext,
    model: ModelSpec,
    found: PromptFacts,
    *,
    tokens: int = 0,
    cost_micros: int = 0,
) -> Request:
    """May what the run has read be sent to this model?

    Args:
        found: in all of it, instructions and task included.
    """
    refused = frozenset() if "*" in model.labels else ctx.control_labels - model.labels
    prompt = {
        "labels": sorted(ctx.control_labels),
        "refused_labels": sorted(refused),
        "secrets": _every(found.secrets, SECRET_KINDS),
        "personal": _every(found.personal, PERSONAL_KINDS),
        "tokens": tokens,
        "cost_micros": cost_micros,
    }
    entity = _entity("Model", model.name, {"name": model.name, "labels": sorted(model.labels)})
    return Request(
        "use_model",
        ("Agent", ctx.agent),
        ("Model", model.name),
        {"run": _run(ctx), "prompt": prompt},
        (entity,),
        _long_problems(tokens=tokens, cost_micros=cost_micros),
    )


def execute(ctx: RunContext, facts: Facts) -> Request:
    """May this whole program run? Decided before anything of it does."""
    context = {"run": _run(ctx), "program": _program(facts)}
    return Request("execute", ("Agent", ctx.agent), ("Workspace", ctx.workspace), context)


def call(
    ctx: RunContext,
    tool: ToolSpec,
    arguments: Mapping[str, Any],
    origins: Mapping[str, Origin],
    *,
    guards: Collection[str] = (),
    rounds: Collection[str] = (),
    seen: Collection[str] = (),
) -> Request:
    """May this tool be called with these actual arguments?

    Args:
        origins: argument name to origin, or path of what has a role inside one (`inner_paths`);
            "*" and "**" stand for all others. A path without an origin has that of what
            contains it, an argument without any counts as unknown.
        guards: labels of what decided whether the call happens (`Facts.guards_of`).
        rounds: labels of what decided how often (`Facts.rounds_of`).
        seen: labels of what this step read before the call (`Facts.read_before`).
    """
    passed = [
        Argument(name, tool.role(name), True, value, "", _origin_for(name, origins))
        for name, value in arguments.items()
    ]
    passed += [
        Argument(path, role_in(tool, path, value), True, value, "", _origin_for(path, origins))
        for path, value in _inner(tool, arguments)
    ]
    typed, problems = typed_arguments(tool, arguments)
    problems += _headers(tool, passed)
    about, more = _call(ctx, tool, passed, (guards, rounds, seen))
    return Request(
        f"call:{tool.name}",
        ("Agent", ctx.agent),
        ("Tool", tool.name),
        {"run": _run(ctx), "call": about, "argument": typed},
        problems=(*problems, *more),
        tool=(tool.name, tool.version),
    )


def planned_call(
    ctx: RunContext, tool: ToolSpec, site: CallSite, *, seen: Collection[str] = ()
) -> Request:
    """What `call` would be asked for this call site, as far as the program's text shows.

    Arguments that are not literals are left out of `argument`: only `engine.preview` may
    look at such a request, and it treats what depends on them as not decided.
    """
    literal = {a.name: a.value for a in site.arguments if a.known}
    typed, problems = typed_arguments(tool, literal)
    about, more = _call(ctx, tool, site.arguments, (site.guarded_by, site.looped_by, seen))
    return Request(
        f"call:{tool.name}",
        ("Agent", ctx.agent),
        ("Tool", tool.name),
        {"run": _run(ctx), "call": about, "argument": typed},
        problems=(*problems, *more),
        tool=(tool.name, tool.version),
        unknown=tuple(a.name for a in site.arguments if not a.known and "." not in a.name),
    )


def release(ctx: RunContext, value: object, origin: Origin) -> Request:
    """May this answer leave the run?"""
    text = _text_of(value)
    answer = {
        "labels": sorted(origin.labels),
        "choices": sorted(origin.control),
        "secrets": list(secrets_in(text)),
        "personal": list(personal_in(text)),
        "bytes": len(text.encode("utf-8", "surrogatepass")),
    }
    context = {"run": _run(ctx), "answer": answer}
    return Request("release", ("Agent", ctx.agent), ("Workspace", ctx.workspace), context)


def change(*, person: str, kind: str, summary: str, tier: int, now: datetime) -> Request:
    """May this person change how the platform is governed?"""
    about = {"kind": kind, "summary": summary[:500], "tier": tier, "now": _time(now)}
    entity = _entity("Subject", kind, {"kind": kind})
    return Request(
        "change", ("Person", person), ("Subject", kind), {"change": about}, (entity,),
        _long_problems(tier=tier),
    )  # fmt: skip


def restore(stored: Mapping[str, Any]) -> Request:
    """A request as it was stored with its decision, to be decided again.

    What a request of an earlier release did not say is filled with the stricter answer.

    Raises:
        ValueError: it is not a stored request.
    """
    try:
        context = dict(stored["context"])
        tool = tuple(map(str, stored.get("tool") or ()))
        about = context.get("call")
        if isinstance(about, Mapping):
            came = "tool" in about.get("recipient_sources", ())
            choices = map(str, about.get("choices", ()))
            older = {
                "amount_sources": [UNKNOWN_LABEL] if about.get("amount_known") else [],
                "deciders": sorted({choice.partition(" -> ")[0] for choice in choices}),
                "recipient_tools": [UNKNOWN_LABEL] if came else [],
                "first_use": True,
                "made_before": True,
                "over_budget": False,  # no budget could be crossed by signing then
                "today": dict.fromkeys(_TODAY, LONG_MAX),
            }
            context["call"] = {**older, **about}
        program = context.get("program")
        if isinstance(program, Mapping):
            older = {"rough": [UNKNOWN_LABEL], "touches": list(program.get("reads", ()))}
            context["program"] = {**older, **program}
        prompt = context.get("prompt")
        if isinstance(prompt, Mapping):
            context["prompt"] = {**_UNKNOWN_PROMPT, **prompt}
        return Request(
            action=str(stored["action"]),
            principal=_pair(stored["principal"]),
            resource=_pair(stored["resource"]),
            context=context,
            entities=tuple(stored.get("entities", ())),
            problems=tuple(map(str, stored.get("problems", ()))),
            tool=_pair(tool) if tool else None,
            unknown=tuple(map(str, stored.get("unknown", ()))),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a stored request: {type(error).__name__}: {error}") from error


def milder(request: Request) -> Request | None:
    """The same, had nothing been found where an earlier release did not look; None where it did."""
    prompt = request.context.get("prompt")
    if not isinstance(prompt, Mapping):
        return None
    blind: dict[str, list[str]] = {
        name: [] for name in _UNKNOWN_PROMPT if UNRECORDED in prompt.get(name, ())
    }
    if not blind:
        return None
    return replace(request, context={**request.context, "prompt": {**prompt, **blind}})


def _pair(parts: Any) -> tuple[str, str]:  # noqa: ANN401 - of a stored value
    kind, name = parts
    return str(kind), str(name)


def is_outward(effect: str, labels: Collection[str]) -> bool:
    """Whether what is passed to such a tool leaves the platform.

    Every write does. A read does when it answers with data from outside: the question it is
    asked is seen there (`fetch("https://…/?q=" + secret)`).
    """
    return effect != "read" or bool(_OUTWARD_LABELS & set(labels))


# Parts

_UNKNOWN_PROMPT: Mapping[str, Any] = {
    "secrets": [*SECRET_KINDS, UNRECORDED],
    "personal": [*PERSONAL_KINDS, UNRECORDED],
}


def _every(found: Collection[str], kinds: Collection[str]) -> list[str]:
    """What could not be read may hold any kind that a rule asks for."""
    return sorted({*found, *kinds} if UNREAD in found else found)


def _entity(kind: str, name: str, attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {"uid": {"type": kind, "id": name}, "attrs": dict(attributes), "parents": []}


def tool_entity(tool: ToolSpec) -> dict[str, Any]:
    return _entity(
        "Tool",
        tool.name,
        {
            "name": tool.name,
            "effect": tool.effect,
            "tier": tool.tier,
            "labels": sorted(tool.labels),
            "outward": is_outward(tool.effect, tool.labels),
        },
    )


def _time(moment: datetime) -> dict[str, Any]:
    text = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return {"__extn": {"fn": "datetime", "arg": text}}


def _run(ctx: RunContext) -> dict[str, Any]:
    now = ctx.now.astimezone(UTC)
    return {
        "agent": ctx.agent,
        "agent_version": ctx.agent_version,
        "requester": ctx.requester,
        "agency": ctx.agency,
        "step": ctx.step,
        "seen": sorted(ctx.control_labels),
        "spent": {name: min(ctx.spent.get(name, 0), _STORED_MAX) for name in _COUNTERS},
        "hour": now.hour,
        "weekday": now.isoweekday(),
        "now": _time(now),
    }


def _program(facts: Facts) -> dict[str, Any]:
    sites = [site for site in facts.calls if site.tool != FINAL_ANSWER]
    writes = [site for site in sites if site.effect != "read"]
    counts = [site.maximum for site in writes]
    known = [count for count in counts if count is not None]
    outward = [site for site in sites if is_outward(site.effect, site.tool_labels)]
    flows, choices = _flows(sites)
    named = _resources(facts)
    return {
        "problems": sorted({problem.kind for problem in facts.problems}),
        "imports": sorted({item.module.split(".")[0] for item in facts.imports}),
        "refused_imports": sorted({item.module for item in facts.imports if not item.allowed}),
        "features": _kinds(facts.features),
        "unmodelled": _kinds(facts.unmodelled),
        "rough": _kinds(facts.rough),
        "touches": sorted(facts.touches),
        "unbound": list(facts.unbound),
        "tools": sorted({site.tool for site in sites}),
        "writes": sorted({site.tool for site in writes}),
        "max_tier": max((site.tier for site in sites), default=0),
        "has_effect": bool(outward),
        "flows": sorted(flows),
        "choices": sorted(choices),
        "guards": sorted({f"{label} -> {s.tool}" for s in sites for label in s.guarded_by}),
        "reads": sorted(frozenset().union(*(site.tool_labels for site in sites))),
        "hosts": named("host"),
        "paths": named("path"),
        "emails": named("email"),
        "sql": named("sql"),
        "tables": named("table"),
        "secrets": named("secret"),
        "personal": named("personal"),
        "sent": sorted(_sent(outward)),
        "blobs": len(named("blob")),
        "loop_depth": facts.cost.loop_depth,
        "unbounded_loops": facts.cost.unbounded_loops,
        "max_writes": min(sum(known), LONG_MAX),
        "writes_counted": len(known) == len(counts),
        "lines": facts.cost.lines,
    }


def _sent(outward: Iterable[CallSite]) -> frozenset[str]:
    """Labels of data that the program passes to these tools, which reach outward."""
    return frozenset().union(*(a.origin.labels for site in outward for a in site.arguments))


def _resources(facts: Facts) -> Callable[[str], list[str]]:
    grouped: dict[str, set[str]] = {}
    for finding in facts.resources:
        grouped.setdefault(finding.kind, set()).add(finding.name)
    return lambda kind: sorted(grouped.get(kind, ()))


def _kinds(findings: Iterable[Finding]) -> list[str]:
    return sorted({text for f in findings for text in (f.kind, f"{f.kind}:{f.name}")})


def _flows(sites: Iterable[CallSite]) -> tuple[set[str], set[str]]:
    flows: set[str] = set()
    choices: set[str] = set()
    for site in sites:
        for argument in site.arguments:
            labels, control = argument.origin.labels, argument.origin.control
            if not labels and not control:
                continue
            for target in (_family(argument.role), f"{site.tool}.{argument.name}"):
                if target:
                    flows.update(f"{label} -> {target}" for label in labels)
                    choices.update(f"{label} -> {target}" for label in control)
    return flows, choices


def _family(role: str) -> str:
    return "amount" if role in _AMOUNT_ROLES else role


def inner_paths(tool: ToolSpec, arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """Paths of all that has a role inside these arguments, as `order.iban`."""
    return tuple(dict.fromkeys(path for path, _ in _inner(tool, arguments)))


def role_in(tool: ToolSpec, path: str, value: object) -> str:
    """The role of what stands at a path inside an actual argument.

    In an object that may have any fields, an address or account is one under any name, and as a
    name: it has the role of what is not known before the program runs.
    """
    role, name = tool.role(path), path.rpartition(".." if ".." in path else ".")[2]
    if role or path.partition(".")[0] not in tool.open_arguments or name.lower() in CONTENT_ROLES:
        return role
    return OBJECT if any(map(_names_somebody, [name, *_texts(value)])) else ""


def _names_somebody(text: str) -> bool:
    """Whether a text is an address or an account, also one with a name before it."""
    bare = text.strip().removesuffix(">").rpartition("<")[2].strip()
    account = "".join(bare.split()).upper()
    return (is_address(bare) and bare != "@") or (len(account) > 14 and is_address(account))


def _inner(tool: ToolSpec, arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    roles: dict[str, str] = {}  # a path may be met in each of many lines
    for name, argument in arguments.items():
        for path, value in inside(name, argument):
            if path not in roles:
                roles[path] = tool.role(path)
            if roles[path] or role_in(tool, path, value):
                yield path, value


def _headers(tool: ToolSpec, arguments: Iterable[Argument]) -> list[str]:
    """Arguments whose line breaks would add a header to a mail, such as a `Bcc:` in a subject."""
    if tool.effect == "read":
        return []
    return [
        f"argument {a.name!r} begins a line with the name of a header"
        for a in arguments
        if (a.role == "recipient" or a.name.rpartition(".")[2].lower() in _IN_HEADERS)
        and any(_HEADER.search(text) for text in _texts(a.value))
    ]


def _is_somebody(argument: Argument) -> bool:
    """Whether it says who is paid or told."""
    return argument.role == "recipient" or (argument.role == OBJECT and argument.known)


def _texts(value: object) -> list[str]:
    items = value if isinstance(value, list | tuple) else [value]
    return [item for item in items if isinstance(item, str)]


def _origin_for(name: str, origins: Mapping[str, Origin]) -> Origin:
    nearest = next((key for key in (name, *enclosing(name)) if key in origins), name)
    found = [origins[key] for key in (nearest, "*", "**") if key in origins]
    return join_origins(found) if found else Origin(frozenset(), frozenset({UNKNOWN_LABEL}))


def _call(
    ctx: RunContext,
    tool: ToolSpec,
    arguments: Iterable[Argument],
    circumstances: tuple[Collection[str], Collection[str], Collection[str]],
) -> tuple[dict[str, Any], list[str]]:
    passed = list(arguments)
    guards, rounds, seen = circumstances
    joined = join_origins(argument.origin for argument in passed)
    texts = [_text_of(a.value) for a in passed if a.known and "." not in a.name]
    whole = "\n".join(texts)
    amount, amount_known, problems = _amount(passed)
    about = {
        "flows": _pairs(passed, lambda origin: origin.labels),
        "choices": _pairs(passed, lambda origin: origin.control),
        "labels": sorted(joined.labels),
        "deciders": sorted(joined.control),
        "guards": sorted(guards),
        "rounds": sorted(rounds),
        "seen": sorted({*seen, *ctx.control_labels}),
        "recipient_sources": sorted(
            {kind for a in passed if _is_somebody(a) for kind in _source_kinds(a)}
        ),
        "amount_sources": sorted(
            {kind for a in passed if a.role in _AMOUNT_ROLES for kind in _source_kinds(a)}
        ),
        "recipient_tools": sorted(
            {name for a in passed if a.role == "recipient" for name in _source_tools(a)}
        ),
        "first_use": tool.name not in ctx.used_tools,
        "made_before": ctx.made_before,
        "roles": sorted({a.role for a in passed if a.role}),
        "amount_minor": amount,
        "amount_known": amount_known,
        "today": {name: min(ctx.today.get(name, 0), _STORED_MAX) for name in _TODAY},
        "over_budget": ctx.over_budget,
        "secrets": list(secrets_in(whole)),
        "personal": list(personal_in(whole)),
        "hosts": sorted({*hosts_in(whole), *_addressed(passed)}),
        "emails": sorted({address.lower() for address in emails_in(whole)}),
    }
    return about, problems


def _addressed(arguments: Iterable[Argument]) -> Iterator[str]:
    """Hosts of arguments that are addresses by role or name, also where no scheme says so.

    `//evil.example/?q=…`, `https:evil.example` and `evil.example` are asked as well.
    """
    for argument in arguments:
        name = argument.name.rpartition(".")[2]
        if role_of(name, argument.role, "write") == "url":
            for text in _texts(argument.value):
                host = _ADDRESSED.match(text)
                if host and host[1] and not hosts_in(text):
                    yield host[1].lower()


def _pairs(arguments: Iterable[Argument], labels: Callable[[Origin], frozenset[str]]) -> list[str]:
    return sorted(
        {
            f"{label} -> {target}"
            for argument in arguments
            for target in (_family(argument.role), argument.name)
            if target
            for label in labels(argument.origin)
        }
    )


def _source_kinds(argument: Argument) -> set[str]:
    """Kinds of source of an argument: task, literal, tool, step or unknown."""
    sources = argument.origin.sources
    kinds = set()
    for source in sources - {LITERAL}:
        if source in (TASK, TASK_LITERAL):
            kinds.add(TASK)
        elif source == ADDRESS or (source == TEXT and argument.role == "recipient"):
            kinds.add(LITERAL)
        elif source == TEXT:
            continue
        elif source.startswith(TOOL):
            kinds.add("tool")
        else:
            kinds.add("step" if source.startswith(STEP) else "unknown")
    if TASK_LITERAL in sources and LITERAL in sources:
        kinds.add(LITERAL)  # at another place in the program, which may be the one that called
    if kinds == {"step"} and LITERAL in sources:
        kinds.add(LITERAL)  # typed in an earlier step, and nothing that anybody else gave
    if kinds == {TASK, "step"}:  # an input that came as a variable, or a name bound to another
        return {TASK, LITERAL} if LITERAL in sources else {TASK}
    return kinds or ({LITERAL} if LITERAL in sources else {"unknown"})


def _source_tools(argument: Argument) -> set[str]:
    """Names of the tools whose results became part of a recipient."""
    if _source_kinds(argument) == {TASK}:
        return set()
    sources = argument.origin.sources
    return {source.removeprefix(TOOL) for source in sources if source.startswith(TOOL)}


def _amount(arguments: Iterable[Argument]) -> tuple[int, bool, list[str]]:
    """Sum of all amounts in hundredths, rounded up; `amount_minor` is in hundredths already.

    Without their signs: what is taken back moves as well, and must not hide what is paid.
    """
    total, known = 0, True
    for argument in arguments:
        if argument.role not in _AMOUNT_ROLES:
            continue
        if not argument.known:
            known = False
            continue
        minor = _minor(argument.value, _AMOUNT_ROLES[argument.role])
        if minor is None and "." in argument.name:
            known = False  # it may be called so without being one
            continue
        if minor is None or total + abs(minor) > _STORED_MAX:
            return 0, False, [f"amount {argument.name!r} is not a number the policies can compare"]
        total += abs(minor)
    return total, known, []


def _minor(value: object, hundredths: int) -> int | None:
    """Hundredths of a number, rounded away from nothing: no fraction dodges a limit."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = Decimal(str(value))
        if not number.is_finite() or number.adjusted() > 16:
            return None
        return int((number * hundredths).to_integral_value(ROUND_UP))
    except InvalidOperation:
        return None


_WORDS = {
    "Bool": "true or false",
    "String": "text",
    "Long": "a whole number that fits in 64 bits",
    "decimal": "a number of at most 14 digits before the point",
}
"""What the types of the schema are called to those who write programs."""


def typed_arguments(
    tool: ToolSpec, arguments: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Arguments as Cedar values of the schema's types, and those that have none."""
    typed: dict[str, Any] = {}
    problems: list[str] = []
    for name, (kind, nullable) in argument_types(tool).items():
        if name not in arguments or (nullable and arguments[name] is None):
            continue
        value = _typed(kind, arguments[name])
        if value is None:
            problems.append(f"argument {name!r} has to be {_WORDS.get(kind, 'a list of texts')}")
        else:
            typed[name] = value
    return typed, problems


def _typed(kind: str, value: object) -> object:
    if kind == "Bool":
        return value if isinstance(value, bool) else None
    if kind == "String":
        return value if isinstance(value, str) else None
    if kind == "Long":
        whole = isinstance(value, int) and not isinstance(value, bool)
        return value if whole and abs(int(str(value))) <= _STORED_MAX else None
    if kind == "decimal":
        return _decimal(value)
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return list(value)
    return None


def _decimal(value: object) -> object:
    """A Cedar decimal: four places, rounded away from zero, or None when out of range."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    number = Decimal(str(value))
    if not number.is_finite() or number.adjusted() > 13:
        return None
    text = format(number.quantize(Decimal("0.0001"), ROUND_UP), "f")
    return {"__extn": {"fn": "decimal", "arg": text}}


def _text_of(value: object) -> str:
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        return str(type(value))


def _long_problems(**numbers: int) -> tuple[str, ...]:
    return tuple(f"{name} is out of range" for name, n in numbers.items() if abs(n) > LONG_MAX)
