"""Who binds which name: Python's scoping rules over one syntax tree, in one pass.

Besides the owner of every name this tells which variables a lazily run body (a function, a
lambda, a generator expression) can see: those have no order of reads and writes one could
rely on, so the flow analysis never lets a later assignment hide an earlier one for them.
"""

import ast
from collections.abc import Callable, Iterable

from policies.facts.iterators import Iterators, last_name
from policies.facts.library import ITERATOR_MODULES, ITERATORS, LAZY_BUILTINS, is_hook
from policies.facts.record import FINAL_ANSWER

MAX_DEPTH = 90
MAX_NODES = 30_000

# Fields that hold contexts, operators, names and flags, but nothing that has a scope.
_PLAIN_FIELDS = frozenset({"ctx", "op", "id", "attr", "arg", "kind", "conversion", "type_comment"})
_FIELDS: dict[type, tuple[str, ...]] = {
    kind: tuple(name for name in kind._fields if name not in _PLAIN_FIELDS)
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST)
}
_TEXTS = (str, bytes)
KEPT = frozenset(
    {
        *(
            ast.Assign,
            ast.Attribute,
            ast.AugAssign,
            ast.Call,
            ast.ClassDef,
            ast.For,
            ast.FunctionDef,
        ),
        *(ast.GeneratorExp, ast.Global, ast.Import, ast.ImportFrom, ast.MatchMapping),
        *(ast.MatchValue, ast.Nonlocal, ast.Starred, ast.With, ast.Yield, ast.YieldFrom),
        ast.comprehension,
        *(ast.AsyncFor, ast.AsyncFunctionDef, ast.AsyncWith, ast.Await),
    }
)
"""Nodes that plain.py looks at."""
NEVER_CAUGHT = FINAL_ANSWER  # nothing in the program runs on after it
_LAZY = frozenset({"function", "lambda", "generator"})
Definition = ast.FunctionDef | ast.AsyncFunctionDef


class TooDeepError(Exception):
    """Nested deeper than `MAX_DEPTH`: the recursive walk would not follow."""


class TooLargeError(Exception):
    """More than `MAX_NODES` nodes."""


class Scope:
    """One scope; `bindings` counts how often each name is bound in it.

    Attributes:
        single: what is assigned to a name that is assigned once.
        looped: what a loop takes a name from: a display, a call or another name.
    """

    __slots__ = (
        "bindings",
        "captured",
        "globals",
        "kind",
        "looped",
        "nests",
        "nonlocals",
        "owners",
        "parent",
        "single",
        "uses",
        "yields",
    )

    def __init__(self, kind: str, parent: "Scope | None") -> None:
        self.kind = kind
        self.parent = parent
        self.bindings: dict[str, int] = {}
        self.single: dict[str, ast.expr] = {}
        self.looped: dict[str, ast.List | ast.Tuple | ast.Call | ast.Name] = {}
        self.globals: set[str] = set()
        self.nonlocals: set[str] = set()
        self.uses: set[str] = set()
        self.captured: set[str] = set()
        self.owners: dict[str, Scope | None] = {}
        self.yields = False
        self.nests = False

    def bind(self, name: str, value: ast.expr | None = None) -> None:
        count = self.bindings.get(name, 0)
        self.bindings[name] = count + 1
        if count == 0 and value is not None:
            self.single[name] = value
        else:
            self.single.pop(name, None)

    def owner(self, name: str) -> "Scope | None":
        """The scope whose variable `name` means here, or None for builtins and the like."""
        try:
            return self.owners[name]
        except KeyError:
            found = self.owners[name] = self._find(name)
            return found

    def _find(self, name: str) -> "Scope | None":
        if name in self.globals:
            return self.module()
        if name in self.bindings and name not in self.nonlocals:
            return self
        scope = self.parent
        while scope is not None:
            if name in scope.globals:
                return scope.module()
            visible = scope.kind != "class" or scope.parent is None
            if visible and name in scope.bindings and name not in scope.nonlocals:
                return scope
            scope = scope.parent
        return None

    def module(self) -> "Scope":
        scope = self
        while scope.parent is not None:
            scope = scope.parent
        return scope


