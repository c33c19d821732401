"""Trees against RFC 6962's definitions, written down naively, and against published vectors."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.ledger.merkle import (
    EMPTY,
    Range,
    Tree,
    consistency,
    consistent,
    cover,
    fold,
    inclusion,
    leaf_hash,
    node_hash,
    record_leaf,
    root_from_inclusion,
    root_of,
)

# inputs and roots of the certificate-transparency reference implementation
INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [leaf_hash(bytes([number % 256, number >> 8])) for number in range(600)]
sizes = st.integers(0, 70)


def naive(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, 2.1."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(naive(leaves[:split]), naive(leaves[split:]))


def subtree(first: int, last: int) -> bytes:
    return naive(LEAVES[first:last])


@pytest.mark.parametrize("size", range(len(ROOTS)))
def test_published_roots(size: int) -> None:
    leaves = [leaf_hash(bytes.fromhex(text)) for text in INPUTS[:size]]
    assert root_of(leaves).hex() == ROOTS[size]
    assert Tree(leaves).root().hex() == ROOTS[size]


def test_leaves_of_positions() -> None:
    digest = sha256(b"{}").digest()
    assert record_leaf("ä", digest) == sha256(b"\x00\xc3\xa4\x00" + digest).digest()
    assert record_leaf("ä", None) == sha256(b"\x00\xc3\xa4\x00").digest()


@given(sizes)
def test_range_root_is_the_definition(size: int) -> None:
    assert root_of(LEAVES[:size]) == naive(LEAVES[:size])


@given(sizes, st.data())
def test_range_from_any_cut(size: int, data: st.DataObject) -> None:
    """What lies left and right of a window, and the window, give the root of the whole."""
    first = data.draw(st.integers(0, size))
    last = data.draw(st.integers(first, size))
    whole = Range(first, [subtree(n << level, (n + 1) << level) for level, n in cover(0, first)])
    for leaf in LEAVES[first:last]:
        whole.append(leaf)
    for level, number in cover(last, size):
        made = whole.append_subtree(level, subtree(number << level, (number + 1) << level))
        assert all(node == subtree(n << at, (n + 1) << at) for at, n, node in made)
    assert whole.root() == naive(LEAVES[:size])
    assert fold(whole.nodes) == whole.root()


def test_range_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="do not cover"):
        Range(3, [LEAVES[0]])
    with pytest.raises(ValueError, match="no subtree"):
        Range(1, [LEAVES[0]]).append_subtree(1, LEAVES[1])


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 599)), max_size=60), sizes)
def test_changing_tree_is_the_definition(changes: list[tuple[int, int]], size: int) -> None:
    leaves = LEAVES[:size]
    tree = Tree(leaves)
    for position, number in changes:
        position = min(position, len(leaves))
        leaves[position : position + 1] = [LEAVES[number]]
        tree[position] = LEAVES[number]
        if number % 3 == 0:
            assert tree.root() == naive(leaves)
    assert tree.root() == naive(leaves)
    assert len(tree) == len(leaves)
    assert [tree[position] for position in range(len(tree))] == leaves


def test_tree_has_no_holes() -> None:
    with pytest.raises(IndexError):
        Tree(LEAVES[:2])[3] = LEAVES[3]


@given(st.integers(1, 70), st.data())
def test_inclusion(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    path = inclusion(index, size, subtree)
    root = naive(LEAVES[:size])
    assert path == inclusion(index, size, Tree(LEAVES[:size]).subtree)
    assert root_from_inclusion(index, size, LEAVES[index], path) == root
    assert root_from_inclusion(index, size, LEAVES[index + 1], path) != root
    other = (index + 1) % size
    if other != index and len(inclusion(other, size, subtree)) == len(path):
        assert root_from_inclusion(other, size, LEAVES[index], path) != root
    with pytest.raises(ValueError, match="path"):
        root_from_inclusion(index, size, LEAVES[index], [*path, EMPTY])
    if path:
        with pytest.raises(ValueError, match="path"):
            root_from_inclusion(index, size, LEAVES[index], path[:-1])


@given(st.integers(1, 70), st.integers(0, 70), st.data())
def test_consistency(old: int, more: int, data: st.DataObject) -> None:
    new = old + more
    before, after = naive(LEAVES[:old]), naive(LEAVES[:new])
    proof = consistency(old, new, subtree)
    assert consistent(old, before, new, after, proof)
    assert not consistent(old, EMPTY, new, after, proof)
    assert not consistent(old, before, new, after, [*proof, EMPTY])
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        assert not consistent(old, before, new, after, [*proof[:at], EMPTY, *proof[at + 1 :]])
        assert not consistent(old, before, new, after, proof[:-1])


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_no_path_outside_the_tree(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no leaf"):
        inclusion(index, size, subtree)
    with pytest.raises(ValueError, match="no leaf"):
        root_from_inclusion(index, size, EMPTY, [])


def test_no_consistency_backwards() -> None:
    with pytest.raises(ValueError, match="no proof"):
        consistency(4, 3, subtree)
    assert not consistent(4, EMPTY, 3, EMPTY, [])
