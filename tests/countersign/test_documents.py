"""Documents say what is so: links lead somewhere, named tests, commands and settings exist."""

import ast
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
from django.core.management import get_commands

from agents.tools.definition import ToolDefinition
from countersign.settings import env

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "deploy").rglob("*.md"))]
OPERATE = (ROOT / "deploy" / "docs" / "operate.md").read_text()


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


def without_code(text: str) -> str:
    """What is neither in a fence nor between backticks."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))


def anchors(file: Path) -> set[str]:
    """What a link may name in a document: its headings, as GitHub spells them."""
    found: dict[str, int] = {}
    fenceless = re.sub(r"^```.*?^```", "", file.read_text(), flags=re.M | re.S)
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", fenceless, flags=re.M):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found[anchor] = found.get(anchor, -1) + 1
    return set(found) | {f"{name}-{n}" for name, last in found.items() for n in range(1, last + 1)}


@pytest.mark.parametrize("file", DOCUMENTS, ids=name_of)
def test_links_and_pictures_lead_somewhere(file: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", without_code(file.read_text()))
    dead = []
    for target in targets:
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        leads = (file.parent / path).resolve() if path else file
        if not leads.exists() or (anchor and anchor not in anchors(leads)):
            dead.append(target)
    assert dead == []


@pytest.mark.parametrize("file", DOCUMENTS, ids=name_of)
def test_pictures_say_what_they_show(file: Path) -> None:
    assert not re.findall(r"!\[\s*\]\(", file.read_text())


def test_every_document_is_reached_from_the_readme() -> None:
    reached, left = set(), [ROOT / "README.md"]
    while left:
        file = left.pop()
        if file in reached:
            continue
        reached.add(file)
        targets = re.findall(r"\]\(([^)#\s]+\.md)(?:#[^)]*)?\)", file.read_text())
        left += [(file.parent / target).resolve() for target in targets if "://" not in target]
    assert {name_of(file) for file in DOCUMENTS} - {name_of(file) for file in reached} == set()


@pytest.mark.parametrize("file", DOCUMENTS, ids=name_of)
def test_named_tests_exist(file: Path) -> None:
    for path, test in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", file.read_text()):
        assert (ROOT / path).exists(), path
        if test:
            assert f"def {test}(" in (ROOT / path).read_text(), f"{path}::{test}"


@pytest.mark.parametrize("file", DOCUMENTS, ids=name_of)
def test_named_commands_exist(file: Path) -> None:
    named = set(re.findall(r"\bmanage\.py ([a-z][a-z_]+)", file.read_text()))
    assert named - set(get_commands()) == set()


@pytest.mark.parametrize("file", DOCUMENTS, ids=name_of)
def test_named_settings_exist(file: Path) -> None:
    named = set(re.findall(r"`(COUNTERSIGN_[A-Z_]+)[`=]", file.read_text()))
    assert {name for name in named if not name.endswith("_")} <= env._known


def table() -> dict[str, str]:
    """The settings table: name → default as it is told."""
    return dict(re.findall(r"^\| `(COUNTERSIGN_\w+)` \| (.+?) \|", OPERATE, re.MULTILINE))


def test_the_settings_table_is_complete() -> None:
    assert set(table()) == env._known


def test_defaults_in_the_settings_table_are_the_programs() -> None:
    told = table()
    literal = dict(_literal_defaults())
    assert len(literal) >= 10
    for name, default in literal.items():
        for value in default if isinstance(default, list) else [default]:
            shown = {True: "yes", False: "no"}.get(value, str(value))
            assert f"`{shown}`" in told[f"COUNTERSIGN_{name}"], name


def _literal_defaults() -> list[tuple[str, Any]]:
    tree = ast.parse((ROOT / "platform/countersign/settings.py").read_text())
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("env.")
    ]
    found = []
    for call in calls:
        given = [*call.args[1:], *[k.value for k in call.keywords if k.arg == "default"]]
        if not given or not isinstance(call.args[0], ast.Constant):
            continue
        default = given[0] if ast.unparse(call.func) in _DEFAULT_FIRST else given[-1]
        try:
            found.append((str(call.args[0].value), ast.literal_eval(default)))
        except ValueError:
            continue
    return [(name, value) for name, value in found if name not in ("URL", "EMAIL_URL")]


_DEFAULT_FIRST = {"env.text", "env.texts", "env.number", "env.flag"}


def test_measures_in_the_table_are_made() -> None:
    sources = ["agents/tracing.py", "audit/daemon.py", "platform/countersign/telemetry.py"]
    made = {
        name
        for source in sources
        for name in re.findall(
            r'"((?:countersign|gen_ai|http)\.[\w.]+)"', (ROOT / source).read_text()
        )
    }
    named = {
        name
        for cell in re.findall(
            r"^\| (`(?:countersign|gen_ai|http)\.[^|]+) \|", OPERATE, re.MULTILINE
        )
        for name in re.findall(r"`([\w.]+)`", cell)
    }
    assert len(named) >= 12
    assert named - made == set()


def test_the_tools_of_the_readme_are_tools(tmp_path: Path) -> None:
    [code] = re.findall(r"```python\n(.+?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    sample = tmp_path / "sample.py"
    sample.write_text(code)
    found = runpy.run_path(str(sample))
    read, write = found["list_tickets"], found["answer"]
    assert isinstance(read, ToolDefinition)
    assert read.labels == {"untrusted", "personal"}
    assert (write.effect.value, write.tier) == ("write", 2)
    assert [argument.name for argument in write.arguments] == ["recipient", "text"]


def test_every_promise_of_the_readme_names_a_test() -> None:
    rows = re.findall(r"^\| ([1-8]) \| .+? \| (.+?) \|$", (ROOT / "README.md").read_text(), re.M)
    assert [number for number, _ in rows] == [str(n) for n in range(1, 9)]
    assert all("`tests/" in tests for _, tests in rows)


def test_every_decision_is_listed() -> None:
    folder = ROOT / "deploy" / "docs" / "decisions"
    listed = set(re.findall(r"\]\(([^)]+)\)", (folder / "README.md").read_text()))
    assert listed == {file.name for file in folder.glob("[0-9]*.md")}
