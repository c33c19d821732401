"""What the register says is disposed of is gone."""

from __future__ import annotations

from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check
from checks.registers import register


@check("disposal-verified", once="aws.s3.buckets")
def disposed_is_gone(ctx: Context) -> Verdict:
    """Each bucket that was disposed of is in no account any more.

    A row of the register disposals names it as `s3://BUCKET`, with `done_on`; of a prefix in a bucket it is
    not known whether it is empty. Source: the complete listing of every account's buckets.
    """
    rows = [row for row in register(ctx, "disposals") if row.get("done_on") and _place(row)]
    if not rows:
        return inapplicable("no disposal of a bucket, or of a part of one, is in the register")
    known = {bucket["name"] for bucket in ctx.everywhere("aws.s3.buckets")}
    named = {row["id"]: _place(row).partition("/") for row in rows}
    there = sorted(id for id, (bucket, _, prefix) in named.items() if bucket in known and not prefix)
    parts = sorted(id for id, (bucket, _, prefix) in named.items() if bucket in known and prefix)
    facts = {"disposals": sorted(named), "still_there": there}
    if there:
        return failed(f"still there though disposed of: {', '.join(named[id][0] for id in there)}", **facts)
    if parts:
        return undecided(
            Reason.UNSUPPORTED, f"objects are not listed, so nothing is known of {', '.join(parts)}", **facts
        )
    return passed(f"{len(named)} disposals, none of the buckets is there any more", **facts)


def _place(row: Facts) -> str:
    """`BUCKET` or `BUCKET/PREFIX` of a row; empty when it is about something else."""
    for column in ("ref", "subject", "recipient", "data_set"):
        said = str(row.get(column) or "")
        if said.startswith("s3://"):
            return said.removeprefix("s3://").strip("/")
    return ""
