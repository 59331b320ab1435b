"""Reads the fields of a YAML file one by one and collects what is wrong with them. Pure.

A person who corrects a file wants all of its faults, each with its line, not the first one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from agents.registry.text import Path, Read


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with the file.

    Attributes:
        line: from 1.
        place: such as `agents.Accounts payable.limits.steps`.
        sentence: what is wrong and what is expected.
    """

    line: int
    place: str
    sentence: str

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        return f"line {self.line}: {where}{self.sentence}"


class Section:
    """A mapping of the file with its place. Reading a key gives a usable value in any case.

    Attributes:
        value: the mapping (or the text, for an entry in short form).
        failed: whether anything was wrong in this section.
    """

    def __init__(
        self,
        found: Read,
        path: Path,
        value: object,
        faults: list[Fault],
        *,
        short: bool = False,
    ) -> None:
        self._found, self._path, self._faults = found, path, faults
        self.failed = False
        self.value: Any = value
        if not isinstance(value, dict) and not (short and isinstance(value, str)):
            self.fault("it must be a mapping of names to values")
            self.value = {}

    @property
    def name(self) -> str:
        return str(self._path[-1])

    def fault(self, sentence: str, key: str | int | None = None) -> None:
        """Notes a fault of this section, or of one of its keys."""
        path = self._path if key is None else (*self._path, key)
        place = ".".join(map(str, path))
        self._faults.append(Fault(self._found.line(path), place, sentence))
        self.failed = True

    def has(self, key: str) -> bool:
        return key in self.value

    def only(self, *keys: str) -> None:
        """Every other key is a fault: a misspelt limit must not be ignored."""
        for key in self.value:
            if key not in keys:
                self.fault(f"there is no such field; known: {', '.join(keys)}", key)

    def entries(self, key: str, name: re.Pattern[str], *, short: bool = False) -> list["Section"]:
        """The named entries under a key; badly named ones are faults.

        With `short`, an entry may be a text instead of a mapping.
        """
        if not self.has(key):
            return []
        section = Section(self._found, (*self._path, key), self.value[key], self._faults)
        for entry in section.value:
            if not name.fullmatch(entry):
                section.fault("this cannot be a name here", entry)
        return [
            Section(self._found, (key, entry), section.value[entry], self._faults, short=short)
            for entry in section.value
        ]

    def inner(self, key: str) -> "Section | None":
        if self.value.get(key) is None:
            return None
        section = Section(self._found, (*self._path, key), self.value[key], self._faults)
        self.failed = self.failed or section.failed
        return section

    def items(self, key: str) -> list["Section"]:
        value = self.value.get(key, [])
        if not isinstance(value, list):
            self.fault("it must be a list", key)
            return []
        path = (*self._path, key)
        return [
            Section(self._found, (*path, place), item, self._faults)
            for place, item in enumerate(value)
        ]

    def text(
        self,
        key: str,
        default: str | None = None,
        pattern: re.Pattern[str] | None = None,
        expected: str = "",
    ) -> str:
        value = self.value.get(key, default)
        if value is None:
            self.fault(f"{key} is missing")
            return ""
        if not isinstance(value, str) or (default is None and not value.strip()):
            self.fault("it must be a text, not empty", key)
            return ""
        if pattern is not None and value != default and not pattern.fullmatch(value):
            self.fault(f"it must be {expected}", key)
        return value

    def choice(self, key: str, known: Sequence[str], default: str) -> str:
        value = self.value.get(key, default)
        if value not in known:
            self.fault(f"it must be one of: {', '.join(known)}", key)
            return default
        return str(value)

    def choices(self, key: str, known: Sequence[str]) -> tuple[str, ...]:
        value = self.value.get(key, [])
        if not isinstance(value, list) or any(item not in known for item in value):
            self.fault(f"it must be a list of: {', '.join(known)}", key)
            return ()
        return tuple(map(str, value))

    def words(self, key: str, pattern: re.Pattern[str]) -> tuple[str, ...]:
        value = self.value.get(key, [])
        good = isinstance(value, list) and all(
            isinstance(item, str) and pattern.fullmatch(item) for item in value
        )
        if not good:
            self.fault("it must be a list of names", key)
            return ()
        for word in {word for word in value if value.count(word) > 1}:
            self.fault(f"{word} is given twice", key)
        return tuple(value)

    def flag(self, key: str) -> bool:
        value = self.value[key]
        if not isinstance(value, bool):
            self.fault("it must be true or false", key)
        return value is True

    def whole(self, key: str, least: int, most: int = 2**53 - 1, default: int | None = None) -> int:
        value = self.value.get(key, default)
        if type(value) is not int or not least <= value <= most:
            until = f" to {most}" if most < 2**53 - 1 else " or more"
            self.fault(f"it must be a whole number, {least}{until}", key)
            return least
        return value

    def count(self, key: str) -> int:
        return self.whole(key, 1)

    def number(self, key: str) -> float:
        value = self.value[key]
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            self.fault("it must be a positive number", key)
            return 1.0
        return float(value)

    def micros(self, key: str) -> int:
        """A price in units of the currency as millionths of it, exactly."""
        value = self.value.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 10**6:
            self.fault("it must be a price, 0 or more", key)
            return 0
        exact = Decimal(str(value)) * 1_000_000
        if exact != int(exact):
            self.fault("it has more than six digits after the point", key)
        return int(exact)
