"""A second verifier of audit bundles, written from `deploy/docs/log-format.md` alone.

Whoever wrote it had seen neither `countersign_verify.py` nor any other code of the log, so that
each disagreement of the two shows a fault in one of them or in the specification.

Its style is another on purpose: every check of §7 is a function that reads the bundle again from
the start and raises `Broken` at the first thing it finds; the table `CHECKS` runs them in the
order of their numbers, so a check may rely on all that stand before it. Slow, and easy to compare
with the text. Memory holds identifiers and the state of runs and requests, never the entries.

Section marks (§) are those of the specification. Times are microseconds since 1970 (UTC).
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import hmac
import json
import re
import stat
import struct
import sys
import time as clock
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

Leaf = Mapping[str, Any]
Edge = list[bytes]

REQUIRED = {"manifest.json", "checkpoint", "proofs.json"} | {
    f"{name}.jsonl" for name in ("checkpoints", "entries", "payloads", "related")
}
FOR_PEOPLE = {"keys.json", "README.txt", "report.html", "entries.csv", "countersign_verify.py"}
SECOND = 1_000_000
LONGEST = 65_535
ACCOUNTS = {"subject.erased", "payloads.expired", "key.rotated"}
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPES = ("https://in-toto.io/Statement/v1", "https://countersign.dev/bundle/v1")
UNREADABLE = (OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


class Broken(Exception):
    """A check does not hold; `position` is that of the entry at fault, where there is one."""

    def __init__(self, sentence: str, position: int | None = None) -> None:
        super().__init__(sentence)
        self.position = position


class CannotRead(Exception):
    """Bundle or trust cannot be read at all: exit status 3."""


def need(holds: object, sentence: str, position: int | None = None) -> None:
    if not holds:
        raise Broken(sentence, position)


# --- §3: JSON -------------------------------------------------------------------------------


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no integer")


def read_json(data: bytes) -> Any:
    """The value of strict JSON text: UTF-8, no key twice, integers only."""
    try:
        return json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_no_twins,
            parse_float=_no_number,
            parse_constant=_no_number,
        )
    except (ValueError, RecursionError) as error:
        raise Broken(f"is not JSON as specified: {error}") from None


def read_object(data: bytes, what: str) -> dict[str, Any]:
    try:
        value = read_json(data)
    except Broken as error:
        raise Broken(f"{what} {error}") from None
    need(isinstance(value, dict), f"{what} is not one JSON object")
    return dict(value)


def in_profile(value: object, depth: int = 0) -> bool:
    """§3, points 2 to 5, for a parsed value below `depth` objects and arrays."""
    if isinstance(value, str):
        return "\0" not in value and not re.search("[\ud800-\udfff]", value)
    if isinstance(value, bool):
        return True
    if isinstance(value, int):
        return abs(value) < 2**53
    if isinstance(value, list):
        return depth < 32 and all(in_profile(one, depth + 1) for one in value)
    if isinstance(value, dict):
        keys = all(key and key.isascii() and "\0" not in key for key in value)
        return keys and depth < 32 and all(in_profile(v, depth + 1) for v in value.values())
    return False


def canonical_leaf(line: bytes) -> dict[str, Any]:
    """The object that a canonical leaf stands for (§3)."""
    need(len(line) <= LONGEST, "is longer than 65,535 bytes")
    value = read_json(line)
    need(isinstance(value, dict) and in_profile(value), "is not in the profile")
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    need(text.encode() == line, "is not in canonical form")
    return dict(value)


@lru_cache(1024)  # every check reads the bundle again
def lenient_leaf(line: bytes) -> Leaf:
    """What can be read of a leaf before check 18 has seen it; empty if nothing can."""
    try:
        value = read_json(line)
    except Broken:
        return {}
    return value if isinstance(value, dict) else {}


# --- Types of fields ------------------------------------------------------------------------


def is_text(value: object) -> bool:
    return isinstance(value, str)


def is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def matches(pattern: str) -> Callable[[object], bool]:
    compiled = re.compile(pattern)
    return lambda value: isinstance(value, str) and compiled.fullmatch(value) is not None


is_hash = matches("[0-9a-f]{64}")
is_uuid = matches("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
is_time = matches("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{6}Z")


def is_hashes(value: object) -> bool:
    return isinstance(value, list) and all(is_hash(one) for one in value)


def unbase64(value: object) -> bytes:
    """Bytes of the one canonical spelling of base64."""
    try:
        data = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except (binascii.Error, ValueError):
        raise Broken("holds what is not base64") from None
    need(isinstance(value, str) and base64.b64encode(data).decode() == value, "is not base64")
    return data


def microseconds(moment: datetime) -> int:
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds


def time_of(value: object) -> int | None:
    """Microseconds of a `time` as in §4, or None if it is none."""
    if not (isinstance(value, str) and is_time(value)):
        return None
    try:
        return microseconds(datetime.fromisoformat(value))
    except ValueError:
        return None


# --- §5.1: trees ----------------------------------------------------------------------------


def leaf_hash(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\0" + leaf).digest()


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def unhex(proof: Sequence[str]) -> list[bytes]:
    return [bytes.fromhex(one) for one in proof]


def appended(edge: Edge, size: int, leaf: bytes) -> Edge:
    """The left edge of `size + 1` leaves."""
    edge = [*edge, leaf]
    for _ in range(((size + 1) & -(size + 1)).bit_length() - 1):
        edge = [*edge[:-2], node(edge[-2], edge[-1])]
    return edge


def root_of(edge: Edge) -> bytes:
    if not edge:
        return hashlib.sha256(b"").digest()
    root = edge[-1]
    for left in reversed(edge[:-1]):
        root = node(left, root)
    return root


def inclusion_root(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root that an inclusion proof leads to (RFC 9162 §2.1.3.2), or None if it is none."""
    if index >= size:
        return None
    fn, sn, root = index, size - 1, leaf
    for sibling in path:
        if sn == 0:
            return None
        if fn & 1 or fn == sn:
            root = node(sibling, root)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            root = node(root, sibling)
        fn, sn = fn >> 1, sn >> 1
    return root if sn == 0 else None


