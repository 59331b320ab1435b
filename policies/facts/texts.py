"""Which texts an expression can be, where all of them stand in the program.

Read through names, displays, choices, attributes and the parameters of functions that are only
called by name: what their callers write. What is found so holds for this program alone: a later
step may call the function with something else, or bind the name anew, and then what was relied on
is told (`relied`, kept as a note among the variables) and refused there.
"""

import ast
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TypeVar

from policies.facts import library
from policies.facts.reflection import Reflection
from policies.facts.scopes import Scope, parameters_of
from policies.facts.state import Environment
from policies.facts.uses import Uses

_T = TypeVar("_T")
_MOST = 64
Passed = list[tuple[ast.expr, Scope]]


class Texts(Reflection):
    """Looks up what is written; see `Reflection` for what it is looked up for."""

    def within(self, scope: Scope, look: Callable[[ast.expr], _T], node: ast.expr) -> _T:
        """`look(node)` as it would be in `scope`."""
        before = self.environment
        self.environment = Environment(scope, None, 0)
        try:
            return look(node)
        finally:
            self.environment = before

    def strings_of(self, node: ast.expr) -> list[str] | None:
        found = super().strings_of(node)
        if found is not None:
            return found[:_MOST] if len(found) <= _MOST else None
        if isinstance(node, ast.BoolOp):
            return self._all_of([(value, self.environment.scope) for value in node.values])
        if isinstance(node, ast.Call):
            return self._strings_of_call(node)
        if isinstance(node, ast.Name):
            passed = self.assigned(node) or self.passed_as_parameter(node)
        elif isinstance(node, ast.Attribute):
            passed = self.stored_as(node)
        else:
            passed = None
        return self._all_of(passed) if passed else None

    def _all_of(self, passed: Passed) -> list[str] | None:
        found: list[str] = []
        self.depth += 1
        try:
            for given, scope in passed if self.depth < 9 else ():
                texts = self.within(scope, self.strings_of, given)
                if texts is None:
                    return None
                found += texts
        finally:
            self.depth -= 1
        return found or None

    def _strings_of_call(self, node: ast.Call) -> list[str] | None:
        """A text that is only laid out anew: `textwrap.dedent(TEXT)`, `TEXT.strip()`."""
        module = self.module_of(node.func)
        if module is not None:
            dedent = (module.path, module.member) == ("textwrap", "dedent")
            return self.strings_of(node.args[0]) if dedent and len(node.args) == 1 else None
        called = node.func
        laid_out = isinstance(called, ast.Attribute) and called.attr in (
            "strip",
            "lstrip",
            "rstrip",
        )
        return self.strings_of(called.value) if laid_out and not node.args else None  # type: ignore[attr-defined]

    def assigned(self, node: ast.Name) -> Passed | None:
        """All that is assigned to a name, where it is only bound by plain assignments."""
        owner = self.environment.scope.owner(node.id)
        if owner is None or owner.kind == "class":
            return None
        if owner.parent is None and node.id in self.known:
            return None
        values: Passed = []
        for made, scope in self.scopes.kept:
            if isinstance(made, ast.Assign) and len(made.targets) == 1:
                target = made.targets[0]
                named = isinstance(target, ast.Name) and target.id == node.id
                if named and scope.owner(node.id) is owner:
                    values.append((made.value, scope))
        complete = bool(values) and len(values) == owner.bindings.get(node.id)
        if complete and owner is not self.environment.scope:
            self.rely(node.id)
        return values if complete else None

    def rely(self, name: str) -> None:
        if self.relying:
            self.relied.add(f"={name}")

    def only_read(self, name: str) -> bool:
        """Whether nothing can change the list or dictionary of this name, nor get at it."""
        if self.relying and self.environment.scope.owner(name) is not self.environment.scope:
            self.relied.add(name)
        return all(self.uses.is_read(load) for load in self.uses.loads.get(name, ()))

    @cached_property
    def also_stored(self) -> frozenset[str]:
        """Names of attributes that are assigned, and not only defined as methods."""
        stored = {
            node.attr
            for node, _ in self.scopes.kept
            if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load)
        }
        inner = (scope for scope in self.scopes.by_node.values() if scope.kind == "class")
        for scope in inner:
            defined = {n for n in scope.bindings if n in self.scopes.methods}
            stored |= scope.bindings.keys() - defined
            stored |= {n for n in defined if scope.bindings[n] > len(self.scopes.methods[n])}
        return frozenset(stored) if not self._sets_by_text else self._every_name

    @property
    def _every_name(self) -> frozenset[str]:
        return frozenset(self.scopes.methods)

    @cached_property
    def uses(self) -> Uses:
        return Uses(next(iter(self.scopes.by_node)))

    def passed_as_parameter(self, node: ast.expr) -> Passed | None:
        """What all callers pass as the parameter that this name is."""
        owner = self.environment.scope.owner(node.id) if isinstance(node, ast.Name) else None
        if not isinstance(node, ast.Name) or owner is None or owner.bindings.get(node.id) != 1:
            return None
        made = next((n for n, scope in self.scopes.by_node.items() if scope is owner), None)
        if not isinstance(made, ast.FunctionDef) or node.id not in _plain_parameters(made):
            return None
        if owner.parent is not None and owner.parent.kind == "class":
            return None  # who calls a method does not show
        alone = owner.parent is not None and owner.parent.bindings.get(made.name) == 1
        if not alone or made.decorator_list or not self.uses.only_called(made.name):
            return None
        self.relied.add(made.name)
        return self._given(made, node.id, self._calls(made.name))

    def _calls(self, name: str) -> Passed:
        nodes = ((n, s) for n, s in self.scopes.kept if isinstance(n, ast.Call))
        return [(n, s) for n, s in nodes if isinstance(n.func, ast.Name) and n.func.id == name]

    def _given(self, made: ast.FunctionDef, name: str, calls: Passed) -> Passed | None:
        """What each call passes, or the default; None where one cannot be told."""
        positional = [p.arg for p in (*made.args.posonlyargs, *made.args.args)]
        place = positional.index(name) if name in positional else len(positional)
        outer = self.scopes.by_node[made].parent
        found: Passed = []
        for call, scope in calls:
            if not isinstance(call, ast.Call):
                return None
            named = [k.value for k in call.keywords if k.arg == name]
            if any(k.arg is None for k in call.keywords) or any(map(_is_starred, call.args)):
                return None
            given = named or call.args[place : place + 1]
            default = _default(made, name)
            if given:
                found.append((given[0], scope))
            elif default is not None and outer is not None:
                found.append((default, outer))
            else:
                return None
        return found or None

    def stored_as(self, node: ast.Attribute) -> Passed | None:
        """A class variable that nothing else in the program has the name of."""
        name = node.attr
        holders = [
            scope
            for scope in self.scopes.by_node.values()
            if scope.kind == "class" and name in scope.bindings
        ]
        if len(holders) != 1 or name in _OF_LIBRARY or name not in holders[0].single:
            return None
        if not isinstance(node.value, ast.Name) or self._sets_by_text or self._named(name):
            return None
        self.relied.add(f"={name}")
        return [(holders[0].single[name], holders[0])]

    def _named(self, name: str) -> bool:
        """Whether the program gives this name to an attribute otherwise, or could."""
        if name == "template" and "Template" in self.uses.loads:
            return True
        for node, _ in self.scopes.kept:
            if isinstance(node, ast.Attribute):
                stored = node.attr == name and not isinstance(node.ctx, ast.Load)
                if stored or node.attr == "Template":
                    return True
            elif isinstance(node, ast.Call) and any(k.arg in (None, name) for k in node.keywords):
                made = isinstance(node.func, ast.Name) and node.func.id in self.scopes.bound
                if not made or any(k.arg == name for k in node.keywords):
                    return True
        return any(text.value == name for text in self.scopes.strings)

    @cached_property
    def _sets_by_text(self) -> bool:
        return "setattr" in self.uses.loads or any(
            isinstance(node, ast.Attribute) and node.attr in ("__setattr__", "__dict__")
            for node, _ in self.scopes.kept
        )


