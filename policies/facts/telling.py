"""Bodies so small that it tells nothing when, or how often, they run. Pure syntax.

A property, an operator or a factory runs where its name does not stand. That is plain where all
it does is to compute something of what it has: no call but of what computes, nothing stored.
"""

import ast
import builtins
from collections.abc import Collection, Iterator
from typing import Final

from policies.facts import library


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TYPES: Final = frozenset(
    name for name, value in vars(builtins).items() if isinstance(value, type) and name.islower()
)
_SAFE_CALLS: Final = _words(
    "str repr len round format sum min max sorted abs int float bool tuple list set dict frozenset"
    " any all isinstance hash Decimal range zip enumerate"
)
_SAFE_NAMES: Final = _SAFE_CALLS | _words("NotImplemented object type")
_SAFE_METHODS: Final = (
    library.SCALAR_METHODS | _words("get items keys values copy split splitlines quantize")
) - _words("read tell getvalue send")
_RUN_AGAIN: Final = _words("__iter__ __enter__ __exit__")
_FIELDS: Final = TYPES - {"property"} | _words("field auto Decimal Field date datetime timedelta")
_FACTORIES: Final = TYPES | _words("Counter OrderedDict deque Decimal defaultdict timedelta")
_STEPS: Final = (
    *(ast.Return, ast.If, ast.Pass, ast.For, ast.Raise, ast.Break, ast.Continue),
    *(ast.Assign, ast.AnnAssign, ast.AugAssign),
)
_ERRORS: Final = frozenset(library.ERRORS)
_PLACES: Final = (ast.Attribute, ast.Subscript)
_ACTS: Final = (ast.NamedExpr, ast.Lambda, ast.Yield, ast.YieldFrom, ast.Await, ast.GeneratorExp)
_CONSTANT_CALLS: Final = _words("defaultdict Counter compile getLogger")
_SHAPES: Final = (
    *(ast.Constant, ast.Dict, ast.List, ast.Set, ast.Tuple, ast.Call, ast.UnaryOp),
    *(ast.expr_context, ast.unaryop, ast.Lambda, ast.arguments),
)


def tells(node: ast.FunctionDef, makers: Collection[str]) -> bool:
    """Whether all that a method does is to return something made of what it has.

    Args:
        makers: names of the program's classes, of which it may make new instances, and of
            functions of the library that only compute.
    """
    again = _words("iter print") if node.name in _RUN_AGAIN else frozenset()
    body = [s for s in node.body if not (isinstance(s, ast.Expr) and _is_told(s.value, again))]
    parts = [part for statement in body for part in ast.walk(statement)]
    if not all(isinstance(part, _STEPS) for part in parts if isinstance(part, ast.stmt)):
        return False
    consumed = {id(p.args[0]) for p in parts if isinstance(p, ast.Call) and p.args}
    if any(isinstance(part, _ACTS) and id(part) not in consumed for part in parts):
        return False
    if any(isinstance(part, _PLACES) and not isinstance(part.ctx, ast.Load) for part in parts):
        return False
    called = [part.func for part in parts if isinstance(part, ast.Call)]
    names = [part for part in parts if isinstance(part, ast.Name)]
    own = {argument.arg for argument in node.args.args}
    own.update(name.id for name in names if isinstance(name.ctx, ast.Store))
    makers = {*makers, *_ERRORS, *again}
    safe = _SAFE_NAMES | makers
    return all(name.id in own or name.id in safe for name in names) and all(
        _is_safe(each, _SAFE_CALLS | makers) for each in called
    )


def _is_told(node: ast.expr, again: Collection[str]) -> bool:
    """A docstring, or a line that is printed by what runs around a block."""
    if isinstance(node, ast.Constant):
        return True
    return "print" in again and isinstance(node, ast.Call) and _is_safe(node.func, {"print"})


def _is_safe(called: ast.expr, names: Collection[str]) -> bool:
    if isinstance(called, ast.Attribute):
        module = isinstance(called.value, ast.Name) and called.value.id in names
        return module or called.attr in _SAFE_METHODS
    return isinstance(called, ast.Name) and called.id in names


def is_plain_factory(node: ast.expr, classes: Collection[str] = ()) -> bool:
    if isinstance(node, ast.Name):
        return node.id in _FACTORIES or node.id in classes
    if isinstance(node, ast.Attribute):
        return node.attr in _FACTORIES
    inner = node.body if isinstance(node, ast.Lambda) else None
    if inner is None:
        return isinstance(node, ast.Constant)
    return all(
        isinstance(part, _SHAPES)
        or (isinstance(part, ast.Name) and (part.id in _FACTORIES or part.id in classes))
        for part in ast.walk(inner)
    )


def bound_by(node: ast.ClassDef) -> frozenset[str]:
    """Names that the statements of a class body bind."""
    found = {target.id for s in node.body for target in _targets(s)}
    return frozenset(found | {s.name for s in node.body if isinstance(s, ast.FunctionDef)})


def _targets(statement: ast.stmt) -> Iterator[ast.Name]:
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        yield statement.target
    elif isinstance(statement, ast.Assign):
        yield from (target for target in statement.targets if isinstance(target, ast.Name))


def is_plain_in_class(statement: ast.stmt, bound: frozenset[str]) -> bool:
    if isinstance(statement, ast.Pass):
        return True
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    if not any(_targets(statement)):
        return False
    value: ast.expr | None = statement.value  # type: ignore[attr-defined]
    parts = list(ast.walk(value)) if value is not None else []
    names = {part.id for part in parts if isinstance(part, ast.Name)}
    called = {_last(part.func) for part in parts if isinstance(part, ast.Call)}
    lazy = any(isinstance(part, ast.Lambda) and not is_plain_factory(part) for part in parts)
    return not lazy and bound.isdisjoint(names) and called <= _FIELDS | _CONSTANT_CALLS


def _last(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""
