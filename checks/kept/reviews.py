"""What an access review took away is gone."""

from __future__ import annotations

from collections.abc import Iterator

from agent.clock import DAY_MS, iso, parse_iso
from agent.facts import Context, Facts
from agent.history import History
from agent.model import Reason, Record, Verdict, failed, passed, undecided
from agent.registry import check, derived
from checks.registers import register

_DAYS = 14
_HOLDERS = ("aws.iam.users", "aws.iam.roles")


@derived("aws.access.revocations", kind="state", of=_HOLDERS)
def revocations(history: History, ctx: Context) -> Iterator[Record]:
    """Principals whose access a review revoked, and whether they are gone.

    `items` of a row of the register access_reviews is `ARN=DECISION`, parted by semicolons.
    """
    decided = {
        principal: (row["id"], row["completed_on"])
        for row in register(ctx, "access_reviews")
        for principal, decision in _items(row)
        if decision == "revoke" and row.get("completed_on")
    }
    last: dict[str, tuple[bool, int]] = {}
    for stream in _HOLDERS if decided else ():
        for version in history.versions(stream):
            last[version.key] = (version.facts is not None, version.not_after_ms)
    for principal, (review, completed) in sorted(decided.items()):
        if principal in last:
            there, seen_ms = last[principal]
            gone = None if there else iso(seen_ms)
            yield Record(principal, {"principal": principal, "review": review, "decided": completed, "gone_by": gone})


@check("access-review-actions-done", over="aws.access.revocations")
def revoked_is_gone(revoked: Facts, ctx: Context) -> Verdict:
    """What a review decided to revoke is gone within 14 days.

    Source: register access_reviews; history of users and roles.
    """
    due = parse_iso(f"{revoked['decided'][:10]}T23:59:59Z") + _DAYS * DAY_MS
    gone = revoked["gone_by"]
    told = {"review": revoked["review"], "decided": revoked["decided"], "gone_by": gone}
    if gone and parse_iso(gone) <= due:
        return passed(f"gone by {gone}, due by {iso(due)}", **told)
    if gone:
        return failed(f"gone by {gone} only, due by {iso(due)}", **told)
    if ctx.now > due:
        return failed(f"still there, due to be gone by {iso(due)}", **told)
    return undecided(Reason.UNDETERMINED, f"still there; due to be gone by {iso(due)}", **told)


def _items(row: Facts) -> Iterator[tuple[str, str]]:
    for item in str(row.get("items") or "").split(";"):
        principal, _, decision = item.strip().rpartition("=")
        if principal:
            yield principal, decision.casefold()
