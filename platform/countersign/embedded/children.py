"""Starting one process that must not outlive us, and ending it."""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from countersign.embedded.account import Account

# From <linux/prctl.h>.
PR_SET_PDEATHSIG = 1
LARGEST_LOG = 50_000_000


@dataclass(frozen=True)
class Process:
    """One process to keep running.

    Attributes:
        stop: Asks it to end; ``stop_timeout_s`` wall-clock seconds later it is killed.
        orphaned: What the kernel sends it when we die without having stopped it.
        environment: None for ours.
        prepare: Called before each start.
    """

    name: str
    command: tuple[str, ...]
    stop: signal.Signals = signal.SIGTERM
    orphaned: signal.Signals = signal.SIGKILL
    stop_timeout_s: float = 20.0
    account: Account = field(default_factory=lambda: Account(None, None))
    environment: dict[str, str] | None = None
    prepare: Callable[[], object] = lambda: None


class Child:
    """A running ``Process``; its output is appended to ``log``."""

    def __init__(self, process: Process, log: Path) -> None:
        self.process = process
        self.started = time.monotonic()
        process.prepare()
        if log.exists() and log.stat().st_size > LARGEST_LOG:
            log.rename(log.with_suffix(".log.1"))
        with log.open("ab") as out:
            self._popen = subprocess.Popen(
                process.command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd="/",
                env=process.environment,
                **process.account.identity,
                # A signal from the terminal must reach us alone: we end them in order.
                start_new_session=True,
                preexec_fn=_tied_to_parent(process.orphaned),  # noqa: PLW1509 - one thread here
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    def ended(self) -> int | None:
        """Return the exit status (negative: the signal), or None while it runs."""
        return self._popen.poll()

    def ask_to_stop(self) -> None:
        if self.ended() is None:
            self._popen.send_signal(self.process.stop)

    def wait_or_kill(self, timeout_s: float) -> None:
        """Return when it is gone; after ``timeout_s`` seconds it and its group are killed."""
        try:
            self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            self._popen.wait()


def in_background(command: Sequence[str], log: Path) -> "subprocess.Popen[bytes]":
    """Start ``command`` so that it outlives us; its output is appended to ``log``."""
    with log.open("ab") as out:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd="/",
            start_new_session=True,
        )


def _tied_to_parent(orphaned: signal.Signals) -> Callable[[], None]:
    """Return what the child does before its program starts, after it changed its user.

    The kernel forgets the request when a process changes its user, so the order matters.
    """
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def before_program() -> None:
        failed = prctl(PR_SET_PDEATHSIG, int(orphaned), 0, 0, 0)
        # If we died in between, nothing would ever be sent.
        if failed or os.getppid() != parent:
            os._exit(127)

    return before_program
