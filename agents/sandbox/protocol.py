"""The channel between host and jail, seen from the host: everything that arrives is hostile.

A frame is 4 bytes length (big-endian, body only) and a JSON object in UTF-8. The guest may
send ``ready`` once, then during a step any number of ``out`` and ``call`` (each answered by one
reply) and at its end exactly one of ``done``, ``final`` and ``needs``. Asked for the files that
an ended step left, it sends any number of ``file`` and one ``taken``.

Guarantees: a body is never longer than the limit that the caller gives; nothing is read past
it; every field has its type and bound checked here, so the rest of the room handles values and
not bytes; text is Unicode without surrogates or NUL, numbers are finite and exact (integers
within 2**53 - 1), depth is at most ``MAX_DEPTH``. Whatever breaks this raises
``ProtocolViolation`` and nothing else.

It cannot tell a call that the program made from one that the program forged by writing to the
descriptor: both are calls of the program, and both are decided on by the handler.
"""

import binascii
import json
import select
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeAlias

from agents.sandbox.errors import ChannelClosed, FrameTooLarge, ProtocolViolation

JSON: TypeAlias = Any

MAX_INTEGER = 2**53 - 1
MAX_DEPTH = 64  # A little above the guest's own limit, which counts from the argument.
MAX_NAME = 200
MAX_MESSAGE = 10_000
MAX_SKIPPED = 20
MAX_LINES = 16
MAX_LINE = 10_000_000
_LENGTH = struct.Struct(">I")


@dataclass(frozen=True)
class Ready:
    """The guest has started and waits for its first step."""


@dataclass(frozen=True)
class Output:
    """Printed text of a running step; every other message of a step may carry some, too."""

    text: str


@dataclass(frozen=True)
class Called:
    """The program called a tool and waits for the reply."""

    number: int
    tool: str
    arguments: dict[str, JSON]
    at: tuple[int, ...]
    out: str


@dataclass(frozen=True)
class Needed:
    """The program used the value of a placeholder; its thread is parked."""

    token: str
    what: str
    out: str


@dataclass(frozen=True)
class Finished:
    """The program called ``final_answer``; its thread is parked."""

    value: JSON
    out: str
    files: bool = False


@dataclass(frozen=True)
class GuestError:
    """Why a program failed, in the words of its interpreter.

    Attributes:
        type: name of the exception's class; for a limit ``limit_time``, ``limit_memory``,
            ``limit_output`` or ``jail_killed``.
        message: its text.
        line: line of the step's own program, counted from 1.
        source_line: that line, stripped.
        hint: a sentence that helps to correct the program, or empty.
        trace: the program's frames, outermost first, where there is more than one.
    """

    type: str
    message: str
    line: int | None = None
    source_line: str | None = None
    hint: str = ""
    trace: str = ""


@dataclass(frozen=True)
class Done:
    """The program ended by itself.

    Attributes:
        value: the last top-level statement's value as JSON, or ``{"repr": text}``.
        error: what it raised.
        memory: whether that was for lack of memory.
        out: what it printed last.
        files: whether it left any.
    """

    value: JSON
    error: GuestError | None
    memory: bool
    out: str
    files: bool = False


@dataclass(frozen=True)
class Piece:
    """A piece of a file that a step left; the name is the guest's."""

    name: str
    data: bytes
    more: bool


@dataclass(frozen=True)
class Taken:
    """There are no more files; ``skipped``: name and reason of those that stay."""

    skipped: tuple[tuple[str, str], ...]


Message: TypeAlias = Ready | Output | Called | Needed | Finished | Done | Piece | Taken


