"""One streaming pass over the ledger: who was looked at, what was judged, and when it was really seen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from agent.assess.coverage import TargetPast
from agent.assess.findings import Piece, Result, Sightings, Subject, pieces
from agent.canonical import digest, parse
from agent.model import Poll, PollStatus, Reason, Status
from agent.schedule import Term

if TYPE_CHECKING:
    from agent.ledger import Judged, Ledger

FOREVER_MS = 2**62
_BATCH = 2_000


@dataclass
class Reading:
    """What an assessment keeps in memory of the ledger: places and statuses, never whole documents."""

    ledger: Ledger
    upto: int
    """Index of the last entry that counts."""
    known_ms: int
    """Time of that entry: what was due later is nobody's fault."""
    targets: dict[int, TargetPast] = field(default_factory=dict)
    judgings: Mapping[int, str] = field(default_factory=dict)
    owed_from_ms: int | None = None
    """Since when slots are owed: the first `start`, or a configuration that says so; None: never."""
    sightings: dict[tuple[int, int], Sightings] = field(default_factory=dict)
    """(judging scope, target or 0) -> when it was observed and judged."""
    judged: dict[int, int] = field(default_factory=dict)
    """Judged lines per judging scope."""
    _versions: dict[Subject, list[tuple[int, int | None]]] = field(default_factory=dict)
    _results: dict[int, Result] = field(default_factory=dict)
    digests: dict[int, bytes] = field(default_factory=dict)
    """Finding document -> its digest."""

    def lives(self) -> Iterator[tuple[Subject, list[Piece]]]:
        """The life of every finding, by check, key and target."""
        order = sorted(self._versions, key=lambda it: (it.check, it.judging_id, it.key.encode(), it.target_id))
        for subject in order:
            sightings = self.sightings.get((subject.judging_id, subject.target_id))
            if sightings:
                yield subject, pieces(self._effective(subject), self._results, sightings)

    def is_whole(self, subject: Subject) -> bool:
        """Whether a finding stands for a whole scope, stream or list, not for one record of it."""
        judging = self.judgings[subject.judging_id]
        return subject.target_id == 0 and (
            subject.key == judging or subject.key.endswith(f"@{judging}") or subject.key in self._names
        )

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(past.target.name for past in self.targets.values())

    @cached_property
    def _wholes(self) -> dict[tuple[int, str], list[tuple[int, int | None]]]:
        """(judging scope, check) -> versions of the findings about the whole of it."""
        found: dict[tuple[int, str], list[tuple[int, int | None]]] = defaultdict(list)
        for subject, versions in self._versions.items():
            if self.is_whole(subject):
                found[subject.judging_id, subject.check] += versions
        return {place: sorted(versions, key=itemgetter(0)) for place, versions in found.items()}

    def _effective(self, subject: Subject) -> list[tuple[int, int | None]]:
        """Versions of a finding in which "gone" is said only where it is proved.

        A derived record that could not be told is not gone: what is said of the whole stands for it.
        Neither is one whose target left the scope: nobody looked any more.
        """
        versions = self._versions[subject]
        if subject.target_id:
            ended_ms = self.targets[subject.target_id].terms[-1].to_ms
            judged = self.sightings[subject.judging_id, 0]
            return [one for one in versions if one[1] is not None or (judged.at(one[0]) or (0, None))[0] < ended_ms]
        if self.is_whole(subject):
            return versions
        own: int | None = None
        whole: int | None = None
        told: list[tuple[int, int | None]] = []
        others = self._wholes.get((subject.judging_id, subject.check), [])
        steps = [(idx, 0, blob) for idx, blob in others] + [(idx, 1, blob) for idx, blob in versions]
        for idx, group in groupby(sorted(steps, key=itemgetter(0, 1)), key=itemgetter(0)):
            for _, mine, blob in group:
                own, whole = (blob, whole) if mine else (own, blob)
            unsaid = whole is not None and self._results[whole].status is Status.NOT_EVALUATED
            says = own if own is not None or not unsaid else whole
            if idx >= versions[0][0] and (not told or told[-1][1] != says):
                told.append((idx, says))
        return told

    def last_seen(self, subject: Subject, piece: Piece, until_ms: int) -> tuple[int, int | None]:
        """When a piece was last observed before a time, and by which poll."""
        if piece.last_ms < until_ms:
            return piece.last_ms, piece.last_poll
        seen = self.sightings[subject.judging_id, subject.target_id].until(until_ms)
        return seen if seen and seen[0] >= piece.first_ms else (piece.first_ms, piece.first_poll)

    def polls(self, target_id: int) -> list[Poll]:
        """All polls of a target, in the order of the log."""
        return list(self.ledger.polls(target_id=target_id, upto=self.upto))

    def events(self, *kinds: str) -> Iterator[Mapping[str, Any]]:
        """The event lines of these kinds, oldest first."""
        return (line for line in self.ledger.events() if line["k"] in kinds and line["idx"] <= self.upto)


