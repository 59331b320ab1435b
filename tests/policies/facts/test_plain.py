"""What is not plain is rough, and rough code beside labelled data and an effect is for a person."""

import ast

import pytest

from policies.engine import Outcome, decide
from policies.facts import library, plain, scopes
from policies.facts.extract import extract
from policies.facts.record import Origin, ToolSpec
from policies.requests import RunContext, execute, is_outward
from tests.policies.suites import starter, tools

ROUGH = {
    "a setter": ("class C:\n    @x.setter\n    def x(self, v): self.y = v", "decorator"),
    "a property that computes": (
        "class C:\n    @property\n    def x(self):\n        self.n += 1\n        return 1",
        "decorator",
    ),
    "an operator": (
        "class C:\n    def __add__(self, o):\n        self.n = o\n        return o",
        "special-method",
    ),
    "a string form that calls": (
        "class C:\n    def __str__(self): return send(self)",
        "special-method",
    ),
    "a method named as a string's": ("class C:\n    def index(self): ...", "method-like-a-builtin"),
    "a class of the library below": ("class C(UserList): ...", "library-base"),
    "an enumeration with methods": (
        "from enum import Enum\nclass C(Enum):\n    def _missing_(cls, v): ...",
        "library-base",
    ),
    "a keyword of a class": ("class C(metaclass=M): ...", "class"),
    "a body that reads what it binds": ("class C:\n    x = x", "class-body"),
    "a branch in a class body": ("class C:\n    if 1: x = 2", "class-body"),
    "a mangled name": ("class C:\n    def f(self): return __x", "mangled-name"),
    "a mangled attribute": ("class C:\n    def f(self): return self.__x", "mangled-name"),
    "a generator": ("def f():\n    yield 1\ng = f()", "generator"),
    "a generator delegated": ("def f():\n    yield from [1]\ng = f()", "generator"),
    "a generator that is handed on": ("def f():\n    yield 1\nuse(f)", "generator"),
    "a generator that writes": ("def f():\n    yield send()\nlist(f())", "generator"),
    "a generator that is told": ("def f():\n    x = yield 1\nlist(f())", "generator"),
    "a generator that only a later step uses": ("def f():\n    yield 1", "generator"),
    "a generator kept": ("g = (x for x in [1])", "generator"),
    "a generator given to a function": ("f(x for x in [1])", "generator"),
    "an iterator kept": ("z = zip([1], [2])", "iterator"),
    "an iterator read twice": ("z = zip([1], [2])\nlist(z)\nlist(z)", "iterator"),
    "an iterator read in a loop": ("z = zip([1], [2])\nfor x in y:\n    list(z)", "iterator"),
    "an iterator bound twice": ("z = zip(a, b)\nz = zip(c, d)\nlist(z)", "iterator"),
    "an element that may be left out": (
        "z = iter([1])\nif x:\n    next(z)\nlist(z)",
        "iterator",
    ),
    "an element taken or not": ("z = iter([1])\nx and next(z)\nlist(z)", "iterator"),
    "an iterator of the library kept": ("import itertools as i\nc = i.count()", "iterator"),
    "an iterator imported and kept": ("from itertools import tee\na = tee([1])", "iterator"),
    "matches kept": ("import re\nm = re.finditer('a', 'b')", "iterator"),
    "the next of a name": ("next(z)", "iterator"),
    "a method as a value": ("add = rows.append", "method-as-value"),
    "sending as a value": ("f = it.send", "method-as-value"),
    "a function that changes as a value": (
        "from heapq import heappush\nmap(heappush, a, b)",
        "method-as-value",
    ),
    "a change outside a function": (
        "box = []\ndef keep(x):\n    box.append(x)\n    return True\nmap(keep, y)",
        "outer-variable",
    ),
    "an item set outside a function": (
        "box = {}\nclass C:\n    def keep(self, x):\n        box[x] = 1",
        "outer-variable",
    ),
    "an attribute counted outside a function": (
        "def keep(x):\n    seen.n += 1\nseen = Row()\nf = keep",
        "outer-variable",
    ),
    "what a step before made is changed": ("f = lambda x: box.append(x)", "outer-variable"),
    "a memory of calls": (
        "import functools\n@functools.cache\ndef f(x):\n    send(x)",
        "decorator",
    ),
    "a memory that prints": (
        "from functools import cache\n@cache\ndef f(x):\n    print(x)",
        "decorator",
    ),
    "groups that are iterators": (
        "import itertools\nfor k, g in itertools.groupby(x):\n    list(g)\n    list(g)",
        "iterator",
    ),
    "groups kept for later": (
        "import itertools\nfor k, g in itertools.groupby(x):\n    rows.append(g)",
        "iterator",
    ),
    "a function of the library as a value": ("import json\nf = json.dumps", "library"),
    "a class of the library given to a function": (
        "import csv\ndef f(x): ...\nf(csv.excel)",
        "library",
    ),
    "an iterator under another name": ("f = iter", "library"),
    "a property by a call": ("class C:\n    x = property(lambda self: 1)", "class-body"),
    "a property of something else": (
        "class C:\n    @property\n    def x(self):\n        return t",
        "decorator",
    ),
    "a constructor that acts": (
        "class C:\n    def __init__(self):\n        send(to='a')",
        "special-method",
    ),
    "a file that stays open": ("f = open('a.txt', 'w')", "open-file"),
    "a file opened by a function": (
        "def log(x):\n    with open('a.txt', 'a') as f:\n        f.write(x)\nmap(log, y)",
        "outer-variable",
    ),
    "a seed that is computed": ("import random\nrandom.seed(n)", "library"),
    "the text of a function": ("x = f.__doc__", "library"),
    "the name of a function": ("x = f.__name__", "library"),
    "a limit of the interpreter": ("import sys\nsys.setrecursionlimit(9)", "library"),
    "flags of arithmetic": ("x = getcontext().flags", "library"),
    "a filter of records": ("import logging\nlogging.getLogger().addFilter(f)", "library"),
    "an address": ("a = id([])", "library"),
    "a module that is not plain, from its package": (
        "from xml.etree import ElementTree as ET\nET.XMLParser()",
        "library",
    ),
    "a scanner": ("s = pattern.scanner('x')", "library"),
    "a method of a type": ("list.append(rows, 1)", "unbound-method"),
    "a method of an imported type": (
        "from collections import deque\ndeque.append(d, 1)",
        "unbound-method",
    ),
    "a method of a type in a module": ("import io\nio.StringIO.write(b, 't')", "unbound-method"),
    "a factory that calls": ("d = defaultdict(lambda: read())", "factory"),
    "a default factory": ("x: list = field(default_factory=make)", "factory"),
    "an outer variable": ("def f():\n    global n\n    n = 1\ng = f", "outer-variable"),
    "an outer variable of a generator": (
        "def f():\n    global n\n    n = 1\n    yield n\nlist(f())",
        "outer-variable",
    ),
    "a parser that calls": (
        "from html.parser import HTMLParser\nclass P(HTMLParser):\n"
        "    def handle_data(self, d):\n        send(d)",
        "library-base",
    ),
    "a parser with other manners": (
        "from html.parser import HTMLParser\nclass P(HTMLParser):\n    def goahead(self, end): ...",
        "library-base",
    ),
    "a spread into a tool": ("send(**message())", "spread"),
    "a file of print in a spread": ("print('x', **{'file': f})", "spread"),
    "an attribute of a call": ("type(c).x = 1", "stored-through-call"),
    "a context that is computed": (
        "import decimal\ndecimal.getcontext().prec = n",
        "stored-through-call",
    ),
    "two names of one value": ("a = b = []", "two-names"),
    "two names by a walrus": ("a = (b := [])", "two-names"),
    "a builtin renamed": ("def zip(*a): return a", "shadowed-builtin"),
    "a decorator of the library": (
        "import functools\n@functools.partial(f, 1)\ndef g(): ...",
        "decorator",
    ),
    "wraps that decorates nothing": ("from functools import wraps\nwraps(f)(g)", "library"),
    "a module that is not plain": ("import xml.etree.ElementTree as ET\nET.XMLParser()", "library"),
    "a member that is not plain": ("from collections import UserDict", "library"),
    "a member reached through its module": (
        "import base64\nbase64.encode(a, b)",
        "library",
    ),
    "logging into a file": ("import logging\nlogging.basicConfig(filename='x')", "library"),
    "a pattern that is computed": ("match x:\n    case C.y: ...", "match"),
    "a key that is computed": ("match x:\n    case {C.y: z}: ...", "match"),
    "asynchronous code": ("async def f(): ...", "asynchronous"),
}

