"""Where jobs run: in a region allowed for what they read, and with raw personal data in production only."""

from __future__ import annotations

from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check
from checks.classes import PRODUCTION, STRICTEST
from checks.registers import exempting
from checks.training.inputs import class_of, class_of_inputs
from checks.training.population import JOBS, PROCESSING, TRAINING, TRANSFORM, environment_of


@check("region-allowed", over=TRAINING, tags=["data_class"])
@check("region-allowed", over=PROCESSING, tags=["data_class"])
@check("region-allowed", over=TRANSFORM, tags=["data_class"])
def job_region_allowed(job: Facts, ctx: Context) -> Verdict:
    """A job ran in a region allowed for the strictest class among its inputs.

    Settings `allowed_regions` and `default_data_class`; a class that has no list has no limit. An input has
    the class of the bucket it lies in. Source: the region of the job, tags of buckets.
    """
    limits = ctx.thresholds.get("allowed_regions") or {}
    if not limits:
        return undecided(Reason.NOT_CONFIGURED, "no allowed_regions are configured")
    found, said = class_of_inputs(job, ctx)
    if found is None:
        if not said:
            return inapplicable("the job reads no input")
        return undecided(Reason.NOT_CONFIGURED, f"unlabelled input: {said}")
    if found not in limits:
        return inapplicable(f"class {found} has no limit of regions", data_class=found)
    region, allowed = job.key.split(":")[3], limits[found]
    facts = {"regions": [region], "allowed": list(allowed), "data_class": found}
    if region not in allowed:
        return failed(f"class {found} may not be read in {region}: {said}", **facts)
    return passed(f"class {found} may be read in {region}", **facts)


@check("nonprod-no-raw-personal", over=TRAINING, tags=["data_class"])
@check("nonprod-no-raw-personal", over=PROCESSING, tags=["data_class"])
@check("nonprod-no-raw-personal", over=JOBS, tags=["data_class"])
def job_no_raw_personal(job: Facts, ctx: Context) -> Verdict:
    """No job outside production reads restricted or raw personal data.

    Source: the environment of the job, its inputs, tags of the buckets they lie in, rows of the datasets
    register. A job of no known environment counts as production.
    """
    environment = environment_of(job, ctx)
    if environment is None or environment in PRODUCTION:
        return inapplicable(f"in production ({environment or 'no environment is named'})")
    uris = [given["uri"] for given in job.list("inputs") if given["uri"]]
    raw = [
        row.key
        for row in exempting(ctx, "datasets")
        if row.get("contains_personal") == "yes" and row.get("deidentified") == "no" and _reads(uris, row.get("uri"))
    ]
    facts = {"environment": environment, "datasets": raw}
    if raw:
        return failed(f"raw personal data outside production: {', '.join(raw)}", **facts)
    restricted, unlabelled = [], []
    for given in job.list("inputs"):
        found, said = class_of(given, ctx)
        if "unlabelled" in said:
            unlabelled.append(given["uri"])
        elif found == STRICTEST:
            restricted.append(f"{given['uri']} {said}")
    if restricted:
        return failed(f"restricted data outside production: {', '.join(restricted)}", **facts)
    if unlabelled:
        named = ", ".join(str(uri) for uri in unlabelled)
        return undecided(Reason.NOT_CONFIGURED, f"unlabelled input outside production: {named}", **facts)
    return passed("no input is restricted or raw personal data", **facts)


def _reads(uris: list[str], place: str | None) -> bool:
    """Whether an input is what a row of the datasets register is about, or lies within it or around it."""
    named = f"{(place or '').rstrip('/')}/"
    return named != "/" and any(
        f"{uri.rstrip('/')}/".startswith(named) or named.startswith(f"{uri.rstrip('/')}/") for uri in uris
    )
