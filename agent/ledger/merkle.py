"""RFC 6962 Merkle trees: hashes, ranges, proofs, and a tree whose leaves may change.

The log grows only at its end (`Range`); the small trees of targets and judging scopes change in
place (`Tree`), so that an update costs one path. Nothing here knows what a leaf means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256

EMPTY = sha256(b"").digest()
"""Root of a tree without leaves (RFC 6962, 2.1)."""

STORED_LEVELS = (8, 16, 24)
"""Levels of the log of which complete nodes are kept: a proof folds a few hundred hashes."""


def leaf_hash(data: bytes) -> bytes:
    """Hash of a leaf: SHA-256(00 | data)."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node: SHA-256(01 | left | right)."""
    return sha256(b"\x01" + left + right).digest()


def record_leaf(key: str, digest: bytes | None) -> bytes:
    """Leaf of a position: SHA-256(00 | key | 00 | digest); without digest it is a tombstone."""
    return sha256(b"\x00" + key.encode() + b"\x00" + (digest or b"")).digest()


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Root over leaf hashes, left to right."""
    whole = Range()
    for leaf in leaves:
        whole.append(leaf)
    return whole.root()


def cover(first: int, last: int) -> Iterator[tuple[int, int]]:
    """The fewest complete subtrees, as (level, number), that cover leaves first..last-1, left to right."""
    while first < last:
        level = min((first & -first).bit_length() - 1 if first else 64, (last - first).bit_length() - 1)
        yield level, first >> level
        first += 1 << level


class Range:
    """The compact range [0, size): what is needed of a log to append to it and to know its root.

    `nodes` holds the roots of the complete subtrees that cover the range, the largest first.
    """

    __slots__ = ("nodes", "size")

    def __init__(self, size: int = 0, nodes: Iterable[bytes] = ()) -> None:
        self.size = size
        self.nodes = list(nodes)
        if len(self.nodes) != size.bit_count():
            raise ValueError(f"{len(self.nodes)} hashes do not cover {size} leaves")

    def copy(self) -> Range:
        """An independent range of the same leaves."""
        return Range(self.size, self.nodes)

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash at the end."""
        nodes, rest = self.nodes, self.size
        while rest & 1:
            leaf = sha256(b"\x01" + nodes.pop() + leaf).digest()
            rest >>= 1
        nodes.append(leaf)
        self.size += 1

    def append_subtree(self, level: int, node: bytes) -> list[tuple[int, int, bytes]]:
        """Add a complete subtree; the nodes it completes come back as (level, number, hash), itself first.

        ValueError when the range does not end where such a subtree begins.
        """
        if self.size & ((1 << level) - 1):
            raise ValueError(f"no subtree of level {level} begins at {self.size}")
        made, number = [(level, self.size >> level, node)], self.size >> level
        while number & 1:
            node = sha256(b"\x01" + self.nodes.pop() + node).digest()
            level, number = level + 1, number >> 1
            made.append((level, number, node))
        self.nodes.append(node)
        self.size += 1 << made[0][0]
        return made

    def root(self) -> bytes:
        """Root of the tree of these leaves."""
        return fold(self.nodes)


def fold(nodes: Sequence[bytes]) -> bytes:
    """Root over adjacent subtrees, the leftmost (and largest) first."""
    if not nodes:
        return EMPTY
    root = nodes[-1]
    for node in reversed(nodes[:-1]):
        root = sha256(b"\x01" + node + root).digest()
    return root


Subtree = Callable[[int, int], bytes]
"""Root of the tree over leaves first..last-1; both proofs ask for such roots."""


