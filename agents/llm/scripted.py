"""The scripted model: Chat Completions over real HTTP, answered from a recorded script.

It exists so that everything up to the socket is exercised without a key, in the demo and in
the tests; its name begins with "scripted" wherever it shows. The format of a script is
described in `agents.llm.script`. `ScriptedServer` is the HTTP server, `ScriptedChatModel` the
same script without a socket.

The server holds no state between requests. It answers `POST …/chat/completions` (any prefix,
so OpenAI's and Azure's paths both work; streaming or whole), `GET …/models` and `GET /healthz`.
A conversation for which the script has no turn is refused with status 400 and the code
`script_exhausted`: a made-up answer would hide the hole in the script.
"""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from agents.llm.chat import (
    ChatReply,
    ChatRequest,
    Delta,
    FinishReason,
    Message,
    Role,
    ToolCall,
    Usage,
    cut_at_stop,
    estimate_messages,
    estimate_tokens,
)
from agents.llm.errors import ModelRefused, ModelUnavailable
from agents.llm.script import Fault, FaultKind, NonsenseBody, Script, Turn, UsageKind

MAX_REQUEST_BYTES = 32_000_000
EXHAUSTED = "The script has no turn for this conversation."
_POLL_S = 0.05
"""How soon the server notices that it is to stop."""
_ATTEMPT_HEADER = "X-Countersign-Attempt"

_SLOW = frozenset({FaultKind.SLOW, FaultKind.PINGS})
_NONSENSE = {
    NonsenseBody.HTML: ("text/html", b"<html><body><h1>Gateway</h1></body></html>"),
    NonsenseBody.TEXT: ("text/plain", b"all is well"),
    NonsenseBody.JSON: ("application/json", b'{"choices": [{"message": {"content": "half'),
    NonsenseBody.EMPTY: ("application/json", b""),
    NonsenseBody.CHUNKS: ("text/event-stream", b'data: {"choices": 7}\n\ndata: [1, 2\n\n'),
}


class ScriptedChatModel:
    """A `ChatModel` that plays a script in this process. Faults of time are left out."""

    def __init__(self, script: Script) -> None:
        self.script = script

    def complete(
        self, request: ChatRequest, on_delta: Callable[[Delta], None] | None = None
    ) -> ChatReply:
        """Answers from the script; see `ChatModel.complete`."""
        found = self.script.next_turn(request.messages)
        if found is None:
            raise ModelRefused(EXHAUSTED, attempts=1)
        turn, text = found
        _raise_fault(turn.fault)
        text, finish = _limited(turn, text, request.stop)
        if on_delta is not None and text:
            on_delta(Delta(1, text))
        counted = _count(turn, request.messages, text)
        return ChatReply(
            text=text,
            tool_calls=turn.tool_calls,
            usage=Usage(*counted, estimated=turn.usage is not UsageKind.COUNTED),
            finish_reason=finish,
            model=self.script.model,
            request_id=_identity(request.messages),
            attempts=1,
            duration_ms=0,
        )


