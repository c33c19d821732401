"""Buckets of an account: how each is protected and who outside could reach it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from agent.collect import facet, spread
from agent.model import Gap, Json, Reason, Record
from agent.registry import stream
from collectors.aws import AwsAccount, pages
from collectors.aws.client import Client
from collectors.aws.iam import tag_map
from collectors.aws.policy import document

LIST = {"ListBuckets": "s3:ListAllMyBuckets"}
LOCATE = {"GetBucketLocation": "s3:GetBucketLocation"}
_GONE = frozenset({"NoSuchBucket", "NoSuchAccessPoint"})
_PAGE = 10_000
"""Buckets a page, the most that ListBuckets allows; only a listing with a page size names each bucket's region."""


@stream(
    "aws.s3.buckets",
    per="account",
    every="1d",
    needs=LIST
    | LOCATE
    | {
        "GetBucketEncryption": "s3:GetEncryptionConfiguration",
        "GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
        "GetBucketLogging": "s3:GetBucketLogging",
        "GetBucketPolicy": "s3:GetBucketPolicy",
        "GetBucketReplication": "s3:GetReplicationConfiguration",
        "GetBucketTagging": "s3:GetBucketTagging",
        "GetBucketVersioning": "s3:GetBucketVersioning",
        "GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
    },
    unordered=["/lifecycle", "/replication/Rules"],
    tags=["/tags"],
)
def buckets(account: AwsAccount) -> Iterator[Record | Gap]:
    """Buckets of the account, whatever their region, and how each is protected."""

    def describe(bucket: Mapping[str, Any]) -> Record | None:
        region = region_of(account, bucket)
        s3, name = client_in(account, region), bucket["Name"]
        return _present(
            account,
            name,
            {
                "name": name,
                "region": region,
                "encryption": facet(
                    s3.get_bucket_encryption,
                    Bucket=name,
                    pick="ServerSideEncryptionConfiguration",
                    absent="ServerSideEncryptionConfigurationNotFoundError",
                ),
                "policy": facet(
                    s3.get_bucket_policy, Bucket=name, pick="Policy", parse=document, absent="NoSuchBucketPolicy"
                ),
                "versioning": facet(s3.get_bucket_versioning, Bucket=name, pick=["Status", "MFADelete"]),
                "logging": facet(s3.get_bucket_logging, Bucket=name, pick=["LoggingEnabled"], parse=_logging),
                "lifecycle": facet(
                    s3.get_bucket_lifecycle_configuration,
                    Bucket=name,
                    pick="Rules",
                    absent="NoSuchLifecycleConfiguration",
                ),
                "object_lock": facet(
                    s3.get_object_lock_configuration,
                    Bucket=name,
                    pick="ObjectLockConfiguration",
                    absent="ObjectLockConfigurationNotFoundError",
                ),
                "replication": facet(
                    s3.get_bucket_replication,
                    Bucket=name,
                    pick="ReplicationConfiguration",
                    absent="ReplicationConfigurationNotFoundError",
                ),
                "tags": facet(s3.get_bucket_tagging, Bucket=name, pick="TagSet", parse=tag_map, absent="NoSuchTagSet")
                or {},
            },
        )

    yield from _described(describe, listed_buckets(account))


