"""What became of one finding over time: pieces of one status, and the deviations they make.

Pure functions of the ledger's order: a finding's versions, and when its target was really observed.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from agent.clock import DAY_MS
from agent.model import Reason, Status

FLAP_MS = 7 * DAY_MS
"""A deviation that opens again within this time after it closed counts as the same one."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a finding document says, as far as an assessment needs it."""

    status: Status
    reason: Reason | None
    inherited: bool = False
    """Not applicable because the provider does it for everyone."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a finding is about: a record of a target, or (target 0) a judging scope or derived record."""

    judging_id: int
    target_id: int
    check: str
    key: str


class Sightings:
    """When a target was observed and judged: judged line by judged line, in the order of the log."""

    def __init__(self) -> None:
        self._judged, self._asof, self._poll = array("q"), array("q"), array("q")

    def add(self, judged: int, asof_ms: int, poll: int | None) -> None:
        """A judged line that saw the target, with the poll it judged; the same poll again adds nothing."""
        number = -1 if poll is None else poll
        if poll is None or not self._poll or self._poll[-1] != number:
            self._judged.append(judged)
            self._asof.append(asof_ms)
            self._poll.append(number)

    def __len__(self) -> int:
        return len(self._judged)

    def at(self, judged: int) -> tuple[int, int | None] | None:
        """Time of observation and poll that a judged line went by."""
        return self._get(bisect_right(self._judged, judged) - 1)

    def before(self, judged: int) -> tuple[int, int | None] | None:
        """The last that an earlier judged line went by."""
        return self._get(bisect_left(self._judged, judged) - 1)

    def newest(self) -> tuple[int, int | None] | None:
        """The last of all."""
        return self._get(len(self) - 1)

    def until(self, at_ms: int) -> tuple[int, int | None] | None:
        """The last observation before a time."""
        return self._get(bisect_left(self._asof, at_ms) - 1)

    def times(self) -> Sequence[int]:
        """Times of observation, in the order of the log."""
        return self._asof

    def _get(self, number: int) -> tuple[int, int | None] | None:
        if number < 0:
            return None
        return self._asof[number], None if self._poll[number] < 0 else self._poll[number]


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a finding's life with one result: observed from `first_ms` to `last_ms`."""

    result: Result | None
    """None: the subject was gone."""
    blob_id: int | None
    judged: int
    first_ms: int
    first_poll: int | None
    last_ms: int
    last_poll: int | None
    next_ms: int | None
    """First observation of what came after; None when nothing did."""


@dataclass(slots=True)
class Deviation:
    """A time in which a check failed for a subject, with both bounds of how long it was."""

    subject: Subject
    opened_ms: int
    """First failing observation."""
    opened_poll: int | None
    opened_judged: int
    blob_id: int
    """The finding document that opened it."""
    last_good_ms: int | None
    """Last pass before; None when it failed as soon as it was seen."""
    last_fail_ms: int
    closed_ms: int | None = None
    """First pass after, or the proved removal of the subject."""
    closed_by: str | None = None
    flaps: int = 0
    """How often it opened again within seven days."""
    event: bool = False
    """About something that happened: a later fix does not undo it, so it neither stays open nor closes."""
    id: str = ""
    """`DEV-0001`, given when all are known."""

    def open_at(self, until_ms: int) -> bool:
        """Whether it was open when the span ended."""
        return not self.event and (self.closed_ms is None or self.closed_ms >= until_ms)

    def remediation_ms(self, until_ms: int) -> int:
        """From the first failing observation to the first pass; of an open one to the end of the span."""
        if self.event:
            return 0
        end = until_ms if self.closed_ms is None else min(self.closed_ms, until_ms)
        return max(0, end - self.opened_ms)

    def bounds_ms(self, until_ms: int) -> tuple[int, int | None]:
        """Shortest and longest time it can have lasted; None: since before the first observation."""
        if self.event:
            return 0, 0
        end = until_ms if self.open_at(until_ms) or self.closed_ms is None else self.closed_ms
        shortest = min(self.last_fail_ms, until_ms) - self.opened_ms
        return max(0, shortest), None if self.last_good_ms is None else end - self.last_good_ms


def pieces(
    versions: Sequence[tuple[int, int | None]], results: Mapping[int, Result], sightings: Sightings
) -> list[Piece]:
    """The life of one finding from its versions (judged index, document), oldest first."""
    found: list[Piece] = []
    firsts = [sightings.at(judged) for judged, _ in versions]
    for number, (judged, blob_id) in enumerate(versions):
        first = firsts[number]
        if first is None:  # judged before its target was ever seen: about the list, not about a record
            continue
        after = number + 1 < len(versions)
        last = sightings.before(versions[number + 1][0]) if after else sightings.newest()
        last = last if last and last[0] >= first[0] else first
        then = firsts[number + 1] if after else None
        result = None if blob_id is None else results[blob_id]
        found.append(Piece(result, blob_id, judged, *first, *last, then[0] if then else None))
    return found


def deviations(subject: Subject, life: Iterable[Piece], *, event: bool = False) -> list[Deviation]:
    """The deviations of one subject, oldest first (controls.md 7.2)."""
    found: list[Deviation] = []
    last_good_ms: int | None = None
    for piece in life:
        status = piece.result.status if piece.result else None
        open_now = found[-1] if found and found[-1].closed_ms is None and not event else None
        if status is Status.FAIL and piece.blob_id is not None:
            if open_now is None:
                open_now = _reopened(found, piece) if not event else None
            if open_now is None:
                open_now = Deviation(
                    subject, piece.first_ms, piece.first_poll, piece.judged, piece.blob_id, last_good_ms,
                    piece.last_ms, event=event,
                )  # fmt: skip
                found.append(open_now)
            open_now.last_fail_ms = piece.last_ms
        elif open_now and status is not Status.NOT_EVALUATED:
            said = {None: "removed", Status.PASS: "passed"}.get(status, "no longer applicable")
            open_now.closed_ms, open_now.closed_by = piece.first_ms, said
        if status is Status.PASS:
            last_good_ms = piece.last_ms
    return found


def _reopened(found: Sequence[Deviation], piece: Piece) -> Deviation | None:
    """The deviation before, opened again, when it closed only a few days ago."""
    before = found[-1] if found else None
    if before is None or before.closed_ms is None or piece.first_ms - before.closed_ms >= FLAP_MS:
        return None
    before.closed_ms = before.closed_by = None
    before.flaps += 1
    return before
