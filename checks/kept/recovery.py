"""Restores are tested each year."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from agent.facts import Context, Facts
from agent.model import Verdict, failed, passed
from agent.registry import check
from checks.registers import register

_KINDS = ("restore", "data", "model", "database")
_GRACE_DAYS = 30


@check("restore-test-fresh", once="aws.backup.plans")
def restore_tested(ctx: Context) -> Verdict:
    """A restore was tested, with success and in time, in the last year due.

    A duty of each calendar year, due on its last day with a grace of 30 days; a test in the running year
    counts too. Source: register restore_tests, kinds restore, data, model, database.
    """
    today = datetime.fromtimestamp(ctx.now // 1000, UTC).date()
    first = date((today - timedelta(days=_GRACE_DAYS)).year - 1, 1, 1)
    tests = [row for row in register(ctx, "restore_tests") if row["kind"] in _KINDS]
    in_time = [row for row in tests if first <= date.fromisoformat(row["done_on"][:10]) <= today]
    good = [row for row in in_time if _succeeded(row)]
    facts = {"since": first.isoformat(), "tests": sorted(row["id"] for row in in_time)}
    if good:
        newest = max(good, key=lambda row: str(row["done_on"]))
        return passed(f"restore {newest['id']} tested on {newest['done_on']}", test=newest["id"], **facts)
    if in_time:
        return failed(f"none of {len(in_time)} tests since {first} succeeded within its targets", **facts)
    return failed(f"no restore was tested since {first}", **facts)


def _succeeded(row: Facts) -> bool:
    """Whether a test restored what it should, as fast and as recent as promised."""
    minutes, allowed = row.get("minutes"), row.get("rto_minutes")
    in_time = not allowed or (bool(minutes) and float(minutes) <= float(allowed))
    age, oldest = row.get("data_age"), row.get("rpo")
    recent = not oldest or (bool(age) and float(age) <= float(oldest))
    return str(row["result"]).casefold() in ("success", "passed", "pass") and in_time and recent
