"""The present state of one small tree in memory: which key lies where, with which document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent.ledger.merkle import Tree, record_leaf
from agent.ledger.schema import blob, resource


class Positions:
    """Positions of a target's records, or of a judging scope's findings."""

    def __init__(self) -> None:
        self.at: dict[str, int] = {}
        self.digests: list[bytes | None] = []
        self.live = 0
        self._tree = Tree()

    @classmethod
    def load(cls, connection: Connection, tree: int) -> Positions:
        """The state as the store has it; ValueError when positions are missing."""
        rows = connection.execute(
            sa.select(resource.c.pos, resource.c.key, resource.c.blob_id, blob.c.digest)
            .select_from(resource.outerjoin(blob, blob.c.id == resource.c.blob_id))
            .where(resource.c.tree == tree)
            .order_by(resource.c.pos)
        )
        made = cls()
        leaves: list[bytes] = []
        for pos, key, blob_id, digest in rows:
            if pos != len(leaves) or (blob_id is None) != (digest is None):
                raise ValueError(f"tree {tree} has no whole position {len(leaves)}")
            digest = None if digest is None else bytes(digest)
            made.at[key] = pos
            made.digests.append(digest)
            made.live += digest is not None
            leaves.append(record_leaf(key, digest))
        made._tree = Tree(leaves)
        return made

    def __len__(self) -> int:
        """Positions, tombstones included."""
        return len(self.digests)

    def put(self, key: str, digest: bytes | None) -> int:
        """Set what lies at a key, at its old position or the next one; the position comes back."""
        pos = self.at.setdefault(key, len(self.digests))
        if pos == len(self.digests):
            self.digests.append(None)
        self.live += (digest is not None) - (self.digests[pos] is not None)
        self.digests[pos] = digest
        self._tree[pos] = record_leaf(key, digest)
        return pos

    def standing(self) -> Iterator[str]:
        """Keys that are not tombstones."""
        return (key for key, pos in self.at.items() if self.digests[pos] is not None)

    def root(self) -> bytes:
        """Root of the tree as it stands."""
        return self._tree.root()


def check_keys(keys: Iterable[str]) -> None:
    """ValueError unless each is 1 to 1,024 bytes of UTF-8 without control characters."""
    for key in keys:
        if not key or len(key.encode()) > 1024 or min(key) < " ":
            raise ValueError("a record's key is 1 to 1,024 bytes without control characters")