def consistent(old: int, old_root: bytes, new: int, new_root: bytes, path: list[bytes]) -> bool:
    """Whether a consistency proof holds (RFC 9162 §2.1.4.2); the empty tree is consistent."""
    if old in (0, new):
        return not path and old_root == (new_root if old else root_of([]))
    if old > new or not path:
        return False
    steps = [old_root, *path] if old & (old - 1) == 0 else path
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = steps[0]
    for step in steps[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node(step, fr), node(step, sr)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node(sr, step)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and (fr, sr) == (old_root, new_root)


# --- §5.2: checkpoints ----------------------------------------------------------------------


@dataclass(frozen=True)
class Key:
    name: str
    id: bytes
    type: int
    public: ed25519.Ed25519PublicKey

    def signed(self, signature: bytes, message: bytes) -> bool:
        try:
            self.public.verify(signature, message)
        except InvalidSignature:
            return False
        return True


def read_key(text: str, kind: int) -> Key:
    """A verifier key; `kind` 1 is a log's, 4 a witness's."""
    try:
        name, key_id, encoded = text.strip().split("+", 2)
        raw = unbase64(encoded)
        need(len(raw) == 33 and raw[0] == kind, "is a key of another type")
        expected = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
        need(name and key_id == expected.hex(), "has another key id")
        return Key(name, expected, kind, ed25519.Ed25519PublicKey.from_public_bytes(raw[1:]))
    except (ValueError, Broken) as error:
        raise CannotRead(f"the key {text!r} cannot be used: {error}") from None


@dataclass(frozen=True)
class Note:
    origin: str
    size: int
    root: bytes
    text: bytes
    lines: tuple[tuple[str, bytes], ...]

    def by(self, key: Key) -> Iterator[bytes]:
        """Signatures (without key id) of lines with this key's name and id."""
        return (raw[4:] for name, raw in self.lines if (name, raw[:4]) == (key.name, key.id))

    def signed_by(self, key: Key) -> bool:
        return key.name == self.origin and any(key.signed(one, self.text) for one in self.by(key))

    def cosigned(self, key: Key) -> int | None:
        """The time of this witness's first cosignature that verifies."""
        for raw in self.by(key):
            if len(raw) == 72:
                seconds = int(struct.unpack(">Q", raw[:8])[0])
                message = f"cosignature/v1\ntime {seconds}\n".encode() + self.text
                if key.signed(raw[8:], message):
                    return seconds * SECOND
        return None


def read_note(data: bytes) -> Note:
    try:
        body, empty, tail = data.decode("utf-8").partition("\n\n")
    except UnicodeDecodeError:
        raise Broken("the checkpoint is not UTF-8") from None
    rows = body.split("\n")
    need(empty and len(rows) == 3 and tail.endswith("\n"), "the checkpoint has another form")
    origin, size, root = rows
    need(origin and origin.isprintable(), "the checkpoint's origin is no line of text")
    need(re.fullmatch("0|[1-9][0-9]{0,15}", size), "the checkpoint's size is no number")
    need(len(unbase64(root)) == 32, "the checkpoint's root has another length")
    lines = []
    for line in tail[:-1].split("\n"):
        found = re.fullmatch(r"— ([^\s+]+) ([A-Za-z0-9+/]+=*)", line)
        need(found, "a signature line of the checkpoint has another form")
        raw = unbase64(found[2] if found else "")
        need(len(raw) > 4, "a signature of the checkpoint is empty")
        lines.append((found[1] if found else "", raw))
    return Note(origin, int(size), unbase64(root), f"{body}\n".encode(), tuple(lines))


# --- §5.3: time stamps ----------------------------------------------------------------------

SIGNED_DATA, TST_INFO = "2a864886f70d010702", "2a864886f70d0109100104"
CONTENT_TYPE, MESSAGE_DIGEST = "2a864886f70d010903", "2a864886f70d010904"
SHA256 = "608648016503040201"
TIME_STAMPING = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.8")
DIGESTS: dict[str, type[hashes.SHA256 | hashes.SHA384 | hashes.SHA512]] = {
    SHA256: hashes.SHA256,
    "608648016503040202": hashes.SHA384,
    "608648016503040203": hashes.SHA512,
    "2a864886f70d01010b": hashes.SHA256,  # sha256WithRSAEncryption, and so on
    "2a864886f70d01010c": hashes.SHA384,
    "2a864886f70d01010d": hashes.SHA512,
    "2a8648ce3d040302": hashes.SHA256,  # ecdsa-with-SHA256, and so on
    "2a8648ce3d040303": hashes.SHA384,
    "2a8648ce3d040304": hashes.SHA512,
}


@dataclass(frozen=True)
class Der:
    tag: int
    content: bytes
    whole: bytes

    def parts(self, *tags: int) -> list[Der]:
        """The elements inside; the first ones must have these tags."""
        found, rest = [], self.content
        while rest:
            one = read_der(rest)
            found.append(one)
            rest = rest[len(one.whole) :]
        need(
            [one.tag for one in found[: len(tags)]] == list(tags), "the time stamp has no such part"
        )
        return found


def read_der(data: bytes) -> Der:
    need(len(data) > 1 and data[0] & 31 != 31, "the time stamp is not DER")
    count = data[1] & 127 if data[1] & 128 else 0
    need(data[1] != 128 and count < 5, "the time stamp is not DER")
    start = 2 + count
    length = int.from_bytes(data[2:start], "big") if count else data[1]
    need(len(data) >= start + length, "the time stamp is cut off")
    return Der(data[0], data[start : start + length], data[: start + length])


def _signed_attributes(attributes: Der) -> tuple[str, bytes]:
    """`contentType` (hex of the OID) and `messageDigest`, each exactly once."""
    found: dict[str, Der] = {}
    for attribute in attributes.parts():
        name, values = attribute.parts(0x06, 0x31)[:2]
        need(name.content.hex() not in found, "an attribute of the time stamp stands twice")
        found[name.content.hex()] = values
    need({CONTENT_TYPE, MESSAGE_DIGEST} <= set(found), "the time stamp lacks an attribute")
    (kind,) = found[CONTENT_TYPE].parts(0x06)[:1]
    (digest,) = found[MESSAGE_DIGEST].parts(0x04)[:1]
    return kind.content.hex(), digest.content


def _gen_time(text: bytes) -> int:
    found = re.fullmatch(rb"([0-9]{14})(?:[.]([0-9]{1,6}))?Z", text)
    need(found, "the time stamp has no time")
    whole, part = found.groups() if found else (b"", b"")
    try:
        moment = datetime.strptime(whole.decode(), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        raise Broken("the time stamp has no time") from None
    return microseconds(moment) + int((part or b"0").ljust(6, b"0"))


def _signers(token: Sequence[Der], trusted: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """Given certificates, and those in the token that a given one issued directly."""
    found = list(trusted)
    for one in (cert for part in token if part.tag == 0xA0 for cert in part.parts()):
        try:
            inside = x509.load_der_x509_certificate(one.whole)
        except ValueError:
            continue
        for issuer in trusted:
            try:
                inside.verify_directly_issued_by(issuer)
            except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
                continue
            found.append(inside)
    return found


def _stamps(cert: x509.Certificate, at: int) -> bool:
    """Whether the certificate may sign time stamps, and was valid then."""
    try:
        usage = cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    valid = microseconds(cert.not_valid_before_utc) <= at <= microseconds(cert.not_valid_after_utc)
    return valid and TIME_STAMPING in usage


def _signature_holds(cert: x509.Certificate, algorithm: hashes.HashAlgorithm, *pair: bytes) -> bool:
    key, (signature, message) = cert.public_key(), pair
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, message, padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, message, ec.ECDSA(algorithm))
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, message)
        else:
            return False
    except InvalidSignature:
        return False
    return True


def stamped(response: bytes, text: bytes, trusted: Sequence[x509.Certificate]) -> int:
    """The time that an RFC 3161 response over `text` states, after all that §5.3 asks."""
    outer = read_der(response)
    need(outer.whole == response, "something follows the time stamp")
    status, info = (*outer.parts(0x30, 0x30), Der(0, b"", b""))[:2]
    need(status.parts(0x02)[0].content in (b"\0", b"\1"), "the time stamp was not granted")
    kind, holder = info.parts(0x06, 0xA0)[:2]
    need(kind.content.hex() == SIGNED_DATA, "the time stamp is no signed data")
    _, _, content, *others = holder.parts(0x30)[0].parts(0x02, 0x31, 0x30)
    kind, holder = content.parts(0x06, 0xA0)[:2]
    need(kind.content.hex() == TST_INFO, "the time stamp holds something else")
    token = holder.parts(0x04)[0].content
    _, _, imprint, _, stated = read_der(token).parts(0x02, 0x06, 0x30, 0x02, 0x18)[:5]
    method, digest = imprint.parts(0x30, 0x04)[:2]
    need(method.parts(0x06)[0].content.hex() == SHA256, "the imprint is not SHA-256")
    need(digest.content == hashlib.sha256(text).digest(), "the time stamp is over something else")
    need(others and others[-1].tag == 0x31, "nobody signed the time stamp")
    infos = others[-1].parts(0x30)
    need(len(infos) == 1, "the time stamp has not one signer")
    signer = infos[0].parts(0x02)
    need([p.tag for p in signer[2:6]] == [0x30, 0xA0, 0x30, 0x04], "the signer has another form")
    hashing, attributes, method, signature = signer[2:6]
    digested = DIGESTS.get(hashing.parts(0x06)[0].content.hex())
    need(digested, "the time stamp uses another digest")
    attested, claimed = _signed_attributes(attributes)
    actual = hashlib.new(digested.name, token).digest() if digested else b""
    need((attested, claimed) == (TST_INFO, actual), "the time stamp's signature is over another")
    message = b"\x31" + attributes.whole[1:]
    signing = DIGESTS.get(method.parts(0x06)[0].content.hex(), digested) or hashes.SHA256
    at = _gen_time(stated.content)
    certs = [cert for cert in _signers(others[:-1], trusted) if _stamps(cert, at)]
    holds = any(_signature_holds(cert, signing(), signature.content, message) for cert in certs)
    need(holds, "nobody the verifier trusts signed the time stamp")
    return at


# --- §6: the bundle -------------------------------------------------------------------------


@dataclass(frozen=True)
class Trust:
    """What the verifier brings (§7); nothing in a bundle adds to it. `skew`, `age`: seconds."""

    keys: Sequence[Key]
    witnesses: Mapping[str, Key] = field(default_factory=dict)
    groups: Mapping[str, tuple[int, Sequence[str]]] = field(default_factory=dict)
    quorum: str = "none"
    authorities: Sequence[x509.Certificate] = ()
    kept: Sequence[Note] = ()
    age: int | None = None
    skew: int = 300
    open_run: bool = False
    now: int = field(default_factory=lambda: clock.time_ns() // 1000)


@dataclass(frozen=True)
class Earlier:
    note: Note
    stamps: tuple[bytes, ...]


@dataclass(frozen=True)
class Related:
    position: int
    line: bytes
    path: tuple[str, ...]


def plainly_packed(data: bytes, infos: Sequence[zipfile.ZipInfo]) -> bool:
    """Whether a ZIP file is its members, one after another, its directory, and no more (§6)."""
    rest = data
    for one in sorted(infos, key=lambda info: info.header_offset):
        if len(data) - len(rest) != one.header_offset or rest[:4] != b"PK\x03\x04":
            return False
        flags, method, _, crc, packed, plain, name, more = struct.unpack("<2HI3I2H", rest[6:30])
        extra = rest[30 + name : 30 + name + more]
        if 0xFFFFFFFF in (packed, plain):
            plain, packed = struct.unpack("<QQ", extra[4:20])
        told = (flags, method, crc, packed, plain, rest[30 : 30 + name])
        known = (one.flag_bits, one.compress_type, one.CRC, one.compress_size, one.file_size)
        same_name = told[5] == one.orig_filename.encode()
        plainly = told[:5] == known and same_name and not flags & 8 and not one.comment
        if not plainly or not {*extra_fields(extra), *extra_fields(one.extra)} <= HARMLESS:
            return False
        rest = rest[30 + name + more + packed :]
    directory = sum(46 + len(one.orig_filename) + len(one.extra) for one in infos)
    facts = (len(infos), len(infos), directory, len(data) - len(rest))
    return rest[:4] == b"PK\x01\x02" and rightly_ended(rest[directory:], facts)


def rightly_ended(end: bytes, facts: tuple[int, ...]) -> bool:
    """Whether an end of the directory tells its members, bytes and place, and of no other disk."""
    short = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, *facts, 0) if facts[3] < 1 << 32 else b""
    if len(end) <= 22 or end[:4] != b"PK\x06\x06":
        return end == short
    first = struct.pack("<IIQQQQ", 0, 0, *facts)
    where = struct.pack("<4sIQI", b"PK\x06\x07", 0, facts[2] + facts[3], 1)
    told = struct.unpack("<HHHHIIH", end[80:])
    widest = (0, 0, *facts, 0)
    narrow = all(a == b or a in (65535, (1 << 32) - 1) for a, b in zip(told, widest, strict=True))
    return end[12 + 4 : 56] == first and end[56:76] == where and narrow and told[-1] == 0


def extra_fields(extra: bytes) -> Iterator[int]:
    while len(extra) >= 4:
        number, length = struct.unpack("<HH", extra[:4])
        yield number
        extra = extra[4 + length :]


HARMLESS = {0x0001, 0x000A, 0x5455, 0x7875}
"""Numbers of extra fields with sizes, times and owners."""


@dataclass(frozen=True)
class Folder:
    """Members by name, of a ZIP file or a directory."""

    path: Path
    archive: zipfile.ZipFile | None

    def sizes(self) -> list[tuple[str, int]]:
        """Name and bytes of each member; whatever is no plain file is refused."""
        if self.archive is None:
            inside = sorted(self.path.iterdir())
            need(all(stat.S_ISREG(one.lstat().st_mode) for one in inside), "holds no plain file")
            return [(one.name, one.lstat().st_size) for one in inside]
        infos = self.archive.infolist()
        need(plainly_packed(self.path.read_bytes(), infos), "the archive holds more than members")
        modes = {stat.S_IFMT(one.external_attr >> 16) for one in infos}
        need(modes <= {0, stat.S_IFREG}, "holds what is no plain file")
        need(not any(one.external_attr & 16 for one in infos), "holds a folder")
        need(not any(one.flag_bits & 1 for one in infos), "holds an encrypted member")
        return [(one.filename, one.file_size) for one in infos]

    def open(self, name: str) -> BinaryIO:
        if self.archive is None:
            return (self.path / name).open("rb")
        return self.archive.open(name)  # type: ignore[return-value]

    def read(self, name: str) -> bytes:
        with self.open(name) as stream:
            return stream.read()

    def lines(self, name: str) -> Iterator[bytes]:
        with self.open(name) as stream:
            for line in stream:
                need(line.endswith(b"\n"), f"the last line of {name} has no end")
                yield line[:-1]


@dataclass(frozen=True)
class Bundle:
    folder: Folder
    note: Note
    workspace: str
    first: int
    end: int
    kind: str
    run: str | None
    payloads: bool
    left: list[bytes]
    right: list[bytes]
    proofs: Mapping[str, list[str]]
    earlier: Sequence[Earlier]
    related: Sequence[Related]

    def rows(self) -> Iterator[tuple[int, bytes | None, bytes]]:
        """Position, leaf (None if not shown) and leaf hash of each line (§6.3)."""
        for position, line in enumerate(self.folder.lines("entries.jsonl"), self.first):
            if line.startswith(b'"'):
                yield position, None, bytes.fromhex(line[1:-1].decode())
            else:
                yield position, line, leaf_hash(line)

    def leaves(self) -> Iterator[tuple[int, Leaf]]:
        return ((at, lenient_leaf(line)) for at, line, _ in self.rows() if line is not None)

    def accounts(self) -> Iterator[tuple[int, Leaf]]:
        return ((one.position, lenient_leaf(one.line)) for one in self.related)

    @property
    def from_the_start(self) -> bool:
        """Whether no entry before any of the range is missing (§8, 10)."""
        return self.kind == "workspace" or (self.kind == "range" and self.first == 0)


def read_manifest(folder: Folder, keys: Sequence[Key]) -> dict[str, Any]:
    """The signed statement of §6.1."""
    envelope = read_object(folder.read("manifest.json"), "manifest.json")
    payload, signatures = unbase64(envelope.get("payload")), envelope.get("signatures")
    need(envelope.get("payloadType") == PAYLOAD_TYPE, "the manifest has another type")
    statement = read_object(payload, "the manifest's payload")
    told = (statement.get("_type"), statement.get("predicateType"))
    need(told == STATEMENT_TYPES, "the manifest is another statement")
    predicate = statement.get("predicate")
    if not (isinstance(predicate, dict) and isinstance(signatures, list)):
        raise Broken("the manifest has another form")
    message = f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} ".encode() + payload
    raw = [unbase64(one.get("sig")) if isinstance(one, dict) else b"" for one in signatures]
    ours = [key for key in keys if key.name == predicate.get("origin")]
    need(any(k.signed(one, message) for k in ours for one in raw), "no key of ours signed it")
    return statement


