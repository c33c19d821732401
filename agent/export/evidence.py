"""`evidence/items.jsonl`: one line per version of a record, from the poll that first showed it to the last."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from agent.assess import Assessment, Deviation, Piece, Subject
from agent.canonical import canonical, digest, parse
from agent.catalogue import Catalogue
from agent.clock import iso
from agent.export.ledger_part import LedgerPart
from agent.export.tree import Tree
from agent.model import Kind, Poll, PollStatus

if TYPE_CHECKING:
    from agent.assess.coverage import TargetPast
    from agent.ledger import Ledger

ITEMS = "evidence/items.jsonl"
_BATCH = 400


@dataclass(frozen=True, slots=True)
class Version:
    """One version of one record: shown first at `idx`, and no longer from `until` on (None: still)."""

    pos: int
    key: str
    idx: int
    until: int | None
    blob_id: int


@dataclass(slots=True)
class Sample:
    """The evidence of one deviation, as the report shows it."""

    deviation: Deviation
    item: Mapping[str, Any] | None
    record: bytes | None
    finding: bytes
    rules: str | None


@dataclass(slots=True)
class Items:
    """What writing the items brought to light."""

    count: int = 0
    redacted: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(stream, last name of the pointer's parent) -> values left out, over distinct records."""
    secrets: int = 0
    records: dict[str, tuple[Mapping[str, Any], bytes]] = field(default_factory=dict)
    """Deviation -> item and record document that opened it."""


