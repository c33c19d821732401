"""What a process remembers of the log, so that an append reads only what others appended meanwhile."""

from __future__ import annotations

from array import array
from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent.ledger.lines import Body
from agent.ledger.merkle import STORED_LEVELS, Range, leaf_hash
from agent.ledger.rows import CHUNK, Entry, Log, events, size_of
from agent.ledger.schema import event, node, poll

_FAR = 20_000
"""Entries behind the head from which it is quicker to begin again from the kept nodes."""


class Memory:
    """The log's compact range, its scope events, its newest dictionary and clock event, newest times."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self.log = Range()
        self.scopes: list[Body] = []
        self.dictionary: bytes | None = None
        """Digest of the newest dictionary."""
        self.clock = -1
        """Index of the newest `clock` event."""
        self.event_ms: int | None = None
        """Time of the newest event."""
        self._starts: dict[int, tuple[int, int]] = {}
        self._polls: dict[int, array[int]] | None = {}
        """Indices of each target's polls; None while they were not asked for."""

    @property
    def size(self) -> int:
        """Entries remembered."""
        return self.log.size

    def catch_up(self, connection: Connection) -> None:
        """Take in what was appended since."""
        size = size_of(connection)
        if size == self.size:
            return
        if size - self.size > _FAR:
            self._begin(connection, size)
        for entry in Log(connection).entries(self.size, size):
            self.take(entry)

    def take(self, entry: Entry) -> None:
        """Take in one more entry."""
        _, line, body = entry
        self.log.append(leaf_hash(line))
        if body is not None:
            self._note(body)

    def polls(self, connection: Connection) -> Mapping[int, array[int]]:
        """Indices of each target's polls, ascending. They cost 8 bytes each here and would cost more in the store."""
        if self._polls is not None:
            return self._polls
        found: dict[int, array[int]] = {}
        query = sa.select(poll.c.idx, poll.c.target_id).where(poll.c.idx < self.size).order_by(poll.c.idx)
        for idx, target_id in connection.execute(query).yield_per(CHUNK):
            found.setdefault(target_id, array("q")).append(idx)
        # a reader that began before the newest append does not see it
        if size_of(connection) == self.size:
            self._polls = found
        return found

    def last_start(self, connection: Connection, target_id: int) -> int | None:
        """Start of a target's newest poll since the newest `clock` event, ms; None without one."""
        if target_id not in self._starts:
            declared = next((body["idx"] for body in self.scopes if body["t"] == target_id), 0)
            row = connection.execute(
                sa.select(poll.c.idx, poll.c.start_ms)
                .where(poll.c.target_id == target_id, poll.c.idx > declared)
                .order_by(poll.c.idx.desc())
                .limit(1)
            ).first()
            self._starts[target_id] = (row.idx, row.start_ms) if row else (-1, 0)
        idx, start = self._starts[target_id]
        return start if idx > self.clock else None

    def _begin(self, connection: Connection, size: int) -> None:
        """Start from the kept nodes and the few kinds of events that are needed."""
        self._forget()
        self._polls = None
        lowest = STORED_LEVELS[0]
        whole = size >> lowest << lowest
        self.log = _range(connection, whole)
        for kind in ("scope", "dictionary", "clock"):
            for body in events(connection, kind, 0, whole):
                self._note(body)
        newest = sa.select(event.c.idx).where(event.c.idx < whole).order_by(event.c.idx.desc()).limit(1)
        idx = connection.execute(newest).scalar()
        if idx is not None:
            self.event_ms = next(events(connection, None, idx, idx + 1))["at"]

    def _note(self, body: Body) -> None:
        kind = body["k"]
        if kind == "poll":
            self._starts[body["t"]] = (body["idx"], body["start"])
            if self._polls is not None:
                self._polls.setdefault(body["t"], array("q")).append(body["idx"])
            return
        if kind == "judged":
            return
        self.event_ms = body["at"]
        if kind == "scope":
            self.scopes.append(body)
        elif kind == "dictionary":
            self.dictionary = bytes.fromhex(body["docs"][0])
        elif kind == "clock":
            self.clock = body["idx"]


def _range(connection: Connection, size: int) -> Range:
    """The compact range of a log of so many entries, a multiple of 256, from the kept nodes."""
    log = Range()
    for level in reversed(STORED_LEVELS):
        rows = connection.execute(
            sa.select(node.c.h)
            .where(node.c.level == level, node.c.i >= log.size >> level, node.c.i < size >> level)
            .order_by(node.c.i)
        )
        for (node_hash,) in rows:
            log.append_subtree(level, bytes(node_hash))
    return log
