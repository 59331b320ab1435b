"""JSON values as people read them. Pure.

A planned effect may hold references to results that do not exist yet; on screens they stand as
⟦result of effect 2 · id⟧, never as the token a program knows.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agents.approvals.manifest import REFERENCE, referred
from audit.canonical import JSON


@dataclass(frozen=True)
class Reference:
    """A result that will exist when the effect happens."""

    text: str


@dataclass(frozen=True)
class Shown:
    """A value ready for the screen: text parts, or one piece of structure."""

    parts: tuple[str | Reference, ...]
    structure: bool = False

    @property
    def text(self) -> str:
        return "".join(p.text if isinstance(p, Reference) else p for p in self.parts)


def shown(value: JSON, names: Mapping[str, str] | None = None) -> Shown:
    """A value for the screen.

    Args:
        value: any JSON value.
        names: token → words for the result it stands for, such as "result of effect 2".
    """
    known = names or {}
    if isinstance(value, str):
        return Shown(tuple(_text_parts(value, known)))
    if _is_reference(value, known):
        return Shown((_reference(value["$placeholder"], value["path"], known),))
    if isinstance(value, Mapping | list):
        text = json.dumps(_named(value, known), indent=2, ensure_ascii=False)
        return Shown((text,), structure=True)
    if isinstance(value, bool) or value is None:
        return Shown(({True: "yes", False: "no", None: "nothing"}[value],))
    return Shown((f"{value:,}" if isinstance(value, int) else str(value),))


def brief(value: JSON, limit: int = 60) -> str:
    """A value on one line, cut with a sign that says so."""
    text = json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else repr(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _text_parts(text: str, names: Mapping[str, str]) -> list[str | Reference]:
    parts: list[str | Reference] = []
    end = 0
    for match in REFERENCE.finditer(text):
        if names and match[1] not in names:
            continue  # A token we did not issue is not a reference, and is shown for what it is.
        if match.start() > end:
            parts.append(text[end : match.start()])
        path = [part for part in match[2].split("/") if part]
        parts.append(_reference(match[1], path, names))
        end = match.end()
    if end < len(text) or not parts:
        parts.append(text[end:])
    return parts


def _reference(token: str, path: Sequence[Any], names: Mapping[str, str]) -> Reference:
    # Without names nobody here knows which tokens are ours: what is unknown is never left out.
    name = names.get(token) or f"reference {token}"
    return Reference("⟦" + " · ".join([name, *map(str, path)]) + "⟧")


def _is_reference(value: JSON, names: Mapping[str, str]) -> bool:
    token = referred(value) if isinstance(value, Mapping) else ""
    return bool(token) and (not names or token in names)


def _named(value: JSON, names: Mapping[str, str]) -> JSON:
    if _is_reference(value, names):
        return _reference(value["$placeholder"], value["path"], names).text
    if isinstance(value, Mapping):
        return {key: _named(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_named(item, names) for item in value]
    if isinstance(value, str):
        return "".join(p.text if isinstance(p, Reference) else p for p in _text_parts(value, names))
    return value


def cut(text: str, limit: int) -> str:
    """The text, cut with a sign that says so."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


MAX_DEPTH = 4
MAX_COLUMNS = 8
OPEN_ROWS = 20
MAX_ROWS = 500
"""Rows of one table or list that a page holds, folded away beyond `OPEN_ROWS`."""


@dataclass(frozen=True)
class Tree:
    """A JSON value as fields, tables, lists and texts, nested as it is.

    `kind` is "text", "fields" (`rows` are name and value), "table" (`rows` are lists of values
    under `names`), or "list" (`rows` are values). `total` counts the rows of a table or list, of
    which `rows` are the first `MAX_ROWS`.
    """

    kind: str
    text: Shown | None = None
    names: tuple[str, ...] = ()
    rows: tuple[Any, ...] = ()
    total: int = 0

    @property
    def first(self) -> tuple[Any, ...]:
        return self.rows[:OPEN_ROWS]

    @property
    def folded(self) -> tuple[Any, ...]:
        return self.rows[OPEN_ROWS:]

    @property
    def left_out(self) -> int:
        return self.total - len(self.rows)


def tree(value: JSON, depth: int = 0) -> Tree:
    """How a result or an answer of any shape is laid out; deep structure stays JSON."""
    if not value or not isinstance(value, Mapping | list) or depth >= MAX_DEPTH:
        return Tree("text", shown(value))
    if isinstance(value, Mapping):
        return Tree("fields", rows=tuple((k, tree(v, depth + 1)) for k, v in value.items()))
    names, rows = _columns(value), value[:MAX_ROWS]
    if names:
        cells = tuple(tuple(tree(row[name], MAX_DEPTH) for name in names) for row in rows)
        return Tree("table", names=names, rows=cells, total=len(value))
    items = tuple(tree(item, depth + 1) for item in rows)
    return Tree("list", rows=items, total=len(value))


def _columns(rows: Sequence[JSON]) -> tuple[str, ...]:
    """The names that all rows share, if they are records of plain values."""
    first = rows[0]
    if not isinstance(first, Mapping) or not 0 < len(first) <= MAX_COLUMNS:
        return ()
    same = all(isinstance(row, Mapping) and set(row) == set(first) for row in rows)
    plain = same and not any(
        isinstance(value, Mapping | list) for row in rows for value in row.values()
    )
    return tuple(first) if plain else ()
