"""Nodes of the log's tree, from the kept levels and, below them, from the lines: what proofs are made of."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent.ledger.lines import Body
from agent.ledger.merkle import STORED_LEVELS, cover, fold, leaf_hash, root_of
from agent.ledger.rows import Log
from agent.ledger.schema import node

_LOWEST = STORED_LEVELS[0]


class Nodes:
    """Subtrees of the log as one connection sees it. A block of 256 entries is read once."""

    def __init__(self, connection: Connection, scopes: Iterable[Body]) -> None:
        self._connection = connection
        self._scopes = list(scopes)
        self._blocks: dict[int, list[bytes]] = {}

    def cover(self, first: int, last: int) -> list[bytes]:
        """Hashes of the complete subtrees that cover entries first..last-1, left to right."""
        return [self._node(level, number) for level, number in cover(first, last)]

    def subtree(self, first: int, last: int) -> bytes:
        """Root over entries first..last-1."""
        return fold(self.cover(first, last))

    def _node(self, level: int, number: int) -> bytes:
        kept = max((stored for stored in STORED_LEVELS if stored <= level), default=None)
        if kept is None:
            first = number << level
            leaves = self._block(first >> _LOWEST)
            at = first & ((1 << _LOWEST) - 1)
            return root_of(leaves[at : at + (1 << level)])
        first, last = number << (level - kept), (number + 1) << (level - kept)
        query = sa.select(node.c.h).where(node.c.level == kept, node.c.i >= first, node.c.i < last).order_by(node.c.i)
        found = [bytes(made) for (made,) in self._connection.execute(query)]
        if len(found) != last - first:
            raise KeyError(f"the log has no whole node {number} of level {level}")
        return root_of(found)

    def _block(self, number: int) -> list[bytes]:
        """Leaf hashes of the 256 entries of a block, or of those that there are."""
        if number not in self._blocks:
            first = number << _LOWEST
            # the last block may be shorter: what is missing at its end is no fault
            entries = Log(self._connection, _quiet, self._scopes).entries(first, first + (1 << _LOWEST))
            self._blocks[number] = [leaf_hash(line) for _, line, _ in entries]
        return self._blocks[number]


def _quiet(code: str, place: str, text: str) -> None:
    """Nothing: a proof that is made of wrong rows does not hold, and says so by itself."""
