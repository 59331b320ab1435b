"""A policy text as the pieces it is made of: each rule with the place it stands at. Pure.

Nothing here parses Cedar. It finds where rules begin and end, which strings and comments could
hide, so that one rule is replaced and every other byte of the text stays as it was.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from policies.schema import quoted

_TOKEN = re.compile(r'//[^\n]*|"(?:[^"\\]|\\.)*"|;|[^\s]', re.DOTALL)
_ID = re.compile(r'@id\s*\(\s*("(?:[^"\\]|\\.)*")\s*\)')


@dataclass(frozen=True)
class Piece:
    """One rule of a text.

    Attributes:
        text: from its first annotation to its semicolon.
        start, end: its place in the text, as for slices.
        line: of its beginning, from 1.
    """

    id: str
    text: str
    start: int
    end: int
    line: int


def pieces(text: str) -> tuple[Piece, ...]:
    """The rules of a text in their order; a rule without an id has the id ""."""
    return tuple(_pieces(text))


def _pieces(text: str) -> Iterator[Piece]:
    start = -1
    for token in _TOKEN.finditer(text):
        if token[0].startswith("//"):
            continue
        if start < 0:
            start = token.start()
        if token[0] == ";":
            body = text[start : token.end()]
            line = text.count("\n", 0, start) + 1
            yield Piece(_id(body), body, start, token.end(), line)
            start = -1


def _id(body: str) -> str:
    found = _ID.search(body)
    return found[1][1:-1].replace('\\"', '"').replace("\\\\", "\\") if found else ""


def find(text: str, rule_id: str) -> Piece | None:
    """The rule with this id."""
    return next((piece for piece in pieces(text) if piece.id == rule_id), None)


def append(text: str, rule: str) -> str:
    """The text with a rule at its end."""
    return f"{text.rstrip()}\n\n{rule.strip()}\n"


def replace(text: str, rule_id: str, rule: str) -> str:
    """The text with one rule in the place of another.

    Raises:
        KeyError: no rule has this id.
    """
    piece = find(text, rule_id)
    if piece is None:
        raise KeyError(rule_id)
    return text[: piece.start] + rule.strip() + text[piece.end :]


def remove(text: str, rule_id: str) -> str:
    """The text without one rule, and without the empty lines that it would leave.

    Raises:
        KeyError: no rule has this id.
    """
    piece = find(text, rule_id)
    if piece is None:
        raise KeyError(rule_id)
    before, after = text[: piece.start].rstrip(" \t"), text[piece.end :]
    return before.rstrip("\n") + "\n\n" + after.lstrip("\n") if after.strip() else before


def set_shadow(text: str, rule_id: str, *, shadow: bool) -> str:
    """The text with one rule in shadow, or enforced again.

    Raises:
        KeyError: no rule has this id.
    """
    piece = find(text, rule_id)
    if piece is None:
        raise KeyError(rule_id)
    bare = _without_shadow(piece.text)
    if not shadow:
        return replace(text, rule_id, bare)
    mark = f"@id({quoted(rule_id)})"
    found = _ID.search(bare)
    end = found.end() if found else 0
    return replace(text, rule_id, f"{mark} @shadow" + bare[end:])


def _without_shadow(body: str) -> str:
    """The rule without its `@shadow`; the word inside a string or a comment stays."""
    for token in re.finditer(
        r'//[^\n]*|"(?:[^"\\]|\\.)*"|\s*@shadow\b(?:\s*\(\s*"[^"]*"\s*\))?', body
    ):
        if token[0].lstrip().startswith("@"):
            return body[: token.start()] + body[token.end() :]
    return body
