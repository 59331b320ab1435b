"""The shape of each request, read from the schema, and whether a request has it.

Cedar can check a request against the schema itself, which takes most of a decision's time. Here
the same is asked in less: every attribute is there, none that the schema does not know, each of
its type. So Cedar may be told only what the rules of an action read, and still nothing that is
missing, misspelled or of the wrong type is ever passed over. Where the two would differ, this
one refuses: the tests hold it against Cedar's own check.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

LONG_MAX = 2**63 - 1
_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|\w+(?:<\w+>)?|[^\s\w]|//[^\n]*')
_COMMENT = re.compile(r"//[^\n]*")
_EXTENSIONS = {
    "decimal": re.compile(r"-?\d{1,14}\.\d{1,4}", re.ASCII),
    "datetime": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII),
}


@dataclass(frozen=True)
class Record:
    """Attributes of a record: what each must be, and which may be left out."""

    fields: Mapping[str, "Kind"]
    optional: frozenset[str] = frozenset()


Kind: TypeAlias = Record | str
"""A record, or "String", "Long", "Bool", "Set<String>", "decimal", "datetime"."""


@dataclass(frozen=True)
class Shape:
    """What a request of one action must be: entity types and the context."""

    principal: str
    resource: str
    context: Record

    def fault(
        self, principal: tuple[str, str], resource: tuple[str, str], context: Mapping[str, Any]
    ) -> str:
        """What is wrong with a request, or ""."""
        for wanted, entity in ((self.principal, principal), (self.resource, resource)):
            if entity[0] != wanted or not _is_text(entity[1]):
                return f"{entity[0]} is not the {wanted} that this is asked of"
        problem = _fault(self.context, context)
        return f"context{problem}" if problem else ""


@lru_cache(maxsize=64)
def shapes(schema_text: str) -> Mapping[str, Shape]:
    """The shape of each action of a schema, by the action's id.

    Args:
        schema_text: as `schema.schema_for` writes it; not Cedar at large.
    """
    return _Reader(schema_text).read()


# Reading the schema


class _Reader:
    def __init__(self, text: str) -> None:
        self.tokens: Iterator[str] = iter(_TOKEN.findall(_COMMENT.sub("", text)))
        self.types: dict[str, Record] = {}
        self.found: dict[str, Shape] = {}

    def read(self) -> Mapping[str, Shape]:
        for word in self.tokens:
            if word == "type":
                name = next(self.tokens)
                self._to("{")
                self.types[name] = self._record()
            elif word == "action":
                self._action(json.loads(next(self.tokens)))
            self._to(";")
        return self.found

    def _to(self, wanted: str) -> None:
        while next(self.tokens) != wanted:
            pass

    def _action(self, name: str) -> None:
        self._to("principal")
        self._to(":")
        principal = next(self.tokens)
        self._to("resource")
        self._to(":")
        resource = next(self.tokens)
        self._to("context")
        self._to("{")
        self.found[name] = Shape(principal, resource, self._record())

    def _record(self) -> Record:
        """Read on behind a record's opening brace, up to its closing one."""
        fields: dict[str, Kind] = {}
        optional = set()
        for word in self.tokens:
            if word == "}":
                break
            if word == ",":
                continue
            name = json.loads(word) if word.startswith('"') else word
            if next(self.tokens) == "?":
                optional.add(name)
                self._to(":")
            kind = next(self.tokens)
            fields[name] = self._record() if kind == "{" else self.types.get(kind, kind)
        return Record(fields, frozenset(optional))


# Holding a request against it


def _fault(kind: Kind, value: object) -> str:
    """What is wrong, behind the name of what it is wrong with: " is not a Long"."""
    if isinstance(kind, Record):
        return _record_fault(kind, value)
    return "" if _fits(kind, value) else f" is not a {kind}"


def _record_fault(record: Record, value: object) -> str:
    if not isinstance(value, Mapping):
        return " is not a record"
    fields = record.fields
    if value.keys() != fields.keys():
        for name in value.keys() - fields.keys():
            return f".{name} is not known"
        for name in fields.keys() - value.keys() - record.optional:
            return f".{name} is missing"
    for name, found in value.items():
        problem = _fault(fields[name], found)
        if problem:
            return f".{name}{problem}"
    return ""


def _fits(kind: str, value: object) -> bool:
    if kind == "Set<String>":
        return type(value) is list and all(map(_is_text, value))
    if kind == "String":
        return _is_text(value)
    if kind == "Long":
        return type(value) is int and -LONG_MAX <= value <= LONG_MAX
    if kind == "Bool":
        return type(value) is bool
    if kind in _EXTENSIONS and type(value) is dict and value.keys() == {"__extn"}:
        told = value["__extn"]
        if type(told) is dict and told.keys() == {"fn", "arg"} and told["fn"] == kind:
            return type(told["arg"]) is str and bool(_EXTENSIONS[kind].fullmatch(told["arg"]))
    return False


def _is_text(value: object) -> bool:
    """A string that can be written down: one with half of a pair cannot."""
    if type(value) is not str:
        return False
    try:
        return value.isascii() or bool(value.encode())
    except UnicodeEncodeError:
        return False
