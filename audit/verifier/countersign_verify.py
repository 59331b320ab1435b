#!/usr/bin/env python3
"""countersign-verify: check an exported audit log without trusting whoever exported it.

    python3 countersign_verify.py BUNDLE --key VKEY [--policy FILE] [--seen CHECKPOINT …]
                                  [--tsa CERTIFICATE …] [--max-age SECONDS] [--json]

In place of a bundle it takes the proof of one entry (§11), which ends in `.proof.json`.

Needs Python 3.11 and, for signatures, the package `cryptography`. It imports nothing else,
opens no network connection and writes no file. The format is specified in log-format.md;
§ numbers below are of that document.

What the verifier trusts comes from his own hand: the log's key (--key, or `log` lines of a
C2SP tlog-policy file), witnesses and their quorum (--policy), time-stamping certificates
(--tsa), checkpoints he kept (--seen). Nothing in the bundle can add to them.

Checks, in this order; the exit status is the number of the first that fails:

    10  container     the bundle holds what its signed manifest lists, and nothing else
    11  signature     a log key of the verifier's signed the checkpoint
    12  cosignatures  enough witnesses of the verifier's cosigned it
    13  timestamps    every time stamp in the bundle is valid; asked for, there is one
    14  completeness  every position of the range is there, once, and there is something
    15  inclusion     the entries make up the checkpoint's tree
    16  consistency   the tree grew out of every earlier checkpoint
    17  freshness     no known checkpoint is newer, and the newest time is recent
    18  form          every entry is canonical and has the specified fields
    19  order         each run's entries count from 1 and link to one another
    20  payloads      each payload is what its entry committed to
    21  erasures      each missing payload was withheld, or erased by a recorded erasure
    22  times         times rise within the allowed skew and fit the outside times
    23  lifecycle     no call without decision, no review without approval, no outcome
                      without intent, no second end

0: all hold. 2: the command line. 3: the verifier cannot read what it was given.

A check for which the verifier brought nothing is shown as not asked, never as ok.

Not proved: that an entry was written for everything that happened, or that what an entry
says was true; what report.html and entries.csv say, which whoever exported has written.
Entries younger than the checkpoint are not covered.
"""

import argparse
import base64
import binascii
import gc
import hashlib
import hmac
import io
import json
import re
import stat
import struct
import sys
import zipfile
import zlib
from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CHECKS = {
    10: "container",
    11: "signature",
    12: "cosignatures",
    13: "timestamps",
    14: "completeness",
    15: "inclusion",
    16: "consistency",
    17: "freshness",
    18: "form",
    19: "order",
    20: "payloads",
    21: "erasures",
    22: "times",
    23: "lifecycle",
}
NUMBER = {name: number for number, name in CHECKS.items()}
MAX_SHOWN = 100
MAX_LEAF = 65_535
MAX_INTEGER = 2**53 - 1
MAX_PAYLOAD_LINE = 256 << 20
MAX_PROOF = 4 << 20
SKEW_S = 300


class Malformed(Exception):
    """Bytes that are not of the specified form."""


# --- RFC 9162 §2.1: trees -------------------------------------------------------------------

EMPTY = hashlib.sha256(b"").digest()
_sha256 = hashlib.sha256


def leaf_hash(leaf: bytes) -> bytes:
    return _sha256(b"\x00" + leaf).digest()


class Tree:
    """A growing tree: the roots of its perfect subtrees, largest first (§5.1)."""

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        if len(peaks) != size.bit_count():
            raise Malformed("the left edge does not fit the range's first position")
        self.size = size
        self.peaks = list(peaks)

    def append(self, node: bytes) -> None:
        peaks = self.peaks
        self.size = carry = self.size + 1
        while not carry & 1:
            node = _sha256(b"\x01" + peaks.pop() + node).digest()
            carry >>= 1
        peaks.append(node)

    def root(self) -> bytes:
        if not self.peaks:
            return EMPTY
        root = self.peaks[-1]
        for peak in self.peaks[-2::-1]:
            root = _sha256(b"\x01" + peak + root).digest()
        return root


