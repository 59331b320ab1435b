"""Two texts beside each other, with what differs between them marked."""

from dataclasses import dataclass
from itertools import takewhile

from agents.errors import Divergence


@dataclass(frozen=True)
class Side:
    """One text: the same on both sides, what only this one has, the same again."""

    before: str
    own: str
    after: str


@dataclass(frozen=True)
class Sides:
    """Where a replay left the journal; `call` is its place in the step, from 1, or 0."""

    what: str
    call: int
    recorded: Side
    replayed: Side


def apart(divergence: Divergence | None) -> Sides | None:
    if divergence is None:
        return None
    one, other = divergence.recorded, divergence.replayed
    begin = _common(one, other)
    end = _common(one[begin:][::-1], other[begin:][::-1])
    call = 0 if divergence.call is None else divergence.call + 1
    return Sides(divergence.what, call, _side(one, begin, end), _side(other, begin, end))


def _common(one: str, other: str) -> int:
    """How many characters both begin with."""
    same = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return sum(1 for _ in same)


def _side(text: str, begin: int, end: int) -> Side:
    cut = len(text) - end
    return Side(text[:begin], text[begin:cut], text[cut:])
