"""Runtimes: the read-only file trees that jails are made of.

A runtime is a copy of a Python interpreter, the standard library, the shared libraries they
need and, for named runtimes, a tree of packages: nothing else of the host is ever mounted.

Guarantees:
- the tree's directory name is the SHA-256 of its contents, so one name is one content;
- every directory is world-traversable: after its user mapping nsjail cannot pass a 0700
  parent, and interpreters often live below a home directory;
- a tree appears complete or not at all (built aside, then renamed).

It does not guarantee that nobody with write access to the host edited the tree afterwards;
``verify`` recomputes the hash for whoever wants to know.
"""

import __future__

import ast
import compileall
import fcntl
import hashlib
import importlib.util
import json
import marshal
import os
import py_compile
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agents.sandbox.errors import RuntimeBuildError

# Raised whenever the layout below changes, so that an old tree is not taken for a new one.
LAYOUT = "1"
GUEST_SOURCE = Path(__file__).with_name("guest.py")
PREFIX = "py"  # The interpreter's prefix inside the jail is /py.
SITE = "site"  # Packages of a named runtime are in /site.

_LEFT_OUT = frozenset(
    {
        "__pycache__", "config", "dist-packages", "distutils", "ensurepip", "idlelib", "lib2to3",
        "pydoc_data", "site-packages", "test", "tests", "tkinter", "turtledemo", "venv",
    }
)  # fmt: skip
# Extensions that are of no use without a terminal, a display, a network or a second process.
_LEFT_OUT_EXTENSIONS = (
    "_crypt", "_curses", "_dbm", "_gdbm", "_ssl", "_test", "_tkinter", "_xx", "nis",
    "ossaudiodev", "readline", "spwd", "xxlimited",
)  # fmt: skip
_MOUNT_POINTS = ("tmp", "dev")


@dataclass(frozen=True)
class Runtime:
    """One built runtime.

    Attributes:
        name: ``stdlib`` or the name it was built under.
        digest: hex SHA-256 over the tree and the guest program; journals and approvals
            name the runtime by it.
        root: the tree on the host, the jail's root directory.
        guest: the compiled guest program on the host.
        python: version of the interpreter, e.g. ``3.11.7``.
        packages: whether ``/site`` holds packages.
    """

    name: str
    digest: str
    root: Path
    guest: Path
    python: str
    packages: bool = False


def stdlib_runtime(home: Path) -> Runtime:
    """Give the runtime made of the running interpreter, building it on first use.

    Args:
        home: directory of all runtimes, see ``config.default``.

    Raises:
        RuntimeBuildError: the interpreter's parts cannot be found, or ``home`` cannot hold them.
    """
    return _indexed("stdlib", _interpreter_stamp(), None, home)


def named_runtime(name: str, home: Path) -> Runtime:
    """Give a runtime that ``runtime_build`` has made.

    Raises:
        RuntimeBuildError: no such runtime, or it was built for another interpreter.
    """
    if name == "stdlib":
        return stdlib_runtime(home)
    entry = _read_index(home, name)
    if entry is None or not (home / entry["tree"]).is_dir():
        raise RuntimeBuildError(
            f"There is no runtime named {name!r}. Build it: manage.py runtime_build {name} LOCKFILE"
        )
    if entry["tag"] != sys.implementation.cache_tag:
        raise RuntimeBuildError(
            f"The runtime {name!r} was built for {entry['tag']}, the platform now runs on"
            f" {sys.implementation.cache_tag}. Build it again: manage.py runtime_build {name}"
        )
    return _runtime(name, entry["tree"], home)


def build_named(name: str, site: Path, home: Path) -> Runtime:
    """Make a runtime from the standard one and a directory of installed packages.

    What both have in common is on the disk once: the trees share files, which nobody writes.

    Args:
        name: lower-case name that agent versions use; not ``stdlib``.
        site: a ``pip install --target`` directory; its contents are copied.
        home: directory of all runtimes.
    """
    if not name.isidentifier() or name == "stdlib":
        raise RuntimeBuildError(f"{name!r} cannot be the name of a runtime")
    stdlib_runtime(home)
    stamp = _interpreter_stamp() + hashlib.sha256(_tree_digest(site).encode()).hexdigest()
    return _indexed(name, stamp, site, home)


def verify(runtime: Runtime) -> bool:
    """Tell whether the tree on disk still is what its name says."""
    return _tree_digest(runtime.root) == runtime.root.name


