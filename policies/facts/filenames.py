"""Names of files that a program puts together: `f"report_{month}.txt"`. Pure syntax.

A name stays in the working directory as far as its written parts show: it begins with a written
part, and no part leads up, to a root or to a drive. What stands between them is not known here;
the walk refuses it where it holds labelled data, and the sandbox has nothing else to open.
"""

import ast
import re
import string
from collections.abc import Callable, Iterator

from policies.facts import library

Resolve = Callable[[ast.expr], ast.expr | None]
"""The one expression a name was assigned, where there is one."""
Joined = Callable[[ast.expr], list[ast.expr] | None]
"""The parts of what joins names of folders and files, where it is that."""

_FIELDS = re.compile(r"(?:[^{}]|\{\w*(?::[\w.,<>^-]*)?\})*")
_CODE = re.compile(r"%(?:%|[-#0 +]*\d*(?:\.\d+)?[sdifr])")


def stays_inside(node: ast.expr, resolve: Resolve, joined: Joined) -> bool:
    parts = list(_parts(node, resolve, joined, 8))
    written = [part for part in parts if part is not None]
    if not written or parts[0] is None or not parts[0]:
        return False
    return not library.is_outside_path(parts[0]) and not any(map(_leads_out, written))


def _leads_out(text: str) -> bool:
    return ".." in text or "//" in text or ":" in text or "\\" in text or "~" in text


def _parts(node: ast.expr, resolve: Resolve, joined: Joined, depth: int) -> Iterator[str | None]:
    """Written parts in their order, and None for each part that is computed."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        for value in node.values:
            yield from _parts(value, resolve, joined, depth)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from _parts(node.left, resolve, joined, depth)
        yield from _parts(node.right, resolve, joined, depth)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) and _text(node.left):
        yield from _between(_CODE.split(_text(node.left)))
    elif template := _template(node):
        yield from _between([literal for literal, *_ in string.Formatter().parse(template)])
    elif isinstance(node, ast.Name) and depth and (made := resolve(node)) is not None:
        yield from _parts(made, resolve, joined, depth - 1)
    elif (joining := joined(node)) is not None:
        for index, part in enumerate(joining):
            found = list(_parts(part, resolve, joined, depth))
            yield from found if not index or _is_component(found) else [_ROOT]
            yield "/"
    else:
        yield None


def _is_component(parts: list[str | None]) -> bool:
    """Whether this, joined to a folder, stays in it: what begins with a root would replace it."""
    if parts and parts[0] is None:  # whatever it is, it is a file of this kind
        return parts[-1] is not None and _SUFFIX.search(parts[-1]) is not None
    return bool(parts) and not library.is_outside_path(parts[0] or "/")


_ROOT = "//"
_SUFFIX = re.compile(r"\.[a-z]{2,5}$")


def _between(literals: list[str]) -> Iterator[str | None]:
    for literal in literals:
        yield literal
        yield None


def _template(node: ast.expr) -> str:
    """The text of `"…".format(…)`; none where it is not one."""
    called = node.func if isinstance(node, ast.Call) else None
    if not isinstance(called, ast.Attribute) or called.attr != "format":
        return ""
    text = _text(called.value)
    return text if _FIELDS.fullmatch(text) else ""


def _text(node: ast.expr) -> str:
    text = node.value if isinstance(node, ast.Constant) else None
    return text if isinstance(text, str) else ""
