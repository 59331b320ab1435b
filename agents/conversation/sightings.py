"""What looks like a secret or personal data in the messages of a run, and where it stands. Pure.

Each message is read once, whole: what a conversation later shortens or leaves out counts as well,
since the model has been told it. So any worker that takes the run up finds the same.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Generic, TypeVar

from audit.canonical import JSON
from policies.facts.sensitive import PERSONAL_KINDS, SECRET_KINDS, UNREAD, Found, values_in
from policies.pieces import find
from policies.requests import PromptFacts
from policies.vocabulary import PERSONAL

MOST_TOLD = 50
MOST_SHOWN = 5
_PLACES = {
    "instructions": "the agent's instructions and tools",
    "task": "the task",
    "reply": "the reply of step {}",
    "result": "the result of step {}",
}
_FAMILIES = {
    "secret": ("prompt.secrets", SECRET_KINDS),
    "personal": ("prompt.personal", PERSONAL_KINDS),
}
_DOTS = "•••"
_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class Spoken:
    """One message of a run to or from its model.

    Attributes:
        message: "instructions", "task", "reply" or "result".
        step: number of the step it belongs to; 0 before the first.
    """

    message: str
    step: int
    text: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """One kind of what was found in one message.

    Attributes:
        family: "secret" or "personal".
        count: of different values.
        shown: the first of them, masked.
    """

    message: str
    step: int
    family: str
    kind: str
    count: int
    shown: tuple[str, ...]

    @property
    def place(self) -> str:
        return _PLACES[self.message].format(self.step)

    @property
    def name(self) -> str:
        """What people call the kind."""
        return PERSONAL.get(self.kind, self.kind)

    def to_json(self) -> dict[str, JSON]:
        """For the log: no value, masked or not."""
        return {
            "message": self.message,
            "step": self.step,
            "family": self.family,
            "kind": self.kind,
            "count": self.count,
        }


@dataclass
class Reader(Generic[_Row]):
    """Reads the messages of one run as they come, each once.

    Attributes:
        facts: what was found in all of them so far.
    """

    facts: PromptFacts | None = None
    _steps: int = field(default=0, repr=False)

    def read(
        self,
        opening: Callable[[], Iterable[Spoken]],
        steps: Sequence[_Row],
        turn: Callable[[_Row], Iterable[Spoken]],
    ) -> PromptFacts:
        """Read what is new.

        Args:
            opening: what comes before the first step; it stays the same.
            steps: all finished steps of the run.
            turn: the messages of one of them.
        """
        found = self.facts
        if found is None:
            found = PromptFacts()
            for spoken in opening():
                same = spoken.message == "instructions"
                found = found.joined(_known(spoken.text) if same else PromptFacts.of(spoken.text))
        for step in steps[self._steps :]:
            for spoken in turn(step):
                found = found.joined(PromptFacts.of(spoken.text))
        self.facts, self._steps = found, len(steps)
        return found


@lru_cache(maxsize=64)
def _known(text: str) -> PromptFacts:
    """Of a text that many runs begin with."""
    return PromptFacts.of(text)


def sightings(spoken: Iterable[Spoken]) -> list[Sighting]:
    """What stands in these messages, in their order."""
    return [one for each in spoken for one in _in_message(each)]


def _in_message(spoken: Spoken) -> list[Sighting]:
    kinds: dict[tuple[str, str], list[Found]] = {}
    for found in values_in(spoken.text):
        kinds.setdefault((found.family, found.kind), []).append(found)
    return [
        Sighting(
            spoken.message,
            spoken.step,
            family,
            kind,
            len(values),
            tuple(masked(one) for one in values[:MOST_SHOWN] if one.value),
        )
        for (family, kind), values in sorted(kinds.items())
    ]


def masked(found: Found) -> str:
    """Enough of a value to find it by, and not enough to use it."""
    value = found.value
    if found.family == "secret":
        return value[:2] + _DOTS if len(value) >= 16 else _DOTS
    if found.kind == "email":
        name, _, host = value.partition("@")
        return f"{name[:1]}{_DOTS}@{host}"
    return f"{value[:2]}{_DOTS}{value.rstrip()[-2:]}"


def told(found: Sequence[Sighting]) -> list[JSON]:
    """For the log: kinds and counts by message; of very many the first, and how many there are."""
    rows: list[JSON] = [one.to_json() for one in found[:MOST_TOLD]]
    if len(found) > MOST_TOLD:
        rows.append({"more": len(found) - MOST_TOLD})
    return rows


def sentence(found: Sequence[Sighting]) -> str:
    """Where what was found stands, for whoever asks why; "" where nothing was."""
    places: dict[str, list[str]] = {}
    for one in found:
        places.setdefault(one.place, []).append(one.name)
    if not places:
        return ""
    told = [f"{place} ({', '.join(kinds)})" for place, kinds in list(places.items())[:4]]
    more = f" and {len(places) - 4} more" if len(places) > 4 else ""
    return f"Found in {', '.join(told)}{more}."


def at_fault(
    found: Iterable[Sighting], rules: Iterable[Mapping[str, JSON]], text: str
) -> list[Sighting]:
    """Of what was found, that which the rules of a decision ask about.

    Args:
        rules: as the decision holds them.
        text: of the policy that they stand in.
    """
    pieces = [find(text, str(rule["id"])) for rule in rules if not rule.get("shadow")]
    asked = [piece.text for piece in pieces if piece is not None]
    return [one for one in found if any(_asks_about(rule, one) for rule in asked)]


def _asks_about(rule: str, one: Sighting) -> bool:
    """Whether the text of a rule reads this family, and names this kind or none."""
    family, kinds = _FAMILIES[one.family]
    named = [kind for kind in kinds if f'"{kind}"' in rule]
    return family in rule and (not named or one.kind in (*named, UNREAD))
