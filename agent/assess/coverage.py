"""How much of what was planned was observed: per target its slots, its runs without evidence, its days."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntFlag

from agent.assess.span import Span
from agent.clock import DAY_MS
from agent.model import Poll, PollStatus, Reason, Target
from agent.schedule import Coverage, Run, Slot, Term, classify, due_by, longest_gap_ms, runs, stale_after_ms

NOTHING_CAME = frozenset({Reason.UNREACHABLE, Reason.THROTTLED, Reason.TIMEOUT, Reason.STALE})
"""Reasons after which a slot has no evidence; the others say that it could not be read."""
SHARE_OF_PERIOD = 0.05
DAYS_IN_A_ROW = 7


class Sight(IntFlag):
    """What can be said of a target on one day; several may be true."""

    NOT_PLANNED = 0
    SEEN = 1
    BRIDGED = 2
    UNREAD = 4
    """A slot failed because it could not be read: denied, unsupported, malformed, only in part."""
    NOTHING = 8
    """A slot in which nothing came, or nobody tried."""


@dataclass(frozen=True, slots=True)
class TargetPast:
    """A target, when it was in scope with which interval, and when its slots became owed."""

    id: int
    target: Target
    judging_id: int
    terms: tuple[Term, ...]
    """Of its scope events, oldest first; the last may reach beyond the ledger's end."""


@dataclass(slots=True)
class TargetCoverage:
    """What became of the slots of one target in the span."""

    past: TargetPast
    counts: Counter[Coverage] = field(default_factory=Counter)
    backfilled: int = 0
    runs: list[Run] = field(default_factory=list)
    days: list[Sight] = field(default_factory=list)
    polls: Counter[PollStatus] = field(default_factory=Counter)
    newest: Poll | None = None
    """The newest poll that began within the span or before it."""

    @property
    def owed(self) -> int:
        """Slots that were due."""
        return sum(self.counts.values())

    @property
    def gaps(self) -> list[Run]:
        """Runs that are longer than the target's longest gap."""
        limit = longest_gap_ms(self.past.terms[-1].every_s)
        return [run for run in self.runs if run.length_ms > limit]

    def incomplete(self, span: Span) -> str | None:
        """Why the evidence is incomplete: unbridged gaps above 5 % of the period, or 7 days in a row."""
        lost = [run.length_ms for run in self.gaps if not run.bridged]
        if not lost:
            return None
        if max(lost) >= DAYS_IN_A_ROW * DAY_MS or sum(lost) > SHARE_OF_PERIOD * (span.until_ms - span.from_ms):
            return f"{self.past.target.name}: {days_text(sum(lost))} without evidence"
        return None

    def sight_at(self, at_ms: int) -> Sight:
        """What can be said of the target at one moment."""
        unseen = self.unseen_at(at_ms)
        if unseen is not None:
            return Sight.NOTHING if unseen in NOTHING_CAME else Sight.UNREAD
        partial = self.newest is not None and self.newest.status is PollStatus.PARTIAL
        return Sight.SEEN | Sight.UNREAD if partial else Sight.SEEN

    def unseen_at(self, at_ms: int) -> Reason | None:
        """Why the target as a whole was not known at a time: failed, too old, or never collected."""
        if self.newest is None:
            return Reason.STALE
        if self.newest.status is PollStatus.FAILED:
            return self.newest.why or Reason.STALE
        too_old = at_ms - self.newest.start_ms > stale_after_ms(self.past.terms[-1].every_s)
        return Reason.STALE if too_old else None


def owed_slots(
    past: TargetPast, span: Span, polls: Sequence[Poll], *, owed_from_ms: int | None, known_ms: int
) -> Iterator[Slot]:
    """The slots of the target that begin in the span and were due by `known_ms`, with what came of each."""
    if owed_from_ms is None or not span.is_period:
        return
    for term in past.terms:
        from_ms = max(term.from_ms, owed_from_ms, span.from_ms)
        to_ms = min(term.to_ms, span.until_ms, due_by(past.target.kind, term.every_s, known_ms))
        if from_ms < to_ms:
            yield from classify(past.target.kind, Term(from_ms, to_ms, term.every_s), polls)


