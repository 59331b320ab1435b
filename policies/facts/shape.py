"""The shape of a program: its syntax tree with names and literals made anonymous.

Two programs of one shape do the same calls to the same tools in the same structure. What
differs may be the variables' names, the values of literals, and layout.
"""

import ast
import hashlib
from collections.abc import Collection, Mapping


def shape_of(tree: ast.Module, tools: Collection[str], bound: Collection[str]) -> str:
    """SHA-256, in hex, over the normalised tree; names bound by the program are numbered."""
    numbers: dict[str, str] = {}
    parts: list[str] = []

    def name_of(text: str) -> str:
        if text in tools or text not in bound:
            return text
        return numbers.setdefault(text, f"v{len(numbers)}")

    stack: list[object] = [tree]
    while stack:
        item = stack.pop()
        if isinstance(item, ast.Constant):
            parts.append(f"<{type(item.value).__name__}>")
        elif isinstance(item, ast.AST):
            parts.append(type(item).__name__)
            stack.append(")")
            stack.extend(reversed(list(item.__dict__.items() if not _layout(item) else ())))
        elif isinstance(item, tuple):
            _field(item, parts, stack, name_of)
        elif isinstance(item, str):
            parts.append(item)
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def _layout(node: ast.AST) -> bool:
    return isinstance(node, ast.expr_context)


_NAMES: Mapping[str, None] = dict.fromkeys(("id", "name", "arg", "asname", "rest"))
_POSITIONS = frozenset(
    ("lineno", "col_offset", "end_lineno", "end_col_offset", "kind", "type_comment")
)


def _field(
    item: tuple[object, ...], parts: list[str], stack: list[object], name_of: object
) -> None:
    key, value = item
    if key in _POSITIONS or value is None:
        return
    if isinstance(value, str):
        parts.append(name_of(value) if key in _NAMES and callable(name_of) else value)
    elif isinstance(value, list):
        parts.append("[")
        for element in reversed(value):
            if isinstance(element, str):
                stack.append(name_of(element) if callable(name_of) else element)
            else:
                stack.append(element)
        stack.insert(0, "")
    elif isinstance(value, ast.AST):
        stack.append(value)
    else:
        parts.append(str(value))
