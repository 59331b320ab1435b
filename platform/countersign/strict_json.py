"""JSON as it comes in by any door: I-JSON (RFC 7493), so that every program reads the same value.

Two readers who disagree about a document (which of two equal names counts, what 1e400 or 2**60 is)
would disagree about what was asked for. Such documents are refused, as is what the database cannot
hold (U+0000) and what is nested deeper than `MAX_DEPTH`. Pure.
"""

import json
import math
import re
from typing import Any

MAX_DEPTH = 32
MAX_INTEGER = 2**53 - 1
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class Unfit(ValueError):
    """A value that no field may hold: `where` in the document, and `what` is wrong with it."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where} {what}")
        self.where, self.what = where, what


def read(text: str, where: str) -> Any:  # noqa: ANN401 - any JSON value
    """The value of a JSON text.

    Args:
        text: the document.
        where: what messages call its root.

    Raises:
        Unfit: JSON that no field may hold.
        ValueError: no JSON.
    """
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
        _check(value, where, where, 0)
    except RecursionError as error:
        raise ValueError(f"it is nested far deeper than {MAX_DEPTH}") from error
    return value


def _check(value: Any, root: str, where: str, depth: int) -> None:  # noqa: ANN401 - any JSON value
    if depth > MAX_DEPTH:
        raise Unfit(root, f"is nested deeper than {MAX_DEPTH}")
    match value:
        case str() if UNSTORABLE.search(value):
            raise Unfit(where, "holds a character that cannot be stored")
        case int() if abs(value) > MAX_INTEGER:
            raise Unfit(where, "is beyond 2**53-1; send large numbers as text")
        case float() if not math.isfinite(value):
            raise Unfit(where, "is beyond the range of numbers; send it as text")
        case dict():
            for key, item in value.items():
                if not key or UNSTORABLE.search(key):
                    raise Unfit(where, "has an empty name or one that cannot be stored")
                _check(item, root, f"{where}.{key}", depth + 1)
        case list():
            for number, item in enumerate(value):
                _check(item, root, f"{where}.{number}", depth + 1)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has the same name twice")
    return found


def _no_constant(text: str) -> Any:  # noqa: ANN401 - never returns
    raise ValueError(f"{text} is no number of JSON")