def included(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """RFC 9162 §2.1.3.2."""
    if not 0 <= index < size:
        return False
    node, last = leaf, size - 1
    for sibling in path:
        if last == 0:
            return False
        if index & 1 or index == last:
            node = _sha256(b"\x01" + sibling + node).digest()
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            node = _sha256(b"\x01" + node + sibling).digest()
        index, last = index >> 1, last >> 1
    return last == 0 and node == root


def consistent(old: int, new: int, before: bytes, after: bytes, path: Sequence[bytes]) -> bool:
    """RFC 9162 §2.1.4.2."""
    if old == new or old == 0:
        return not path and (before == after if old else before == EMPTY)
    nodes = [before, *path] if old & (old - 1) == 0 else list(path)
    if not 0 < old < new or not nodes:
        return False
    index, last = old - 1, new - 1
    while index & 1:
        index, last = index >> 1, last >> 1
    first = second = nodes[0]
    for node in nodes[1:]:
        if last == 0:
            return False
        if index & 1 or index == last:
            first = _sha256(b"\x01" + node + first).digest()
            second = _sha256(b"\x01" + node + second).digest()
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            second = _sha256(b"\x01" + second + node).digest()
        index, last = index >> 1, last >> 1
    return last == 0 and first == before and second == after


# --- C2SP signed notes, checkpoints, keys, policies -----------------------------------------


@dataclass(frozen=True)
class Key:
    """A verifier key; kind 1 signs as the log, kind 4 cosigns as a witness."""

    name: str
    kind: int
    public: bytes

    @property
    def id(self) -> bytes:
        return _sha256(f"{self.name}\n".encode() + bytes([self.kind]) + self.public).digest()[:4]

    @classmethod
    def parse(cls, text: str) -> "Key":
        name, key_id, material = [*text.strip().split("+", 2), "", ""][:3]
        raw = unbase64(material)
        if len(raw) != 33 or raw[0] not in (1, 4) or not name:
            raise Malformed(f"not a verifier key: {text.strip()!r}")
        key = cls(name, raw[0], raw[1:])
        if key.id.hex() != key_id:
            raise Malformed(f"the key of {name} does not fit its id")
        return key

    def verifies(self, signature: bytes, message: bytes) -> bool:
        try:
            ed25519.Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class Checkpoint:
    """A signed note that heads a tree; signatures as (name, key id, body)."""

    origin: str
    size: int
    root: bytes
    text: bytes
    signatures: tuple[tuple[str, bytes, bytes], ...]

    @classmethod
    def parse(cls, note: str) -> "Checkpoint":
        body, separator, tail = note.partition("\n\n")
        lines = body.split("\n")
        if not separator or len(lines) != 3 or not tail.endswith("\n"):
            raise Malformed("a checkpoint has three lines, an empty one and signatures")
        if not lines[0] or not re.fullmatch(r"0|[1-9][0-9]{0,18}", lines[1]):
            raise Malformed("a checkpoint needs an origin and a decimal size")
        root = unbase64(lines[2])
        if len(root) != 32:
            raise Malformed("a root has 32 bytes")
        signatures = []
        for line in tail[:-1].split("\n"):
            parts = line.split(" ")
            raw = unbase64(parts[2]) if len(parts) == 3 else b""
            if len(raw) < 5 or parts[0] != "\u2014" or not re.fullmatch(r"[^\s+]+", parts[1]):
                raise Malformed(f"not a signature line: {line!r}")
            signatures.append((parts[1], raw[:4], raw[4:]))
        return cls(lines[0], int(lines[1]), root, f"{body}\n".encode(), tuple(signatures))

    def signed_by(self, key: Key) -> bool:
        # The key's name must be the origin: one trusted log may not speak for another.
        return (key.kind, key.name) == (1, self.origin) and any(
            len(signature) == 64 and key.verifies(signature, self.text)
            for name, key_id, signature in self.signatures
            if (name, key_id) == (key.name, key.id)
        )

    def cosigned_at(self, key: Key) -> int | None:
        for name, key_id, signature in self.signatures:
            if key.kind == 4 and (name, key_id) == (key.name, key.id) and len(signature) == 72:
                seconds = int.from_bytes(signature[:8], "big")
                message = f"cosignature/v1\ntime {seconds}\n".encode() + self.text
                if seconds < 1 << 37 and key.verifies(signature[8:], message):
                    return seconds
        return None


@dataclass
class Policy:
    """Whom the verifier trusts: C2SP tlog-policy lines `log`, `witness`, `group`, `quorum`."""

    logs: list[Key] = field(default_factory=list)
    witnesses: dict[str, Key] = field(default_factory=dict)
    groups: dict[str, tuple[int, tuple[str, ...]]] = field(default_factory=dict)
    quorum: str = "none"

    def read(self, text: str) -> None:
        for line in text.splitlines():
            words = line.split("#")[0].split()
            if not words:
                continue
            if words[0] == "log" and len(words) in (2, 3):
                self.logs.append(Key.parse(words[1]))
            elif words[0] == "witness" and len(words) in (3, 4):
                self.witnesses[words[1]] = Key.parse(words[2])
            elif words[0] == "group" and len(words) > 3:
                self._group(words[1], words[2], tuple(words[3:]))
            elif words[0] == "quorum" and len(words) == 2:
                self.quorum = words[1]
            else:
                raise Malformed(f"policy line not understood: {line!r}")
        if self.quorum != "none" and self.quorum not in {**self.witnesses, **self.groups}:
            raise Malformed(f"the quorum {self.quorum} is not defined")

    def _group(self, name: str, need: str, members: tuple[str, ...]) -> None:
        if any(m not in self.witnesses and m not in self.groups for m in members):
            raise Malformed(f"group {name} names an unknown member")
        number = {"any": 1, "all": len(members)}.get(need) or int(need)
        if not 1 <= number <= len(members):
            raise Malformed(f"group {name} needs {need} of {len(members)}")
        self.groups[name] = number, members

    def satisfied(self, names: set[str], node: str) -> bool:
        if node in self.groups:
            number, members = self.groups[node]
            return sum(self.satisfied(names, member) for member in members) >= number
        return node in names


def unbase64(text: str) -> bytes:
    """Strict base64: one spelling per value."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed(f"not base64: {text[:60]!r}") from error
    if base64.b64encode(raw).decode() != text:
        raise Malformed(f"not canonical base64: {text[:60]!r}")
    return raw


def unhex(texts: object) -> list[bytes]:
    """Read a list of 32-byte hashes."""
    if not isinstance(texts, list) or not all(
        isinstance(t, str) and re.fullmatch("[0-9a-f]{64}", t) for t in texts
    ):
        raise Malformed("not a list of hashes")
    return [bytes.fromhex(text) for text in texts]


# --- RFC 3161 time stamps -------------------------------------------------------------------


@dataclass(frozen=True)
class Timestamp:
    """What a token says, and what is needed to check who says so."""

    imprint: bytes
    nonce: int | None
    time: datetime
    content: bytes
    signed: bytes
    digest: str
    signature: bytes
    certificates: tuple[bytes, ...]


_DIGESTS = {
    "608648016503040201": "sha256",
    "608648016503040202": "sha384",
    "608648016503040203": "sha512",
}
_ALGORITHMS: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_TST_INFO = "2a864886f70d0109100104"
_MESSAGE_DIGEST = "2a864886f70d010904"
_CONTENT_TYPE = "2a864886f70d010903"


def der(data: bytes) -> list[tuple[int, bytes, bytes]]:
    """Split DER into (tag, content, whole element)."""
    found, at = [], 0
    while at < len(data):
        try:
            tag, length, head = data[at], data[at + 1], 2
            if length & 0x80:
                head += length & 0x7F
                length = int.from_bytes(data[at + 2 : at + head], "big")
        except IndexError:
            raise Malformed("DER ends early") from None
        end = at + head + length
        if end > len(data):
            raise Malformed("DER ends early")
        found.append((tag, data[at + head : end], data[at:end]))
        at = end
    return found


def parse_timestamp(response: bytes) -> Timestamp:
    """Read a TimeStampResp (RFC 3161 §2.4.2); nothing is verified yet."""
    try:
        status, *token = der(der(response)[0][1])
        if int.from_bytes(der(status[1])[0][1], "big") not in (0, 1) or not token:
            raise Malformed("the authority refused")
        signed_data = der(der(der(token[0][1])[1][1])[0][1])
        content = der(der(signed_data[2][1])[1][1])[0][1]
        certificates = [der(body) for tag, body, _ in signed_data if tag == 0xA0]
        signer = der(der(signed_data[-1][1])[0][1])
        attributes = next(whole for tag, _, whole in signer if tag == 0xA0)
        info = der(der(content)[0][1])
        imprint = der(info[2][1])
        if der(imprint[0][1])[0][1].hex() != "608648016503040201":
            raise Malformed("the imprint is not SHA-256")
        nonces = [int.from_bytes(body, "big") for tag, body, _ in info[5:] if tag == 0x02]
        return Timestamp(
            imprint=imprint[1][1],
            nonce=nonces[0] if nonces else None,
            time=_generalized(info[4][1]),
            content=content,
            signed=b"\x31" + attributes[1:],
            digest=_DIGESTS[der(signer[2][1])[0][1].hex()],
            signature=next(body for tag, body, _ in signer[3:] if tag == 0x04),
            certificates=tuple(whole for _, _, whole in certificates[0]) if certificates else (),
        )
    except (IndexError, KeyError, StopIteration, ValueError) as error:
        raise Malformed("not a time stamp") from error


def _generalized(text: bytes) -> datetime:
    digits, _, fraction = text.decode("ascii").removesuffix("Z").partition(".")
    time = datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    return time + timedelta(microseconds=int(f"{fraction:0<6}"[:6] or 0))


_UNUSABLE = (
    InvalidSignature,
    UnsupportedAlgorithm,
    ValueError,
    TypeError,
    x509.InvalidVersion,
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
)
"""What a certificate from an untrusted token may raise; it then counts for nothing."""


def timestamp_valid(stamp: Timestamp, trusted: Sequence[x509.Certificate]) -> bool:
    """Tell whether a trusted authority, or one it issued directly, signed the token."""
    attributes = {}
    try:
        for _, attribute, _ in der(der(stamp.signed)[0][1]):
            parts = der(attribute)
            attributes[parts[0][1].hex()] = der(parts[1][1])[0][1]
    except (IndexError, Malformed):
        return False
    if attributes.get(_CONTENT_TYPE, b"").hex() != _TST_INFO:
        return False
    if attributes.get(_MESSAGE_DIGEST) != hashlib.new(stamp.digest, stamp.content).digest():
        return False
    return any(_certificate_signed(stamp, one) for one in _signers(stamp, trusted))


def _signers(stamp: Timestamp, trusted: Sequence[x509.Certificate]) -> Iterator[x509.Certificate]:
    yield from trusted
    for raw in stamp.certificates:
        for issuer in trusted:
            try:
                certificate = x509.load_der_x509_certificate(raw)
                certificate.verify_directly_issued_by(issuer)
            except _UNUSABLE:
                continue
            yield certificate


def _certificate_signed(stamp: Timestamp, certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        fits = certificate.not_valid_before_utc <= stamp.time <= certificate.not_valid_after_utc
        if not fits or x509.oid.ExtendedKeyUsageOID.TIME_STAMPING not in usage:
            return False
        _verify(certificate.public_key(), stamp)
    except _UNUSABLE:
        return False
    return True


def _verify(key: object, stamp: Timestamp) -> None:
    digest = _ALGORITHMS[stamp.digest]
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(stamp.signature, stamp.signed, padding.PKCS1v15(), digest)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(stamp.signature, stamp.signed, ec.ECDSA(digest))
    elif isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(stamp.signature, stamp.signed)
    else:
        raise UnsupportedAlgorithm("neither RSA nor ECDSA nor Ed25519")


# --- the bundle -----------------------------------------------------------------------------

MEMBERS = {
    "manifest.json",
    "checkpoint",
    "checkpoints.jsonl",
    "entries.jsonl",
    "payloads.jsonl",
    "proofs.json",
    "related.jsonl",
    "keys.json",
    "report.html",
    "entries.csv",
    "countersign_verify.py",
    "README.txt",
}
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://countersign.dev/bundle/v1"
SCOPES = ("workspace", "range", "run", "search")
ENTRY_PROOF = "https://countersign.dev/entry-proof/v1"


class Bundle:
    """A bundle, as a ZIP file or a directory; members by fixed names only."""

    def __init__(self, path: Path) -> None:
        self._directory = path if path.is_dir() else None
        self._zip, self._problem = None, ""
        try:
            self._zip = None if self._directory else zipfile.ZipFile(path)
        except (NotImplementedError, ValueError, struct.error) as error:  # it is an archive
            self._problem = f"the archive's directory cannot be read: {error}"
        self._meters: list[_Meter] = []
        self.hashes: dict[str, tuple[int, str]] = {}

    def close(self) -> None:
        """Close what a failed check has left half read."""
        for meter in self._meters:
            meter.close()
        if self._zip:
            self._zip.close()

    def names(self) -> list[str]:
        """The members' names; whatever is no plain file is refused."""
        if self._problem:
            raise Malformed(self._problem)
        if self._zip:
            infos = self._zip.infolist()
            types = {stat.S_IFMT(info.external_attr >> 16) for info in infos}
            odd = any(info.flag_bits & 1 or info.external_attr & 0x10 for info in infos)
            if odd or not types <= {0, stat.S_IFREG}:
                raise Malformed("a member is encrypted, or no plain file")
            check_archive(self._zip)
            return [info.filename for info in infos]
        assert self._directory is not None  # noqa: S101 (one of the two is set)
        found = list(self._directory.iterdir())
        if not all(stat.S_ISREG(path.lstat().st_mode) for path in found):
            raise Malformed("a member is no plain file")
        return [path.name for path in found]

    def read(self, name: str, limit: int = 64 << 20) -> bytes:
        with self._open(name) as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise Malformed(f"{name} is too large")
        return data

    def lines(self, name: str, limit: int) -> Iterator[bytes]:
        """Yield lines without their newline; remembers size and hash of what was read."""
        meter = _Meter(self._open(name))
        self._meters.append(meter)
        with io.BufferedReader(meter, 1 << 20) as file:
            while line := file.readline(limit + 2):
                if line[-1] != 10 or len(line) > limit + 1:
                    raise Malformed(f"{name}: a line is too long or not ended")
                yield line[:-1]
        self.hashes[name] = meter.size, meter.hash.hexdigest()

    def measure(self, name: str) -> tuple[int, str]:
        """Return size and SHA-256 of a member, from memory where it was read as lines."""
        if name not in self.hashes:
            meter = _Meter(self._open(name))
            with io.BufferedReader(meter, 1 << 20) as file:
                while file.read(1 << 20):
                    pass
            self.hashes[name] = meter.size, meter.hash.hexdigest()
        return self.hashes[name]

    def _open(self, name: str) -> io.BufferedIOBase:
        if self._zip:
            return self._zip.open(name)  # type: ignore[return-value]
        assert self._directory is not None  # noqa: S101 (one of the two is set)
        return (self._directory / name).open("rb")


TAGS = {0x0001, 0x000A, 0x5455, 0x7875}
"""Extra fields that hold sizes, times and owners, and no other name."""


def check_archive(archive: zipfile.ZipFile) -> None:
    """Refuse an archive that other programs could read otherwise (§6).

    Programs find members by the directory at the end or by the headers before each; so both
    must say the same, and no byte may lie beside members and directory.
    """
    file, at = archive.fp, 0
    assert file is not None  # noqa: S101 (it is open)
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
        file.seek(info.header_offset)
        head = struct.unpack("<4s5H3L2H", file.read(30))
        name, extra = file.read(head[9]), file.read(head[10])
        known = [info.flag_bits, info.compress_type, info.CRC, info.compress_size, info.file_size]
        if info.header_offset != at or info.flag_bits & 8 or info.comment:
            raise Malformed(f"bytes that belong to no member stand beside {info.filename!r}")
        if [*head[2:4], head[6], *_sizes(head[7], head[8], extra)] != known:
            raise Malformed(f"{info.filename!r} has two headers that differ")
        if name.decode("ascii") != info.orig_filename or {*_tags(extra), *_tags(info.extra)} - TAGS:
            raise Malformed(f"{info.filename!r} has another name too, or hidden fields")
        at = file.tell() + info.compress_size
    directory = sum(46 + len(i.orig_filename) + len(i.extra) for i in archive.infolist())
    file.seek(at)
    end = file.read(directory + 100)[directory:]
    counts = (len(archive.infolist()),) * 2
    if at != archive.start_dir or not _ends(end, (0, 0, *counts, directory, at)):
        raise Malformed("bytes that belong to no member stand around the directory")


def _ends(end: bytes, known: tuple[int, ...]) -> bool:
    """Tell whether an archive ends as its directory asks for, in the ZIP64 form too."""
    mark, *told, comment = struct.unpack("<4s4H2LH", end[-22:])
    if mark != b"PK\5\6" or comment:
        return False
    if len(end) == 22:
        return tuple(told) == known
    wide = struct.unpack("<4sQ4x2L4Q", end[:56])
    place = struct.unpack("<4sLQL", end[56:76])
    return (
        len(end) == 98
        and wide == (b"PK\6\6", 44, *known)
        and place == (b"PK\6\7", 0, known[4] + known[5], 1)
        and all(a in (b, 0xFFFF, 0xFFFFFFFF) for a, b in zip(told, known, strict=True))
    )


def _sizes(packed: int, plain: int, extra: bytes) -> list[int]:
    """Sizes of a header before a member; large ones stand in its ZIP64 field."""
    if packed != 0xFFFFFFFF and plain != 0xFFFFFFFF:
        return [packed, plain]
    return list(struct.unpack("<4xQQ", extra))[::-1]


def _tags(extra: bytes) -> Iterator[int]:
    at = 0
    while at < len(extra):
        tag, length = struct.unpack_from("<HH", extra, at)
        yield tag
        at += 4 + length


class EntryFile(Bundle):
    """The proof of one entry (§11), in place of a bundle."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            data = file.read(MAX_PROOF + 1)
        if len(data) > MAX_PROOF:
            raise Malformed("too large for the proof of an entry")
        self.proof = strict_json(data)

    def close(self) -> None:
        """It is closed already."""

    @staticmethod
    def is_one(path: Path) -> bool:
        """Tell a proof from a bundle by its first byte."""
        if path.is_dir():
            return False
        with path.open("rb") as file:
            return file.read(1) == b"{"


class _Meter(io.RawIOBase):
    """Hashes and counts what passes through."""

    def __init__(self, file: io.BufferedIOBase) -> None:
        self._file = file
        self.hash = hashlib.sha256()
        self.size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        count = self._file.readinto(buffer)
        self.hash.update(memoryview(buffer)[:count])
        self.size += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


_UNREADABLE = (Malformed, AttributeError, KeyError, TypeError, ValueError)
"""What reading the specified form from values of another form raises."""
_DAMAGED = (
    OSError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    struct.error,
    RuntimeError,
)
"""What reading a member of a hostile archive raises."""


@dataclass(frozen=True)
class Finding:
    check: int
    sentence: str
    position: int | None = None


@dataclass
class Options:
    """What the verifier brings along."""

    policy: Policy
    seen: Sequence[Checkpoint] = ()
    authorities: Sequence[x509.Certificate] = ()
    max_age_s: float | None = None
    skew_s: float = SKEW_S
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    allow_open: bool = False


@dataclass(slots=True)
class Entry:
    """One disclosed entry."""

    position: int
    leaf: dict[str, Any]
    hash: bytes
    time: datetime


class Verifier:
    """Runs all checks over one bundle in one pass, in constant memory."""

    covers = frozenset(CHECKS)

    def __init__(self, bundle: Bundle, options: Options) -> None:
        self.bundle = bundle
        self.options = options
        self.findings: list[Finding] = []
        self.failed: Counter[int] = Counter()
        self.notes: list[str] = []
        self.counts = {"entries": 0, "withheld": 0, "payloads": 0, "erased": 0, "open_runs": 0}

    def find(self, check: str, sentence: str, position: int | None = None) -> None:
        number = NUMBER[check]
        self.failed[number] += 1
        if self.failed[number] <= MAX_SHOWN:
            self.findings.append(Finding(number, sentence, position))

    def not_asked(self) -> dict[int, str]:
        """Return the checks for which the verifier brought nothing: they say nothing."""
        options, idle = self.options, {}
        if options.policy.quorum == "none":
            idle[12] = "no quorum of witnesses was given (--policy)"
        if not options.authorities:
            idle[13] = "no certificate of an authority was given (--tsa)"
        if not options.seen and options.max_age_s is None:
            idle[17] = "no kept checkpoint (--seen) and no age (--max-age) was given"
        return idle

    def about(self) -> list[str]:
        """Say what was looked at, in the words of what was checked."""
        head, entries, predicate = self.checkpoint, self._entries, self.predicate
        scope = predicate["scope"]
        first, end = predicate["first"], predicate["end"]
        shown = {
            "workspace": "the whole log",
            "range": "every entry of these positions, none before or after",
            "run": f"the run {scope.get('run')}; all else as hashes",
            "search": "what a search found, as the exporter says; all else as hashes",
        }[scope["kind"]]
        payloads = "shown" if predicate["payloads"] else "not shown"
        return [
            f"log        {head.origin}",
            f"checkpoint {head.size} entries, root {head.root.hex()}",
            f"shown      {shown}",
            f"positions  {first} to {end - 1} of 0 to {head.size - 1}",
            f"times      {entries.first_time} to {entries.last_time}",
            f"payloads   {payloads}",
        ]

    def run(self) -> int:
        """Return the number of the first failed check, or 0."""
        # Entries make no reference cycles; looking for some doubles the time (measured).
        collecting = gc.isenabled()
        gc.disable()
        try:
            self._run()
        except _UNREADABLE as error:
            self.find("container", f"the bundle cannot be read: {error}")
        except _DAMAGED as error:
            self.find("container", f"the bundle is damaged: {error}")
        finally:
            self.bundle.close()
            if collecting:
                gc.enable()
        return min(self.failed, default=0)

    def _run(self) -> None:
        names = self.bundle.names()
        self.checkpoint = Checkpoint.parse(self.bundle.read("checkpoint").decode())
        self.predicate, files = self._manifest(names)
        self._check_signature()
        outside = self._outside_times()
        earlier = self._earlier()
        self._entries = _Entries(self, outside, earlier)
        self._entries.run()
        self._freshness(outside)
        for name, (size, digest) in files.items():
            if self.bundle.measure(name) != (size, digest):
                self.find("container", f"{name} is not the file the manifest names")

    # (10) container
    def _manifest(self, names: list[str]) -> tuple[dict[str, Any], dict[str, tuple[int, str]]]:
        envelope = strict_json(self.bundle.read("manifest.json"))
        payload = unbase64(envelope["payload"])
        kind = envelope["payloadType"]
        signed = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
        keys = [key for key in self.options.policy.logs if key.name == self.checkpoint.origin]
        if kind != PAYLOAD_TYPE or not any(
            key.verifies(unbase64(signature["sig"]), signed)
            for signature in envelope["signatures"]
            for key in keys
        ):
            self.find("container", "no key of yours signed the manifest")
        statement = strict_json(payload)
        if (statement["_type"], statement["predicateType"]) != (STATEMENT, PREDICATE):
            raise Malformed("not a Countersign bundle of version 1")
        predicate = statement["predicate"]
        self._check_predicate(predicate)
        listed, sizes = statement["subject"], predicate["sizes"]
        files = {
            one["name"]: (whole(sizes[one["name"]]), one["digest"]["sha256"]) for one in listed
        }
        if len(files) != len(listed) or files.keys() != sizes.keys():
            raise Malformed("the manifest lists files twice, or sizes of others")
        if len(set(names)) != len(names) or set(names) != {*files, "manifest.json"}:
            odd = sorted(set(names) ^ {*files, "manifest.json"})
            self.find("container", f"the files are not those of the manifest: {odd}")
        if not set(names) <= MEMBERS:
            self.find("container", f"unknown files: {sorted(set(names) - MEMBERS)}")
        return predicate, files

    def _check_predicate(self, predicate: dict[str, Any]) -> None:
        """The manifest speaks of the checkpoint's tree, and of a scope that is known."""
        head = self.checkpoint
        told = (predicate["origin"], predicate["size"], predicate["root"])
        same = told == (head.origin, head.size, head.root.hex())
        if not same or not head.origin.endswith(f"/{predicate['workspace']}"):
            self.find("container", "manifest and checkpoint name different logs")
        scope = predicate["scope"]
        if scope["kind"] not in SCOPES or (scope["kind"] == "run" and not _UUID(scope["run"])):
            raise Malformed("the manifest names no known scope")
        if not isinstance(predicate["payloads"], bool):
            raise Malformed("the manifest does not say whether payloads are shown")

    # (11) signature
    def _check_signature(self) -> None:
        if not any(self.checkpoint.signed_by(key) for key in self.options.policy.logs):
            self.find("signature", f"no key of yours signed {self.checkpoint.origin}'s checkpoint")
        policy = self.options.policy
        # (12) cosignatures
        names = {
            name
            for name, key in policy.witnesses.items()
            if self.checkpoint.cosigned_at(key) is not None
        }
        if policy.quorum != "none" and not policy.satisfied(names, policy.quorum):
            self.find(
                "cosignatures", f"the quorum {policy.quorum} is not met by {sorted(names) or 'any'}"
            )

    def _outside_times(self) -> list[tuple[int, datetime, str]]:
        """(13) Return (tree size, time, by whom) of all that others dated."""
        found = list(self._cosigned(self.checkpoint))
        stamps = 0
        for line in self.bundle.lines("checkpoints.jsonl", 4 << 20):
            item = strict_json(line)
            if item.keys() != {"note", "timestamps"}:
                raise Malformed("checkpoints.jsonl: fields other than note and timestamps")
            checkpoint = Checkpoint.parse(item["note"])
            found += self._cosigned(checkpoint)
            for text in item["timestamps"]:
                stamp = self._stamp(checkpoint, unbase64(text))
                if stamp is not None:
                    found.append((checkpoint.size, stamp, "time stamp"))
                    stamps += 1
        if self.options.authorities and not stamps:
            self.find("timestamps", "no time stamp of an authority of yours is in the bundle")
        return sorted(found, key=lambda item: item[:2])

    def _cosigned(self, checkpoint: Checkpoint) -> Iterator[tuple[int, datetime, str]]:
        for name, key in self.options.policy.witnesses.items():
            seconds = checkpoint.cosigned_at(key)
            if seconds is not None:
                yield checkpoint.size, datetime.fromtimestamp(seconds, UTC), name

    def _stamp(self, checkpoint: Checkpoint, response: bytes) -> datetime | None:
        if not self.options.authorities:
            return None
        try:
            stamp = parse_timestamp(response)
        except Malformed as error:
            self.find("timestamps", f"size {checkpoint.size}: {error}")
            return None
        if stamp.imprint != _sha256(checkpoint.text).digest():
            self.find("timestamps", f"a time stamp is not that of size {checkpoint.size}")
        elif not timestamp_valid(stamp, self.options.authorities):
            self.find("timestamps", f"no authority of yours stamped size {checkpoint.size}")
        else:
            return stamp.time
        return None

    def _earlier(self) -> list[tuple[int, bytes, str]]:
        """Return (size, root, whence) of every checkpoint the tree must have grown out of."""
        size = self.checkpoint.size
        found = []
        for seen in self.options.seen:
            if seen.origin != self.checkpoint.origin:
                self.find("consistency", f"--seen is of another log: {seen.origin}")
            elif seen.size <= size:  # of larger ones (17) speaks
                found.append((seen.size, seen.root, "the checkpoint you kept"))
            if not any(seen.signed_by(key) for key in self.options.policy.logs):
                self.notes.append(f"the kept checkpoint of size {seen.size} has no known signature")
        for line in self.bundle.lines("checkpoints.jsonl", 4 << 20):
            inside = Checkpoint.parse(strict_json(line)["note"])
            if inside.origin == self.checkpoint.origin and any(
                inside.signed_by(key) for key in self.options.policy.logs
            ):
                found.append((inside.size, inside.root, "a checkpoint in the bundle"))
            else:
                self.find(
                    "signature", f"the bundle's checkpoint of size {inside.size} is not yours"
                )
        return found

    # (17) freshness
    def _freshness(self, outside: Sequence[tuple[int, datetime, str]]) -> None:
        size = self.checkpoint.size
        for seen in self.options.seen:
            if seen.size > size:
                self.find("freshness", f"you kept a checkpoint of {seen.size}, this one has {size}")
        if self.options.max_age_s is None:
            return
        times = [time for known, time, _ in outside if known == size]
        newest = max(times, default=self._entries.last_time)
        if newest is None or (self.options.now - newest).total_seconds() > self.options.max_age_s:
            self.find("freshness", f"the newest time is {newest}, older than you allow")


class EntryVerifier(Verifier):
    """Checks the proof of one entry (§11): what can be said of it without its neighbours."""

    covers = frozenset({10, 11, 12, 13, 15, 16, 17, 18, 22})

    def __init__(self, file: EntryFile, options: Options) -> None:
        super().__init__(file, options)
        self.proof = file.proof

    def _run(self) -> None:
        proof = self.proof
        if proof.keys() != {"format", "leaf", "position", "path", "checkpoint", "timestamps"}:
            raise Malformed("the fields are not those of the proof of an entry")
        if proof["format"] != ENTRY_PROOF:
            raise Malformed("not the proof of an entry, version 1")
        self.checkpoint = Checkpoint.parse(proof["checkpoint"])
        self._check_signature()
        stamps = [self._stamp(self.checkpoint, unbase64(text)) for text in proof["timestamps"]]
        if self.options.authorities and not stamps:
            self.find("timestamps", "no time stamp of an authority of yours is in the proof")
        times = [time for _, time, _ in self._cosigned(self.checkpoint)]
        times += [time for time in stamps if time is not None]
        leaf, position = proof["leaf"].encode(), whole(proof["position"])
        size, root = self.checkpoint.size, self.checkpoint.root
        if not included(leaf_hash(leaf), position, size, unhex(proof["path"]), root):
            self.find("inclusion", "the entry does not lead to the checkpoint's root", position)
        self._entry(leaf, position, times)
        self._kept(times)
        self.counts["entries"] = 1

    def about(self) -> list[str]:
        head = self.checkpoint
        return [
            f"log        {head.origin}",
            f"checkpoint {head.size} entries, root {head.root.hex()}",
            f"shown      the entry at position {self.proof['position']}",
        ]

    def _entry(self, leaf: bytes, position: int, times: Sequence[datetime]) -> None:
        try:
            _, time = read_leaf(leaf, self.checkpoint.origin.rpartition("/")[2])
        except (Malformed, AttributeError, KeyError, TypeError) as error:
            self.find("form", str(error), position)
            return
        ceiling = min([*times, self.options.now])
        if time > ceiling + timedelta(seconds=self.options.skew_s):
            self.find("times", f"{time} is newer than the tree that holds it ({ceiling})", position)

    def _kept(self, times: Sequence[datetime]) -> None:
        """(16, 17) Hold the checkpoint against those the verifier kept, and its age."""
        for seen in self.options.seen:
            if seen.origin != self.checkpoint.origin:
                self.find("consistency", f"--seen is of another log: {seen.origin}")
            elif seen.size > self.checkpoint.size:
                self.find("freshness", f"you kept a checkpoint of {seen.size} entries")
            elif seen.size < self.checkpoint.size:
                self.notes.append(f"a bundle must show that the tree grew out of size {seen.size}")
            elif seen.root != self.checkpoint.root:
                self.find("consistency", f"you kept another root of size {seen.size}")
        age, newest = self.options.max_age_s, max(times, default=None)
        if age is not None and (
            newest is None or (self.options.now - newest).total_seconds() > age
        ):
            self.find("freshness", f"the newest outside time is {newest}, older than you allow")


ACCOUNTS = ("subject.erased", "payloads.expired", "key.rotated")


class _Entries:
    """The pass over entries and payloads: checks 14 to 16 and 18 to 23."""

    def __init__(
        self,
        verifier: Verifier,
        outside: Sequence[tuple[int, datetime, str]],
        earlier: Sequence[tuple[int, bytes, str]],
    ) -> None:
        self.v = verifier
        self.find = verifier.find
        self.first = whole(verifier.predicate["first"])
        self.end = whole(verifier.predicate["end"])
        self.proofs = strict_json(verifier.bundle.read("proofs.json"))
        if self.proofs.keys() != {"left", "right", "consistency"}:
            raise Malformed("proofs.json has other fields than left, right, consistency")
        if not all(re.fullmatch("0|[1-9][0-9]*", size) for size in self.proofs["consistency"]):
            raise Malformed("proofs.json: a size is no decimal number")
        self.tree = self._left_edge(unhex(self.proofs["left"]))
        self.workspace = str(verifier.predicate["workspace"])
        self.first_time: datetime | None = None
        self.last_time: datetime | None = None
        self.payloads = _Payloads(verifier)
        self.times = _Times(verifier, outside)
        self.scope = verifier.predicate["scope"]
        self.runs: dict[int, bytes] = {}
        """run → hash of its last entry (32 bytes) and its number (8 bytes); compact, there
        are many."""
        self.partial: set[str] = set()
        self.accounts: set[int] = set()
        """Positions of the related entries."""
        self.twice: list[int] = []
        self.seen = _Seen(int(2000 * verifier.options.skew_s))
        self.expected: dict[int, list[tuple[bytes, str]]] = {}
        every = self.scope["kind"] in ("workspace", "range")
        self.lifecycle = Lifecycle(
            verifier.find, complete=self.first == 0 and every, shows_requests=every
        )
        for size, root, whence in earlier:
            self.expected.setdefault(size, []).append((root, whence))

    def run(self) -> None:
        self._smaller()
        self._related()
        position = self.first
        self._compare(position)
        for line in self.v.bundle.lines("entries.jsonl", MAX_LEAF):
            if line[:1] == b'"':
                self._withheld(line, position)
            else:
                self._entry(line, position)
            position += 1
            if position in self.expected:
                self._compare(position)
        self._complete(position)
        self._root(position)
        self._ends()
        self.payloads.finish()

    def _left_edge(self, peaks: list[bytes]) -> Tree:
        """(15) A list of another length is the edge of no tree of this size."""
        wanted = self.first.bit_count()
        if len(peaks) != wanted:
            self.find("inclusion", "the left edge does not fit the range's first position")
        return Tree(self.first, [*peaks, *[EMPTY] * wanted][:wanted])

    # (16) consistency
    def _smaller(self) -> None:
        """Checkpoints before the range: by proof, the entries are not here."""
        for size in sorted(size for size in self.expected if size < self.first):
            path = unhex(self.proofs["consistency"].get(str(size), []))
            for root, whence in self.expected.pop(size):
                checkpoint = self.v.checkpoint
                if not consistent(size, checkpoint.size, root, checkpoint.root, path):
                    self.find("consistency", f"the tree did not grow out of {whence} ({size})")

    def _compare(self, size: int) -> None:
        for root, whence in self.expected.pop(size, []):
            if root != self.tree.root():
                self.find("consistency", f"the tree did not grow out of {whence} ({size})")

    def _larger(self) -> None:
        checkpoint = self.v.checkpoint
        for size, roots in self.expected.items():
            for root, whence in roots:
                path = unhex(self.proofs["consistency"].get(str(size), []))
                if not consistent(size, checkpoint.size, root, checkpoint.root, path):
                    self.find("consistency", f"the tree did not grow out of {whence} ({size})")

    def _withheld(self, line: bytes, position: int) -> None:
        if not re.fullmatch(rb'"[0-9a-f]{64}"', line):
            raise Malformed(f"position {position}: neither an entry nor a hash")
        if self.scope["kind"] in ("workspace", "range"):
            self.find("completeness", "the entry is only a hash", position)
        self.tree.append(bytes.fromhex(line[1:-1].decode()))
        self.v.counts["withheld"] += 1

    def _entry(self, line: bytes, position: int) -> None:
        digest = leaf_hash(line)
        self.tree.append(digest)
        self.v.counts["entries"] += 1
        entry = self._form(line, position, digest)
        if entry is None:
            return
        leaf = entry.leaf
        self.first_time = self.first_time or entry.time
        self.last_time = entry.time
        self._once(entry)
        self.times.check(entry)
        if "run" in leaf:
            self._order(entry)
        self.payloads.check(entry)
        if entry.position in self.accounts:
            self.twice.append(position)
        if leaf.get("run") not in self.partial:
            self.lifecycle.check(entry)

    # (18) form
    def _form(self, line: bytes, position: int, digest: bytes) -> Entry | None:
        try:
            leaf, time = read_leaf(line, self.workspace)
            return Entry(position, leaf, digest, time)
        except (Malformed, AttributeError, KeyError, TypeError) as error:
            self.find("form", str(error), position)
            return None

    # (14) completeness: none twice
    def _once(self, entry: Entry) -> None:
        if self.seen.again(entry.leaf["id"]):
            self.find("completeness", f"{entry.leaf['id']} is there twice", entry.position)

    # (19) order
    def _order(self, entry: Entry) -> None:
        leaf = entry.leaf
        run, number = leaf["run"], leaf["run_seq"]
        key = number_of(run)
        head = self.runs.get(key, b"")
        self.runs[key] = entry.hash + number.to_bytes(8, "big")
        seq = int.from_bytes(head[32:], "big")
        if number == seq + 1 and leaf.get("prev", "") == head[:32].hex():
            return
        if number == seq + 1 and seq:
            self.find("order", f"run {run}: entry {number} links elsewhere", entry.position)
        elif self._may_lack(run, seq) and number > seq:
            self.partial.add(run)
        else:
            self.find("order", f"run {run}: entry {number} follows {seq}", entry.position)

    def _may_lack(self, run: str, seq: int) -> bool:
        """Tell whether the bundle may leave out entries of the run before this one."""
        kind = self.scope["kind"]
        if kind == "range":
            return self.first > 0 and seq == 0
        return kind == "search" or (kind == "run" and bool(self.scope["run"] != run))

    def _related(self) -> None:
        """Entries outside the range, each with its own proof (§6.6)."""
        checkpoint = self.v.checkpoint
        for line in self.v.bundle.lines("related.jsonl", 4 << 20):
            item = strict_json(line)
            if item.keys() != {"i", "leaf", "path"}:
                raise Malformed("related.jsonl: fields other than i, leaf, path")
            raw = item["leaf"].encode()
            position = whole(item["i"])
            path = unhex(item["path"])
            if not included(leaf_hash(raw), position, checkpoint.size, path, checkpoint.root):
                self.find("inclusion", "a related entry is not in the tree", position)
                continue
            entry = self._form(raw, position, leaf_hash(raw))
            if entry is None:
                continue
            if entry.leaf["action"] not in ACCOUNTS:
                self.find("form", "a related entry accounts for no other", position)
            if position in self.accounts:
                self.find("completeness", "the entry is there twice", position)
            self.accounts.add(position)
            self.payloads.note(entry, later=True)

    # (14) completeness
    def _complete(self, position: int) -> None:
        scope = self.scope
        size = self.v.checkpoint.size
        if position != self.end or not self.first < self.end <= size:
            self.find(
                "completeness",
                f"positions {self.first} to {position} are there, {self.end} were promised",
            )
        if scope["kind"] == "workspace" and (self.first, self.end) != (0, size):
            self.find("completeness", f"a whole log has {size} entries, here are {position}")
        if not self.v.counts["entries"]:
            self.find("completeness", "the bundle shows no entry")
        for repeated in self.twice:
            self.find("completeness", "the entry is there twice", repeated)

    # (15) inclusion
    def _root(self, position: int) -> None:
        checkpoint = self.v.checkpoint
        path = unhex(self.proofs["right"])
        if not consistent(position, checkpoint.size, self.tree.root(), checkpoint.root, path):
            self.find("inclusion", f"the entries do not make up the tree of {checkpoint.size}")
        self._larger()

    # (19) a run asked for must be shown to its end, or said to be open
    def _ends(self) -> None:
        scope = self.scope
        self.v.counts["open_runs"] = len(self.lifecycle.open_runs())
        if scope["kind"] == "run":
            run = scope["run"]
            if number_of(run) not in self.runs:
                self.find("completeness", f"run {run} is not in the bundle")
            elif not self.lifecycle.has_ended(run) and not self.v.options.allow_open:
                self.find("order", f"run {run} is shown without its end (--allow-open accepts it)")


class _Seen:
    """Remembers ids as long as times may differ, in eight bytes each.

    An id holds its time, so a repeated entry repeats the time too.
    """

    def __init__(self, window_ms: int) -> None:
        self._window = (window_ms >> 4) + 1
        self._buckets: dict[int, array[int]] = {}
        self._order: deque[int] = deque()

    def again(self, identity: str) -> bool:
        """Tell whether the id was there before, and remember it."""
        stamp = int(identity[:8] + identity[9:13], 16) >> 4
        rest = int(identity[19:23] + identity[24:], 16)
        bucket = self._buckets.get(stamp)
        if bucket is None:
            self._buckets[stamp] = array("Q", [rest])
            self._order.append(stamp)
            while self._order[0] < stamp - self._window:
                del self._buckets[self._order.popleft()]
            return False
        if rest in bucket:
            return True
        bucket.append(rest)
        return False


class _Times:
    """(22) Times rise within the skew, and fit what others dated."""

    def __init__(self, verifier: Verifier, outside: Sequence[tuple[int, datetime, str]]) -> None:
        self.find = verifier.find
        self.skew = timedelta(seconds=verifier.options.skew_s)
        self.highest = datetime.fromtimestamp(0, UTC)
        self.now = verifier.options.now
        # After position `size` nothing is older, before it nothing newer.
        self.floors = list(outside)
        self.ceilings = self._tightest(outside)
        self.floor = self.highest

    @staticmethod
    def _tightest(outside: Sequence[tuple[int, datetime, str]]) -> list[tuple[int, datetime]]:
        """Return (size, earliest outside time of that or a larger tree), by size."""
        found: list[tuple[int, datetime]] = []
        earliest: datetime | None = None
        for size, time, _ in reversed(outside):
            earliest = time if earliest is None else min(earliest, time)
            found.append((size, earliest))
        return found[::-1]

    def check(self, entry: Entry) -> None:
        time, position = entry.time, entry.position
        while self.floors and self.floors[0][0] <= position:
            self.floor = max(self.floor, self.floors.pop(0)[1])
        while self.ceilings and self.ceilings[0][0] <= position:
            self.ceilings.pop(0)
        if time < self.highest - self.skew:
            self.find("times", f"{time} comes after {self.highest}", position)
        if time < self.floor - self.skew:
            self.find("times", f"{time} is older than the tree before it ({self.floor})", position)
        ceiling = min(self.ceilings[0][1], self.now) if self.ceilings else self.now
        if time > ceiling + self.skew:
            self.find("times", f"{time} is newer than the tree that holds it ({ceiling})", position)
        if time > self.highest:
            self.highest = time


_SHOWN = {"i", "name", "salt", "data"}
_HIDDEN = {"i", "name", "state"}


class _Payloads:
    """(20, 21) Payloads, in the order of their entries."""

    def __init__(self, verifier: Verifier) -> None:
        self.v = verifier
        self._lines = verifier.bundle.lines("payloads.jsonl", MAX_PAYLOAD_LINE)
        self._next = self._read()
        self._erased: dict[str, int] = {}
        """Key → position of the last related entry that erased it."""
        self._expired: datetime | None = None
        self._claimed: dict[str, int] = {}
        """Key → position of the first payload since which nothing erased it."""
        self._outlived: list[tuple[int, datetime]] = []
        self._disclosing = bool(verifier.predicate["payloads"])

    def _read(self) -> dict[str, Any] | None:
        line = next(self._lines, None)
        if line is None:
            return None
        item = strict_json(line)
        if item.keys() not in (_SHOWN, _HIDDEN) or not isinstance(item["name"], str):
            raise Malformed("payloads.jsonl: not the fields of a payload")
        whole(item["i"])
        if "state" not in item:
            item["salt"], item["data"] = unbase64(item["salt"]), unbase64(item["data"])
        return item

    def check(self, entry: Entry) -> None:
        self.note(entry)
        committed = entry.leaf.get("payloads")
        if committed is None and self._next is None:
            return
        wanted = dict(committed or {})
        while self._next is not None and whole(self._next["i"]) <= entry.position:
            item = self._next
            self._next = self._read()
            name = item["name"]
            if item["i"] != entry.position or name not in wanted:
                self.v.find("payloads", f"payload {name!r} has no commitment", whole(item["i"]))
                continue
            self._one(entry, item, wanted.pop(name))
        for name in wanted:
            self.v.find("erasures", f"payload {name!r} is missing without a word", entry.position)

    def note(self, entry: Entry, *, later: bool = False) -> None:
        """Remember what an erasure or expiry entry accounts for: what was there before it.

        Related entries (`later`) are read before all others.
        """
        detail = entry.leaf.get("detail", {})
        keys, before = detail.get("keys"), detail.get("before")
        if entry.leaf["action"] == "subject.erased" and isinstance(keys, list):
            for key in keys:
                if isinstance(key, str) and later:
                    self._erased[key] = max(entry.position, self._erased.get(key, 0))
                elif isinstance(key, str):
                    self._claimed.pop(key, None)
        elif entry.leaf["action"] == "payloads.expired" and isinstance(before, str):
            expired = _moment(before)
            if expired is not None and expired <= entry.time:
                self._expired = max(expired, self._expired or expired)

    def _one(self, entry: Entry, item: dict[str, Any], commitment: dict[str, Any]) -> None:
        state = item.get("state", "disclosed")
        if state == "disclosed":
            salt, data = item["salt"], item["data"]
            digest = hmac.new(salt, data, hashlib.sha256).hexdigest()
            # HMAC pads its key with zeros, so salts of other lengths may give the same.
            fits = len(salt) == 32 and len(data) == commitment["length"]
            if not fits or digest != commitment["commitment"] or not self._disclosing:
                self.v.find(
                    "payloads", f"{item['name']!r} is not what was recorded", entry.position
                )
            self.v.counts["payloads"] += 1
        elif state == "erased":
            self.v.counts["erased"] += 1
            if entry.position >= self._erased.get(commitment["key"], 0):
                self._claimed.setdefault(commitment["key"], entry.position)
        elif state == "expired":
            self.v.counts["erased"] += 1
            if not self._outlived or entry.time > self._outlived[-1][1]:
                self._outlived = [(entry.position, entry.time)]
        elif state != "withheld" or self._disclosing:
            self.v.find("erasures", f"nothing accounts for a payload {state!r}", entry.position)

    def finish(self) -> None:
        if self._next is not None:
            self.v.find("payloads", "payloads without an entry", whole(self._next["i"]))
            while self._next is not None:
                self._next = self._read()
        for key, position in self._claimed.items():
            self.v.find("erasures", f"no later entry records the erasure of key {key}", position)
        for position, time in self._outlived:
            if self._expired is None or time >= self._expired:
                self.v.find("erasures", "no entry records the expiry of the payload", position)


# --- (18) form ------------------------------------------------------------------------------

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII).fullmatch
_HASH = re.compile("[0-9a-f]{64}").fullmatch
_UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch
_TRACE = re.compile("[0-9a-f]{32}").fullmatch
_ACTION = re.compile(r"[a-z]+(?:_[a-z]+)*\.[a-z]+(?:_[a-z]+)*").fullmatch


