"""A guest that sends anything at all, through the host's own session: frame after frame of a step.

Between honest frames stand mutated ones. Whatever comes: the step ends by itself, with a result;
the handler (the broker's place) hears of the calls that were well made, in their order, before the
first frame that no honest guest sends, and of nothing else; and the host keeps nothing.
"""

import random
import resource
import socket
import struct
import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from agents.sandbox import protocol
from agents.sandbox.contract import (
    GuestCall,
    JailLimits,
    Reply,
    StepRequest,
    StepStatus,
    Stub,
    Value,
)
from agents.sandbox.errors import ProtocolViolation
from agents.sandbox.protocol import Called, Output, decode
from agents.sandbox.session import Jail, _Process
from tests.agents.sandbox.test_protocol import body, mutated
from tests.benchmarks.result import Result

LIMITS = JailLimits(wall_s=20, output_bytes=4_096, frame_bytes=1 << 18)
REQUEST = StepRequest(index=1, code="", time_us=0, seed="s", stubs=(Stub("pay"), Stub("read")))
FRAMES = 25
MOST_KIB = 24 << 10


class Heard:
    """The handler: notes the calls, answers each."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, str, Any]] = []

    def call(self, guest: GuestCall) -> Reply:
        self.calls.append((guest.seq, guest.tool, guest.arguments))
        return Value(len(self.calls))

    def needs_value(self, token: str, what: str) -> None:
        """Ends the step; nothing to note."""


class Talk(Jail):
    """The host's side of a jail, on a socket instead of a process."""

    def __init__(self, end: socket.socket) -> None:
        self.runtime, self.limits, self._killed = None, LIMITS, ""  # type: ignore[assignment]
        self._ended = threading.Lock()
        self._guest = _Process()
        gone = {"poll": lambda: None, "wait": lambda seconds=0: 0, "kill": lambda: None, "pid": 0}
        self._nsjail = SimpleNamespace(**gone)  # type: ignore[assignment]
        none = {"remove": lambda: None, "ran_out": lambda: False}
        self._group = SimpleNamespace(**none)  # type: ignore[assignment]
        self._channel = protocol.Channel(end, LIMITS.frame_bytes)

    def close(self) -> None:
        if self._ended.acquire(blocking=False):
            self._channel.close()

    def _read_log(self) -> str:
        return ""


@dataclass
class Stream:
    """What a guest sends in one step, and which calls of it are well made."""

    raw: bytearray = field(default_factory=bytearray)
    expected: list[tuple[int, str, Any]] = field(default_factory=list)
    frames: int = 0
    over: bool = False

    def add(self, frame: bytes, *, cut: bool = False) -> None:
        self.raw += struct.pack(">I", len(frame)) + frame[: len(frame) // 2 if cut else len(frame)]
        self.frames += 1
        self.over = self.over or cut
        if self.over:
            return
        try:
            message = decode(frame)
        except ProtocolViolation:
            self.over = True
            return
        if isinstance(message, Called) and self._well_made(message):
            self.expected.append((message.number, message.tool, message.arguments))
        else:
            self.over = not isinstance(message, Output)

    def _well_made(self, message: Called) -> bool:
        return message.number == len(self.expected) and message.tool in ("pay", "read")


def stream(chance: random.Random) -> Stream:
    made = Stream()
    for _ in range(FRAMES):
        number = len(made.expected)
        tool, out = chance.choice(["pay", "pay", "read"]), chance.choice(["", "x", "y" * 90])
        honest = {"call": number, "tool": tool, "arguments": {"n": number}, "at": [1], "out": out}
        match chance.randrange(30):
            case 0:
                made.add(mutated(chance))
            case 1:
                raw = bytearray(body(honest))
                raw[chance.randrange(len(raw))] = chance.randrange(256)
                made.add(bytes(raw))
            case 2:
                made.add(body({"out": out}))
            case 3:
                made.add(body(honest), cut=chance.random() < 0.05)
            case 4:
                lies: list[dict[str, object]] = [
                    {"call": number + 1},
                    {"call": 0},
                    {"tool": "drop_table"},
                ]
                wrong = chance.choice(lies)
                made.add(body({**honest, **wrong}))
            case _:
                made.add(body(honest))
    return made


def speak(end: socket.socket, raw: bytes) -> None:
    """Wait for the program, say everything, and listen to the end."""
    try:
        end.recv(65_536)
        end.sendall(raw)
        end.shutdown(socket.SHUT_WR)
        while end.recv(65_536):
            pass
    except OSError:
        pass
    finally:
        end.close()


def fuzz(frames: int, seed: int) -> tuple[int, int]:
    """Play steps until so many frames were sent; frames and well-made calls."""
    chance = random.Random(seed)
    sent = calls = 0
    while sent < frames:
        said, heard = stream(chance), Heard()
        host, guest = socket.socketpair()
        speaker = threading.Thread(target=speak, args=(guest, bytes(said.raw)))
        speaker.start()
        jail = Talk(host)
        result = jail.step(REQUEST, heard)
        jail.close()
        speaker.join(timeout=10)
        assert not speaker.is_alive()
        assert isinstance(result.status, StepStatus)
        assert heard.calls == said.expected
        sent, calls = sent + said.frames, calls + len(said.expected)
    return sent, calls


def test_whatever_a_guest_sends_only_well_made_calls_are_heard() -> None:
    _, calls = fuzz(2_500, seed=7)
    assert calls > 200


@pytest.mark.soak
def test_a_million_frames_through_the_session(measured: list[Result]) -> None:
    fuzz(20_000, seed=0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sent = calls = 0
    for seed in range(1, 51):
        some, heard = fuzz(20_000, seed)
        sent, calls = sent + some, calls + heard
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < MOST_KIB
    measured += [
        Result("soak: hostile frames sent to a session", sent, "frames", None, "higher"),
        Result("soak: well-made calls among them, all heard once", calls, "calls", None, "higher"),
        Result("soak: memory that hostile frames cost", grown, "KiB", MOST_KIB, "lower"),
    ]
