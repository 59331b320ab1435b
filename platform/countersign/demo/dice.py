"""Draws that are the same on every machine and every Python: SHA-256 of the question asked.

Each draw depends on its own key alone, so that adding a row never moves another.
"""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def number(low: int, high: int, *key: object) -> int:
    """A whole number from `low` to `high`, both included."""
    digest = hashlib.sha256("|".join(map(str, key)).encode()).digest()
    return low + int.from_bytes(digest[:8], "big") % (high - low + 1)


def choice(options: Sequence[T], *key: object) -> T:
    """One of `options`."""
    return options[number(0, len(options) - 1, *key)]


def shuffled(options: Sequence[T], *key: object) -> list[T]:
    """All of `options` in another order."""
    order = sorted(range(len(options)), key=lambda place: number(0, 2**62, *key, place))
    return [options[place] for place in order]
