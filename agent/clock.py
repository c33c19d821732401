"""The one place that reads the clock; everything else is given the time."""

from __future__ import annotations

import time
from datetime import UTC, datetime

DAY_MS = 86_400_000


def now_ms() -> int:
    """Milliseconds since 1970, UTC, by the host's clock."""
    return time.time_ns() // 1_000_000


def monotonic() -> float:
    """Seconds of a clock that never steps, for measuring how long something took."""
    return time.perf_counter()


def iso(ms: int) -> str:
    """RFC 3339 in UTC; the fraction is dropped when it is zero.

    >>> iso(0)
    '1970-01-01T00:00:00Z'
    """
    text = datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{ms % 1000:03d}Z" if ms % 1000 else f"{text}Z"


def parse_iso(text: str) -> int:
    """Milliseconds since 1970 of an RFC 3339 time; one without a zone is a ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return round(moment.timestamp() * 1000)