class Scopes:
    """All scopes of a program and what its classes define.

    Attributes:
        by_node: scope of each module, function, lambda, class and comprehension node.
        methods: method name to the definitions of that name in any class.
        stored_attributes: attribute names the program itself assigns or defines.
        bound: every name bound anywhere.
        definitions: number of functions, lambdas and classes.
        classes: class name to the number of its definitions.
        kept: the nodes of the kinds in `KEPT`, each with its scope.
        iterators: names of variables that may hold a half consumed iterator.
        properties: how often `property` is named other than as a decorator.
        lazy_values: how often `iter` and its like are named other than to call them.
        loose: whether there may be iterators that are not held by one of these names alone.
        functions: name and scope of each function.
        hooks: whether a class defines a method that the library may call.
        lazy: number of generator expressions.
        generators: whether there are functions that yield.
        defaults: whether it uses `defaultdict`.
        paths: whether it imports `pathlib`.
        stops: what functions raise by name, "?" for all else that may end them and their caller.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.by_node: dict[ast.AST, Scope] = {}
        self.methods: dict[str, list[Definition]] = {}
        self.stored_attributes: set[str] = set()
        self.bound: dict[str, ast.AST] = {}
        self.strings: list[ast.Constant] = []
        self.definitions = 0
        self.classes: dict[str, int] = {}
        self.iteration = Iterators()
        self.hooks = False
        self.stops: set[str] = set()
        self.generators = False
        self.lazy = 0
        self.defaults = False
        self.paths = False
        self.nodes = 0
        self.kept: list[tuple[ast.AST, Scope]] = []
        self.properties = 0
        self.lazy_values = 0
        self.functions: list[tuple[str, Scope]] = []
        self._pending: list[tuple[ast.AST, Scope, int]] = []
        self._level = 1
        module = Scope("module", None)
        self.by_node[tree] = module
        self.push(tree.body, module)
        self._visit_all()
        self._mark_captured()
        self._mark_iterators()

    def _visit_all(self) -> None:
        pending, handlers, kept, children = self._pending, _HANDLERS, self.kept, Scopes.children
        nodes = 0
        while pending:
            node, scope, level = pending.pop()
            nodes += 1
            if level > MAX_DEPTH:
                raise TooDeepError
            if nodes > MAX_NODES:
                raise TooLargeError
            self._level = level + 1
            kind = type(node)
            if kind in KEPT:
                kept.append((node, scope))
            handlers.get(kind, children)(self, node, scope)
        self.nodes += nodes

    def _mark_iterators(self) -> None:
        found = self.iteration
        own = self.methods.keys() | self.classes.keys() | {name for name, _ in self.functions}
        yielding = {name for name, scope in self.functions if scope.yields}
        found.loose = found.loose or self.lazy_values > 0
        found.mark(own, yielding)
        self.iterators, self.loose = found.names, found.loose

    def children(self, node: ast.AST, scope: Scope) -> None:
        pending, level = self._pending, self._level
        fields = vars(node)
        for name in _FIELDS[type(node)]:
            value = fields.get(name)
            if type(value) is list:
                pending += [(item, scope, level) for item in value if isinstance(item, ast.AST)]
            elif isinstance(value, ast.AST):
                pending.append((value, scope, level))

    def bind(self, name: str, scope: Scope, node: ast.AST, value: ast.expr | None = None) -> None:
        scope.bind(name, value)
        self.bound.setdefault(name, node)

    def nested(self, kind: str, node: ast.AST, scope: Scope) -> Scope:
        inner = Scope(kind, scope)
        if kind not in ("comprehension", "generator"):
            outer: Scope | None = scope
            while outer is not None and not outer.nests:
                outer.nests = True
                outer = outer.parent
        self.by_node[node] = inner
        return inner

    def push(self, nodes: Iterable[ast.AST | None], scope: Scope) -> None:
        level = self._level
        self._pending += [(node, scope, level) for node in nodes if node is not None]

    def push_one(self, node: ast.AST, scope: Scope) -> None:
        self._pending.append((node, scope, self._level))

    def _mark_captured(self) -> None:
        for scope in self.by_node.values():
            if scope.kind == "class":
                self.stored_attributes.update(scope.bindings)
            for name in scope.globals | scope.nonlocals:
                owner = scope.owner(name)
                if owner is not None:
                    owner.captured.add(name)
                    owner.single.pop(name, None)
                    if name in scope.nonlocals and name in scope.bindings:
                        owner.bindings[name] = owner.bindings.get(name, 0) + 1
            for name in scope.uses:
                owner = scope.owner(name)
                if owner is None or owner is scope:
                    continue
                between: Scope | None = scope
                while between is not None and between is not owner:
                    if between.kind in _LAZY:
                        owner.captured.add(name)
                        break
                    between = between.parent


def _name(scopes: Scopes, node: ast.Name, scope: Scope) -> None:
    if isinstance(node.ctx, ast.Load):
        scope.uses.add(node.id)
        if node.id == "property":
            scopes.properties += 1
        elif node.id in LAZY_BUILTINS:
            scopes.lazy_values += 1
    else:
        scopes.bind(node.id, scope, node)


def _assign(scopes: Scopes, node: ast.Assign, scope: Scope) -> None:
    # One plain target: remembered with its value, so that a constant can be read through it.
    if len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        scopes.iteration.named(node.targets[0].id, node.value)
        scopes.bind(node.targets[0].id, scope, node.targets[0], node.value)
        scopes.push([node.value], scope)
    elif len(node.targets) == 1 and (pairs := pairs_of(node.targets[0], node.value)) is not None:
        for target, value in pairs:
            if isinstance(target, ast.Name):
                scopes.iteration.named(target.id, value)
                scopes.bind(target.id, scope, target, value)
            else:
                scopes.iteration.holders.append(node.value)
                scopes.push([target], scope)
            scopes.push([value], scope)
    else:
        if isinstance(node.targets[0], _SEQUENCES) and len(node.targets) == 1:
            scopes.iteration.taken[id(node.value)] = ""
        _kept(scopes, node, scope)


def pairs_of(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]] | None:
    """`a, b = x, y` taken apart, so that a does not look like y."""
    if not isinstance(target, _SEQUENCES) or not isinstance(value, _SEQUENCES):
        return None
    if len(target.elts) != len(value.elts):
        return None
    if any(isinstance(element, ast.Starred) for element in (*target.elts, *value.elts)):
        return None
    return list(zip(target.elts, value.elts, strict=True))


_SEQUENCES = (ast.Tuple, ast.List)


def _kept(scopes: Scopes, node: ast.AST, scope: Scope) -> None:
    """What may be put into something else, or handed on, here."""
    scopes.iteration.holders.append(node)
    scopes.children(node, scope)


def _stored(scopes: Scopes, arguments: list[ast.expr]) -> None:
    name = arguments[1] if len(arguments) > 1 else None
    if isinstance(name, ast.Constant) and isinstance(name.value, str):
        scopes.stored_attributes.add(name.value)


def _call(scopes: Scopes, node: ast.Call, scope: Scope) -> None:
    function, arguments = node.func, node.args
    if type(function) is ast.Name:
        name = function.id
        if arguments or node.keywords:
            scopes.lazy_values -= name in LAZY_BUILTINS
        if name == FINAL_ANSWER and scope.parent is not None:
            scopes.stops.add(NEVER_CAUGHT)
        elif name == "next" and arguments and isinstance(arguments[0], ast.Name):
            scopes.iteration.names.add(arguments[0].id)
        elif name == "setattr" and arguments:
            _stored(scopes, arguments)
        scopes.iteration.call(node, name)
    elif type(function) is ast.Attribute:
        if function.attr == "__setattr__":
            _stored(scopes, arguments)
        scopes.iteration.call(node, function.attr)
    else:
        scopes.iteration.call(node, "")
    scopes.push_one(function, scope)
    scopes.push(arguments, scope)
    if node.keywords:
        values = [keyword.value for keyword in node.keywords]
        scopes.push(values, scope)
        scopes.nodes += len(values)


def raised_name(node: ast.Raise | ast.Assert) -> str:
    """The name of what is raised, or "?" where it does not stand there."""
    if isinstance(node, ast.Assert):
        return "AssertionError"
    error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    return error.id if isinstance(error, ast.Name) else "?"


def _raise(scopes: Scopes, node: ast.Raise | ast.Assert, scope: Scope) -> None:
    if scope.parent is not None:
        scopes.stops.add(raised_name(node))
    scopes.children(node, scope)


def _annotated(scopes: Scopes, node: ast.AnnAssign, scope: Scope) -> None:
    if isinstance(node.target, ast.Name):
        scopes.iteration.named(node.target.id, node.value)
        scopes.bind(node.target.id, scope, node.target, node.value)
        scopes.push([node.annotation, node.value], scope)
    else:
        scopes.children(node, scope)


def _attribute(scopes: Scopes, node: ast.Attribute, scope: Scope) -> None:
    if not isinstance(node.ctx, ast.Load):
        scopes.stored_attributes.add(node.attr)
    elif node.attr == "defaultdict":
        scopes.defaults = True
    elif node.attr == "exit":
        scopes.stops.add("SystemExit")
    if type(node.value) is ast.Call:
        scopes.iteration.taken[id(node.value)] = ""
    scopes.push_one(node.value, scope)


def _constant(scopes: Scopes, node: ast.Constant, _scope: Scope) -> None:
    if type(node.value) in _TEXTS:
        scopes.strings.append(node)


def parameters_of(arguments: ast.arguments) -> list[ast.arg]:
    """All parameters, in the order of binding, `*args` and `**kwargs` last."""
    stars = [star for star in (arguments.vararg, arguments.kwarg) if star is not None]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *stars]


def _function(scopes: Scopes, node: Definition, scope: Scope) -> None:
    scopes.bind(node.name, scope, node)
    if scope.kind == "class":
        scopes.methods.setdefault(node.name, []).append(node)
        scopes.hooks = scopes.hooks or is_hook(node.name)
        scopes.stored_attributes.add(node.name)
    scopes.definitions += 1
    for decorator in node.decorator_list:
        scopes.properties -= isinstance(decorator, ast.Name) and decorator.id == "property"
    inner = scopes.nested("function", node, scope)
    scopes.functions.append((node.name, inner))
    scopes.iteration.holders.append(node.args)
    for parameter in parameters_of(node.args):
        scopes.bind(parameter.arg, inner, parameter)
        scopes.push([parameter.annotation], scope)
    scopes.push([*node.decorator_list, *node.args.defaults, *node.args.kw_defaults], scope)
    scopes.push([node.returns], scope)
    scopes.push(node.body, inner)


def _lambda(scopes: Scopes, node: ast.Lambda, scope: Scope) -> None:
    scopes.definitions += 1
    scopes.iteration.holders += (node, node.args)
    inner = scopes.nested("lambda", node, scope)
    for parameter in parameters_of(node.args):
        scopes.bind(parameter.arg, inner, parameter)
    scopes.push([*node.args.defaults, *node.args.kw_defaults], scope)
    scopes.push([node.body], inner)


def _class(scopes: Scopes, node: ast.ClassDef, scope: Scope) -> None:
    scopes.bind(node.name, scope, node)
    scopes.definitions += 1
    scopes.classes[node.name] = scopes.classes.get(node.name, 0) + 1
    inner = scopes.nested("class", node, scope)
    scopes.push([*node.decorator_list, *node.bases, *node.keywords], scope)
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            scopes.stored_attributes.add(statement.target.id)
        elif isinstance(statement, ast.Assign):
            scopes.iteration.holders.append(statement)
            names = (target.id for target in statement.targets if isinstance(target, ast.Name))
            scopes.stored_attributes.update(names)
    scopes.push(node.body, inner)


_WRITTEN = (ast.List, ast.Tuple, ast.Call, ast.Name)  # where a loop may take names from
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


def _comprehension(scopes: Scopes, node: Comprehension, scope: Scope) -> None:
    kind = "generator" if isinstance(node, ast.GeneratorExp) else "comprehension"
    scopes.lazy += kind == "generator"
    scopes.iteration.holders.append(node)
    if kind == "generator":
        scopes.iteration.made(node)
    scopes.children(node, scopes.nested(kind, node, scope))


def _loop(scopes: Scopes, node: ast.For | ast.comprehension, scope: Scope) -> None:
    names = node.target.elts if isinstance(node.target, ast.Tuple) else [node.target]
    if isinstance(node.iter, _WRITTEN) and (len(names) == 1 or _last_called(node.iter) == "walk"):
        for target in names:
            if isinstance(target, ast.Name):
                scope.looped[target.id] = node.iter
    scopes.iteration.taken[id(node.iter)] = ""
    scopes.children(node, scope)


def _with(scopes: Scopes, node: ast.With, scope: Scope) -> None:
    for item in node.items:
        opened, made = item.optional_vars, item.context_expr
        if isinstance(opened, ast.Name) and _last_called(made) != "open":
            scopes.iteration.named(opened.id, made)
        scopes.iteration.taken[id(made)] = ""
    scopes.children(node, scope)


def _starred(scopes: Scopes, node: ast.Starred, scope: Scope) -> None:
    scopes.iteration.taken[id(node.value)] = ""
    scopes.push_one(node.value, scope)


def _last_called(node: ast.expr) -> str:
    return last_name(node.func) if isinstance(node, ast.Call) else ""


def _walrus(scopes: Scopes, node: ast.NamedExpr, scope: Scope) -> None:
    target = scope
    while target.kind in ("comprehension", "generator") and target.parent is not None:
        target = target.parent
    scopes.iteration.named(node.target.id, node.value)
    scopes.bind(node.target.id, target, node.target)
    if target is not scope:
        target.captured.add(node.target.id)
    scopes.push([node.value], scope)


def _import(scopes: Scopes, node: ast.Import | ast.ImportFrom, scope: Scope) -> None:
    for alias in node.names:
        if alias.asname and (alias.name in ITERATOR_MODULES or alias.name in ITERATORS):
            scopes.iteration.loose = True  # what makes them is not known by its name
        scopes.defaults = scopes.defaults or alias.name == "defaultdict"
        if alias.name == "exit":
            scopes.stops.add("SystemExit")
        if "pathlib" in (alias.name, getattr(node, "module", "")):
            scopes.paths = True
        if alias.name != "*":
            scopes.bind(alias.asname or alias.name.split(".")[0], scope, node)


def _handler(scopes: Scopes, node: ast.ExceptHandler, scope: Scope) -> None:
    if node.name:
        scopes.bind(node.name, scope, node)
    scopes.children(node, scope)


def _capture(
    scopes: Scopes, node: ast.MatchAs | ast.MatchStar | ast.MatchMapping, scope: Scope
) -> None:
    name = node.rest if isinstance(node, ast.MatchMapping) else node.name
    if name:
        scopes.bind(name, scope, node)
    scopes.children(node, scope)


def _global(_scopes: Scopes, node: ast.Global, scope: Scope) -> None:
    scope.globals.update(node.names)
    module = scope.module()
    for name in node.names:
        module.bindings.setdefault(name, 0)
        module.bind(name)


def _nonlocal(_scopes: Scopes, node: ast.Nonlocal, scope: Scope) -> None:
    scope.nonlocals.update(node.names)


def _yield(scopes: Scopes, node: ast.Yield | ast.YieldFrom, scope: Scope) -> None:
    scope.yields = scopes.generators = True
    scopes.iteration.holders.append(node)
    scopes.children(node, scope)


def _value(scopes: Scopes, node: ast.keyword | ast.Expr, scope: Scope) -> None:
    scopes.push_one(node.value, scope)


# Each handler takes the type of node that it is listed under.
_HANDLERS: dict[type, Callable[..., None]] = {
    ast.Name: _name,
    ast.keyword: _value,
    ast.Expr: _value,
    ast.Assign: _assign,
    ast.AnnAssign: _annotated,
    ast.Attribute: _attribute,
    ast.Raise: _raise,
    ast.Assert: _raise,
    ast.Call: _call,
    ast.Constant: _constant,
    ast.FunctionDef: _function,
    ast.AsyncFunctionDef: _function,
    ast.Lambda: _lambda,
    ast.ClassDef: _class,
    ast.ListComp: _comprehension,
    ast.SetComp: _comprehension,
    ast.DictComp: _comprehension,
    ast.GeneratorExp: _comprehension,
    ast.Import: _import,
    ast.ImportFrom: _import,
    ast.ExceptHandler: _handler,
    ast.MatchAs: _capture,
    ast.MatchStar: _capture,
    ast.MatchMapping: _capture,
    ast.Global: _global,
    ast.Nonlocal: _nonlocal,
    ast.Yield: _yield,
    ast.List: _kept,
    ast.Tuple: _kept,
    ast.Set: _kept,
    ast.Dict: _kept,
    ast.Return: _kept,
    ast.BoolOp: _kept,
    ast.Match: _kept,
    ast.IfExp: _kept,
    ast.For: _loop,
    ast.With: _with,
    ast.Starred: _starred,
    ast.comprehension: _loop,
    ast.NamedExpr: _walrus,
    ast.YieldFrom: _yield,
}
