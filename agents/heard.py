"""What a run was given so far, by its task and its tools, and whether something stands in it.

A text stands in another as a whole: `corp.example` does not stand in `ann@corp.example`, nor an
account in a longer one. Case and blanks make no difference; `ß` and `ss` do, which are two hosts.
What a tool says after the run passed it to a tool is not the tool's word: who stores something and
reads it again has heard itself.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import TYPE_CHECKING

from agents.models import Call, CallState, Effect
from audit.canonical import JSON

if TYPE_CHECKING:
    from agents.session import Session

_BETWEEN = "\0"
"""Stands between texts and in none, so that nothing is found across two."""
_JOINERS = "@._+-/"
"""Between letters or digits they make one word of both sides; not at the end of a sentence."""
_NUMBER = re.compile(r"(?<![\w])\d+(?:[.,'\u2019\u00a0\u202f]\d+)*(?![\w])")
_TELLING = re.compile(r"\d|\w\s+\w")
_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ][\d:.+Z-]*)?|\d\d?[./]\d\d?[./]\d{4}")
_FINEST = Decimal("0.0001")
_NO_GROUP = r"(?!(?<=\d)\s\d)"
"""An account in groups of digits does not end between two groups."""
_OVER = (CallState.SUCCEEDED, CallState.FAILED)


@dataclass(frozen=True)
class Heard:
    """A value as it is searched: all texts and numbers in it, keys among them, in one case."""

    value: JSON = field(repr=False)

    @cached_property
    def text(self) -> str:
        return _BETWEEN.join(leaf.lower() for leaf in leaves(self.value))

    @cached_property
    def plain(self) -> str:
        return "".join(self.text.split())

    def holds(self, name: str) -> bool:
        """Whether this stands in it as a whole.

        Args:
            name: as `plain` gives it.
        """
        if name not in self.plain:
            return False
        if _is_word(self.text, _places(self.text, name), len(name)):
            return True
        spread = re.finditer(r"\s*".join(map(re.escape, name)) + _NO_GROUP, self.text)
        return any(_is_whole(self.text, *found.span()) for found in spread)

    @cached_property
    def solid(self) -> str:
        """Its letters and digits alone, with the names of fields and again without."""
        values = (str(value).lower() for value in _values(self.value))
        return f"{solid(self.text)}{_BETWEEN}{solid(''.join(values))}"

    @cached_property
    def lines(self) -> frozenset[str]:
        """The letters and digits of each line that says something: no single word, no date."""
        only = isinstance(self.value, str)
        values = [self.value] if only else _values(self.value)
        return frozenset(
            solid(line.lower())
            for text in values
            if isinstance(text, str)
            for line in text.splitlines()
            if (only or _TELLING.search(line)) and not _DATE.fullmatch(line.strip())
        )

    @cached_property
    def numbers(self) -> frozenset[str]:
        """Every number that is written in it, and the sums of columns, as `number` writes them."""
        found = {form for token in _NUMBER.findall(self.text) for form in _readings(token)}
        return frozenset(found | {number(total) for total in _sums(self.value)} - {""})

    @cached_property
    def fractions(self) -> frozenset[str]:
        """Those that are written with a mark between digits, as amounts in units are."""
        tokens = (token for token in _NUMBER.findall(self.text) if not token.isdigit())
        return frozenset(form for token in tokens for form in _readings(token))


def solid(text: str) -> str:
    """The letters and digits of a text, in its case."""
    return "".join(filter(str.isalnum, text))


def number(value: object) -> str:
    """A number in one form, to ten thousandths; "" for what is none."""
    try:
        exact = Decimal(str(value))
        if isinstance(value, bool) or not exact.is_finite() or abs(exact.adjusted()) > 18:
            return ""
        return format(exact.quantize(_FINEST).normalize() + 0, "f")
    except InvalidOperation:
        return ""


def plain(text: str) -> str:
    """A text without case and blanks."""
    return "".join(text.split()).lower()


def leaves(value: JSON) -> Iterator[str]:
    """All texts and numbers in a value, keys among them, in their order."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting += [part for pair in reversed(item.items()) for part in reversed(pair)]
        elif isinstance(item, list):
            waiting += reversed(item)
        elif isinstance(item, str | int | float):
            yield str(item)


