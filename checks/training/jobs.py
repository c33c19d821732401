"""Training jobs: network, keys, images, secrets, end. One rule for every platform's normal form.

Two populations (the catalogue's): *inventory*, all jobs; *tested*, those that fed a version which ever
held production and those labelled production. A job without any label counts as production.
"""

from __future__ import annotations

import re

from agent.clock import DAY_MS, iso, parse_iso
from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check

JOBS = "trainlog.training.jobs"
RUNS = "mlflow.tracking.runs"

_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
_STOPPING_LIMIT_DAYS = 5
_DONE = ("succeeded", "failed", "stopped")


@check("job-in-vpc", over=JOBS)
def job_in_vpc(job: Facts, ctx: Context) -> Verdict:
    """A training job that feeds production runs in the private network.

    Source: `network.private` of the job record. Tested population.
    """
    if outside := _outside_tested(job, ctx):
        return outside
    network = job["network"]
    if network is None:
        return failed("the job names no network", private=None)
    private = network["private"]
    if private is True:
        return passed("the job ran in a private network", private=True)
    return failed("the job did not run in a private network", private=private)


@check("job-volume-key", over=JOBS)
def job_volume_key(job: Facts, ctx: Context) -> Verdict:
    """The volumes of a training job are encrypted.

    On clusters of one's own whatever the data class is.
    Source: `encryption.volume`, or `volume_kms`, of the job record. Inventory.
    """
    del ctx
    key = job.get("volume_kms")
    if key:
        return passed(f"volumes encrypted with {key}", key=key)
    encryption = job["encryption"]
    if encryption is None:
        return failed("the job names no encryption of its volumes", volume=None)
    volume = encryption["volume"]
    if volume is True:
        return passed("volumes encrypted", volume=True)
    return failed("volumes not encrypted", volume=volume)


@check("job-image-pinned", over=JOBS)
def job_image_pinned(job: Facts, ctx: Context) -> Verdict:
    """The image of a training job that feeds production is fixed by digest.

    Source: `image.uri` of the job record. Tested population. Whether the tags of a repository can be
    moved is not seen from a job log.
    """
    image = _image(job, ctx)
    if isinstance(image, Verdict):
        return image
    if _DIGEST.search(image):
        return passed(f"image fixed by digest: {image}", image=image)
    tag = _tag(image)
    if tag in (None, "latest"):
        return failed(f"image {image} has {'no tag' if tag is None else 'the tag latest'}, which moves", image=image)
    return undecided(
        Reason.DEPENDENCY, f"image {image} has a tag; whether its repository lets it be moved is not known", image=image
    )


@check("job-image-trusted", over=JOBS)
def job_image_trusted(job: Facts, ctx: Context) -> Verdict:
    """The image of a production training job comes from a trusted registry.

    Source: `image.uri` of the job record, threshold `trusted_registries`. Tested population.
    """
    image = _image(job, ctx)
    if isinstance(image, Verdict):
        return image
    trusted = ctx.thresholds.get("trusted_registries") or []
    host = registry_of(image)
    if not trusted:
        return undecided(Reason.NOT_CONFIGURED, "no trusted_registries are configured", registry=host)
    if host in trusted:
        return passed(f"registry {host} is trusted", registry=host)
    return failed(f"registry {host} is not among the trusted ones: {', '.join(sorted(trusted))}", registry=host)


@check("job-config-no-secrets", over=JOBS)
@check("job-config-no-secrets", over=RUNS)
def job_config_no_secrets(job: Facts, ctx: Context) -> Verdict:
    """No secret stands in the settings or tags of a training job.

    Source: every text of the job or run, matched with the secret patterns before it was stored; values
    that matched are not kept. Inventory.
    """
    del ctx
    given = job.names()
    # asked for so that what was not seen is not taken for something without secrets; of tags and of the
    # environment values are dropped on purpose, after they were matched
    whole = job.plain("params") if "params" in given else None
    parts = [job[name] for name in ("tags", "env") if name in given]
    del whole, parts
    hits = job.plain("secrets") if "secrets" in job else []
    if not hits:
        return passed("no text of the job matches a secret pattern")
    places = ", ".join(f"{hit['at']} ({hit['pattern']})" for hit in hits)
    return failed(f"secrets at {places}", secrets=hits)


@check("job-terminal", over=JOBS)
@check("job-terminal", over=RUNS)
def job_terminal(job: Facts, ctx: Context) -> Verdict:
    """A production job has ended or is within its stopping limit.

    Source: `status`, `started_at` and `stopping_limit_days` (5 when the job has none) of the job record.
    """
    if _label(job, ctx) != "production":
        return inapplicable("inventory: not of a group or environment declared as production")
    status = job["status"]
    if status in _DONE:
        return passed(f"ended as {status}", status=status)
    if status != "running":
        return undecided(Reason.UNDETERMINED, f"status {status}", status=status)
    started = job.get("started_at") or job["created_at"]
    if started is None:
        return undecided(Reason.UNDETERMINED, "running, since when is not known", status=status)
    days = job.get("stopping_limit_days") or _STOPPING_LIMIT_DAYS
    until = parse_iso(started) + round(float(days) * DAY_MS)
    facts = {"status": status, "started": started, "limit_days": days}
    if ctx.now > until:
        return failed(f"still running, though started {started} with a limit of {days} days", **facts)
    return passed(f"running since {started}, may run until {iso(until)}", **facts)


def registry_of(image: str) -> str:
    """Host of an image reference; without one it is Docker Hub.

    >>> registry_of("ghcr.io/a/b:1"), registry_of("python:3"), registry_of("localhost:5000/x")
    ('ghcr.io', 'docker.io', 'localhost:5000')
    """
    first, slash, _ = image.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else "docker.io"


def _tag(image: str) -> str | None:
    name, colon, tag = image.rpartition("/")[2].partition(":")
    del name
    return tag if colon else None


def _image(job: Facts, ctx: Context) -> str | Verdict:
    """The image reference, or what follows where none is to be judged."""
    if outside := _outside_tested(job, ctx):
        return outside
    if job.get("algorithm_builtin"):
        return inapplicable("a built-in algorithm of the platform: no image of one's own")
    image = job["image"]
    if image is None or not image["uri"]:
        return failed("the job names no image", image=None)
    return str(image["uri"])


def _outside_tested(job: Facts, ctx: Context) -> Verdict | None:
    """Why the job is inventory only; None when it is of the tested population."""
    label = _label(job, ctx)
    if label == "production":
        return None
    run_id = job.get("mlflow_run_id")
    if label is None:
        if ctx.thresholds.get("default_data_class", "restricted"):
            return None
        return undecided(Reason.NOT_CONFIGURED, "unlabelled: no environment or group says whether it feeds production")
    if run_id and any(version["run_id"] == run_id for version in ctx.everywhere("mlflow.registry.production")):
        return None
    return inapplicable(f"inventory: {label}, and it fed no version that held production")


def _label(job: Facts, ctx: Context) -> str | None:
    """`production`, or what else the job is labelled; None when it is not labelled at all."""
    declared = ctx.thresholds.get("job_production") or {}
    groups = declared.get("groups") or []
    environments = [name.casefold() for name in declared.get("environments") or ["production"]]
    group, environment = job.get("group"), job.get("environment")
    if (group and group in groups) or (environment and environment.casefold() in environments):
        return "production"
    if environment:
        return f"environment {environment}"
    return f"group {group}" if group and groups else None