def check_members(folder: Folder, statement: Mapping[str, Any]) -> None:
    """The members are exactly those listed, with the listed size and hash."""
    subject, sizes = statement["subject"], statement["predicate"]["sizes"]
    listed = {one["name"]: one["digest"]["sha256"] for one in subject}
    found = dict(folder.sizes())
    del found["manifest.json"]
    need(len(listed) == len(subject), "the manifest lists a member twice")
    for name in sorted({*listed, *found, *sizes}):
        need(name in found, f"{name} is missing")
        need(name in listed and name in sizes, f"{name} is not listed")
        need(type(sizes[name]) is int and sizes[name] == found[name], f"{name} has another size")
        digest = hashlib.sha256()
        with folder.open(name) as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
        need(digest.hexdigest() == listed[name], f"{name} has another hash")


def fields(value: Mapping[str, Any], what: str, **kinds: Callable[[object], bool]) -> None:
    """`value` has exactly these fields, of these kinds."""
    need(set(value) == set(kinds), f"{what} has other fields")
    for name, holds in kinds.items():
        need(holds(value[name]), f"{what}: {name} is not as specified")


def is_list(value: object) -> bool:
    return isinstance(value, list)


def read_earlier(line: bytes) -> Earlier:
    value = read_object(line, "a line of checkpoints.jsonl")
    fields(value, "a line of checkpoints.jsonl", note=is_text, timestamps=is_list)
    return Earlier(read_note(encoded(value["note"])), tuple(map(unbase64, value["timestamps"])))


def encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise Broken("holds a lone surrogate") from None


def read_related(line: bytes) -> Related:
    value = read_object(line, "a line of related.jsonl")
    fields(value, "a line of related.jsonl", i=is_count, leaf=is_text, path=is_hashes)
    return Related(value["i"], encoded(value["leaf"]), tuple(value["path"]))


def read_payload(line: bytes) -> dict[str, Any]:
    """A line of §6.4, with `salt` and `data` as bytes."""
    value, what = read_object(line, "a line of payloads.jsonl"), "a line of payloads.jsonl"
    if "state" in value:
        fields(value, what, i=is_count, name=is_text, state=is_text)
        return value
    fields(value, what, i=is_count, name=is_text, salt=is_text, data=is_text)
    return {**value, "salt": unbase64(value["salt"]), "data": unbase64(value["data"])}


def read_proofs(data: bytes) -> dict[str, Any]:
    value = read_object(data, "proofs.json")
    fields(
        value,
        "proofs.json",
        left=is_hashes,
        right=is_hashes,
        consistency=lambda found: (
            isinstance(found, dict)
            and all(re.fullmatch("0|[1-9][0-9]*", size) for size in found)
            and all(map(is_hashes, found.values()))
        ),
    )
    return value


def read_predicate(predicate: Mapping[str, Any], note: Note) -> tuple[str, str | None]:
    """Kind and run of the scope, after what §6.1 says of the predicate."""
    kinds = {"first": is_count, "end": is_count, "workspace": is_uuid, "scope": bool}
    need(all(holds(predicate.get(n)) for n, holds in kinds.items()), "the manifest lacks a field")
    need(isinstance(predicate.get("payloads"), bool), "the manifest lacks a field")
    same = (note.origin, note.size, note.root.hex())
    need(type(predicate.get("size")) is int, "the manifest lacks a field")
    told = (predicate.get("origin"), predicate["size"], predicate.get("root"))
    need(told == same, "manifest and checkpoint speak of different trees")
    need(note.origin.endswith(f"/{predicate['workspace']}"), "the origin is another workspace's")
    scope = predicate["scope"]
    need(isinstance(scope, dict), "the manifest has no scope")
    kind, run = scope.get("kind"), scope.get("run")
    need(kind in ("workspace", "range", "run", "search"), "the manifest has another scope")
    need(is_uuid(run) if kind == "run" else True, "the scope names no run")
    return str(kind), str(run) if kind == "run" else None


def read_bundle(folder: Folder, trust: Trust) -> Bundle:
    """Check 10; everything that later checks read parses."""
    names = [name for name, _ in folder.sizes()]
    need(len(set(names)) == len(names), "a member stands twice")
    for name in sorted({*names, *REQUIRED}):
        need(name in names, f"{name} is missing")
        need(name in REQUIRED | FOR_PEOPLE, f"{name} does not belong into a bundle")
    statement = read_manifest(folder, trust.keys)
    try:
        check_members(folder, statement)
    except (KeyError, TypeError):
        raise Broken("the manifest does not list the members") from None
    note = read_note(folder.read("checkpoint"))
    predicate = statement["predicate"]
    kind, run = read_predicate(predicate, note)
    for line in folder.lines("payloads.jsonl"):
        read_payload(line)
    for line in folder.lines("entries.jsonl"):
        need(line[:1] != b'"' or re.fullmatch(rb'"[0-9a-f]{64}"', line), "a hash has another form")
        need(len(line) <= LONGEST, "a line of entries.jsonl is longer than any leaf")
    proofs = read_proofs(folder.read("proofs.json"))
    return Bundle(
        folder,
        note,
        predicate["workspace"],
        predicate["first"],
        predicate["end"],
        kind,
        run,
        predicate["payloads"],
        unhex(proofs["left"]),
        unhex(proofs["right"]),
        proofs["consistency"],
        [read_earlier(line) for line in folder.lines("checkpoints.jsonl")],
        [read_related(line) for line in folder.lines("related.jsonl")],
    )


