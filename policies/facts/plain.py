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
from functools import cached_property
from typing import Final

from policies.facts import library
from policies.facts.record import ToolSpec
from policies.facts.scopes import Scope, Scopes
from policies.facts.telling import TYPES, bound_by, is_plain_factory, is_plain_in_class, tells
from policies.facts.uses import Uses


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


Rough = tuple[str, str, ast.AST]
"""A stable word, the subject, and the node."""

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
    "scanner line_num register dispatch cache_clear cache_info __wrapped__ __doc__ flags traps"
    " clear_flags clear_traps addFilter addHandler filters handlers"
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
_STR_LIKE: Final = _LIKE_BUILTINS - _words(
    "add append appendleft push put count discard remove extend total get pop clear date group"
    " sort reverse union find feed"
)
"""Methods that functions of the library call on whatever they are given: `html.escape(x)`."""
_CHANGES_ENUM: Final = _words("_missing_ _generate_next_value_")
_SETTINGS: Final = _words("level format datefmt force")
_COMPUTING: Final = library.SCALAR_MODULES | _words("decimal re json")
_OUTWARD: Final = _words("untrusted external outward public egress")
_PARTICULAR: Final = _words("next defaultdict open getcontext seed wraps basicConfig")
_MEMORIES: Final = _words("cache lru_cache cached_property")

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
    "__future__": _ALL,
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
    "functools": _words("cache cached_property cmp_to_key lru_cache partial reduce wraps"),
    "heapq": _ALL,
    "io": _words("BytesIO StringIO"),
    "logging": library.MODULES["logging"] - _words("Formatter NullHandler"),
    "operator": _words(
        "add and_ attrgetter contains countOf eq floordiv ge getitem gt itemgetter le lt mod mul"
        " ne neg not_ or_ pos sub truediv"
    ),
    "os": _ALL,
    "os.path": _ALL,
    "pathlib": _ALL,
    "traceback": _ALL,
    "string": library.MODULES["string"],
    "sys": library.MODULES["sys"] - _words("setrecursionlimit") | _words("stdout stderr"),
    "textwrap": _ALL,
    "types": _words("SimpleNamespace MappingProxyType NoneType"),
    "typing": library.MODULES["typing"] - _words("overload get_overloads clear_overloads"),
    "warnings": _words("filterwarnings simplefilter warn"),
    "html.parser": _words("HTMLParser"),
    "xml.etree.ElementTree": _words(
        "Comment Element ParseError SubElement XML fromstring fromstringlist indent tostring"
        " tostringlist"
    ),
    "numpy": _ALL,
    "pandas": _ALL,
}
_VALUES_THAT_CHANGE: Final = _words(
    "heapify heappop heappush heappushpop heapreplace insort insort_left insort_right shuffle"
    " pack_into seed"
)
"""Library functions that change what they are given: plain where called, rough as values."""


def rough_parts(
    scopes: Scopes, tools: Mapping[str, ToolSpec]
) -> tuple[Collection[Rough], Collection[Rough]]:
    """What lies outside the plain language, in no order; one thing may be told twice.

    Returns:
        What is rough in this program, and what is so only in a later step: in one program a
        function that is only called by its name is followed, wherever it writes.
    """
    looker = _Looker(scopes, tools)
    return list(looker.look()), looker.later


