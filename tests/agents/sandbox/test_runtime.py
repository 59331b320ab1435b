"""Runtimes: built once, named by content, installed from hash-locked lists only."""

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agents.sandbox import check, config, packages, runtime
from agents.sandbox.contract import JailLimits
from agents.sandbox.errors import RuntimeBuildError, SandboxUnavailable
from agents.sandbox.session import Jail, _why_not
from tests.agents.sandbox.lab import TIGHT, host

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that a jail can pass, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="countersign-runtimes-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_a_runtime_with_packages_is_read_only_and_named_by_its_content(
    open_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "__init__.py").write_text("answer = 42\n")
    built = runtime.build_named("tiny", tmp_path, open_folder)
    assert runtime.named_runtime("tiny", open_folder) == built
    assert runtime.verify(built)
    with Jail(config.default(open_folder), built, TIGHT) as jail:
        assert check.run(jail, "import tiny\ntiny.answer").value == 42
        error = check.run(jail, "open(tiny.__file__, 'a')").error
        assert error is not None
        assert error.type in {"OSError", "PermissionError"}
    (tmp_path / "tiny" / "__init__.py").write_text("answer = 43\n")
    changed = runtime.build_named("tiny", tmp_path, open_folder)
    assert changed.digest != built.digest
    assert built.root.is_dir()
    (changed.root / "site" / "tiny" / "__init__.py").write_text("answer = 44\n")
    assert not runtime.verify(changed)


def test_every_part_is_open_to_the_jails_id_and_writable_by_its_owner_only() -> None:
    root = host()[1].root
    for path in (root, *root.rglob("*")):
        mode = path.lstat().st_mode
        assert path.is_symlink() or mode & stat.S_IROTH, path
        assert path.is_symlink() or not mode & (stat.S_IWOTH | stat.S_IWGRP | stat.S_ISUID), path


def test_nothing_of_the_platform_is_in_the_standard_runtime() -> None:
    root = host()[1].root
    names = {path.name for path in root.rglob("*")}
    assert not {"django", "nsjail", "site-packages", "pip", "countersign"} & names


@pytest.mark.parametrize("name", ["stdlib", "../evil", "a b", ""])
def test_a_name_is_a_word(name: str, open_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RuntimeBuildError):
        runtime.build_named(name, tmp_path, open_folder)


def test_a_home_that_a_jail_cannot_pass_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    if os.geteuid() != 0:
        pytest.skip("a user's jail passes that user's own folders")
    with pytest.raises(RuntimeBuildError, match="COUNTERSIGN_RUNTIMES"):
        runtime.stdlib_runtime(tmp_path / "home")


def test_a_package_without_a_hash_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "x.lock"
    lock.write_text("one==1 \\\n    --hash=sha256:ab\ntwo==2\n")
    with pytest.raises(RuntimeBuildError, match="two==2 has no hash"):
        packages.build("x", lock, tmp_path)
    with pytest.raises(RuntimeBuildError, match="data"):
        packages.build("nothing", None, tmp_path)


def test_lists_that_come_along_are_locked() -> None:
    assert "data" in packages.shipped()
    for name in packages.shipped():
        packages._require_hashes(packages.LISTS / f"{name}.lock")


@pytest.mark.soak
def test_the_data_runtime_computes_and_draws() -> None:
    setup = config.default()
    built = packages.build("data", None, setup.home)
    code = (
        "import io, numpy as np, pandas as pd, matplotlib.pyplot as plt\n"
        "frame = pd.DataFrame({'a': [1, 2], 'b': np.random.default_rng().random(2)})\n"
        "figure, axes = plt.subplots()\naxes.plot(frame.a)\nfile = io.BytesIO()\n"
        "figure.savefig(file)\ndrawn = file.getvalue()[:4] == b'\\x89PNG'\n"
        "[int(frame.a.sum()), drawn, str(pd.Timestamp.now())[:16]]"
    )
    values = []
    for _ in range(2):
        with Jail(setup, built, JailLimits()) as jail:
            values.append(check.run(jail, code).value)
    assert values[0] == values[1] == [3, True, "2023-11-14 22:13"]


def test_the_words_of_a_host_that_refuses_namespaces() -> None:
    log = "[E] clone(flags=CLONE_NEWUSER|…): Operation not permitted"
    assert "deploy/allow-user-namespaces" in _why_not(log, SandboxUnavailable())
    assert "no answer in time" in _why_not("", TimeoutError())


def test_the_script_that_allows_namespaces_can_be_read_before_it_is_run() -> None:
    script = ROOT / "deploy" / "allow-user-namespaces"
    done = subprocess.run(
        [script, "--dry-run", host()[0].nsjail], capture_output=True, text=True, check=True
    )
    assert "sandbox_check" in done.stdout
    for bad in ("relative/nsjail", "/no/such/nsjail", "/bin/sh;id"):
        refused = subprocess.run([script, "--dry-run", bad], capture_output=True, check=False)
        assert refused.returncode == 2
