"""The lines of the log, version 1: what a leaf says, and its exact bytes (ledger.md 4.3).

A line is one RFC 8785 object. `poll` and `judged` lines are kept as columns and built again from
them; `event` lines are kept as bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from agent.canonical import canonical
from agent.ledger.merkle import leaf_hash
from agent.ledger.receipt import Receipt

VERSION = 1
CLOCK_STEP_MS = 2_000
"""How far the clock may run backwards before an event says so."""
FAILED = 2
"""Number of the status of a poll without a root."""
WINDOWED = frozenset({"life", "events"})
"""Kinds of streams whose poll lines say which window was read."""
RESERVED = frozenset({"at", "idx", "k", "v", "docs"})
"""Members of an event line that its body cannot set; `docs` names the documents it brought."""

Body = dict[str, Any]


class PollRow(NamedTuple):
    """A row of the `poll` table, joined with its collector's name and its receipt document's digest."""

    idx: int
    target_id: int
    slot_ms: int | None
    start_ms: int
    dur_ms: int
    asof_ms: int | None
    from_ms: int | None
    to_ms: int | None
    status: int
    why: str | None
    n: int
    gaps: int
    calls: int
    root: bytes | None
    receipt: bytes
    col: str
    doc: bytes


class JudgedRow(NamedTuple):
    """A row of the `judged` table, joined with the digest of its rules document."""

    idx: int
    judging_id: int
    at_ms: int
    upto: int
    unseen: bytes | None
    fn: int
    froot: bytes | None
    rules: bytes


def poll_body(row: PollRow, receipt: Receipt, root: bytes | None, kind: str) -> Body:
    """What a poll line says; members in the order of RFC 8785. `root` is the one after the poll."""
    pages, rows, skew, req = receipt
    rcpt = {"doc": row.doc.hex(), "pages": pages, "req": req, "rows": rows, "skew": skew}
    after = None if root is None else root.hex()
    if kind in WINDOWED:
        return {
            "asof": row.asof_ms, "calls": row.calls, "col": row.col, "dur": row.dur_ms, "from": row.from_ms,
            "gaps": row.gaps, "idx": row.idx, "k": "poll", "n": row.n, "rcpt": rcpt, "root": after,
            "slot": row.slot_ms, "start": row.start_ms, "status": row.status, "t": row.target_id, "to": row.to_ms,
            "v": VERSION, "why": row.why,
        }  # fmt: skip
    return {
        "asof": row.asof_ms, "calls": row.calls, "col": row.col, "dur": row.dur_ms, "gaps": row.gaps,
        "idx": row.idx, "k": "poll", "n": row.n, "rcpt": rcpt, "root": after, "slot": row.slot_ms,
        "start": row.start_ms, "status": row.status, "t": row.target_id, "v": VERSION, "why": row.why,
    }  # fmt: skip


def judged_body(row: JudgedRow, unseen: Sequence[int], froot: bytes) -> Body:
    """What a judged line says; members in the order of RFC 8785."""
    return {
        "at": row.at_ms,
        "fn": row.fn,
        "froot": froot.hex(),
        "idx": row.idx,
        "k": "judged",
        "rules": row.rules.hex(),
        "s": row.judging_id,
        "unseen": list(unseen),
        "upto": row.upto,
        "v": VERSION,
    }


def ordered(body: Body) -> bytes:
    """Line of a body whose members are already in order and in the evidence profile."""
    return orjson.dumps(body)


def event_line(kind: str, body: Mapping[str, Any], idx: int, at_ms: int, docs: Sequence[bytes] = ()) -> bytes:
    """Line of an event; ValueError when the body sets what is the ledger's to set."""
    taken = RESERVED.intersection(body)
    if taken or kind in ("poll", "judged"):
        raise ValueError(f"an event cannot set {sorted(taken) or kind}")
    whole = {**body, "at": at_ms, "idx": idx, "k": kind, "v": VERSION}
    if docs:
        whole["docs"] = [digest.hex() for digest in docs]
    return canonical(whole)


def carried(status: int, stored: bytes | None, before: bytes | None) -> bytes | None:
    """Root after a poll, from its column, which is kept only when it changed; a failed poll has none.

    `before` is the root before it; of an events stream, whose polls each have a tree of their own, `EMPTY`.
    """
    if status == FAILED:
        return None
    return before if stored is None else stored


def target_of(key: str) -> int:
    """Number of the target that a finding is about; 0 for a whole judging scope and derived records.

    ValueError for a key that is not `<target id>/<check>/<record key>`.
    """
    return int(key.partition("/")[0])


def origin_of(genesis: Mapping[str, Any]) -> str:
    """Name of the log in its checkpoints: as configured when it was made, else from its first entry."""
    if genesis["origin"] is not None:
        return str(genesis["origin"])
    body = {name: genesis[name] for name in ("key", "version", "demo", "origin")}
    return f"evidenced/{leaf_hash(event_line('genesis', body, 0, genesis['at'])).hex()[:8]}"