# --- §7: checks 11 to 17 --------------------------------------------------------------------


def check_signature(bundle: Bundle, trust: Trust) -> None:
    for note in (bundle.note, *(one.note for one in bundle.earlier)):
        signed = note.origin == bundle.note.origin and any(map(note.signed_by, trust.keys))
        need(signed, f"no key of ours signed the checkpoint of size {note.size}")


def check_cosignatures(bundle: Bundle, trust: Trust) -> None:
    met = {name for name, key in trust.witnesses.items() if bundle.note.cosigned(key) is not None}
    for name, (count, members) in trust.groups.items():
        if len(met & set(members)) >= count:
            met.add(name)
    need(trust.quorum in {"none", *met}, f"too few witnesses cosigned: {sorted(met)}")


def stamps(bundle: Bundle, trust: Trust) -> Iterator[tuple[int, int]]:
    """Size and time of each time stamp; all must be valid if certificates were given."""
    for one in bundle.earlier if trust.authorities else ():
        for response in one.stamps:
            try:
                yield one.note.size, stamped(response, one.note.text, trust.authorities)
            except ValueError as error:  # a decoder's own words for a token that is none
                raise Broken(f"the time stamp cannot be read: {error}") from None


def check_timestamps(bundle: Bundle, trust: Trust) -> None:
    found = list(stamps(bundle, trust))
    need(found or not trust.authorities, "there is no time stamp")


def outside(bundle: Bundle, trust: Trust) -> list[tuple[int, int]]:
    """Size and time for which somebody the verifier trusts saw the tree."""
    notes = (bundle.note, *(one.note for one in bundle.earlier))
    seen = [(note.size, note.cosigned(key)) for note in notes for key in trust.witnesses.values()]
    return [*((size, at) for size, at in seen if at is not None), *stamps(bundle, trust)]


def check_completeness(bundle: Bundle, trust: Trust) -> None:
    first, end, size = bundle.first, bundle.end, bundle.note.size
    need(first < end <= size, "the range is not in the tree")
    need(bundle.kind != "workspace" or (first, end) == (0, size), "the workspace is not whole")
    lines, shown, of_run, ids = 0, 0, 0, set[object]()
    for position, line, _ in bundle.rows():
        lines += 1
        if line is None:
            need(bundle.kind in ("run", "search"), "an entry is not shown", position)
            continue
        leaf = lenient_leaf(line)
        shown, of_run = shown + 1, of_run + (leaf.get("run") == bundle.run)
        _new(ids, leaf, position)
    need(lines == end - first, "there is not a line for each position")
    need(shown and (of_run or bundle.kind != "run"), "nothing that was asked for is shown")
    for position, leaf in bundle.accounts():
        _new(ids, leaf, position)


def _new(ids: set[object], leaf: Leaf, position: int) -> None:
    known = leaf.get("id")
    need(not isinstance(known, str) or known not in ids, "this id stands twice", position)
    ids.add(known if isinstance(known, str) else None)


def edges(bundle: Bundle) -> Iterator[tuple[int, Edge]]:
    """Each size from `first` to `end` with the left edge of that many leaves."""
    edge = bundle.left
    yield bundle.first, edge
    for position, _, digest in bundle.rows():
        edge = appended(edge, position, digest)
        yield position + 1, edge


def check_inclusion(bundle: Bundle, trust: Trust) -> None:
    need(len(bundle.left) == bundle.first.bit_count(), "the left edge has another length")
    *_, (end, edge) = edges(bundle)
    goal = (bundle.note.size, bundle.note.root)
    need(consistent(end, root_of(edge), *goal, bundle.right), "the entries lead to another root")
    for one in bundle.related:
        path, known = unhex(one.path), leaf_hash(one.line)
        root = inclusion_root(known, one.position, bundle.note.size, path)
        need(root == bundle.note.root, "the path leads to another root", one.position)


def check_consistency(bundle: Bundle, trust: Trust) -> None:
    size, root = bundle.note.size, bundle.note.root
    known = [n for n in trust.kept if n.size <= size] + [one.note for one in bundle.earlier]
    wanted = {note.size for note in known}
    roots = {at: root_of(edge) for at, edge in edges(bundle) if at in wanted} | {size: root}
    for note in known:
        need(note.origin == bundle.note.origin, "a kept checkpoint is of another log")
        sentence = f"the checkpoint of size {note.size} is of another history"
        if note.size in roots:
            need(roots[note.size] == note.root, sentence)
            continue
        proof = bundle.proofs.get(str(note.size), [])
        need(consistent(note.size, note.root, size, root, unhex(proof)), sentence)


def check_freshness(bundle: Bundle, trust: Trust) -> None:
    size = bundle.note.size
    need(all(note.size <= size for note in trust.kept), "a kept checkpoint is larger")
    if trust.age is None:
        return
    times = [at for of, at in outside(bundle, trust) if of == size]
    if not times:
        times = [time_of(leaf.get("time")) or 0 for _, leaf in bundle.leaves()][-1:] or [0]
    need(trust.now - max(times) < trust.age * SECOND, "the checkpoint is too old")


# --- §7: checks 18 to 22 --------------------------------------------------------------------


def is_person(value: object) -> bool:
    if not isinstance(value, dict) or set(value) != {"type", "id", "name"}:
        return False
    known = value["type"] in ("user", "service", "agent", "system")
    return known and is_text(value["id"]) and is_text(value["name"])


def is_subject(value: object) -> bool:
    if not isinstance(value, dict) or not {"type", "id"} <= set(value) <= {"type", "id", "version"}:
        return False
    return all(map(is_text, value.values()))


def is_commitment(value: object) -> bool:
    if not isinstance(value, dict) or set(value) != {"commitment", "key", "length", "media"}:
        return False
    known = value["media"] in ("text/plain", "application/json", "application/octet-stream")
    return (
        known
        and is_hash(value["commitment"])
        and is_uuid(value["key"])
        and is_count(value["length"])
    )


def is_commitments(value: object) -> bool:
    return isinstance(value, dict) and all(map(is_commitment, value.values()))


def is_version_7(value: object) -> bool:
    return is_uuid(value) and uuid.UUID(str(value)).version == 7


FIELDS: Mapping[str, Callable[[object], bool]] = {
    "v": lambda value: type(value) is int and value == 1,
    "id": is_version_7,
    "time": lambda value: time_of(value) is not None,
    "workspace": is_uuid,
    "actor": is_person,
    "action": matches(r"[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*"),
    "subject": is_subject,
    "on_behalf_of": is_person,
    "run": is_uuid,
    "run_seq": lambda value: type(value) is int and value >= 1,
    "prev": is_hash,
    "detail": lambda value: isinstance(value, dict),
    "payloads": is_commitments,
    "trace": matches("[0-9a-f]{32}"),
}
NEEDED = {"v", "id", "time", "workspace", "actor", "action", "subject"}


