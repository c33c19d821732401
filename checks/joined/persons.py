"""Who an identity belongs to: rows of the people register by every name they give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from agent.clock import DAY_MS
from agent.facts import Context, Facts
from checks.registers import register

REGISTER = "docs.registers.people"
_HALF_DAY_MS = DAY_MS // 2
_GRACE_DAYS = 30

Directory = Mapping[str, list[dict[str, Any]]]
"""Name, case-folded -> the rows that give it, as kept beside an identity."""


def directory(ctx: Context) -> Directory | None:
    """The people register by id, mail and the identities it gives; None where nobody keeps one.

    `Unseen` where the register was not read whole.
    """
    if not ctx.configured(REGISTER):
        return None
    found: dict[str, list[dict[str, Any]]] = {}
    for row in register(ctx, "people"):
        told = {column: row.get(column) for column in ("id", "end_date", "mfa", "mfa_checked_on")}
        told["names"] = sorted(_names(row))
        for name in told["names"]:
            found.setdefault(name, []).append(told)
    return found


def persons(names: Iterable[Any], people: Directory | None) -> list[dict[str, Any]] | None:
    """The rows that one of these names stands for, each once; None where there is no register."""
    if people is None:
        return None
    rows = {row["id"]: row for name in folded(names) for row in people.get(name, [])}
    return [rows[id] for id in sorted(rows, key=str)]


def folded(names: Iterable[Any]) -> list[str]:
    """Names as they are compared; without those that are not there."""
    return sorted({str(name).strip().casefold() for name in names if name})


def left(person: Mapping[str, Any] | Facts, now_ms: int) -> bool:
    """Whether the last day of a person is over, wherever on earth it ended last."""
    return bool(person["end_date"]) and due_ms(person["end_date"], 0) < now_ms


def due_ms(end_date: str, business_days: int) -> int:
    """End of the last day, or of that many business days later: ms UTC, in the zone where it ends last.

    Days are Monday to Friday; a company's holidays are not known.
    """
    day = date.fromisoformat(str(end_date)[:10])
    while business_days:
        day += timedelta(days=1)
        business_days -= day.weekday() < 5
    return _ms(day) + DAY_MS + _HALF_DAY_MS


def checked_in_time(checked_on: str | None, now_ms: int) -> bool:
    """Whether a duty of each quarter was done for the last quarter that is due, its grace of 30 days not over."""
    if not checked_on:
        return False
    today = datetime.fromtimestamp(now_ms // 1000, UTC).date()
    quarter = date(today.year, 3 * ((today.month - 1) // 3) + 1, 1)
    first = _quarter_before(quarter)
    if today < quarter + timedelta(days=_GRACE_DAYS):
        first = _quarter_before(first)
    return first <= date.fromisoformat(str(checked_on)[:10]) <= today


def _quarter_before(first_day: date) -> date:
    month = first_day.month - 3
    return date(first_day.year - (month < 1), month % 12 or 12, 1) if month < 1 else date(first_day.year, month, 1)


def _ms(day: date) -> int:
    return round(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)


def _names(row: Facts) -> list[str]:
    held = row.get("identities")
    listed = held.replace(",", " ").replace(";", " ").split() if isinstance(held, str) else held or []
    return folded([row.get("id"), row.get("mail"), *listed])
