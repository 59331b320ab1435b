"""Bundles written from `deploy/docs/log-format.md` alone, so that they can be written wrongly.

A `Forger` makes a whole bundle of a short log, signatures included, and lets the caller put in a
hand at each stage: the entries, their bytes, the members, the statement, the signed members. What
it makes without a hand is genuine. It uses no code of the audit room.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import struct
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

Body = dict[str, Any]

WORKSPACE = "5f0c9f5e-62c1-4b7e-9c39-0d8a6f1b2c3d"
ORIGIN = f"log.example/{WORKSPACE}"
RUN, OTHER_RUN = "0a4f6c1e-0000-4000-8000-000000000001", "0a4f6c1e-0000-4000-8000-000000000002"
PLAN, CHANGE = "0b4f6c1e-0000-4000-8000-000000000001", "0b4f6c1e-0000-4000-8000-000000000002"
PERSON_KEY, RUN_KEY = "0c4f6c1e-0000-4000-8000-000000000001", "0c4f6c1e-0000-4000-8000-000000000002"
START = datetime(2026, 11, 2, 9, 0, 0, 123456, tzinfo=UTC)


def canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


# --- trees, by the recursive definitions of RFC 9162 §2.1 -----------------------------------


def leaf_hash(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\0" + leaf).digest()


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def split(count: int) -> int:
    """The largest power of two smaller than `count`."""
    return 1 << (count - 1).bit_length() - 1


def root(hashes: Sequence[bytes]) -> bytes:
    if len(hashes) < 2:
        return hashes[0] if hashes else hashlib.sha256(b"").digest()
    k = split(len(hashes))
    return node(root(hashes[:k]), root(hashes[k:]))


def path(index: int, hashes: Sequence[bytes]) -> list[bytes]:
    if len(hashes) == 1:
        return []
    k = split(len(hashes))
    if index < k:
        return [*path(index, hashes[:k]), root(hashes[k:])]
    return [*path(index - k, hashes[k:]), root(hashes[:k])]


def consistency(old: int, hashes: Sequence[bytes], *, known: bool = True) -> list[bytes]:
    if old == len(hashes):
        return [] if known else [root(hashes)]
    k = split(len(hashes))
    if old <= k:
        return [*consistency(old, hashes[:k], known=known), root(hashes[k:])]
    return [*consistency(old - k, hashes[k:], known=False), root(hashes[:k])]


def left_edge(hashes: Sequence[bytes]) -> list[bytes]:
    if not hashes:
        return []
    k = 1 << len(hashes).bit_length() - 1
    return [root(hashes[:k]), *left_edge(hashes[k:])]


# --- keys and notes -------------------------------------------------------------------------


@dataclass(frozen=True)
class Signer:
    name: str
    seed: bytes
    type: int = 1

    @property
    def private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    @property
    def raw(self) -> bytes:
        return bytes([self.type]) + self.private.public_key().public_bytes_raw()

    @property
    def id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + self.raw).digest()[:4]

    @property
    def key(self) -> str:
        return f"{self.name}+{self.id.hex()}+{b64(self.raw)}"

    def line(self, text: str) -> str:
        return f"— {self.name} {b64(self.id + self.private.sign(text.encode()))}\n"

    def cosignature(self, text: str, at: datetime) -> str:
        seconds = int(at.timestamp())
        signed = self.private.sign(f"cosignature/v1\ntime {seconds}\n{text}".encode())
        return f"— {self.name} {b64(self.id + struct.pack('>Q', seconds) + signed)}\n"


LOG = Signer(ORIGIN, b"\x01" * 32)
WITNESS = Signer("witness.example/one", b"\x02" * 32, 4)
SECOND_WITNESS = Signer("witness.example/two", b"\x03" * 32, 4)


def head(size: int, top: bytes, origin: str = ORIGIN) -> str:
    return f"{origin}\n{size}\n{b64(top)}\n"


def note(text: str, signer: Signer = LOG) -> str:
    return f"{text}\n{signer.line(text)}"


# --- the story ------------------------------------------------------------------------------


def person(name: str, kind: str = "user") -> Body:
    return {"type": kind, "id": name, "name": name.title()}


def body(past: str, who: str = "agent", run: str | None = None, **more: Any) -> Body:
    """An entry without time, id and chain; keywords that are no field go into `detail`."""
    kind = {"agent": "agent", "system": "system"}.get(who, "user")
    entry: Body = {"v": 1, "workspace": WORKSPACE, "action": past, "actor": person(who, kind)}
    entry["subject"] = {"type": past.split(".", maxsplit=1)[0], "id": more.pop("subject", past)}
    entry |= {name: more.pop(name) for name in ("on_behalf_of", "contents") if name in more}
    if run:
        entry["run"] = run
    if more:
        entry["detail"] = more
    return entry


def contents(key: str, **texts: str) -> dict[str, tuple[str, bytes]]:
    return {name: (key, text.encode()) for name, text in texts.items()}


def decision(action: str, outcome: str, **more: Any) -> Body:
    return body("decision.made", run=RUN, action=action, outcome=outcome, **more)


def story() -> list[Body]:
    """A run of two steps that waits for people, one that is cancelled, a change, an erasure."""
    call: dict[str, Any] = {"step": 2, "seq": 0, "tool": "pay", "effect": "write", "request": PLAN}
    two = [{"role": "reviewer", "count": 2}]
    return [
        body("workspace.created", "system", name="Payables"),
        body("member.added", "system", contents=contents(PERSON_KEY, person="Bob")),
        body("run.started", "alice", RUN, contents=contents(RUN_KEY, goal="Pay", inputs="{}")),
        decision("start_run", "allow"),
        body("step.proposed", run=RUN, step=1, contents=contents(RUN_KEY, code="look()")),
        decision("execute", "allow", step=1),
        decision("call:look", "allow", step=1, call=0),
        body("call.intended", run=RUN, step=1, seq=0, tool="look", effect="read"),
        body("call.succeeded", run=RUN, step=1, seq=0, tool="look", effect="read"),
        body("step.executed", run=RUN, step=1),
        body("run.started", "carol", OTHER_RUN),
        body("step.proposed", run=RUN, step=2, contents=contents(RUN_KEY, code="pay()")),
        decision("execute", "review", step=2),
        body(
            "approval.requested",
            run=RUN,
            subject=PLAN,
            on_behalf_of=person("alice"),
            kind="code",
            step=2,
            requirement=two,
            barred=["dave"],
        ),
        body("vote.cast", "bob", RUN, subject=PLAN, answer="sign"),
        body("vote.cast", "erin", RUN, subject=PLAN, answer="sign"),
        body(
            "approval.completed",
            "system",
            RUN,
            subject=PLAN,
            voters=[{"id": "bob"}, {"id": "erin"}],
        ),
        body("approval.consumed", "system", RUN, subject=PLAN),
        decision("call:pay", "review", step=2, call=0),
        body("call.intended", run=RUN, **call),
        body("call.unknown", run=RUN, **call),
        body("call.resolved", "bob", RUN, **call),
        body("call.intended", run=RUN, **call),
        body("call.succeeded", run=RUN, **call),
        body("step.executed", run=RUN, step=2),
        decision("release", "allow", step=2),
        body("run.cancelled", "carol", OTHER_RUN),
        body("answer.released", run=RUN, step=2, contents=contents(RUN_KEY, answer="Paid")),
        body("run.ended", run=RUN, outcome="succeeded"),
        body(
            "approval.requested",
            "carol",
            subject=CHANGE,
            kind="change",
            requirement=[{"role": "policy_officer", "count": 1}],
        ),
        body("vote.cast", "frank", subject=CHANGE, answer="sign"),
        body("approval.completed", "system", subject=CHANGE, voters=[{"id": "frank"}]),
        body("approval.consumed", "system", subject=CHANGE),
        body("subject.erased", "carol", keys=[PERSON_KEY]),
        body("member.added", "system", contents=contents(RUN_KEY, person="Gil")),
        body("export.requested", "dan"),
    ]


ENTRIES = len(story())
ERASED, ENDED, LATE = 33, 28, 34
"""Positions of the erasure, of the run's end, and of the last payload."""


