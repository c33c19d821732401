"""Every change of a watched setting is explained in time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agent.clock import DAY_MS, iso, parse_iso
from agent.facts import Context, Facts
from agent.history import MISSING, Change, History
from agent.model import Reason, Record, Verdict, failed, passed, undecided
from agent.registry import check, derived
from checks.joined.persons import due_ms
from checks.registers import register

WATCHED = {
    "aws.s3.exposures": ("block", "policy_status", "grants", "ownership"),
    "aws.s3.buckets": ("encryption",),
    "aws.iam.roles": ("trust",),
    "aws.network.security_groups": ("ingress",),
}
"""Stream -> the facets whose change has to be explained: public access, encryption, trust, network."""

_DAYS = 2
_AHEAD_MS = 30 * DAY_MS
"""How long before it takes effect a change may have been approved."""


@derived("aws.config.changes", kind="events", of=tuple(WATCHED))
def changes(history: History, ctx: Context) -> Iterator[Record]:
    """Watched settings that changed between two polls.

    What came or went is no change of a setting."""
    for stream, facets in WATCHED.items():
        for facet in facets:
            for change in history.changes(stream, facet):
                if MISSING not in (change.before, change.after):
                    yield Record(f"{facet}:{change.key}:{change.idx}", _told(change, stream, facet))


@check("config-drift-explained", over="aws.config.changes")
def change_explained(change: Facts, ctx: Context) -> Verdict:
    """A change of a watched setting is explained within two business days.

    The row's `system` or `ref` names the resource, and it was approved or merged by then, at most 30 days
    before. Source: history of the setting; register changes.
    """
    rows = [row for row in register(ctx, "changes") if _names(row, change["resource"])]
    end = parse_iso(change["interval"]["not_after"])
    begin = parse_iso(change["interval"]["not_before"] or change["interval"]["not_after"])
    due = due_ms(iso(end)[:10], _DAYS)
    told = {"resource": change["resource"], "facet": change["facet"], "interval": change.plain("interval")}
    for row in rows:
        made = row.get("merged_on") or row.get("approved_on")
        if made and row.get("approved_by") and begin - _AHEAD_MS <= parse_iso(f"{made[:10]}T00:00:00Z") <= due:
            return passed(f"explained by change {row['id']}", change=row["id"], **told)
    what = f"{change['facet']} of {change['resource']} changed by {iso(end)}"
    if ctx.now <= due:
        return undecided(Reason.UNDETERMINED, f"{what}; to be explained by {iso(due)}", **told)
    return failed(f"{what}, and no change in the register explains it", **told)


def _told(change: Change, stream: str, facet: str) -> Mapping[str, Any]:
    not_before = None if change.not_before_ms is None else iso(change.not_before_ms)
    return {
        "resource": change.key,
        "stream": stream,
        "facet": facet,
        "interval": {"not_before": not_before, "not_after": iso(change.not_after_ms)},
    }


def _names(row: Facts, resource: str) -> bool:
    """Whether a row is about a resource: names it by ARN or by the last part of it."""
    name = resource.rpartition("/")[2].rpartition(":")[2]
    words = " ".join(str(row.get(column) or "") for column in ("system", "ref")).replace(",", " ").split()
    return resource in words or name in words
