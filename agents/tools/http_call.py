"""Makes one call of an operation over HTTP.

Order: (1) the request is written from the arguments, with the credential; (2) a connection is made
as `agents.tools.outbound` allows; (3) the request leaves, once per attempt; (4) the answer is read
while it is counted, up to the size and the time the tool has; (5) its status decides: 2xx is the
result, anything else is told to the agent with a bounded, masked piece of its body.

Redirects are never followed: an address that an answer names was in no tool version. Only a tool
that is idempotent, or only reads, is tried again, with the same key. What is known about the
effect afterwards: before the first byte left, nothing happened; 4xx, 501 and 503 say that nothing
was done; after anything else (a time-out, a lost connection, 3xx, other 5xx) a write is in doubt.
"""

import functools
import json
import random
import re
import ssl
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpcore2

from agents.tools.context import ToolContext
from agents.tools.errors import ToolError, ToolFailed, ToolTimeout, ToolUnreachable
from agents.tools.http_request import HttpOperation, Wire, write
from agents.tools.outbound import (
    Backend,
    Cancelled,
    HostRefused,
    OutOfTime,
    Resolver,
    Watch,
    resolve,
)

ATTEMPTS = 3
FIRST_PAUSE_S = 0.3
MAX_PAUSE_S = 5.0
MAX_ERROR_BYTES = 16_000
MAX_ERROR_CHARS = 800
HEADROOM_S = 0.25

