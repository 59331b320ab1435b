"""The proof of one entry: what it shows to an outsider, and what it does not let pass."""

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from audit import anchoring, notes, selectors, signing
from audit.anchors.file import FileAnchor
from audit.canonical import encode
from audit.export.proof import entry_proof
from audit.merkle import verify_inclusion
from audit.models import Entry
from audit.verifier import countersign_verify as verifier
from tests.audit.history import History

Proof = dict[str, Any]


@pytest.fixture
def full(history: History) -> History:
    history.run(review=True)
    history.run()
    history.sign()
    return history


def newest(history: History) -> Entry:
    return selectors.entries(history.workspace, limit=1).entries[0]


def proof_of(history: History, entry: Entry) -> Proof:
    found = entry_proof(history.workspace, entry.id)
    assert found is not None
    return found


def check(history: History, proof: Proof, tmp_path: Path, *arguments: str) -> int:
    file = tmp_path / "entry.proof.json"
    file.write_text(json.dumps(proof))
    key = str(signing.verifier_keys(history.workspace)[0])
    return verifier.main([str(file), "--key", key, *arguments])


def test_every_entry_has_a_proof_that_verifies_alone(full: History, tmp_path: Path) -> None:
    for entry in selectors.entries(full.workspace).entries:
        proof = proof_of(full, entry)
        assert check(full, proof, tmp_path) == 0
        head = notes.parse(proof["checkpoint"]).head
        path = [bytes.fromhex(node) for node in proof["path"]]
        leaf = hashlib.sha256(b"\0" + proof["leaf"].encode()).digest()
        assert verify_inclusion(leaf, proof["position"], head.size, path, head.root)


def test_an_entry_without_checkpoint_has_no_proof_yet(full: History) -> None:
    full.run()
    entry = newest(full)
    assert entry_proof(full.workspace, entry.id) is None
    assert selectors.position(full.workspace, entry) is None
    full.place()
    assert selectors.position(full.workspace, entry) is not None
    assert entry_proof(full.workspace, entry.id) is None
    full.sign()
    assert entry_proof(full.workspace, entry.id) is not None


def test_another_workspace_gets_no_proof(full: History) -> None:
    assert entry_proof(uuid4(), newest(full).id) is None
    assert entry_proof(full.workspace, uuid4()) is None


def change(proof: Proof, name: str, value: object) -> Proof:
    return {**proof, name: value}


def other_leaf(proof: Proof) -> Proof:
    leaf = json.loads(proof["leaf"])
    leaf["actor"]["name"] = "Mallory"
    return change(proof, "leaf", encode(leaf).decode())


def wider_leaf(proof: Proof) -> Proof:
    return change(proof, "leaf", proof["leaf"].replace(",", ", ", 1))


def bent_path(proof: Proof) -> Proof:
    return change(proof, "path", [*proof["path"][:-1], "00" * 32])


def interior_node(proof: Proof) -> Proof:
    """A node of the tree presented as if it were an entry."""
    leaf = hashlib.sha256(b"\0" + proof["leaf"].encode()).digest()
    pair = b"\1" + leaf + bytes.fromhex(proof["path"][0])
    return proof | {"leaf": pair.decode("latin-1"), "path": proof["path"][1:]}


def forged_root(proof: Proof) -> Proof:
    head = notes.parse(proof["checkpoint"])
    root = base64.b64encode(bytes(32)).decode()
    text = proof["checkpoint"].replace(base64.b64encode(head.head.root).decode(), root)
    return change(proof, "checkpoint", text)


ATTACKS: tuple[tuple[Callable[[Proof], Proof], str], ...] = (
    (other_leaf, "inclusion"),
    (wider_leaf, "inclusion"),
    (bent_path, "inclusion"),
    (interior_node, "inclusion"),
    (lambda proof: change(proof, "position", proof["position"] + 1), "inclusion"),
    (lambda proof: change(proof, "path", proof["path"][1:]), "inclusion"),
    (forged_root, "signature"),
    (lambda proof: change(proof, "also", "x"), "container"),
    (lambda proof: change(proof, "format", "https://example.org/v2"), "container"),
    (lambda proof: change(proof, "position", True), "container"),
    (lambda proof: change(proof, "path", "none"), "container"),
)


@pytest.mark.parametrize("number", range(len(ATTACKS)))
def test_a_changed_proof_is_refused(full: History, tmp_path: Path, number: int) -> None:
    attack, caught = ATTACKS[number]
    entry = selectors.entries(full.workspace).entries[7]
    assert check(full, attack(proof_of(full, entry)), tmp_path) == verifier.NUMBER[caught]


def test_a_proof_of_another_tree_is_refused(full: History, tmp_path: Path) -> None:
    other = History(uuid4())
    other.run()
    other.sign()
    theirs = proof_of(other, newest(other))
    assert check(full, theirs, tmp_path) == verifier.NUMBER["signature"]
    # The same key signs every tree; the entry then names the workspace that it is of.
    ours = proof_of(full, newest(full))
    mixed = ours | {"leaf": theirs["leaf"]}
    assert check(full, mixed, tmp_path) == verifier.NUMBER["inclusion"]


def test_a_kept_checkpoint_contradicts_a_rolled_back_proof(full: History, tmp_path: Path) -> None:
    entry = newest(full)
    old = proof_of(full, entry)
    full.run()
    kept = tmp_path / "kept"
    kept.write_text(full.sign().note)
    assert check(full, old, tmp_path, "--seen", str(kept)) == verifier.NUMBER["freshness"]
    assert check(full, proof_of(full, entry), tmp_path, "--seen", str(kept)) == 0


def test_who_holds_an_entry_and_since_when(full: History, vault: Path) -> None:
    anchors = [FileAnchor("vault", str(vault))]
    entry = newest(full)
    place = selectors.position(full.workspace, entry)
    assert place is not None
    assert selectors.held(full.workspace, place) == []
    anchoring.submit_due("sequencer", anchors)
    full.run()
    full.sign()
    anchoring.submit_due("sequencer", anchors)
    [held] = selectors.held(full.workspace, place)
    assert held.receipt is not None
    assert held.receipt.checkpoint.size == place + 1
    later = selectors.position(full.workspace, newest(full))
    assert later is not None
    full.run()
    [unheld] = selectors.held(full.workspace, later + 1)
    assert unheld.receipt is None
    # The proof is bound to what somebody outside holds, not to what is merely newest.
    full.sign()
    found = selectors.inclusion(full.workspace, entry.id)
    assert found is not None
    assert found.checkpoint.size == later + 1