def cover(
    past: TargetPast, span: Span, polls: Sequence[Poll], *, owed_from_ms: int | None, known_ms: int
) -> TargetCoverage:
    """The coverage of one target; `polls` are all of its polls in the order of the log."""
    found = TargetCoverage(past, days=[Sight.NOT_PLANNED] * len(span.days))
    partial = {poll.idx for poll in polls if poll.status is PollStatus.PARTIAL}
    slots = list(owed_slots(past, span, polls, owed_from_ms=owed_from_ms, known_ms=known_ms))
    for slot in slots:
        found.counts[slot.coverage] += 1
        found.backfilled += slot.backfilled
        _mark(found.days, span, slot.start_ms, slot.end_ms, _sight(slot, partial))
    found.runs = list(runs(slots))
    for poll in polls:
        if poll.start_ms < span.until_ms and (poll.start_ms >= span.from_ms or not span.is_period):
            found.polls[poll.status] += 1
        if poll.start_ms < span.until_ms:
            found.newest = poll
    if span.is_period:
        _mark_unowed(found.days, span, past, polls, known_ms)
    else:
        found.days = [found.sight_at(span.until_ms)]
    return found


def _sight(slot: Slot, partial: set[int]) -> Sight:
    if slot.coverage is Coverage.COVERED:
        return Sight.SEEN
    if slot.coverage is Coverage.BRIDGED:
        return Sight.BRIDGED
    if slot.poll in partial:
        return Sight.SEEN | Sight.UNREAD
    return Sight.NOTHING if slot.why is None or slot.why in NOTHING_CAME else Sight.UNREAD


def _mark(days: list[Sight], span: Span, from_ms: int, to_ms: int, sight: Sight) -> None:
    """A slot of up to a day belongs to the day in which it begins, a longer one to each day it touches."""
    first = span.day_number(from_ms)
    last = first if to_ms - from_ms <= DAY_MS else span.day_number(to_ms - 1)
    for number in range(first, last + 1):
        days[number] |= sight


def _mark_unowed(days: list[Sight], span: Span, past: TargetPast, polls: Sequence[Poll], known_ms: int) -> None:
    """Days on which no slot was owed: seen while an observation holds, nothing after it stopped holding."""
    hold_ms = stale_after_ms(past.terms[-1].every_s)
    end_ms = min(past.terms[-1].to_ms, known_ms + 1, span.until_ms)
    unowed = {number for number, sight in enumerate(days) if sight is Sight.NOT_PLANNED}
    first_ms: int | None = None
    for poll in polls:
        holds_to = min(poll.start_ms if poll.asof_ms is None else poll.asof_ms + hold_ms, end_ms)
        from_ms = poll.start_ms if poll.asof_ms is None else poll.asof_ms
        first_ms = from_ms if first_ms is None else first_ms
        if holds_to < span.from_ms or from_ms >= span.until_ms:
            continue
        sight = Sight.SEEN
        if poll.status is PollStatus.FAILED:
            sight = Sight.NOTHING if poll.why in NOTHING_CAME else Sight.UNREAD
        for number in range(span.day_number(from_ms), span.day_number(max(from_ms, holds_to - 1)) + 1):
            if number in unowed:
                days[number] |= sight
    for number in unowed:
        day = span.days[number]
        begun = first_ms is not None and first_ms < day.until_ms and day.from_ms < end_ms
        if begun and days[number] is Sight.NOT_PLANNED:
            days[number] = Sight.NOTHING


def days_text(length_ms: int) -> str:
    """A length of time for people: `4 days`, `14 h 15 min`."""
    minutes = round(length_ms / 60_000)
    if minutes >= 2 * 1440:
        return f"{length_ms / DAY_MS:.1f}".removesuffix(".0") + " days"
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"
