"""One throw-away PostgreSQL server per test session, and clones of one migrated template."""

import hashlib
import itertools
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from django.conf import settings
from django.db import connections
from psycopg import sql

from countersign.database.administration import ALIASES, application, passwords
from countersign.database.administrator import Administrator
from countersign.database.setup import create_database, migrate, provision
from countersign.embedded.cluster import SUPERUSER, Cluster
from countersign.embedded.location import PORT, at
from tests.harness.settings import SESSION_FOLDER

TEMPLATE = "countersign_template"
SUPERUSER_PASSWORD = "only-in-tests"
ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / ".pytest_cache" / "countersign"


@dataclass(frozen=True)
class Clone:
    """A database of its own, migrated, with nothing in it."""

    name: str
    host: Path

    def url(self, role: str) -> str:
        """Return the address of this database for ``role`` (``app``, ``reader``, …)."""
        password = settings.HOME.secret(f"database_{role}")
        return (
            f"host='{self.host}' port={PORT} dbname={self.name}"
            f" user=countersign_{role} password={password}"
        )

    def environment(self) -> dict[str, str]:
        """Return the variables with which a subprocess (web, worker, command) uses this clone.

        It shares the session's home, so secrets and keys are the same as in the test process.
        Its messages go through the queue in this clone.
        """
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "DJANGO_SETTINGS_MODULE": "countersign.settings",
            "COUNTERSIGN_HOME": str(settings.COUNTERSIGN_HOME),
            "COUNTERSIGN_AUDIT_HEADS": str(settings.COUNTERSIGN_AUDIT_HEADS),
            "COUNTERSIGN_DATABASE_URL": self.url("app"),
            "COUNTERSIGN_READER_URL": self.url("reader"),
            "COUNTERSIGN_SEQUENCER_URL": self.url("sequencer"),
            "COUNTERSIGN_ERASER_URL": self.url("eraser"),
        }


class Server:
    """The session's server: ``clone`` makes a database, ``drop`` removes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        location = at(folder / "database")
        self.cluster = Cluster(location, folder / "database.log", throw_away=True)
        self._numbers = itertools.count(1)

    @cached_property
    def admin(self) -> Administrator:
        parameters = {
            "host": str(self.cluster.location.socket),
            "port": str(PORT),
            "user": SUPERUSER,
            "password": SUPERUSER_PASSWORD,
        }
        return Administrator(parameters, TEMPLATE)

    def start(self) -> None:
        """Start a server with a migrated template, from the kept copy if nothing changed since."""
        kept = KEPT / digest_of_schema()
        if not kept.is_dir():
            self._make(kept)
        location = self.cluster.location
        location.state.mkdir(mode=0o755, parents=True, exist_ok=True)
        copy(kept, location.data)
        self.cluster.start()
        # Every session has passwords of its own.
        provision(self.admin, passwords())

    def _make(self, kept: Path) -> None:
        """Make and migrate the template, as the owner role, and keep a copy of the server."""
        self.cluster.create(SUPERUSER_PASSWORD)
        self.cluster.start()
        provision(self.admin, passwords())
        with pointed_at(Clone(TEMPLATE, self.cluster.location.socket)):
            migrate(self.admin, application())
        self.cluster.stop()
        KEPT.mkdir(parents=True, exist_ok=True)
        for older in KEPT.iterdir():
            # A session that started a moment ago may still be copying from it.
            if older.stat().st_mtime < time.time() - 3600:
                shutil.rmtree(older, ignore_errors=True)
        aside = KEPT / f".{kept.name}.{os.getpid()}"
        copy(self.cluster.location.data, aside)
        os.utime(aside)
        with suppress(OSError):  # another session was first
            aside.rename(kept)
        shutil.rmtree(self.cluster.location.data)

    def stop(self) -> None:
        pid = self.cluster.running()
        if pid is not None:
            # At once: nothing of it is kept, so nothing need be written.
            os.kill(pid, signal.SIGQUIT)
        self.cluster.stop()
        self.cluster.delete()

    def clone(self) -> Clone:
        """Copy the template into a new database (about 0.05 s)."""
        name = f"test_{next(self._numbers)}"
        with self.admin.connect("postgres") as connection:
            create_database(connection, name, TEMPLATE)
        return Clone(name, self.cluster.location.socket)

    def drop(self, clone: Clone) -> None:
        """Remove a clone, disconnecting whoever is left in it."""
        with self.admin.connect("postgres") as connection:
            connection.execute(
                sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(clone.name))
            )


def digest_of_schema() -> str:
    """Return a hash over everything that a migrated server is made from."""
    sources = [
        *ROOT.glob("*/migrations/*.py"),
        *ROOT.glob("platform/countersign/*/migrations/*.py"),
        *ROOT.glob("platform/countersign/database/*"),
        *ROOT.glob("platform/countersign/embedded/*.py"),
        ROOT / "audit" / "guards.py",
        ROOT / "deploy" / "requirements.lock",
        Path(__file__),
    ]
    found = hashlib.sha256()
    for file in sorted(file for file in sources if file.is_file()):
        found.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes() + b"\0")
    return found.hexdigest()[:16]


def copy(source: Path, target: Path) -> None:
    """Copy a stopped server's folder, with owners and modes."""
    subprocess.run(["cp", "--archive", "--reflink=auto", source, target], check=True)


@contextmanager
def pointed_at(clone: Clone) -> Iterator[None]:
    """Make Django's connections, in every thread, lead to ``clone``; afterwards to nowhere."""
    before = {alias: dict(settings.DATABASES[alias]) for alias in ALIASES.values()}
    _disconnect()
    for alias in ALIASES.values():
        settings.DATABASES[alias].update(NAME=clone.name, HOST=str(clone.host), PORT=str(PORT))
    try:
        yield
    finally:
        _disconnect()
        for alias, values in before.items():
            settings.DATABASES[alias].update(values)


@contextmanager
def with_own_heads(clone: Clone) -> Iterator[None]:
    """Keep the log's heads of this clone in a file of its own.

    All clones have the platform's log in common by name: in one file, the heads of one would say
    of the next that its log was cut. A backup of the same database does share its file.
    """
    before = settings.COUNTERSIGN_AUDIT_HEADS
    settings.COUNTERSIGN_AUDIT_HEADS = str(SESSION_FOLDER / f"heads-{clone.name}.jsonl")
    try:
        yield
    finally:
        settings.COUNTERSIGN_AUDIT_HEADS = before


def _disconnect() -> None:
    for alias in ALIASES.values():
        connections[alias].close()
