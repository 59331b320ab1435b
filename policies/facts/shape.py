"""The shape of a program: its syntax tree with names and literals made anonymous.

Programs of one shape make the same calls of the same tools in the same structure. What may
differ is the names of their variables, the values of their literals, and layout.
"""

import ast
import hashlib
from dataclasses import dataclass

_SKIPPED = frozenset(("ctx", "kind", "type_comment", "type_ignores"))
_NAMES = frozenset(("id", "name", "arg", "asname", "rest"))


@dataclass(frozen=True)
class Syntax:
    """A parsed program, with what must keep its name in the shape."""

    tree: ast.Module
    tools: frozenset[str]
    bound: frozenset[str]

    def shape(self) -> str:
        """SHA-256, in hex, over the normalised tree; the program's own names are numbered."""
        numbers: dict[str, str] = {}
        parts: list[str] = []
        stack: list[object] = [self.tree]
        while stack:
            item = stack.pop()
            if isinstance(item, str):
                parts.append(item)
            elif isinstance(item, ast.Constant):
                parts.append(type(item.value).__name__)
            elif isinstance(item, ast.AST):
                parts.append(type(item).__name__)
                stack.append(")")
                for field in reversed(item._fields):
                    if field not in _SKIPPED:
                        self._push(stack, field, getattr(item, field, None), numbers)
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()

    def _push(
        self, stack: list[object], field: str, value: object, numbers: dict[str, str]
    ) -> None:
        if isinstance(value, list):
            stack.append("]")
            for element in reversed(value):
                stack.append(self._named(element, numbers) if isinstance(element, str) else element)
            stack.append("[")
        elif isinstance(value, str):
            stack.append(self._named(value, numbers) if field in _NAMES else value)
        else:
            stack.append(value if isinstance(value, ast.AST) else str(value))

    def _named(self, name: str, numbers: dict[str, str]) -> str:
        if name in self.tools or name not in self.bound:
            return name
        return numbers.setdefault(name, f"v{len(numbers)}")