class ScriptedServer:
    """The script behind an address, on threads of its own. A context manager.

    Args:
        script: what to play.
        host: where to listen; this machine only, unless told otherwise.
        port: 0 takes a free one; `base_url` says which.
    """

    def __init__(self, script: Script, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._server = _Server((host, port), script)
        self._thread = threading.Thread(
            target=self.serve_forever, name="scripted-model", daemon=True
        )

    @property
    def base_url(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}/v1"

    @property
    def requests(self) -> int:
        """Completions asked for so far; for tests of retries."""
        return self._server.asked

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def serve_forever(self) -> None:
        """Serves in this thread until `stop` or an interrupt."""
        self._server.serve_forever(poll_interval=_POLL_S)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], script: Script) -> None:
        super().__init__(address, _Handler)
        self.script = script
        self.started = time.monotonic()
        self.asked = 0

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up is no news."""


class _Refusal(Exception):  # a status to answer with
    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"message": message, "type": "scripted", "code": code, "param": None}}
        self.headers = headers


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    timeout = 60
    server_version = "scripted-model"

    def do_GET(self) -> None:
        if self.path == "/healthz":
            self._send(200, {"status": "ok"})
        elif self.path.endswith("/models"):
            model = {"id": self.server.script.model, "object": "model", "owned_by": "scripted"}
            self._send(200, {"object": "list", "data": [model]})
        else:
            self._send(404, {"error": {"message": "no such page", "code": "not_found"}})

    def do_POST(self) -> None:
        self.server.asked += 1
        try:
            body = self._read()
            messages = _messages(body)
            found = self.server.script.next_turn(messages)
            if found is None:
                raise _Refusal(400, "script_exhausted", EXHAUSTED)
            self._play(body, messages, *found)
        except _Refusal as refusal:
            self._send(refusal.status, refusal.body, **refusal.headers)

    def log_message(self, format: str, *args: object) -> None:
        """Keeps the console for the caller."""

    def _read(self) -> Mapping[str, Any]:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_REQUEST_BYTES:
            self.close_connection = True
            raise _Refusal(413, "too_large", "the request is too large or has no length")
        raw = self.rfile.read(int(length))
        if "/chat/completions" not in self.path:
            raise _Refusal(404, "not_found", "only chat/completions is played")
        try:
            body = json.loads(raw)
        except (ValueError, RecursionError):
            raise _Refusal(400, "invalid_json", "the request is not JSON") from None
        if not isinstance(body, dict):
            raise _Refusal(400, "invalid_json", "the request is not an object")
        self._check_key_and_model(body)
        return body

    def _check_key_and_model(self, body: Mapping[str, Any]) -> None:
        script = self.server.script
        keys = {self.headers.get("Authorization"), self.headers.get("api-key")}
        if script.key and not keys & {f"Bearer {script.key}", script.key}:
            raise _Refusal(401, "invalid_api_key", "the key is not the script's")
        if body.get("model") != script.model and f"/{script.model}/" not in self.path:
            raise _Refusal(404, "model_not_found", f"only {script.model} is played here")

    def _play(
        self, body: Mapping[str, Any], messages: Sequence[Message], turn: Turn, text: str
    ) -> None:
        stops = body.get("stop") or []
        text, finish = _limited(turn, text, [stops] if isinstance(stops, str) else stops)
        fault = self._due(turn.fault)
        if fault is not None and self._spoil(fault):
            return
        pace = self.server.script.pace
        time.sleep(pace.first_s)
        pings = fault.seconds_slow if fault and fault.kind is FaultKind.PINGS else 0.0
        cut = fault.after if fault is not None and fault.kind is FaultKind.DISCONNECT else None
        if body.get("stream") is True:
            options = body.get("stream_options")
            wants_usage = isinstance(options, dict) and options.get("include_usage") is True
            self._stream(turn, messages, text, finish, wants_usage, cut, pings)
        elif cut is not None:
            self._hang_up()
        else:
            self._send(200, _completion(self.server.script, turn, messages, text, finish))

    def _due(self, fault: Fault | None) -> Fault | None:
        attempt = self.headers.get(_ATTEMPT_HEADER, "1")
        number = int(attempt) if attempt.isdecimal() else 1
        uptime = time.monotonic() - self.server.started
        return fault if fault is not None and fault.applies(number, uptime) else None

    def _spoil(self, fault: Fault) -> bool:
        """Plays a fault; True if nothing is left to answer."""
        if fault.kind is FaultKind.STATUS:
            wish = {} if fault.retry_after is None else {"Retry-After": f"{fault.retry_after:g}"}
            error = {"message": f"scripted status {fault.status}", "code": fault.code or None}
            body = {"error": {**error, "param": fault.param or None, "type": "scripted"}}
            self._send(fault.status, body, **wish)
            return True
        if fault.kind is FaultKind.NONSENSE:
            kind, raw = _NONSENSE[fault.body]
            self._send_raw(200, kind, raw)
            return True
        if fault.kind is FaultKind.SLOW:
            time.sleep(fault.seconds_slow)
        return False

    def _stream(
        self,
        turn: Turn,
        messages: Sequence[Message],
        text: str,
        finish: FinishReason,
        wants_usage: bool,
        cut: int | None,
        pings: float,
    ) -> None:
        script = self.server.script
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("x-request-id", _identity(messages))
        self.end_headers()
        end = time.monotonic() + pings
        while time.monotonic() < end:
            self._write(b": wait\n\n")
            time.sleep(_POLL_S)
        for sent, chunk in _chunks(script, turn, messages, text, finish, wants_usage):
            if cut is not None and sent > cut:
                return self._hang_up()
            time.sleep(script.pace.chunk_s)
            self._write(f"data: {json.dumps(chunk)}\n\n".encode())
        self._write(b"data: [DONE]\n\n")
        self._write(b"")
        return None

    def _write(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _hang_up(self) -> None:
        """Ends the connection without the end of the message."""
        self.close_connection = True
        self.wfile.flush()
        self.connection.close()

    def _send(self, status: int, body: Mapping[str, Any], **headers: str) -> None:
        self._send_raw(status, "application/json", json.dumps(body).encode(), **headers)

    def _send_raw(self, status: int, kind: str, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _messages(body: Mapping[str, Any]) -> list[Message]:
    items = body.get("messages")
    if not isinstance(items, list) or not items:
        raise _Refusal(400, "invalid_messages", "messages must be a list, not empty")
    return [_message(item) for item in items]


def _message(item: object) -> Message:
    if not isinstance(item, dict):
        raise _Refusal(400, "invalid_messages", "a message must be an object")
    try:
        role = Role(str(item.get("role")))
    except ValueError:
        raise _Refusal(400, "invalid_messages", "a message has an unknown role") from None
    content = item.get("content")
    if isinstance(content, list):
        content = "".join(part.get("text", "") for part in content if isinstance(part, dict))
    return Message(role, content if isinstance(content, str) else "")


def _limited(turn: Turn, text: str, stops: Sequence[str]) -> tuple[str, FinishReason]:
    """The text as a real endpoint would end it."""
    if turn.finish is FinishReason.LENGTH:
        return text, FinishReason.LENGTH
    if turn.tool_calls:
        return text, FinishReason.TOOL_CALLS
    return cut_at_stop(text, stops)[0], turn.finish


def _count(turn: Turn, messages: Sequence[Message], text: str) -> tuple[int, int]:
    return turn.tokens or (max(1, estimate_messages(messages)), estimate_tokens(text))


def _usage(turn: Turn, messages: Sequence[Message], text: str) -> dict[str, Any] | None:
    if turn.usage is UsageKind.MISSING:
        return None
    if turn.usage is UsageKind.MALFORMED:
        return {"prompt_tokens": "many", "completion_tokens": -1, "total_tokens": None}
    given, said = _count(turn, messages, text)
    return {"prompt_tokens": given, "completion_tokens": said, "total_tokens": given + said}


def _calls(calls: Sequence[ToolCall], *, indexed: bool) -> list[dict[str, Any]]:
    return [
        {
            **({"index": place} if indexed else {}),
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for place, call in enumerate(calls)
    ]


def _completion(
    script: Script, turn: Turn, messages: Sequence[Message], text: str, finish: FinishReason
) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if turn.tool_calls:
        message["tool_calls"] = _calls(turn.tool_calls, indexed=False)
    choice = {"index": 0, "message": message, "finish_reason": finish.value}
    body = {**_envelope(script, messages, "chat.completion"), "choices": [choice]}
    usage = _usage(turn, messages, text)
    return body if usage is None else {**body, "usage": usage}


def _chunks(
    script: Script,
    turn: Turn,
    messages: Sequence[Message],
    text: str,
    finish: FinishReason,
    wants_usage: bool,
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each chunk with the number of characters sent once it is."""
    envelope = _envelope(script, messages, "chat.completion.chunk")

    def chunk(delta: Mapping[str, Any], end: str | None = None) -> dict[str, Any]:
        return {**envelope, "choices": [{"index": 0, "delta": delta, "finish_reason": end}]}

    size = script.pace.chunk_chars
    yield 0, chunk({"role": "assistant", "content": ""})
    for start in range(0, len(text), size):
        piece = text[start : start + size]
        yield start + len(piece), chunk({"content": piece})
    if turn.tool_calls:
        yield len(text), chunk({"tool_calls": _calls(turn.tool_calls, indexed=True)})
    yield len(text) + 1, chunk({}, finish.value)
    usage = _usage(turn, messages, text)
    if wants_usage and usage is not None:
        yield len(text) + 1, {**envelope, "choices": [], "usage": usage}


def _envelope(script: Script, messages: Sequence[Message], kind: str) -> dict[str, Any]:
    return {"id": _identity(messages), "object": kind, "created": 0, "model": script.model}


def _identity(messages: Sequence[Message]) -> str:
    """An id that depends on the conversation alone."""
    text = json.dumps([[message.role, message.content] for message in messages])
    return f"chatcmpl-{hashlib.sha256(text.encode()).hexdigest()[:24]}"


def _raise_fault(fault: Fault | None) -> None:
    if fault is None or not fault.applies(1, 0.0) or fault.kind in _SLOW:
        return
    sentence = f"The script plays a fault: {fault.kind}."
    if fault.kind is FaultKind.STATUS and 400 <= fault.status < 500 and fault.status != 429:
        raise ModelRefused(sentence, attempts=1)
    raise ModelUnavailable(sentence, retry_after_s=fault.retry_after or 1.0, attempts=1)
