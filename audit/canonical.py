"""Canonical bytes: the only thing that is ever hashed.

Two encodings live here. `encode` is a restricted RFC 8785 profile for leaves: ASCII
keys, no floats, integers within ±(2**53-1), no null, no U+0000, no lone surrogate.
Inside it, plain sorted JSON equals RFC 8785 byte for byte, so that a verifier needs the
standard library only and two encoders cannot disagree about number formats or about the
order of non-BMP keys. `digest` is full RFC 8785 over any JSON value, for code that binds
things outside the log (manifests, arguments, facts).

Pure: no Django, no clock, no I/O.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

import rfc8785

from audit.errors import CanonicalError

JSON: TypeAlias = Any
"""A JSON value: None, bool, int, float, str, list or dict with string keys."""

MAX_INTEGER = 2**53 - 1
MAX_DEPTH = 32

# U+0000 cannot be held by PostgreSQL's json, a lone surrogate by UTF-8.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_unstorable = _UNSTORABLE.search
_dumps = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
_as_json = json.JSONEncoder(ensure_ascii=False).encode
_many_digits = re.compile("[0-9]{16}").search


def encode(value: JSON) -> bytes:
    """Return the canonical bytes of `value` in the leaf profile.

    Raises:
        CanonicalError: The value lies outside the profile (the caller's fault).
    """
    if not _fits(value, 0):
        _check(value, "$", 0)
    return _dumps(value).encode()


def encode_clean(value: JSON) -> bytes:
    """Return `encode(clean(value))`; what is clean already, as nearly all is, costs less."""
    return _dumps(value).encode() if _fits(value, 0) else encode(clean(value))


def decode(data: bytes) -> JSON:
    """Parse canonical bytes strictly; the inverse of `encode`.

    Raises:
        CanonicalError: Not JSON, a duplicate key, or not the canonical form.
    """
    try:
        text = data.decode()
        value, end = _parse(text)
        # Equality with the one form also excludes keys that stand twice: they are kept once.
        same = end == len(text) and _dumps(value) == text
    except (ValueError, RecursionError) as error:
        raise CanonicalError(f"not JSON: {error}") from error
    if not same:
        raise CanonicalError("the bytes are not the canonical form of their value")
    if _suspect(text) and not _fits(value, 0):
        _check(value, "$", 0)
    return value


def _suspect(text: str) -> bool:
    """Tell whether canonical JSON could hold a value outside the profile."""
    return (
        not text.isascii()
        or "null" in text
        or "\\u" in text
        or '"":' in text
        or _many_digits(text) is not None
        or text.count("{") + text.count("[") > MAX_DEPTH
    )


def clean(value: JSON) -> JSON:
    """Return `value` with characters no leaf can hold replaced by U+FFFD.

    Hostile text (a NUL in a tool name that a model made up) must be recorded, not stop
    its recording. A value without such characters is returned as it is, not copied.
    """
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if _storable(value):
        return value
    if isinstance(value, Mapping):
        return {clean(key): clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    return value


def _storable(value: JSON) -> bool:
    """Tell quickly that a whole value needs no cleaning; False: look closely."""
    try:
        text = _as_json(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return "\\u0000" not in text and not _unstorable(text)


def timestamp(time: datetime) -> str:
    """Return an aware time as leaves write it: UTC, microseconds, "Z"."""
    return time.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


def sha256_hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def digest(value: JSON) -> str:
    """Return the SHA-256 (hex) over RFC 8785 of any JSON value.

    Raises:
        CanonicalError: NaN, an integer beyond ±(2**53-1), or not a JSON value.
    """
    if _fits(value, 0):
        # In the profile sorted JSON is RFC 8785, and the library takes three times as long.
        return sha256_hex(_dumps(value).encode())
    try:
        return sha256_hex(rfc8785.dumps(value))
    except (rfc8785.CanonicalizationError, UnicodeError, RecursionError) as error:
        raise CanonicalError(f"no canonical form: {error}") from error


def _fits(value: JSON, depth: int) -> bool:
    """Tell quickly whether a value of plain types lies in the profile; False: look closely.

    The same law as `_check`, without the words. It runs for every entry.
    """
    kind = type(value)
    if kind is str:
        return not _unstorable(value)
    if kind is dict:
        if depth >= MAX_DEPTH:
            return False
        for key, item in value.items():
            if type(key) is not str or not key or not key.isascii() or "\x00" in key:
                return False
            if not _fits(item, depth + 1):
                return False
        return True
    if kind is int:
        return bool(-MAX_INTEGER <= value <= MAX_INTEGER)
    if kind is list or kind is tuple:
        return depth < MAX_DEPTH and all(_fits(item, depth + 1) for item in value)
    return kind is bool or (isinstance(value, str) and not _unstorable(value))


def _check(value: JSON, path: str, depth: int) -> None:
    """Refuse what lies outside the profile, naming the place."""
    if isinstance(value, str):
        if _UNSTORABLE.search(value):
            raise CanonicalError(f"{path}: U+0000 or a lone surrogate in text")
    elif isinstance(value, bool):
        pass
    elif isinstance(value, int):
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise CanonicalError(f"{path}: integer beyond ±(2**53-1)")
    elif isinstance(value, dict | list | tuple):
        if depth >= MAX_DEPTH:
            raise CanonicalError(f"{path}: nested deeper than {MAX_DEPTH}")
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(value, dict):
                _check_key(key, path)
            _check(item, f"{path}.{key}", depth + 1)
    else:
        raise CanonicalError(f"{path}: {type(value).__name__} is not in the profile")


def _check_key(key: object, path: str) -> None:
    if not isinstance(key, str) or not key or not key.isascii() or "\x00" in key:
        raise CanonicalError(f"{path}: the key {key!r} is not ASCII text")


def _no_float(text: str) -> JSON:
    raise CanonicalError(f"{text} is not an integer")


_parse = json.JSONDecoder(parse_float=_no_float, parse_constant=_no_float).raw_decode
