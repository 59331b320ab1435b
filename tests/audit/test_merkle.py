"""Trees and proofs, against the definition and against public implementations."""

import pytest

from audit import merkle
from audit.tree import GrowingTree

LEAVES = [bytes([index]) * (index + 1) for index in range(70)]
HASHES = [merkle.leaf_hash(leaf) for leaf in LEAVES]
NODES = merkle.nodes_of(HASHES)


def definition(hashes: list[bytes]) -> bytes:
    """MTH(D_n) of RFC 9162 §2.1.1, word for word."""
    if not hashes:
        return merkle.EMPTY_ROOT
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return merkle.node_hash(definition(hashes[:k]), definition(hashes[k:]))


@pytest.mark.parametrize("size", range(70))
def test_roots_and_proofs_of_every_size(size: int) -> None:
    root = definition(HASHES[:size])
    assert merkle.frontier(size, NODES).root() == root
    for position in range(size):
        path = merkle.inclusion_path(position, size, NODES)
        assert merkle.verify_inclusion(HASHES[position], position, size, path, root)
        assert not merkle.verify_inclusion(HASHES[position], position + 1, size, path, root)
        assert not merkle.verify_inclusion(HASHES[position], position, size, [*path, root], root)
    for old in range(size + 1):
        path = merkle.consistency_path(old, size, NODES)
        before = definition(HASHES[:old])
        assert merkle.verify_consistency(old, size, before, root, path)
        if path:
            assert not merkle.verify_consistency(old, size, before, root, path[:-1])
            assert not merkle.verify_consistency(old, size, root, root, path)


def test_an_interior_node_is_no_leaf() -> None:
    root = definition(HASHES[:8])
    node = merkle.node_hash(HASHES[0], HASHES[1])
    path = merkle.inclusion_path(0, 8, NODES)[1:]
    assert not merkle.verify_inclusion(merkle.leaf_hash(HASHES[0] + HASHES[1]), 0, 4, path, root)
    # As a leaf hash it would fit a tree of four; a checkpoint of eight does not allow that.
    assert not merkle.verify_inclusion(node, 0, 8, path, root)


def test_a_tree_grows_its_tiles() -> None:
    tree = GrowingTree()
    hashes = [merkle.leaf_hash(index.to_bytes(4, "big")) for index in range(1000)]
    tiles = tree.append(hashes)
    assert [(tile.level, tile.index) for tile in tiles] == [(0, 0), (0, 1), (0, 2)]
    assert tree.edge.root() == definition(hashes)
    assert tiles[1].root == definition(hashes[256:512])
