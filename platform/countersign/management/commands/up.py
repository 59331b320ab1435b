"""``manage.py up``: everything one installation needs, in the foreground or behind you."""

import socket
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import ERROR
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from countersign.checks import check_database
from countersign.database.administration import (
    administrator,
    bring_up_to_date,
    embedded_cluster,
)
from countersign.database.setup import SetupError
from countersign.embedded.children import in_background
from countersign.embedded.cluster import ClusterError
from countersign.embedded.processes import MANAGE, database, further, service
from countersign.embedded.supervisor import AlreadyRunning, Claim, Supervisor

# Generous: a small machine that does other work starts in half a minute, and what cannot start at
# all ends the waiting by itself.
READY_TIMEOUT_S = 180.0


class Command(BaseCommand):
    help = "Run database (if embedded), web, worker, sequencer, scheduler until SIGTERM or Ctrl-C."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--background", action="store_true", help="return when the console answers"
        )
        parser.add_argument(
            "--also", action="append", default=[], metavar="COMMAND",
            help='a further command of ours to keep running, e.g. "scripted_model FILE --port 9"',
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        if options["background"]:
            self._in_background(options["also"])
            return
        try:
            with Claim(settings.HOME).held():
                self._run(options["also"])
        except AlreadyRunning as error:
            raise CommandError(f"{error}; stop it by: manage.py down") from error
        except (ClusterError, SetupError) as error:
            raise CommandError(str(error)) from error

    def _run(self, also: list[str]) -> None:
        supervisor = Supervisor(settings.HOME)
        supervisor.listen_to_signals()
        try:
            self._start_database(supervisor)
            bring_up_to_date()
            self._check_database()
            for process in [*service(), *map(further, also)]:
                supervisor.add(process)
            if supervisor.wait_until(web_answers, READY_TIMEOUT_S):
                self.stdout.write(f"Countersign runs at {settings.COUNTERSIGN_URL}")
                self.stdout.flush()
            elif not supervisor.stopping.is_set():
                raise SetupError(f"the web server does not answer; see {supervisor.logs}/web.log")
        except BaseException:
            supervisor.stop()
            raise
        supervisor.run()

    def _start_database(self, supervisor: Supervisor) -> None:
        if not settings.COUNTERSIGN_EMBEDDED:
            return
        cluster = embedded_cluster()
        cluster.create(administrator().parameters["password"])
        if cluster.running() is None:
            supervisor.add(database(cluster))
        if not supervisor.wait_until(cluster.ready, READY_TIMEOUT_S):
            raise ClusterError(f"the database does not start; see {cluster.log}")

    def _check_database(self) -> None:
        """Warn of what is unwise, and stop where the database is not as declared."""
        found = check_database(databases=["default"])
        connections["default"].close()
        # Its threads would outlast the start; the processes of the service have pools of their own.
        getattr(connections["default"], "close_pool", lambda: None)()
        for message in found:
            if message.level < ERROR:
                self.stderr.write(f"Warning: {message.msg} {message.hint or ''}".rstrip())
        wrong = [f"{message.msg} {message.hint or ''}".rstrip()
                 for message in found if message.level >= ERROR]  # fmt: skip
        if wrong:
            raise SetupError("\n".join(["the database is not as declared:", *wrong]))

    def _in_background(self, also: list[str]) -> None:
        holder = Claim(settings.HOME).holder()
        if holder is not None:
            raise CommandError(f"{AlreadyRunning(holder)}; stop it by: manage.py down")
        log = settings.HOME.folder("log") / "up.log"
        words = [word for command in also for word in ("--also", command)]
        supervisor = in_background([*MANAGE, "up", *words], log)
        while not web_answers():
            if supervisor.poll() is not None:
                raise CommandError(f"Countersign did not start:\n{last_lines(log)}")
            time.sleep(0.1)
        # It outlives us on purpose; without this, Python warns about a running child.
        supervisor.returncode = 0
        self.stdout.write(f"Countersign runs at {settings.COUNTERSIGN_URL}")


def last_lines(log: Path, count: int = 5) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-count:])


def web_answers() -> bool:
    """Return whether something takes connections where our web server listens."""
    try:
        with socket.create_connection(
            (settings.COUNTERSIGN_LISTEN, settings.COUNTERSIGN_PORT), timeout=1
        ):
            return True
    except OSError:
        return False
