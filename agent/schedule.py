"""The slots of a period and what became of each: a pure function of intervals and polls.

Slots sit on one fixed grid, `floor(t / every)` counted from 1970 in UTC, so that anybody can tell
which were owed. What is missed is derived here and stored nowhere (ledger.md 4.6, design section 8).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from agent.model import Kind, Poll, PollStatus, Reason

HOUR_MS = 3_600_000


class Coverage(StrEnum):
    """What became of a slot that was owed."""

    COVERED = "covered"
    """A complete poll observed it (life and events: complete windows contain it)."""
    BRIDGED = "bridged"
    """Not observed, but the records are the same on both sides."""
    FAILED = "failed"
    """There were polls of it and none was complete."""
    MISSED = "missed"
    """Nobody tried."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One owed collection of a target: [start_ms, end_ms) and what came of it."""

    start_ms: int
    end_ms: int
    coverage: Coverage
    poll: int | None = None
    """Index of the poll that covers it, or of the last that tried."""
    why: Reason | None = None
    """Of a failed slot: the reason of that poll."""
    backfilled: bool = False
    """Life and events: read only after the next slot was over."""


@dataclass(frozen=True, slots=True)
class Term:
    """A time in which a target was in scope with one interval: [from_ms, to_ms)."""

    from_ms: int
    to_ms: int
    every_s: int


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring slots that no poll covers, in one piece: bridged as a whole or not at all."""

    from_ms: int
    to_ms: int
    slots: int
    bridged: bool
    why: Reason | None
    """The reason of the last failed poll; None when nobody tried."""

    @property
    def length_ms(self) -> int:
        """How long nothing was observed."""
        return self.to_ms - self.from_ms


def stale_after_ms(every_s: int) -> int:
    """How long an observation holds: max(3 h, 2 x every)."""
    return max(3 * HOUR_MS, 2 * every_s * 1000)


def longest_gap_ms(every_s: int) -> int:
    """A run of uncovered slots longer than this is a gap: max(6 h, 3 x every)."""
    return max(6 * HOUR_MS, 3 * every_s * 1000)


def slot_of(every_s: int, at_ms: int) -> int:
    """Start of the slot in which a time lies, ms UTC."""
    step = every_s * 1000
    return at_ms // step * step


def slots(every_s: int, from_ms: int, to_ms: int) -> range:
    """Starts of the slots that begin in [from_ms, to_ms).

    >>> list(slots(3600, 1, 7_200_001))
    [3600000, 7200000]
    """
    step = every_s * 1000
    return range(-(-from_ms // step) * step, to_ms, step)


def due_by(kind: Kind, every_s: int, known_ms: int) -> int:
    """Slots that start before this are due at `known_ms`; a life or events slot is read in the one after it."""
    step = every_s * 1000
    return known_ms - step + 1 if kind is Kind.STATE else known_ms - 2 * step + 1


def classify(kind: Kind, term: Term, polls: Sequence[Poll]) -> list[Slot]:
    """Each slot that begins in the term, oldest first, with what came of it.

    `polls` are those of the target, in the order of the log; earlier and later ones than the term's
    are welcome, since they tell whether a run at its edge is bridged.
    """
    covered = _by_window(term, polls) if kind is not Kind.STATE else _by_time(term, polls)
    tried = _tried(term, polls)
    if kind is not Kind.STATE:  # a complete poll that began in a slot read what was before it, not the slot itself
        tried = {start: poll for start, poll in tried.items() if poll.status is not PollStatus.COMPLETE}
    found = [_slot(start, term.every_s, covered, tried) for start in slots(term.every_s, term.from_ms, term.to_ms)]
    return list(_bridge(found, polls)) if kind is Kind.STATE else found


def runs(found: Sequence[Slot]) -> Iterator[Run]:
    """The runs of slots that no poll covers, oldest first; a bridged one ends where an unbridged begins."""
    for group in _uncovered(found):
        reasons = [slot.why for slot in group if slot.why is not None]
        bridged = group[0].coverage is Coverage.BRIDGED
        yield Run(group[0].start_ms, group[-1].end_ms, len(group), bridged, reasons[-1] if reasons else None)


def _slot(start: int, every_s: int, covered: dict[int, tuple[int, bool]], tried: dict[int, Poll]) -> Slot:
    end = start + every_s * 1000
    if start in covered:
        poll, late = covered[start]
        return Slot(start, end, Coverage.COVERED, poll, backfilled=late)
    if start in tried:
        poll_tried = tried[start]
        # A complete poll that covers another slot: the source answered with what it had observed before.
        return Slot(start, end, Coverage.FAILED, poll_tried.idx, poll_tried.why or Reason.STALE)
    return Slot(start, end, Coverage.MISSED)


def _by_time(term: Term, polls: Sequence[Poll]) -> dict[int, tuple[int, bool]]:
    covered: dict[int, tuple[int, bool]] = {}
    for poll in polls:
        if poll.status is PollStatus.COMPLETE and poll.asof_ms is not None:
            covered.setdefault(slot_of(term.every_s, poll.asof_ms), (poll.idx, False))
    return covered


def _by_window(term: Term, polls: Sequence[Poll]) -> dict[int, tuple[int, bool]]:
    """Slots whose whole length lies in the windows of complete polls, with the poll that made it whole."""
    step = term.every_s * 1000
    left: dict[int, list[tuple[int, int]]] = {}
    covered: dict[int, tuple[int, bool]] = {}
    for poll in polls:
        if poll.status is not PollStatus.COMPLETE or poll.from_ms is None or poll.to_ms is None:
            continue
        first = slot_of(term.every_s, max(poll.from_ms, term.from_ms))
        for start in range(first, min(poll.to_ms, term.to_ms), step):
            if start in covered:
                continue
            pieces = _without(left.get(start, [(start, start + step)]), poll.from_ms, poll.to_ms)
            if pieces:
                left[start] = pieces
            else:
                covered[start] = (poll.idx, poll.start_ms >= start + 2 * step)
    return covered


def _without(pieces: Sequence[tuple[int, int]], from_ms: int, to_ms: int) -> list[tuple[int, int]]:
    """Half-open pieces without what lies in [from_ms, to_ms)."""
    cut = ((part for part in ((low, min(high, from_ms)), (max(low, to_ms), high))) for low, high in pieces)
    return [(low, high) for parts in cut for low, high in parts if low < high]


def _tried(term: Term, polls: Sequence[Poll]) -> dict[int, Poll]:
    """The last poll of each slot: of the slot it was planned for, otherwise of the one it began in."""
    tried: dict[int, Poll] = {}
    for poll in polls:
        at = poll.start_ms if poll.slot_ms is None else poll.slot_ms
        tried[slot_of(term.every_s, at)] = poll
    return tried


def _uncovered(found: Sequence[Slot]) -> Iterator[list[Slot]]:
    group: list[Slot] = []
    for slot in found:
        breaks = slot.coverage is Coverage.COVERED
        turns = bool(group) and (group[-1].coverage is Coverage.BRIDGED) != (slot.coverage is Coverage.BRIDGED)
        if group and (breaks or turns):
            yield group
            group = []
        if not breaks:
            group.append(slot)
    if group:
        yield group


def _bridge(found: Sequence[Slot], polls: Sequence[Poll]) -> Iterator[Slot]:
    """Runs with equal records on both sides become bridged.

    A partial poll inside a run may have shown something else for a while: then nothing is bridged.
    """
    seen = sorted(
        (poll.asof_ms, poll.idx, poll.status is PollStatus.COMPLETE, poll.root)
        for poll in polls
        if poll.asof_ms is not None and poll.status is not PollStatus.FAILED
    )
    at = 0
    uncovered = {slot.start_ms: group for group in _uncovered(found) for slot in group[:1]}
    skip_to = 0
    for slot in found:
        if slot.start_ms < skip_to:
            continue
        group = uncovered.get(slot.start_ms)
        if group is None:
            yield slot
            continue
        skip_to = group[-1].end_ms
        while at < len(seen) and seen[at][0] < group[0].start_ms:
            at += 1
        before, after = seen[at - 1] if at else None, seen[at] if at < len(seen) else None
        whole = bool(before and after and before[2] and after[2] and after[0] >= skip_to)
        same = whole and before is not None and after is not None and before[3] == after[3]
        yield from (replace(one, coverage=Coverage.BRIDGED) for one in group) if same else group
