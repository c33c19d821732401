"""Reading a ledger: polls, states, histories, findings, documents, lines.

Every `upto` is an index of the log, inclusive; None means the head. Every range of lines or changes
is half-open: first..last-1. Each method reads one state of the store.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent.canonical import parse
from agent.ledger.documents import Library, batches
from agent.ledger.lines import Body, carried
from agent.ledger.memory import Memory
from agent.ledger.merkle import EMPTY, consistency, inclusion
from agent.ledger.nodes import Nodes
from agent.ledger.receipt import unpack, unpack_ids
from agent.ledger.rows import CHUNK, Log, events, froot_before, roots_before, size_of
from agent.ledger.schema import (
    asof_ms,
    blob,
    change,
    checkpoint,
    judged,
    poll,
    resource,
    seen_event,
    slot_ms,
)
from agent.ledger.store import Store
from agent.model import Kind, Poll, PollStatus, Reason, Scope, Stored, Target

_HIGHEST = 2**62
_KEPT_POLLS = 200_000
"""Polls remembered: about 60 MB."""
_STATUS = list(PollStatus)


@dataclass(frozen=True, slots=True)
class Head:
    """The log as it stands: number of entries and root (32 bytes)."""

    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class TargetRow:
    """A target as the newest scope event about it says."""

    id: int
    target: Target
    judging_id: int
    first_idx: int
    """Index of the scope event that numbered it."""
    ended: bool
    """Whether it was retired."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One judged line as the ledger gives it back."""

    idx: int
    judging_id: int
    at_ms: int
    upto: int
    rules_blob: int
    fn: int
    froot: bytes
    unseen: tuple[int, ...]


Change = tuple[int, int, int, str, bytes | None]
"""Index, tree, position, key, digest (None = gone)."""
Seen = tuple[int, int, str, bytes]
"""Index, position, key, digest of a record of an events stream."""


