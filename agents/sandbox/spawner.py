"""Starts nsjail so that it cannot outlive this process.

The kernel sends a parent-death signal when the *thread* that started a process ends, so one
thread that lives as long as the process starts them all. ``setpriv`` (util-linux) sets the
signal: it costs 1 ms, while code between fork and exec in a large multi-threaded process costs
a copy of its page tables (8 ms measured at 150 MB) and may deadlock.
"""

import ctypes
import os
import queue
import shutil
import signal
import subprocess
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

OWNER_VARIABLE = "COUNTERSIGN_JAIL_OWNER"
_PR_SET_PDEATHSIG = 1
_Order = tuple[Sequence[str], tuple[int, ...], "Future[subprocess.Popen[bytes]]"]


class _Spawner:
    """The thread and its queue, for one process."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._environment = {OWNER_VARIABLE: owner_mark(self.pid)}
        self._setpriv = shutil.which("setpriv", path="/usr/bin:/bin")
        self._orders: queue.SimpleQueue[_Order] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="jail-spawner", daemon=True).start()

    def spawn(
        self, arguments: Sequence[str], descriptors: tuple[int, ...]
    ) -> subprocess.Popen[bytes]:
        answer: Future[subprocess.Popen[bytes]] = Future()
        self._orders.put((arguments, descriptors, answer))
        return answer.result()

    def _work(self) -> None:
        while True:
            arguments, descriptors, answer = self._orders.get()
            try:
                answer.set_result(self._start(arguments, descriptors))
            except BaseException as error:  # noqa: BLE001  (the caller's thread raises it)
                answer.set_exception(error)

    def _start(
        self, arguments: Sequence[str], descriptors: tuple[int, ...]
    ) -> subprocess.Popen[bytes]:
        prefix = [self._setpriv, "--pdeathsig", "KILL"] if self._setpriv else []
        return subprocess.Popen(
            [*prefix, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=descriptors,
            env=self._environment,
            cwd="/",
            start_new_session=True,  # A terminal's ^C is the worker's business.
            preexec_fn=None if self._setpriv else _die_with_parent,  # noqa: PLW1509
        )


_lock = threading.Lock()
_current: _Spawner | None = None


def spawn(arguments: Sequence[str], descriptors: tuple[int, ...]) -> subprocess.Popen[bytes]:
    """Start a process that is killed when this one ends, however it ends.

    Args:
        arguments: command line; ``arguments[0]`` is an absolute path.
        descriptors: passed on under their own numbers; everything else is closed.
    """
    global _current  # noqa: PLW0603  (one thread per process, made anew after a fork)
    with _lock:
        if _current is None or _current.pid != os.getpid():
            _current = _Spawner()
        spawner = _current
    return spawner.spawn(arguments, descriptors)


def owner_mark(pid: int) -> str:
    """Name a process for ever: its id and its start time, since ids are used again."""
    return f"{pid}:{start_time(pid)}"


def start_time(pid: int) -> str:
    """Give the start of a process in clock ticks since boot, empty if it has ended."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = status.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _forget_lock() -> None:
    global _lock  # noqa: PLW0603  (a fork may have copied it locked)
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_forget_lock)
