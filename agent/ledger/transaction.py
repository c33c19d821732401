"""What all appends share: one transaction, the log as it grows, the trees as they stand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent.canonical import parse
from agent.errors import IntegrityError
from agent.ledger.lines import CLOCK_STEP_MS, Body, event_line
from agent.ledger.memory import Memory
from agent.ledger.merkle import STORED_LEVELS, Range, leaf_hash
from agent.ledger.positions import Positions, check_keys
from agent.ledger.read import Head, Reader
from agent.ledger.rows import Entry, size_of
from agent.ledger.schema import blob, change, event, node, resource
from agent.ledger.store import Store

_REMEMBERED = 2_000_000
"""Positions kept in memory over all trees, about 250 bytes each."""

Bring = Callable[[], bytes]
"""Gives the bytes of a document when they are needed."""


class Transaction:
    """One append under way: the connection and the log as it will be."""

    def __init__(self, connection: Connection, log: Range) -> None:
        self.connection = connection
        self.entries: list[Entry] = []
        self.touched: set[int] = set()
        """Trees whose remembered state was changed."""
        self._log = log
        self._nodes: list[dict[str, Any]] = []

    @property
    def idx(self) -> int:
        """Index of the next entry."""
        return self._log.size

    def root(self) -> bytes:
        """Root of the log with what was added."""
        return self._log.root()

    def add(self, line: bytes, body: Body) -> int:
        """Put a line at the end of the log; its index comes back."""
        idx = self._log.size
        for level, number, made in self._log.append_subtree(0, leaf_hash(line)):
            if level in STORED_LEVELS:
                self._nodes.append({"level": level, "i": number, "h": made})
        self.entries.append((idx, line, body))
        return idx

    def flush(self) -> None:
        """Write the nodes that were completed."""
        if self._nodes:
            self.connection.execute(sa.insert(node), self._nodes)


class Transactions(Reader):
    """An open ledger within which something can be appended."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._append_lock = threading.Lock()
        self._states: dict[int, tuple[bytes | None, Positions]] = {}
        self._dictionary: tuple[bytes, int] | None = None

    def head(self) -> Head:
        """Number of entries and root of the log."""
        with self.store.read() as connection, self._memory_lock:
            self._memory.catch_up(connection)
            return Head(self._memory.size, self._memory.log.root())

    @contextmanager
    def _append(self) -> Iterator[Transaction]:
        """The transaction of one append. What went wrong leaves nothing behind, here or in the store."""
        with self._append_lock:
            touched: set[int] = set()
            try:
                with self.store.write() as connection:
                    transaction = Transaction(connection, self._current(connection))
                    touched = transaction.touched
                    yield transaction
                    transaction.flush()
            except BaseException:
                for tree in touched:
                    self._states.pop(tree, None)
                raise
            with self._memory_lock:
                for entry in transaction.entries:
                    # a reader may have come first
                    if entry[0] == self._memory.size:
                        self._memory.take(entry)

    def _current(self, connection: Connection) -> Range:
        """The log as the store has it, with what other processes appended."""
        with self._memory_lock:
            if size_of(connection) < self._memory.size:
                self._memory = Memory()
            self._memory.catch_up(connection)
            return self._memory.log.copy()

    def _state(self, connection: Connection, tree: int, n_pos: int, root: bytes | None) -> Positions:
        """Positions of a tree: as remembered when the store says the same, else read."""
        known = self._states.pop(tree, None)
        if known is None or known[0] != root or len(known[1]) != n_pos:
            state = Positions.load(connection, tree)
            if len(state) != n_pos or (n_pos and state.root() != root):
                raise IntegrityError(f"the state of tree {tree} differs from its root", "evidenced verify --store")
            known = (root, state)
        while self._states and sum(len(state) for _, state in self._states.values()) > _REMEMBERED:
            self._states.pop(next(iter(self._states)))
        self._states[tree] = known
        return known[1]

    def _apply(
        self, transaction: Transaction, tree: int, state: Positions, changed: Mapping[str, bytes | None],
        brought: Mapping[bytes, Bring],
    ) -> bytes:  # fmt: skip
        """Write changed positions of a tree; new keys take the next ones in the order of their bytes."""
        if changed:
            connection, idx = transaction.connection, transaction.idx
            new = sorted((key for key in changed if key not in state.at), key=str.encode)
            old = sorted((key for key in changed if key in state.at), key=state.at.__getitem__)
            check_keys(new)
            numbers = self._put(connection, brought)
            transaction.touched.add(tree)
            rows: list[dict[str, Any]] = []
            for key in (*old, *new):
                name = changed[key]
                number = None if name is None else numbers[name]
                rows.append({"tree": tree, "pos": state.put(key, name), "idx": idx, "blob_id": number, "key": key})
            connection.execute(sa.insert(change), [{name: row[name] for name in _CHANGE} for row in rows])
            _write_positions(connection, rows[: len(old)], rows[len(old) :])
        root = state.root()
        self._states[tree] = (root, state)
        return root

    def _put(self, connection: Connection, documents: Mapping[bytes, Bring]) -> dict[bytes, int]:
        """Keep documents; their numbers come back."""
        return self.library.put(connection, documents, self._dictionary_id(connection)) if documents else {}

    def _dictionary_id(self, connection: Connection) -> int | None:
        """The document that is the newest dictionary."""
        name = self._memory.dictionary
        if name is None:
            return None
        if self._dictionary is None or self._dictionary[0] != name:
            number = connection.execute(sa.select(blob.c.id).where(blob.c.digest == name)).scalar_one()
            self._dictionary = (name, number)
        return self._dictionary[1]


_CHANGE = ("tree", "pos", "idx", "blob_id")


def write_event(
    transaction: Transaction, kind: str, body: Mapping[str, Any], at_ms: int, docs: Sequence[bytes] = ()
) -> int:
    """Put an event at the end of the log; its index comes back."""
    line = event_line(kind, body, transaction.idx, at_ms, docs)
    idx = transaction.add(line, parse(line))
    transaction.connection.execute(sa.insert(event), [{"idx": idx, "line": line}])
    return idx


def _write_positions(connection: Connection, old: Sequence[dict[str, Any]], new: Sequence[dict[str, Any]]) -> None:
    """Bring the cache of current states up to date."""
    if old:
        connection.execute(
            sa.update(resource)
            .where(resource.c.tree == sa.bindparam("at_tree"), resource.c.pos == sa.bindparam("at_pos"))
            .values(blob_id=sa.bindparam("to_blob")),
            [{"at_tree": row["tree"], "at_pos": row["pos"], "to_blob": row["blob_id"]} for row in old],
        )
    if new:
        columns = ("tree", "pos", "key", "blob_id")
        connection.execute(sa.insert(resource), [{name: row[name] for name in columns} for row in new])


def clock_step(transaction: Transaction, now_ms: int, was_ms: int | None) -> None:
    """A `clock` event where time stepped back."""
    if was_ms is not None and now_ms < was_ms - CLOCK_STEP_MS:
        write_event(transaction, "clock", {"was": was_ms}, now_ms)
