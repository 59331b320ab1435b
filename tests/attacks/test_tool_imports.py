"""Threat: a registered import path runs code that nobody allowed."""

import sys

import pytest

from agents.tools.errors import ToolImportError
from agents.tools.registry import load


@pytest.mark.parametrize(
    "path",
    [
        "os:system",
        "tests.agents.tools_evil:run",
        "testsagents.tools.samples:echo",
        "tests.agents.tools.samples:echo.__call__",
        "tests.agents.tools.samples:__builtins__",
        "tests.agents.tools..samples:echo",
        ".tests.agents.tools.samples:echo",
        "tests/agents/tools/samples:echo",
        "tests.agents.tools.samples:echo\n",
        "tests.agents.tools.samples",
        "tests.agents.tools.__main__:x",
        "x" * 10_000,
        "",
    ],
)
def test_only_allowed_modules_are_imported(path: str) -> None:
    with pytest.raises(ToolImportError):
        load(path, {"tests.agents.tools"})


@pytest.mark.parametrize("allowed", [(), ("",), ("test",)])
def test_no_allowance_allows_nothing(allowed: tuple[str, ...]) -> None:
    before = set(sys.modules)
    with pytest.raises(ToolImportError, match="not among those allowed"):
        load("this:zen", allowed)
    assert "this" not in set(sys.modules) - before
