"""What jobs read: the class of that data, its environment, and whether a register knows it."""

from __future__ import annotations

from collections.abc import Iterator

from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check
from checks.classes import CLASSES, PRODUCTION, STRICTEST, class_in_words, data_class, in_production
from checks.registers import exempting, register
from checks.training.population import JOBS, PROCESSING, RUNS, TRAINING, environment_of, fed_production, outside_tested

BUCKETS = "aws.s3.buckets"
_NAMED = 10
"""Inputs that a message names."""


def class_of_inputs(job: Facts, ctx: Context) -> tuple[str | None, str]:
    """The strictest class among what a job reads, and each input's class in words.

    The class is None where an input is unlabelled, none is restricted, and the default is switched off.
    """
    classes, words = [], []
    for given in job.list("inputs"):
        found, said = class_of(given, ctx)
        classes.append(found)
        words.append(f"{given['uri']} {said}")
    return _strictest(classes), _joined(words)


def class_of(given: Facts, ctx: Context) -> tuple[str | None, str]:
    """Class of one input: as the record itself says, else of the bucket it lies in, else the default."""
    stated = given.get("data_class")
    if stated:
        return (stated.casefold() if stated.casefold() in CLASSES else STRICTEST), str(stated)
    bucket = bucket_of(given["uri"], ctx)
    if bucket is not None:
        return data_class(bucket, ctx), class_in_words(bucket, ctx)
    default = ctx.thresholds.get("default_data_class", STRICTEST) or None
    return default, f"{default} (unlabelled)" if default else "unlabelled"


def bucket_of(uri: str | None, ctx: Context) -> Facts | None:
    """The bucket that an S3 URI lies in; None for anything else and for a bucket of an account not collected."""
    if not uri or not uri.startswith(("s3://", "s3a://")):
        return None
    name = uri.partition("://")[2].partition("/")[0]
    for partition in ("aws", "aws-us-gov", "aws-cn"):
        if bucket := ctx.everywhere(BUCKETS).one(f"arn:{partition}:s3:::{name}"):
            return bucket
    return None


@check("env-no-cross-data", over=TRAINING, tags=["data_class", "environment"])
@check("env-no-cross-data", over=PROCESSING, tags=["data_class", "environment"])
@check("env-no-cross-data", over=JOBS, tags=["data_class", "environment"])
def env_no_cross_data(job: Facts, ctx: Context) -> Verdict:
    """A job outside production reads no restricted data of production.

    An input is of production when its bucket is (tag `environment`, else its account's; unlabelled counts
    as production) and restricted by its class (unlabelled counts as restricted). A row of the register
    `datasets` whose allowed_purposes name the job's environment allows it.
    Source: the job's inputs and environment, buckets and their tags.
    """
    environment = environment_of(job, ctx)
    if environment is None:
        return inapplicable("no environment is known: the job counts as one of production")
    if environment in PRODUCTION:
        return inapplicable(f"a job of {environment}", environment=environment)
    crossing, unlabelled = [], []
    for given in job.list("inputs"):
        bucket = bucket_of(given["uri"], ctx)
        if bucket is not None and not in_production(bucket, ctx):
            continue
        found, said = class_of(given, ctx)
        if found is None:
            unlabelled.append(given["uri"])
        elif found == STRICTEST and not _allowed(given["uri"], environment, ctx):
            crossing.append(f"{given['uri']} {said}")
    facts = {"environment": environment}
    if crossing:
        return failed(f"a job of {environment} read data of production: {_joined(crossing)}", inputs=crossing, **facts)
    if unlabelled:
        return undecided(Reason.NOT_CONFIGURED, f"unlabelled input: {_joined(unlabelled)}", **facts)
    return passed(f"a job of {environment}, no input is restricted data of production", **facts)


@check("dataset-used-is-registered", over=TRAINING)
@check("dataset-used-is-registered", over=PROCESSING)
@check("dataset-used-is-registered", over=JOBS)
@check("dataset-used-is-registered", over=RUNS)
def dataset_used_is_registered(job: Facts, ctx: Context) -> Verdict:
    """Every data set that a tested job reads is registered, for this purpose.

    Source: inputs of the job or run; rows of the registers `datasets` (name, uri, allowed_purposes) and
    `models` (name, purpose). A row covers every URI below its own. Tested population.
    """
    if job.get("provider") == "mlflow":
        # a run's link to the registry is known: one without any label is an experiment
        if not fed_production(job, ctx):
            return inapplicable("inventory: it fed no version that held production")
    elif outside := outside_tested(job, ctx):
        return outside
    inputs = [given["uri"] for given in job.list("inputs") if given["uri"]]
    if not inputs:
        return inapplicable("the job names no data set")
    rows = list(register(ctx, "datasets"))
    unknown = [uri for uri in inputs if not list(_rows_of(uri, rows))]
    if unknown:
        return failed(f"not in the register of data sets: {_joined(unknown)}", unknown=unknown)
    wrong = [
        f"{uri} for {purpose}"
        for purpose in _purposes(job, ctx)
        for uri in inputs
        if not any(_serves(row, purpose) for row in _rows_of(uri, rows))
    ]
    if wrong:
        return failed(f"the register does not allow {_joined(wrong)}", wrong=wrong)
    return passed(f"{len(inputs)} data sets, each in the register", inputs=inputs)


def _strictest(classes: list[str | None]) -> str | None:
    known = [found for found in classes if found]
    worst = max(known, key=CLASSES.index) if known else None
    return worst if worst == STRICTEST or None not in classes else None


def _allowed(uri: str, environment: str, ctx: Context) -> bool:
    return any(_serves(row, environment) for row in _rows_of(uri, list(exempting(ctx, "datasets"))))


def _rows_of(uri: str, rows: list[Facts]) -> Iterator[Facts]:
    """Rows of the register that cover a URI: it is their own, or lies below it, or is their name."""
    for row in rows:
        place = (row["uri"] or "").rstrip("/")
        if uri.rstrip("/") == place or (place and uri.startswith(f"{place}/")) or uri == row["name"]:
            yield row


def _serves(row: Facts, purpose: str) -> bool:
    allowed = (row.get("allowed_purposes") or "").replace(";", ",").split(",")
    return purpose.casefold() in {each.strip().casefold() for each in allowed}


def _purposes(job: Facts, ctx: Context) -> list[str]:
    """Purposes of the models that the job's run fed, as far as the register of models names them."""
    run_id = job.get("mlflow_run_id")
    run = ctx.everywhere("mlflow.registry.production_runs").one(run_id) if run_id else None
    models = run["models"] if run else []
    rows = exempting(ctx, "models") if models else ()
    return sorted({row["purpose"] for row in rows if row["name"] in models and row.get("purpose")})


def _joined(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
