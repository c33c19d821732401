"""Buckets of the two accounts."""

from __future__ import annotations

import json
from typing import Any

import boto3

SERVICES = ("s3", "s3-control")
EMPTY_IS_AN_ANSWER = {"GetBucketVersioning", "GetBucketLogging", "GetBucketLocation"}
SOURCE = {"artifacts": ["s3://models/production"]}
SETTINGS = {
    "allowed_regions": {"internal": ["us-east-1"], "restricted": ["eu-central-1"]},
    "artifacts": ["s3://models/production"],
    "key_standard": {"internal": "customer"},
}


def fill(*, good: bool) -> None:
    """Two buckets, an access point, the account's public access block, and a model's file."""
    s3, s3control = boto3.client("s3"), boto3.client("s3control")
    account = boto3.client("sts").get_caller_identity()["Account"]
    block = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), good)
    s3control.put_public_access_block(AccountId=account, PublicAccessBlockConfiguration=block)
    for name in ("models", "training"):
        _bucket(s3, name, block, good=good)
    s3control.create_access_point(AccountId=account, Name="reader", Bucket="models")


def _bucket(s3: Any, name: str, block: dict[str, bool], *, good: bool) -> None:
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="production/1/MLmodel", Body=b"good" if good else b"bad")
    arn = [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"]
    tls = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": arn,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    public = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": arn[1]}
    statement = tls if good else public
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=block)
    s3.put_bucket_ownership_controls(
        Bucket=name,
        OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced" if good else "ObjectWriter"}]},
    )
    if good:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    else:
        s3.put_bucket_acl(Bucket=name, ACL="public-read")
    if good or name == "training":
        by_default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/training"}
        rule = {"ApplyServerSideEncryptionByDefault": by_default}
        s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    expires = {"ID": "all", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": 90 if good else 900}}
    former = {"NoncurrentVersionExpiration": {"NoncurrentDays": 30}}
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [expires | former]})
    tags = {"environment": "test", "retention_days": "90", "data_class": "internal" if good else "restricted"}
    tags |= {"owner": "ada"} if good else {}
    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": k, "Value": v} for k, v in tags.items()]})
