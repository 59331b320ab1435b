"""The host's end of the channel against a guest that sends whatever it likes."""

import contextlib
import json
import random
import socket
import struct
import threading
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.sandbox import protocol
from agents.sandbox.errors import ChannelClosed, FrameTooLarge, ProtocolViolation
from agents.sandbox.protocol import Called, Channel, Done, Finished, Needed, Output, Ready, decode

ERROR = {
    "type": "ValueError", "message": "x", "line": 3, "source_line": None, "hint": "", "trace": "",
    "memory": False,
}  # fmt: skip
HONEST: list[dict[str, Any]] = [
    {"ready": 1},
    {"out": "text"},
    {"call": 0, "tool": "pay", "arguments": {"to": [1, {"a": None}]}, "at": [3, 1], "out": ""},
    {"needs": "token", "what": "truth", "out": ""},
    {"final": {"answer": 1.5}, "out": "x"},
    {"done": {"value": [1]}, "out": ""},
    {"done": {"error": ERROR}, "out": ""},
]


def body(message: object) -> bytes:
    return json.dumps(message).encode()


def test_every_honest_message_is_understood() -> None:
    kinds = [type(decode(body(message))) for message in HONEST]
    assert kinds == [Ready, Output, Called, Needed, Finished, Done, Done]


@pytest.mark.parametrize("message", HONEST)
def test_a_missing_or_extra_field_is_refused(message: dict[str, Any]) -> None:
    with pytest.raises(ProtocolViolation):
        decode(body({**message, "extra": 1}))
    for key in message:
        if len(message) > 1:
            rest = {name: value for name, value in message.items() if name != key}
            if rest.keys() != {"out"}:
                with pytest.raises(ProtocolViolation):
                    decode(body(rest))


@pytest.mark.parametrize("message", HONEST[1:])
@pytest.mark.parametrize("wrong", [None, 1, "x", [], {}, True, -1, 1.5, "x" * 20_000])
def test_a_field_of_another_type_is_refused_or_is_a_value(
    message: dict[str, Any], wrong: Any
) -> None:
    for key in message:
        try:
            decode(body({**message, key: wrong}))
        except ProtocolViolation:
            continue


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"null", b"[]", b"1", b"{}", b'{"out":1}', b"\xff\xfe", b'{"out":"\xff"}',
        b"{" * 100_000,
        b'{"final":' + b"[" * 50_000 + b"]" * 50_000 + b',"out":""}',
        b'{"final":' + b"[" * 70 + b"]" * 70 + b',"out":""}',
        b'{"final":NaN,"out":""}', b'{"final":Infinity,"out":""}', b'{"final":1e999,"out":""}',
        b'{"final":9007199254740992,"out":""}', b'{"final":' + b"9" * 10_000 + b',"out":""}',
        b'{"final":"\\ud800","out":""}', b'{"out":"\\udfff"}', b'{"final":"a\\u0000","out":""}',
        b'{"final":{"\\u0000":1},"out":""}',
        b'{"call":-1,"tool":"t","arguments":{},"at":[],"out":""}',
        b'{"call":true,"tool":"t","arguments":{},"at":[],"out":""}', b'{"done":{},"out":""}',
        b'{"call":0,"tool":"t","arguments":[],"at":[],"out":""}',
        b'{"call":0,"tool":"t","arguments":{},"out":""}',
        b'{"call":0,"tool":"t","arguments":{},"at":3,"out":""}',
        b'{"call":0,"tool":"t","arguments":{},"at":[true],"out":""}',
        b'{"call":0,"tool":"t","arguments":{},"at":[-1],"out":""}',
        b'{"call":0,"tool":"t","arguments":{},"at":[1e9],"out":""}',
        b'{"call":0,"tool":"t","arguments":{},"at":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],"out":""}',
        b'{"done":{"value":1,"error":null},"out":""}',
    ],
)  # fmt: skip
def test_bytes_that_no_honest_guest_sends_are_violations(raw: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        decode(raw)


def test_printing_nul_is_no_violation() -> None:
    message = decode(b'{"out":"a\\u0000b"}')
    assert message == Output("a␀b")


def mutated(chance: random.Random) -> bytes:
    raw = bytearray(body(chance.choice(HONEST)))
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(raw) + 1)
        match chance.randrange(5):
            case 0 if raw:
                raw[at % len(raw)] = chance.randrange(256)
            case 1:
                raw[at:at] = bytes(chance.choices(b'{}[]",:\\u0123456789eE-+.ndtrue', k=3))
            case 2:
                del raw[at : at + chance.randint(1, 5)]
            case 3:
                raw[at:at] = chance.choice(
                    [b"\\u0000", b"\\ud800", b"NaN", b"1e999", b"[" * 80, b"null"]
                )
            case _:
                raw = raw[:at]
    return bytes(raw)


