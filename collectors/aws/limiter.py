"""How fast and how often AWS is asked: a pace for each account, region and service, a budget for the day.

The SDK retries and slows down by itself when it is throttled; what it gave up on slows down whoever
calls the same service next.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from agent import clock

RATES = {("cloudtrail", "LookupEvents"): 2.0, ("sso-admin", ""): 20.0}
"""Calls a second in one account and region where AWS documents few, of one operation or (`""`) of all together."""

_FIRST_GAP_S, _LONGEST_GAP_S = 0.1, 5.0


class Pace:
    """Spaces calls: `per_s` of them a second at most (None: as fast as they come), fewer once throttled."""

    def __init__(self, per_s: float | None, pause: Callable[[float], None]) -> None:
        self._least_s = 1 / per_s if per_s else 0.0
        self._gap_s = self._least_s
        self._next_s = 0.0
        self._pause = pause
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Wait for this call's turn."""
        if not self._gap_s:
            return
        with self._lock:
            now_s = clock.monotonic()
            turn_s = max(now_s, self._next_s)
            self._next_s = turn_s + self._gap_s
        if turn_s > now_s:
            self._pause(turn_s - now_s)

    def throttled(self) -> None:
        """A call was refused as one too many, for good: from now on twice as slow."""
        with self._lock:
            self._gap_s = min(_LONGEST_GAP_S, max(_FIRST_GAP_S, 2 * self._gap_s))

    def answered(self) -> None:
        """A call was answered: step by step back to the usual pace."""
        if self._gap_s > self._least_s:
            with self._lock:
                gap_s = self._gap_s * 0.9
                self._gap_s = self._least_s if gap_s < max(self._least_s, _FIRST_GAP_S / 2) else gap_s


class Paces:
    """The paces of one account, shared by all its polls."""

    def __init__(self, pause: Callable[[float], None]) -> None:
        self._pause = pause
        self._paces: dict[tuple[str, str, str], Pace] = {}
        self._lock = threading.Lock()

    def of(self, service: str, region: str, operation: str) -> Pace:
        """The pace of an operation: its own where AWS documents one, else that of its service in the region."""
        own = operation if (service, operation) in RATES else ""
        with self._lock:
            place = (service, region, own)
            if place not in self._paces:
                self._paces[place] = Pace(RATES.get((service, own)), self._pause)
            return self._paces[place]


class Budget:
    """How many calls are left of those allowed in any 24 hours; 0 allowed is no limit."""

    def __init__(self, calls_per_day: int) -> None:
        self._limit = calls_per_day
        self._made = 0
        self._lock = threading.Lock()

    def begin(self, made: int) -> None:
        """Count from here: this many were made in the 24 hours before, by the ledger."""
        with self._lock:
            self._made = made

    def take(self) -> bool:
        """Take one call; False when none is left."""
        if not self._limit:
            return True
        with self._lock:
            if self._made >= self._limit:
                return False
            self._made += 1
            return True
