"""Keeps the processes of one installation running and ends them in order.

Guarantees: one supervisor per home (a lock that the kernel releases when we die, however that
happens); a child that ends is started again, after a pause that doubles while it keeps failing;
children are asked to stop in the reverse of their order; none outlives us, even after SIGKILL.
"""

import fcntl
import json
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO

from countersign.embedded.children import Child, Process
from countersign.home import Home

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
# A child that ran this long was healthy: its next failure is a first one.
HEALTHY_S = 30.0
# So many failures in a row at the start, and waiting longer will not help.
HOPELESS = 4
TICK_S = 0.1


class AlreadyRunning(Exception):
    """Another supervisor has this home; ``pid`` is its process id."""

    def __init__(self, pid: int) -> None:
        super().__init__(f"Countersign already runs here (process {pid})")
        self.pid = pid


class Claim:
    """The lock on a home; whoever holds it is its supervisor."""

    def __init__(self, home: Home) -> None:
        self.file = home.folder("run") / "up.pid"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock; the kernel lets go of it however we end.

        Raises:
            AlreadyRunning: Somebody else holds it.
        """
        with self.file.open("a+") as lock:
            if not _locked(lock):
                raise AlreadyRunning(int(self.file.read_text() or 0))
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield

    def holder(self) -> int | None:
        """Return the process id of the running supervisor, or None."""
        if not self.file.exists():
            return None
        with self.file.open("a+") as probe:
            return None if _locked(probe) else int(self.file.read_text() or 0)


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Supervisor:
    """Runs processes until told to stop.

    Start them with ``add`` in the order in which they need each other, then ``run``.
    """

    def __init__(self, home: Home) -> None:
        self.logs = home.folder("log")
        self.state = home.folder("run") / "up.json"
        self._children: dict[str, Child] = {}
        self._again_at: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._processes: dict[str, Process] = {}
        self.stopping = threading.Event()

    def listen_to_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def add(self, process: Process) -> None:
        """Start ``process`` and keep it running."""
        self._processes[process.name] = process
        self._start(process)

    def pid(self, name: str) -> int:
        return self._children[name].pid

    def run(self) -> None:
        """Watch the children until a signal comes, then stop them all."""
        try:
            while not self.stopping.wait(TICK_S):
                self.look_once()
        finally:
            self.stop()

    def wait_until(self, ready: Callable[[], bool], timeout_s: float) -> bool:
        """Keep the children running until ``ready`` says so.

        Returns:
            False when time is up, we were told to stop, or a child cannot stay up at all.
        """
        deadline = time.monotonic() + timeout_s
        while not ready():
            hopeless = max(self._failures.values(), default=0) >= HOPELESS
            if hopeless or time.monotonic() > deadline or self.stopping.wait(TICK_S):
                return False
            self.look_once()
        return True

    def look_once(self) -> None:
        """Notice children that ended and start those whose pause is over."""
        now = time.monotonic()
        for name, child in list(self._children.items()):
            status = child.ended()
            if status is not None:
                del self._children[name]
                self._again_at[name] = now + self._pause(child, now)
                log.warning("%s ended with status %s", name, status)
        for name, moment in list(self._again_at.items()):
            if moment <= now:
                del self._again_at[name]
                self._start(self._processes[name])

    def stop(self) -> None:
        """End every child, last started first."""
        for name in reversed(self._processes):
            child = self._children.get(name)
            if child is not None:
                child.ask_to_stop()
                child.wait_or_kill(child.process.stop_timeout_s)
        self._children.clear()
        self.state.unlink(missing_ok=True)

    def _start(self, process: Process) -> None:
        child = Child(process, self.logs / f"{process.name}.log")
        self._children[process.name] = child
        log.info("%s runs as process %s", process.name, child.pid)
        self._write_state()

    def _pause(self, child: Child, now: float) -> float:
        name = child.process.name
        earlier = 0 if now - child.started > HEALTHY_S else self._failures.get(name, 0)
        self._failures[name] = earlier + 1
        return min(FIRST_PAUSE_S * float(2**earlier), LONGEST_PAUSE_S)

    def _write_state(self) -> None:
        pids = {name: child.pid for name, child in self._children.items()}
        aside = self.state.with_suffix(".new")
        aside.write_text(json.dumps({"supervisor": os.getpid(), "processes": pids}))
        aside.rename(self.state)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.stopping.set()


def stop_other(home: Home, timeout_s: float = 60.0) -> bool:
    """Ask the supervisor of ``home`` to stop and wait for it; False when none runs.

    Raises:
        TimeoutError: It is still there after ``timeout_s`` wall-clock seconds.
    """
    claim = Claim(home)
    pid = claim.holder()
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout_s
    while claim.holder() is not None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"process {pid} does not stop")
        time.sleep(TICK_S)
    return True


def state_of(home: Home) -> dict[str, int]:
    """Return the process id of each running child of this home's supervisor."""
    file: Path = home.path / "run" / "up.json"
    try:
        return {str(k): int(v) for k, v in json.loads(file.read_text())["processes"].items()}
    except FileNotFoundError:
        return {}
