"""The span an assessment speaks of: inclusive days in the company's time zone, half-open UTC inside."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from agent.errors import UsageError


@dataclass(frozen=True, slots=True)
class Day:
    """One day of the span, [from_ms, until_ms) UTC; 23 to 25 hours long where clocks change."""

    date: date
    from_ms: int
    until_ms: int


@dataclass(frozen=True)
class Span:
    """A period (Type II) or the moment of a snapshot (Type I)."""

    kind: str
    """`type-2`: a period. `type-1`: as of the last moment before `until_ms`."""
    from_ms: int
    until_ms: int
    zone: str
    days: tuple[Day, ...]
    _starts: tuple[int, ...] = field(default=(), repr=False, compare=False)

    @classmethod
    def period(cls, first: date, last: date, zone: str = "UTC") -> Span:
        """First to last day, both included, in the named IANA time zone; UsageError for what is no period."""
        where = zone_of(zone)
        if last < first:
            raise UsageError(f"the period ends before it begins: {first}..{last}", "Write FIRST..LAST, both included.")
        dates = [first + timedelta(number) for number in range((last - first).days + 2)]
        days = tuple(Day(day, _midnight(day, where), _midnight(then, where)) for day, then in pairwise(dates))
        return cls("type-2", days[0].from_ms, days[-1].until_ms, zone, days, tuple(day.from_ms for day in days))

    @classmethod
    def as_of(cls, at_ms: int, zone: str = "UTC") -> Span:
        """The moment `at_ms`, itself included: what had been observed by then."""
        today = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone_of(zone)).date()
        day = Day(today, at_ms, at_ms + 1)
        return cls("type-1", day.from_ms, day.until_ms, zone, (day,), (day.from_ms,))

    @property
    def is_period(self) -> bool:
        """Whether it has a length: calendars, gaps and slots are shown for a period only."""
        return self.kind == "type-2"

    def day_number(self, at_ms: int) -> int:
        """Number of the day in which a time lies, held inside the span."""
        return min(max(bisect_right(self._starts, at_ms) - 1, 0), len(self.days) - 1)


def zone_of(name: str) -> ZoneInfo:
    """The time zone of an IANA name; UsageError for an unknown one."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(f"unknown time zone {name!r}", "Write an IANA name such as Europe/Berlin or UTC.") from None


def _midnight(day: date, zone: ZoneInfo) -> int:
    return round(datetime.combine(day, time(), zone).timestamp() * 1000)
