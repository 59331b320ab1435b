"""One whole installation, started as a person starts it, on a database of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Installation:
    home: Path
    port: int

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "COUNTERSIGN_HOME": str(self.home),
            "COUNTERSIGN_PORT": str(self.port),
        }

    def manage(self, *words: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )
        assert done.returncode == 0 or not check, done.stderr
        return done

    def state(self) -> dict[str, int]:
        found: dict[str, int] = json.loads((self.home / "run" / "up.json").read_text())["processes"]
        return found

    def supervisor(self) -> int:
        return int((self.home / "run" / "up.pid").read_text())

    def log(self, name: str) -> str:
        return (self.home / "log" / f"{name}.log").read_text()


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    with tempfile.TemporaryDirectory(prefix="countersign-up-") as folder:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        installation = Installation(Path(folder) / "home", port)
        try:
            installation.manage("up", "--background")
            yield installation
        finally:
            installation.manage("home_delete", "--yes", check=False)


def until(condition: Callable[[], bool], what: str) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.1)
    pytest.fail(what)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_everything_runs_and_the_database_is_as_declared(installation: Installation) -> None:
    assert installation.state().keys() >= {"database", "web", "worker", "scheduler"}
    assert next(iter(installation.state())) == "database"
    installation.manage("check", "--database", "default", "--tag", "database", "--fail-level",
                        "WARNING")  # fmt: skip


def test_worker_hears_the_scheduler_through_the_database(installation: Installation) -> None:
    until(lambda: " ready." in installation.log("worker"), "the worker never got ready")
    until(lambda: _queue_is_drained(installation), "the worker takes nothing from the queue")


def _queue_is_drained(installation: Installation) -> bool:
    script = (
        "from django.db import connection; c = connection.cursor();"
        "c.execute(\"SELECT queue_length, total_messages FROM pgmq.metrics('countersign')\");"
        "print(*c.fetchone())"
    )
    out = installation.manage("shell", "--no-imports", "-c", script).stdout.split()
    waiting, total = map(int, out)
    return total > 0 and waiting <= 1


def test_second_up_says_who_runs(installation: Installation) -> None:
    refused = installation.manage("up", check=False)
    assert refused.returncode == 1
    assert f"already runs here (process {installation.supervisor()})" in refused.stderr


@pytest.mark.parametrize("name", ["worker", "database"])
def test_killed_process_is_replaced(installation: Installation, name: str) -> None:
    killed = installation.state()[name]
    os.kill(killed, signal.SIGKILL)
    until(lambda: installation.state().get(name, killed) != killed, f"no new {name}")
    until(lambda: installation.manage("check", "--database", "default", "--tag", "database",
                                      check=False).returncode == 0,
          "the database does not come back")  # fmt: skip


def test_worker_finds_the_database_again_after_it_was_gone(installation: Installation) -> None:
    until(lambda: _queue_is_drained(installation), "the worker did not come back to its queue")


def test_secrets_are_for_their_owner_alone(installation: Installation) -> None:
    secrets = list((installation.home / "secrets").iterdir())
    assert len(secrets) >= 6
    assert {file.stat().st_mode & 0o777 for file in secrets} == {0o600}
    assert installation.home.stat().st_mode & 0o777 == 0o700


def test_superuser_needs_the_password(installation: Installation) -> None:
    socket_folder = _socket_folder(installation)
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(host=socket_folder, user="postgres", dbname="postgres", password="")


def test_database_listens_on_no_port(installation: Installation) -> None:
    pid = installation.state()["database"]
    inodes = {
        line.split()[9]
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
    }
    ours = {str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir()}
    assert not {f"socket:[{inode}]" for inode in inodes} & ours


def _socket_folder(installation: Installation) -> str:
    script = "from django.conf import settings; print(settings.DATABASES['default']['HOST'])"
    return installation.manage("shell", "--no-imports", "-c", script).stdout.strip()


def test_nothing_outlives_a_supervisor_that_is_killed(installation: Installation) -> None:
    children = list(installation.state().values())
    os.kill(installation.supervisor(), signal.SIGKILL)
    until(lambda: not any(map(alive, children)), "a child outlived the supervisor")


def test_it_starts_again_afterwards_and_goes_down_cleanly(installation: Installation) -> None:
    installation.manage("up", "--background")
    children = list(installation.state().values())
    assert "Countersign is stopped." in installation.manage("down").stdout
    assert not any(map(alive, children))
    assert "was not running" in installation.manage("down").stdout


def test_reused_process_id_is_not_taken_for_the_database(installation: Installation) -> None:
    # After a crash the id in PostgreSQL's file may be anybody's, here this process's.
    stale = Path(_socket_folder(installation)).parent / "data" / "postmaster.pid"
    stale.write_text(f"{os.getpid()}\n/nowhere\n1\n5432\n")
    assert "The database runs" in installation.manage("database_start").stdout
    assert "is stopped" in installation.manage("database_stop").stdout
    assert "No database was running" in installation.manage("database_stop").stdout


def test_home_is_deleted_with_its_database(installation: Installation) -> None:
    state = Path(_socket_folder(installation)).parent
    assert state.is_dir()
    installation.manage("home_delete", "--yes")
    assert not state.exists()
    assert not installation.home.exists()


def test_a_folder_that_is_no_home_is_not_deleted(installation: Installation) -> None:
    precious = installation.home.parent / "precious"
    precious.mkdir()
    (precious / "file").write_text("kept")
    other = Installation(precious, installation.port)
    refused = other.manage("home_delete", "--yes", check=False)
    assert refused.returncode == 1
    assert "no home of Countersign's" in refused.stderr
    assert (precious / "file").read_text() == "kept"
