"""Which parts of a program lie outside the plain language that the analysis follows exactly.

The analysis follows all of the allowed language, but not all of it to the letter: a property's
setter, a generator that is advanced elsewhere, a special method that an operator runs, a name in
a class body that is not bound yet, are places where whoever looks for long enough finds a value
that passes unseen. So what is *plain* is listed here, and everything else is `rough`: a program
that touches labelled data, has an effect, and is rough in any place is for a person to read.
What is new in Python, or forgotten here, is rough until somebody has listed it.

Guarantees: pure syntax over the nodes that `scopes.py` has kept; never raises on hostile trees.
Does not guarantee: that the rough parts do anything bad. Most do not.
"""

import ast
import builtins
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final

from policies.facts import library
from policies.facts.scopes import Scope, Scopes


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


Rough = tuple[str, str, ast.AST]
"""A stable word, the subject, and the node."""

_TYPES: Final = frozenset(
    name for name, value in vars(builtins).items() if isinstance(value, type) and name.islower()
)
_ERRORS: Final = frozenset(
    name
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, Exception)
)
_ENUMS: Final = _words("Enum IntEnum StrEnum Flag IntFlag")
_BASES: Final = _ERRORS | _ENUMS | _words("object ABC Protocol NamedTuple TypedDict Generic")
_DECORATORS: Final = _words(
    "dataclass staticmethod classmethod abstractmethod wraps contextmanager unique"
)
_CONSTRUCTORS: Final = _words("__init__ __post_init__")
_TOLD: Final = _words("__repr__ __str__")
_SAFE_CALLS: Final = _words("str repr len round format sum min max sorted abs")

_SHADOWABLE: Final = library.LAZY_BUILTINS | {"next"}
_LAZY_MODULES: Final = _words("itertools")
_CONSUMERS: Final = library.LAZY_BUILTINS | _words(
    "list tuple set frozenset dict sorted sum any all min max next len Counter OrderedDict deque"
    " fsum prod mean fmean median mode stdev pstdev variance pvariance multimode reduce nlargest"
    " nsmallest from_iterable chain islice accumulate product pairwise zip_longest"
    " combinations permutations takewhile dropwhile starmap compress join extend update union"
    " intersection difference symmetric_difference issubset issuperset writerows writelines"
    " fromkeys array DataFrame Series Decimal"
)
_CHANGING: Final = library.MUTATING_METHODS | _words(
    "send throw close write writelines writerow writerows read readline readlines seek truncate"
    " sort reverse intersection_update difference_update symmetric_difference_update move_to_end"
    " __setattr__ __delattr__ __setitem__ __delitem__ __iadd__ __ior__"
)
_ODD: Final = _words(
    "scanner line_num register dispatch cache_clear cache_info __wrapped__ __doc__"
)
_FUNCTIONS: Final = ("function", "lambda")
_NUMBERS: Final = _words(
    "pi e inf nan tau utc digits hexdigits octdigits ascii_letters ascii_lowercase"
    " ascii_uppercase punctuation printable whitespace maxsize day_name day_abbr month_name"
    " month_abbr version_info"
)
_LIKE_BUILTINS: Final = (
    library.SCALAR_METHODS | library.READING_METHODS | library.KEYED_METHODS | _CHANGING
)
_FIELDS: Final = _TYPES - {"property"} | _words("field auto Decimal Field date datetime timedelta")
_FACTORIES: Final = _TYPES | _words("Counter OrderedDict deque Decimal")

