"""The state of a rule day by day: never better than the worst slot of the day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate

from agent.assess.coverage import NOTHING_CAME, Sight
from agent.assess.findings import Piece
from agent.assess.span import Span
from agent.model import Status


class State(StrEnum):
    """What the report calls a day or a moment, best first (auditor-and-operator.md 2.2)."""

    OUTSIDE = "not collected yet"
    """Before collection began, or after the ledger's end: nothing was due and nothing was seen."""
    NOT_APPLICABLE = "not applicable"
    MET = "met"
    BRIDGED = "bridged"
    NOT_EVALUABLE = "not evaluable"
    NO_EVIDENCE = "no evidence"
    PARTLY_MET = "partly met"
    NOT_MET = "not met"


ORDER = {state: number for number, state in enumerate(State)}
_KINDS = ("pass", "fail", "once_fail", "unread", "nothing", "other")


@dataclass(slots=True)
class Tally:
    """How many subjects had which status on each day, by differences: adding a stretch costs two steps."""

    days: int
    steps: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.steps = {kind: [0] * (self.days + 1) for kind in _KINDS}

    def add(self, piece: Piece, span: Span, end_ms: int, *, once: bool, event: bool) -> None:
        """Count a piece on the days it held; an event on the day it was judged.

        The day in which the next observation falls is the next piece's, unless this one was seen in it too.
        """
        until = end_ms if piece.next_ms is None else min(piece.next_ms, end_ms)
        if piece.result is None or piece.first_ms >= end_ms or until <= span.from_ms:
            return
        first = span.day_number(piece.first_ms)
        if event:
            if piece.first_ms < span.from_ms:
                return
            last = first
        else:
            ends = until - 1 if piece.next_ms is None or piece.next_ms >= end_ms else self._day_before(until, span)
            last = span.day_number(max(ends, min(piece.last_ms, end_ms - 1), piece.first_ms))
        for kind in _kinds(piece, once):
            self.steps[kind][first] += 1
            self.steps[kind][last + 1] -= 1

    @staticmethod
    def _day_before(at_ms: int, span: Span) -> int:
        return span.days[span.day_number(at_ms)].from_ms - 1

    def counts(self) -> dict[str, list[int]]:
        """Subjects per day and kind."""
        return {kind: list(accumulate(steps[:-1])) for kind, steps in self.steps.items()}


def _kinds(piece: Piece, once: bool) -> Iterable[str]:
    assert piece.result is not None
    status, reason = piece.result.status, piece.result.reason
    if status is Status.PASS:
        return ("pass",)
    if status is Status.FAIL:
        return ("fail", "once_fail") if once else ("fail",)
    if status is Status.NOT_EVALUATED:
        return ("nothing",) if reason in NOTHING_CAME else ("unread",)
    return ("other",)


@dataclass(frozen=True, slots=True)
class DayState:
    """The worst state of a day, and what else was true of it."""

    state: State
    also: tuple[State, ...] = ()
    met: int = 0
    not_met: int = 0
    open: int = 0
    """Subjects that could not be judged."""
    wide: bool = False
    """A rule about a whole account fails: no other rule softens that."""


def blend(parts: Sequence[tuple[Tally, Sequence[Sight]]], days: int) -> list[DayState]:
    """The days of a rule from its groups of subjects, each with what was seen of the streams it reads.

    What a group said before counts on no day on which nothing of it was seen or bridged.
    """
    totals = {kind: [0] * days for kind in _KINDS}
    sights = [Sight.NOT_PLANNED] * days
    for tally, sight in parts:
        counts = tally.counts()
        for number in range(days):
            sights[number] |= sight[number]
            if sight[number] & (Sight.SEEN | Sight.BRIDGED):
                for kind in _KINDS:
                    totals[kind][number] += counts[kind][number]
    return [_day({kind: totals[kind][number] for kind in _KINDS}, sights[number]) for number in range(days)]


def _day(count: dict[str, int], sight: Sight) -> DayState:
    found = {State.OUTSIDE}
    if count["fail"]:
        found.add(State.NOT_MET if count["once_fail"] or not count["pass"] else State.PARTLY_MET)
    if sight & Sight.NOTHING or count["nothing"]:
        found.add(State.NO_EVIDENCE)
    if sight & Sight.UNREAD or count["unread"]:
        found.add(State.NOT_EVALUABLE)
    if sight & Sight.BRIDGED:
        found.add(State.BRIDGED)
    if count["pass"] and not count["fail"]:
        found.add(State.MET)
    if count["other"] or sight & Sight.SEEN:
        found.add(State.NOT_APPLICABLE)
    worst = max(found, key=ORDER.__getitem__)
    quiet = {State.OUTSIDE, State.NOT_APPLICABLE, State.MET, worst}
    also = tuple(sorted(found - quiet, key=ORDER.__getitem__))
    return DayState(
        worst, also, count["pass"], count["fail"], count["nothing"] + count["unread"], count["once_fail"] > 0
    )  # fmt: skip


def worst_of(rows: Sequence[Sequence[DayState]]) -> list[DayState]:
    """The days of a control from those of its rules: the worst of each day, with all that was true."""
    return [_worst(day) for day in zip(*rows, strict=True)]


def _worst(day: Sequence[DayState]) -> DayState:
    seen = {state for one in day for state in (one.state, *one.also)}
    # One rule wholly broken beside others that hold leaves the control partly met.
    some_hold = any(one.state in (State.MET, State.PARTLY_MET) for one in day)
    if State.NOT_MET in seen and some_hold and not any(one.wide for one in day):
        seen = (seen - {State.NOT_MET}) | {State.PARTLY_MET}
    worst = max(seen, key=ORDER.__getitem__)
    quiet = {State.OUTSIDE, State.NOT_APPLICABLE, State.MET, worst}
    return DayState(
        worst,
        tuple(sorted(seen - quiet, key=ORDER.__getitem__)),
        sum(one.met for one in day),
        sum(one.not_met for one in day),
        sum(one.open for one in day),
        any(one.wide for one in day),
    )
