"""The form of a leaf (log-format.md §3, §4).

The verifier's quick reading, its long one, and the second verifier's agree on every leaf,
however it was bent.
"""

import json
import random
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from audit import drafts
from audit.canonical import encode
from audit.services import Actor, Draft, Subject
from audit.verifier import countersign_verify as first
from tests.audit import second_verifier as second

WORKSPACE = UUID("8c0a5f0e-7f0e-4c7b-9d3f-0a6f6f0f3c11")
COMMITMENT = {"commitment": "0" * 64, "key": str(uuid4()), "length": 3, "media": "text/plain"}
LURE = '"},"id":"00000000-0000-7000-8000-000000000000","payloads":{"x":{}},"run":"'
REFUSED = (first.Malformed, AttributeError, KeyError, TypeError)


def leaf(**changes: Any) -> bytes:
    """Return a leaf with everything a leaf can have, changed as asked."""
    now = datetime.now(UTC)
    draft = Draft(
        "call.intended",
        Actor("agent", "a1", changes.pop("name", "Zoë Šafář")),
        Subject("call", "c1", "v9"),
        run=UUID(int=5),
        on_behalf_of=Actor("user", "u1", 'of "quotes"' if changes.pop("quoted", 0) else "Uma"),
        detail={"step": 1, "deep": {"a": [True, "x", {"b": "ü"}]}, **changes.pop("detail", {})},
    )
    found = drafts.halves(WORKSPACE, draft, drafts.new_id(now), now, {"p": COMMITMENT}, "a" * 32)
    whole = found.before + drafts.link(UUID(int=5), 2, b"\x01" * 32) + found.after
    return encode({**json.loads(whole), **changes}) if changes else whole


LEAVES = [
    leaf(),
    leaf(name="plain"),
    leaf(quoted=True),
    leaf(detail={"lure": LURE}),
    leaf(detail={"long": "x" * 2 * first.PLAIN}),
    leaf(detail={"number": 2**53 - 1}),
]


def quick(line: bytes) -> object:
    try:
        return first.read_leaf(line, str(WORKSPACE))
    except REFUSED:
        return None


def long(line: bytes) -> object:
    try:
        found = first.canonical(line)
        return found, first.check_fields(found, str(WORKSPACE))
    except REFUSED:
        return None


def other(line: bytes) -> bool:
    if line.startswith(b'"'):
        return False  # it would be taken for the hash of an entry that is not shown
    try:
        second.check_leaf(0, line, str(WORKSPACE))
    except second.Broken:
        return False
    return True


def agree(line: bytes) -> object:
    found = long(line)
    assert quick(line) == found, line
    assert other(line) == (found is not None), line
    return found


@pytest.mark.parametrize("line", LEAVES)
def test_what_is_right_is_read(line: bytes) -> None:
    found = agree(line)
    assert found is not None
    assert found[0] == json.loads(line)  # type: ignore[index]


def test_the_plain_shape_is_what_most_leaves_have() -> None:
    plain = [first._PLAIN(line.decode()) is not None for line in LEAVES]
    assert plain == [True, True, False, True, True, True]


@pytest.mark.parametrize(
    "changes",
    [
        {"v": True},
        {"v": 2},
        {"extra": 1},
        {"detail": []},
        {"detail": {"": 1}},
        {"detail": {"a": {"": 1}}},
        {"detail": {"deep": json.loads("[" * 31 + "]" * 31)}},
        {"actor": {"id": "a", "name": "b"}},
        {"actor": {"id": "a", "name": "b", "type": "user", "role": "x"}},
        {"subject": {"id": 1, "type": "x"}},
        {"on_behalf_of": "alice"},
        {"workspace": str(uuid4())},
        {"run_seq": 1},
        {"run_seq": 0},
        {"run_seq": True},
        {"prev": "A" * 64},
        {"run": "x"},
        {"trace": "a" * 31},
        {"action": "Call.intended"},
        {"action": "call"},
        {"time": "2026-02-30T00:00:00.000000Z"},
        {"time": "2026-02-03T00:00:00Z"},
        {"time": "\uff12026-02-03T00:00:00.000000Z"},
        {"id": str(uuid4())},
        {"payloads": {"p": {**COMMITMENT, "extra": 1}}},
        {"payloads": {"p": {**COMMITMENT, "length": True}}},
        {"payloads": {"p": {**COMMITMENT, "length": -1}}},
        {"payloads": {"p": {**COMMITMENT, "key": "k"}}},
        {"payloads": {"p": {**COMMITMENT, "media": 1}}},
        {"payloads": {"p": {**COMMITMENT, "commitment": "0" * 63}}},
        {"payloads": {"p": 1}},
    ],
)
def test_what_is_wrong_is_refused(changes: dict[str, Any]) -> None:
    base = json.loads(leaf(name="plain"))
    assert agree(_encode({**base, **changes})) is None


@pytest.mark.parametrize("name", sorted(first._REQUIRED | {"run", "prev"}))
def test_what_is_missing_is_refused(name: str) -> None:
    body = json.loads(leaf(name="plain"))
    del body[name]
    assert agree(_encode(body)) is None


def test_bent_leaves_are_judged_alike() -> None:
    dice = random.Random(11)
    judged = [agree(_bent(dice.choice(LEAVES), dice)) is not None for _ in range(4000)]
    assert 20 < sum(judged) < 2000, "the bending is too strong or too weak to show anything"


def _bent(line: bytes, dice: random.Random) -> bytes:
    """Change a few bytes, or move, repeat or drop a piece."""
    data = bytearray(line)
    for _ in range(dice.randrange(1, 3)):
        at = dice.randrange(len(data))
        to = min(len(data), at + dice.randrange(1, 40))
        act = dice.randrange(6)
        if act == 0:
            data[at] = dice.randrange(256)
        elif act == 1:
            data[at] = dice.choice(b'abc019 "\\,:{}[]')
        elif act == 2:
            data[at:at] = data[at:to]
        elif act == 3:
            del data[at:to]
        elif act == 4:
            data[at:at] = dice.choice([b"null", b"1.0", b"-0", b"\\u0041", b" ", b'"":1,', b"\xff"])
        else:
            data[at] = data[at] ^ 1
    return bytes(data)


def _encode(value: object) -> bytes:
    """As canonical as such a value can be; `encode` would refuse some."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
