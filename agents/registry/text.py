"""Reads YAML that people write, as plain JSON values with the line of each. Pure.

Only what JSON can say: mappings with text keys, lists, text, numbers, booleans, null. Refused:
anchors and aliases (a small file could grow to gigabytes), tags (they name code), a key given
twice (the last one would win silently), several documents. Words are what they look like: `no`,
`on`, `12:30` and `2026-11-22` are text, unlike in YAML 1.1.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

MAX_BYTES = 1_000_000
MAX_DEPTH = 40

Path = tuple[str | int, ...]


class YamlError(ValueError):
    """The text cannot be read; the sentence says where.

    Attributes:
        line: from 1.
    """

    def __init__(self, line: int, sentence: str) -> None:
        super().__init__(f"line {line}: {sentence}")
        self.line = line
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Read:
    """What was read.

    Attributes:
        value: JSON.
        lines: place in the value → its line, from 1.
    """

    value: Any
    lines: Mapping[Path, int]

    def line(self, path: Path) -> int:
        """The line of a place, or of the nearest place above it that is there."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core words instead of those of 1.1."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}


_NUMBER_STARTS = list("-+0123456789.")
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]+)?$"),
    _NUMBER_STARTS,
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), ["t", "f"])
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:null", re.compile(r"^(?:~|null|)$"), ["~", "n", ""]
)


def read(text: str, max_bytes: int = MAX_BYTES) -> Read:
    """The value of a YAML (or JSON) text.

    Raises:
        YamlError: it is not such a text.
    """
    if len(text.encode("utf-8", "surrogatepass")) > max_bytes:
        raise YamlError(1, f"the file has more than {max_bytes} bytes")
    try:
        _check_events(text)
        node = yaml.compose(text, _Loader)
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        raise YamlError(mark.line + 1 if mark else 1, str(fault.problem or fault)) from None
    except yaml.YAMLError as fault:
        raise YamlError(1, str(fault)) from None
    if node is None:
        raise YamlError(1, "the file is empty")
    lines: dict[Path, int] = {}
    return Read(_value(node, (), lines), lines)


def _check_events(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, _Loader):
        mark = event.start_mark
        line = mark.line + 1 if mark is not None else 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise YamlError(line, "anchors and aliases (& and *) are not read; write it out")
        tag = getattr(event, "tag", None)
        if tag is not None and tag != "!":
            raise YamlError(line, f"tags such as {tag[:40]} are not read")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise YamlError(line, f"it is nested more than {MAX_DEPTH} deep")


def _value(node: yaml.Node, path: Path, lines: dict[Path, int]) -> Any:  # noqa: ANN401 - JSON
    line = node.start_mark.line + 1
    lines.setdefault(path, line)
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, lines)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, place), lines) for place, item in enumerate(node.value)]
    return _scalar(node.tag.rsplit(":", 1)[-1], str(node.value), line)


def _mapping(node: yaml.MappingNode, path: Path, lines: dict[Path, int]) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise YamlError(line, "a key must be a word")
        key = _text(str(key_node.value), line)
        if key in mapping:
            raise YamlError(line, f"{key} is given twice")
        lines[(*path, key)] = line
        mapping[key] = _value(value_node, (*path, key), lines)
    return mapping


def _scalar(kind: str, text: str, line: int) -> str | int | float | bool | None:
    if kind == "null":
        return None
    if kind == "bool":
        return text == "true"
    if kind == "int" and len(text) <= 40:
        return int(text)
    if kind in ("int", "float"):
        number = float(text)
        if not math.isfinite(number):
            raise YamlError(line, f"{text[:40]} is too large a number")
        return number
    return _text(text, line)


def _text(text: str, line: int) -> str:
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise YamlError(line, "the text holds characters that are no text")
    return text