def _plain_parameters(made: ast.FunctionDef) -> Iterable[str]:
    stars = [made.args.vararg, made.args.kwarg]
    return [p.arg for p in parameters_of(made.args) if p not in stars]


def _default(made: ast.FunctionDef, name: str) -> ast.expr | None:
    positional = [*made.args.posonlyargs, *made.args.args]
    pairs = [
        *zip(reversed(positional), reversed(made.args.defaults), strict=False),
        *zip(made.args.kwonlyargs, made.args.kw_defaults, strict=True),
    ]
    return next((default for parameter, default in pairs if parameter.arg == name), None)


_OF_LIBRARY = frozenset({
    "args", "pattern", "string", "msg", "text", "tail", "tag", "doc", "reason", "object",
    "filename", "strerror", "name", "value",
})  # fmt: skip


def _is_starred(node: ast.expr) -> bool:
    return isinstance(node, ast.Starred)


def passes_plain(node: ast.Call) -> bool:
    """Whether all that is passed is written out, and neither a template nor a way out."""
    given = [*node.args, *(keyword.value for keyword in node.keywords)]
    texts = [each.value for each in given if isinstance(each, ast.Constant)]
    return len(texts) == len(given) and not any(
        isinstance(text, str) and ("{" in text or library.is_outside_path(text)) for text in texts
    )
