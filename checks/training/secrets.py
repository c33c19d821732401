"""Secrets in the settings of jobs."""

from __future__ import annotations

from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check
from checks.training.population import DONE, JOBS, PROCESSING, RUNS, TRAINING, TRANSFORM, TUNING, outside_tested

LOGS = "aws.sagemaker.job_logs"


@check("job-config-no-secrets", over=JOBS)
@check("job-config-no-secrets", over=RUNS)
@check("job-config-no-secrets", over=TRAINING)
@check("job-config-no-secrets", over=PROCESSING)
@check("job-config-no-secrets", over=TRANSFORM)
@check("job-config-no-secrets", over=TUNING)
def job_config_no_secrets(job: Facts, ctx: Context) -> Verdict:
    """No secret stands in the settings or tags of a training job.

    Source: every text of the job or run, matched with the secret patterns before it was stored; values
    that matched are not kept. Inventory.
    """
    del ctx
    given = job.names()
    # asked for so that what was not seen is not taken for something without secrets; of tags and of the
    # environment values are dropped on purpose, after they were matched
    whole = [job.plain(name) for name in ("params", "arguments") if name in given]
    parts = [job[name] for name in ("tags", "env") if name in given]
    del whole, parts
    hits = job.plain("secrets") if "secrets" in job else []
    if not hits:
        return passed("no text of the job matches a secret pattern")
    places = ", ".join(f"{hit['at']} ({hit['pattern']})" for hit in hits)
    return failed(f"secrets at {places}", secrets=hits)


@check("job-log-no-secrets", over=TRAINING)
@check("job-log-no-secrets", over=PROCESSING)
@check("job-log-no-secrets", over=TRANSFORM)
def job_log_no_secrets(job: Facts, ctx: Context) -> Verdict:
    """No secret stands in the log of a job that feeds production.

    Source: of each log the first 200 and last 500 lines and those with key, token, secret or password,
    matched with the secret patterns while they were read; no line is kept. Tested population.
    """
    if outside := outside_tested(job, ctx):
        return outside
    if job["status"] not in DONE:
        return inapplicable(f"the job has not ended: {job['status']}")
    if job["status"] != "succeeded" and job["started_at"] is None:
        return inapplicable(f"{job['status']} before it started: there was nothing to log")
    if not ctx.thresholds.get("scan_job_logs"):
        return undecided(Reason.NOT_CONFIGURED, "logs of jobs are not searched: collect.aws.scan_job_logs is off")
    scan = ctx.here(LOGS).one(job.key)
    text = scan["text"] if scan is not None else None
    if text is None:
        return undecided(Reason.DEPENDENCY, "the log of the job was not searched")
    lines, hits = text["lines"], text.plain("hits")
    if hits:
        found = ", ".join(f"{hit['pattern']} ({hit['lines']})" for hit in hits)
        return failed(f"secrets in the log, by pattern and lines: {found}", hits=hits, lines=lines)
    if not lines:
        return undecided(Reason.DEPENDENCY, "the log of the job holds no line that can be read", lines=0)
    return passed(f"no secret in {lines} sampled lines: the first, the last and those with a telling word", lines=lines)
