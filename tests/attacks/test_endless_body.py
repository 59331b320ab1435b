"""A body without end, announced or not, is refused before it is kept."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from countersign.body_limit import Message, Receive, Send, limited


async def echo(scope: Message, receive: Receive, send: Send) -> None:
    """An application that reads all it gets."""
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message["body"])
        if not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


def ask(
    chunks: list[bytes],
    announced: int | None = None,
    path: str = "/",
    shown: tuple[tuple[bytes, bytes], ...] = (),
) -> tuple[int, int]:
    """The status, and how many chunks were taken."""
    sent: list[Mapping[str, Any]] = []
    left = list(chunks)

    async def receive() -> Mapping[str, Any]:
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(message)

    headers: list[Any] = [] if announced is None else [(b"content-length", b"%d" % announced)]
    scope: Message = {"type": "http", "headers": [*headers, *shown], "path": path}
    asyncio.run(limited(echo, limit=100, with_files=300)(scope, receive, send))
    return sent[0]["status"], len(chunks) - len(left)


def test_a_body_within_the_limit_passes() -> None:
    assert ask([b"x" * 50, b"x" * 50], announced=100) == (200, 2)


def test_an_announced_excess_is_refused_unread() -> None:
    assert ask([b"x" * 101], announced=101) == (413, 0)


@pytest.mark.parametrize("announced", [None, 10])
def test_a_body_that_grows_beyond_the_limit_is_cut_off(announced: int | None) -> None:
    assert ask([b"x" * 60] * 50, announced) == (413, 2)


COOKIE = ((b"cookie", b"countersign_session=x"),)
TOKEN = ((b"authorization", b"Bearer cs_x"),)
UPLOAD, FORM = "/api/v1/runs/upload", "/w/acme/runs/start/Accounts%20payable/"


@pytest.mark.parametrize(("path", "shown"), [(UPLOAD, TOKEN), (FORM, COOKIE)])
def test_files_have_more_room_and_an_end(path: str, shown: Any) -> None:
    assert ask([b"x" * 100] * 3, path=path, shown=shown) == (200, 3)
    assert ask([b"x" * 100] * 50, path=path, shown=shown) == (413, 4)


@pytest.mark.parametrize(
    "path",
    [UPLOAD, FORM, "/api/v1/runs", "/api/v1/runs/upload/", "/login", "/w/acme/runs/start/"],
)
def test_nobody_gets_that_room_elsewhere_or_without_showing_who_calls(path: str) -> None:
    assert ask([b"x" * 100] * 3, path=path) == (413, 2)
    if path not in (UPLOAD, FORM):
        assert ask([b"x" * 100] * 3, path=path, shown=COOKIE) == (413, 2)
