"""Log groups of the two accounts."""

from __future__ import annotations

import boto3

from tests.aws.emulated import ACCOUNT

SERVICES = ("logs", "resourcegroupstaggingapi", "resource-groups-tagging-api")


def fill(*, good: bool) -> None:
    """The group of the training jobs, and one that is no log store."""
    logs = boto3.client("logs")
    key = {"kmsKeyId": f"arn:aws:kms:us-east-1:{ACCOUNT}:key/logs"} if good else {}
    for name in ("/aws/sagemaker/TrainingJobs", "/app/web"):
        logs.create_log_group(logGroupName=name, tags={"data_class": "internal"}, **key)
        logs.put_retention_policy(logGroupName=name, retentionInDays=400 if good else 30)