def check_leaf(position: int, line: bytes, workspace: str) -> None:
    """Canonical form and fields of one leaf (§3, §4)."""
    try:
        leaf = canonical_leaf(line)
    except Broken as error:
        raise Broken(f"the entry {error}", position) from None
    need(set(leaf) >= NEEDED, "the entry lacks a field", position)
    for name, value in leaf.items():
        need(name in FIELDS and FIELDS[name](value), f"{name} is not as specified", position)
    need(leaf["workspace"] == workspace, "the entry is of another workspace", position)
    need(("run" in leaf) == ("run_seq" in leaf), "run and run_seq come together", position)
    need(("prev" in leaf) == (leaf.get("run_seq", 1) > 1), "prev is out of place", position)
    at = time_of(leaf["time"]) or 0
    need(uuid.UUID(leaf["id"]).int >> 80 == at // 1000, "id and time differ", position)


def check_form(bundle: Bundle, trust: Trust) -> None:
    for position, line, _ in bundle.rows():
        if line is not None:
            check_leaf(position, line, bundle.workspace)
    for one in bundle.related:
        check_leaf(one.position, one.line, bundle.workspace)
        accounts = lenient_leaf(one.line)["action"] in ACCOUNTS or bundle.kind == "proof"
        need(accounts, "a related entry accounts for no other", one.position)


def check_order(bundle: Bundle, trust: Trust) -> None:
    last: dict[str, tuple[int, str]] = {}
    ended = False
    for position, line, digest in bundle.rows():
        leaf = lenient_leaf(line) if line is not None else {}
        if "run" not in leaf:
            continue
        run, seq = leaf["run"], leaf["run_seq"]
        whole = bundle.from_the_start or run == bundle.run
        before, known = last.get(run, (0 if whole else seq - 1, ""))
        gap = bundle.kind in ("run", "search") and not whole
        need(seq == before + 1 or (gap and seq > before), "the run's order is broken", position)
        linked = not known or seq > before + 1 or leaf["prev"] == known
        need(linked, "prev is not the hash of the entry before", position)
        last[run] = (seq, digest.hex())
        ended |= run == bundle.run and leaf["action"] in ENDS
    need(bundle.kind != "run" or ended or trust.open_run, "the run is not shown to its end")


def joined(bundle: Bundle) -> Iterator[tuple[int, Leaf, list[dict[str, Any]]]]:
    """Each shown entry with its payload lines; lines without one come with an empty entry."""
    lines = map(read_payload, bundle.folder.lines("payloads.jsonl"))
    ahead = next(lines, None)
    for position, leaf in bundle.leaves():
        own = []
        while ahead is not None and ahead["i"] <= position:
            own.append(ahead)
            ahead = next(lines, None)
        yield position, leaf, own
    if ahead is not None:
        yield ahead["i"], {}, [ahead]


def check_payloads(bundle: Bundle, trust: Trust) -> None:
    for position, leaf, lines in joined(bundle):
        named, seen = leaf.get("payloads", {}), set[str]()
        for line in lines:
            at, name = line["i"], line["name"]
            need(at == position and name in named, f"payload {name!r} belongs to no entry", at)
            need(name not in seen, f"payload {name!r} stands twice", at)
            seen.add(name)
            if "data" in line:
                need(bundle.payloads, f"payload {name!r} is shown", at)
                _check_shown(named[name], line, f"payload {name!r} is another", at)


def _check_shown(named: Leaf, line: Leaf, sentence: str, at: int) -> None:
    data, salt = line["data"], line["salt"]
    need(len(salt) == 32 and len(data) == named["length"], sentence, at)
    mac = hmac.new(salt, data, hashlib.sha256).hexdigest()
    need(hmac.compare_digest(mac, named["commitment"]), sentence, at)


def certificates(bundle: Bundle) -> tuple[dict[str, int], int]:
    """Keys and where they were erased last, and the time before which payloads expired."""
    keys, before = dict[str, int](), 0
    for position, leaf in (*bundle.leaves(), *bundle.accounts()):
        detail = leaf.get("detail", {})
        if leaf["action"] == "subject.erased" and is_list(detail.get("keys")):
            for key in filter(is_text, detail["keys"]):
                keys[key] = max(position, keys.get(key, 0))
        if leaf["action"] == "payloads.expired":
            edge = time_of(detail.get("before")) or 0
            before = max(before, edge if edge <= (time_of(leaf["time"]) or 0) else 0)
    return keys, before


def check_erasures(bundle: Bundle, trust: Trust) -> None:
    keys, before = certificates(bundle)
    for position, leaf, lines in joined(bundle):
        states = {line["name"]: line.get("state", "") for line in lines}
        for name, commitment in leaf.get("payloads", {}).items():
            what = f"payload {name!r}"
            need(name in states, f"{what} is missing", position)
            excuses = {"erased", "expired", "" if bundle.payloads else "withheld"}
            need(states[name] in excuses, f"nothing accounts for {what}", position)
            erased = states[name] != "erased" or position < keys.get(commitment["key"], -1)
            need(erased, f"no entry accounts for the erasure of {what}", position)
            expired = states[name] != "expired" or (time_of(leaf["time"]) or 0) < before
            need(expired, f"no entry accounts for the expiry of {what}", position)


def check_times(bundle: Bundle, trust: Trust) -> None:
    skew, latest = trust.skew * SECOND, 0
    seen = sorted(outside(bundle, trust))
    for position, leaf in bundle.accounts() if bundle.kind == "proof" else bundle.leaves():
        at = time_of(leaf["time"]) or 0
        latest = max(latest, _check_time(position, at, latest, seen, trust.now, skew))


def _check_time(
    position: int, at: int, latest: int, seen: list[tuple[int, int]], now: int, skew: int
) -> int:
    need(at >= latest - skew, "the entry is older than one before it", position)
    upper = min([now, *(when for size, when in seen if size > position)])
    lower = max([at, *(when for size, when in seen if size <= position)])
    need(at <= upper + skew, "the entry is newer than somebody saw it", position)
    need(at >= lower - skew, "the entry is older than a checkpoint without it", position)
    return at


# --- §8: lifecycle --------------------------------------------------------------------------

ENDS = ("run.ended", "run.cancelled")
OVER = {*ENDS, "run.started", "step.executed", "answer.released"} | {
    f"call.{past}" for past in ("intended", "succeeded", "failed", "unknown")
}


@dataclass
class Request:
    """An approval request that was opened in the log (§8, 6)."""

    run: str | None
    kind: object
    step: str
    seats: int
    barred: set[object]
    factor: object = None
    digests: Mapping[str, str] = field(default_factory=dict)
    ended: bool = False
    signed: set[object] = field(default_factory=set)
    complete: bool = False
    used: bool = False


@dataclass
class Run:
    seq: int = 0
    over: bool = False
    decisions: dict[tuple[str, str, str], tuple[str, object]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    calls: dict[tuple[str, str], str] = field(default_factory=dict)
    begun: bool = False
    said: dict[tuple[str, str], Leaf] = field(default_factory=dict)


@dataclass
class Life:
    """State of all runs and requests while the entries pass by."""

    strict: bool
    """Whether every request that is spoken of must have been opened."""
    whole: bool
    """Whether nothing of the range is missing, so that requests of no run can be followed."""
    requests: dict[str, Request] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)


def same(value: object) -> str:
    """Text that is equal for equal JSON values only: `1` is not `true`, absent is absent."""
    return "" if value is None else json.dumps(value, sort_keys=True)


def decided(run: Run, detail: Leaf, action: str, call: object = None) -> object:
    """Outcome of the decision for (action, step, call), or None."""
    known = run.decisions.get((action, same(detail.get("step")), same(call)), ("", None))
    return known[1] if known[0] in ("", detail.get("tool")) else None


def used_for(life: Life, run: Run, kind: str, detail: Leaf) -> bool:
    asked = (kind, same(detail.get("step")))
    known = (life.requests[one] for one in run.used if one in life.requests)
    return any((request.kind, request.step) == asked for request in known)


def released(action: str, kind: str) -> Callable[[Life, Run, Leaf, Leaf], bool]:
    """§8, 2 and 3."""

    def rule(life: Life, run: Run, leaf: Leaf, detail: Leaf) -> bool:
        outcome = decided(run, detail, action)
        return outcome == "allow" or (outcome == "review" and used_for(life, run, kind, detail))

    return rule


def on_decision(life: Life, run: Run, leaf: Leaf, detail: Leaf) -> bool:
    action, _, tool = str(detail.get("action", "")).partition(":")
    key = (action, same(detail.get("step")), same(detail.get("call")))
    run.decisions[key] = (tool, detail.get("outcome"))
    return True


def call_of(detail: Leaf) -> tuple[str, str]:
    return same(detail.get("step")), same(detail.get("seq"))


def on_intended(life: Life, run: Run, leaf: Leaf, detail: Leaf) -> bool:
    run.calls[call_of(detail)] = "open"
    run.said[call_of(detail)] = detail
    outcome, request = decided(run, detail, "call", detail.get("seq")), detail.get("request")
    used = isinstance(request, str) and request in run.used
    free = outcome == "allow" and request is None
    return free or (outcome in ("allow", "review") and used)


def contradicts(run: Run, detail: Leaf) -> bool:
    """Whether an outcome speaks of another tool, version or arguments than its intent."""
    intent = run.said.pop(call_of(detail), {})
    pairs = ((intent.get(n), detail.get(n)) for n in ("tool", "tool_version", "arguments"))
    return any(is_text(one) and is_text(other) and one != other for one, other in pairs)


def on_succeeded(life: Life, run: Run, leaf: Leaf, detail: Leaf) -> bool:
    if contradicts(run, detail):
        return False
    state = run.calls.get(call_of(detail))
    run.calls[call_of(detail)] = "done"
    allowed = decided(run, detail, "call", detail.get("seq")) == "allow"
    return state == "open" or (state is None and allowed and detail.get("effect") == "read")


def settled(before: tuple[str, ...], after: str) -> Callable[[Life, Run, Leaf, Leaf], bool]:
    """An outcome of a call that must be in one of these states."""

    def rule(life: Life, run: Run, leaf: Leaf, detail: Leaf) -> bool:
        known = run.calls.get(call_of(detail), "")
        run.calls[call_of(detail)] = after
        other = leaf["action"] != "call.resolved" and contradicts(run, detail)
        return known in before and not other

    return rule


def on_started(life: Life, run: Run, leaf: Leaf, detail: Leaf) -> bool:
    run.begun = True
    return not (run.calls or run.used)


IN_RUNS: Mapping[str, Callable[[Life, Run, Leaf, Leaf], bool]] = {
    "decision.made": on_decision,
    "step.executed": released("execute", "code"),
    "answer.released": released("release", "answer"),
    "call.intended": on_intended,
    "call.succeeded": on_succeeded,
    "run.started": on_started,
    "call.failed": settled(("open", ""), "done"),
    "call.unknown": settled(("open",), "unknown"),
    "call.resolved": settled(("open", "unknown"), "done"),
}


def open_request(life: Life, leaf: Leaf, detail: Leaf) -> bool:
    """§8, 6. A request is opened once."""
    seats, barred = detail.get("requirement", []), detail.get("barred", [])
    if not (isinstance(seats, list) and isinstance(barred, list)):
        return False
    counts = [one.get("count") if isinstance(one, dict) else None for one in seats]
    people = {leaf["actor"]["id"], leaf.get("on_behalf_of", leaf["actor"])["id"]}
    total = sum(count for count in counts if type(count) is int and count >= 0)
    if not (all(map(is_count, counts)) and is_text(detail.get("factor", ""))):
        return False
    known = leaf["subject"]["id"] not in life.requests
    life.requests[leaf["subject"]["id"]] = Request(
        leaf.get("run"),
        detail.get("kind"),
        same(detail.get("step")),
        max(1, total),
        people | {one for one in barred if isinstance(one, str)},
        detail.get("factor"),
        {name: same(detail.get(name)) for name in ("binding", "displayed")},
    )
    return known


def asked(request: Request, detail: Leaf, *names: str) -> bool:
    """Whether the request is in force, and what is said of it names its digests."""
    return not request.ended and all(same(detail.get(n)) == request.digests[n] for n in names)


def on_vote(request: Request, leaf: Leaf, detail: Leaf) -> bool:
    if detail.get("answer") == "sign":
        request.signed.add(leaf["actor"]["id"])
        if not asked(request, detail, "binding", "displayed"):
            return False
        given = detail.get("factors")
        coded = not request.factor or (isinstance(given, list) and request.factor in given)
        return coded and leaf["actor"]["id"] not in request.barred
    return True


def on_completed(request: Request, leaf: Leaf, detail: Leaf) -> bool:
    voters = detail.get("voters")
    if not isinstance(voters, list) or not all(isinstance(one, dict) for one in voters):
        return False
    people = {str(one.get("id")) for one in voters}
    request.complete = True
    if not asked(request, detail, "binding"):
        return False
    return people <= request.signed - request.barred and len(people) >= request.seats


def on_consumed(request: Request, leaf: Leaf, detail: Leaf) -> bool:
    fresh, request.used = not request.used, True
    if not asked(request, detail, "binding"):
        return False
    return request.complete and fresh and request.run == leaf.get("run")


ON_REQUESTS: Mapping[str, Callable[[Request, Leaf, Leaf], bool]] = {
    "vote.cast": on_vote,
    "approval.completed": on_completed,
    "approval.consumed": on_consumed,
}
CLOSING = {f"approval.{end}" for end in ("rejected", "expired", "superseded", "cancelled")}


def follow_run(life: Life, leaf: Leaf) -> Run | None:
    """The run of an entry while no entry of it is missing."""
    known = life.runs.setdefault(leaf["run"], Run())
    known.seq = leaf["run_seq"] if leaf["run_seq"] == known.seq + 1 else -1
    return known if known.seq > 0 else None


def live(life: Life, leaf: Leaf) -> bool:
    """Takes one entry; false if it breaks a rule of §8."""
    action, detail = leaf["action"], leaf.get("detail", {})
    run = follow_run(life, leaf) if "run" in leaf else None
    if "run" in leaf and run is None:
        return True
    if action == "approval.requested" and (run or life.whole):
        return open_request(life, leaf, detail)
    if action in ON_REQUESTS or action in CLOSING:
        request = life.requests.get(leaf["subject"]["id"])
        if action in CLOSING:
            if request:
                request.ended = True
            return True
        if run and request and action == "approval.consumed" and request.run == leaf["run"]:
            run.used.add(leaf["subject"]["id"])
        return ON_REQUESTS[action](request, leaf, detail) if request else not life.strict
    if run is None or (action not in IN_RUNS and action not in ENDS):
        return True
    if run.over:
        return action not in OVER
    late = not run.begun and action in OVER and action != "run.started"
    run.begun = run.begun or late
    known = on_end(run, action) if action in ENDS else IN_RUNS[action](life, run, leaf, detail)
    return known and not late


def on_end(run: Run, action: str) -> bool:
    """§8, 1: a run ends once."""
    before, run.over = run.over, run.over or action in ENDS
    return not (before and action in ENDS)


def check_lifecycle(bundle: Bundle, trust: Trust) -> None:
    life = Life(bundle.from_the_start, bundle.kind in ("workspace", "range"))
    for position, leaf in bundle.leaves():
        need(live(life, leaf), f"{leaf['action']} breaks a rule of the lifecycle", position)


# --- §11: the proof of one entry ------------------------------------------------------------


def read_proof(data: bytes, trust: Trust) -> Bundle:
    """A proof of one entry as a bundle that shows no range (check 10 of §11)."""
    try:
        value = read_object(data, "the proof")
    except Broken as error:
        raise CannotRead(str(error)) from None
    fields(
        value,
        "the proof",
        format=lambda found: found == "https://countersign.dev/entry-proof/v1",
        leaf=is_text,
        position=is_count,
        path=is_hashes,
        checkpoint=is_text,
        timestamps=is_list,
    )
    note = read_note(encoded(value["checkpoint"]))
    one = Related(value["position"], encoded(value["leaf"]), tuple(value["path"]))
    stamps = Earlier(note, tuple(map(unbase64, value["timestamps"])))
    workspace = note.origin.rpartition("/")[2]
    nothing = _Proof(Path(), None)
    return Bundle(nothing, note, workspace, 0, 0, "proof", None, False, [], [], {}, [stamps], [one])


class _Proof(Folder):
    def lines(self, name: str) -> Iterator[bytes]:
        return iter(())


def check_path(bundle: Bundle, trust: Trust) -> None:
    one, note = bundle.related[0], bundle.note
    root = inclusion_root(leaf_hash(one.line), one.position, note.size, unhex(one.path))
    need(root == note.root, "the path leads to another root", one.position)


def check_kept(bundle: Bundle, trust: Trust) -> None:
    for note in trust.kept:
        other = note.size == bundle.note.size and note.root != bundle.note.root
        need(note.origin == bundle.note.origin and not other, "a kept checkpoint contradicts it")


# --- The table ------------------------------------------------------------------------------

Check = Callable[[Bundle, Trust], None]
CHECKS: Sequence[tuple[int, str, Check, Check | None]] = (
    # number, name, check of a bundle, check of an entry's proof
    (11, "signature", check_signature, check_signature),
    (12, "cosignatures", check_cosignatures, check_cosignatures),
    (13, "timestamps", check_timestamps, check_timestamps),
    (14, "completeness", check_completeness, None),
    (15, "inclusion", check_inclusion, check_path),
    (16, "consistency", check_consistency, check_kept),
    (17, "freshness", check_freshness, check_freshness),
    (18, "form", check_form, check_form),
    (19, "order", check_order, None),
    (20, "payloads", check_payloads, None),
    (21, "erasures", check_erasures, None),
    (22, "times", check_times, check_times),
    (23, "lifecycle", check_lifecycle, None),
)


@dataclass(frozen=True)
class Verdict:
    status: int
    check: str = ""
    sentence: str = "every check holds"
    position: int | None = None


def verify(path: Path, trust: Trust) -> Verdict:
    """Runs the checks of §7, or of §11, in the order of their numbers; the first failure counts."""
    number, name = 10, "container"
    try:
        with _opened(path) as archive:
            proof = archive is None and path.is_file()
            folder = Folder(path, archive)
            bundle = read_proof(path.read_bytes(), trust) if proof else read_bundle(folder, trust)
            for number, name, whole, single in CHECKS:  # noqa: B007
                check = single if proof else whole
                if check:
                    check(bundle, trust)
    except Broken as error:
        return Verdict(number, name, str(error), error.position)
    except UNREADABLE as error:
        return Verdict(10, "container", f"cannot be read: {error}")
    except CannotRead as error:
        return Verdict(3, "", str(error))
    return Verdict(0)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile | None]:
    """The archive, or None for a directory or the proof of one entry."""
    archive = None
    try:
        if not path.is_dir():
            with path.open("rb") as stream:
                proof = stream.read(1) == b"{"
            archive = None if proof else zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise CannotRead(f"{path} cannot be read: {error}") from None
    with archive or nullcontext():
        yield archive