class Channel:
    """Frames over the host's end of the socket pair.

    Args:
        end: a connected stream socket; owned by the channel from here on.
        frame_bytes: longest body that is accepted from the guest.
    """

    def __init__(self, end: socket.socket, frame_bytes: int) -> None:
        end.setblocking(False)
        self._socket = end
        self._frame_bytes = frame_bytes
        self._buffer = bytearray()

    def send(self, message: Mapping[str, JSON], deadline: float) -> None:
        """Send one frame.

        Raises:
            TimeoutError: the guest did not take it before the deadline (``monotonic()``).
            ChannelClosed: the guest is gone.
        """
        body = json.dumps(message, separators=(",", ":"), allow_nan=False).encode()
        frame = memoryview(_LENGTH.pack(len(body)) + body)
        while frame:
            try:
                frame = frame[self._socket.send(frame) :]
            except BlockingIOError:
                self._wait(select.POLLOUT, deadline)
            except OSError as error:
                raise ChannelClosed(str(error)) from error

    def receive(self, deadline: float) -> Message:
        """Give the next message.

        Raises:
            TimeoutError: it was not complete before the deadline (``monotonic()``); what has
                arrived is kept, so the call can be repeated.
            ChannelClosed: the guest is gone.
            ProtocolViolation: it is not a message, or too long.
        """
        size = self._fill(_LENGTH.size, deadline)
        (length,) = _LENGTH.unpack_from(self._buffer)
        if length > self._frame_bytes:
            raise FrameTooLarge(f"the guest announced {length} bytes")
        size = _LENGTH.size + length
        self._fill(size, deadline)
        body = bytes(memoryview(self._buffer)[_LENGTH.size : size])
        del self._buffer[:size]
        return decode(body)

    def require_silence(self) -> None:
        """Make sure that nothing has arrived since the last message was taken.

        Raises:
            ProtocolViolation: an ended step has sent more; it must not count for the next one.
        """
        if self._buffer or self._readable():
            raise ProtocolViolation("a message between two steps")

    def close(self) -> None:
        """Close the host's end; an honest guest ends by that."""
        self._socket.close()

    def _fill(self, size: int, deadline: float) -> int:
        while len(self._buffer) < size:
            try:
                piece = self._socket.recv(max(size - len(self._buffer), 65_536))
            except BlockingIOError:
                self._wait(select.POLLIN, deadline)
                continue
            except OSError as error:
                raise ChannelClosed(str(error)) from error
            if not piece:
                raise ChannelClosed("the guest closed the channel")
            self._buffer += piece
        return size

    def _readable(self) -> bool:
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return False
        except OSError as error:
            raise ChannelClosed(str(error)) from error

    def _wait(self, event: int, deadline: float) -> None:
        rest = deadline - monotonic()
        poller = select.poll()
        try:
            poller.register(self._socket, event)
        except ValueError as error:  # Closed by another thread.
            raise ChannelClosed("the channel is closed") from error
        if rest <= 0 or not poller.poll(rest * 1_000):
            raise TimeoutError


# --- decoding -------------------------------------------------------------------------------


def decode(body: bytes) -> Message:
    """Give the message that a frame's body holds.

    Raises:
        ProtocolViolation: it holds none.
    """
    try:
        message = _DECODER.decode(body.decode("utf-8"))
        if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
            _check_depth(message, 0)
        if b"\\ud" in body.lower() and not _is_text(json.dumps(message, ensure_ascii=False)):
            raise ProtocolViolation("text with surrogates")
    except (ValueError, RecursionError) as error:
        raise ProtocolViolation(f"not a JSON message: {type(error).__name__}") from error
    if type(message) is not dict:
        raise ProtocolViolation("not an object")
    if b"\\u0000" in body:
        _check_strings({key: value for key, value in message.items() if key != "out"})
    for kind, read in _READERS.items():
        if kind in message:
            return read(message)
    raise ProtocolViolation("an unknown message")


def _ready(message: dict[str, JSON]) -> Ready:
    _keys(message, {"ready"})
    return Ready()


def _output(message: dict[str, JSON]) -> Output:
    _keys(message, {"out"})
    return Output(_printed(message))


def _called(message: dict[str, JSON]) -> Called:
    _keys(message, {"call", "tool", "arguments", "at", "out"})
    number, arguments = message["call"], message["arguments"]
    if type(number) is not int or number < 0:
        raise ProtocolViolation("a call without a number")
    if type(arguments) is not dict:
        raise ProtocolViolation("a call without arguments")
    tool = _string(message, "tool", MAX_NAME)
    return Called(number, tool, arguments, _lines(message["at"]), _printed(message))


def _lines(told: JSON) -> tuple[int, ...]:
    if type(told) is not list or len(told) > MAX_LINES:
        raise ProtocolViolation("a call without lines")
    lines = [line for line in told if type(line) is int and 0 <= line <= MAX_LINE]
    if len(lines) != len(told):
        raise ProtocolViolation("a line that is no number")
    return tuple(lines)


def _needed(message: dict[str, JSON]) -> Needed:
    _keys(message, {"needs", "what", "out"})
    token, what = _string(message, "needs", MAX_NAME), _string(message, "what", MAX_MESSAGE)
    return Needed(token, what, _printed(message))


def _finished(message: dict[str, JSON]) -> Finished:
    files = _files(message)
    _keys(message, {"final", "out"})
    return Finished(message["final"], _printed(message), files)


