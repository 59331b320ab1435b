"""Which statements leave the block around them. Pure syntax."""

import ast
from collections.abc import Sequence

from policies.facts.record import FINAL_ANSWER

_EXITS = (ast.Return, ast.Break, ast.Continue, ast.Raise, ast.Assert)


def _leaves(node: ast.stmt | ast.ExceptHandler | ast.match_case) -> bool:
    """Whether a statement inside leaves the block around `node`."""
    return _holds(node, _EXITS)


def breaks(body: Sequence[ast.stmt]) -> bool:
    return any(_leaves(statement) for statement in body)


def ends_program(node: ast.expr) -> bool:
    """`final_answer(…)` never returns."""
    if isinstance(node, ast.Call):
        called = node.func
        if isinstance(called, ast.Attribute):
            return called.attr == "exit"
        return isinstance(called, ast.Name) and called.id == FINAL_ANSWER
    if isinstance(node, ast.BoolOp | ast.IfExp):
        return any(isinstance(n, ast.Call) and ends_program(n) for n in ast.walk(node))
    return False


_CLOSED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign, ast.AugAssign)
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")


def _holds(
    node: ast.stmt | ast.ExceptHandler | ast.match_case, kinds: tuple[type[ast.stmt], ...]
) -> bool:
    """Whether `node` is, or has in its blocks, a statement of these kinds."""
    if isinstance(node, kinds):
        return True
    if isinstance(node, ast.Expr):
        return ends_program(node.value)
    if isinstance(node, _CLOSED):
        return False
    fields = vars(node)
    for block in _BLOCKS:
        for inner in fields.get(block, ()):
            if _holds(inner, kinds):
                return True
    return False
