"""Leaves a tool alone that breaks again and again. Of one process, for one workspace each.

Closed: calls go through. After `failures` calls in a row that broke (a time-out, an exception that
is not the tool's own `ToolFailed`) it opens: calls are refused before they begin. After `pause_s`
seconds one call is let through: it closes the breaker again, or opens it for another pause.
A tool that says itself what went wrong is answering, so that counts as working.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass

from agents.tools.errors import Acted, ToolBusy, ToolError, ToolUnavailable

FAILURES = 5
PAUSE_S = 30.0


@dataclass(slots=True)
class _State:
    broke: int = 0
    opened: float | None = None
    trying: bool = False


class Breakers:
    """One breaker for each key, made when it first breaks."""

    def __init__(
        self,
        failures: int = FAILURES,
        pause_s: float = PAUSE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._failures, self._pause_s, self._clock = failures, pause_s, clock
        self._states: dict[Hashable, _State] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def guarding(self, key: Hashable, name: str) -> Iterator[None]:
        """Let one call through, and learn from how it ends.

        Raises:
            ToolUnavailable: the breaker is open; the call must not begin.
        """
        self._enter(key, name)
        try:
            yield
        except ToolBusy:
            self._leave(key, broke=None)
            raise
        except ToolError as error:
            self._leave(key, broke=error.acted is not Acted.NO)
            raise
        except BaseException:
            self._leave(key, broke=None)
            raise
        self._leave(key, broke=False)

    def _enter(self, key: Hashable, name: str) -> None:
        with self._lock:
            state = self._states.get(key)
            if state is None or state.opened is None:
                return
            left = state.opened + self._pause_s - self._clock()
            if left > 0 or state.trying:
                raise ToolUnavailable(
                    f"{name} did not begin: it failed {state.broke} times in a row. "
                    f"Try again in {max(1, round(left))} seconds, or do without it."
                )
            state.trying = True

    def _leave(self, key: Hashable, *, broke: bool | None) -> None:
        """Note the end of a call; None: it says nothing about the tool."""
        with self._lock:
            if broke is False:
                self._states.pop(key, None)
                return
            if broke is None and key not in self._states:
                return
            state = self._states.setdefault(key, _State())
            state.trying = False
            if broke:
                state.broke += 1
                if state.broke >= self._failures:
                    state.opened = self._clock()