def _refuse(text: str) -> NoReturn:
    raise Malformed(f"the number {text} is not allowed")


_decoder = json.JSONDecoder(parse_float=_refuse, parse_constant=_refuse)


def read_leaf(line: bytes, workspace: str) -> tuple[dict[str, Any], datetime]:
    """Parse one leaf, check its form (§3) and its fields (§4); return it and its time.

    Nearly every leaf has the plain shape, which tells its form without parsing it whole.
    What has not, or is not right inside, is read the long way, which also says why.
    """
    if len(line) <= PLAIN:
        try:
            match = _PLAIN(line.decode())
            if match is not None:
                return _plain(match, workspace)
        except (ValueError, Malformed):
            pass
    leaf = canonical(line)
    return leaf, check_fields(leaf, workspace)


def canonical(line: bytes) -> dict[str, Any]:
    """Parse one leaf; it must be the canonical form of what it says (§3)."""
    if len(line) > MAX_LEAF:
        raise Malformed("the entry is longer than 65,535 bytes")
    try:
        return _object(line.decode(), 0)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"the entry is not JSON: {error}") from error


def _object(text: str, depth: int) -> dict[str, Any]:
    """Parse an object in canonical form, which stands `depth` levels deep."""
    value, end = _decoder.raw_decode(text)
    # Equality with the sorted, compact form excludes duplicate keys and other spellings.
    if not isinstance(value, dict) or end != len(text) or _encode(value) != text:
        raise Malformed("the entry is not in canonical form")
    # The rest of the profile needs a walk only where the text gives reason to.
    if (
        not text.isascii()
        or "null" in text
        or "\\u" in text
        or '"":' in text
        or text.count("{") + text.count("[") > 32 - depth
    ):
        _walk(value, depth)
    return value