_ALL: Final[frozenset[str] | None] = None
_MODULES: Final[Mapping[str, frozenset[str] | None]] = {
    **dict.fromkeys(
        _words(
            "abc binascii calendar cmath collections.abc colorsys copy datetime difflib"
            " email.utils fnmatch fractions graphlib hashlib hmac html ipaddress itertools json"
            " keyword locale math numbers pprint random re secrets statistics struct time"
            " unicodedata urllib.parse uuid zlib gzip zoneinfo"
        ),
        _ALL,
    ),
    "ast": _words("literal_eval"),
    "base64": library.MODULES["base64"] - _words("decode encode"),
    "bisect": _ALL,
    "collections": _words("Counter OrderedDict defaultdict deque namedtuple abc"),
    "contextlib": _words("closing contextmanager nullcontext suppress"),
    "csv": library.MODULES["csv"] - _words("Dialect field_size_limit"),
    "dataclasses": _words(
        "FrozenInstanceError asdict astuple dataclass field fields is_dataclass replace"
    ),
    "decimal": _words(
        "Decimal DecimalException DivisionByZero InvalidOperation ROUND_05UP ROUND_CEILING"
        " ROUND_DOWN ROUND_FLOOR ROUND_HALF_DOWN ROUND_HALF_EVEN ROUND_HALF_UP ROUND_UP getcontext"
    ),
    "enum": _ENUMS | _words("auto unique"),
    "functools": _words("cache cmp_to_key lru_cache partial reduce wraps"),
    "heapq": _ALL,
    "io": _words("BytesIO StringIO"),
    "logging": library.MODULES["logging"] - _words("Formatter NullHandler"),
    "operator": _words(
        "add and_ attrgetter contains countOf eq floordiv ge getitem gt itemgetter le lt mod mul"
        " ne neg not_ or_ pos sub truediv"
    ),
    "string": library.MODULES["string"],
    "sys": library.MODULES["sys"] - _words("setrecursionlimit"),
    "textwrap": library.MODULES["textwrap"] - _words("TextWrapper"),
    "types": _words("SimpleNamespace MappingProxyType NoneType"),
    "typing": library.MODULES["typing"] - _words("overload get_overloads clear_overloads"),
    "warnings": _words("filterwarnings simplefilter warn"),
    "numpy": _ALL,
    "pandas": _ALL,
}
_VALUES_THAT_CHANGE: Final = _words(
    "heapify heappop heappush heappushpop heapreplace insort insort_left insort_right shuffle"
    " pack_into seed"
)
"""Library functions that change what they are given: plain where called, rough as values."""


def rough_parts(scopes: Scopes, tools: Collection[str]) -> Iterator[Rough]:
    """What lies outside the plain language, in no order; one thing may be told twice."""
    return _Looker(scopes, tools).look()


