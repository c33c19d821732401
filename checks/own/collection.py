"""Whether the evidence itself is there: every target collected, on its grid, and lately."""

from __future__ import annotations

from collections.abc import Iterator

from agent.clock import DAY_MS, iso
from agent.facts import Context, Facts
from agent.history import History
from agent.model import Reason, Record, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check, derived
from agent.schedule import Term, classify, due_by, longest_gap_ms, runs, stale_after_ms

SHARE_OF_PERIOD = 0.05
LONGEST_RUN_MS = 7 * DAY_MS


@derived("agent.collection.targets", kind="state", of=())
def targets(history: History, ctx: Context) -> Iterator[Record]:
    """Each target with its newest polls and the runs of slots that nothing covers."""
    for row, polls, owed_from_ms in history.targets():
        complete = [poll for poll in polls if poll.status.value == "complete"]
        newest = polls[-1] if polls else None
        every_s, kind = row.target.every_s, row.target.kind
        lost = []
        if owed_from_ms is not None:
            term = Term(owed_from_ms, due_by(kind, every_s, ctx.now), every_s)
            lost = [run for run in runs(classify(kind, term, polls)) if not run.bridged]
        yield Record(
            row.target.name,
            {
                "every_s": every_s,
                "newest": {"status": newest.status.value, "why": newest.why} if newest else None,
                "last_complete_ms": complete[-1].asof_ms if complete else None,
                "owed": owed_from_ms is not None,
                "owed_ms": 0 if owed_from_ms is None else ctx.now - owed_from_ms,
                "uncovered": [[run.from_ms, run.to_ms] for run in lost],
            },
        )


@check("collection-coverage", over="agent.collection.targets")
def coverage(target: Facts, ctx: Context) -> Verdict:
    """No uncovered run beyond the longest gap adds up to 5 % or lasts 7 days."""
    if not target["owed"]:
        return inapplicable("no slot is owed: the daemon never ran and cron is not declared")
    limit = longest_gap_ms(target["every_s"])
    gaps = [run for run in target["uncovered"] if run[1] - run[0] > limit]
    total = sum(end - start for start, end in gaps)
    named = [f"{iso(start)} to {iso(end)}" for start, end in gaps]
    if any(end - start >= LONGEST_RUN_MS for start, end in gaps) or total > SHARE_OF_PERIOD * target["owed_ms"]:
        return failed("slots without evidence: " + ", ".join(named), runs=named)
    return passed("no run of uncovered slots beyond the limits", longest_gap_hours=limit // 3_600_000)


@check("evidence-fresh", over="agent.collection.targets")
def fresh(target: Facts, ctx: Context) -> Verdict:
    """The newest complete poll of the target is within its stale limit."""
    last = target["last_complete_ms"]
    limit = stale_after_ms(target["every_s"])
    hours = limit // 3_600_000
    if last is None:
        newest = target.plain("newest")
        reason = Reason(newest["why"]) if newest and newest["why"] else Reason.STALE
        return undecided(reason, "never collected completely")
    if ctx.now - last > limit:
        return failed(f"last collected completely {iso(last)}, limit {hours} h", last_complete=iso(last))
    return passed(f"collected completely within {hours} h", limit_hours=hours)