def _done(message: dict[str, JSON]) -> Done:
    files = _files(message)
    _keys(message, {"done", "out"})
    answer = message["done"]
    if type(answer) is not dict or answer.keys() not in ({"value"}, {"error"}):
        raise ProtocolViolation("a step without a result")
    if "value" in answer:
        return Done(answer["value"], None, False, _printed(message), files)
    error, memory = _error(answer["error"])
    return Done(None, error, memory, _printed(message), files)


def _piece(message: dict[str, JSON]) -> Piece:
    _keys(message, {"file", "data", "more"})
    text = message["data"]
    if type(text) is not str:
        raise ProtocolViolation("a file without data")
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise ProtocolViolation("a file that is not base64") from error
    return Piece(_string(message, "file", MAX_NAME), data, _flag(message, "more"))


def _taken(message: dict[str, JSON]) -> Taken:
    _keys(message, {"taken"})
    listed = message["taken"]
    if type(listed) is not list or len(listed) > MAX_SKIPPED:
        raise ProtocolViolation("not a list of skipped files")
    for one in listed:
        if type(one) is not list or len(one) != 2:
            raise ProtocolViolation("not a skipped file")
    named = [{"name": name, "why": why} for name, why in listed]
    return Taken(
        tuple((_string(one, "name", MAX_NAME), _string(one, "why", MAX_NAME)) for one in named)
    )


def _error(error: JSON) -> tuple[GuestError, bool]:
    if type(error) is not dict:
        raise ProtocolViolation("an error that is no object")
    _keys(error, {"type", "message", "line", "source_line", "hint", "trace", "memory"})
    line, memory = error["line"], error["memory"]
    if type(memory) is not bool or not (line is None or (type(line) is int and line >= 0)):
        raise ProtocolViolation("an error with wrong fields")
    source = None if error["source_line"] is None else _string(error, "source_line", MAX_MESSAGE)
    shown = GuestError(
        type=_string(error, "type", 2 * MAX_NAME),
        message=_string(error, "message", MAX_MESSAGE),
        line=line,
        source_line=source,
        hint=_string(error, "hint", MAX_MESSAGE),
        trace=_string(error, "trace", 4 * MAX_MESSAGE),
    )
    return shown, memory


_READERS: dict[str, Callable[[dict[str, JSON]], Message]] = {
    "call": _called,
    "done": _done,
    "final": _finished,
    "needs": _needed,
    "ready": _ready,
    "file": _piece,
    "taken": _taken,
    "out": _output,
}


def _keys(message: dict[str, JSON], expected: set[str]) -> None:
    if message.keys() != expected:
        raise ProtocolViolation("a message with other fields than its own")


def _files(message: dict[str, JSON]) -> bool:
    """Whether the ended step left files; most leave none and do not speak of it."""
    if "files" not in message:
        return False
    files = _flag(message, "files")
    del message["files"]
    return files


def _flag(message: dict[str, JSON], key: str) -> bool:
    value: JSON = message[key]
    if type(value) is not bool:
        raise ProtocolViolation(f"{key} is not true or false")
    return value


def _string(message: dict[str, JSON], key: str, limit: int) -> str:
    value = message[key]
    if type(value) is not str or len(value) > limit:
        raise ProtocolViolation(f"{key} is not a text of at most {limit} characters")
    return value


def _printed(message: dict[str, JSON]) -> str:
    text = message["out"]
    if type(text) is not str:
        raise ProtocolViolation("output that is not text")
    # Printing a NUL is no attack, and no database column takes one.
    return text.replace("\0", "␀")


def _integer(digits: str) -> int:
    if len(digits) > 17 or abs(int(digits)) > MAX_INTEGER:
        raise ProtocolViolation("an integer beyond 2**53 - 1")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if value - value != 0:
        raise ProtocolViolation("a number that is not finite")
    return value


def _constant(name: str) -> float:
    raise ProtocolViolation(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_float, parse_constant=_constant)


def _is_text(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _check_depth(value: JSON, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ProtocolViolation("a message that is nested too deeply")
    if type(value) is dict:
        value = value.values()
    elif type(value) is not list:
        return
    for item in value:
        _check_depth(item, depth + 1)


def _check_strings(value: JSON) -> None:
    """Refuse NUL in keys and values: no database column takes one. Depth is checked before."""
    if type(value) is str:
        if "\0" in value:
            raise ProtocolViolation("text with NUL")
    elif type(value) is dict:
        for key, item in value.items():
            _check_strings(key)
            _check_strings(item)
    elif type(value) is list:
        for item in value:
            _check_strings(item)
