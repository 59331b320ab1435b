"""Bounds what a request may send, before anything of it is kept.

Django spools a body of any size to disk before a view, or the check of who calls, is reached. This
stands around the whole application: a body announced or grown beyond the limit ends in 413, as a
page for browsers and as problem details for programs. The two addresses that take files may be sent
as much as a run may be given, by whoever shows a cookie or a token (which is looked at later): a
reverse proxy that faces strangers should bound how many such requests it lets through at once.
"""

import json
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from django.template.loader import render_to_string

from countersign.middleware import CONTENT_SECURITY_POLICY

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Coroutine[Any, Any, None]]

LIMIT_BYTES = 4 << 20
TAKES_FILES = re.compile(r"/api/v1/runs/upload|/w/[^/]+/runs/start/.+/")


def limited(application: Application, limit: int = LIMIT_BYTES, with_files: int = 0) -> Application:
    """The application behind the bound.

    Args:
        limit: bytes of a body.
        with_files: bytes of a body where files are taken, if that is more.
    """
    usual, larger = limit, max(limit, with_files)

    async def guarded(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return
        limit = larger if larger > usual and _takes_files(scope) else usual
        if _announced(scope) > limit:
            await _refuse(scope, send, limit)
        else:
            body = _Body(scope, receive, send, limit)
            await application(scope, body.receive, body.send)

    return guarded


class _Body:
    """One request's body, counted as it arrives."""

    def __init__(self, scope: Message, receive: Receive, send: Send, limit: int) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._limit = self._left = limit
        self._refused = False

    async def receive(self) -> Mapping[str, Any]:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left >= 0:
            return message
        if not self._refused:
            self._refused = True
            await _refuse(self._scope, self._send, self._limit)
        # To the application the caller is gone.
        return {"type": "http.disconnect"}

    async def send(self, message: Mapping[str, Any]) -> None:
        if not self._refused:
            await self._send(message)


def _takes_files(scope: Message) -> bool:
    shown = {name for name, _ in scope["headers"]}
    known = b"authorization" in shown or b"cookie" in shown
    return known and TAKES_FILES.fullmatch(scope["path"]) is not None


def _announced(scope: Message) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0


async def _refuse(scope: Message, send: Send, limit: int) -> None:
    kind, text = b"application/problem+json", _problem(limit)
    if _is_browser(scope):
        kind, text = (
            b"text/html; charset=utf-8",
            str(render_to_string("413.html", {"limit": limit})),
        )
    headers = [
        (b"content-type", kind),
        (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})


def _is_browser(scope: Message) -> bool:
    accepts = next((value for name, value in scope["headers"] if name == b"accept"), b"")
    return b"text/html" in accepts


def _problem(limit: int) -> str:
    return json.dumps(
        {
            "type": "about:blank",
            "title": "Content Too Large",
            "status": 413,
            "detail": f"A request may send at most {limit >> 20} MiB.",
            "code": "too_large",
        }
    )