def _walk(value: object, depth: int) -> None:
    if value is None or (depth >= 32 and isinstance(value, dict | list)):
        raise Malformed("null, or nested too deeply")
    if isinstance(value, str) and "\x00" in value:
        raise Malformed("U+0000 in text")
    if isinstance(value, list):
        for item in value:
            _walk(item, depth + 1)
    if isinstance(value, dict):
        for key, item in value.items():
            if not key or not key.isascii() or "\x00" in key:
                raise Malformed("a key is not ASCII text")
            _walk(item, depth + 1)


def strict_json(data: bytes) -> dict[str, Any]:
    """Parse an object of the bundle itself; duplicate keys are refused."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise Malformed("a key stands twice")
        return dict(pairs)

    try:
        value = json.loads(
            data.decode(), object_pairs_hook=unique, parse_float=_refuse, parse_constant=_refuse
        )
    except RecursionError:
        raise Malformed("nested too deeply") from None
    if not isinstance(value, dict):
        raise Malformed("not an object")
    return value


_actions: set[str] = set()
_REQUIRED = {"v", "id", "time", "workspace", "actor", "action", "subject"}
_OPTIONAL = {"on_behalf_of", "run", "run_seq", "prev", "detail", "payloads", "trace"}
_ALLOWED = _REQUIRED | _OPTIONAL
_accepted: set[tuple[str, ...]] = set()
"""Combinations of fields found right before; keys are sorted, so there are few."""
_ACTOR = {"type", "id", "name"}
_SUBJECT = {"type", "id"}
_SUBJECT_VERSION = {"type", "id", "version"}
_COMMITMENT = {"commitment", "key", "length", "media"}
_MEDIA = {"text/plain", "application/json", "application/octet-stream"}
_KINDS = {"user", "service", "agent", "system"}


_TEXT = r'"([^"\\\x00-\x1f]*)"'
_HEX = "[0-9a-f]"
_ID = f"({_HEX}{{8}}(?:-{_HEX}{{4}}){{3}}-{_HEX}{{12}})"
_PARTY = rf'\{{"id":{_TEXT},"name":{_TEXT},"type":{_TEXT}\}}'
_PLAIN = re.compile(
    r'\{"action":"([a-z]+(?:_[a-z]+)*\.[a-z]+(?:_[a-z]+)*)"'
    rf',"actor":{_PARTY}'
    r'(?:,"detail":(\{.*?\}))?'
    rf',"id":"{_ID}"'
    rf'(?:,"on_behalf_of":{_PARTY})?'
    r'(?:,"payloads":(\{.*?\}))?'
    rf'(?:(?:,"prev":"({_HEX}{{64}})")?,"run":"{_ID}","run_seq":([1-9][0-9]{{0,14}}))?'
    rf',"subject":\{{"id":{_TEXT},"type":{_TEXT}(?:,"version":{_TEXT})?\}}'
    r',"time":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)"'
    rf'(?:,"trace":"({_HEX}{{32}})")?'
    rf',"v":1,"workspace":"{_ID}"\}}',
    re.ASCII,
).fullmatch
"""A leaf of plain texts. Its keys stand sorted and once, nothing stands between tokens, and
no text holds what is to be escaped; so it is canonical if `detail` and `payloads` are. These
two may end elsewhere than where the pattern thinks: then they do not parse."""
PLAIN = 4096
"""Bytes; in longer ones looking for the two ends could take long."""


def _plain(match: re.Match[str], workspace: str) -> tuple[dict[str, Any], datetime]:
    """Return the leaf of a match and its time; raises where the long way must decide."""
    # fmt: off
    (action, actor_id, actor_name, actor_type, detail, identity, for_id, for_name, for_type,
     payloads, prev, run, seq, subject_id, subject_type, version, time, trace,
     place) = match.groups()
    # fmt: on
    leaf: dict[str, Any] = {
        "action": action,
        "actor": {"id": actor_id, "name": actor_name, "type": actor_type},
        "id": identity,
        "subject": {"id": subject_id, "type": subject_type},
        "time": time,
        "v": 1,
        "workspace": place,
    }
    if run is not None:
        leaf["run"], leaf["run_seq"] = run, int(seq)
        if prev is not None:
            leaf["prev"] = prev
        if (prev is None) != (seq == "1"):
            raise Malformed("the link to the run is malformed")
    if detail is not None:
        leaf["detail"] = _object(detail, 1)
        _bounded(leaf["detail"])
    if payloads is not None:
        leaf["payloads"] = _object(payloads, 1)
        _check_commitments(leaf["payloads"])
    if for_id is not None:
        leaf["on_behalf_of"] = {"id": for_id, "name": for_name, "type": for_type}
    if version is not None:
        leaf["subject"]["version"] = version
    if trace is not None:
        leaf["trace"] = trace
    if actor_type not in _KINDS or (for_type is not None and for_type not in _KINDS):
        raise Malformed("an actor is of an unknown type")
    if place != workspace:
        raise Malformed("it belongs to another workspace")
    return leaf, _check_identity(identity, time)


def check_fields(leaf: dict[str, Any], workspace: str) -> datetime:
    """Refuse missing, unknown and ill-typed fields (§4); return the entry's time."""
    fields = tuple(leaf)
    if fields not in _accepted:
        odd = sorted((leaf.keys() - _ALLOWED) | (_REQUIRED - leaf.keys()))
        if odd:
            raise Malformed(f"fields missing or unknown: {odd}")
        _accepted.add(fields)
    if type(leaf["v"]) is not int or leaf["v"] != 1:
        raise Malformed(f"version {leaf['v']!r} is unknown")
    if leaf["workspace"] != workspace:
        raise Malformed("it belongs to another workspace")
    _texts(leaf["actor"], _ACTOR)
    subject = leaf["subject"]
    _texts(subject, _SUBJECT_VERSION if len(subject) == 3 else _SUBJECT)
    if "on_behalf_of" in leaf:
        _texts(leaf["on_behalf_of"], _ACTOR)
    if leaf["action"] not in _actions and not _new_action(leaf["action"]):
        raise Malformed("the action is malformed")
    _check_link(leaf)
    if "detail" in leaf:
        if not isinstance(leaf["detail"], dict):
            raise Malformed("detail is not an object")
        _bounded(leaf["detail"])
    if "payloads" in leaf:
        _check_commitments(leaf["payloads"])
    if "trace" in leaf and not _TRACE(leaf["trace"]):
        raise Malformed("the trace is malformed")
    if not _UUID(leaf["id"]) or not _TIME(leaf["time"]):
        raise Malformed("id or time is malformed")
    return _check_identity(leaf["id"], leaf["time"])


