"""Literal values in the code, and whether the task says the same."""

import ast
from decimal import Decimal

from policies.facts.reflection import Reflection

PLAIN = (str, int, float, bool, type(None))
"""Types of values that hold no others."""


def literal_in(walk: Reflection, node: ast.expr | None) -> tuple[bool, object]:
    """Whether `node` is a literal JSON value, and which."""
    if node is None:
        return False, None
    if isinstance(node, ast.Constant):
        plain = type(node.value) in PLAIN
        return plain, node.value if plain else None
    if isinstance(node, ast.List | ast.Tuple):
        items = [literal_in(walk, element) for element in node.elts]
        return all(found for found, _ in items), [value for _, value in items]
    if isinstance(node, ast.Dict):
        keys = [key.value for key in node.keys if isinstance(key, ast.Constant)]
        values = [literal_in(walk, value) for value in node.values]
        texts = [key for key in keys if isinstance(key, str)]
        complete = len(texts) == len(node.values) and all(found for found, _ in values)
        return complete, dict(zip(texts, [value for _, value in values], strict=False))
    value = walk.constant(node)
    return value is not None and isinstance(value, str | int | float), value


_JOINERS = "@._+-/"


def stands_in(value: object, text: str, *, minor: bool) -> bool:
    """Whether a string literal of three or more characters is in `text` as a whole word.

    An address is not in a longer address: a joining character beside it counts as a part of
    the word, unless it ends a sentence.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return any(_is_word(form, text) for form in _number_forms(value, minor=minor))
    return isinstance(value, str) and len(value) >= 3 and _is_word(value, text)


def _number_forms(value: float, *, minor: bool) -> set[str]:
    """How a person may have written a number; an amount in cents stands there in euros."""
    if not -1e15 < value < 1e15:
        return set()
    forms = {str(value), f"{value:g}", f"{value:.2f}", f"{value:,}", f"{value:,.2f}"}
    exact = Decimal(str(value))
    forms = {form for form in forms if Decimal(form.replace(",", "")) == exact}
    if minor and isinstance(value, int):
        forms |= {f"{value / 100:.2f}", f"{value / 100:,.2f}"}
    if minor and isinstance(value, int) and value % 100 == 0:
        forms |= {str(value // 100), f"{value // 100:,}"}
    swapped = str.maketrans(",.", ".,")
    return forms | {form.translate(swapped) for form in forms}


def _is_word(value: str, text: str) -> bool:
    start = text.find(value)
    while start >= 0:
        end = start + len(value)
        before, after = text[start - 1 : start] if start else "", text[end : end + 1]
        beyond = text[end + 1 : end + 2]
        left = before.isalnum() or (before and before in _JOINERS)
        right = after.isalnum() or (after and after in _JOINERS and beyond.isalnum())
        if not left and not right:
            return True
        start = text.find(value, start + 1)
    return False
