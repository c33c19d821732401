"""Rows of the registers of changes and incidents that account for something an audit event shows."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from agent.clock import DAY_MS, parse_iso
from agent.facts import Context, Facts
from checks.registers import exempting

_AFTER_DAYS = 1
"""A change may be carried out until the day after the one it is recorded for: days have no time zone."""
_EMERGENCY_DAYS = 2
"""An emergency may be approved so long after it."""


def change_of(ctx: Context, names: Collection[str], at: str) -> str | None:
    """Id of the approved row of `changes` that covers what was done at this time (RFC 3339).

    The row names the thing (one of `names`: event id, trail, account) in `ref` or `system`, as a word of
    its own. The day lies between that of its approval (of an emergency: two days before) and the day after
    it was carried out (`merged_on`, else the day of approval).
    """
    day = _day(at)
    for row in _naming(ctx, "changes", names, ("ref", "system")):
        approved, done = row.get("approved_on"), row.get("merged_on") or row.get("approved_on")
        if not row.get("approved_by") or not approved:
            continue
        first = _day(approved) - (_EMERGENCY_DAYS if _yes(row.get("emergency")) else 0)
        if first <= day <= _day(done) + _AFTER_DAYS:
            return str(row["id"])
    return None


def incident_of(ctx: Context, names: Collection[str], at: str) -> str | None:
    """Id of the row of `incidents` that was open at this time and names the thing in `systems`."""
    day = _day(at)
    for row in _naming(ctx, "incidents", names, ("systems", "ref")):
        began, ended = row.get("detected_at"), row.get("resolved_at")
        if began and _day(began) <= day and (not ended or day <= _day(ended)):
            return str(row["id"])
    return None


def _naming(ctx: Context, register: str, names: Collection[str], columns: Collection[str]) -> Iterator[Facts]:
    wanted = {name.casefold() for name in names if name}
    for row in exempting(ctx, register):
        said = " ".join(str(row.get(column) or "") for column in columns).casefold()
        if wanted.intersection(re.split(r"[\s,;]+", said)):
            yield row


def _day(text: str) -> int:
    """Number of the UTC day of a day or time."""
    return parse_iso(f"{text[:10]}T00:00:00Z") // DAY_MS


def _yes(value: object) -> bool:
    return value is True or str(value).casefold() in ("yes", "true")