def fuzz(frames: int, seed: int) -> int:
    """Decode mutated frames; anything but a message or a violation is a failure."""
    chance = random.Random(seed)
    understood = 0
    for _ in range(frames):
        try:
            decode(mutated(chance))
            understood += 1
        except ProtocolViolation:
            pass
    return understood


def test_mutated_frames_are_messages_or_violations() -> None:
    assert 0 < fuzz(5_000, seed=1) < 5_000


@pytest.mark.soak
def test_a_million_mutated_frames_do_no_harm() -> None:
    import resource

    fuzz(10_000, seed=0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for seed in range(100):
        fuzz(10_000, seed)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 << 10  # KiB


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_violation(raw: bytes) -> None:
    with contextlib.suppress(ProtocolViolation):
        decode(raw)


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(json_values)
def test_json_values_arrive_as_they_are(value: Any) -> None:
    message = decode(json.dumps({"final": value, "out": ""}).encode())
    assert message == Finished(value, "")


# --- the channel ----------------------------------------------------------------------------


def pair(frame_bytes: int = 1000) -> tuple[Channel, socket.socket]:
    host, guest = socket.socketpair()
    return Channel(host, frame_bytes), guest


def test_frames_arrive_in_pieces() -> None:
    channel, guest = pair()
    raw = b"".join(struct.pack(">I", len(one)) + one for one in map(body, HONEST))

    def trickle() -> None:
        for byte in raw:
            guest.send(bytes([byte]))

    thread = threading.Thread(target=trickle)
    thread.start()
    kinds = [type(channel.receive(monotonic() + 10)) for _ in HONEST]
    thread.join()
    assert kinds == [Ready, Output, Called, Needed, Finished, Done, Done]
    channel.close()
    guest.close()


def test_a_length_above_the_limit_is_refused_before_it_is_read() -> None:
    channel, guest = pair()
    guest.send(struct.pack(">I", 2**32 - 1))
    with pytest.raises(FrameTooLarge):
        channel.receive(monotonic() + 1)
    channel.close()
    guest.close()


def test_half_a_frame_is_a_timeout_and_not_lost() -> None:
    channel, guest = pair()
    raw = struct.pack(">I", 11) + b'{"out":"x"}'
    guest.send(raw[:7])
    with pytest.raises(TimeoutError):
        channel.receive(monotonic() + 0.01)
    guest.send(raw[7:])
    assert channel.receive(monotonic() + 1) == Output("x")
    channel.close()
    guest.close()


def test_a_guest_that_does_not_read_is_a_timeout() -> None:
    channel, guest = pair()
    with pytest.raises(TimeoutError):
        channel.send({"code": "x" * 10_000_000}, monotonic() + 0.05)
    channel.close()
    guest.close()


def test_a_guest_that_is_gone_is_noticed() -> None:
    channel, guest = pair()
    guest.close()
    with pytest.raises(ChannelClosed):
        channel.receive(monotonic() + 1)
    with pytest.raises(ChannelClosed):
        channel.send({"a": 1}, monotonic() + 1)
    channel.close()


def test_the_bounds_of_guest_and_host_agree() -> None:
    text = Path(protocol.__file__).with_name("guest.py").read_text()
    assert "MAX_INTEGER = 2**53 - 1" in text
    assert f"MAX_DEPTH = {protocol.MAX_DEPTH - 4}" in text
