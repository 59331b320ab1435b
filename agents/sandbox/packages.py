"""Installs the packages of a named runtime from a hash-locked list.

Only wheels whose hashes the list names are taken, and nothing of theirs is run: no build, no
script. The packages go to a directory of their own, never from or to the platform's.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from agents.sandbox.errors import RuntimeBuildError
from agents.sandbox.runtime import Runtime, build_named

LISTS = Path(__file__).with_name("runtimes")


def shipped() -> list[str]:
    """Give the names of the runtimes whose lists come with the platform."""
    return sorted(path.stem for path in LISTS.glob("*.lock"))


def build(name: str, lock: Path | None, home: Path) -> Runtime:
    """Build a named runtime.

    Args:
        name: its name; agents' versions use it.
        lock: the list, as ``uv pip compile --generate-hashes`` writes it; without one the
            list of this name that comes with the platform.
        home: directory of all runtimes.

    Raises:
        RuntimeBuildError: no such list, a package without hashes, or an installation failed.
    """
    lock = lock or LISTS / f"{name}.lock"
    if not lock.is_file():
        known = ", ".join(shipped())
        raise RuntimeBuildError(f"There is no list {lock}. Lists that come along: {known}")
    _require_hashes(lock)
    with tempfile.TemporaryDirectory(prefix="runtime-") as folder:
        site = Path(folder) / "site"
        _install(lock, site)
        return build_named(name, site, home)


def _require_hashes(lock: Path) -> None:
    entries = re.split(r"\n(?=\S)", lock.read_text())
    for entry in entries:
        if entry.strip() and not entry.startswith("#") and "--hash=sha256:" not in entry:
            raise RuntimeBuildError(f"{lock.name}: {entry.split()[0]} has no hash")


def _install(lock: Path, site: Path) -> None:
    command = [
        *_installer(), "install", "--target", str(site), "--require-hashes", "--no-deps",
        "--only-binary", ":all:", "--quiet", "-r", str(lock),
    ]  # fmt: skip
    # The user's own package index settings apply: a closed site has its mirror there.
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = " · ".join(done.stderr.strip().splitlines()[-3:])
        raise RuntimeBuildError(f"The packages of {lock.name} could not be installed: {last}")


def _installer() -> list[str]:
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin")
    if uv:
        return [uv, "pip"]
    probe = [sys.executable, "-m", "pip", "--version"]
    if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
        return [sys.executable, "-m", "pip"]
    raise RuntimeBuildError("Neither uv nor pip is installed beside this Python")
