"""Looks at every piece of an answer as it arrives, also at those the SDK passes over.

An endpoint that keeps its connection alive with comments, or sends a body byte by byte, resets
the read time-out for ever without giving a chunk. So deadline, cancellation and size are checked
at the bytes, below the SDK.
"""

from collections.abc import Callable, Iterator
from contextvars import ContextVar

import httpx2

from agents.llm.faults import Temporary

MAX_ANSWER_BYTES = 32_000_000

check: ContextVar[Callable[[], None] | None] = ContextVar("check", default=None)
"""What the current attempt looks at; set by the caller, may raise."""


def watch_response(response: httpx2.Response) -> None:
    """An httpx2 response hook that puts the watch between the connection and its reader."""
    looked_at = check.get()
    if looked_at is not None and isinstance(response.stream, httpx2.SyncByteStream):
        response.stream = _Watched(response.stream, looked_at)


class _Watched(httpx2.SyncByteStream):
    def __init__(self, stream: httpx2.SyncByteStream, look: Callable[[], None]) -> None:
        self._stream = stream
        self._look = look

    def __iter__(self) -> Iterator[bytes]:
        received = 0
        for piece in self._stream:
            self._look()
            received += len(piece)
            if received > MAX_ANSWER_BYTES:
                raise Temporary(f"The endpoint's answer has more than {MAX_ANSWER_BYTES} bytes.")
            yield piece

    def close(self) -> None:
        self._stream.close()
