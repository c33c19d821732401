"""The `ledger/` folder of a bundle: the log, what it commits to, and the keys it is checked with.

Every entry is written whole, from the first to the newest checkpoint, so nothing lies left or right
of the window and no state precedes it. Documents are spooled one by one, each distinct one once.
"""

from __future__ import annotations

import base64
import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from agent.canonical import canonical, parse
from agent.export.tree import Tree

if TYPE_CHECKING:
    from agent.ledger import Ledger

ENTRIES_PER_FILE = 250_000
_BATCH = 400


@dataclass(slots=True)
class TargetReceipts:
    """What the poll lines of one target say of their calls, summed."""

    calls: int = 0
    pages: int = 0
    rows_last: int = 0
    skew_ms: int = 0
    """The largest, by size."""
    collectors: set[str] = field(default_factory=set)
    first_request: str | None = None


@dataclass(slots=True)
class LedgerPart:
    """What was written, and what the other parts of the bundle take from the one pass over the log."""

    size: int = 0
    polls: int = 0
    judged: int = 0
    events: int = 0
    documents: int = 0
    pruned: int = 0
    receipts: dict[int, TargetReceipts] = field(default_factory=dict)
    rules: dict[int, str] = field(default_factory=dict)
    """Judged index -> digest of the rules document."""
    rule_sets: list[tuple[int, int, str]] = field(default_factory=list)
    """(index, time, digest) where the rules changed in some judging scope."""


def write_ledger(tree: Tree, ledger: Ledger, size: int, span_ms: tuple[int, int]) -> LedgerPart:
    """Write `ledger/` for the first `size` entries; receipts are summed over polls within the span."""
    part = LedgerPart(size=size)
    streams = {number: row.target.stream.rpartition(".")[0] for number, row in ledger.targets().items()}
    documents = _Documents(tree, ledger)
    changes = groupby(_changed(ledger, size), key=lambda change: int(change["idx"]))
    ahead = next(changes, None)
    known_rules: dict[int, str] = {}
    for idx, line in ledger.lines(0, size):
        tree.write(f"ledger/entries-{idx // ENTRIES_PER_FILE + 1:06d}.jsonl", line + b"\n")
        body = parse(line)
        at_ms, service, named = _place(body, streams)
        for digest in named:
            documents.add(digest, service, at_ms)
        if ahead is not None and ahead[0] == idx:
            for change in ahead[1]:
                tree.write("ledger/changes.jsonl", canonical(change) + b"\n")
                if change["sha256"]:
                    documents.add(change["sha256"], service, at_ms)
            ahead = next(changes, None)
        _count(part, body, span_ms, known_rules)
    documents.flush()
    part.documents, part.pruned = documents.written, documents.pruned
    tree.write("ledger/changes.jsonl", b"")
    tree.write("ledger/state0.jsonl", b"")
    tree.write("ledger/left.json", canonical({"first": 0, "hashes": []}) + b"\n")
    tree.write("ledger/right.json", canonical({"hashes": [], "last": size, "size": size}) + b"\n")
    for length, note in ledger.notes():
        if length <= size:
            tree.write("ledger/checkpoints.jsonl", canonical({"note": note, "size": length}) + b"\n")
            if length == size:
                tree.write("ledger/checkpoint.note", note)
    return part


def _place(body: Mapping[str, Any], streams: Mapping[int, str]) -> tuple[int, str, list[str]]:
    """Time of an entry, the folder of the documents it brings, and those it names itself."""
    if body["k"] == "poll":
        return body["start"], streams[body["t"]], [body["rcpt"]["doc"]]
    if body["k"] == "judged":
        return body["at"], "findings", [body["rules"]]
    return body["at"], "events", list(body.get("docs", ()))


def _count(part: LedgerPart, body: Mapping[str, Any], span_ms: tuple[int, int], known_rules: dict[int, str]) -> None:
    if body["k"] == "poll":
        part.polls += 1
        if span_ms[0] <= body["start"] < span_ms[1]:
            receipts = part.receipts.setdefault(body["t"], TargetReceipts())
            asked = body["rcpt"]
            receipts.calls += body["calls"]
            receipts.pages += asked["pages"]
            receipts.rows_last = asked["rows"]
            receipts.skew_ms = max(receipts.skew_ms, asked["skew"], key=abs)
            receipts.collectors.add(body["col"])
            receipts.first_request = receipts.first_request or asked["req"]
    elif body["k"] == "judged":
        part.judged += 1
        part.rules[body["idx"]] = body["rules"]
        if known_rules.get(body["s"]) != body["rules"]:
            if body["rules"] not in known_rules.values():
                part.rule_sets.append((body["idx"], body["at"], body["rules"]))
            known_rules[body["s"]] = body["rules"]
    else:
        part.events += 1


def _changed(ledger: Ledger, size: int) -> Iterator[dict[str, Any]]:
    """Changed positions and kept event records, in the order of the log; an entry has only one of the two."""
    changes: Iterator[dict[str, Any]] = (
        {"idx": idx, "key": key, "pos": pos, "sha256": _hex(digest), "tree": tree}
        for idx, tree, pos, key, digest in ledger.changes(0, size)
    )
    seen: Iterator[dict[str, Any]] = (
        {"event": True, "idx": idx, "key": key, "pos": pos, "sha256": digest.hex()}
        for idx, pos, key, digest in ledger.seen(0, size)
    )
    return heapq.merge(changes, seen, key=itemgetter("idx"))


def _hex(digest: bytes | None) -> str | None:
    return None if digest is None else digest.hex()


class _Documents:
    """Writes each distinct document once, under the service and month that first brought it."""

    def __init__(self, tree: Tree, ledger: Ledger) -> None:
        self.tree, self.ledger = tree, ledger
        self.written = self.pruned = 0
        self._known: set[bytes] = set()
        self._waiting: dict[bytes, str] = {}

    def add(self, hexdigest: str, service: str, at_ms: int) -> None:
        digest = bytes.fromhex(hexdigest)
        if digest in self._known:
            return
        self._known.add(digest)
        month = datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m")
        self._waiting[digest] = f"ledger/documents/{service}/{month}.jsonl"
        if len(self._waiting) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        with self.ledger.store.read() as connection:
            numbers = self.ledger.library.find(connection, self._waiting)
        by_number = {number: digest for digest, number in numbers.items()}
        order = [numbers[digest] for digest in self._waiting if digest in numbers]
        for number, data in self.ledger.documents(order):
            digest = by_number[number]
            self.tree.write(self._waiting[digest], document_line(data, digest))
            self.written += 1
        self._waiting.clear()
        self.pruned = len(self._known) - self.written


def document_line(data: bytes, digest: bytes) -> bytes:
    """`{"body":…,"sha256":…}`: the body stands there as the bytes that were hashed; what is no JSON as `base64`."""
    if data[:1] != b"{":
        return canonical({"base64": base64.b64encode(data).decode(), "sha256": digest.hex()}) + b"\n"
    return b'{"body":' + data + b',"sha256":"' + digest.hex().encode() + b'"}\n'