_ENDINGS = {
    "application/pdf": ".pdf",
    "application/zip": ".zip",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
}
_NOTHING_DONE = frozenset({501, 503})
_TRY_AGAIN = frozenset({429, 502, 503, 504})
_JSON = re.compile(r"application/(?:[\w.+-]+\+)?json", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Network:
    """What calls go out by: the system's by default; tests give their own.

    Attributes:
        tls: verifies certificates and host names.
    """

    resolver: Resolver = resolve
    tls: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        return self.tls or _tls()


@functools.cache
def _tls() -> ssl.SSLContext:
    """The system's authorities; `SSL_CERT_FILE` names others."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


NETWORK = Network()


@dataclass
class _Answer:
    status: int
    media: str
    body: bytes
    whole: bool
    retry_after: str = ""


class _Again(Exception):
    """This attempt failed in a way that a repeatable call may be repeated after."""

    def __init__(self, error: ToolError, wait_s: float = 0.0) -> None:
        super().__init__(str(error))
        self.error, self.wait_s = error, wait_s


def perform(
    operation: HttpOperation,
    arguments: Mapping[str, Any],
    context: ToolContext,
    *,
    writes: bool,
    repeatable: bool,
    timeout_s: float,
    max_bytes: int,
    network: Network | None = None,
) -> Any:  # noqa: ANN401 - JSON
    """The result of one call.

    Args:
        writes: a call that may have acted is in doubt, not failed.
        repeatable: it may be made again with the same key.

    Raises:
        ToolFailed: the service said no, or the call cannot be made like this.
        ToolUnreachable: no connection, or the service is broken; nothing was done.
        ToolTimeout: nobody knows whether it was done.
    """
    call = _Call(operation, context, writes=writes, max_bytes=max_bytes, network=network or NETWORK)
    wire = write(operation, arguments, context)
    # A little before the broker stops waiting, which could not say whether anything had left.
    ends = time.monotonic() + timeout_s - min(HEADROOM_S, timeout_s / 10)
    pause_s = FIRST_PAUSE_S
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return call.attempt(wire, ends)
        except ToolError as error:
            raise call.over_all(error) from None
        except _Again as again:
            call.note(again.error)
            wait_s = max(again.wait_s, pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
            last = attempt == ATTEMPTS or not repeatable
            if last or wait_s > MAX_PAUSE_S or time.monotonic() + wait_s >= ends:
                raise call.over_all(again.error) from None
            call.pause(wait_s)
            pause_s *= 3
    raise AssertionError("unreachable")


@dataclass
class _Call:
    operation: HttpOperation
    context: ToolContext
    network: Network
    writes: bool
    max_bytes: int
    _doubt: str = field(default="", init=False)

    def attempt(self, wire: Wire, ends: float) -> Any:  # noqa: ANN401 - JSON
        """One request and what its answer means."""
        watch = Watch(ends, self.context.cancelled)
        try:
            answer = self._exchange(wire, watch)
        except HostRefused as refused:
            raise ToolFailed("HostRefused", str(refused)) from None
        except Cancelled:
            raise self._lost(watch, "the run was stopped") from None
        except OutOfTime:
            raise _Again(self._lost(watch, "no answer in time")) from None
        except (OSError, httpcore2.NetworkError, httpcore2.TimeoutException) as fault:
            raise _Again(self._lost(watch, f"no connection: {_named(fault)}")) from None
        except httpcore2.ProtocolError as fault:
            raise _Again(self._lost(watch, f"no HTTP: {_named(fault)}")) from None
        return self._judged(answer)

    def note(self, error: ToolError) -> None:
        """Remember an attempt of a write that may have acted."""
        if self.writes and isinstance(error, ToolTimeout):
            self._doubt = self._doubt or str(error)

    def over_all(self, error: ToolError) -> ToolError:
        """What all attempts together leave known: after one in doubt, only a result ends it.

        A later one that did not get through, or that the service refuses since the first is there,
        says nothing about the first.
        """
        if not self._doubt or isinstance(error, ToolTimeout):
            return error
        return ToolTimeout(f"{self._doubt}; asked again: {error}")

    def pause(self, wait_s: float) -> None:
        """Wait before the next attempt; a stopped run is noticed by that one."""
        until = time.monotonic() + wait_s
        while time.monotonic() < until and not self.context.cancelled():
            time.sleep(0.05)

    def _exchange(self, wire: Wire, watch: Watch) -> _Answer:
        backend = Backend(self.operation.reach, watch, self.network.resolver)
        url = httpcore2.URL(
            scheme=wire.scheme.encode(), host=wire.host.encode(), port=wire.port, target=wire.target
        )
        with (
            httpcore2.ConnectionPool(
                ssl_context=self.network.context(), network_backend=backend, retries=0
            ) as pool,
            pool.stream(
                self.operation.method.encode(), url, headers=list(wire.headers), content=wire.body
            ) as response,
        ):
            return self._read(response)

    def _read(self, response: httpcore2.Response) -> _Answer:
        headers = {name.lower(): value for name, value in response.headers}
        good = 200 <= response.status < 300
        limit = self.max_bytes if good else MAX_ERROR_BYTES
        body = bytearray()
        pieces = _decoded(response.iter_stream(), headers.get(b"content-encoding", b""), limit)
        for piece in pieces:
            body += piece
            if len(body) > limit:
                break
        return _Answer(
            response.status,
            headers.get(b"content-type", b"").split(b";")[0].strip().decode("ascii", "replace"),
            bytes(body[:limit]),
            whole=len(body) <= limit,
            retry_after=headers.get(b"retry-after", b"").decode("ascii", "replace"),
        )

    def _judged(self, answer: _Answer) -> Any:  # noqa: ANN401 - JSON
        status = answer.status
        if 200 <= status < 300:
            return self._result(answer)
        said = f"{self.operation.target} answered {status}: {self._shown(answer)}"
        if 300 <= status < 400:
            said = f"{self.operation.target} answered {status}: redirects are not followed"
        nothing_done = 400 <= status < 500 or status in _NOTHING_DONE
        if self.writes and not nothing_done:
            error: ToolError = ToolTimeout(f"{said} (it may have been done)")
        elif status >= 500:
            error = ToolUnreachable(said)
        else:
            error = ToolFailed(f"Http{status}", said)
        if status in _TRY_AGAIN:
            raise _Again(error, _seconds(answer.retry_after))
        raise error

    def _result(self, answer: _Answer) -> Any:  # noqa: ANN401 - JSON
        if not answer.whole:
            return self._unusable(
                f"it has more than {self.max_bytes} bytes; ask for less at a time"
            )
        if not answer.body.strip():
            return None
        if answer.media.startswith("text/"):
            return answer.body.decode("utf-8", "replace").replace("\0", "")
        if self.operation.file and not _JSON.fullmatch(answer.media):
            stem = re.sub(r"\W+", "-", self.operation.operation, flags=re.ASCII).strip("-")
            return self.context.keep(stem + _ENDINGS.get(answer.media, ""), answer.body)
        if not _JSON.fullmatch(answer.media or "application/json"):
            return self._unusable(f"it is {answer.media[:60]}, not JSON")
        try:
            return json.loads(answer.body, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            return self._unusable("it is not readable as JSON")

    def _unusable(self, why: str) -> None:
        """The call succeeded; only nobody can say with which result."""
        said = f"{self.operation.target} was called, but its answer cannot be used: {why}"
        raise ToolTimeout(said) if self.writes else ToolFailed("UnusableAnswer", said)

    def _shown(self, answer: _Answer) -> str:
        text = self.context.masked(answer.body.decode("utf-8", "replace"))
        line = " ".join(text.split())
        return line[:MAX_ERROR_CHARS] + ("…" if len(line) > MAX_ERROR_CHARS else "")

    def _lost(self, watch: Watch, why: str) -> ToolError:
        """The error for an exchange that broke off."""
        said = f"{self.operation.target}: {why}"
        if not watch.sent:
            return ToolUnreachable(said)
        return ToolTimeout(said)


def _decoded(pieces: Iterator[bytes], encoding: bytes, limit: int) -> Iterator[bytes]:
    """The body's bytes, unpacked no further than the limit: a small body may hold gigabytes."""
    name = encoding.strip().lower()
    if name in (b"", b"identity"):
        yield from pieces
        return
    if name not in (b"gzip", b"x-gzip", b"deflate"):
        raise httpcore2.RemoteProtocolError("an encoding that was not asked for")
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 32)
    left = limit + 1
    for piece in pieces:
        rest = piece
        while rest and left > 0:
            try:
                made = unpack.decompress(rest, left)
            except zlib.error:
                raise httpcore2.RemoteProtocolError("its encoding is broken") from None
            left -= len(made)
            yield made
            rest = unpack.unconsumed_tail
        if left <= 0:
            return


def _seconds(retry_after: str) -> float:
    """How long the service asks to wait; dates are not read."""
    return float(retry_after) if re.fullmatch(r"[0-9]{1,4}", retry_after) else 0.0


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def _named(fault: BaseException) -> str:
    text = str(fault)
    return f"{type(fault).__name__}: {text[:200]}" if text else type(fault).__name__
