"""Countersign on a PostgreSQL that somebody else runs, reached over TCP: version 16 here.

The server is the older one of the two in the wheel. Its administrator is not a superuser: a role
that may make roles and databases, as managed services give.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from countersign.embedded.account import Account, database_account
from countersign.embedded.binaries import PACKAGE

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class External:
    port: int
    home: Path

    def url(self, user: str, database: str = "countersign") -> str:
        return f"postgresql://{user}:{user}-pw@127.0.0.1:{self.port}/{database}"

    def manage(self, *words: str, **more: str) -> "subprocess.CompletedProcess[str]":
        roles = ("reader", "sequencer", "eraser")
        return subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env={
                "PATH": "/usr/local/bin:/usr/bin:/bin",
                "COUNTERSIGN_HOME": str(self.home),
                "COUNTERSIGN_DATABASE_URL": self.url("countersign_app"),
                **{f"COUNTERSIGN_{r.upper()}_URL": self.url(f"countersign_{r}") for r in roles},
                **more,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def superuser(self) -> "psycopg.Connection":
        return psycopg.connect(self.url("postgres", "postgres"), autocommit=True)


@pytest.fixture(scope="module")
def external() -> Iterator[External]:
    folder = Path(tempfile.mkdtemp(prefix="countersign-external-"))
    folder.chmod(0o711)
    account = database_account()
    programs = _programs_of_version_16(folder)
    server = _start(programs, folder, account)
    try:
        yield server[0]
    finally:
        server[1].terminate()
        server[1].wait()
        shutil.rmtree(folder)


def _programs_of_version_16(folder: Path) -> Path:
    import importlib.util

    spec = importlib.util.find_spec(PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    if os.geteuid() != 0:
        return package / "pginstall" / "bin"
    shutil.copytree(package / "pginstall", folder / "pg" / PACKAGE / "pginstall")
    shutil.copytree(package.parent / f"{PACKAGE}.libs", folder / "pg" / f"{PACKAGE}.libs")
    return folder / "pg" / PACKAGE / "pginstall" / "bin"


def _start(
    programs: Path, folder: Path, account: Account
) -> "tuple[External, subprocess.Popen[bytes]]":
    (folder / "data").mkdir(mode=0o700)
    account.give(folder / "data")
    password = folder / "password"
    password.write_text("postgres-pw")
    password.chmod(0o644)
    as_account: dict[str, Any] = {
        "user": account.uid,
        "group": account.gid,
        "extra_groups": None if account.uid is None else [],
        "cwd": "/",
        "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
    }
    subprocess.run(
        [programs / "initdb", "-D", folder / "data", "-U", "postgres", "--no-sync",
         "--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8", "--locale=C"],
        check=True, capture_output=True, **as_account,
    )  # fmt: skip
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [programs / "postgres", "-D", folder / "data", "-p", str(port), "-c", "fsync=off",
         "-c", f"unix_socket_directories={folder / 'data'}", "-c", "listen_addresses=127.0.0.1"],
        stderr=subprocess.DEVNULL, **as_account,
    )  # fmt: skip
    external = External(port, folder / "home")
    for _ in range(300):
        try:
            external.superuser().close()
            break
        except psycopg.OperationalError:
            time.sleep(0.1)
    return external, server


@pytest.fixture(scope="module")
def administrator(external: External) -> str:
    """Return the address of one who may make roles and databases, and is no superuser."""
    with external.superuser() as superuser:
        assert superuser.info.server_version // 10000 == 16
        superuser.execute("CREATE ROLE dba LOGIN CREATEROLE CREATEDB BYPASSRLS PASSWORD 'dba-pw'")
    return external.url("dba", "postgres")


def test_without_an_owner_it_says_what_to_set(external: External) -> None:
    refused = external.manage("database_migrate")
    assert refused.returncode == 1
    assert "set COUNTERSIGN_OWNER_URL" in refused.stderr


def test_embedded_commands_refuse(external: External) -> None:
    refused = external.manage("database_start")
    assert refused.returncode == 1
    assert "COUNTERSIGN_DATABASE_URL names an external database" in refused.stderr


def test_administrator_who_may_not_make_roles_is_told_which_are_missing(
    external: External,
) -> None:
    with external.superuser() as superuser:
        superuser.execute("CREATE ROLE weak LOGIN PASSWORD 'weak-pw'")
    refused = external.manage(
        "database_migrate", COUNTERSIGN_OWNER_URL=external.url("weak", "postgres")
    )
    assert refused.returncode == 1
    assert "weak may not set up the roles" in refused.stderr
    assert "role countersign_app does not exist" in refused.stderr


def test_administrator_who_is_no_superuser_sets_everything_up(
    external: External, administrator: str
) -> None:
    done = external.manage("database_migrate", COUNTERSIGN_OWNER_URL=administrator)
    assert done.returncode == 0, done.stderr
    again = external.manage("database_migrate", COUNTERSIGN_OWNER_URL=administrator)
    assert again.returncode == 0, again.stderr


def test_service_needs_no_owner_afterwards(external: External, administrator: str) -> None:
    checked = external.manage(
        "check", "--database", "default", "--tag", "database", "--fail-level", "ERROR"
    )
    assert checked.returncode == 0, checked.stderr


def test_queue_belongs_to_the_application(external: External, administrator: str) -> None:
    with psycopg.connect(external.url("countersign_app")) as app:
        (owner,) = app.execute(
            "SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'pgmq'"
        ).fetchone() or ("",)
        assert owner == "countersign_app"
        app.execute("SELECT pgmq.send('countersign', '{}')")
        (may_make_schemas,) = app.execute(
            "SELECT has_database_privilege(current_database(), 'CREATE')"
        ).fetchone() or (True,)
    assert may_make_schemas is False


def test_server_older_than_15_is_refused() -> None:
    from countersign.database.setup import SetupError, require_version

    class Info:
        server_version = 140011

    class Old:
        info = Info()

    with pytest.raises(SetupError, match="PostgreSQL 14 is too old: 15 is needed"):
        require_version(Old())  # type: ignore[arg-type]
