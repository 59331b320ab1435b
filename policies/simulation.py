"""Past decisions, decided again by another policy set. Pure.

Two requests that agree on everything that the rules read get the same answer, so each such group
is decided once: that is what makes tens of thousands of past decisions a matter of seconds. What
the rules read is taken from their syntax trees; the shape of the whole request is compared as well,
since a request of another shape is not valid, and what is not valid is denied.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from policies.cases import CaseError, today
from policies.engine import Decision, PolicySet, Requirement, decide
from policies.requests import Request, milder, restore

MOST_REMEMBERED = 100_000
NOT_LOOKED = (
    "When this was decided, nobody looked for passwords, keys and personal data in the prompt."
)
OTHER = "other"
"""A review as before, but with other signatures."""


@dataclass(frozen=True)
class Past:
    """A decision as it was stored.

    Attributes:
        key: the caller's own, such as its id.
        requirement: who had to sign: (role, count), in order of role.
        factor: what they needed beside the password, or "".
    """

    key: Any
    action: str
    outcome: str
    requirement: tuple[tuple[str, int], ...]
    request: Mapping[str, Any]
    factor: str = ""

    @property
    def signatures(self) -> Requirement:
        return Requirement(self.requirement, self.factor)


@dataclass(frozen=True)
class Replayed:
    """A past decision beside what it would be now; `now` is None where it cannot be said."""

    past: Past
    now: Decision | None
    problem: str = ""

    @property
    def changed(self) -> bool:
        if self.now is None:
            return False
        after = (self.now.outcome.value, self.now.requirement)
        return after != (self.past.outcome, self.past.signatures)

    @property
    def move(self) -> str:
        """Such as "allow -> deny"; "allow -> ?" where it cannot be said.

        Where only who must sign, or with what, differs it is "review -> other".
        """
        after = self.now.outcome.value if self.now else "?"
        if self.changed and after == self.past.outcome:
            after = OTHER
        return f"{self.past.outcome} -> {after}"


class Simulator:
    """Decides many requests by one policy set, each group of alike ones once."""

    def __init__(self, policies: PolicySet) -> None:
        self.policies = policies
        self.decided = 0
        self._paths = [tuple(path.split(".")[1:]) for path in sorted(policies.reads)]
        self._known: dict[object, Decision] = {}

    def replay(self, decisions: Iterable[Past]) -> Iterator[Replayed]:
        """Each past decision with what it would be, in the same order."""
        for past in decisions:
            try:
                request = today(restore(past.request), self.policies)
            except (ValueError, CaseError) as error:
                yield Replayed(past, None, str(error))
                continue
            yield self._replayed(past, request)

    def _replayed(self, past: Past, request: Request) -> Replayed:
        now, other = self.decide(request), milder(request)
        if other is not None:
            best = self.decide(other)
            if (best.outcome, best.requirement) != (now.outcome, now.requirement):
                return Replayed(past, None, NOT_LOOKED)
        return Replayed(past, now)

    def decide(self, request: Request) -> Decision:
        """The decision on one request."""
        key = self._key(request)
        found = self._known.get(key)
        if found is None:
            self.decided += 1
            found = decide(request, self.policies)
            if len(self._known) < MOST_REMEMBERED:
                self._known[key] = found
        return found

    def _key(self, request: Request) -> object:
        read = tuple(_frozen(_value(request.context, path)) for path in self._paths)
        return (
            request.action,
            request.principal,
            request.resource,
            request.tool,
            request.problems,
            request.unknown,
            _frozen(request.entities),
            _shape(request.context),
            read,
        )


def _value(context: Mapping[str, Any], path: tuple[str, ...]) -> object:
    value: Any = context
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return value


def _frozen(value: object) -> object:
    # The type is part of it: True is not 1 in Cedar, and None is not "absent".
    if isinstance(value, Mapping):
        return tuple((key, _frozen(value[key])) for key in sorted(value))
    if isinstance(value, list | tuple):
        return (list, *(_frozen(item) for item in value))
    return (type(value), value)


def _shape(value: object) -> object:
    if isinstance(value, Mapping):
        return tuple((key, _shape(value[key])) for key in sorted(value))
    if isinstance(value, list | tuple):
        return (list, *sorted({type(item).__name__ for item in value}))
    return type(value)
