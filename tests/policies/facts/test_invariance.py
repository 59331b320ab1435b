"""Rewriting a program without changing what it does never changes the verdict."""

import ast
from functools import cache

import pytest

from policies.engine import Outcome
from tests.policies.suites import Program, load, verdict

TAINT = load("evasion_taint")
BENIGN = load("benign")


class Renamer(ast.NodeTransformer):
    """Gives every variable and function the program binds another name."""

    def __init__(self, names: set[str]) -> None:
        self.names = names

    def new(self, name: str) -> str:
        return f"{name}_renamed" if name in self.names and name.isascii() else name

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self.new(node.id)
        return node


def renamed(code: str) -> str:
    """`code` with its top-level assigned names changed."""
    tree = ast.parse(code)
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    keep = {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
    keep |= {n for s in ast.walk(tree) if isinstance(s, ast.Global | ast.Nonlocal) for n in s.names}
    keep |= {
        target.id
        for cls in ast.walk(tree)
        if isinstance(cls, ast.ClassDef)
        for stmt in cls.body
        for target in ast.walk(stmt)
        if isinstance(target, ast.Name)
    }
    keep |= {
        text
        for node in ast.walk(tree)
        if isinstance(node, ast.MatchAs | ast.MatchStar | ast.ExceptHandler)
        for text in [node.name]
        if text
    }
    keep |= {"send_mail", "str", "len", "json", "eval", "print", "list", "max", "id", "input"}
    return ast.unparse(Renamer(names - keep).visit(tree))


def wrapped(code: str) -> str:
    """`code` as the body of a function that is called once."""
    body = ast.unparse(ast.parse(code))
    return "def main():\n    " + body.replace("\n", "\n    ") + "\nmain()"


def reordered(code: str) -> str:
    """`code` with its leading imports in reverse order."""
    tree = ast.parse(code)
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    rest = [node for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom)]
    return ast.unparse(ast.Module([*reversed(imports), *rest], []))


@cache
def outcome(program: Program, code: str) -> Outcome:
    return verdict(Program(program.suite, program.name, code, program.imports)).decision.outcome


def readable(program: Program) -> bool:
    try:
        ast.parse(program.code)
    except SyntaxError:
        return False
    return True


def programs() -> list[Program]:
    return [program for program in [*TAINT, *BENIGN] if readable(program)]


def test_renaming_variables() -> None:
    for program in programs():
        assert outcome(program, renamed(program.code)) is outcome(program, program.code), program


def test_reordering_imports() -> None:
    for program in programs():
        code = reordered(program.code)
        assert outcome(program, code) is outcome(program, program.code), program


LOCAL_ONLY = ("global ", "nonlocal ", "import *", "__globals__")


@pytest.mark.parametrize("suite", [TAINT, BENIGN], ids=["taint", "benign"])
def test_wrapping_in_a_function(suite: list[Program]) -> None:
    """A harmful program stays refused; a harmless one stays allowed."""
    for program in suite:
        if not readable(program) or any(word in program.code for word in LOCAL_ONLY):
            continue
        before, after = outcome(program, program.code), outcome(program, wrapped(program.code))
        assert (before is Outcome.ALLOW) == (after is Outcome.ALLOW), program
