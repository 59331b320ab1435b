"""Rules put into a policy text, replaced, taken out and put on trial. Pure."""

import re

from policies.pieces import ID, find
from policies.schema import quoted


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
    found = ID.search(bare)
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