def _new_action(action: str) -> bool:
    if not _ACTION(action):
        return False
    if len(_actions) < 1000:
        _actions.add(action)
    return True


def _bounded(value: dict[str, Any] | list[Any]) -> None:
    """Refuse integers that not every JSON parser can hold."""
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, int):
            if not -MAX_INTEGER <= item <= MAX_INTEGER:
                raise Malformed("an integer is too large")
        elif isinstance(item, dict | list):
            _bounded(item)


def _check_commitments(found: dict[str, Any]) -> None:
    for commitment in found.values():
        if (
            commitment.keys() != _COMMITMENT
            or not _HASH(commitment["commitment"])
            or not _UUID(commitment["key"])
            or commitment["media"] not in _MEDIA
        ):
            raise Malformed("a payload's commitment is malformed")
        whole(commitment["length"])


def _moment(text: str) -> datetime | None:
    """Read a time as entries write it (§4)."""
    try:
        return datetime.fromisoformat(text) if _TIME(text) and text[11:13] < "24" else None
    except ValueError:
        return None


def _check_identity(identity: str, text: str) -> datetime:
    """The id is a UUID of version 7 made at the entry's time."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise Malformed("the time does not exist") from error
    if text[11:13] == "24":  # which some versions of Python take for the next day's start
        raise Malformed("the time does not exist")
    stamp = int(identity[:8] + identity[9:13], 16)
    if (
        identity[14] != "7"
        or identity[19] not in "89ab"
        or stamp != int(time.timestamp() * 1_000_000 + 0.5) // 1000
    ):
        raise Malformed("the id was not made at the entry's time")
    return time


def _check_link(leaf: dict[str, Any]) -> None:
    if "run" not in leaf:
        if "run_seq" in leaf or "prev" in leaf:
            raise Malformed("a link without a run")
        return
    seq = whole(leaf.get("run_seq"))
    if seq < 1 or not _UUID(leaf["run"]) or (seq > 1) != ("prev" in leaf):
        raise Malformed("the link to the run is malformed")
    if seq > 1 and not _HASH(leaf["prev"]):
        raise Malformed("prev is not a hash")


def _texts(value: object, keys: set[str]) -> None:
    if not isinstance(value, dict) or value.keys() != keys:
        raise Malformed("actor or subject has unknown fields")
    for item in value.values():
        if not isinstance(item, str):
            raise Malformed("actor or subject is not text")
    if keys is _ACTOR and value["type"] not in _KINDS:
        raise Malformed("an actor is of an unknown type")


def number_of(uuid: str) -> int:
    return int(uuid.replace("-", ""), 16)


def whole(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_INTEGER:
        raise Malformed(f"{value!r} is not a whole number")
    return value


# --- (23) lifecycle -------------------------------------------------------------------------

Detail = dict[str, Any]
NONE = ("", "")


def _same(value: object) -> str:
    """Text that two JSON values share only if they are equal; Python holds 1 equal to true."""
    if type(value) is int:
        return str(value)
    return "" if value is None else _encode(value)


def _said(detail: Detail) -> tuple[object, ...]:
    """What intent and outcome both say of a call."""
    return detail.get("tool"), detail.get("tool_version"), detail.get("arguments")


@dataclass(slots=True)
class _Run:
    """What must be remembered of a run that has not ended."""

    decisions: dict[tuple[str, str, str], tuple[str, str]] = field(default_factory=dict)
    """(action, step, call) → outcome of the last decision, and the tool it was about."""
    calls: dict[tuple[str, str], str] = field(default_factory=dict)
    """(step, call) → "open", or the outcome's action."""
    used: set[tuple[str, str]] = field(default_factory=set)
    """(kind, step) of the approvals used."""
    intents: dict[tuple[str, str], tuple[object, ...]] = field(default_factory=dict)
    """(step, call) → what an intent without outcome said of the call."""
    started: bool = False


