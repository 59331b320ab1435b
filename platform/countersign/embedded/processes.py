"""What an installation consists of: the table of its processes, in the order they start."""

import shlex
import signal
import sys
from pathlib import Path

from django.conf import settings

from countersign.embedded.account import database_account
from countersign.embedded.children import Process
from countersign.embedded.cluster import Cluster, environment

MANAGE = (sys.executable, "-m", "django")


def database(cluster: Cluster) -> Process:
    """Return the embedded database server."""
    return Process(
        name="database",
        command=tuple(cluster.command()),
        # Fast shutdown: PostgreSQL breaks off what is under way and writes a checkpoint.
        stop=signal.SIGINT,
        orphaned=signal.SIGINT,
        stop_timeout_s=60.0,
        account=database_account(),
        environment=environment(),
        prepare=cluster.prepare,
    )


def service() -> list[Process]:
    """Return the processes that stand on the database."""
    celery = (sys.executable, "-m", "celery", "-A", "countersign.celery")
    return [
        Process("web", (*MANAGE, "web"), stop_timeout_s=10.0),
        Process(
            "worker",
            (*celery, "worker", "--pool", "threads", "--loglevel", "INFO",
             "--queues", settings.CELERY_TASK_DEFAULT_QUEUE, "--hostname", "worker@%h",
             "--without-mingle", "--without-gossip", "--without-heartbeat"),
        ),
        Process("sequencer", (*MANAGE, "audit_sequencer"), stop_timeout_s=5.0),
        Process(
            "scheduler",
            (*celery, "beat", "--loglevel", "INFO", "--pidfile", "",
             "--schedule", str(_schedule_file())),
            stop_timeout_s=5.0,
        ),
    ]  # fmt: skip


def further(command: str) -> Process:
    """Return a process for one of our own commands with its arguments, as typed in a shell."""
    words = shlex.split(command)
    return Process(words[0].replace("_", "-"), (*MANAGE, *words))


def _schedule_file() -> Path:
    folder: Path = settings.HOME.folder("run")
    return folder / "schedule"