class _Looker:
    """Looks at the nodes kept by `Scopes`: first at what takes others, then at each."""

    def __init__(self, scopes: Scopes, tools: Collection[str]) -> None:
        self.scopes = scopes
        self.tools = tools
        self.consumed: set[int] = set()
        self.callees: set[int] = set()
        self.decorators: set[int] = set()
        self.constants: set[int] = set()
        self.closed: set[int] = set()  # opened for a `with`, or read at once
        self.modules: dict[str, str] = {}
        self.imported: dict[str, str] = {}
        self.scope: Scope | None = None  # of the node that is looked at

    def look(self) -> Iterator[Rough]:
        for node, _ in self.scopes.kept:
            self._note(node)
        for node, scope in self.scopes.kept:
            self.scope = scope
            yield from _LOOKS[type(node)](self, node)
        for name in _SHADOWABLE & self.scopes.bound.keys():
            if any(s.kind != "class" and name in s.bindings for s in self.scopes.by_node.values()):
                yield "shadowed-builtin", name, self.scopes.bound[name]
        if self.scopes.classes:
            for scope in self.scopes.by_node.values():
                for name in (*scope.bindings, *scope.uses):
                    if _is_mangled(name):
                        yield "mangled-name", name, self.scopes.bound.get(name, _NOWHERE)

    def _note(self, node: ast.AST) -> None:
        if isinstance(node, ast.Call):
            self.callees.add(id(node.func))
            if _last(node.func) in _CONSUMERS:
                self.consumed.update(map(id, node.args))
        elif isinstance(node, ast.For | ast.comprehension):
            self.consumed.add(id(node.iter))
        elif isinstance(node, ast.Starred):
            self.consumed.add(id(node.value))
        elif isinstance(node, ast.Assign):
            if isinstance(node.targets[0], ast.Tuple | ast.List):
                self.consumed.add(id(node.value))
            if isinstance(node.value, ast.Constant):
                self.constants.update(map(id, node.targets))
        elif isinstance(node, ast.With):
            self.closed.update(id(item.context_expr) for item in node.items)
        elif isinstance(node, ast.Attribute):
            self.closed.add(id(node.value))
        elif isinstance(node, ast.FunctionDef):
            self.decorators.update(map(id, node.decorator_list))
        elif isinstance(node, ast.Import):
            for alias in node.names:
                self.modules[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                self.imported[alias.asname or alias.name] = f"{node.module}.{alias.name}"

    # Modules

    def imports(self, node: ast.Import) -> Iterator[Rough]:
        for alias in node.names:
            if _plain_members(alias.name) is _NOT_PLAIN:
                yield "library", alias.name, node

    def imports_from(self, node: ast.ImportFrom) -> Iterator[Rough]:
        module = node.module or ""
        members = _plain_members(module)
        for alias in node.names:
            whole = f"{module}.{alias.name}"
            plain = members is None or alias.name in members
            if not plain and _plain_members(whole) is _NOT_PLAIN:
                yield "library", whole, node

    def attribute(self, node: ast.Attribute) -> Iterator[Rough]:
        if _is_mangled(node.attr):
            yield "mangled-name", node.attr, node
        own = node.attr in ("__name__", "__qualname__") and isinstance(node.value, ast.Name)
        if own or node.attr in _ODD:
            yield "library", node.attr, node
        if isinstance(node.value, ast.Name) and node.value.id in self.modules:
            module = self.modules[node.value.id]
            members = _plain_members(module)
            if members is not None and members is not _NOT_PLAIN and node.attr not in members:
                yield "library", f"{module}.{node.attr}", node
        if not isinstance(node.ctx, ast.Load):
            if isinstance(node.value, ast.Call) and not self._sets_precision(node):
                yield "stored-through-call", node.attr, node
        elif id(node) not in self.callees:
            if node.attr in _CHANGING or node.attr in _VALUES_THAT_CHANGE:
                yield "method-as-value", node.attr, node
        elif node.attr in _CHANGING and self._is_class(node.value):
            yield "unbound-method", node.attr, node

    def _sets_precision(self, node: ast.Attribute) -> bool:
        """Whether this is `getcontext().prec = 28`, with a number that is written out."""
        called = node.value.func if isinstance(node.value, ast.Call) else node.value
        return _last(called) == "getcontext" and id(node) in self.constants

    def _is_class(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Name):
            return node.id in _TYPES or node.id in self.imported or node.id in self.scopes.classes
        inner = node.value if isinstance(node, ast.Attribute) else None
        return isinstance(inner, ast.Name) and inner.id in self.modules

    # Calls and values that are used up

    def call(self, node: ast.Call) -> Iterator[Rough]:
        name = _last(node.func)
        fresh = id(node) not in self.consumed or name == "groupby"  # whose groups are iterators
        if fresh and self._is_lazy(node.func, name):
            yield "iterator", name, node
        if name == "next" and not (node.args and isinstance(node.args[0], _FRESH)):
            yield "iterator", name, node
        if name == "defaultdict" and node.args and not _plain_factory(node.args[0]):
            yield "factory", name, node
        if name == "open" and (self._inside() or id(node) not in self.closed):
            yield "outer-variable", "a file that stays open, or is opened by a function", node
        if name == "seed" and not all(isinstance(each, ast.Constant) for each in node.args):
            yield "library", "random.seed of what is computed", node
        if name == "wraps" and id(node) not in self.decorators:
            yield "library", "functools.wraps", node
        if name == "basicConfig" and any(k.arg not in ("level", "format") for k in node.keywords):
            yield "library", "logging.basicConfig", node
        yield from self._passed(name, node)
        outer = node.func.value if isinstance(node.func, ast.Attribute) else None
        if name in _CHANGING and outer is not None:
            yield from self._outer(outer)

    def _passed(self, name: str, node: ast.Call) -> Iterator[Rough]:
        for keyword in node.keywords:
            if keyword.arg == "default_factory" and not _plain_factory(keyword.value):
                yield "factory", keyword.arg, node
            elif keyword.arg is None and self._hides(name, keyword.value):
                yield "spread", name, node
        for argument in node.args:
            told = isinstance(argument, ast.Name) and argument.id in self.imported
            if told and _last(argument) in _VALUES_THAT_CHANGE:
                yield "method-as-value", _last(argument), argument
        if isinstance(node.func, ast.Name) and node.func.id in self.scopes.bound:
            yield from self._library_values(node.args)

    def _library_values(self, values: Collection[ast.expr]) -> Iterator[Rough]:
        """Functions and classes of the library as values: all who hold one hold the same."""
        for value in values:
            if isinstance(value, ast.Name):
                shared = value.id in self.imported or value.id in library.LAZY_BUILTINS
            else:
                root = value.value if isinstance(value, ast.Attribute) else None
                shared = isinstance(root, ast.Name) and root.id in self.modules
            if shared and not _is_constant(_last(value)):
                yield "library", f"{_last(value)} used as a value", value

    def _outer(self, target: ast.expr) -> Iterator[Rough]:
        """What a function changes outside itself: later steps see it, who calls it does not."""
        while isinstance(target, ast.Subscript | ast.Attribute):
            target = target.value
        scope = self.scope
        if scope is None or not self._inside() or not isinstance(target, ast.Name):
            return
        owner = scope.owner(target.id)
        if owner is None or (owner is not scope and owner.kind in ("module", *_FUNCTIONS)):
            yield "outer-variable", target.id, target

    def _inside(self) -> bool:
        return self.scope is not None and self.scope.kind in _FUNCTIONS

    def _hides(self, callee: str, spread: ast.expr) -> bool:
        """Whether `**spread` passes what a reader of this call cannot see."""
        seen = isinstance(spread, ast.Dict | ast.Name)
        return callee == "print" or (callee in self.tools and not seen)

    def _is_lazy(self, function: ast.expr, name: str) -> bool:
        if isinstance(function, ast.Name):
            origin = self.imported.get(name, "").partition(".")
            return name in library.LAZY_BUILTINS or (origin[0] in _LAZY_MODULES)
        inner = function.value if isinstance(function, ast.Attribute) else None
        if not isinstance(inner, ast.Name) or inner.id not in self.modules:
            return name == "finditer"
        return self.modules[inner.id] == "itertools" or name in ("finditer", "merge", "iter_unpack")

    def generator(self, node: ast.GeneratorExp) -> Iterator[Rough]:
        if id(node) not in self.consumed:
            yield "generator", "an expression kept as a value", node

    def yields(self, node: ast.Yield | ast.YieldFrom) -> Iterator[Rough]:
        yield "generator", "yield", node

    def awaits(self, node: ast.AST) -> Iterator[Rough]:
        yield "asynchronous", type(node).__name__, node

    # Definitions

    def function(self, node: ast.FunctionDef) -> Iterator[Rough]:
        for decorator in node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            name = _last(called)
            if isinstance(called, ast.Name) and name not in self.imported:
                own = name in self.scopes.bound or name in _DECORATORS
                if not own and not (name == "property" and _tells(node)):
                    yield "decorator", name, decorator
            elif name not in _DECORATORS:
                yield "decorator", name, decorator

    def method(self, node: ast.FunctionDef) -> Iterator[Rough]:
        name = node.name
        if name.startswith("__") and name.endswith("__"):
            if name not in _CONSTRUCTORS and not (name in _TOLD and _tells(node)):
                yield "special-method", name, node
        elif name in _LIKE_BUILTINS or library.is_hook(name):
            yield "method-like-a-builtin", name, node

    def class_(self, node: ast.ClassDef) -> Iterator[Rough]:
        for keyword in node.keywords:
            yield "class", keyword.arg or "**", node
        for decorator in node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if _last(called) not in ("dataclass", "unique"):
                yield "decorator", _last(called), decorator
        bases = [_base(base) for base in node.bases]
        for name in bases:
            if name not in _BASES and name not in self.scopes.classes:
                yield "library-base", name, node
        bound = _bound_by(node)
        for statement in node.body:
            if isinstance(statement, ast.FunctionDef):
                yield from self.method(statement)
                if statement.name in _CONSTRUCTORS and self._acts(statement):
                    yield "special-method", f"{statement.name} that calls", statement
                if not _ENUMS.isdisjoint(bases):
                    yield "library-base", "a method of an enumeration", statement
            elif not _plain_in_class(statement, bound):
                yield "class-body", type(statement).__name__, statement

    def _acts(self, node: ast.FunctionDef) -> bool:
        """Whether a constructor calls tools or functions of the program."""
        called = {_last(part.func) for part in ast.walk(node) if isinstance(part, ast.Call)}
        own = self.scopes.bound.keys() - self.scopes.classes.keys()
        return not called.isdisjoint({*self.tools, *own})

    def assignment(self, node: ast.Assign) -> Iterator[Rough]:
        aliased = len(node.targets) > 1 or isinstance(node.value, ast.NamedExpr)
        if aliased and not isinstance(node.value, ast.Constant):
            yield "two-names", "of one value", node
        yield from self._library_values([node.value])
        for target in node.targets:
            if isinstance(target, ast.Subscript | ast.Attribute):
                yield from self._outer(target)

    def augmented(self, node: ast.AugAssign) -> Iterator[Rough]:
        if isinstance(node.target, ast.Subscript | ast.Attribute):
            yield from self._outer(node.target)

    def outer(self, node: ast.Global | ast.Nonlocal) -> Iterator[Rough]:
        yield "outer-variable", " ".join(node.names), node

    def match(self, node: ast.MatchValue | ast.MatchMapping) -> Iterator[Rough]:
        keys = [node.value] if isinstance(node, ast.MatchValue) else node.keys
        if not all(isinstance(key, ast.Constant | ast.UnaryOp) for key in keys):
            yield "match", "a value that is not written out", node

    def nothing(self, _node: ast.AST) -> Iterator[Rough]:
        return iter(())


_NOWHERE: Final = ast.Pass(lineno=1, col_offset=0)
_NOT_PLAIN: Final = frozenset({"\0"})
_FRESH: Final = (ast.GeneratorExp, ast.Call)


def _plain_members(module: str) -> frozenset[str] | None:
    """Plain members of a module; None for all, `_NOT_PLAIN` where it is not plain at all."""
    if module in _MODULES:
        return _MODULES[module]
    numeric = module.startswith(("numpy.", "pandas."))
    return None if numeric or module in library.PACKAGES else _NOT_PLAIN


def _is_constant(name: str) -> bool:
    """Whether a member of a module is a number, a text or a mark, as its name says."""
    return name.isupper() or name in _NUMBERS


def _is_mangled(name: str) -> bool:
    return name.startswith("__") and not name.endswith("__")


def _last(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def _base(node: ast.expr) -> str:
    return _last(node.value if isinstance(node, ast.Subscript) else node)


def _plain_factory(node: ast.expr) -> bool:
    if isinstance(node, ast.Name):
        return node.id in _FACTORIES
    if isinstance(node, ast.Attribute):
        return node.attr in _FACTORIES
    inner = node.body if isinstance(node, ast.Lambda) else None
    if inner is None:
        return isinstance(node, ast.Constant)
    return all(
        isinstance(part, _SHAPES) or (isinstance(part, ast.Name) and part.id in _FACTORIES)
        for part in ast.walk(inner)
    )


_SHAPES: Final = (
    *(ast.Constant, ast.Dict, ast.List, ast.Set, ast.Tuple, ast.Call, ast.UnaryOp),
    *(ast.expr_context, ast.unaryop),
)


def _tells(node: ast.FunctionDef) -> bool:
    """Whether all that a method does is to return something made of what it has."""
    body = [s for s in node.body if not (isinstance(s, ast.Expr) and _constant(s.value))]
    if len(body) != 1 or not isinstance(body[0], ast.Return):
        return False
    parts = list(ast.walk(body[0]))
    called = (part.func for part in parts if isinstance(part, ast.Call))
    names = {part.id for part in parts if isinstance(part, ast.Name)}
    own = {argument.arg for argument in node.args.args}
    return names <= own | _SAFE_CALLS and all(isinstance(each, ast.Name) for each in called)


def _constant(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant)


def _bound_by(node: ast.ClassDef) -> frozenset[str]:
    """Names that the statements of a class body bind."""
    found = {target.id for s in node.body for target in _targets(s)}
    return frozenset(found | {s.name for s in node.body if isinstance(s, ast.FunctionDef)})


def _targets(statement: ast.stmt) -> Iterator[ast.Name]:
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        yield statement.target
    elif isinstance(statement, ast.Assign):
        yield from (target for target in statement.targets if isinstance(target, ast.Name))


def _plain_in_class(statement: ast.stmt, bound: frozenset[str]) -> bool:
    if isinstance(statement, ast.Pass):
        return True
    if isinstance(statement, ast.Expr):
        return _constant(statement.value)
    if not any(_targets(statement)):
        return False
    value: ast.expr | None = statement.value  # type: ignore[attr-defined]
    parts = list(ast.walk(value)) if value is not None else []
    names = {part.id for part in parts if isinstance(part, ast.Name)}
    called = {_last(part.func) for part in parts if isinstance(part, ast.Call)}
    lazy = any(isinstance(part, ast.Lambda) for part in parts)
    return not lazy and bound.isdisjoint(names) and called <= _FIELDS


_LOOKS: Final[Mapping[type, Callable[..., Iterator[Rough]]]] = {
    ast.Attribute: _Looker.attribute,
    ast.Call: _Looker.call,
    ast.ClassDef: _Looker.class_,
    ast.FunctionDef: _Looker.function,
    ast.AsyncFunctionDef: _Looker.awaits,
    ast.AsyncFor: _Looker.awaits,
    ast.AsyncWith: _Looker.awaits,
    ast.Await: _Looker.awaits,
    ast.GeneratorExp: _Looker.generator,
    ast.Yield: _Looker.yields,
    ast.YieldFrom: _Looker.yields,
    ast.Global: _Looker.outer,
    ast.Nonlocal: _Looker.outer,
    ast.Import: _Looker.imports,
    ast.ImportFrom: _Looker.imports_from,
    ast.MatchValue: _Looker.match,
    ast.MatchMapping: _Looker.match,
    ast.For: _Looker.nothing,
    ast.comprehension: _Looker.nothing,
    ast.Starred: _Looker.nothing,
    ast.Assign: _Looker.assignment,
    ast.AugAssign: _Looker.augmented,
    ast.With: _Looker.nothing,
}
