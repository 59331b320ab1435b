"""Events as they happen: each once and in order, resumed, ended, and nothing held meanwhile."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections
from django.test import AsyncClient

from agents.models import Run
from countersign.accounts.services import token_revoke
from countersign.accounts.services.workspace import COMMAND_LINE
from countersign.api import stream
from tests.agents.runs.stage import Stage
from tests.countersign.api.caller import account_of, caller_in, issue
from tests.countersign.api.conftest import PAY
from tests.countersign.api.test_runs import DONE


async def chunks(response: Any) -> AsyncGenerator[str, None]:
    async with aclosing(aiter(response.streaming_content)) as parts:
        async for part in parts:
            yield part.decode()


@asynccontextmanager
async def reading(response: Any) -> AsyncGenerator[None, None]:
    """Somebody reads the stream meanwhile, and then goes away as a client does."""
    begun = asyncio.Event()

    async def read() -> None:
        async for chunk in chunks(response):
            if "data" in chunk:
                begun.set()

    reader = asyncio.create_task(read())
    await begun.wait()
    yield
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)


def messages(text: str) -> list[dict[str, str]]:
    """The messages of an event stream; comments and `retry` are none."""
    blocks = [
        dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        for block in text.split("\n\n")
    ]
    return [block for block in blocks if "data" in block]


def opened(token: str, run: Run, last: int = 0) -> Any:
    """The response of a new stream, as a coroutine."""
    headers = {"Authorization": f"Bearer {token}", "Last-Event-ID": str(last)}
    return AsyncClient().get(f"/api/v1/runs/{run.id}/events/stream", headers=headers)


def in_a_loop(test: Callable[[], Any]) -> None:
    async def whole() -> None:
        try:
            await asyncio.wait_for(test(), 30)
        finally:
            # The thread of sync code outlives this loop, its connection this test's database.
            await sync_to_async(connections.close_all)()

    asyncio.run(whole())


async def worker(function: Callable[[], Any]) -> Any:
    """Run something of the worker's in a thread of its own."""

    def run() -> Any:
        try:
            return function()
        finally:
            connection.close()

    return await sync_to_async(run, thread_sensitive=False)()


def test_a_run_is_followed_to_its_end(committing_stage: Stage) -> None:
    stage = committing_stage
    token = caller_in(stage.cast.acme).token
    run = stage.start(PAY, DONE)

    async def test() -> None:
        response = await opened(token, run)
        assert response.status_code == 200
        assert response["Content-Type"] == "text/event-stream; charset=utf-8"
        assert response["Cache-Control"] == "no-store"
        text = ""
        async for chunk in chunks(response):
            text += chunk
            if "run.started" in chunk and "approval" not in text:
                await worker(partial(stage.play, run))
            if "run.parked" in chunk or '"approval.requested"' in chunk:
                for name in ("bob", "beth"):
                    await worker(partial(stage.vote, run, name))
                await worker(partial(stage.play, run))
        *events, end = messages(text)
        assert end == {"event": "end", "data": '{"state": "succeeded"}'}
        seen = [json.loads(event["data"]) for event in events]
        assert [event["action"] for event in seen] == await worker(partial(stage.actions, run))
        assert [int(event["id"]) for event in events] == list(range(1, len(seen) + 1))

    in_a_loop(test)


def test_a_stream_goes_on_after_the_last_event_one_has(committing_stage: Stage) -> None:
    stage = committing_stage
    token = caller_in(stage.cast.acme).token
    run = stage.play(stage.start(DONE))
    count = len(stage.actions(run))

    async def test() -> None:
        response = await opened(token, run, last=count - 2)
        text = "".join([chunk async for chunk in chunks(response)])
        ids = [message.get("id") for message in messages(text)]
        assert ids == [str(count - 1), str(count), None]
        # A browser would come back for ever after an end that it does not understand.
        assert (await opened(token, run, last=count)).status_code == 204

    in_a_loop(test)


def test_a_stream_is_of_ones_own_workspace(committing_stage: Stage) -> None:
    run = committing_stage.start(DONE)
    stranger = caller_in(committing_stage.cast.other).token

    async def test() -> None:
        response = await opened(stranger, run)
        assert response.status_code == 404
        assert response["Content-Type"] == "application/problem+json"

    in_a_loop(test)


def test_a_damaged_last_event_id_is_named(committing_stage: Stage) -> None:
    token = caller_in(committing_stage.cast.acme).token
    run = committing_stage.start(DONE)

    async def test() -> None:
        response = await AsyncClient().get(
            f"/api/v1/runs/{run.id}/events/stream",
            headers={"Authorization": f"Bearer {token}", "Last-Event-ID": "x"},
        )
        assert response.status_code == 422
        assert json.loads(response.content)["errors"][0]["field"] == "Last-Event-ID"

    in_a_loop(test)


def test_a_silent_run_is_kept_alive_and_ends_in_time(
    committing_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = caller_in(committing_stage.cast.acme).token
    run = committing_stage.start(DONE)
    monkeypatch.setattr(stream, "KEEP_ALIVE_S", 0.2)
    monkeypatch.setattr(stream, "LONGEST_S", 1.0)

    async def test() -> None:
        text = "".join([chunk async for chunk in chunks(await opened(token, run))])
        assert text.startswith("retry: 1000\n\n")
        assert text.count(": nothing new\n\n") >= 1
        assert "event: end" not in text

    in_a_loop(test)


def test_a_revoked_token_ends_its_streams(
    committing_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = issue(account_of(committing_stage.cast.acme))
    run = committing_stage.start(DONE)
    monkeypatch.setattr(stream, "KEEP_ALIVE_S", 0.2)

    def revoke() -> None:
        token_revoke(
            workspace_id=committing_stage.workspace_id,
            actor=COMMAND_LINE,
            token_id=issued.token.id,
            now=datetime.now(UTC),
        )

    async def test() -> None:
        response = await opened(issued.secret, run)
        async for chunk in chunks(response):
            if "run.started" in chunk:
                await worker(revoke)
        assert (await opened(issued.secret, run)).status_code == 401

    in_a_loop(test)


def test_a_token_has_only_so_many_streams_at_once(
    committing_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = caller_in(committing_stage.cast.acme).token
    run = committing_stage.start(DONE)
    monkeypatch.setattr(stream, "MOST_OF_ONE_TOKEN", 1)

    async def test() -> None:
        async with reading(await opened(token, run)):
            refused = await opened(token, run)
            assert (refused.status_code, refused["Retry-After"]) == (429, "15")
        assert not stream._open
        async with reading(await opened(token, run)):
            assert stream._open.total() == 1

    in_a_loop(test)


def test_waiting_holds_no_connection(committing_stage: Stage) -> None:
    token = caller_in(committing_stage.cast.acme).token
    run = committing_stage.start(DONE)

    def others() -> int:
        """Connections to this database beside the one that asks."""
        with connections["default"].cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                " AND backend_type = 'client backend'"
                " AND backend_type = 'client backend'"
            )
            return int(cursor.fetchone()[0])

    async def settled(most: int) -> bool:
        """The server takes a moment to notice that a connection was closed."""
        for _ in range(100):
            if await worker(others) <= most:
                return True
            await asyncio.sleep(0.05)
        return False

    async def test() -> None:
        before = await worker(others)
        async with AsyncExitStack() as streams:
            for _ in range(6):
                await streams.enter_async_context(reading(await opened(token, run)))
            assert stream._open.total() == 6
            assert await settled(before)

    in_a_loop(test)
