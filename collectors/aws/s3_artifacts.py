"""Model artifacts in buckets: which objects there are, by listing alone; no object is read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from typing import Any

from agent.model import Gap, Reason, Record, SourceError
from agent.registry import stream
from collectors.aws import AwsAccount
from collectors.aws.client import Client
from collectors.aws.s3 import LIST, LOCATE, client_in, listed_buckets, region_of

MOST = 100_000
"""Objects that are listed below one prefix; where there are more the poll is partial."""


@stream(
    "aws.s3.artifacts",
    per="account",
    every="1d",
    after=["aws.s3.buckets"],
    needs=LIST | LOCATE | {"ListObjectsV2": "s3:ListBucket"},
)
def artifacts(account: AwsAccount) -> Iterator[Record | Gap]:
    """Objects below the configured prefixes that lie in buckets of the account.

    Where artifacts lie is known from registries, which a collector cannot read, so it is configured:
    `collect.aws.artifacts = ["s3://BUCKET/PREFIX"]`. Without it, or without such a bucket in the
    account, the list is empty and complete. `etag` and `size` (bytes) are the listing's; the ETag of an
    object that was uploaded in parts is no digest of its content. Source: ListBuckets, ListObjectsV2.
    """
    prefixes: dict[str, set[str]] = defaultdict(set)
    for place in account.artifacts:
        bucket, _, prefix = place.removeprefix("s3://").partition("/")
        prefixes[bucket].add(prefix)
    if not prefixes:
        return
    for bucket in listed_buckets(account):
        name = bucket["Name"]
        if name in prefixes:
            region = region_of(account, bucket)
            if isinstance(region, Gap):
                yield region
                continue
            for prefix in _outermost(prefixes[name]):
                yield from _objects(account, name, region, prefix)


def _objects(account: AwsAccount, bucket: str, region: str, prefix: str) -> Iterator[Record | Gap]:
    found = _listed(client_in(account, region), bucket, prefix)
    for told in islice(found, MOST):
        yield Record(f"arn:{account.partition}:s3:::{bucket}/{told['Key']}", _facts(bucket, told))
    if next(found, None) is not None:
        yield Gap(Reason.PARTIAL, "ListObjectsV2", "TooManyObjects")


def _listed(s3: Client, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
    """Objects by page; SourceError where a page has not as many as it says.

    Without objects S3 leaves the list out, so the count is what tells an empty page from a broken one.
    """
    more: dict[str, str] = {}
    while True:
        page = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, **more)
        objects = page.get("Contents", [])
        yield from objects
        if page.get("KeyCount") != len(objects) or "IsTruncated" not in page:
            raise SourceError(Gap(Reason.PARTIAL, "ListObjectsV2", "NotAsManyAsSaid", "s3:ListBucket"))
        if not page["IsTruncated"]:
            return
        if not page.get("NextContinuationToken"):
            raise SourceError(Gap(Reason.PARTIAL, "ListObjectsV2", "NoToken", "s3:ListBucket"))
        more = {"ContinuationToken": page["NextContinuationToken"]}


def _facts(bucket: str, told: dict[str, Any]) -> dict[str, Any]:
    return {
        "bucket": bucket,
        "object": told["Key"],
        "etag": told["ETag"],
        "size": told["Size"],
        "modified": told.get("LastModified"),
        "checksum": sorted(told.get("ChecksumAlgorithm", [])),
    }


def _outermost(prefixes: set[str]) -> list[str]:
    """The prefixes that lie below no other: an object is listed once."""
    return [one for one in sorted(prefixes) if not any(one != other and one.startswith(other) for other in prefixes)]