# --- the forger -----------------------------------------------------------------------------

Hand = Callable[[Any], Any]
STAGES = ("bodies", "leaves", "rows", "members", "statement", "envelope", "files")


@dataclass
class Forger:
    """Makes a bundle; `hands` are called with what a stage has made, to change it in place."""

    kind: str = "workspace"
    first: int = 0
    end: int | None = None
    run: str | None = None
    shows: Callable[[Body], bool] = lambda entry: True
    earlier: Sequence[int] = ()
    kept: Sequence[int] = ()
    payloads: bool = True
    signer: Signer = LOG
    cosigners: Sequence[tuple[Signer, datetime]] = ()
    log: Callable[[], list[Body]] = story
    hands: dict[str, Hand] = field(default_factory=dict)

    def hand(self, stage: str, made: Any) -> Any:
        change = self.hands.get(stage)
        changed = change(made) if change else None
        return changed if isinstance(changed, type(made)) else made

    def chained(self, bodies: list[Body]) -> list[bytes]:
        """Times, ids, commitments and links; what an entry has already is left as it is."""
        leaves, last = [], dict[str, tuple[int, str]]()
        for number, entry in enumerate(bodies):
            at = START + timedelta(seconds=number)
            entry.setdefault("time", at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
            if "id" not in entry:
                entry["id"] = identifier(entry["time"], number)
            for name, (key, data) in entry.pop("contents", {}).items():
                entry.setdefault("payloads", {})[name] = commitment(key, data, number)
            seq, known = last.get(entry.get("run", ""), (0, ""))
            if "run" in entry:
                entry.setdefault("run_seq", seq + 1)
                if seq:
                    entry.setdefault("prev", known)
            leaves.append(canonical(entry))
            last[entry.get("run", "")] = (seq + 1, leaf_hash(leaves[-1]).hex())
        return leaves

    def make(self) -> dict[str, bytes]:
        bodies = self.hand("bodies", self.log())
        texts = {
            (at, name): data
            for at, entry in enumerate(bodies)
            for name, (_, data) in entry.get("contents", {}).items()
        }
        leaves = self.hand("leaves", self.chained(bodies))
        end = len(leaves) if self.end is None else self.end
        hashes = [leaf_hash(leaf) for leaf in leaves]
        rows = [
            leaf if self.shows(entry) else b'"' + leaf_hash(leaf).hex().encode() + b'"'
            for leaf, entry in zip(leaves, bodies, strict=False)
        ][self.first : end]
        members = {
            "checkpoint": self.checkpoint(hashes).encode(),
            "entries.jsonl": lines(self.hand("rows", rows)),
            "checkpoints.jsonl": lines([canonical(self.before(n, hashes)) for n in self.earlier]),
            "payloads.jsonl": lines([canonical(row) for row in self.shown(bodies, texts, end)]),
            "proofs.json": canonical(self.proofs(hashes, end)),
            "related.jsonl": lines([canonical(row) for row in self.related(bodies, leaves, end)]),
            "README.txt": b"Read log-format.md.\n",
        }
        members = self.hand("members", members)
        statement = self.hand("statement", self.statement(members, hashes, end))
        envelope = self.hand("envelope", self.envelope(canonical(statement)))
        return dict(self.hand("files", {**members, "manifest.json": canonical(envelope)}))

    def checkpoint(self, hashes: Sequence[bytes]) -> str:
        text = head(len(hashes), root(hashes))
        return note(text, self.signer) + "".join(
            w.cosignature(text, at) for w, at in self.cosigners
        )

    def before(self, size: int, hashes: Sequence[bytes]) -> Body:
        return {"note": note(head(size, root(hashes[:size])), self.signer), "timestamps": []}

    def shown(
        self, bodies: list[Body], texts: dict[tuple[int, str], bytes], end: int
    ) -> list[Body]:
        rows = []
        for (at, name), data in sorted(texts.items()):
            if not (self.first <= at < end and self.shows(bodies[at])):
                continue
            row: Body = {"i": at, "name": name}
            if bodies[at]["payloads"][name]["key"] == PERSON_KEY:
                row["state"] = "erased"
            elif not self.payloads:
                row["state"] = "withheld"
            else:
                row |= {"salt": b64(salt(at)), "data": b64(data)}
            rows.append(row)
        return rows

    def proofs(self, hashes: Sequence[bytes], end: int) -> Body:
        sizes = [size for size in (*self.earlier, *self.kept) if not self.first <= size <= end]
        return {
            "left": [one.hex() for one in left_edge(hashes[: self.first])],
            "right": [one.hex() for one in consistency(end, hashes)],
            "consistency": {str(n): [one.hex() for one in consistency(n, hashes)] for n in sizes},
        }

    def related(self, bodies: list[Body], leaves: list[bytes], end: int) -> list[Body]:
        hashes = [leaf_hash(leaf) for leaf in leaves]
        return [
            {"i": at, "leaf": leaves[at].decode(), "path": [one.hex() for one in path(at, hashes)]}
            for at, entry in enumerate(bodies)
            if entry["action"] in ("subject.erased", "payloads.expired", "key.rotated")
            and not (self.first <= at < end and self.shows(entry))
        ]

    def statement(self, members: dict[str, bytes], hashes: Sequence[bytes], end: int) -> Body:
        scope = {"kind": self.kind} | ({"run": self.run} if self.run else {})
        predicate = {"workspace": WORKSPACE, "origin": ORIGIN, "size": len(hashes)}
        predicate |= {"root": root(hashes).hex(), "first": self.first, "end": end}
        predicate |= {"scope": scope, "payloads": self.payloads}
        predicate["sizes"] = {name: len(data) for name, data in members.items()}
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in members.items()}
        return {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": n, "digest": {"sha256": d}} for n, d in sorted(digests.items())],
            "predicateType": "https://countersign.dev/bundle/v1",
            "predicate": predicate,
        }

    def envelope(self, payload: bytes) -> Body:
        kind = "application/vnd.in-toto+json"
        message = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
        signature = {"keyid": self.signer.id.hex(), "sig": b64(self.signer.private.sign(message))}
        return {"payloadType": kind, "payload": b64(payload), "signatures": [signature]}


def lines(rows: Sequence[bytes]) -> bytes:
    return b"".join(row + b"\n" for row in rows)


def salt(at: int) -> bytes:
    return hashlib.sha256(f"salt {at}".encode()).digest()


def commitment(key: str, data: bytes, at: int) -> Body:
    mac = hmac.new(salt(at), data, hashlib.sha256).hexdigest()
    return {"commitment": mac, "key": key, "length": len(data), "media": "text/plain"}


def identifier(time: str, number: int) -> str:
    """A version 7 UUID of this time."""
    moment = datetime.fromisoformat(time) - datetime(1970, 1, 1, tzinfo=UTC)
    milliseconds = moment // timedelta(milliseconds=1)
    text = f"{milliseconds:012x}7{number:03x}8{number:015x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def write_folder(files: dict[str, bytes], where: Path) -> Path:
    where.mkdir()
    for name, data in files.items():
        (where / name).write_bytes(data)
    return where


def write_zip(files: dict[str, bytes], where: Path) -> Path:
    with zipfile.ZipFile(where, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return where
