"""Backup plans and recovery points of the two accounts."""

from __future__ import annotations

from datetime import UTC, datetime

import boto3

from tests.aws.worlds import Answer

SERVICES = ("backup", "resource-groups-tagging-api")

VOLUME = "arn:aws:ec2:us-east-1:123456789012:volume/vol-1"
DATABASES = [
    "arn:aws:rds:us-east-1:123456789012:db:mlflow",
    "arn:aws:rds:us-east-1:123456789012:cluster:features",
]


def fill(*, good: bool) -> None:
    """A plan and its vault."""
    backup = boto3.client("backup")
    backup.create_backup_vault(BackupVaultName="main")
    rule = {"RuleName": "daily", "TargetBackupVaultName": "main", "Lifecycle": {"DeleteAfterDays": 35 if good else 7}}
    backup.create_backup_plan(BackupPlan={"BackupPlanName": "daily", "Rules": [rule]})


def answers(*, good: bool) -> dict[str, Answer]:
    """Recovery points of today or long ago, and a volume that has to be backed up."""
    made = datetime.now(UTC) if good else datetime(2020, 1, 1, tzinfo=UTC)
    points = [
        {
            "RecoveryPointArn": f"arn:aws:backup:us-east-1:123456789012:recovery-point:{number}",
            "ResourceArn": resource,
            "BackupVaultName": "main",
            "Status": "COMPLETED",
            "CreationDate": made,
            "Lifecycle": {"DeleteAfterDays": 35 if good else 7},
        }
        for number, resource in enumerate([VOLUME, *DATABASES])
    ]
    tagged = [{"ResourceARN": VOLUME, "Tags": [{"Key": "backup", "Value": "required"}]}]
    groups = [
        {
            "ResourceARN": f"arn:aws:logs:us-east-1:123456789012:log-group:{name}",
            "Tags": [{"Key": "data_class", "Value": "internal"}],
        }
        for name in ("/aws/sagemaker/TrainingJobs", "/app/web")
    ]
    return {
        "backup.ListRecoveryPointsByBackupVault": lambda _: {"RecoveryPoints": points},
        # the emulator's own answer breaks on such a mix of resources
        "resource-groups-tagging-api.GetResources": lambda asked: {
            "ResourceTagMappingList": groups if '"logs"' in str(asked["body"]) else tagged
        },
    }