PLAIN = {
    "calls and loops": "for row in read():\n    if row['a']:\n        send(to=row['b'])",
    "comprehensions": "n = sum(r['n'] for r in rows if r)\ns = ', '.join(str(n) for n in a)",
    "the first that fits": "one = next((r for r in rows if r['id'] == 1), None)",
    "pairs": "for a, b in zip(x, y):\n    pass\nfor i, (a, b) in enumerate(zip(x, y)):\n    pass",
    "columns": "names, ages = zip(*rows)\nlongest = max(map(len, names))",
    "groups": (
        "from collections import defaultdict\nd = defaultdict(list)\n"
        "n = defaultdict(lambda: {'n': 0})"
    ),
    "a record": (
        "from dataclasses import dataclass, field\n@dataclass(frozen=True)\nclass Row:\n"
        "    '''One.'''\n    name: str\n    notes: list[str] = field(default_factory=list)\n"
        "    def total(self) -> int:\n        return len(self.notes)\n"
        "    def __repr__(self):\n        return f'Row({self.name})'\n"
    ),
    "an error": "class Wrong(ValueError):\n    pass\ntry:\n    raise Wrong('x')\nexcept Wrong: ...",
    "an enumeration": "from enum import Enum\nclass Kind(Enum):\n    A = 'a'\n    B = 'b'",
    "a decorator of one's own": (
        "import functools\ndef twice(f):\n    @functools.wraps(f)\n    def g(*a):\n"
        "        return f(*a)\n    return g\n@twice\ndef h(): ..."
    ),
    "numbers": "from decimal import Decimal, getcontext\ngetcontext().prec = 28\nx = Decimal(1)",
    "tables": "import csv, io\nrows = list(csv.DictReader(io.StringIO(text)))",
    "a function that fills what is its own": (
        "def rows(x):\n    found = []\n    for each in x:\n        found.append(each)\n"
        "        found[0] = 1\n    return found\nf = float"
    ),
    "files": "with open('a.txt') as f:\n    x = f.read()\ny = open('b.txt').read()",
    "the name of an error": "try: ...\nexcept ValueError as e:\n    print(type(e).__name__)",
    "a seed": "import random\nrandom.seed(7)",
    "constants": "import math, string\nr = math.pi\nd = string.digits\nf(math.inf)",
    "several names": "a, b = 1, 2\na = b = 0\nif (n := len(x)) > 1:\n    pass",
    "a match": "match x:\n    case {'a': 1, **rest}: ...\n    case [1, -2, *more]: ...",
    "a spread that is written out": "send(**{'to': 'a'})\nmessage = {'to': 'a'}\nsend(**message)",
}


