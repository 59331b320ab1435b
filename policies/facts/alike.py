"""Two programs of one shape side by side: which of their written values differ. Pure.

Says nothing of what the programs read while they run, and nothing of names, comments and layout.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from policies.facts.lookalikes import lookalike
from policies.facts.source import parse


@dataclass(frozen=True)
class Changed:
    """A literal that is another one now; `line` (from 1) is that of the later program.

    `before` and `now` are Python literals: characters that do not show are escaped in them, and
    where the two would look the same, all that is not ASCII.
    """

    line: int
    before: str
    now: str

    def to_json(self) -> dict[str, object]:
        return {"line": self.line, "before": self.before, "now": self.now}


def changed_values(before: str, now: str) -> tuple[Changed, ...] | None:
    """The literals that differ, in their order; None where the two have not one shape."""
    old, new = _literals(before), _literals(now)
    if old is None or new is None or len(old) != len(new):
        return None
    pairs = list(zip(old, new, strict=True))
    if any(type(a.value) is not type(b.value) for a, b in pairs):
        return None
    told = [Changed(b.lineno, _text(a.value), _text(b.value)) for a, b in pairs]
    return tuple(_apart(each) for each in told if each.before != each.now)


def look_alike(one: str, other: str) -> bool:
    """Whether a reader could take one text for the other."""
    plain = lookalike(one)
    return one != other and plain == lookalike(other) and len(plain) == len(one)


def _apart(changed: Changed) -> Changed:
    if not look_alike(changed.before, changed.now):
        return changed
    return Changed(
        changed.line, *(ascii(ast.literal_eval(t)) for t in (changed.before, changed.now))
    )


def _literals(code: str) -> list[ast.Constant] | None:
    tree = parse(code).tree
    return None if tree is None else list(_constants(tree))


def _constants(tree: ast.AST) -> Iterator[ast.Constant]:
    """In the order of the text; without recursion, since the tree may be deep."""
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Constant):
            yield node
        stack.extend(reversed(list(ast.iter_child_nodes(node))))


def _text(value: object) -> str:
    # Decimal text of a huge number is refused by the interpreter, and slow.
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 256:
        return hex(value)
    return repr(value)
