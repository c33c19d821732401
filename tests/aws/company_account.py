"""What AWS says of any account, where the emulator lacks it or says otherwise; and a bucket as AWS makes one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3

from agent import clock
from tests.aws.company_people import ML
from tests.aws.worlds import Answer


def bucket(aws: boto3.Session, name: str, tags: Mapping[str, str]) -> None:
    """A bucket as AWS makes one today: encrypted, closed, owned by its account, without versions."""
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=name, ObjectOwnership="BucketOwnerEnforced")
    block = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
    s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=block)
    s3.put_bucket_ownership_controls(
        Bucket=name, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    )
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": k, "Value": v} for k, v in tags.items()]})


def policy(*statements: Mapping[str, Any]) -> str:
    """A policy document that allows this."""
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **one} for one in statements]})


def of_any(account: str, root_used: int) -> dict[str, Answer]:
    """What the emulator lacks, or says otherwise than AWS does, of an account without any of it."""
    counts = {"AccountMFAEnabled": 1, "AccountAccessKeysPresent": 0, "AccountSigningCertificatesPresent": 0}
    summary = counts | {"AccountPasswordPresent": 1, "Users": 0, "MFADevices": 1, "MFADevicesInUse": 1}
    off = {"status": "DISABLED", "errorCode": "ALREADY_ENABLED", "errorMessage": "off"}
    scanner = {"accountId": account, "state": off, "resourceState": {"ec2": off, "ecr": off, "lambda": off}}
    empty = {
        "sagemaker.ListMlflowTrackingServers": "TrackingServerSummaries",
        "sagemaker.ListMlflowApps": "Summaries",
        "sagemaker.ListInferenceComponents": "InferenceComponents",
        "sagemaker.ListMonitoringSchedules": "MonitoringScheduleSummaries",
        "iam.ListServiceSpecificCredentials": "ServiceSpecificCredentials",
        "cloudtrail.LookupEvents": "Events",
    }
    report = {"Content": _report(account, root_used), "ReportFormat": "text/csv", "GeneratedTime": datetime.now(UTC)}
    none: dict[str, Answer] = {operation: lambda _, name=name: {name: []} for operation, name in empty.items()}
    return none | keys() | {
        "iam.GetAccountSummary": lambda _: {"SummaryMap": summary},
        "iam.GetCredentialReport": lambda _: report,
        "inspector2.BatchGetAccountStatus": lambda _: {"accounts": [scanner], "failedAccounts": []},
    }  # fmt: skip


def _report(account: str, root_used: int) -> bytes:
    """A credential report with root alone, as AWS writes it."""
    used, made = (clock.iso(at) for at in (root_used, clock.now_ms() - 300 * clock.DAY_MS))
    row = {
        "user": "<root_account>", "arn": f"arn:aws:iam::{account}:root", "user_creation_time": made,
        "password_enabled": "not_supported", "password_last_used": used, "password_last_changed": "not_supported",
        "password_next_rotation": "not_supported", "mfa_active": "true",
    }  # fmt: skip
    for key in ("access_key_1", "access_key_2"):
        row |= {f"{key}_active": "false"} | {
            f"{key}_{name}": "N/A"
            for name in ("last_rotated", "last_used_date", "last_used_region", "last_used_service")
        }
    for cert in ("cert_1", "cert_2"):
        row |= {f"{cert}_active": "false", f"{cert}_last_rotated": "N/A"}
    return f"{','.join(row)}\n{','.join(row.values())}\n".encode()


def keys(*used: str) -> dict[str, Answer]:
    """Keys of the first region: those that AWS made for services in use, and, where it did, one of the owner's."""
    ids = {
        name: f"{number:08d}-0000-4000-8000-000000000000" for number, name in enumerate((*used, "ml") if used else ())
    }

    def arn(id: str) -> str:
        return f"arn:aws:kms:us-east-1:{ML}:key/{id}"

    def allowed(name: str) -> str:
        root = {"Principal": {"AWS": f"arn:aws:iam::{ML}:root"}, "Resource": "*"}
        if name == "ml":
            return policy({"Sid": "Enable IAM User Permissions", **root, "Action": "kms:*"})
        service = "ec2" if name == "ebs" else name
        via = {"kms:CallerAccount": ML, "kms:ViaService": f"{service}.us-east-1.amazonaws.com"}
        use = [
            "kms:Encrypt",
            "kms:Decrypt",
            "kms:ReEncrypt*",
            "kms:GenerateDataKey*",
            "kms:CreateGrant",
            "kms:DescribeKey",
        ]
        all_ = {"Principal": {"AWS": "*"}, "Action": use, "Resource": "*", "Condition": {"StringEquals": via}}
        return policy(all_, root | {"Action": ["kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant"]})

    def name_of(asked: Mapping[str, Any]) -> str:
        wanted = json.loads(asked["body"])["KeyId"]
        return next(name for name, id in ids.items() if wanted in (id, arn(id)))

    def metadata(name: str) -> Mapping[str, Any]:
        manager = "CUSTOMER" if name == "ml" else "AWS"
        return {
            "AWSAccountId": ML, "KeyId": ids[name], "Arn": arn(ids[name]), "KeyManager": manager, "Enabled": True,
            "KeyState": "Enabled", "KeyUsage": "ENCRYPT_DECRYPT", "KeySpec": "SYMMETRIC_DEFAULT", "Origin": "AWS_KMS",
            "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT", "MultiRegion": False,
            "CreationDate": datetime.now(UTC).replace(microsecond=0) - timedelta(days=100),
        }  # fmt: skip

    def here(asked: Mapping[str, Any]) -> bool:
        return "us-east-1" in asked["url"]

    # AWS reserves names before there is a key behind them.
    reserved = [{"AliasName": f"alias/aws/{name}"} for name in ("dynamodb", "s3", "ssm")]
    named = [
        {"AliasName": f"alias/{'' if name == 'ml' else 'aws/'}{name}", "TargetKeyId": id} for name, id in ids.items()
    ]
    return {
        "kms.ListKeys": lambda asked: {
            "Keys": [{"KeyId": id, "KeyArn": arn(id)} for id in ids.values()] if here(asked) else [],
            "Truncated": False,
        },
        "kms.ListAliases": lambda asked: {"Aliases": reserved + named if here(asked) else reserved, "Truncated": False},
        "kms.DescribeKey": lambda asked: {"KeyMetadata": metadata(name_of(asked))},
        "kms.GetKeyPolicy": lambda asked: {"Policy": allowed(name_of(asked)), "PolicyName": "default"},
        "kms.GetKeyRotationStatus": lambda asked: {"KeyRotationEnabled": True, "RotationPeriodInDays": 365},
        "kms.ListGrants": lambda asked: {"Grants": [], "Truncated": False},
    }
