"""The two encodings: what they accept, and that RFC 8785's own library agrees."""

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from audit import canonical
from audit.errors import CanonicalError

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
KEYS = st.text(st.characters(min_codepoint=1, max_codepoint=127), min_size=1)
INTEGERS = st.integers(-canonical.MAX_INTEGER, canonical.MAX_INTEGER)
VALUES = st.recursive(
    TEXT | INTEGERS | st.booleans(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(KEYS, VALUES, max_size=6))
def test_the_profile_is_rfc_8785_byte_for_byte(value: dict[str, Any]) -> None:
    assert canonical.encode(value) == rfc8785.dumps(value)
    assert canonical.digest(value) == canonical.sha256_hex(rfc8785.dumps(value))
    assert canonical.decode(canonical.encode(value)) == value


@pytest.mark.parametrize(
    "value",
    [
        {"a": 1.0},
        {"a": None},
        {"a": float("nan")},
        {"ä": 1},
        {"": 1},
        {1: 1},
        {"a": 2**53},
        {"a": "\0"},
        {"a": "\ud800"},
        {"a": {1, 2}},
        {"a": b"bytes"},
    ],
)
def test_outside_the_profile(value: Any) -> None:
    with pytest.raises(CanonicalError):
        canonical.encode(value)


def test_too_deep() -> None:
    value: Any = 1
    for _ in range(40):
        value = [value]
    with pytest.raises(CanonicalError):
        canonical.encode(value)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":1}',
        b'{"b":1,"a":1}',
        b'{"a": 1}',
        b'{"a":1.0}',
        b'{"a":1e2}',
        b'{"a":-0}',
        b'{"a":"\\u0041"}',
        b'{"a":NaN}',
        b'{"a":null}',
        b'{"":1}',
        b'{"a":{"":1}}',
        '{"\u00e4":1}'.encode(),
        b'{"a":9007199254740992}',
        b'{"a":-9007199254740992}',
        b'{"a":"\\u0000"}',
        b'{"a":"\\ud800"}',
        b'{"a":' + b"[" * 32 + b"]" * 32 + b"}",
        b'{"a":1}\n',
        b' {"a":1}',
        b"\xff",
        b"",
        b"[" * 100_000,
    ],
)
def test_only_the_canonical_spelling_decodes(data: bytes) -> None:
    with pytest.raises(CanonicalError):
        canonical.decode(data)


def test_hostile_text_is_cleaned_not_refused() -> None:
    cleaned = canonical.clean({"a": ["x\0y", "\ud800"], "b": {"c": 1}})
    assert json.loads(canonical.encode(cleaned)) == {"a": ["x\ufffdy", "\ufffd"], "b": {"c": 1}}
    assert canonical.clean({"a\0b": [{"\udfff": ("\0",)}]}) == {
        "a\ufffdb": [{"\ufffd": ["\ufffd"]}]
    }


def test_what_needs_no_cleaning_is_not_copied() -> None:
    value = {"a": ["\\u0000", "ü"], "n": float("nan")}
    assert canonical.clean(value) == value
    plain = {"a": ["ü", 1, None, True]}
    assert canonical.clean(plain) is plain


def test_digest_covers_floats_and_refuses_what_has_no_form() -> None:
    assert canonical.digest({"a": 1.0}) == canonical.digest({"a": 1})
    for value in (float("nan"), 2**60, "\ud800", {1: 2}, object()):
        with pytest.raises(CanonicalError):
            canonical.digest(value)
