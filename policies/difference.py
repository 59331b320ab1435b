"""What two policy sets decide differently, by a request that shows it. Pure.

Proves: a request that is found does change its outcome, by the engine itself. Where no rule
differs, nothing can change. Does not prove: where rules differ and no request was found, that there
is none; the number of requests tried says how hard it was looked for.

Where it looks: (1) requests at which the old and the new form of a rule part, (2) requests that
make a changed rule hold, (3) the same written into past requests, (4) the past requests themselves.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from cedarpy import pst

from policies import witness
from policies.engine import Decision, PolicySet, Requirement, compile_policy, decide
from policies.facts.record import ToolSpec
from policies.requests import Request
from policies.sentences import obligation
from policies.witness import Way

MOST_TRIED = 1500
MOST_EXAMPLES = 5
_SEEDS = 20


@dataclass(frozen=True)
class Example:
    """A request whose outcome changes.

    Attributes:
        facts: what is special about it, as (name, value) in words.
        past: whether it was asked in the past, so that it is no invention.
    """

    request: Request
    before: Decision
    after: Decision
    facts: tuple[tuple[str, str], ...]
    past: bool = False


@dataclass(frozen=True)
class RuleChange:
    """A rule as a sentence, before and after; "" where there is none."""

    id: str
    before: str
    after: str


@dataclass(frozen=True)
class Difference:
    """What was found.

    Attributes:
        added, removed, changed: ids of rules.
        tried: how many requests were decided by both sets.
        rules: those that differ, as sentences.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    examples: tuple[Example, ...]
    tried: int
    rules: tuple[RuleChange, ...] = ()

    @property
    def same_rules(self) -> bool:
        return not (self.added or self.removed or self.changed)


def difference(
    old: str, new: str, *, tools: Sequence[ToolSpec], past: Iterable[Request] = ()
) -> Difference:
    """Search for requests that two policy texts decide differently.

    Raises:
        PolicyError: a text does not fit these tools.
    """
    everything = witness.ground_tools(tools)
    before = compile_policy(old, tools=everything)
    after = compile_policy(new, tools=everything)
    added = tuple(sorted(set(after.rules) - set(before.rules)))
    removed = tuple(sorted(set(before.rules) - set(after.rules)))
    both = set(before.rules) & set(after.rules)
    changed = tuple(sorted(name for name in both if _differs(before, after, name)))
    if not (added or removed or changed):
        return Difference((), (), (), (), 0)
    seeds = [_today(request, after) for request in past]
    candidates = _candidates(before, after, (*added, *removed, *changed), seeds)
    examples, tried = _search(candidates, before, after)
    names = (*added, *changed, *removed)
    told = tuple(RuleChange(n, _told_rule(before, n), _told_rule(after, n)) for n in names)
    return Difference(added, removed, changed, examples, tried, told)


def _told_rule(policies: PolicySet, name: str) -> str:
    rule = policies.rules.get(name)
    if rule is None:
        return ""
    told = f"Only recorded: {rule.sentence}" if rule.shadow else rule.sentence
    return " ".join([told, *map(obligation, rule.obligations)])


def _differs(before: PolicySet, after: PolicySet, name: str) -> bool:
    one, other = before.rules[name], after.rules[name]
    same = (one.roles, one.quorum, one.factor, one.shadow, one.obligations) == (
        other.roles,
        other.quorum,
        other.factor,
        other.shadow,
        other.obligations,
    )
    bare = [
        replace(p.trees[name], annotations=type(p.trees[name].annotations)())
        for p in (before, after)
    ]
    return not same or bare[0] != bare[1]


def _today(request: Request, policies: PolicySet) -> Request:
    """A past request as if its tool had been called in today's version."""
    if request.tool is None or request.tool[0] not in policies.versions:
        return request
    return replace(request, tool=(request.tool[0], policies.versions[request.tool[0]]))


def _candidates(
    before: PolicySet, after: PolicySet, names: Sequence[str], seeds: Sequence[Request]
) -> Iterator[tuple[Request, Way, bool]]:
    quiet = witness.base(before.tools)
    tools = {tool.name: tool for tool in before.tools}
    plans = [plan for name in names for plan in _plans(before, after, name)]
    for rule, way in plans:
        for request in quiet:
            if witness.acts_on(rule, request):
                for made in witness.fulfil(request, way, tools):
                    yield made, way, False
    for rule, way in plans:
        for request in seeds[:_SEEDS]:
            if witness.acts_on(rule, request):
                for made in witness.fulfil(request, way, tools):
                    yield made, way, False
    for request in seeds:
        yield request, {}, True


def _plans(before: PolicySet, after: PolicySet, name: str) -> Iterator[tuple[pst.Template, Way]]:
    """Ways that part the old rule from the new one, then ways that make either hold."""
    old, new = before.trees.get(name), after.trees.get(name)
    if old is not None and new is not None:
        for one, other in ((old, new), (new, old)):
            for way in witness.ways(one):
                for lacking in witness.ways(other, holds=False):
                    joined = witness.join(way, lacking)
                    if joined is not None:
                        yield one, joined
    for rule in (new, old):
        if rule is not None:
            yield from ((rule, way) for way in witness.ways(rule))


def _search(
    candidates: Iterable[tuple[Request, Way, bool]], before: PolicySet, after: PolicySet
) -> tuple[tuple[Example, ...], int]:
    examples: dict[tuple[str, str, str], Example] = {}
    tried = 0
    for request, way, past in candidates:
        if tried >= MOST_TRIED or len(examples) >= MOST_EXAMPLES:
            break
        tried += 1
        one, other = decide(request, before), decide(request, after)
        if answer(one) == answer(other) or (one.errors and other.errors):
            continue
        kind = request.action.partition(":")[0]
        key = (kind, str(answer(one)), str(answer(other)))
        examples.setdefault(key, Example(request, one, other, facts_of(request, way), past))
    return tuple(examples.values()), tried


def answer(decision: Decision) -> tuple[str, Requirement, tuple[str, ...]]:
    """What a decision comes to: its outcome, who must sign and with what, and what follows."""
    return decision.outcome.value, decision.requirement, obligations(decision)


def obligations(decision: Decision) -> tuple[str, ...]:
    """What follows from a decision beside its outcome, such as "mask:iban", in order."""
    enforced = [rule for rule in decision.rules if not rule.shadow]
    return tuple(sorted({each for rule in enforced for each in rule.obligations}))


def facts_of(request: Request, way: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """What a request says at these paths, as (name, value) in words."""
    found = []
    for path in way:
        value: object = request.context
        for name in path.split(".")[1:]:
            value = value.get(name) if isinstance(value, Mapping) else None
        if path.startswith("context."):
            found.append((path.removeprefix("context."), _told(path, value)))
    return tuple(found)


def _told(path: str, value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if path.endswith("amount_minor") and isinstance(value, int):
        return f"{value / 100:,.2f}"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "nothing"
    if isinstance(value, Mapping):
        return str(value.get("__extn", {}).get("arg", ""))
    return str(value)
