"""A run's events as they happen: server-sent events (WHATWG HTML §9.2).

Guarantees: every event once and in order, from `Last-Event-ID` on; the event `end` only after all
others of a run that has ended; no database connection while waiting. A stream ends by itself after
`LONGEST_S`, and within `KEEP_ALIVE_S` of its token being revoked.

All streams of a process share `READERS` threads, so they can never take more than that many
connections. They ask for a run's fingerprint, less often while nothing happens. That needs no
trigger, and no NOTIFY in the transactions of workers, which would make their commits queue up.
"""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from http import HTTPStatus
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import Error, close_old_connections
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from agents import selectors as agents
from countersign.accounts.scopes import Scope
from countersign.accounts.services import TokenContext
from countersign.api import events
from countersign.api.auth import authenticate
from countersign.api.problems import Problem
from countersign.api.schemas.runs import EventOut

log = logging.getLogger(__name__)

READERS = 2
LONGEST_S = 300.0
KEEP_ALIVE_S = 15.0
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 2.0
RETRY_MS = 1_000
BATCH = 200
MOST_OF_ONE_TOKEN = 20

_readers = ThreadPoolExecutor(READERS, thread_name_prefix="event-stream")
_open: Counter[UUID] = Counter()


@dataclass(frozen=True)
class Reading:
    """What was found: new events, and the state of a run that has ended when these are all."""

    events: list[EventOut] = field(default_factory=list)
    more: bool = False
    ended: str = ""


@dataclass
class Watch:
    """Where one stream stands in one run."""

    workspace_id: UUID
    run_id: UUID
    seq: int
    fingerprint: str = ""

    async def read(self, *, thoroughly: bool = True) -> Reading:
        """What is new; asks for no more than the fingerprint unless that changed.

        Raises:
            agents.errors.NotFound: this workspace has no such run.
        """
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(_readers, self._read, thoroughly)
        if found.events:
            self.seq = found.events[-1].seq
        return found

    def _read(self, thoroughly: bool) -> Reading:
        try:
            # What changes after this is found by the next fingerprint; so with the state, which
            # is read before the events: those of an ended run are then complete.
            fingerprint = agents.run_fingerprint(self.workspace_id, self.run_id)
            if fingerprint == self.fingerprint and not thoroughly:
                return Reading()
            run = agents.run(self.workspace_id, self.run_id)
            found, more = events.after(self.workspace_id, self.run_id, self.seq, BATCH)
            self.fingerprint = "" if more else fingerprint
            ended = run.state.value if run.state.final and not more else ""
            return Reading(found, more, ended)
        finally:
            close_old_connections()


async def respond(
    who: TokenContext, authorization: str, run_id: UUID, last_seq: int
) -> HttpResponseBase:
    """The stream of a run's events above `last_seq`; 204 if there is nothing left to come.

    Raises:
        agents.errors.NotFound: this workspace has no such run.
        Problem: 429, this token has too many streams in this process.
    """
    if _open[who.token_id] >= MOST_OF_ONE_TOKEN:
        raise Problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            "too_many_streams",
            f"A token may have {MOST_OF_ONE_TOKEN} streams at once.",
            retry_after_s=int(KEEP_ALIVE_S),
        )
    watch = Watch(who.workspace_id, run_id, last_seq)
    first = await watch.read()
    # The connection with which the token was checked would else be held as long as the stream.
    await sync_to_async(close_old_connections)()
    if first.ended and not first.events:
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
    response = StreamingHttpResponse(
        _follow(watch, first, who.token_id, authorization),
        content_type="text/event-stream; charset=utf-8",
    )
    response["X-Accel-Buffering"] = "no"
    return response


async def _follow(
    watch: Watch, first: Reading, token_id: UUID, authorization: str
) -> AsyncGenerator[str, None]:
    _open[token_id] += 1
    try:
        yield f"retry: {RETRY_MS}\n\n"
        async with aclosing(_readings(watch, first, authorization)) as readings:
            async for reading in readings:
                yield "".join(map(_message, reading.events)) or ": nothing new\n\n"
                if reading.ended:
                    yield f"event: end\ndata: {json.dumps({'state': reading.ended})}\n\n"
    except (Problem, Error) as error:
        # The client comes back and is told why by the status of that answer.
        log.info("a stream ended early: %s", type(error).__name__)
    finally:
        _open[token_id] -= 1
        if not _open[token_id]:
            del _open[token_id]


async def _readings(
    watch: Watch, reading: Reading, authorization: str
) -> AsyncGenerator[Reading, None]:
    """Whatever is new as soon as it is, and an empty reading after each `KEEP_ALIVE_S` of none."""
    clock = asyncio.get_running_loop().time
    until, pause = clock() + LONGEST_S, SHORTEST_PAUSE_S
    spoke = checked = clock()
    while True:
        if reading.events or reading.ended or clock() - spoke >= KEEP_ALIVE_S:
            yield reading
            spoke = clock()
        if reading.ended or clock() >= until:
            return
        pause = SHORTEST_PAUSE_S if reading.events else min(pause * 1.5, LONGEST_PAUSE_S)
        await asyncio.sleep(0 if reading.more else pause)
        due = clock() - checked >= KEEP_ALIVE_S
        if due:
            await sync_to_async(_check)(authorization)
            checked = clock()
        reading = await watch.read(thoroughly=due)


def _check(authorization: str) -> None:
    """Raise `Problem` unless the token still opens this door."""
    try:
        authenticate(authorization, Scope.RUNS_READ)
    finally:
        close_old_connections()


def _message(event: EventOut) -> str:
    return f"id: {event.seq}\ndata: {event.model_dump_json()}\n\n"
