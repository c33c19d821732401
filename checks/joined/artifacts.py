"""Where the files of production models lie: behind a known, closed bucket, still there, unchanged."""

from __future__ import annotations

from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check
from checks.aws.s3 import ways_in
from checks.joined.locations import FOLDERS, LOCATIONS

_OTHER_CLOUDS = ("gs", "abfss", "wasbs", "dbfs", "hdfs")
_PARTITIONS = ("aws", "aws-cn", "aws-us-gov")


@check("model-artifact-location-covered", over=LOCATIONS)
def location_covered(version: Facts, ctx: Context) -> Verdict:
    """The files of a production version lie in a collected bucket that is not public.

    Source: the location the registry gives, `aws.s3.exposures`. A location behind the tracking server
    (`mlflow-artifacts:`), of a logged model (`models:`), or in another cloud is not resolved.
    """
    location = version["location"]
    bucket = _bucket(location)
    if isinstance(bucket, Verdict):
        return bucket
    buckets = ctx.everywhere("aws.s3.exposures")
    exposure = next((found for part in _PARTITIONS if (found := buckets.one(f"arn:{part}:s3:::{bucket}"))), None)
    if exposure is None:
        return failed(f"{location} lies in a bucket that is not collected", location=location, bucket=bucket)
    ways, notes = ways_in(exposure, ctx.everywhere)
    facts = {"location": location, "bucket": bucket, "ways": ways, "notes": notes}
    if ways:
        return failed(f"{location} lies in a bucket open to outsiders: {'; '.join(ways)}", **facts)
    return passed(f"{location} lies in a collected bucket closed to outsiders", **facts)


@check("previous-artifact-available", over=LOCATIONS)
def previous_available(version: Facts, ctx: Context) -> Verdict:
    """The files of the version that held production before are still listed.

    Source: `aws.s3.artifacts`, a listing below the prefixes of the setting `collect.aws.artifacts`; no
    object is read.
    """
    previous = version["previous"]
    if previous is None:
        return inapplicable("no other version of the model held production before")
    location = previous["location"]
    facts = {"previous": previous["version"], "location": location}
    folder = _folder(location, ctx)
    if isinstance(folder, Verdict):
        return folder
    if folder is None or not folder["objects"]:
        return failed(f"nothing is listed at {location}, where version {previous['version']} lay", **facts)
    return passed(f"version {previous['version']}: {folder['objects']} objects at {location}", **facts)


@check("artifact-checksum-stable", over=LOCATIONS)
def checksum_stable(version: Facts, ctx: Context) -> Verdict:
    """The files of a production version are those that were first recorded.

    By ETag of each object below the location, read from listings: another one, or gone, since the
    listing that first showed the location; what came later is listed only. Source: the history
    of `aws.s3.artifacts`, setting `collect.aws.artifacts`.
    """
    location = version["location"]
    folder = _folder(location, ctx)
    if isinstance(folder, Verdict):
        return folder
    if folder is None:
        return failed(f"nothing is listed at {location}", location=location)
    if not folder["seen_again"]:
        return inapplicable(f"first observation of {location}", location=location)
    told = {how: folder.plain(how) for how in ("changed", "added", "gone")}
    facts = {"location": location, "first_listed": folder["first_listed"], **told}
    differing = [f"{how}: {', '.join(told[how])}" for how in ("changed", "gone") if told[how]]
    if differing:
        return failed(f"not as first recorded: {'; '.join(differing)}", **facts)
    return passed(f"{folder['objects']} objects at {location}, as first recorded", **facts)


def _bucket(location: str | None) -> str | Verdict:
    """Name of the bucket of a location, or what follows where there is none to look for."""
    scheme, found, rest = (location or "").partition("://")
    if found and scheme in ("s3", "s3a", "s3n"):
        return rest.partition("/")[0]
    if not location:
        return undecided(Reason.DEPENDENCY, "the registry gives no location of the version")
    kind = location.partition(":")[0]
    if kind in ("models", "mlflow-artifacts", "runs", "http", "https"):
        return undecided(Reason.DEPENDENCY, f"{location} does not tell which store lies behind it", location=location)
    if kind in _OTHER_CLOUDS:
        return undecided(Reason.NOT_CONFIGURED, f"{location}: no buckets of this kind are collected", location=location)
    return failed(f"{location} is no bucket", location=location)


def _folder(location: str | None, ctx: Context) -> Facts | Verdict | None:
    """What the listings say of a location; None where a complete listing shows nothing there."""
    bucket = _bucket(location)
    if isinstance(bucket, Verdict):
        return bucket if bucket.reason else undecided(Reason.DEPENDENCY, bucket.message, **bucket.facts)
    place = (location or "").partition("://")[2].rstrip("/")
    listed = [str(prefix).removeprefix("s3://") for prefix in ctx.thresholds.get("artifacts") or ()]
    if not any(place.startswith(prefix) for prefix in listed):
        return undecided(
            Reason.NOT_CONFIGURED,
            f"{location} lies below none of the prefixes that are listed (setting collect.aws.artifacts)",
            location=location,
        )
    return ctx.everywhere(FOLDERS).one(place)
