"""One PostgreSQL cluster of our own: made, started, stopped.

Guarantees: every connection authenticates (scram-sha-256, no ``trust`` anywhere); no TCP port
unless asked; the socket folder is the server's user's alone; commits are on disk (fsync) unless
the cluster was opened as throw-away. A process id in a file is believed only when that process
really works in our data folder.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from countersign.embedded.account import Account, database_account
from countersign.embedded.binaries import programs
from countersign.embedded.location import PORT, Location

SUPERUSER = "postgres"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 60.0
SETTINGS = "countersign.conf"

DURABLE = "max_wal_size = 2GB\n"
# For tests only: a power failure would lose the cluster, and nobody would miss it.
THROW_AWAY = "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\nmax_wal_size = 4GB\n"


class ClusterError(Exception):
    """The embedded database cannot do what was asked; the message says what to do."""


@dataclass(frozen=True)
class Cluster:
    """The embedded database at ``location``.

    Attributes:
        log: File that the server's messages are appended to.
        listen: Address to listen on besides the socket; empty for none.
    """

    location: Location
    log: Path
    throw_away: bool = False
    listen: str = ""
    max_connections: int = 100

    def exists(self) -> bool:
        return (self.location.data / "PG_VERSION").exists()

    def create(self, superuser_password: str) -> None:
        """Make an empty cluster; nothing happens if there is one.

        Raises:
            ClusterError: ``initdb`` failed.
        """
        with self._lock():
            if not self.exists():
                self._initdb(superuser_password)

    def running(self) -> int | None:
        """Return the server's process id, or None when it does not run."""
        try:
            pid = int((self.location.data / "postmaster.pid").read_text().split()[0])
            # The server works in its data folder. After a crash the id in the file may have
            # become any other program's.
            mine = Path(f"/proc/{pid}/cwd").readlink() == self.location.data.resolve()
        except (OSError, ValueError, IndexError):
            return None
        return pid if mine else None

    def command(self) -> list[str]:
        """Return the command that runs the server in the foreground."""
        return [str(programs() / "postgres"), "-D", str(self.location.data)]

    def prepare(self) -> Account:
        """Write the settings and clear the way for a start; returns whom to run as.

        Raises:
            ClusterError: There is no cluster yet.
        """
        if not self.exists():
            raise ClusterError(
                f"no database at {self.location.data}; run: manage.py database_start"
            )
        account = database_account()
        self._make_folder(self.location.socket, account)
        self._write_settings(account)
        if self.running() is None:
            (self.location.data / "postmaster.pid").unlink(missing_ok=True)
        return account

    def start(self) -> None:
        """Start the server in the background and return when it takes connections.

        Raises:
            ClusterError: It did not come up; the message ends with its own last words.
        """
        with self._lock():
            if self.running() is not None:
                self._wait_until_ready(None)
                return
            account = self.prepare()
            with self.log.open("ab") as log:
                server = subprocess.Popen(
                    self.command(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=environment(),
                    cwd="/",
                    **account.identity,
                    start_new_session=True,
                )
            self._wait_until_ready(server)
            # It outlives us on purpose; without this, Python warns about a running child.
            server.returncode = 0

    def stop(self) -> bool:
        """Stop the server, breaking off what is under way; False when none ran.

        Raises:
            ClusterError: It still runs after a minute.
        """
        with self._lock():
            pid = self.running()
            if pid is None:
                return False
            _signal(pid, signal.SIGINT)
            if not self._gone(STOP_TIMEOUT_S):
                raise ClusterError(f"the database (process {pid}) does not stop; see {self.log}")
            return True

    def delete(self) -> None:
        """Remove the cluster's files; it must be stopped.

        Raises:
            ClusterError: It runs.
        """
        if self.running() is not None:
            raise ClusterError("the database runs; stop it first")
        for folder in (self.location.socket, self.location.state):
            if folder.is_dir():
                shutil.rmtree(folder)

    def ready(self) -> bool:
        """Return whether the server takes connections."""
        asked = subprocess.run(
            [programs() / "pg_isready", "-q", "-h", self.location.socket, "-p", str(PORT)],
            env=environment(),
            check=False,
            capture_output=True,
        )
        return asked.returncode == 0

    def _initdb(self, superuser_password: str) -> None:
        account = database_account()
        state = self.location.state
        state.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._make_folder(self.location.data, account)
        password = self._password_file(superuser_password, account)
        try:
            made = subprocess.run(
                [programs() / "initdb", "-D", self.location.data, f"--username={SUPERUSER}",
                 "--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8",
                 "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C",
                 "--no-instructions", *(["--no-sync"] if self.throw_away else [])],
                text=True,
                capture_output=True,
                env=environment(),
                cwd="/",
                **account.identity,
                check=False,
            )  # fmt: skip
        finally:
            password.unlink()
        if made.returncode:
            raise ClusterError(f"initdb failed: {made.stderr.strip()}")

    def _password_file(self, password: str, account: Account) -> Path:
        # A file, since another user may not open our standard input a second time.
        file = self.location.state / "password"
        file.unlink(missing_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(password + "\n")
        account.give(file)
        return file

    def _write_settings(self, account: Account) -> None:
        lines = (
            f"listen_addresses = '{self.listen}'\n"
            f"port = {PORT}\n"
            f"unix_socket_directories = '{self.location.socket}'\n"
            "unix_socket_permissions = 0700\n"
            f"max_connections = {self.max_connections}\n"
            "shared_buffers = 128MB\n"
            "timezone = 'UTC'\n"
            "log_timezone = 'UTC'\n"
            "log_line_prefix = '%m [%p] %q%u@%d '\n"
        )
        file = self.location.data / SETTINGS
        file.write_text(lines + (THROW_AWAY if self.throw_away else DURABLE))
        account.give(file)
        main = self.location.data / "postgresql.conf"
        include = f"include '{SETTINGS}'\n"
        if include not in main.read_text():
            with main.open("a") as out:
                out.write(include)

    def _make_folder(self, folder: Path, account: Account) -> None:
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            account.give(folder)
        owner = os.geteuid() if account.uid is None else account.uid
        found = folder.lstat()
        # The socket may have to live in /tmp, where somebody else could have been first.
        if folder.is_symlink() or found.st_uid != owner or found.st_mode & 0o077:
            raise ClusterError(f"{folder} belongs to someone else or is open to others; remove it")

    def _wait_until_ready(self, server: "subprocess.Popen[bytes] | None") -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.ready():
            ended = server is not None and server.poll() is not None
            if ended or time.monotonic() > deadline:
                raise ClusterError(f"the database did not start:\n{self._last_words()}")
            time.sleep(0.02)

    def _gone(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while self.running() is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def _last_words(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-10:])

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self.location.state.mkdir(mode=0o755, parents=True, exist_ok=True)
        with (self.location.state / "lock").open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield


def environment() -> dict[str, str]:
    """Return all that PostgreSQL's programs get to see of ours: nothing that could steer them."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