def _split(size: int) -> int:
    """The largest power of two below size."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """Audit path of one leaf in a tree of `size` leaves (RFC 6962, 2.1.1), leaf upwards."""
    if not 0 <= index < size:
        raise ValueError(f"there is no leaf {index} in a tree of {size}")
    path, first, last = [], 0, size
    while last - first > 1:
        middle = first + _split(last - first)
        if index < middle:
            path.append(subtree(middle, last))
            last = middle
        else:
            path.append(subtree(first, middle))
            first = middle
    return path[::-1]


def root_from_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes:
    """The root that an audit path leads to; ValueError when the path has the wrong length."""
    if not 0 <= index < size:
        raise ValueError(f"there is no leaf {index} in a tree of {size}")
    node, last, rest = leaf, size - 1, list(path)
    while last:
        if index & 1:
            node = node_hash(_next(rest), node)
        elif index < last:
            node = node_hash(node, _next(rest))
        index, last = index >> 1, last >> 1
    if rest:
        raise ValueError("the path is too long")
    return node


def consistency(old: int, new: int, subtree: Subtree) -> list[bytes]:
    """Proof that the tree of `new` leaves extends that of `old` (RFC 6962, 2.1.2)."""
    if not 0 < old <= new:
        raise ValueError(f"no proof from {old} to {new} leaves")
    proof, first, last, whole = [], 0, new, True
    while old != last:
        middle = first + _split(last - first)
        if old <= middle:
            proof.append(subtree(middle, last))
            last = middle
        else:
            proof.append(subtree(first, middle))
            first, whole = middle, False
    if not whole:
        proof.append(subtree(first, last))
    return proof[::-1]


def consistent(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether a consistency proof shows that both roots are of one log."""
    if not 0 < old < new:
        return old == new > 0 and old_root == new_root and not proof
    rest, number, last = list(proof), old - 1, new - 1
    while number & 1:
        number, last = number >> 1, last >> 1
    try:
        before = after = _next(rest) if number else old_root
        while last:
            if number & 1:
                side = _next(rest)
                before, after = node_hash(side, before), node_hash(side, after)
            elif number < last:
                after = node_hash(after, _next(rest))
            number, last = number >> 1, last >> 1
    except ValueError:
        return False
    return not rest and before == old_root and after == new_root


def _next(rest: list[bytes]) -> bytes:
    if not rest:
        raise ValueError("the path is too short")
    return rest.pop(0)


class Tree:
    """A tree in memory whose leaves may change: 64 bytes a leaf, one path an update.

    Each level is one byte string of its nodes; a node without right neighbour is carried upwards,
    which gives exactly the tree of RFC 6962.
    """

    __slots__ = ("_levels", "_stale")

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self._levels = [bytearray().join(leaves)]
        self._stale = set(range(0, len(self)))

    def __len__(self) -> int:
        """Number of leaves."""
        return len(self._levels[0]) >> 5

    def __getitem__(self, position: int) -> bytes:
        """Leaf hash at a position."""
        return bytes(self._levels[0][position << 5 : (position + 1) << 5])

    def __setitem__(self, position: int, leaf: bytes) -> None:
        """Put a leaf hash at a known position, or at the next one; IndexError beyond."""
        leaves = self._levels[0]
        if position << 5 > len(leaves):
            raise IndexError(f"position {position} in a tree of {len(self)}")
        leaves[position << 5 : (position + 1) << 5] = leaf
        self._stale.add(position)

    def root(self) -> bytes:
        """Root of the tree as it stands."""
        if not self._levels[0]:
            return EMPTY
        stale, number = self._stale, 0
        while len(self._levels[number]) > 32:
            below = self._levels[number]
            number += 1
            if number == len(self._levels):
                self._levels.append(bytearray())
            stale = {position >> 1 for position in stale}
            _refresh(below, self._levels[number], stale)
        self._stale = set()
        return bytes(self._levels[number])

    def subtree(self, first: int, last: int) -> bytes:
        """Root over leaves first..last-1."""
        self.root()
        nodes = []
        for level, number in cover(first, last):
            nodes.append(bytes(self._levels[level][number << 5 : (number + 1) << 5]))
        return fold(nodes)


def _refresh(below: bytearray, above: bytearray, numbers: Iterable[int]) -> None:
    """Compute the nodes with these numbers from the level below."""
    for number in sorted(numbers):
        pair = below[number << 6 : (number + 1) << 6]
        above[number << 5 : (number + 1) << 5] = sha256(b"\x01" + pair).digest() if len(pair) == 64 else pair
