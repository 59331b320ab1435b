"""Jails that are started before they are needed.

A pooled jail has run nothing; it is handed out once and never comes back, so no run can find
anything of another. A jail is interchangeable with another of the same runtime, memory, disk
and thread limits; limits that the host watches (time, output) are set when it is handed out.

The pool belongs to one process: after a fork the child starts with an empty one.
"""

import os
import threading
from collections import OrderedDict, deque
from time import monotonic
from typing import TypeAlias

from agents.sandbox import reaper
from agents.sandbox.config import SandboxConfig
from agents.sandbox.contract import JailLimits
from agents.sandbox.errors import SandboxError
from agents.sandbox.runtime import Runtime
from agents.sandbox.session import Jail

_Kind: TypeAlias = tuple[str, int, int, int, int]


class Pool:
    """Hands out jails and keeps some ready.

    Args:
        config: the host's side of every jail.
        size: jails kept ready of each kind in use.
        kinds: how many kinds are kept ready, the most recently used ones.
    """

    def __init__(self, config: SandboxConfig, *, size: int = 2, kinds: int = 4) -> None:
        if size < 1 or kinds < 1:
            raise ValueError("a pool keeps at least one jail of one kind")
        self._config = config
        self._size = size
        self._kinds = kinds
        self._thread: threading.Thread | None = None
        self._reset()

    def acquire(self, runtime: Runtime, limits: JailLimits) -> Jail:
        """Give a jail that nothing has run in; the caller closes it.

        Raises:
            SandboxUnavailable: the host does not let one start.
        """
        if self._pid != os.getpid():
            self._reset()
        kind = _kind(runtime, limits)
        with self._changed:
            if self._closed:
                raise SandboxError("the pool is closed")
            self._wanted[kind] = (runtime, limits)
            self._wanted.move_to_end(kind)
            ready = self._ready.get(kind)
            jail = self._youngest_alive(ready) if ready else None
            if self._thread is None:
                self._thread = threading.Thread(target=self._refill, name="jail-pool", daemon=True)
                self._thread.start()
            self._changed.notify()
        if jail is None:
            return Jail(self._config, runtime, limits)
        jail.limits = limits
        return jail

    def warm(self, runtime: Runtime, limits: JailLimits, timeout_s: float = 10.0) -> bool:
        """Have jails of a kind made ready; tell whether they were within the time."""
        self.acquire(runtime, limits).close()
        kind = _kind(runtime, limits)
        with self._changed:
            return self._changed.wait_for(
                lambda: len(self._ready.get(kind, ())) >= self._size, timeout_s
            )

    def reconfigure(self, config: SandboxConfig) -> None:
        """Use another configuration; jails made under the old one are ended."""
        with self._changed:
            self._config = config
            self._wanted.clear()
            old = self._take_all()
            self._generation += 1
        for jail in old:
            jail.close()

    def close(self) -> None:
        """End every jail that has not been handed out."""
        if self._pid != os.getpid():
            return
        with self._changed:
            self._closed = True
            self._wanted.clear()
            old = self._take_all()
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()
        for jail in [*old, *self._take_all()]:
            jail.close()

    def _reset(self) -> None:
        # After a fork the parent's jails stay the parent's; only its copies are forgotten.
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._ready: dict[_Kind, deque[Jail]] = {}
        self._wanted: OrderedDict[_Kind, tuple[Runtime, JailLimits]] = OrderedDict()
        self._generation = 0
        self._closed = False
        self._thread = None

    def _youngest_alive(self, ready: deque[Jail]) -> Jail | None:
        while ready:
            jail = ready.pop()
            # A run must not start in a jail whose lifetime is half over.
            if jail.alive and monotonic() - jail.started < self._config.lifetime_s / 2:
                return jail
            jail.close()
        return None

    def _take_all(self) -> list[Jail]:
        jails = [jail for ready in self._ready.values() for jail in ready]
        self._ready.clear()
        return jails

    def _refill(self) -> None:
        reaper.reap(self._config.cgroups)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._missing() is not None)
                missing = self._missing()
                if self._closed or missing is None:
                    return
                kind, (runtime, limits) = missing
                config, generation = self._config, self._generation
            try:
                jail = Jail(config, runtime, limits)
            except SandboxError:
                # Whoever asks next gets the error itself; trying again and again helps nobody.
                with self._changed:
                    self._wanted.pop(kind, None)
                continue
            self._keep(kind, jail, generation)

    def _keep(self, kind: _Kind, jail: Jail, generation: int) -> None:
        with self._changed:
            kept = generation == self._generation and not self._closed and kind in self._wanted
            if kept:
                self._ready.setdefault(kind, deque()).append(jail)
                self._changed.notify_all()
        if not kept:
            jail.close()

    def _missing(self) -> tuple[_Kind, tuple[Runtime, JailLimits]] | None:
        """Give a kind that has too few jails; drop the kinds that are out of use."""
        while len(self._wanted) > self._kinds:
            dropped, _ = self._wanted.popitem(last=False)
            for jail in self._ready.pop(dropped, ()):
                jail.close()
        for kind in reversed(self._wanted):
            if len(self._ready.get(kind, ())) < self._size:
                return kind, self._wanted[kind]
        return None


def _kind(runtime: Runtime, limits: JailLimits) -> _Kind:
    return (
        runtime.digest,
        limits.memory_bytes,
        limits.disk_bytes,
        limits.pids,
        limits.frame_bytes,
    )