def _indexed(name: str, stamp: str, site: Path | None, home: Path) -> Runtime:
    # Several interpreters may share one home; each has its own standard library.
    index = f"{name}-{stamp[:16]}" if site is None else name
    tree = _indexed_tree(home, index, stamp)
    if tree is None:
        _require_traversable(home)
        with _building(home):
            tree = _indexed_tree(home, index, stamp)
            if tree is None:
                tree = _build(site, home)
                tag = str(sys.implementation.cache_tag)
                _write_index(home, index, {"stamp": stamp, "tree": tree, "tag": tag})
    return _runtime(name, tree, home)


def _indexed_tree(home: Path, index: str, stamp: str) -> str | None:
    entry = _read_index(home, index)
    if entry is None or entry["stamp"] != stamp or not (home / entry["tree"]).is_dir():
        return None
    return entry["tree"]


def _runtime(name: str, tree: str, home: Path) -> Runtime:
    guest, guest_digest = _guest_program(home)
    root = home / tree
    digest = hashlib.sha256(f"{tree}\n{guest_digest}\n".encode()).hexdigest()
    python = ".".join(str(part) for part in sys.version_info[:3])
    return Runtime(name, digest, root, guest, python, packages=(root / SITE).is_dir())


def _interpreter_stamp() -> str:
    """Name the interpreter cheaply: hashing its 60 MB at every start would cost 0.2 s."""
    parts = [LAYOUT, sys.version, sys.base_prefix]
    stdlib = Path(sysconfig.get_path("stdlib"))
    for path in (_interpreter(), stdlib, stdlib / "os.py"):
        status = path.stat()
        parts.append(f"{path}:{status.st_size}:{status.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _interpreter() -> Path:
    executable = getattr(sys, "_base_executable", None) or sys.executable
    return Path(executable).resolve()


def _require_traversable(home: Path) -> None:
    try:
        home.mkdir(mode=0o755, parents=True, exist_ok=True)
        home.chmod(0o755)
    except OSError as error:
        raise RuntimeBuildError(f"The runtimes cannot be kept in {home}: {error}") from error
    if os.geteuid() != 0:
        return  # The jail runs under this same user then, and passes its own directories.
    for parent in (home, *home.resolve().parents):
        if not parent.stat().st_mode & 0o001:
            raise RuntimeBuildError(
                f"{parent} is closed to other users, so a jail cannot reach the runtimes in {home}."
                " Name another directory in COUNTERSIGN_RUNTIMES."
            )


@contextmanager
def _building(home: Path) -> Iterator[None]:
    with (home / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _read_index(home: Path, name: str) -> dict[str, str] | None:
    try:
        entry = json.loads((home / f"{name}.json").read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(entry, dict) or not {"stamp", "tree", "tag"} <= entry.keys():
        return None
    return {key: str(value) for key, value in entry.items()}


def _write_index(home: Path, name: str, entry: dict[str, str]) -> None:
    aside = home / f".{name}.json"
    aside.write_text(json.dumps(entry, indent=1))
    aside.replace(home / f"{name}.json")


# --- the tree -------------------------------------------------------------------------------


def _build(site: Path | None, home: Path) -> str:
    """Build a tree aside, name it by its contents, give its directory's name."""
    aside = Path(tempfile.mkdtemp(prefix=".build-", dir=home))
    try:
        if site is None:
            _fill(aside)
        else:
            _extend(aside, stdlib_runtime(home).root, site)
        _open_to_all(aside)
        digest = _tree_digest(aside)
        if not (home / digest).is_dir():
            aside.rename(home / digest)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return digest


def _extend(root: Path, base: Path, site: Path) -> None:
    """Make a tree of an existing one's files and of packages."""
    shutil.copytree(base, root, copy_function=os.link, symlinks=True, dirs_exist_ok=True)
    shutil.copytree(site, root / SITE, ignore=shutil.ignore_patterns("__pycache__", "bin"))
    _copy_shared_libraries(root, root / SITE)
    _compile(root / SITE, f"/{SITE}")


def _fill(root: Path) -> None:
    prefix = root / PREFIX
    (prefix / "bin").mkdir(parents=True)
    for name in _MOUNT_POINTS:
        (root / name).mkdir()
    (root / "dev" / "null").touch()
    (root / "guest.pyc").touch()
    interpreter = prefix / "bin" / "python3"
    shutil.copyfile(_interpreter(), interpreter)
    interpreter.chmod(0o755)
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    library = prefix / "lib" / version
    shutil.copytree(sysconfig.get_path("stdlib"), library, ignore=_ignored)
    _copy_extensions(library)
    _copy_timezones(prefix)
    _copy_shared_libraries(root, root)
    _compile(library, f"/{PREFIX}/lib/{version}")


def _ignored(directory: str, names: list[str]) -> set[str]:
    del directory
    return {
        name
        for name in names
        if name in _LEFT_OUT or name.startswith("config-") or name == "turtle.py"
    }


def _copy_extensions(library: Path) -> None:
    target = library / "lib-dynload"
    if not target.is_dir():  # Some distributions keep the extensions beside the library.
        shutil.copytree(Path(sysconfig.get_path("platstdlib")) / "lib-dynload", target)
    for extension in target.iterdir():
        if extension.name.startswith(_LEFT_OUT_EXTENSIONS):
            extension.unlink()


def _copy_timezones(prefix: Path) -> None:
    source = Path("/usr/share/zoneinfo")
    if source.is_dir():
        ignore = shutil.ignore_patterns("posix", "right", "localtime", "posixrules")
        shutil.copytree(source, prefix / "share" / "zoneinfo", symlinks=False, ignore=ignore)


def _copy_shared_libraries(root: Path, part: Path) -> None:
    """Copy what the binaries in a part of the tree link to: libraries by name, the loader by path.

    The loader's path is written into the interpreter, so it keeps its own.
    """
    binaries = [*part.rglob("bin/python3"), *part.rglob("*.so"), *part.rglob("*.so.*")]
    own = {path.name for path in binaries}
    folder = Path(sysconfig.get_config_var("LIBDIR") or "/nonexistent")
    for binary in binaries:
        for name, path in _linked(binary, folder):
            if name.startswith("/"):
                target = root / name.lstrip("/")
            elif name in own:
                continue  # A wheel's own library, found by its run path.
            else:
                target = root / PREFIX / "lib" / name
            _copy_library(path, target)
            if name.startswith("libc.so"):
                # The C library loads this one by name when a thread is ended.
                unwinder = path.with_name("libgcc_s.so.1")
                if unwinder.exists():
                    _copy_library(unwinder.resolve(), root / PREFIX / "lib" / unwinder.name)


def _copy_library(source: Path, target: Path) -> None:
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        target.chmod(0o755)


def _linked(binary: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """Give (name or loader path, file) of each library that ``ldd`` resolves for a binary."""
    listing = subprocess.run(
        ["/usr/bin/ldd", str(binary)],
        capture_output=True,
        text=True,
        check=False,
        env={"LC_ALL": "C", "LD_LIBRARY_PATH": str(folder)},
    )
    for line in listing.stdout.splitlines():
        words = line.split()
        if "=>" in words and len(words) >= 3:
            if words[2] == "not":
                raise RuntimeBuildError(f"{binary.name} needs {words[0]}, which is not installed")
            yield words[0], Path(words[2]).resolve()
        elif words and words[0].startswith("/"):
            yield words[0], Path(words[0]).resolve()


def _compile(tree: Path, inside: str) -> None:
    """Compile every module; unchecked, so that a jail never looks at a time stamp."""
    compileall.compile_dir(
        tree,
        maxlevels=20,
        ddir=inside,
        quiet=2,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


def _open_to_all(root: Path) -> None:
    root.chmod(0o755)
    for path in root.rglob("*"):
        if path.is_symlink():
            continue
        executable = path.is_dir() or path.stat().st_mode & 0o100
        path.chmod(0o755 if executable else 0o644)


def _tree_digest(root: Path) -> str:
    """Hash names, executable bits and contents; compiled modules follow from their sources."""
    total = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if "__pycache__" in path.parts or path.is_dir():
            continue
        contents = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
        total.update(f"{len(name)}:{name}:{hashlib.sha256(contents).hexdigest()}\n".encode())
    return total.hexdigest()


def _guest_program(home: Path) -> tuple[Path, str]:
    """Give the compiled guest and the digest of its source; compiling at start would cost 10 ms."""
    source = GUEST_SOURCE.read_bytes()
    digest = hashlib.sha256(source).hexdigest()
    target = home / f"guest-{sys.implementation.cache_tag}-{digest[:32]}.pyc"
    if not target.exists():
        aside = home / f".{target.name}.{os.getpid()}"
        aside.write_bytes(_compiled_guest(source))
        aside.chmod(0o644)
        aside.replace(target)
    return target, digest


def _compiled_guest(source: bytes) -> bytes:
    """Compile without docstrings and without the import that ``annotations`` leaves behind."""
    tree = ast.parse(source)
    tree.body = [
        node
        for node in tree.body
        if not (isinstance(node, ast.ImportFrom) and node.module == "__future__")
    ]
    flags = __future__.annotations.compiler_flag
    code = compile(tree, "/guest.py", "exec", flags, dont_inherit=True, optimize=2)
    # PEP 552: hash-based and unchecked, so the hash itself is never looked at.
    header = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + bytes(8)
    return header + marshal.dumps(code)
