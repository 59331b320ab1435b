"""What stands between a draft and its submission, and what a second officer is told of it. Pure.

A version is ready when (1) its text fits the tools of today, (2) it has required tests and every
one passes, (3) it breaks no invariant, neither one in force nor one of its own, and (4) it changes
either the rules or the invariants, not both at once: whoever signs a promise away sees just that.
"""

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from policies import cases, forms
from policies.cases import Checked
from policies.difference import Difference, difference, obligations
from policies.engine import PolicyError, compile_policy
from policies.facts.record import ToolSpec
from policies.forms import FormError, RuleForm
from policies.invariants import Kept, check
from policies.sentences import obligation
from policies.strangers import strangers

MAX_INVARIANTS = 50
_REMEMBERED = 32


@dataclass(frozen=True)
class Content:
    """What a version consists of; invariants are the texts of rules."""

    text: str
    tests: Sequence[Mapping[str, Any]]
    invariants: Sequence[str]


@dataclass(frozen=True)
class Readiness:
    """How a version stands.

    Attributes:
        problem: why its text cannot be used at all; then nothing else was looked at.
        tests, invariants: each with how it went; those in force are among the invariants.
        difference: to the version in force.
        obstacles: sentences that say what must be done before it can be submitted.
        strangers: sentences about names in its rules that nothing has; they hold nothing up.
    """

    problem: str = ""
    tests: tuple[Checked, ...] = ()
    invariants: tuple[Kept, ...] = ()
    difference: Difference | None = None
    obstacles: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        return not self.problem and not self.obstacles

    def to_json(self) -> dict[str, Any]:
        """As it stands on the card that the second officer signs."""
        return {
            "tests": [
                {
                    "name": t.name,
                    "expected": t.expected,
                    "signatures": t.signatures.to_json(),
                    "got": t.answered,
                    "passed": t.passed,
                }
                for t in self.tests
            ],
            "invariants": [
                {
                    "id": k.id,
                    "sentence": k.sentence,
                    "certain": k.certain,
                    "broken": k.broken,
                    "tried": k.tried,
                    **({"example": found} if (found := counterexample(k)) else {}),
                }
                for k in self.invariants
            ],
            "difference": _difference(self.difference),
            "strangers": list(self.strangers),
        }


def readiness(content: Content, active: Content, *, tools: Sequence[ToolSpec]) -> Readiness:
    """Look at a version beside the one in force; the same question is answered once."""
    key = _key(content, active, tools)
    with _lock:
        if key in _known:
            _known.move_to_end(key)
            return _known[key]
    found = _readiness(content, active, tools)
    with _lock:
        _known[key] = found
        while len(_known) > _REMEMBERED:
            _known.popitem(last=False)
    return found


def invariant(form: RuleForm) -> str:
    """The text of an invariant.

    Raises:
        FormError: the form makes none.
    """
    if form.shadow:
        raise FormError("An invariant that is only recorded promises nothing.")
    return forms.write(form)


_lock = Lock()
_known: OrderedDict[str, Readiness] = OrderedDict()


def _key(content: Content, active: Content, tools: Sequence[ToolSpec]) -> str:
    parts = [[one.text, list(one.tests), list(one.invariants)] for one in (content, active)]
    known = [
        [t.name, t.version, t.effect, t.tier, sorted(t.labels), dict(t.roles), dict(t.parameters)]
        for t in tools
    ]
    return json.dumps([parts, known], sort_keys=True, default=str)


def _readiness(content: Content, active: Content, tools: Sequence[ToolSpec]) -> Readiness:
    try:
        policies = compile_policy(content.text, tools=tools)  # (1)
        promised = list(dict.fromkeys([*active.invariants, *content.invariants]))
        kept = check(content.text, promised, tools=tools)
    except PolicyError as error:
        return Readiness(problem=str(error))
    tests = cases.check(content.tests, policies)
    return Readiness(
        tests=tuple(tests),
        invariants=tuple(kept),
        difference=_compare(active, content, tools),
        obstacles=tuple(_obstacles(content, active, tests, kept)),
        strangers=tuple(strangers(policies)),
    )


def _obstacles(
    content: Content, active: Content, tests: Sequence[Checked], kept: Sequence[Kept]
) -> list[str]:
    found = []
    if not tests:  # (2)
        found.append("It has no required tests: add at least one.")
    failed = [test.name for test in tests if not test.passed]
    if failed:
        found.append(f"Required tests fail: {', '.join(failed[:5])}.")
    broken = [one.id for one in kept if one.broken]  # (3)
    if broken:
        found.append(f"It breaks an invariant: {', '.join(broken[:5])}.")
    other = list(content.invariants) != list(active.invariants)  # (4)
    if other and content.text != active.text:
        found.append("It changes rules and invariants at once: submit one, then the other.")
    return found


def _compare(active: Content, content: Content, tools: Sequence[ToolSpec]) -> Difference | None:
    try:
        return difference(active.text, content.text, tools=tools)
    except PolicyError:
        # The version in force does not fit the tools of today; the new one may be the remedy.
        return None


def counterexample(kept: Kept) -> dict[str, Any]:
    """A request that the version answers too mildly; empty where none was found."""
    request, answer = kept.counterexample, kept.answer
    if request is None or answer is None:
        return {}
    return {
        "action": request.action,
        "resource": request.resource[1],
        "facts": [{"name": name, "value": value} for name, value in kept.facts],
        "tool": {} if kept.tool is None else {"effect": kept.tool.effect, "tier": kept.tool.tier},
        "answer": answer.outcome.value,
        "signatures": answer.requirement.to_json(),
    }


def _difference(found: Difference | None) -> dict[str, Any]:
    if found is None:
        return {}
    return {
        "added": list(found.added),
        "removed": list(found.removed),
        "changed": list(found.changed),
        "tried": found.tried,
        "rules": [{"id": r.id, "before": r.before, "after": r.after} for r in found.rules],
        "examples": [
            {
                "action": each.request.action,
                "resource": each.request.resource[1],
                "facts": [{"name": name, "value": value} for name, value in each.facts],
                "before": each.before.outcome.value,
                "after": each.after.outcome.value,
                "before_signatures": each.before.requirement.to_json(),
                "after_signatures": each.after.requirement.to_json(),
                "before_follows": [obligation(one) for one in obligations(each.before)],
                "after_follows": [obligation(one) for one in obligations(each.after)],
            }
            for each in found.examples
        ],
    }