class ItemWriter:
    """Writes the items of a span; findings stand beside the versions they were judged by."""

    def __init__(
        self, tree: Tree, ledger: Ledger, assessment: Assessment, catalogue: Catalogue, part: LedgerPart
    ) -> None:
        self.tree, self.ledger, self.assessment, self.catalogue, self.part = tree, ledger, assessment, catalogue, part
        self.items = Items()
        self._lives: dict[int, dict[str, list[tuple[Subject, list[Piece]]]]] = defaultdict(lambda: defaultdict(list))
        for subject, life in assessment.reading.lives():
            if subject.target_id:
                self._lives[subject.target_id][subject.key].append((subject, life))
        self._receipt = lru_cache(4_096)(ledger.receipt)

    def write(self, wanted: Sequence[Deviation]) -> Items:
        """All items of the span; those that opened a wanted deviation are kept as well."""
        self.tree.write(ITEMS, b"")
        places: dict[tuple[int, str], list[Deviation]] = defaultdict(list)
        for one in wanted:
            places[one.subject.target_id, one.subject.key].append(one)
        for number, target in self.assessment.targets.items():
            until_ms = self.assessment.span.until_ms
            tried = [poll for poll in self.assessment.reading.polls(number) if poll.start_ms < until_ms]
            polls = [poll for poll in tried if poll.status is not PollStatus.FAILED]
            failed = [poll.idx for poll in tried if poll.status is PollStatus.FAILED]
            versions = iter(self._versions(target.past, polls))
            while batch := list(islice(versions, _BATCH)):
                bodies = dict(self.ledger.documents({version.blob_id for version in batch}))
                for version in batch:
                    data = bodies.get(version.blob_id)
                    if data is not None and not data.startswith(b'{"gap":'):
                        body = self._item(target.past, version, data, polls, failed)
                        for one in places.get((number, version.key), ()):
                            if one.opened_poll is not None and _holds(version, one.opened_poll):
                                self.items.records[one.id] = (body, data)
        return self.items

    def _versions(self, past: TargetPast, polls: Sequence[Poll]) -> list[Version]:
        """Versions of the target's records that were seen within the span, in the order of the log."""
        reading, span = self.assessment.reading, self.assessment.span
        found: list[Version] = []
        if past.target.kind is Kind.EVENTS:
            return [
                Version(pos, one.key, poll.idx, poll.idx + 1, one.blob_id)
                for poll in polls
                if span.from_ms <= poll.start_ms
                for pos, one in enumerate(self.ledger.events_of(poll.idx))
            ]
        positions: dict[str, int] = {}
        last: dict[str, int] = {}
        for key, idx, blob_id in self.ledger.versions(past.id, reading.upto):
            pos = positions.setdefault(key, len(positions))
            before = last.pop(key, None)
            if before is not None:
                old = found[before]
                found[before] = Version(old.pos, old.key, old.idx, idx, old.blob_id)
            if blob_id is not None:
                last[key] = len(found)
                found.append(Version(pos, key, idx, None, blob_id))
        indexes = [poll.idx for poll in polls]
        return [version for version in found if self._within(version, polls, indexes)]

    def _within(self, version: Version, polls: Sequence[Poll], indexes: Sequence[int]) -> bool:
        """Whether a poll of the span, or for a snapshot the newest before it, showed the version."""
        span = self.assessment.span
        first, last = _stretch(version, indexes)
        if first >= last:
            return False
        return polls[last - 1].start_ms >= span.from_ms if span.is_period else last == len(polls)

    def _item(
        self, past: TargetPast, version: Version, data: bytes, polls: Sequence[Poll], failed: Sequence[int]
    ) -> dict[str, Any]:
        self.items.count += 1
        envelope = parse(data)
        indexes = [poll.idx for poll in polls]
        first, last = _stretch(version, indexes)
        low, high = polls[first], polls[last - 1]
        missed = bisect_left(failed, high.idx) - bisect_left(failed, low.idx)
        body = {
            "id": f"EV-{self.items.count:06d}",
            "stream": past.target.stream,
            "scope": past.target.scope.name,
            "subject": version.key,
            "observed": {
                "first_idx": low.idx, "first": _time(low), "last_idx": high.idx, "last": _time(high),
                "polls": last - first, "not_observed": missed,
            },
            "receipt": self._asked(low, past),
            "record": digest(data).hex(),
            "gaps": sorted(envelope.get("gaps", ())),
            "redacted": sorted(envelope.get("redacted", ())),
            "findings": list(self._findings(past.id, version)),
            "ledger": {"target": past.id, "pos": version.pos},
        }  # fmt: skip
        for pointer in envelope.get("redacted", ()):
            self.items.redacted[past.target.stream, pointer.rpartition("/")[0] or pointer] += 1
        self.items.secrets += len(envelope.get("facts", {}).get("secrets", ()))
        self.tree.write(ITEMS, canonical(body) + b"\n")
        return body

    def _asked(self, poll: Poll, past: TargetPast) -> dict[str, Any]:
        receipt = self._receipt(poll.idx)
        doc = receipt["doc"] or {}
        return {
            "collector": past.target.collector,
            "identity": doc.get("identity"),
            "operations": sorted(doc.get("operations", ())),
            "endpoint": doc.get("endpoint"),
            "slot": None if poll.slot_ms is None else iso(poll.slot_ms),
            "started": iso(poll.start_ms),
            "milliseconds": poll.dur_ms,
            "calls": poll.calls,
            "pages": receipt["pages"],
            "rows": receipt["rows"],
            "first_request_id": receipt["req"],
            "skew_ms": receipt["skew"],
            "doc": digest(canonical(doc)).hex() if doc else None,
        }

    def _findings(self, target_id: int, version: Version) -> Iterator[dict[str, Any]]:
        reading = self.assessment.reading
        for subject, life in self._lives[target_id].get(version.key, ()):
            for piece in life:
                if piece.result is None or piece.blob_id is None or piece.first_poll is None:
                    continue
                ends = piece.last_poll if piece.last_poll is not None else piece.first_poll
                if ends >= version.idx and (version.until is None or piece.first_poll < version.until):
                    yield {
                        "check": subject.check,
                        "controls": [control.id for control in self.catalogue.controls_of(subject.check)],
                        "status": piece.result.status.value,
                        "reason": piece.result.reason.value if piece.result.reason else None,
                        "finding": reading.digests[piece.blob_id].hex(),
                        "rules": self.part.rules.get(piece.judged),
                        "evidence": [max(piece.first_poll, version.idx), piece.judged],
                    }


def samples(ledger: Ledger, items: Items, wanted: Sequence[Deviation], part: LedgerPart) -> list[Sample]:
    """The evidence of each wanted deviation, in their order."""
    found = dict(ledger.documents({one.blob_id for one in wanted}))
    made = []
    for one in wanted:
        item, record = items.records.get(one.id, (None, None))
        made.append(Sample(one, item, record, found[one.blob_id], part.rules.get(one.opened_judged)))
    return made


def pretty(data: bytes) -> str:
    """A document for people: indented, unicode as it is."""
    return json.dumps(parse(data), ensure_ascii=False, indent=2, sort_keys=True)


def _stretch(version: Version, indexes: Sequence[int]) -> tuple[int, int]:
    """Which polls of the target showed the version: first and one past the last."""
    until = len(indexes) if version.until is None else bisect_left(indexes, version.until)
    return bisect_left(indexes, version.idx), until


def _holds(version: Version, poll: int) -> bool:
    return version.idx <= poll and (version.until is None or poll < version.until)


def _time(poll: Poll) -> str:
    return iso(poll.start_ms if poll.asof_ms is None else poll.asof_ms)
