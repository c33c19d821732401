"""What a replay holds while it runs: the small trees, what is known of targets, rows by entry."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from agent.ledger.lines import FAILED, Body
from agent.ledger.merkle import Tree, record_leaf
from agent.schedule import stale_after_ms

Complain = Callable[[str, str, str], None]
"""Told of each thing that is wrong: code, place, text."""


class SmallTree:
    """The tree of a target or of a judging scope while it is replayed."""

    __slots__ = ("bound", "hex", "live", "nodes", "standing")

    def __init__(self) -> None:
        self.nodes = Tree()
        self.standing = bytearray()
        self.live = 0
        self.hex: str | None = None
        """Root after the newest line about the tree; None before the first."""
        self.bound = True
        """Whether some line has confirmed what was loaded."""

    def put(self, pos: int, key: str, digest: bytes | None) -> str | None:
        """Set a position; what is wrong with that comes back."""
        leaf = record_leaf(key, digest)
        if pos == len(self.standing):
            if digest is None:
                return "a new position that is gone at once"
            self.standing.append(0)
        elif not 0 <= pos < len(self.standing):
            return f"position {pos} comes after {len(self.standing)}"
        elif self.nodes[pos] == leaf:
            return f"position {pos} is said to change and does not"
        self.live += (digest is not None) - self.standing[pos]
        self.standing[pos] = digest is not None
        self.nodes[pos] = leaf
        return None


class Scoped:
    """What the newest scope event says of a target, and what its polls have shown."""

    __slots__ = ("recent", "body", "changed", "ended", "kind", "slots")

    def __init__(self, body: Body) -> None:
        self.slots = array("q")
        self.recent: deque[tuple[int, int, int]] = deque(maxlen=8)
        """Index, start and status of the newest polls."""
        self.take(body)

    def take(self, body: Body) -> None:
        """Go by a newer scope event."""
        self.body = body
        self.kind: str = body["kind"]
        self.changed: int = body["idx"]
        self.ended = False

    def end(self, idx: int) -> None:
        """No slot is owed any more."""
        self.ended, self.changed = True, idx

    def blind(self, upto: int, at_ms: int) -> bool | None:
        """Whether the target was unseen at a time, by its newest poll up to an index; None = too long ago to say."""
        for idx, start, status in reversed(self.recent):
            if idx <= upto:
                return status == FAILED or at_ms - start > stale_after_ms(self.body["every"])
        return True if len(self.recent) < (self.recent.maxlen or 0) else None


_NONE: list[Any] = []


class Groups:
    """Rows in the order of the log, handed out entry by entry."""

    def __init__(self, rows: Iterable[Any], complain: Complain) -> None:
        self._rows = iter(rows)
        self._next = next(self._rows, None)
        self._complain = complain

    def of(self, idx: int) -> list[Any]:
        """The rows of an entry; those of no entry are complained of."""
        if self._next is None or self._next[0] > idx:
            return _NONE
        found = []
        while self._next is not None and self._next[0] <= idx:
            if self._next[0] == idx:
                found.append(self._next)
            else:
                self._lost()
            self._next = next(self._rows, None)
        return found

    def rest(self) -> None:
        """Complain of what belongs to no entry."""
        while self._next is not None:
            self._lost()
            self._next = next(self._rows, None)

    def _lost(self) -> None:
        assert self._next is not None
        self._complain("change", f"entry {self._next[0]}", "a change that belongs to no entry of the log")