@dataclass(slots=True)
class _Request:
    """What must be remembered of an approval request."""

    run: str
    kind: str
    step: str
    seats: int
    barred: frozenset[str]
    factor: str = ""
    binding: str = ""
    displayed: str = ""
    closed: bool = False
    signers: set[str] = field(default_factory=set)
    completed: bool = False
    used: bool = False


BEFORE_START = ("run.started", "decision.made", "call.resolved")
CLOSING = ("approval.rejected", "approval.expired", "approval.superseded", "approval.cancelled")


class Lifecycle:
    """Refuses histories that the platform cannot have produced (§7)."""

    def __init__(
        self,
        find: Callable[[str, str, int | None], None],
        *,
        complete: bool,
        shows_requests: bool,
    ) -> None:
        self._find = find
        self._complete = complete
        """Whether every request that an entry may refer to must be in the bundle."""
        self._shows_requests = shows_requests
        """Whether what follows on a request outside of runs is in the bundle too."""
        self._runs: dict[str, _Run] = {}
        self._finished: set[int] = set()
        self._requests: dict[str, _Request] = {}
        self._in_run: dict[str, Callable[[Entry, _Run, Detail], None]] = {
            "run.started": self._started,
            "run.ended": self._ended,
            "run.cancelled": self._ended,
            "decision.made": self._decision,
            "step.executed": self._executed,
            "call.intended": self._intended,
            "call.succeeded": self._outcome,
            "call.failed": self._outcome,
            "call.unknown": self._outcome,
            "call.resolved": self._resolved,
            "answer.released": self._released,
        }
        self._of_request: dict[str, Callable[[Entry, _Request, Detail], None]] = {
            "vote.cast": self._vote,
            "approval.completed": self._completed,
            "approval.consumed": self._consumed,
            **dict.fromkeys(CLOSING, self._closed),
        }

    def open_runs(self) -> set[str]:
        return set(self._runs)

    def has_ended(self, run: str) -> bool:
        return number_of(run) in self._finished

    def check(self, entry: Entry) -> None:
        try:
            self._check(entry, entry.leaf["action"])
        except (AttributeError, KeyError, TypeError, Malformed) as error:
            self._say(entry, f"its detail is not of the specified form: {error}")

    def _check(self, entry: Entry, action: str) -> None:
        leaf = entry.leaf
        if action == "approval.requested":
            if self._shows_requests or "run" in leaf:
                self._requested(entry, leaf.get("detail", {}))
        elif action in self._of_request:
            request = self._requests.get(leaf["subject"]["id"])
            if request is not None:
                self._of_request[action](entry, request, leaf.get("detail", {}))
            elif self._complete and action not in CLOSING:
                self._say(entry, f"{action} for a request that was never made")
        elif action in self._in_run and "run" in leaf:
            self._of_run(entry, self._in_run[action], leaf)

    def _of_run(
        self, entry: Entry, rule: Callable[[Entry, _Run, Detail], None], leaf: Detail
    ) -> None:
        if number_of(leaf["run"]) not in self._finished:
            run = self._runs.setdefault(leaf["run"], _Run())
            if not run.started and leaf["action"] not in BEFORE_START:
                self._say(entry, f"{leaf['action']} of a run that was never started")
                run.started = True
            rule(entry, run, leaf.get("detail", {}))
        elif leaf["action"] not in ("call.resolved", "decision.made"):
            self._say(entry, f"{leaf['action']} after the run's end")

    def _say(self, entry: Entry, sentence: str) -> None:
        self._find("lifecycle", sentence, entry.position)

    def _started(self, entry: Entry, run: _Run, detail: Detail) -> None:
        if run.calls or run.used:
            self._say(entry, "the run starts after it has acted")
        run.started = True

    def _ended(self, entry: Entry, run: _Run, detail: Detail) -> None:
        name = entry.leaf["run"]
        del self._runs[name]
        self._finished.add(number_of(name))

    def _decision(self, entry: Entry, run: _Run, detail: Detail) -> None:
        action, _, tool = str(detail.get("action")).partition(":")
        place = action, _same(detail.get("step")), _same(detail.get("call"))
        run.decisions[place] = str(detail.get("outcome")), tool

    def _executed(self, entry: Entry, run: _Run, detail: Detail) -> None:
        step = _same(detail.get("step"))
        outcome = self._decided(run, ("execute", step, ""), detail)
        self._allowed(entry, outcome, ("code", step) in run.used, f"step {step} ran")

    def _released(self, entry: Entry, run: _Run, detail: Detail) -> None:
        step = _same(detail.get("step"))
        outcome = self._decided(run, ("release", step, ""), detail)
        self._allowed(entry, outcome, ("answer", step) in run.used, f"step {step}'s answer left")

    def _intended(self, entry: Entry, run: _Run, detail: Detail) -> None:
        place = _same(detail.get("step")), _same(detail.get("seq"))
        what = f"call {place[1]} of step {place[0]}"
        outcome = self._decided(run, ("call", *place), detail)
        used = False
        if "request" in detail:
            request = self._requests.get(detail["request"])
            used = request is not None and request.used and request.run == entry.leaf["run"]
            if not used:
                self._say(entry, f"{what} before its approval was given and used")
        self._allowed(entry, outcome, used, what)
        run.calls[place] = "open"
        run.intents[place] = _said(detail)

    def _decided(self, run: _Run, place: tuple[str, str, str], detail: Detail) -> str:
        outcome, tool = run.decisions.get(place, NONE)
        return outcome if tool in ("", detail.get("tool")) else ""

    def _allowed(self, entry: Entry, outcome: str, approved: bool, what: str) -> None:
        if outcome not in ("allow", "review"):
            self._say(entry, f"{what} without a decision that allows it")
        elif outcome == "review" and not approved:
            self._say(entry, f"{what} without the approval it needed")

    def _outcome(self, entry: Entry, run: _Run, detail: Detail) -> None:
        """Reads may be recorded when done; a call that failed did not happen."""
        action = entry.leaf["action"]
        place = _same(detail.get("step")), _same(detail.get("seq"))
        state = run.calls.get(place)
        what = f"call {place[1]} of step {place[0]}"
        if state is None and action == "call.succeeded" and detail.get("effect") == "read":
            self._allowed(entry, self._decided(run, ("call", *place), detail), False, what)
        elif state != "open" and not (state is None and action == "call.failed"):
            self._say(entry, f"an outcome of {what} without intent")
        intended = run.intents.pop(place, ())
        said = zip(intended, _said(detail), strict=False)
        if any(isinstance(a, str) and isinstance(b, str) and a != b for a, b in said):
            self._say(entry, f"an outcome of {what} that speaks of another call")
        run.calls[place] = action

    def _resolved(self, entry: Entry, run: _Run, detail: Detail) -> None:
        place = _same(detail.get("step")), _same(detail.get("seq"))
        if run.calls.get(place) not in ("open", "call.unknown"):
            self._say(entry, f"call {place[1]} of step {place[0]} was not in doubt")
        run.calls[place] = "call.resolved"

    def _requested(self, entry: Entry, detail: Detail) -> None:
        leaf = entry.leaf
        if leaf["subject"]["id"] in self._requests:
            self._say(entry, "an approval is asked for under an id that another has")
        wanted, barred = detail.get("requirement", []), detail.get("barred", [])
        factor = detail.get("factor", "")
        if not (isinstance(wanted, list) and isinstance(barred, list) and isinstance(factor, str)):
            raise Malformed("seats and people who are barred are lists, a factor is text")
        seats = sum(whole(seat["count"]) for seat in wanted)
        requester = leaf.get("on_behalf_of", leaf["actor"])["id"]
        self._requests[leaf["subject"]["id"]] = _Request(
            run=leaf.get("run", ""),
            kind=str(detail.get("kind")),
            step=_same(detail.get("step")),
            seats=max(1, seats),
            barred=frozenset({requester, leaf["actor"]["id"], *barred}),
            factor=factor,
            binding=_same(detail.get("binding")),
            displayed=_same(detail.get("displayed")),
        )

    def _of_another(self, entry: Entry, request: _Request, detail: Detail, *names: str) -> None:
        """What was signed is what was asked for: it names the same digests."""
        if request.closed:
            self._say(entry, f"{entry.leaf['action']} after the request had ended")
        for name in names:
            if _same(detail.get(name)) != getattr(request, name):
                self._say(entry, f"{entry.leaf['action']} names another {name} than the request")

    def _closed(self, entry: Entry, request: _Request, detail: Detail) -> None:
        request.closed = True

    def _vote(self, entry: Entry, request: _Request, detail: Detail) -> None:
        if detail.get("answer") != "sign":
            return
        self._of_another(entry, request, detail, "binding", "displayed")
        voter = entry.leaf["actor"]["id"]
        if voter in request.barred:
            self._say(entry, f"{voter} signed, who may not")
        given = detail.get("factors", [])
        if request.factor and not (isinstance(given, list) and request.factor in given):
            self._say(entry, f"{voter} signed without the {request.factor} that is asked for")
        request.signers.add(voter)

    def _completed(self, entry: Entry, request: _Request, detail: Detail) -> None:
        self._of_another(entry, request, detail, "binding")
        counted = {voter["id"] for voter in detail.get("voters", [])}
        request.completed = True
        if not counted <= request.signers - request.barred:
            self._say(entry, "an approval counts people who did not sign, or may not")
        if len(counted) < request.seats:
            self._say(entry, f"{len(counted)} signatures where {request.seats} were needed")

    def _consumed(self, entry: Entry, request: _Request, detail: Detail) -> None:
        self._of_another(entry, request, detail, "binding")
        if not request.completed:
            self._say(entry, "an approval was used before it was complete")
        if request.used:
            self._say(entry, "an approval was used twice")
        if request.run != entry.leaf.get("run", ""):
            self._say(entry, "an approval was used by another run")
        request.used = True
        if request.run in self._runs:
            self._runs[request.run].used.add((request.kind, request.step))


