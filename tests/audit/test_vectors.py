"""The specification's vectors, against our code and against both verifiers."""

import base64
import hashlib
import hmac
import json

import pytest

from audit import canonical
from audit.errors import CanonicalError
from audit.verifier import countersign_verify as first
from tests.audit import second_verifier as second
from tests.audit.vectors import FILE, vectors

WRITTEN = json.loads(FILE.read_text())


def test_the_vectors_are_what_we_compute() -> None:
    assert vectors() == WRITTEN


def test_the_leaf() -> None:
    raw = WRITTEN["leaf"]["canonical"].encode()
    assert first.leaf_hash(raw).hex() == second.leaf_hash(raw).hex() == WRITTEN["leaf"]["hash"]
    leaf = first.canonical(raw)
    first.check_fields(leaf, leaf["workspace"])
    second.check_leaf(0, raw, leaf["workspace"])
    assert second.canonical_leaf(raw) == leaf
    assert canonical.decode(raw) == leaf


@pytest.mark.parametrize("text", WRITTEN["not_canonical"])
def test_what_is_not_canonical(text: str) -> None:
    with pytest.raises(CanonicalError):
        canonical.decode(text.encode())
    with pytest.raises(first.Malformed):
        first.check_fields(first.canonical(text.encode()), "")
    with pytest.raises(second.Broken):
        second.canonical_leaf(text.encode())


def test_the_tree() -> None:
    tree = WRITTEN["tree"]
    hashes = [first.leaf_hash(leaf.encode()) for leaf in tree["leaves"]]
    for size, root in enumerate(tree["roots"]):
        grown = first.Tree()
        for item in hashes[:size]:
            grown.append(item)
        assert grown.root().hex() == root
        assert second.root_of(edge(hashes[:size])).hex() == root
    assert [one.hex() for one in edge(hashes[:7])] == tree["edge_7"]
    path = first.unhex(tree["consistency_6_to_11"])
    old, new = (bytes.fromhex(tree["roots"][size]) for size in (6, 11))
    assert first.consistent(6, 11, old, new, path)
    assert second.consistent(6, old, 11, new, path)
    inclusion = first.unhex(tree["inclusion_6_of_11"])
    assert first.included(hashes[6], 6, 11, inclusion, new)
    assert second.inclusion_root(hashes[6], 6, 11, inclusion) == new


def edge(hashes: list[bytes]) -> list[bytes]:
    """The left edge by the second verifier."""
    found: list[bytes] = []
    for size, item in enumerate(hashes):
        found = second.appended(found, size, item)
    return found


def test_the_checkpoint() -> None:
    vector = WRITTEN["checkpoint"]
    note = first.Checkpoint.parse(vector["note"])
    assert note.signed_by(first.Key.parse(vector["log_key"]))
    assert note.cosigned_at(first.Key.parse(vector["witness_key"])) == vector["cosigned_at"]
    other = second.read_note(vector["note"].encode())
    assert other.signed_by(second.read_key(vector["log_key"], 1))
    witness = second.read_key(vector["witness_key"], 4)
    assert other.cosigned(witness) == vector["cosigned_at"] * second.SECOND


def test_the_payload() -> None:
    vector = WRITTEN["payload"]
    salt, content = base64.b64decode(vector["salt"]), base64.b64decode(vector["content"])
    assert hmac.new(salt, content, hashlib.sha256).hexdigest() == vector["commitment"]
    assert len(content) == vector["length"]
