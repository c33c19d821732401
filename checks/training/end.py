"""How jobs end: in a known state, within their limit, with failures followed up."""

from __future__ import annotations

from collections.abc import Iterator

from agent.clock import DAY_MS, iso, parse_iso
from agent.facts import Context, Facts
from agent.history import History
from agent.model import Gap, Reason, Record, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check, derived
from checks.registers import exempting
from checks.training.population import DONE, JOBS, PROCESSING, RUNS, TRAINING, TRANSFORM, TUNING, label_of

_STOPPING_LIMIT_DAYS = 5
FOLLOWUP_DAYS = 7
"""Days within which a failure is followed up (threshold `job_failure_followup_days`)."""


@check("job-terminal", over=JOBS)
@check("job-terminal", over=RUNS)
@check("job-terminal", over=TRAINING)
@check("job-terminal", over=PROCESSING)
@check("job-terminal", over=TRANSFORM)
@check("job-terminal", over=TUNING)
def job_terminal(job: Facts, ctx: Context) -> Verdict:
    """A production job has ended or is within its stopping limit.

    Source: `status`, `started_at` and the limit (`stopping_limit_days`, or SageMaker's StoppingCondition; 5
    days when the job has none) of the job record. Groups and environments that are production.
    """
    if label_of(job, ctx) != "production":
        return inapplicable("inventory: not of a group or environment declared as production")
    status = job["status"]
    if status in DONE:
        return passed(f"ended as {status}", status=status)
    if status != "running":
        return undecided(Reason.UNDETERMINED, f"status {status}", status=status)
    started = job.get("started_at") or job["created_at"]
    if started is None:
        return undecided(Reason.UNDETERMINED, "running, since when is not known", status=status)
    said, limit_ms = _limit(job)
    until = parse_iso(started) + limit_ms
    facts = {"status": status, "started": started, "limit": said}
    if ctx.now > until:
        return failed(f"still running, though started {started} with a limit of {said}", **facts)
    return passed(f"running since {started}, may run until {iso(until)}", **facts)


@check("job-failure-followed", over=JOBS, tags=["acknowledged_by", "incident"])
@check("job-failure-followed", over=RUNS, tags=["acknowledged_by", "incident"])
@check("job-failure-followed", over=TRAINING, tags=["acknowledged_by", "incident"])
@check("job-failure-followed", over=PROCESSING, tags=["acknowledged_by", "incident"])
@check("job-failure-followed", over=TRANSFORM, tags=["acknowledged_by", "incident"])
@check("job-failure-followed", over=TUNING, tags=["acknowledged_by", "incident"])
def job_failure_followed(job: Facts, ctx: Context) -> Verdict:
    """A failed production job was followed by a success, or by somebody.

    Within 7 days a later job of the same group or parent succeeded; or the job has the tag
    `acknowledged_by`; or a row of the register `incidents` names the job or is named by its tag `incident`.
    Source: job records; register `incidents` (none where nobody keeps it).
    """
    if label_of(job, ctx) != "production":
        return inapplicable("inventory: not of a group or environment declared as production")
    if job["status"] != "failed":
        return inapplicable(f"not failed: {job['status']}")
    facts = {"failure_reason": job.get("failure_reason"), "ended": job.get("ended_at") or job["created_at"]}
    failed_ms = parse_iso(facts["ended"])
    days = ctx.thresholds.get("job_failure_followup_days", FOLLOWUP_DAYS)
    until = failed_ms + days * DAY_MS
    said = f"failed {facts['ended']} ({facts['failure_reason'] or 'no reason told'})"
    if success := _success_after(job, failed_ms, until, ctx):
        return passed(f"{said}; a later job of the same group succeeded {success}", success=success, **facts)
    tags = job["tags"] if "tags" in job.names() else None
    by = tags.get("acknowledged_by") if tags is not None else None
    if by:
        return passed(f"{said}; acknowledged by {by}", acknowledged_by=by, **facts)
    if row := _incident(job, tags, ctx):
        return passed(f"{said}; incident {row}", incident=row, **facts)
    if ctx.now <= until:
        return passed(f"{said}; may be followed up until {iso(until)}", **facts)
    return failed(f"{said}; no later success, acknowledgement or incident within {days} days", **facts)


@derived("aws.sagemaker.successes", kind="state", of=(TRAINING, PROCESSING, TRANSFORM, TUNING))
def sagemaker_successes(history: History, ctx: Context) -> Iterator[Record | Gap]:
    """When jobs of each group of the account succeeded."""
    del ctx
    return _successes(history, (TRAINING, PROCESSING, TRANSFORM, TUNING))


@derived("trainlog.training.successes", kind="state", of=(JOBS,))
def logged_successes(history: History, ctx: Context) -> Iterator[Record | Gap]:
    """When jobs of each group of the log succeeded."""
    del ctx
    return _successes(history, (JOBS,))


@derived("mlflow.tracking.successes", kind="state", of=(RUNS,))
def run_successes(history: History, ctx: Context) -> Iterator[Record | Gap]:
    """When runs of each experiment succeeded."""
    del ctx
    return _successes(history, (RUNS,))


def _successes(history: History, streams: tuple[str, ...]) -> Iterator[Record | Gap]:
    """Group, or parent -> the times at which a job of it succeeded; a gap where a job's group was not seen."""
    ended: dict[str, list[str]] = {}
    hidden: Gap | None = None
    for stream in streams:
        for job in history.kept(stream):  # a list that is not whole makes the derived one not whole
            gap = next((gap for part in ("status", "group", "parent") if (gap := job.unseen_at(part))), None)
            if gap and job.seen("status", "succeeded") == "succeeded":
                hidden = gap
            elif job.seen("status", None) == "succeeded" and (at := job.seen("ended_at", None)):
                for group in {job.seen("group", None), job.seen("parent", None)} - {None, ""}:
                    ended.setdefault(group, []).append(at)
    for group, times in sorted(ended.items()):
        yield Record(group, {"ended": sorted(times)})
    if hidden:
        yield Gap(Reason.PARTIAL, hidden.op, hidden.code, hidden.need)


_SUCCESSES = {"sagemaker": "aws.sagemaker.successes", "mlflow": "mlflow.tracking.successes"}


def _success_after(job: Facts, failed_ms: int, until: int, ctx: Context) -> str | None:
    """The first success of the job's group, or among the children of its parent, in (failed_ms, until]."""
    names = job.names()
    stream = _SUCCESSES.get(job["provider"] if "provider" in names else "", "trainlog.training.successes")
    for part in ("group", "parent"):
        name = job[part] if part in names else None
        found = ctx.here(stream).one(name) if name else None
        for at in found["ended"] if found else ():
            if failed_ms < parse_iso(at) <= until:
                return str(at)
    return None


def _incident(job: Facts, tags: Facts | None, ctx: Context) -> str | None:
    """Id of the row of the incident register that is about this job."""
    named = tags.get("incident") if tags is not None else None
    for row in exempting(ctx, "incidents"):
        systems = {each.strip() for each in (row.get("systems") or "").replace(";", ",").split(",")}
        if row["id"] == named or {job.key, job["name"]} & systems:
            return str(row["id"])
    return None


def _limit(job: Facts) -> tuple[str, int]:
    """How long a job may run, in words and in milliseconds."""
    seconds = job.get("stopping_limit_s")
    if seconds:
        return f"{seconds} seconds", int(seconds) * 1000
    days = job.get("stopping_limit_days") or _STOPPING_LIMIT_DAYS
    return f"{days} days", round(float(days) * DAY_MS)