def _values(value: JSON) -> Iterator[JSON]:
    """All that stands in a value and is no name of a field, in its order."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting += reversed(item.values())
        elif isinstance(item, list):
            waiting += reversed(item)
        else:
            yield item


def calls(session: "Session") -> Iterator[Call]:
    """The calls of the run that are over, in their order."""
    for step in session.steps:
        made = session.calls.get(step.id, {})
        for seq in sorted(made):
            if made[seq].state in _OVER:
                yield made[seq]


def of_task(session: "Session") -> Heard:
    """What the task says: goal, inputs and files that came with it."""
    found = session.heard.get("task")
    if found is None:
        files = [file.content.decode("utf-8", "replace") for file in session.given]
        value = [session.run.goal, session.run.inputs, *files]
        found = session.heard["task"] = Heard(value)
    return found


def of_call(session: "Session", call: Call) -> Heard:
    """What a call gave: its result, or what its error said."""
    return _kept(session, call, "gave", [call.result, call.error])


def passed(session: "Session", call: Call) -> Heard:
    """What the program passed to a call."""
    return _kept(session, call, "passed", call.arguments)


def is_readable(session: "Session", tools: Set[str], *, task: bool) -> bool:
    """Whether all that these tools, and the task, gave can be read.

    Files that are no text, and files of a tool, may hold anything.
    """
    if task and any(b"\0" in file.content for file in session.given):
        return False
    return not any(call.files for call in calls(session) if call.tool_version.tool.name in tools)


def is_given(
    session: "Session", tools: Set[str], holds: Callable[[Heard], bool], *, echoes: bool = False
) -> bool:
    """Whether one of these tools said this before the run passed it to any tool.

    Args:
        holds: whether it stands in something.
        echoes: only what was passed to a tool that writes is an echo; a look-up is none.
    """
    before: list[Call] = []
    for call in calls(session):
        if not echoes or call.tool_version.effect == Effect.WRITE:
            before.append(call)
        if call.tool_version.tool.name in tools and holds(of_call(session, call)):
            return not any(holds(passed(session, each)) for each in before)
    return False


def _kept(session: "Session", call: Call, what: str, value: JSON) -> Heard:
    found = session.heard.get((call.id, what))
    if found is None:
        found = session.heard[call.id, what] = Heard(value)
    return found


def _readings(token: str) -> Iterator[str]:
    """What a written number may be: marks stand between thousands, or before a fraction."""
    groups = re.split(r"\D", token)
    yield number("".join(groups))
    if len(groups) > 1:
        yield number(f"{''.join(groups[:-1])}.{groups[-1]}")


def _sums(value: JSON) -> Iterator[Decimal]:
    """The sum of each list of numbers, and of each field over a list of objects."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        inner = list(item.values()) if isinstance(item, dict) else item
        if not isinstance(inner, list):
            continue
        waiting += inner
        rows = [row for row in inner if isinstance(row, dict)]
        names = {name for row in rows for name in row}
        for column in (inner, *([row.get(name) for row in rows] for name in sorted(names))):
            known = [number(each) for each in column if not isinstance(each, dict | list)]
            yield sum((Decimal(each) for each in known if each), Decimal())


def _places(text: str, name: str) -> Iterator[int]:
    start = text.find(name)
    while start >= 0:
        yield start
        start = text.find(name, start + 1)


def _is_word(text: str, places: Iterable[int], length: int) -> bool:
    return any(_is_whole(text, start, start + length) for start in places)


def _is_whole(text: str, start: int, end: int) -> bool:
    """Whether what stands there is no part of a longer word, address or number."""
    before, beyond = text[max(start - 1, 0) : start], text[max(start - 2, 0) : max(start - 1, 0)]
    after, further = text[end : end + 1], text[end + 1 : end + 2]
    return not (
        _is_letter(before)
        or (before in _JOINERS and _is_letter(beyond))
        or _is_letter(after)
        or (after in _JOINERS and _is_letter(further))
    )


def _is_letter(sign: str) -> bool:
    """A letter or digit; those of scripts that put no blanks between words part them."""
    if sign.isascii():
        return sign.isalnum()
    return sign.isalnum() and unicodedata.east_asian_width(sign) not in ("W", "F")