@stream(
    "aws.s3.exposures",
    per="account",
    every="1h",
    needs=LIST
    | {
        "GetBucketAcl": "s3:GetBucketAcl",
        "GetBucketOwnershipControls": "s3:GetBucketOwnershipControls",
        "GetBucketPolicyStatus": "s3:GetBucketPolicyStatus",
        "GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    },
    unordered=["/grants"],
)
def exposures(account: AwsAccount) -> Iterator[Record | Gap]:
    """What could open each bucket to outsiders, and what keeps it shut."""

    def describe(bucket: Mapping[str, Any]) -> Record | None:
        s3, name = client_in(account, bucket.get("BucketRegion")), bucket["Name"]
        return _present(
            account,
            name,
            {
                "name": name,
                "block": facet(
                    s3.get_public_access_block,
                    Bucket=name,
                    pick="PublicAccessBlockConfiguration",
                    absent="NoSuchPublicAccessBlockConfiguration",
                ),
                "policy_status": facet(
                    s3.get_bucket_policy_status, Bucket=name, pick="PolicyStatus", absent="NoSuchBucketPolicy"
                ),
                "grants": facet(s3.get_bucket_acl, Bucket=name, pick="Grants", parse=_grants),
                "ownership": facet(
                    s3.get_bucket_ownership_controls,
                    Bucket=name,
                    pick="OwnershipControls",
                    parse=_ownership,
                    absent="OwnershipControlsNotFoundError",
                ),
            },
        )

    yield from _described(describe, listed_buckets(account))


@stream(
    "aws.s3.account",
    per="account",
    every="1h",
    needs={"GetPublicAccessBlock": "s3:GetAccountPublicAccessBlock"},
)
def account_block(account: AwsAccount) -> Iterator[Record | Gap]:
    """The public-access block that holds for every bucket of the account."""
    block = facet(
        account.client("s3control").get_public_access_block,
        AccountId=account.id,
        pick="PublicAccessBlockConfiguration",
        absent="NoSuchPublicAccessBlockConfiguration",
    )
    yield Record(account.arn, {"account": account.id, "block": block})


@stream(
    "aws.s3.access_points",
    per="account",
    every="1h",
    after=["aws.s3.buckets"],
    needs=LIST
    | LOCATE
    | {
        "GetAccessPoint": "s3:GetAccessPoint",
        "GetAccessPointPolicyStatus": "s3:GetAccessPointPolicyStatus",
        "ListAccessPoints": "s3:ListAccessPoints",
    },
)
def access_points(account: AwsAccount) -> Iterator[Record | Gap]:
    """Access points of the account in every region where it has buckets."""
    regions = set()
    for region in spread(lambda bucket: region_of(account, bucket), listed_buckets(account)):
        if isinstance(region, str):
            regions.add(region)
        elif region.code not in _GONE:
            yield region
    for region in sorted(regions):
        control = account.client("s3control", region)
        listed = pages(control, "list_access_points", "AccessPointList", AccountId=account.id)
        yield from _described(partial(_access_point, account, control), listed)


def _access_point(account: AwsAccount, control: Client, point: Mapping[str, Any]) -> Record | None:
    names = {"AccountId": account.id, "Name": point["Name"]}
    facts = {
        "name": point["Name"],
        "bucket": point["Bucket"],
        "bucket_account": point.get("BucketAccountId"),
        "network": point["NetworkOrigin"],
        "block": facet(control.get_access_point, pick="PublicAccessBlockConfiguration", **names),
        "policy_status": facet(
            control.get_access_point_policy_status, pick="PolicyStatus", absent="NoSuchAccessPointPolicy", **names
        ),
    }
    return None if _gone(facts) else Record(point["AccessPointArn"], facts)


def listed_buckets(account: AwsAccount) -> Iterator[Any]:
    """Buckets by page; asked for so, AWS names the region of each."""
    return pages(account.client("s3"), "list_buckets", "Buckets", MaxBuckets=_PAGE)


def region_of(account: AwsAccount, bucket: Mapping[str, Any]) -> str | Gap:
    """Region of a bucket: from the listing, or asked for where that lacks it."""
    named = bucket.get("BucketRegion")
    if named:
        return str(named)
    place = (bucket["Name"], bucket.get("CreationDate"))
    if place in account.places:
        return account.places[place]
    told = facet(account.client("s3").get_bucket_location, Bucket=bucket["Name"], pick=["LocationConstraint"])
    if isinstance(told, Gap):
        return told
    # The two oldest regions answer with a name of their own.
    region = {None: "us-east-1", "EU": "eu-west-1"}.get(told["LocationConstraint"]) or str(told["LocationConstraint"])
    account.places[place] = region
    return region


def client_in(account: AwsAccount, region: str | Gap | None) -> Client:
    """The S3 client of a region; where the region is not known, that of the session."""
    return account.client("s3", region if isinstance(region, str) else None)


def _described(
    describe: Callable[[Mapping[str, Any]], Record | None], listed: Iterator[Mapping[str, Any]]
) -> Iterator[Record]:
    return (record for record in spread(describe, listed) if record is not None)


def _present(account: AwsAccount, name: str, facts: Mapping[str, Any]) -> Record | None:
    """The record of a bucket, or nothing when it went away after it was listed."""
    return None if _gone(facts) else Record(f"arn:{account.partition}:s3:::{name}", facts)


def _gone(facts: Mapping[str, Any]) -> bool:
    return any(isinstance(value, Gap) and value.code in _GONE for value in facts.values())


def _logging(told: Mapping[str, Any]) -> Json:
    """Where access logs go; null when they are off."""
    log = told["LoggingEnabled"]
    return log and {"TargetBucket": log.get("TargetBucket"), "TargetPrefix": log.get("TargetPrefix")}


def _ownership(controls: Mapping[str, Any]) -> Json | Gap:
    """Who owns the objects; only `BucketOwnerEnforced` puts ACLs out of force."""
    owners = [rule.get("ObjectOwnership") for rule in controls.get("Rules", [])]
    return owners[0] if len(owners) == 1 else Gap(Reason.MALFORMED, "GetBucketOwnershipControls", "NotOneRule")


def _grants(listed: list[Mapping[str, Any]]) -> Json:
    """Who is granted what by ACL, without display names."""
    return [
        {
            "type": grant.get("Grantee", {}).get("Type"),
            "id": grant.get("Grantee", {}).get("ID"),
            "uri": grant.get("Grantee", {}).get("URI"),
            "permission": grant.get("Permission"),
        }
        for grant in listed
    ]
