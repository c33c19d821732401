"""Moments and periods as people type them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date

from agent.errors import UsageError

_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def moment(text: str, zone: str, now: Callable[[], int]) -> int:
    """ms UTC of `now`, an RFC 3339 time, or the end of a day in the time zone; UsageError otherwise."""
    from agent.assess.span import Span
    from agent.clock import parse_iso

    if text == "now":
        return now()
    try:
        if _DAY.fullmatch(text):
            day = date.fromisoformat(text)
            return Span.period(day, day, zone).until_ms - 1
        return parse_iso(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no moment: {error}", "write now, 2026-06-30 or 2026-06-30T18:00:00Z") from None


def period(text: str) -> tuple[date, date]:
    """First and last day of `2026-01-01..2026-06-30`, both included; UsageError otherwise."""
    first, dots, last = text.partition("..")
    try:
        if not dots or not _DAY.fullmatch(first) or not _DAY.fullmatch(last):
            raise ValueError
        return date.fromisoformat(first), date.fromisoformat(last)
    except ValueError:
        raise UsageError(
            f"{text!r} is no period", "write the first and the last day, both included: 2026-01-01..2026-06-30"
        ) from None


def ago(ms: int, now_ms: int) -> str:
    """How long ago, for people: `3 min ago`."""
    from agent.assess.coverage import days_text

    return f"{days_text(now_ms - ms)} ago" if now_ms - ms >= 60_000 else "just now"
