"""Inclusive days in the company's time zone, half-open UTC inside."""

from __future__ import annotations

from datetime import date

import pytest

from agent.assess import Span
from agent.clock import iso, parse_iso
from agent.errors import UsageError


def test_a_period_contains_its_last_day_and_knows_summer_time() -> None:
    span = Span.period(date(2026, 3, 28), date(2026, 3, 30), "Europe/Berlin")
    assert (iso(span.from_ms), iso(span.until_ms)) == ("2026-03-27T23:00:00Z", "2026-03-30T22:00:00Z")
    assert [(day.until_ms - day.from_ms) // 3_600_000 for day in span.days] == [24, 23, 24]


@pytest.mark.parametrize(
    ("at", "number"),
    [
        ("2026-03-27T22:59:59Z", 0),
        ("2026-03-28T22:59:59Z", 0),
        ("2026-03-28T23:00:00Z", 1),
        ("2026-05-01T00:00:00Z", 2),
    ],
)
def test_a_time_lies_in_a_day_or_is_held_inside(at: str, number: int) -> None:
    assert Span.period(date(2026, 3, 28), date(2026, 3, 30), "Europe/Berlin").day_number(parse_iso(at)) == number


def test_a_moment_includes_itself() -> None:
    span = Span.as_of(1000, "UTC")
    assert (span.from_ms, span.until_ms, span.is_period) == (1000, 1001, False)


def test_what_is_no_period_is_refused() -> None:
    with pytest.raises(UsageError, match="before it begins"):
        Span.period(date(2026, 3, 2), date(2026, 3, 1))
    with pytest.raises(UsageError, match="time zone"):
        Span.period(date(2026, 3, 1), date(2026, 3, 1), "Mars/Olympus")
