"""Which keys the collected resources name, and which key an alias stands for."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

from agent.facts import Context, Facts
from agent.history import History
from agent.model import Json, Record
from agent.registry import derived
from checks.aws.kms import KEYS, whole_name

NAMING: Mapping[str, tuple[str, ...]] = {
    "aws.s3.buckets": ("encryption", "replication"),
    "aws.cloudtrail.trails": ("kms_key",),
    "aws.logs.groups": ("kms_key",),
    "aws.compute.volumes": ("kms_key",),
    "aws.data.instances": ("kms_key",),
    "aws.data.clusters": ("kms_key",),
    "aws.data.snapshots": ("kms_key",),
    "aws.ecr.repositories": ("encryption",),
    "aws.sagemaker.endpoints": ("config", "capture"),
    "aws.sagemaker.notebooks": ("kms_key",),
    "aws.sagemaker.domains": ("kms_key",),
    "aws.sagemaker.training_jobs": ("volume_kms", "outputs"),
    "aws.sagemaker.processing_jobs": ("volume_kms", "outputs"),
    "aws.sagemaker.transform_jobs": ("volume_kms", "outputs"),
}
"""Stream -> the parts of its records that name keys."""

_LISTED = 10
"""Resources that are named for each key; the rest is counted."""

_ARN = re.compile(r"arn:[\w-]+:kms:[\w-]+:\d{12}:(?:key|alias)/\S+")
_ABOUT_KEYS = re.compile(r"kms", re.IGNORECASE)


@derived("aws.kms.references", kind="state", of=tuple(NAMING))
def references(history: History, ctx: Context) -> Iterator[Record]:
    """Keys and aliases that resources of the account name, by ARN.

    `resources` holds the first ten names in the order of the streams, `count` all of them. A bare id
    or alias is one of the resource's own region and account. A stream that nothing collects is left out.
    """
    named: dict[str, list[str]] = defaultdict(list)
    for stream, parts in NAMING.items():
        if ctx.configured(stream):
            for resource in history.now(stream):
                for arn in _named_by(resource, parts):
                    named[arn].append(resource.key)
    for arn, resources in sorted(named.items()):
        yield Record(arn, {"count": len(resources), "resources": resources[:_LISTED]})


@derived("aws.kms.aliases", kind="state", of=(KEYS,))
def aliases(history: History, ctx: Context) -> Iterator[Record]:
    """Aliases of the account by ARN, each with the key it stands for."""
    del ctx
    for key in history.now(KEYS):
        near = key.key.rpartition(":")[0] + ":"
        for alias in key.list("aliases"):
            yield Record(near + alias, {"key": key.key})


def near(resource: Facts) -> str:
    """Where a resource looks for a key that it names by a bare id or alias: `arn:aws:kms:REGION:ACCOUNT:`."""
    _, partition, _, region, account, _ = resource.key.split(":", 5)
    account = account or resource.scope.split(":")[1]
    return f"arn:{partition}:kms:{region or resource['region']}:{account}:"


def _named_by(resource: Facts, parts: tuple[str, ...]) -> list[str]:
    """ARNs of the keys and aliases in these parts of a record."""
    found = {told for name in parts for told in _within(resource.plain(name), name)}
    return sorted(whole_name(told, near(resource)) for told in found) if found else []


def _within(value: Json, name: str) -> Iterator[str]:
    """Names of keys: whatever stands under a name that speaks of KMS, and ARNs of keys anywhere."""
    if isinstance(value, str) and value and (_ABOUT_KEYS.search(name) or _ARN.fullmatch(value)):
        yield value
    elif isinstance(value, Mapping):
        for inner_name, inner in value.items():
            yield from _within(inner, inner_name)
    elif isinstance(value, list):
        for inner in value:
            yield from _within(inner, name)