def add_policy(trust: dict[str, Any], path: Path) -> None:
    """Adds the lines of a C2SP tlog-policy: logs, witnesses, groups, quorum."""
    for line in path.read_text().splitlines():
        match line.split():
            case ["log", key, *_]:
                trust["keys"].append(read_key(key, 1))
            case ["witness", name, key, *_]:
                trust["witnesses"][name] = read_key(key, 4)
            case ["group", name, count, *members] if members:
                number = {"any": 1, "all": len(members)}.get(count) or int(count)
                need(0 < number <= len(members), f"the group {name} cannot be met")
                trust["groups"][name] = (number, members)
            case ["quorum", name]:
                trust["quorum"] = name
            case [word, *_] if not word.startswith("#"):
                raise Broken(f"{line!r} is no line of a policy")
    known = {"none", *trust["witnesses"], *trust["groups"]}
    named = {one for _, members in trust["groups"].values() for one in members}
    need({trust.get("quorum"), *named} <= known, "the policy has no quorum of what it names")


def read_trust(given: argparse.Namespace) -> Trust:
    trust: dict[str, Any] = {"keys": [read_key(key, 1) for key in given.key]}
    trust |= {"witnesses": {}, "groups": {}, "open_run": given.allow_open}
    trust |= {"skew": given.skew, "age": given.max_age}
    try:
        for path in given.policy:
            add_policy(trust, path)
        certs = [x509.load_pem_x509_certificates(path.read_bytes()) for path in given.tsa]
        kept = [read_note(path.read_bytes()) for path in given.seen]
    except (OSError, ValueError, Broken) as error:
        raise CannotRead(f"what you brought cannot be read: {error}") from None
    return Trust(authorities=[one for found in certs for one in found], kept=kept, **trust)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Check an audit bundle or the proof of an entry.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--key", action="append", default=[], help="verifier key of the log")
    parser.add_argument("--policy", action="append", default=[], type=Path, help="tlog-policy")
    parser.add_argument("--tsa", action="append", default=[], type=Path, help="PEM certificates")
    parser.add_argument("--seen", action="append", default=[], type=Path, help="kept checkpoint")
    parser.add_argument("--max-age", type=int, help="seconds")
    parser.add_argument("--skew", type=int, default=300, help="seconds")
    parser.add_argument("--allow-open", action="store_true", help="accept a run without end")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status of §7."""
    given = arguments().parse_args(argv)
    try:
        verdict = verify(given.bundle, read_trust(given))
    except CannotRead as error:
        verdict = Verdict(3, "", str(error))
    where = "" if verdict.position is None else f", entry {verdict.position}"
    sys.stdout.write(f"{verdict.status} {verdict.check}{where}: {verdict.sentence}\n")
    return verdict.status


if __name__ == "__main__":
    sys.exit(main())
