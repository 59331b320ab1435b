"""The specification's test vectors: `python -m tests.audit.vectors` writes them anew."""

import base64
import json
from pathlib import Path

from audit import merkle, notes, payloads
from audit.canonical import JSON, encode

FILE = Path(__file__).resolve().parents[1] / "vectors" / "log.json"
ORIGIN = "log.example/00000000-0000-0000-0000-000000000000"
LOG = notes.LocalSigner(bytes(range(32)))
WITNESS = notes.LocalSigner(bytes(range(32, 64)))

LEAF: dict[str, JSON] = {
    "v": 1,
    "id": "019c0000-0000-7000-8000-000000000000",
    "time": "2026-01-27T15:08:45.952123Z",
    "workspace": "00000000-0000-0000-0000-000000000000",
    "actor": {"type": "user", "id": "alice", "name": 'Alïce "A" \\ \n\x1f\u2028😀'},
    "action": "note.taken",
    "subject": {"type": "note", "id": "1"},
    "detail": {"max": 2**53 - 1, "min": -(2**53 - 1), "list": [True, False, {"b": 1, "a": 2}]},
}


def vectors() -> dict[str, JSON]:
    """Return every vector, computed."""
    leaf = encode(LEAF)
    leaves = [f"leaf {index}".encode() for index in range(11)]
    hashes = [merkle.leaf_hash(item) for item in leaves]
    nodes = merkle.nodes_of(hashes)
    head = notes.Head(ORIGIN, 11, merkle.frontier(11, nodes).root())
    note = notes.sign(head, ORIGIN, [LOG])
    note = note.with_signatures([notes.cosign(head, "witness.example/w1", WITNESS, 1_700_000_000)])
    salt, content = bytes(range(32)), "payment of 10 €".encode()
    return {
        "leaf": {
            "canonical": leaf.decode(),
            "hash": merkle.leaf_hash(leaf).hex(),
        },
        "not_canonical": [
            '{"b":1,"a":2}',
            '{"a":1,"a":1}',
            '{"a": 1}',
            '{"a":1.0}',
            '{"a":null}',
            '{"a":9007199254740992}',
            '{"a":"\\u0041"}',
            '{"a":-0}',
        ],
        "tree": {
            "leaves": [item.decode() for item in leaves],
            "roots": [merkle.frontier(size, nodes).root().hex() for size in range(12)],
            "edge_7": [peak.hex() for peak in merkle.frontier(7, nodes).peaks],
            "inclusion_6_of_11": [x.hex() for x in merkle.inclusion_path(6, 11, nodes)],
            "consistency_6_to_11": [x.hex() for x in merkle.consistency_path(6, 11, nodes)],
        },
        "checkpoint": {
            "note": str(note),
            "log_key": str(notes.VerifierKey(ORIGIN, notes.LOG, LOG.public)),
            "witness_key": str(
                notes.VerifierKey("witness.example/w1", notes.WITNESS, WITNESS.public)
            ),
            "cosigned_at": 1_700_000_000,
        },
        "payload": {
            "salt": base64.b64encode(salt).decode(),
            "content": base64.b64encode(content).decode(),
            "commitment": payloads.commit(salt, content),
            "length": len(content),
        },
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(vectors(), indent=1, ensure_ascii=False) + "\n")
