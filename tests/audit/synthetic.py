"""Bundles without a database: large, quick to make, for the verifiers' tests and speed."""

import base64
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

from audit import notes
from audit.canonical import JSON, encode, timestamp
from audit.drafts import new_id
from audit.merkle import Frontier, leaf_hash
from audit.verifier import countersign_verify as verifier
from tests.audit.history import run_drafts

WORKSPACE = UUID("6b0f4c0e-2b51-4c52-9d7e-5a2f1c3d4e5f")
ORIGIN = f"log.example/{WORKSPACE}"
START = datetime(2026, 3, 1, 9, tzinfo=UTC)


def leaves(workspace: UUID, runs: int, *, real_time: bool = False) -> Iterator[bytes]:
    """Yield the leaves of whole runs, one after the other, without payloads."""
    now = START
    for index in range(runs):
        run = uuid4()
        prev = ""
        for seq, draft in enumerate(run_drafts(run, review=index % 3 == 0, end=True, payload="")):
            now = datetime.now(UTC) if real_time else now + timedelta(milliseconds=5)
            body: dict[str, JSON] = {
                "v": 1,
                "id": str(new_id(now)),
                "time": timestamp(now),
                "workspace": str(workspace),
                "actor": {"type": draft.actor.type, "id": draft.actor.id, "name": draft.actor.name},
                "action": draft.action,
                "subject": {"type": draft.subject.type, "id": draft.subject.id},
                "run": str(run),
                "run_seq": seq + 1,
            }
            if draft.detail:
                body["detail"] = dict(draft.detail)
            if prev:
                body["prev"] = prev
            leaf = encode(body)
            prev = leaf_hash(leaf).hex()
            yield leaf


def write_bundle(folder: Path, signer: notes.Signer, runs: int) -> tuple[Path, str]:
    """Write a whole-workspace bundle as a directory; return it and the log's key."""
    from audit.export.bundle import README

    workspace = WORKSPACE
    bundle = folder / "bundle"
    bundle.mkdir()
    tree = Frontier()
    with (bundle / "entries.jsonl").open("wb") as file:
        for leaf in leaves(workspace, runs):
            file.write(leaf + b"\n")
            tree.append(leaf_hash(leaf))
    note = notes.sign(notes.Head(ORIGIN, tree.size, tree.root()), ORIGIN, [signer])
    proofs: dict[str, JSON] = {"left": [], "right": [], "consistency": {}}
    for name, data in {
        "checkpoint": str(note).encode(),
        "checkpoints.jsonl": b"",
        "payloads.jsonl": b"",
        "related.jsonl": b"",
        "proofs.json": encode(proofs),
        "README.txt": README.encode(),
    }.items():
        (bundle / name).write_bytes(data)
    predicate = {
        "workspace": str(workspace),
        "origin": ORIGIN,
        "size": tree.size,
        "root": tree.root().hex(),
        "first": 0,
        "end": tree.size,
        "scope": {"kind": "workspace"},
        "payloads": False,
    }
    seal(bundle, predicate, signer)
    (folder / "count.json").write_text(json.dumps({"entries": tree.size}))
    return bundle, str(notes.VerifierKey(ORIGIN, notes.LOG, signer.public))


def seal(bundle: Path, predicate: dict[str, JSON], signer: notes.Signer) -> None:
    """Write a manifest over what lies in the directory, signed."""
    files = sorted(p for p in bundle.iterdir() if p.name != "manifest.json")
    sizes = {file.name: file.stat().st_size for file in files}
    subject = []
    for file in files:
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        subject.append({"name": file.name, "digest": {"sha256": digest}})
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subject,
        "predicateType": verifier.PREDICATE,
        "predicate": {**predicate, "sizes": sizes},
    }
    (bundle / "manifest.json").write_bytes(envelope(encode(statement), signer))


def envelope(payload: bytes, signer: notes.Signer) -> bytes:
    kind = verifier.PAYLOAD_TYPE
    message = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
    signature = base64.b64encode(signer.sign(message)).decode()
    key = notes.VerifierKey(ORIGIN, notes.LOG, signer.public).id.hex()
    return encode(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": kind,
            "signatures": [{"keyid": key, "sig": signature}],
        }
    )
