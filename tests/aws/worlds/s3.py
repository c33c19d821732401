"""Buckets of the two accounts."""

from __future__ import annotations

import json
from typing import Any

import boto3

SERVICES = ("s3", "s3-control")
EMPTY_IS_AN_ANSWER = {"GetBucketVersioning", "GetBucketLogging", "GetBucketLocation"}


def fill(*, good: bool) -> None:
    """Two buckets, an access point and the account's public access block."""
    s3, s3control = boto3.client("s3"), boto3.client("s3control")
    account = boto3.client("sts").get_caller_identity()["Account"]
    block = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), good)
    s3control.put_public_access_block(AccountId=account, PublicAccessBlockConfiguration=block)
    for name in ("models", "training"):
        _bucket(s3, name, block, good=good)
    s3control.create_access_point(AccountId=account, Name="reader", Bucket="models")


def _bucket(s3: Any, name: str, block: dict[str, bool], *, good: bool) -> None:
    s3.create_bucket(Bucket=name)
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
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    else:
        s3.put_bucket_acl(Bucket=name, ACL="public-read")