def read(ledger: Ledger, known_ms: int, upto: int | None = None) -> Reading:
    """Read the ledger once, up to an index (None: its head)."""
    upto = ledger.head().size - 1 if upto is None else upto
    reading = Reading(ledger, upto, known_ms, judgings=ledger.judgings())
    _scopes(reading)
    for judging_id in sorted(reading.judgings):
        lines = list(ledger.judged(judging_id, upto))
        reading.judged[judging_id] = len(lines)
        _sight(reading, judging_id, lines)
        for key, idx, blob_id in ledger.versions(-judging_id, upto):
            number, check, record = key.split("/", 2)
            subject = Subject(judging_id, int(number), check, record)
            reading._versions.setdefault(subject, []).append((idx, blob_id))
    _results(reading)
    return reading


def _scopes(reading: Reading) -> None:
    """Targets and their terms, from the scope events; and since when slots are owed."""
    rows = reading.ledger.targets(reading.upto)
    terms: dict[int, list[Term]] = defaultdict(list)
    for line in reading.events("scope", "start", "config"):
        if line["k"] != "scope":
            owes = line["k"] == "start" or bool(line.get("owed"))
            if owes and reading.owed_from_ms is None:
                reading.owed_from_ms = int(line["at"])
            continue
        known = terms[line["t"]]
        if known and known[-1].to_ms == FOREVER_MS:
            known[-1] = Term(known[-1].from_ms, line["at"], known[-1].every_s)
        if not line.get("end"):
            known.append(Term(line["at"], FOREVER_MS, line["every"]))
    for number, row in rows.items():
        held = terms.get(number) or [Term(0, FOREVER_MS, row.target.every_s)]
        reading.targets[number] = TargetPast(number, row.target, row.judging_id, tuple(held))


def _sight(reading: Reading, judging_id: int, lines: list[Judged]) -> None:
    whole = reading.sightings[judging_id, 0] = Sightings()
    for line in lines:
        whole.add(line.idx, line.at_ms, None)
    for past in reading.targets.values():
        if past.judging_id != judging_id:
            continue
        seen = reading.sightings[judging_id, past.id] = Sightings()
        polls = reading.ledger.polls(target_id=past.id, upto=reading.upto)
        ahead = next(polls, None)
        newest: Poll | None = None
        for line in lines:
            while ahead is not None and ahead.idx <= line.upto:
                newest, ahead = ahead, next(polls, None)
            if newest and newest.status is not PollStatus.FAILED and past.id not in line.unseen:
                seen.add(line.idx, newest.start_ms if newest.asof_ms is None else newest.asof_ms, newest.idx)


def _results(reading: Reading) -> None:
    """Status and reason of every distinct finding document, read in batches."""
    wanted = iter(sorted({blob for steps in reading._versions.values() for _, blob in steps if blob is not None}))
    shared: dict[Result, Result] = {}
    while batch := list(islice(wanted, _BATCH)):
        for blob_id, data in reading.ledger.documents(batch):
            body = parse(data)
            status = Status(body["status"])
            inherited = status is Status.NOT_APPLICABLE and "inherited" in body["message"].lower()
            result = Result(status, Reason(body["reason"]) if body["reason"] else None, inherited)
            reading.digests[blob_id] = digest(data)
            reading._results[blob_id] = shared.setdefault(result, result)
