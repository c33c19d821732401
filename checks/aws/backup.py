"""Databases, and whatever else has to be, are backed up daily and for long enough."""

from __future__ import annotations

from collections.abc import Iterator

from agent.clock import parse_iso
from agent.facts import Context, Facts
from agent.history import History
from agent.model import Reason, Record, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check, derived

OWN_DAYS = 7
"""Days that a database has to keep its own automated backups."""

_HOUR_MS = 3_600_000
_LIMIT_MS = 24 * _HOUR_MS
_TAGS = ["backup", "backup_reason"]


@check("backup-recent", over="aws.data.instances", tags=_TAGS)
def instance_backed_up(instance: Facts, ctx: Context) -> Verdict:
    """The database can be restored to within a day, and far enough back.

    A member of a cluster is backed up with it, a replica with its source: both are judged there, when they
    are among what was collected.
    """
    whole = _judged_elsewhere(instance, ctx)
    if whole:
        return inapplicable(f"backed up with {whole}, which is judged", of=whole)
    return _database(instance, ctx)


@check("backup-recent", over="aws.data.clusters", tags=_TAGS)
def cluster_backed_up(cluster: Facts, ctx: Context) -> Verdict:
    """The database cluster can be restored to within a day, and far enough back."""
    return _database(cluster, ctx)


@check("backup-recent", over="aws.s3.buckets", tags=_TAGS)
def bucket_backed_up(bucket: Facts, ctx: Context) -> Verdict:
    """A bucket that must be kept has versions and a replica, or is in AWS Backup.

    It must be when it is tagged `backup=required`, or when a registered model lies in it.
    """
    tags = bucket["tags"]
    if released := _released(tags):
        return released
    if tags.get("backup") != "required" and not _holds_models(bucket, ctx):
        return inapplicable("not tagged backup=required, and no registered model names it as its place")
    versions, rules = bucket["versioning"]["Status"], bucket["replication"]
    enabled = [rule["Status"] for rule in (rules.list("Rules") if rules else [])].count("Enabled")
    if versions == "Enabled" and enabled:
        return passed("keeps versions and is replicated", versioning=versions, replication_rules=enabled)
    wrong = list(_shortcomings(bucket, bucket["region"], ctx))
    if wrong:
        why = f"not versioned and replicated, and in AWS Backup: {'; '.join(wrong)}"
        return failed(why, versioning=versions, replication_rules=enabled)
    return passed("in AWS Backup", versioning=versions, replication_rules=enabled)


@check("backup-recent", over="aws.backup.tagged", tags=_TAGS)
def tagged_backed_up(resource: Facts, ctx: Context) -> Verdict:
    """What is tagged `backup=required` has a recovery point of the last day.

    Some recovery point of it is kept as long as the company demands.
    """
    wrong = list(_shortcomings(resource, _region(resource), ctx))
    return failed("; ".join(wrong)) if wrong else passed("in AWS Backup")


@derived("aws.backup.model_buckets", kind="state", of=["mlflow.registry.versions"])
def model_buckets(history: History, ctx: Context) -> Iterator[Record]:
    """Buckets in which registered models lie, by name."""
    found = {
        source.removeprefix("s3://").partition("/")[0]
        for version in history.now("mlflow.registry.versions")
        if (source := version.text("source")).startswith("s3://")
    }
    for name in sorted(found):
        yield Record(name, {"name": name})


@derived("aws.backup.package_buckets", kind="state", of=["aws.sagemaker.model_packages"])
def package_buckets(history: History, ctx: Context) -> Iterator[Record]:
    """Buckets in which the model packages of SageMaker's registry lie, by name."""
    found = {
        url.removeprefix("s3://").partition("/")[0]
        for package in history.now("aws.sagemaker.model_packages")
        for container in package.list("containers")
        if (url := container.text("data_url")).startswith("s3://")
    }
    for name in sorted(found):
        yield Record(name, {"name": name})


