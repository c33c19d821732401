"""Keys of the two accounts."""

from __future__ import annotations

import json
from typing import Any

import boto3

from tests.aws.emulated import ACCOUNT

SERVICES = ("kms",)
STRANGER = "999999999999"


def fill(*, good: bool) -> None:
    """A key that a bucket names by its alias, in use or not, and one that is rotated and closed or neither."""
    from moto.moto_api._internal import mock_random

    mock_random.seed(7)  # the same key has the same id in both accounts
    kms = boto3.client("kms")
    named = _key(kms, good=True)
    kms.create_alias(AliasName="alias/training", TargetKeyId=named)
    other = _key(kms, good=good)
    if not good:
        kms.disable_key(KeyId=named)
    grantee = ACCOUNT if good else STRANGER
    kms.create_grant(KeyId=other, GranteePrincipal=f"arn:aws:iam::{grantee}:role/reader", Operations=["Decrypt"])


def answers(*, good: bool) -> dict[str, Any]:
    """How often keys are rotated, which the emulator leaves out."""
    rotated = {"KeyRotationEnabled": True, "RotationPeriodInDays": 365}
    return {"kms.GetKeyRotationStatus": lambda _: rotated if good else {"KeyRotationEnabled": False}}


def _key(kms: Any, *, good: bool) -> str:
    allow = {"Effect": "Allow", "Resource": "*"}
    owner = allow | {"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*"}
    anybody = allow | {"Principal": {"AWS": "*"}, "Action": "kms:Decrypt"}
    policy = {"Version": "2012-10-17", "Statement": [owner] if good else [owner, anybody]}
    return str(kms.create_key(Policy=json.dumps(policy))["KeyMetadata"]["KeyId"])