class _Looker:
    """Looks at the nodes kept by `Scopes`: first at what takes others, then at each."""

    def __init__(self, scopes: Scopes, tools: Mapping[str, ToolSpec]) -> None:
        self.scopes = scopes
        self.tools = tools
        self.consumed: set[int] = set()
        self.callees: set[int] = set()
        self.decorators: set[int] = set()
        self.constants: set[int] = set()
        self.closed: set[int] = set()  # opened for a `with`, or read at once
        self.modules: dict[str, str] = {}
        self.imported: dict[str, str] = {}
        self.managers: set[int] = set()  # what `with` opens
        self.later: list[Rough] = []
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
        for scope in self.scopes.by_node.values():
            if "id" in scope.uses and scope.owner("id") is None:
                yield "library", "id", _NOWHERE  # addresses tell how much has been made
        if self.scopes.classes:
            for scope in self.scopes.by_node.values():
                for name in (*scope.bindings, *scope.uses):
                    if _is_mangled(name):
                        yield "mangled-name", name, self.scopes.bound.get(name, _NOWHERE)

    def _note(self, node: ast.AST) -> None:
        if isinstance(node, ast.Call):
            self.callees.add(id(node.func))
            if node.args and _last(node.func) in _CONSUMERS:
                self.consumed.update(map(id, node.args))
        elif isinstance(node, ast.Attribute):
            self.closed.add(id(node.value))
        elif isinstance(node, ast.Assign):
            if isinstance(node.targets[0], ast.Tuple | ast.List):
                self.consumed.add(id(node.value))
            if isinstance(node.value, ast.Constant):
                self.constants.update(map(id, node.targets))
        elif isinstance(node, ast.For | ast.comprehension):
            self.consumed.add(id(node.iter))
        elif isinstance(node, ast.Starred):
            self.consumed.add(id(node.value))
        elif isinstance(node, ast.With):
            self.managers.update(id(item.context_expr) for item in node.items)
        elif isinstance(node, ast.FunctionDef):
            self.decorators.update(map(id, node.decorator_list))
        elif isinstance(node, ast.Import):
            for alias in node.names:
                self.modules[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                known = self.modules if whole in library.MODULES else self.imported
                known[alias.asname or alias.name] = whole

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
            inner = whole in library.MODULES
            plain = not inner and (members is None or alias.name in members)
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
            if library.is_hook(node.attr) and _last(node.value) != "self":
                yield "method-like-a-builtin", node.attr, node
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
            return node.id in TYPES or node.id in self.imported or node.id in self.scopes.classes
        inner = node.value if isinstance(node, ast.Attribute) else None
        return isinstance(inner, ast.Name) and inner.id in self.modules

    def _is_closed(self, node: ast.Call) -> bool:
        return id(node) in self.closed or id(node) in self.managers

    # Calls and values that are used up

    def call(self, node: ast.Call) -> Iterator[Rough]:
        name = _last(node.func)
        if self._is_lazy(node.func, name) and not self._is_used_up(node, name):
            yield "iterator", name, node
        if name in _PARTICULAR:
            yield from self._particular(name, node)
        if node.args or node.keywords:
            yield from self._passed(name, node)
        if name in _CHANGING and isinstance(node.func, ast.Attribute):
            yield from self._outer(node.func.value)

    def _particular(self, name: str, node: ast.Call) -> Iterator[Rough]:
        if name == "next" and not (node.args and self._is_fresh(node.args[0])):
            yield "iterator", name, node
        if name == "defaultdict" and node.args and not self._is_plain_factory(node.args[0]):
            yield "factory", name, node
        if name == "open" and not self._is_closed(node) and not _only_reads(node):
            yield "open-file", name, node
        elif name == "open" and self._inside():
            yield from self._beyond("a file that is opened by a function", node, later=True)
        if name == "getcontext" and id(node) not in self.closed:
            yield "library", "decimal.getcontext as a value", node
        if name == "seed" and not all(isinstance(each, ast.Constant) for each in node.args):
            yield "library", "random.seed of what is computed", node
        if name == "wraps" and id(node) not in self.decorators:
            yield "library", "functools.wraps", node
        if name == "basicConfig" and not all(map(_is_setting, node.keywords)):
            yield "library", "logging.basicConfig", node

    def _passed(self, name: str, node: ast.Call) -> Iterator[Rough]:
        for keyword in node.keywords:
            if keyword.arg == "default_factory" and not self._is_plain_factory(keyword.value):
                yield "factory", keyword.arg, node
            elif keyword.arg is None and self._hides(name, keyword.value):
                yield "spread", name, node
        for argument in node.args:
            told = isinstance(argument, ast.Name) and argument.id in self.imported
            if told and _last(argument) in _VALUES_THAT_CHANGE:
                yield "method-as-value", _last(argument), argument
        own = isinstance(node.func, ast.Name) and node.func.id in self.scopes.bound
        if own and name != "defaultdict":
            yield from self._library_values(node.args)

    def _is_plain_factory(self, node: ast.expr) -> bool:
        return is_plain_factory(node, self.scopes.classes)

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
            yield from self._beyond(target.id, target, known=owner is not None)

    def _beyond(
        self, name: str, node: ast.AST, *, known: bool = True, later: bool = False
    ) -> Iterator[Rough]:
        """A change of an outer variable: by a helper it is seen wherever that is called."""
        found = "outer-variable", name, node
        made = self._made(self.scope) if known else None
        yields = self.scope is not None and self.scope.yields
        if made is not None and not made.decorator_list and not yields and self._is_helper(made):
            self.later += [found] if later else []
        else:
            yield found

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
            return name in ("finditer", "iter", "iterfind", "itertext", "glob", "rglob", "iterdir")
        return self.modules[inner.id] == "itertools" or name in ("finditer", "merge", "iter_unpack")

    @cached_property
    def uses(self) -> Uses:
        return Uses(next(iter(self.scopes.by_node)))

    def _is_used_up(self, node: ast.expr, name: str) -> bool:
        """Whether an iterator is used up where it is made, or in a straight line from there."""
        if id(node) not in self.consumed:
            made = self.uses.parent[node]
            target = made.targets[0] if isinstance(made, ast.Assign) else None
            if isinstance(made, ast.Return):  # `__iter__` gives what a loop then takes
                around = self._made(self.scope, methods=True)
                return around is not None and around.name == "__iter__"
            if not isinstance(target, ast.Name):
                return False
            if not self._is_straight(target):
                return self._is_drawn(target, node)
            loads = self.uses.loads.get(target.id)
            return name != "groupby" or not loads or self._groups_once(loads[0])
        return name != "groupby" or self._groups_once(node)

    def _is_straight(self, target: ast.Name) -> bool:
        owner = self.scope.owner(target.id) if self.scope is not None else None
        alone = owner is not None and owner.bindings.get(target.id) == 1
        return alone and self.uses.in_order(target, target.id, self.consumed)

    def _is_fresh(self, node: ast.expr) -> bool:
        if not isinstance(node, ast.Name) or self.scope is None:
            return isinstance(node, _FRESH)
        made = self.scope.owner(node.id)
        value = made.single.get(node.id) if made is not None else None
        target = self.uses.parent[value] if value is not None else None
        if not isinstance(value, _FRESH) or not isinstance(target, ast.Assign):
            return False
        bound = target.targets[0]
        plain = isinstance(bound, ast.Name) and self._is_straight(bound)
        return plain or self._is_drawn(node, value)

    def _is_drawn(self, target: ast.Name, made: ast.AST) -> bool:
        """Whether an iterator that runs nothing has one name, and is only read by `next(name)`.

        Each draw stands in the program then, and the walk notes what decided it.
        """
        owner = self.scope.owner(target.id) if self.scope is not None else None
        if not isinstance(made, ast.Call) or _last(made.func) not in _DRAWN or owner is None:
            return False
        runs = (ast.GeneratorExp, ast.Lambda, ast.Starred, ast.Call)
        alone = owner.bindings.get(target.id) == 1 and target.id not in owner.captured
        given = [*made.args, *(keyword.value for keyword in made.keywords)]
        quiet = len(given) < 2 or _last(made.func) != "iter"
        return (
            alone
            and quiet
            and self.uses.only_drawn(target.id)
            and not any(isinstance(each, runs) for each in given)
        )

    def _groups_once(self, node: ast.expr) -> bool:
        """The groups of `groupby` are iterators over what the next group begins with."""
        loop = self.uses.parent[node]
        if not isinstance(loop, ast.For | ast.comprehension) or loop.iter is not node:
            return False
        pair = loop.target.elts if isinstance(loop.target, ast.Tuple) else []
        group = pair[1] if len(pair) == 2 else None
        return isinstance(group, ast.Name) and self.uses.read_once(group.id, loop, self.consumed)

    def generator(self, node: ast.GeneratorExp) -> Iterator[Rough]:
        if not self._is_used_up(node, ""):
            yield "generator", "an expression kept as a value", node

    def yields(self, node: ast.Yield | ast.YieldFrom) -> Iterator[Rough]:
        if not self._runs_in_place(node):
            yield "generator", "yield", node

    def _runs_in_place(self, node: ast.Yield | ast.YieldFrom) -> bool:
        """Whether its function is only called where all of it is taken at once, and writes nothing.

        A context manager is one that only `with` opens, and that calls no tool.
        """
        made = self._made(self.scope, methods=True)
        if made is None or not isinstance(self.uses.parent[node], ast.Expr):
            return False
        managing = [_last(decorator) for decorator in made.decorator_list] == ["contextmanager"]
        if made.decorator_list and not managing:
            return False
        taken = self.managers if managing else self.consumed | self._delegated
        method = made.name in self.scopes.methods
        calls = self._method_calls(made) if method else self.uses.calls_of(made.name)
        called = {_last(p.func) for p in ast.walk(made) if isinstance(p, ast.Call)}
        tools = [tool for name, tool in self.tools.items() if name in called]
        reading = bool(calls) and all(tool.effect == "read" and not managing for tool in tools)
        alone = method or self._is_helper(made)
        return reading and alone and all(id(call) in taken for call in calls)

    def _method_calls(self, made: ast.FunctionDef) -> list[ast.AST]:
        """Calls of a method; what is not a call is among them where it is also a value."""
        nodes = (n for n, _ in self.scopes.kept if isinstance(n, ast.Attribute))
        named = [node for node in nodes if node.attr == made.name]
        alone = len(self.scopes.methods[made.name]) == 1 and made.name not in self.uses.loads
        plain = all(id(node) in self.callees for node in named) and alone
        return [self.uses.parent[node] if plain else node for node in named]

    @cached_property
    def _delegated(self) -> set[int]:
        nodes = (node for node, _ in self.scopes.kept)
        return {id(node.value) for node in nodes if isinstance(node, ast.YieldFrom)}

    def _made(self, scope: Scope | None, *, methods: bool = False) -> ast.FunctionDef | None:
        """The definition of a function, methods only where they are asked for."""
        nodes = (node for node, inner in self.scopes.by_node.items() if inner is scope)
        made = next(nodes, None)
        outer = scope.parent if scope is not None else None
        plain = outer is not None and (methods or outer.kind != "class")
        return made if plain and isinstance(made, ast.FunctionDef) else None

    def _is_helper(self, made: ast.FunctionDef) -> bool:
        """Whether it is only called, by its own name."""
        bound = self.scopes.by_node[made].parent
        alone = bound is not None and bound.bindings.get(made.name) == 1
        return alone and self.uses.only_called(made.name)

    def awaits(self, node: ast.AST) -> Iterator[Rough]:
        yield "asynchronous", type(node).__name__, node

    # Definitions

    def function(self, node: ast.FunctionDef) -> Iterator[Rough]:
        for decorator in node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            name = _last(called)
            if isinstance(called, ast.Name) and name not in self.imported:
                own = name in self.scopes.bound or name in _DECORATORS
                if not own and not (name == "property" and self._tells(node)):
                    yield "decorator", name, decorator
            elif name == "cached_property" and self._tells(node):
                continue
            elif name not in _DECORATORS and not (name in _MEMORIES and self._reads(node)):
                yield "decorator", name, decorator

    def _tells(self, node: ast.FunctionDef) -> bool:
        return tells(node, self._makers)

    @cached_property
    def _makers(self) -> frozenset[str]:
        """Classes of the program, and what computes something and does nothing else."""
        named = {n for n, whole in self.imported.items() if whole.rpartition(".")[0] in _COMPUTING}
        modules = {name for name, module in self.modules.items() if module in _COMPUTING}
        return frozenset(self.scopes.classes.keys() | named | modules)

    def _reads(self, node: ast.FunctionDef) -> bool:
        """Whether only its result shows if a function ran, or what it returned was remembered."""
        asked = {
            name
            for name, tool in self.tools.items()
            if tool.effect == "read" and tool.labels.isdisjoint(_OUTWARD)
        }
        return tells(node, self._makers | asked | {node.name})

    def method(self, node: ast.FunctionDef) -> Iterator[Rough]:
        name = node.name
        if name.startswith("__") and name.endswith("__"):
            if name not in _CONSTRUCTORS and not self._tells(node):
                yield "special-method", name, node
        elif name in _STR_LIKE or (library.is_hook(name) and not _is_phrase(name)):
            yield "method-like-a-builtin", name, node

    def class_(self, node: ast.ClassDef) -> Iterator[Rough]:
        for keyword in node.keywords:
            if keyword.arg != "total" or not isinstance(keyword.value, ast.Constant):
                yield "class", keyword.arg or "**", node
        for decorator in node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if _last(called) not in ("dataclass", "unique"):
                yield "decorator", _last(called), decorator
        bases = [_base(base) for base in node.bases]
        enumerated = not _ENUMS.isdisjoint(bases)
        parses = bases == ["HTMLParser"] and self._parses(node)
        for name in bases:
            mixed = (enumerated and name in ("str", "int")) or parses
            if name not in _BASES and name not in self.scopes.classes and not mixed:
                yield "library-base", name, node
        bound = bound_by(node)
        for statement in node.body:
            if isinstance(statement, ast.FunctionDef):
                yield from () if statement.name in _PARSED and parses else self.method(statement)
                acts = statement.name in _CONSTRUCTORS and self._acts(statement)
                if acts and not (statement.name == "__init__" and self._is_only_made(node)):
                    yield "special-method", f"{statement.name} that calls", statement
                if enumerated and statement.name in _CONSTRUCTORS | _CHANGES_ENUM:
                    yield "library-base", "a method of an enumeration", statement
            elif not is_plain_in_class(statement, bound):
                yield "class-body", type(statement).__name__, statement

    def _parses(self, node: ast.ClassDef) -> bool:
        """Whether a parser of HTML only keeps what it is fed: all of it is in what it holds."""
        own = {s.name for s in node.body if isinstance(s, ast.FunctionDef)}
        called = {_last(part.func) for part in ast.walk(node) if isinstance(part, ast.Call)}
        known = self.scopes.bound.keys() - self.scopes.classes.keys() - own - {"__init__"}
        replaced = own & (_OF_PARSERS - _PARSED)
        return not replaced and called.isdisjoint({*self.tools, *known})

    def _is_only_made(self, node: ast.ClassDef) -> bool:
        """Whether a class is only called, by its name: then its constructor runs where that is."""
        alone = self.scope is not None and self.scope.bindings.get(node.name) == 1
        plain = alone and not node.bases and not node.decorator_list
        made = plain and bool(self.uses.calls_of(node.name))
        return made and self.uses.only_called(node.name)

    def _acts(self, node: ast.FunctionDef) -> bool:
        """Whether a constructor calls tools or functions of the program."""
        called = {_last(part.func) for part in ast.walk(node) if isinstance(part, ast.Call)}
        return not called.isdisjoint({*self.tools, *self._own} - _CONSTRUCTORS)

    @cached_property
    def _own(self) -> frozenset[str]:
        """Names of the program's functions and methods."""
        kept = {
            name
            for scope in self.scopes.by_node.values()
            for name, value in scope.single.items()
            if isinstance(value, ast.Lambda)
        }
        return frozenset(kept.union(name for name, _ in self.scopes.functions))

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
        yield from self._beyond(" ".join(node.names), node)

    def match(self, node: ast.MatchValue | ast.MatchMapping) -> Iterator[Rough]:
        keys = [node.value] if isinstance(node, ast.MatchValue) else node.keys
        if not all(isinstance(key, ast.Constant | ast.UnaryOp) for key in keys):
            yield "match", "a value that is not written out", node

    def nothing(self, _node: ast.AST) -> Iterator[Rough]:
        return iter(())


def _only_reads(node: ast.Call) -> bool:
    """Whether a file is opened to be read: how far it was read is followed as of any iterator."""
    if not isinstance(node.func, ast.Name):
        return False
    modes = [*node.args[1:2], *(k.value for k in node.keywords if k.arg == "mode")]
    given = [mode.value if isinstance(mode, ast.Constant) else None for mode in modes]
    return all(isinstance(mode, str) and set(mode) <= set("rbt") for mode in given) and not any(
        isinstance(each, ast.Starred) for each in node.args
    )


def _is_setting(keyword: ast.keyword) -> bool:
    """Of `logging.basicConfig`; a stream that can be read back shows the time in its records."""
    if keyword.arg == "stream":
        return _last(keyword.value) in ("stdout", "stderr")
    return keyword.arg in _SETTINGS


def _is_phrase(name: str) -> bool:
    """`format_row`, `handle_order`: the library calls such methods of its own classes alone."""
    return name.startswith(("format_", "handle_"))


_NOWHERE: Final = ast.Pass(lineno=1, col_offset=0)
_PARSED: Final = _words(
    "__init__ handle_starttag handle_endtag handle_startendtag handle_data handle_entityref"
    " handle_charref handle_comment"
)
_OF_PARSERS: Final = _PARSED | _words(
    "feed close reset goahead error updatepos getpos get_starttag_text set_cdata_mode unknown_decl"
    " clear_cdata_mode parse_html_declaration parse_bogus_comment parse_pi parse_starttag"
    " check_for_whole_start_tag parse_endtag handle_decl handle_pi parse_declaration"
    " parse_marked_section parse_comment"
)
_DRAWN: Final = _words("cycle count repeat iter")
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
