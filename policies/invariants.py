"""Promises that no policy version may break: "nobody pays over 10,000.00 on one signature". Pure.

An invariant is written as a rule, by the same forms: whatever that rule would catch must get at
least its answer from the policy, whichever rules give it. A final rule asks for a denial, one with
signatures for at least those signatures or a denial.

Proves: a counterexample is a request that the policy does answer too mildly. An invariant whose
own rule stands in the policy, as strict, is kept for certain. Does not prove: that an invariant
without such a rule is kept, only that none of the requests tried breaks it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from cedarpy import pst

from policies import witness
from policies.difference import facts_of
from policies.engine import (
    Decision,
    FiredRule,
    Outcome,
    PolicySet,
    Requirement,
    compile_policy,
    decide,
)
from policies.facts.record import ToolSpec
from policies.requests import Request
from policies.witness import Way

MOST_TRIED = 600
_BEAM = 12
_ANYTHING = '@id("anything") permit(principal, action, resource);\n'


@dataclass(frozen=True)
class Kept:
    """How a policy stands to one invariant.

    Attributes:
        certain: a rule of the policy says the very same, at least as strictly.
        counterexample: what is answered too mildly; None where nothing was found.
        facts: what of it the promise is about, as (name, value) in words.
        tool: the tool that it calls, if it calls one; not always a registered one.
        answer: the policy's answer to it.
        tried: how many requests were looked at.
    """

    id: str
    sentence: str
    certain: bool
    counterexample: Request | None = None
    answer: Decision | None = None
    tried: int = 0
    facts: tuple[tuple[str, str], ...] = ()
    tool: ToolSpec | None = None

    @property
    def broken(self) -> bool:
        return self.counterexample is not None


def check(
    text: str,
    invariants: Sequence[str],
    *,
    tools: Sequence[ToolSpec],
    past: Iterable[Request] = (),
) -> list[Kept]:
    """Look at each invariant, a rule's text, under a policy text.

    Raises:
        PolicyError: a text does not fit these tools.
    """
    everything = witness.ground_tools(tools)
    policies = compile_policy(text, tools=everything)
    seeds = list(past)
    return [_check(rule, policies, seeds) for rule in invariants]


def _check(rule: str, policies: PolicySet, seeds: Sequence[Request]) -> Kept:
    alone = compile_policy(_ANYTHING + rule, tools=policies.tools)
    [name] = set(alone.rules) - {"anything"}
    wanted, tree = alone.rules[name], alone.trees[name]
    if any(_says_the_same(tree, wanted, policies, other) for other in policies.rules):
        return Kept(name, wanted.sentence, certain=True)
    tried = 0
    for request in _candidates(tree, wanted, policies, seeds):
        if tried >= MOST_TRIED:
            break
        tried += 1
        caught = decide(request, alone)
        if caught.outcome is Outcome.ALLOW or caught.errors:
            continue
        found = decide(request, policies)
        if not found.errors and not at_least(found.outcome, found.requirement, wanted):
            return _broken(wanted, tree, request, found, tried, policies)
    return Kept(name, wanted.sentence, False, tried=tried)


def _broken(
    wanted: FiredRule,
    tree: pst.Template,
    request: Request,
    answer: Decision,
    tried: int,
    policies: PolicySet,
) -> Kept:
    paths = dict.fromkeys(path for way in witness.ways(tree) for path in way)
    tools = {tool.name: tool for tool in policies.tools}
    return Kept(
        wanted.id,
        wanted.sentence,
        certain=False,
        counterexample=request,
        answer=answer,
        tried=tried,
        facts=facts_of(request, paths),
        tool=tools.get(request.resource[1]) if request.resource[0] == "Tool" else None,
    )


def at_least(outcome: Outcome, requirement: Requirement, wanted: FiredRule) -> bool:
    """Whether an answer is as strict as the rule asks."""
    if outcome is Outcome.DENY:
        return True
    if outcome is Outcome.ALLOW or not wanted.roles:
        return False
    [role] = wanted.roles
    return requirement.covers(Requirement(((role, wanted.quorum),), wanted.factor))


def _says_the_same(tree: pst.Template, wanted: FiredRule, policies: PolicySet, name: str) -> bool:
    rule, other = policies.rules[name], policies.trees[name]
    if rule.shadow or other.effect != "forbid" or _bare(tree) != _bare(other):
        return False
    if not rule.roles:
        return True
    alone = Requirement(((rule.roles[0], rule.quorum),), rule.factor)
    return at_least(Outcome.REVIEW, alone, wanted)


def _bare(tree: pst.Template) -> pst.Template:
    return replace(tree, id="", annotations=type(tree.annotations)())


def _candidates(
    tree: pst.Template, wanted: FiredRule, policies: PolicySet, seeds: Sequence[Request]
) -> Iterator[Request]:
    """Requests that the invariant catches: first those that step around the policy's rules."""
    tools = {tool.name: tool for tool in policies.tools}
    quiet = [r for r in witness.base(policies.tools) if witness.acts_on(tree, r)]
    plain = witness.ways(tree)
    for way in [*_around(plain, quiet, policies), *plain]:
        for request in [*quiet, *seeds[:20]]:
            yield from witness.fulfil(request, way, tools)
    yield from seeds


def _around(plain: Sequence[Way], quiet: Sequence[Request], policies: PolicySet) -> list[Way]:
    """Ways in which the invariant's condition holds and as few strict rules as possible do.

    Args:
        quiet: of the invariant's own action; rules about another ask for what these do not have.
    """
    beam = list(plain)
    for name, rule in policies.rules.items():
        tree = policies.trees[name]
        asked = any(witness.acts_on(tree, request) for request in quiet)
        if rule.shadow or tree.effect != "forbid" or not asked:
            continue
        lacking = witness.ways(tree, holds=False)
        next_beam = []
        for way in beam:
            joined = [both for other in lacking if (both := witness.join(way, other)) is not None]
            next_beam += joined[:2] or [way]
        beam = next_beam[:_BEAM]
    return beam