# --- command line ---------------------------------------------------------------------------


def options_of(arguments: argparse.Namespace) -> Options:
    """Read what the verifier brought; whatever is wrong with it raises."""
    policy = Policy()
    if arguments.policy:
        policy.read(arguments.policy.read_text())
    policy.logs += [Key.parse(text) for text in arguments.key]
    if not policy.logs:
        raise Malformed("no log key: give --key, or --policy with a log line")
    authorities = []
    for path in arguments.tsa:
        authorities += x509.load_pem_x509_certificates(path.read_bytes())
    return Options(
        policy=policy,
        seen=[Checkpoint.parse(path.read_text()) for path in arguments.seen],
        authorities=authorities,
        max_age_s=arguments.max_age,
        skew_s=arguments.skew,
        allow_open=arguments.allow_open,
    )


def verifier_of(path: Path, options: Options) -> Verifier:
    """Return the verifier for a bundle, or for the proof of one entry."""
    if EntryFile.is_one(path):
        return EntryVerifier(EntryFile(path), options)
    return Verifier(Bundle(path), options)


def report(verifier: Verifier, status: int, as_json: bool) -> str:
    """Return what is printed."""
    idle = verifier.not_asked()
    if as_json:
        found = [
            {"check": f.check, "name": CHECKS[f.check], "position": f.position}
            | {"sentence": f.sentence}
            for f in verifier.findings
        ]
        names = [CHECKS[number] for number in idle if number in verifier.covers]
        value = {"status": status, "findings": found, **verifier.counts, "notes": verifier.notes}
        return json.dumps({**value, "not_asked": names}, indent=1)
    lines = _checks(verifier, idle)
    if 10 not in verifier.failed:
        lines += ["", *verifier.about()]
    lines += [f"note       {note}" for note in verifier.notes]
    lines += _proved(verifier, idle)
    lines.append("VERIFIED" if status == 0 else f"NOT VERIFIED ({status} {CHECKS[status]})")
    return "\n".join(map(printable, lines))