class Reader:
    """The reads of an open ledger."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.library = Library()
        self._memory = Memory()
        self._memory_lock = threading.Lock()
        self._past: dict[int, list[Poll]] = {}

    # -- the log ---------------------------------------------------------------------------

    def size(self) -> int:
        """Number of entries."""
        with self.store.read() as connection:
            return size_of(connection)

    def lines(self, first: int = 0, last: int | None = None) -> Iterator[tuple[int, bytes]]:
        """(index, line) of entries first..last-1; the bytes that were hashed."""
        with self.store.read() as connection:
            log = Log(connection, scopes=self._scopes(connection))
            for idx, line, _ in log.entries(first, size_of(connection) if last is None else last):
                yield idx, line

    def notes(self) -> list[tuple[int, str]]:
        """(size, note) of every checkpoint, oldest first."""
        with self.store.read() as connection:
            rows = connection.execute(sa.select(checkpoint.c.size, checkpoint.c.note).order_by(checkpoint.c.size))
            return [(size, note) for size, note in rows]

    def left(self, first: int) -> list[bytes]:
        """Hashes of the complete subtrees that cover entries 0..first-1, left to right."""
        return self._cover(0, first)

    def right(self, last: int, size: int) -> list[bytes]:
        """Hashes of the complete subtrees that cover entries last..size-1, left to right."""
        return self._cover(last, size)

    def inclusion(self, idx: int, size: int) -> list[bytes]:
        """Audit path of an entry in the log of `size` entries (RFC 6962, 2.1.1)."""
        with self.store.read() as connection:
            return inclusion(idx, size, self._nodes(connection).subtree)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Proof that the log of `new` entries extends that of `old` (RFC 6962, 2.1.2)."""
        with self.store.read() as connection:
            return consistency(old, new, self._nodes(connection).subtree)

    def events(self, kind: str | None = None) -> Iterator[dict[str, Any]]:
        """Parsed event lines, of one kind or all, oldest first."""
        with self.store.read() as connection:
            yield from events(connection, kind)

    def _cover(self, first: int, last: int) -> list[bytes]:
        with self.store.read() as connection:
            return self._nodes(connection).cover(first, last)

    def _nodes(self, connection: Connection) -> Nodes:
        return Nodes(connection, self._scopes(connection))

    # -- scopes ----------------------------------------------------------------------------

    def targets(self, upto: int | None = None) -> dict[int, TargetRow]:
        """Every target ever declared, by number, as the newest scope event up to an index says."""
        with self.store.read() as connection:
            return scopes(self._scopes(connection), upto)

    def judgings(self) -> dict[int, str]:
        """Names of the judging scopes, by number."""
        with self.store.read() as connection:
            return judgings(self._scopes(connection))

    def _scopes(self, connection: Connection) -> list[Body]:
        """Scope events so far; those read before are not read again."""
        with self._memory_lock:
            self._memory.catch_up(connection)
            return list(self._memory.scopes)

    # -- polls -----------------------------------------------------------------------------

    def poll(self, idx: int) -> Poll:
        """The poll at an index; KeyError when there is none."""
        for found in self._polls(poll.c.idx == idx):
            return found
        raise KeyError(f"entry {idx} is no poll")

    def polls(self, target_id: int | None = None, since: int = 0, upto: int | None = None) -> Iterator[Poll]:
        """Polls of a target, or of all, with since <= index <= upto, oldest first."""
        with self.store.read() as connection:
            if target_id is None:
                yield from self._read_polls(connection, poll.c.idx >= since, poll.c.idx <= _upto(upto))
                return
            known, last = self._poll_index(connection, upto)
            indices = known.get(target_id, ())
            for batch in batches(indices[bisect_left(indices, since) : bisect_right(indices, last)]):
                yield from self._read_polls(connection, poll.c.idx.in_(batch))

    def past(self, target_id: int, upto: int | None = None) -> Sequence[Poll]:
        """As `polls` of one target, from memory but for those appended since it was last asked."""
        known = self._past.get(target_id)
        if known is None:
            if sum(map(len, self._past.values())) > _KEPT_POLLS:
                self._past.clear()
            known = self._past[target_id] = []
        known += self.polls(target_id, since=known[-1].idx + 1 if known else 0)
        return known if upto is None else known[: bisect_right(known, upto, key=lambda one: one.idx)]

    def calls_since(self, start_ms: int) -> dict[int, int]:
        """Target -> calls of its polls that began at or after a time, ms UTC."""
        query = sa.select(poll.c.target_id, sa.func.sum(poll.c.calls)).where(poll.c.start_ms >= start_ms)
        with self.store.read() as connection:
            return {number: int(calls) for number, calls in connection.execute(query.group_by(poll.c.target_id))}

    def newest(self, upto: int | None = None) -> dict[int, Poll]:
        """The newest poll of each target that has one, up to an index."""
        with self.store.read() as connection:
            known, last = self._poll_index(connection, upto)
            places = ((indices, bisect_right(indices, last)) for indices in known.values())
            found = sorted(indices[place - 1] for indices, place in places if place)
            polls = (one for batch in batches(found) for one in self._read_polls(connection, poll.c.idx.in_(batch)))
            return {one.target_id: one for one in polls}

    def _poll_index(self, connection: Connection, upto: int | None) -> tuple[Mapping[int, Sequence[int]], int]:
        """Indices of each target's polls, and the last one that counts."""
        with self._memory_lock:
            self._memory.catch_up(connection)
            return self._memory.polls(connection), min(_upto(upto), size_of(connection) - 1)

    def receipt(self, idx: int) -> dict[str, Any]:
        """What a poll asked: `doc` (the receipt document, parsed), `pages`, `req`, `rows`, `skew`."""
        with self.store.read() as connection:
            row = connection.execute(sa.select(poll.c.receipt, poll.c.receipt_blob).where(poll.c.idx == idx)).first()
            if row is None:
                raise KeyError(f"entry {idx} is no poll")
            pages, rows, skew, req = unpack(bytes(row[0]))
            doc = next((parse(data) for _, data in self.library.read(connection, [row[1]])), None)
        return {"doc": doc, "pages": pages, "req": req, "rows": rows, "skew": skew}

    def _polls(self, *where: sa.ColumnElement[bool]) -> Iterator[Poll]:
        with self.store.read() as connection:
            yield from self._read_polls(connection, *where)

    def _read_polls(self, connection: Connection, *where: sa.ColumnElement[bool]) -> Iterator[Poll]:
        kinds = {body["t"]: body["kind"] for body in self._scopes(connection) if "kind" in body}
        roots: dict[int, bytes | None] = {}
        query = sa.select(poll, slot_ms.label("slot_ms"), asof_ms.label("asof_ms")).where(*where).order_by(poll.c.idx)
        for rows in connection.execute(query).yield_per(CHUNK).partitions():
            first = {row.target_id: row.idx for row in reversed(rows) if row.target_id not in roots}
            known = roots_before(connection, first.values())
            roots.update((target_id, known.get(idx)) for target_id, idx in first.items())
            for row in rows:
                target_id, of_events = row.target_id, kinds[row.target_id] == Kind.EVENTS
                root = carried(row.status, row.root, EMPTY if of_events else roots[target_id])
                if not of_events and root is not None:
                    roots[target_id] = root
                yield Poll(
                    row.idx, target_id, row.slot_ms, row.start_ms, row.dur_ms, row.asof_ms, row.from_ms, row.to_ms,
                    _STATUS[row.status], Reason(row.why) if row.why else None, row.n, row.gaps, row.calls, root,
                )  # fmt: skip

    # -- states and histories --------------------------------------------------------------

    def state(self, tree: int, upto: int | None = None) -> list[Stored]:
        """What stands in a tree after an index, by position; tree is a target, or minus a judging scope."""
        with self.store.read() as connection:
            rows = connection.execute(_state_query(tree, upto).where(change.c.blob_id.is_not(None)))
            return [Stored(key, bytes(digest), blob_id, idx) for _, key, blob_id, digest, idx in rows]

    def state_at(self, first: int) -> Iterator[tuple[int, int, str, bytes | None]]:
        """(tree, position, key, digest or None = gone) of every tree before entry `first`."""
        with self.store.read() as connection:
            query = sa.select(resource.c.tree).distinct().order_by(resource.c.tree)
            trees = [tree for (tree,) in connection.execute(query)]
            for tree in trees:
                for pos, key, _, digest, _ in connection.execute(_state_query(tree, first - 1)).yield_per(CHUNK):
                    yield tree, pos, key, None if digest is None else bytes(digest)

    def versions(self, tree: int, upto: int | None = None) -> Iterator[tuple[str, int, int | None]]:
        """(key, index, document or None = gone) of every change in a tree, in the order of the log."""
        with self.store.read() as connection:
            rows = connection.execute(
                sa.select(resource.c.key, change.c.idx, change.c.blob_id)
                .join(resource, (resource.c.tree == change.c.tree) & (resource.c.pos == change.c.pos))
                .where(change.c.tree == tree, change.c.idx <= _upto(upto))
                .order_by(change.c.idx, change.c.pos)
            ).yield_per(CHUNK)
            yield from (tuple(row) for row in rows)

    def changes(self, first: int = 0, last: int | None = None) -> Iterator[Change]:
        """Changed positions of entries first..last-1, by index, tree and position."""
        with self.store.read() as connection:
            yield from _changes(connection, first, _HIGHEST if last is None else last)

    def seen(self, first: int = 0, last: int | None = None) -> Iterator[Seen]:
        """Kept records of events streams of entries first..last-1, by index and position."""
        with self.store.read() as connection:
            rows = connection.execute(
                sa.select(seen_event.c.idx, seen_event.c.pos, seen_event.c.key, blob.c.digest)
                .join(blob, blob.c.id == seen_event.c.blob_id)
                .where(seen_event.c.idx >= first, seen_event.c.idx < (_HIGHEST if last is None else last))
                .order_by(seen_event.c.idx, seen_event.c.pos)
            ).yield_per(CHUNK)
            for idx, pos, key, digest in rows:
                yield idx, pos, key, bytes(digest)

    def events_of(self, idx: int) -> list[Stored]:
        """The records that a poll of an events stream brought, by key."""
        with self.store.read() as connection:
            rows = connection.execute(
                sa.select(seen_event.c.key, blob.c.digest, seen_event.c.blob_id)
                .join(blob, blob.c.id == seen_event.c.blob_id)
                .where(seen_event.c.idx == idx)
                .order_by(seen_event.c.pos)
            )
            return [Stored(key, bytes(digest), blob_id, idx) for key, digest, blob_id in rows]

    def kept(self, target_id: int, upto: int | None = None) -> list[Stored]:
        """Every record that the polls of an events stream brought, up to an index, in the order of the log."""
        query = (
            sa.select(seen_event.c.key, blob.c.digest, seen_event.c.blob_id, seen_event.c.idx)
            .join(blob, blob.c.id == seen_event.c.blob_id)
            .order_by(seen_event.c.idx, seen_event.c.pos)
        )
        with self.store.read() as connection:
            known, last = self._poll_index(connection, upto)
            indices = known.get(target_id, ())
            return [
                Stored(key, bytes(digest), blob_id, idx)
                for batch in batches(indices[: bisect_right(indices, last)])
                for key, digest, blob_id, idx in connection.execute(query.where(seen_event.c.idx.in_(batch)))
            ]

    # -- judged lines ----------------------------------------------------------------------

    def judged(self, judging_id: int | None = None, upto: int | None = None) -> Iterator[Judged]:
        """Judged lines of a scope, or of all, up to an index, oldest first."""
        query = sa.select(judged).where(judged.c.idx <= _upto(upto)).order_by(judged.c.idx)
        if judging_id is not None:
            query = query.where(judged.c.judging_id == judging_id)
        with self.store.read() as connection:
            froots: dict[int, bytes] = {}
            for row in connection.execute(query).yield_per(CHUNK):
                if row.froot is not None:
                    froots[row.judging_id] = bytes(row.froot)
                yield Judged(
                    row.idx, row.judging_id, row.at_ms, row.upto, row.rules_blob, row.fn, froots[row.judging_id],
                    tuple(unpack_ids(row.unseen)),
                )  # fmt: skip

    def last_judged(self, upto: int | None = None) -> dict[int, Judged]:
        """The newest judged line of each judging scope that has one, up to an index."""
        with self.store.read() as connection:
            found = {}
            for judging_id in judgings(self._scopes(connection)):
                row = connection.execute(
                    sa.select(judged)
                    .where(judged.c.judging_id == judging_id, judged.c.idx <= _upto(upto))
                    .order_by(judged.c.idx.desc())
                    .limit(1)
                ).first()
                if row is not None:
                    froot = row.froot or froot_before(connection, judging_id, row.idx)
                    found[judging_id] = Judged(
                        row.idx, judging_id, row.at_ms, row.upto, row.rules_blob, row.fn, bytes(froot or b""),
                        tuple(unpack_ids(row.unseen)),
                    )  # fmt: skip
            return found

    # -- documents -------------------------------------------------------------------------

    def document(self, blob_id: int) -> bytes:
        """Bytes of a document; KeyError when it is not kept, or was pruned."""
        for _, data in self.documents([blob_id]):
            return data
        raise KeyError(f"document {blob_id} was pruned")

    def documents(self, blob_ids: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        """(number, bytes) of documents in the order asked for; pruned ones are left out."""
        with self.store.read() as connection:
            yield from self.library.read(connection, blob_ids)

    def blob_of(self, digest: bytes) -> int | None:
        """Number of the document with this digest."""
        with self.store.read() as connection:
            return connection.execute(sa.select(blob.c.id).where(blob.c.digest == digest)).scalar()


def scopes(scope_events: Iterable[Mapping[str, Any]], upto: int | None = None) -> dict[int, TargetRow]:
    """The targets that scope events up to an index tell of."""
    found: dict[int, TargetRow] = {}
    for body in scope_events:
        if body["idx"] > _upto(upto):
            break
        known = found.get(body["t"])
        if "stream" not in body:
            if known:
                found[known.id] = TargetRow(known.id, known.target, known.judging_id, known.first_idx, True)
            continue
        scope = Scope(body["scope"], body["judging"], body["detail"])
        target = Target(body["stream"], scope, Kind(body["kind"]), body["every"], body["col"])
        found[body["t"]] = TargetRow(body["t"], target, body["s"], known.first_idx if known else body["idx"], False)
    return found


def judgings(scope_events: Iterable[Mapping[str, Any]]) -> dict[int, str]:
    """Names of the judging scopes that scope events tell of, by number."""
    return {body["s"]: body["judging"] for body in scope_events if "stream" in body}


def _upto(upto: int | None) -> int:
    return _HIGHEST if upto is None else upto


def _state_query(tree: int, upto: int | None) -> sa.Select[Any]:
    """Position, key, document, digest and index of the newest change of each position of a tree."""
    newer = change.alias()
    newest = (
        sa.select(sa.func.max(newer.c.idx))
        .where(newer.c.tree == resource.c.tree, newer.c.pos == resource.c.pos, newer.c.idx <= _upto(upto))
        .scalar_subquery()
    )
    return (
        sa.select(resource.c.pos, resource.c.key, change.c.blob_id, blob.c.digest, change.c.idx)
        .select_from(resource)
        .join(change, (change.c.tree == resource.c.tree) & (change.c.pos == resource.c.pos) & (change.c.idx == newest))
        .outerjoin(blob, blob.c.id == change.c.blob_id)
        .where(resource.c.tree == tree)
        .order_by(resource.c.pos)
    )


def _changes(connection: Connection, first: int, last: int) -> Iterator[Change]:
    rows = connection.execute(
        sa.select(change.c.idx, change.c.tree, change.c.pos, resource.c.key, blob.c.digest)
        .join(resource, (resource.c.tree == change.c.tree) & (resource.c.pos == change.c.pos))
        .outerjoin(blob, blob.c.id == change.c.blob_id)
        .where(change.c.idx >= first, change.c.idx < last)
        .order_by(change.c.idx, change.c.tree, change.c.pos)
    ).yield_per(CHUNK)
    for idx, tree, pos, key, digest in rows:
        yield idx, tree, pos, key, None if digest is None else bytes(digest)
