"""A policy text as the rules it is made of, each with its place. Pure.

Nothing here parses Cedar. It finds where rules begin and end, which strings and comments could
hide, so that a fault is told with its line and one rule can be replaced while every other byte of
the text stays as it was.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_TOKEN = re.compile(r'//[^\n]*|"(?:[^"\\]|\\.)*"|\w+|\S', re.DOTALL)
ID = re.compile(r'@id\s*\(\s*("(?:[^"\\]|\\.)*")\s*\)')
_MOST_TOKENS = 3000
_CUT_SHORT = "unexpected end of input"


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
    return tuple(piece for piece in _pieces(text) if piece.text.endswith(";"))


def find(text: str, rule_id: str) -> Piece | None:
    """The rule with this id."""
    return next((piece for piece in pieces(text) if piece.id == rule_id), None)


def fault(text: str, parse: Callable[[str], str]) -> tuple[int, str]:
    """The line of what cannot be parsed, and the id of its rule; (0, "") where there is none.

    Args:
        parse: what is wrong with a text, or "".
    """
    for piece in _pieces(text):
        if parse(piece.text):
            return piece.line + _line_within(piece.text, parse), piece.id
    return 0, ""


def _line_within(text: str, parse: Callable[[str], str]) -> int:
    """Lines from the beginning of a rule to the first token that no rule could go on with."""
    for count, token in enumerate(_TOKEN.finditer(text)):
        if count > _MOST_TOKENS:
            return 0
        said = parse(text[: token.end()])
        if said and _CUT_SHORT not in said:
            return text.count("\n", 0, token.start())
    return text.count("\n")


def _pieces(text: str) -> Iterator[Piece]:
    """The rules, and what stands after the last semicolon."""
    start = -1
    for token in _TOKEN.finditer(text):
        if token[0].startswith("//"):
            continue
        if start < 0:
            start = token.start()
        if token[0] == ";":
            yield _piece(text, start, token.end())
            start = -1
    if start >= 0:
        yield _piece(text, start, len(text))


def _piece(text: str, start: int, end: int) -> Piece:
    body = text[start:end]
    return Piece(_id(body), body, start, end, text.count("\n", 0, start) + 1)


def _id(body: str) -> str:
    found = ID.search(body)
    return found[1][1:-1].replace('\\"', '"').replace("\\\\", "\\") if found else ""