def _checks(verifier: Verifier, idle: dict[int, str]) -> list[str]:
    """A line for each check, and one for each finding."""
    lines = []
    for number, name in CHECKS.items():
        if number not in verifier.covers:
            continue
        found = [finding for finding in verifier.findings if finding.check == number]
        said = f"not asked: {idle[number]}" if number in idle and not found else "ok"
        lines.append(f"{number} {name:<13} {'FAILED' if found else said}")
        for finding in found:
            where = "" if finding.position is None else f"entry {finding.position}: "
            lines.append(f"     {where}{finding.sentence}")
        if verifier.failed[number] > len(found):
            lines.append(f"     and {verifier.failed[number] - len(found)} more")
    return lines


def _proved(verifier: Verifier, idle: dict[int, str]) -> list[str]:
    """Say how far the result reaches."""
    counts, lines = verifier.counts, []
    if isinstance(verifier, EntryVerifier):
        lines.append(
            "This proves that the entry is in the log of this checkpoint, unchanged,"
            " not what else is in it."
        )
    else:
        lines.append(
            f"{counts['entries']} entries, {counts['withheld']} as hashes only,"
            f" {counts['payloads']} payloads, {counts['erased']} erased,"
            f" {counts['open_runs']} runs open"
        )
        lines.append(
            "report.html and entries.csv are the exporter's words: what they say is not checked."
        )
    if counts["withheld"]:
        lines.append(
            "This proves that the entries shown are in the log and how long the range is,"
            " not that nothing else in it matched."
        )
    if {12, 13} <= idle.keys() and not verifier.options.seen:
        lines.append(
            "Nobody but the log's own key vouches for this history: whoever holds that key could"
            " have written all of it anew. Keep this checkpoint and give it next time (--seen)."
        )
    return lines


def printable(text: str) -> str:
    """Return text as one line that no terminal takes for a command."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def main(argv: Sequence[str] | None = None) -> int:
    """Verify one bundle; return the exit status."""
    parser = argparse.ArgumentParser(description="Verify a Countersign audit bundle")
    parser.add_argument("bundle", type=Path, help="a bundle, or the proof of an entry")
    parser.add_argument("--key", action="append", default=[], help="verifier key of the log")
    parser.add_argument("--policy", type=Path, help="C2SP tlog-policy: logs, witnesses, quorum")
    parser.add_argument("--seen", type=Path, action="append", default=[], help="kept checkpoint")
    parser.add_argument("--tsa", type=Path, action="append", default=[], help="PEM certificate")
    parser.add_argument("--max-age", type=float, help="seconds")
    parser.add_argument("--skew", type=float, default=SKEW_S, help="seconds clocks may differ")
    parser.add_argument("--allow-open", action="store_true", help="accept a run without end")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that this terminal has no letters for
            stream.reconfigure(errors="backslashreplace")
    try:
        options = options_of(arguments)
        verifier = verifier_of(arguments.bundle, options)
    except (Malformed, OSError, ValueError, zipfile.BadZipFile) as error:
        sys.stderr.write(f"{printable(str(error))}\n")
        return 3
    status = verifier.run()
    sys.stdout.write(report(verifier, status, arguments.json) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
