"""What a job can be traced by: versions of its code and data, and its log."""

from __future__ import annotations

from agent.clock import parse_iso
from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check
from checks.training.population import DONE, JOBS, PROCESSING, RUNS, TRAINING, TRANSFORM, fed_production, outside_tested


@check("job-lineage", over=JOBS)
@check("job-lineage", over=TRAINING)
@check("job-lineage", over=PROCESSING)
def job_lineage(job: Facts, ctx: Context) -> Verdict:
    """A job that feeds production names the versions of its code and its data.

    Code: `code.commit` of the job (SageMaker: tag `git_commit`), or of the run linked to it. Data: each
    input has a version or digest (SageMaker: tag `dataset_version`, or `dataset_version:<channel>`), or is
    a manifest, or the linked run has data sets with digests. Tested population.
    """
    if outside := outside_tested(job, ctx):
        return outside
    names = job.names()
    code = job["code"] if "code" in names else None
    commit = code.get("commit") if code is not None else None
    inputs = job.list("inputs") if "inputs" in names else []
    bare = [given["uri"] for given in inputs if not given.get("version_or_digest") and not given.get("manifest")]
    run = None
    if not commit or bare or not inputs:
        run_id = job.get("mlflow_run_id")
        run = ctx.everywhere(RUNS).one(run_id) if run_id else None
    return _traced(commit, list(bare), bool(inputs), run)


@check("job-lineage", over=RUNS)
def run_lineage(run: Facts, ctx: Context) -> Verdict:
    """A run that fed production names the versions of its code and its data.

    Source: tag `mlflow.source.git.commit`, data set inputs with digests. Runs of production versions.
    """
    if not fed_production(run, ctx):
        return inapplicable("inventory: it fed no version that held production")
    return _traced(run["code"]["commit"], [], False, run)


@check("job-log-exists", over=JOBS)
@check("job-log-exists", over=TRAINING)
@check("job-log-exists", over=PROCESSING)
@check("job-log-exists", over=TRANSFORM)
def job_log_exists(job: Facts, ctx: Context) -> Verdict:
    """A finished job that feeds production wrote a log while it ran.

    Source: `log` of the job record: streams and the times of its first and last event; of SageMaker's
    jobs the log streams whose names begin with the job's. Tested population.
    """
    if outside := outside_tested(job, ctx):
        return outside
    status, started, ended = job["status"], job.get("started_at"), job.get("ended_at")
    if status not in DONE:
        return inapplicable(f"the job has not ended: {status}")
    if status != "succeeded" and started is None:
        return inapplicable(f"{status} before it started: there was nothing to log")
    log = job["log"]
    if log is None or not log["streams"]:
        return failed("the job has no log", log=None)
    first, last = log["first_at"], log["last_at"]
    facts = {"first": first, "last": last, "started": started, "ended": ended}
    if first is None or last is None:
        return failed("the log of the job holds no event", **facts)
    if started is None or ended is None:
        return undecided(Reason.UNDETERMINED, "when the job ran is not known", **facts)
    if parse_iso(first) <= parse_iso(ended) and parse_iso(last) >= parse_iso(started):
        return passed(f"log from {first} to {last}", **facts)
    return failed(f"the log ({first} to {last}) holds nothing of the time from {started} to {ended}", **facts)


def _traced(commit: str | None, bare: list[str], inputs: bool, run: Facts | None) -> Verdict:
    """The verdict on what a job names and what its run adds."""
    run_commit = run["code"]["commit"] if run is not None else None
    digests = [given["version_or_digest"] for given in run.list("inputs")] if run is not None else []
    has_data = (inputs and not bare) or (bool(digests) and all(digests))
    facts = {"commit": commit or run_commit, "without_version": bare, "run": run.key if run is not None else None}
    lacking = [
        what for what, there in (("code version", commit or run_commit), ("version of its data", has_data)) if not there
    ]
    if lacking:
        return failed(f"the job names no {' and no '.join(lacking)}", **facts)
    return passed(f"code {commit or run_commit}; every input has its version", **facts)