def _holds_models(bucket: Facts, ctx: Context) -> bool:
    """Whether a registry says that a model lies in the bucket; without a registry none does."""
    registries = filter(ctx.configured, ("aws.backup.model_buckets", "aws.backup.package_buckets"))
    return any(ctx.everywhere(registry).one(bucket["name"]) is not None for registry in registries)


def _judged_elsewhere(instance: Facts, ctx: Context) -> str | None:
    """Cluster or source with which an instance is backed up, when it was collected."""
    place = instance.key.rpartition(":")[0]
    if cluster := instance["cluster"]:
        arn = f"{place.removesuffix(':db')}:cluster:{cluster}"
        return cluster if ctx.here("aws.data.clusters").one(arn) else None
    source = instance["replica_of"]
    if not source:
        return None
    arn = source if source.startswith("arn:") else f"{place}:{source}"
    stream = "aws.data.clusters" if ":cluster:" in arn else "aws.data.instances"
    return source if ctx.everywhere(stream).one(arn) else None


def _database(database: Facts, ctx: Context) -> Verdict:
    """The rule for a database: own backups, something recent to restore, and retention."""
    if released := _released(database["tags"]):
        return released
    own, limit = database["backup_retention"] or 0, ctx.thresholds["backup_retention_days"]
    reach = ctx.here("aws.data.restorable").one(database.key)
    if reach is None:
        return undecided(Reason.DEPENDENCY, "how far back it can be restored was not collected yet")
    home, latest = _region(database), reach["latest"]
    wrong = [f"own backups are kept {own} days, needs {OWN_DAYS}"] if own < OWN_DAYS else []
    if not _recent(reach, latest) and not any(map(_fresh, _points(database.key, home, ctx))):
        wrong.append(f"{_newest(database.key, home, latest, ctx)}, limit 24 h")
    if own < limit and not any(_kept(point, limit) for point in _points(database.key, home, ctx)):
        wrong.append(f"no backup is kept {limit} days")
    if wrong:
        return failed("; ".join(wrong), own_days=own)
    return passed(f"can be restored to within a day, and {limit} days back", own_days=own)


def _shortcomings(resource: Facts, home: str, ctx: Context) -> Iterator[str]:
    """What is wrong with the recovery points of a resource."""
    limit = ctx.thresholds["backup_retention_days"]
    if not any(map(_fresh, _points(resource.key, home, ctx))):
        yield f"{_newest(resource.key, home, None, ctx)}, limit 24 h"
    if not any(_kept(point, limit) for point in _points(resource.key, home, ctx)):
        yield f"no recovery point is kept {limit} days"


def _points(resource: str, home: str, ctx: Context) -> Iterator[Facts]:
    """The newest recovery point of a resource in its own region, then in the others, where copies lie."""
    points = ctx.here("aws.backup.points")
    own = points.one(f"{resource}@{home}")
    if own is not None:
        yield own
    for point in points:
        if point["resource"] == resource and point["region"] != home:
            yield point


def _fresh(point: Facts) -> bool:
    return point["continuous"] is True or _recent(point, point["newest"])


def _kept(point: Facts, limit: int) -> bool:
    return point["kept_days"] is None or point["kept_days"] >= limit


def _recent(seen: Facts, time: str | None) -> bool:
    """Whether a time, known to the hour, lies at most a day before it was looked at."""
    return time is not None and seen.observed_ms // _HOUR_MS * _HOUR_MS - parse_iso(time) <= _LIMIT_MS


def _newest(resource: str, home: str, latest: str | None, ctx: Context) -> str:
    """How far back the newest thing to restore lies, in words."""
    times = [latest, *(point["newest"] for point in _points(resource, home, ctx))]
    newest = max((time for time in times if time), default=None)
    return f"nothing newer than {newest} to restore" if newest else "nothing to restore"


def _released(tags: Facts) -> Verdict | None:
    """Not applicable, for what is tagged `backup=none` with a reason."""
    reason = tags.get("backup_reason")
    if tags.get("backup") == "none" and reason:
        return inapplicable(f"tagged backup=none: {reason}", reason=reason)
    return None


def _region(resource: Facts) -> str:
    return resource.key.split(":")[3]