TWO = {"send": ToolSpec("send"), "read": ToolSpec("read", effect="read")}


def kinds(code: str) -> set[str]:
    here, _later = plain.rough_parts(scopes.Scopes(ast.parse(code)), TWO)
    return {kind for kind, _name, _node in here}


@pytest.mark.parametrize(("code", "kind"), ROUGH.values(), ids=ROUGH)
def test_what_is_followed_roughly_is_named(code: str, kind: str) -> None:
    assert kind in kinds(code)


@pytest.mark.parametrize("code", PLAIN.values(), ids=PLAIN)
def test_ordinary_code_is_plain(code: str) -> None:
    assert not kinds(code)


def test_every_kind_of_node_that_is_kept_is_looked_at() -> None:
    assert set(plain._LOOKS) == scopes.KEPT


def test_every_module_listed_as_plain_may_be_imported() -> None:
    others = {"numpy", "pandas", "bisect", "__future__"}
    assert set(plain._MODULES) - others <= set(library.MODULES)
    for module, members in plain._MODULES.items():
        known = library.MODULES.get(module, frozenset()) | {"abc", "stdout", "stderr"}
        assert members is None or members <= known, module


def decided(*steps: str) -> tuple[Outcome, set[str]]:
    known: dict[str, Origin] = {}
    for code in steps:
        facts = extract(code, tools=tools(), known=known)
        known = dict(facts.variables)
    decision = decide(execute(RunContext(), facts), starter())
    return decision.outcome, {rule.id for rule in decision.rules}


RULE = "look-at-rough-code-beside-labelled-data"
LABELLED = next(t for t in tools() if t.labels and not is_outward(t.effect, t.labels)).name
WRITE = next(tool for tool in tools() if tool.effect == "write" and tool.tier < 2).name
GENERATOR = "def numbers():\n    yield 1\ng = numbers()\n"


def test_rough_code_with_labelled_data_and_an_effect_waits_for_a_person() -> None:
    found, rules = decided(f"x = {LABELLED}()\n{GENERATOR}{WRITE}()")
    assert found is not Outcome.ALLOW
    assert RULE in rules


def test_what_an_earlier_step_left_counts_in_later_ones() -> None:
    _, rules = decided(GENERATOR, f"x = {LABELLED}()", f"{WRITE}()")
    assert RULE in rules
    _, rules = decided(f"x = {LABELLED}()", "y = 1", f"{GENERATOR}{WRITE}()")
    assert RULE in rules


HELPER = "n = 0\ndef count():\n    global n\n    n += 1\ncount()\n"
OPENER = "def log():\n    with open('a.txt', 'a') as f:\n        f.write('x')\nlog()\n"


def test_what_a_helper_changes_outside_itself_is_followed_in_all_steps() -> None:
    assert RULE not in decided(f"x = {LABELLED}()\n{HELPER}{WRITE}()")[1]
    assert RULE not in decided(f"x = {LABELLED}()\n{HELPER}", f"{WRITE}()")[1]


def test_a_file_that_a_helper_opens_counts_only_in_later_steps() -> None:
    assert RULE not in decided(f"x = {LABELLED}()\n{OPENER}{WRITE}()")[1]
    assert RULE in decided(f"x = {LABELLED}()\n{OPENER}", f"{WRITE}()")[1]


@pytest.mark.parametrize(
    "code",
    [
        f"{GENERATOR}{WRITE}()",
        f"x = {LABELLED}()\n{GENERATOR}",
        f"x = {LABELLED}()\n{WRITE}()",
    ],
    ids=["no labelled data", "no effect", "plain"],
)
def test_each_alone_waits_for_nobody_on_this_account(code: str) -> None:
    assert RULE not in decided(code)[1]
