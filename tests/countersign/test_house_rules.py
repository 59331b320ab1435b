"""House rules that a linter cannot say, asked of the syntax tree of every file of ours."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST_FUNCTION = 80

# Who may do what nobody else may, and why.
READ_ENVIRONMENT = {
    "platform/countersign/settings.py",
    "platform/countersign/asgi.py",  # says which settings
    "manage.py",  # says which settings
    "agents/tools/secrets.py",  # resolves the references env:NAME of tools and models
}
START_PROCESSES = ("agents/sandbox/", "platform/countersign/embedded/")
PROCESS_MODULES = {"subprocess", "multiprocessing", "pty"}
PROCESS_CALLS = {"os.system", "os.fork", "os.forkpty", "os.popen", "os.posix_spawn", "os.spawnv"}
UNPICKLERS = {"pickle", "cPickle", "dill", "marshal", "shelve", "cloudpickle", "jsonpickle"}
# (file, module): why it is safe there
UNPICKLE = {
    ("agents/sandbox/runtime.py", "marshal"),  # writes code objects, reads none
}
BIG_FOLDERS = {"platform", "agents", "policies", "audit", "templates", "tests", "deploy"}


def tracked() -> list[Path]:
    out = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return [ROOT / name for name in out.stdout.decode().split("\0") if name]


def sources(*, tests: bool = False) -> list[Path]:
    return [
        file
        for file in tracked()
        if (file.suffix == ".py" or file.name == "manage.py")
        and file.exists()
        and "migrations" not in file.parts
        and (tests or file.relative_to(ROOT).parts[0] != "tests")
    ]


FILES = sources()


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text(), str(file))


def imported(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def dotted(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}", node.lineno


def test_git_knows_our_files() -> None:
    assert len(FILES) > 20


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_rules(file: Path) -> None:
    name, tree = name_of(file), tree_of(file)
    assert [*_environment(name, tree), *_processes(name, tree), *_others(name, tree)] == []


def _environment(name: str, tree: ast.Module) -> Iterator[str]:
    if name not in READ_ENVIRONMENT:
        for what, line in [*imported(tree), *dotted(tree)]:
            if what in {"os.environ", "os.getenv", "os.environb"}:
                yield f"line {line} reads the environment; countersign.settings does that"


def _processes(name: str, tree: ast.Module) -> Iterator[str]:
    if not name.startswith(START_PROCESSES):
        for what, line in [*imported(tree), *dotted(tree)]:
            if what.split(".")[0] in PROCESS_MODULES or what in PROCESS_CALLS:
                yield f"line {line} may start a process; only {START_PROCESSES} do"


def _others(name: str, tree: ast.Module) -> Iterator[str]:
    for what, line in imported(tree):
        if what.split(".")[0] in UNPICKLERS and (name, what) not in UNPICKLE:
            yield f"line {line} imports {what}: bytes from it become code"
        if what.startswith(("django.db.models.signals", "django.dispatch")):
            yield f"line {line} uses signals, which hide the flow; call the service"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > LONGEST_FUNCTION:
                yield f"line {node.lineno}: {node.name} has {length} lines"


@pytest.mark.parametrize("file", sources(tests=True), ids=name_of)
def test_no_function_is_longer_than_a_screen(file: Path) -> None:
    assert [said for said in _others(name_of(file), tree_of(file)) if " lines" in said] == []


def test_no_folder_at_the_root_but_the_agreed_ones() -> None:
    folders = {file.relative_to(ROOT).parts[0] for file in tracked() if file.parent != ROOT}
    assert {name for name in folders if not name.startswith(".")} <= BIG_FOLDERS


def test_lock_names_no_index() -> None:
    lock = (ROOT / "deploy" / "requirements.lock").read_text()
    assert "://" not in lock
    assert "--index" not in lock
    packages = [line for line in lock.splitlines() if line and line[0].isalnum()]
    assert len(packages) > 80
    assert lock.count("--hash=sha256:") > len(packages)
