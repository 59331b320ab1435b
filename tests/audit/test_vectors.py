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
    assert first.leaf_hash(raw).hex() == second.line_hash(raw).hex() == WRITTEN["leaf"]["hash"]
    leaf = first.canonical(raw)
    facts = {"workspace": leaf["workspace"], "first": 0}
    first.check_fields(leaf, leaf["workspace"])
    shown, malformed = second.read_entries([raw], facts)
    assert shown[0].leaf == leaf
    assert not malformed
    assert canonical.decode(raw) == leaf


@pytest.mark.parametrize("text", WRITTEN["not_canonical"])
def test_what_is_not_canonical(text: str) -> None:
    with pytest.raises(CanonicalError):
        canonical.decode(text.encode())
    with pytest.raises(first.Malformed):
        first.check_fields(first.canonical(text.encode()), "")
    assert second.read_entries([text.encode()], {"workspace": "", "first": 0})[1]


def test_the_tree() -> None:
    tree = WRITTEN["tree"]
    hashes = [first.leaf_hash(leaf.encode()) for leaf in tree["leaves"]]
    for size, root in enumerate(tree["roots"]):
        grown = first.Tree()
        for item in hashes[:size]:
            grown.append(item)
        assert grown.root().hex() == root
        head = {"size": size, "root": bytes.fromhex(root)}
        if size:
            assert second.adds_up(0, hashes[:size], {"left": [], "right": []}, head)
    edge = {"left": tree["edge_7"], "right": []}
    head = {"size": 11, "root": bytes.fromhex(tree["roots"][11])}
    assert second.adds_up(7, hashes[7:], edge, head)
    path = first.unhex(tree["consistency_6_to_11"])
    old, new = (bytes.fromhex(tree["roots"][size]) for size in (6, 11))
    assert first.consistent(6, 11, old, new, path)
    assert second.grown(6, 11, old, new, path)
    inclusion = first.unhex(tree["inclusion_6_of_11"])
    assert first.included(hashes[6], 6, 11, inclusion, new)


def test_the_checkpoint() -> None:
    vector = WRITTEN["checkpoint"]
    note = first.Checkpoint.parse(vector["note"])
    assert note.signed_by(first.Key.parse(vector["log_key"]))
    assert note.cosigned_at(first.Key.parse(vector["witness_key"])) == vector["cosigned_at"]
    assert second.signed(second.checkpoint(vector["note"].encode()), [vector["log_key"]])


def test_the_payload() -> None:
    vector = WRITTEN["payload"]
    salt, content = base64.b64decode(vector["salt"]), base64.b64decode(vector["content"])
    assert hmac.new(salt, content, hashlib.sha256).hexdigest() == vector["commitment"]
    assert len(content) == vector["length"]
