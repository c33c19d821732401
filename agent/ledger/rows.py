"""The log as it lies in the tables, read back into lines in the order of the log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent.errors import IntegrityError
from agent.ledger.documents import batches
from agent.ledger.lines import FAILED, Body, JudgedRow, PollRow, carried, judged_body, ordered, poll_body
from agent.ledger.merkle import EMPTY
from agent.ledger.receipt import unpack, unpack_ids
from agent.ledger.schema import asof_ms, blob, collector, event, judged, poll, slot_ms

CHUNK = 4096
"""Entries read at once."""

Entry = tuple[int, bytes, Body | None]
"""Index, line, and what the line says."""
Complain = Callable[[str, str, str], None]
"""Told of each thing that is wrong: code, place, text."""

POLLS = (
    sa.select(
        poll.c.idx, poll.c.target_id, slot_ms, poll.c.start_ms, poll.c.dur_ms, asof_ms, poll.c.from_ms, poll.c.to_ms,
        poll.c.status, poll.c.why, poll.c.n, poll.c.gaps, poll.c.calls, poll.c.root, poll.c.receipt,
        collector.c.name, blob.c.digest,
    )
    .select_from(poll)
    .outerjoin(collector, collector.c.id == poll.c.col_id)
    .outerjoin(blob, blob.c.id == poll.c.receipt_blob)
)  # fmt: skip
JUDGED = (
    sa.select(
        judged.c.idx, judged.c.judging_id, judged.c.at_ms, judged.c.upto, judged.c.unseen, judged.c.fn, judged.c.froot,
        blob.c.digest,
    )
    .select_from(judged.outerjoin(blob, blob.c.id == judged.c.rules_blob))
)  # fmt: skip


def refuse(code: str, place: str, text: str) -> None:
    """What readers do about anything wrong: IntegrityError."""
    raise IntegrityError(f"{place}: {text}", f"evidenced verify --store ({code})")


def size_of(connection: Connection) -> int:
    """Number of entries, by the newest index."""
    newest = sa.union_all(*(sa.select(sa.func.max(table.c.idx)) for table in (poll, judged, event)))
    return max((idx for (idx,) in connection.execute(newest) if idx is not None), default=-1) + 1


def events(connection: Connection, kind: str | None = None, first: int = 0, last: int | None = None) -> Iterator[Body]:
    """Parsed event lines first..last-1, of one kind or all, in order."""
    query = sa.select(event.c.line).where(event.c.idx >= first).order_by(event.c.idx)
    if last is not None:
        query = query.where(event.c.idx < last)
    if kind is not None:
        mark = f'"k":"{kind}"'
        if connection.dialect.name == "postgresql":
            query = query.where(sa.func.strpos(sa.func.convert_from(event.c.line, "UTF8"), mark) > 0)
        else:
            query = query.where(sa.func.instr(event.c.line, sa.literal(mark.encode(), sa.LargeBinary)) > 0)
    for (line,) in connection.execute(query).yield_per(CHUNK):
        body: Body = orjson.loads(bytes(line))
        # a nested object may hold the same bytes
        if kind is None or body["k"] == kind:
            yield body


class Log:
    """Reads a stretch of the log; roots that were not kept because nothing changed are filled in."""

    def __init__(
        self, connection: Connection, complain: Complain = refuse, scopes: Iterable[Body] | None = None
    ) -> None:
        self._connection = connection
        self._complain = complain
        self._scopes = scopes
        """Scope events, where the caller has them at hand."""
        self._kinds: dict[int, str] = {}
        self._roots: dict[int, bytes | None] = {}
        self._froots: dict[int, bytes | None] = {}
        self._first = 0

    def entries(self, first: int, last: int) -> Iterator[Entry]:
        """Entries first..last-1 in order."""
        self._first = first
        before = events(self._connection, "scope", 0, first) if self._scopes is None else self._scopes
        self._kinds = {body["t"]: body["kind"] for body in before if "kind" in body and body["idx"] < first}
        readers = (self._poll, self._judged, self._event)
        for start in range(first, last, CHUNK):
            rows = self._chunk(start, min(start + CHUNK, last))
            if len(rows) < min(CHUNK, last - start):
                self._complain("missing", f"entries {start} to {min(start + CHUNK, last) - 1}", "not all are there")
            for _, number, row in rows:
                entry = readers[number](row)
                if entry is not None:
                    yield entry

    def _chunk(self, first: int, last: int) -> list[tuple[int, int, Any]]:
        rows: list[tuple[int, int, Any]] = []
        for number, (query, table) in enumerate(((POLLS, poll), (JUDGED, judged), (sa.select(event), event))):
            stretch = query.where(table.c.idx >= first, table.c.idx < last).order_by(table.c.idx)
            found = self._connection.execute(stretch).all()
            if table is poll:
                self._learn_roots(found)
            rows += [(row[0], number, row) for row in found]
        rows.sort(key=itemgetter(0))
        return rows

    def _poll(self, row: Any) -> Entry | None:
        row = PollRow._make(row)
        kind = self._kinds.get(row.target_id)
        if kind is None or row.col is None or row.doc is None:
            self._complain("dangling", f"entry {row.idx}", "target, collector or receipt document is not known")
            return None
        try:
            receipt = unpack(row.receipt)
        except ValueError as error:
            self._complain("receipt", f"entry {row.idx}", str(error))
            return None
        before = EMPTY if kind == "events" else self._roots[row.target_id]
        root = carried(row.status, row.root, before)
        if row.root is not None and (row.status == FAILED or row.root == before):
            self._complain("root-kept", f"entry {row.idx}", "a root is kept though it did not change")
        if root is not before and kind != "events" and root is not None:
            self._roots[row.target_id] = root
        body = poll_body(row, receipt, root, kind)
        return row.idx, ordered(body), body

    def _judged(self, row: Any) -> Entry | None:
        row = JudgedRow(*row)
        place = f"entry {row.idx}"
        before = self._froot_before(row.judging_id, row.idx)
        froot = before if row.froot is None else row.froot
        if froot is None or row.rules is None:
            self._complain("dangling", place, "root of the findings or rules document is not known")
            return None
        if row.froot == before:
            self._complain("root-kept", place, "a root is kept though it did not change")
        try:
            unseen = unpack_ids(row.unseen)
        except ValueError as error:
            self._complain("unseen", place, str(error))
            return None
        self._froots[row.judging_id] = froot
        body = judged_body(row, unseen, froot)
        return row.idx, ordered(body), body

    def _event(self, row: Any) -> Entry | None:
        idx, line = row
        line = bytes(line)
        try:
            body = orjson.loads(line)
        except orjson.JSONDecodeError:
            body = None
        if not isinstance(body, dict):
            self._complain("line", f"entry {idx}", "the event is no JSON object")
            return idx, line, None
        number, kind = body.get("t"), body.get("kind")
        if body.get("k") == "scope" and isinstance(number, int) and isinstance(kind, str):
            self._kinds[number] = kind
        return idx, line, body

    def _learn_roots(self, rows: Iterable[Any]) -> None:
        """Roots of the targets whose first poll of this stretch is among the rows, before that poll."""
        new: dict[int, int] = {}
        for row in rows:
            if row.target_id not in self._roots:
                new.setdefault(row.target_id, row.idx)
        if new:
            known = roots_before(self._connection, new.values()) if self._first else {}
            self._roots.update((target_id, known.get(idx)) for target_id, idx in new.items())

    def _froot_before(self, judging_id: int, idx: int) -> bytes | None:
        if judging_id not in self._froots:
            self._froots[judging_id] = froot_before(self._connection, judging_id, idx) if self._first else None
        return self._froots[judging_id]


def roots_before(connection: Connection, indices: Iterable[int]) -> dict[int, bytes]:
    """For each of these polls the newest root kept before it by its target; none where there is none."""
    older = poll.alias()
    root = (
        sa.select(older.c.root)
        .where(older.c.target_id == poll.c.target_id, older.c.idx < poll.c.idx, older.c.root.is_not(None))
        .order_by(older.c.idx.desc())
        .limit(1)
        .scalar_subquery()
    )
    found: dict[int, bytes] = {}
    for batch in batches(indices):
        rows = connection.execute(sa.select(poll.c.idx, root).where(poll.c.idx.in_(batch)))
        found.update((idx, before) for idx, before in rows if before is not None)
    return found


def froot_before(connection: Connection, judging_id: int, idx: int) -> bytes | None:
    """Newest kept root of a judging scope's findings before an index."""
    return connection.execute(
        sa.select(judged.c.froot)
        .where(judged.c.judging_id == judging_id, judged.c.idx < idx, judged.c.froot.is_not(None))
        .order_by(judged.c.idx.desc())
        .limit(1)
    ).scalar()
