"""AWS Backup of a region: its plans, and the newest recovery point of each resource."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from agent.collect import facet, spread
from agent.model import Gap, Json, Record, SourceError
from agent.registry import stream
from collectors.aws import AwsAccount, pages
from collectors.aws.client import Client
from collectors.aws.data import to_the_hour
from collectors.aws.iam import tag_map

_GONE = "ResourceNotFoundException"
_USABLE = ("COMPLETED", "AVAILABLE")
"""States of a recovery point that can be restored; the second is that of one still being added to."""
_WANTED = [{"Key": "backup", "Values": ["required"]}]
_STATEFUL = [
    "dynamodb:table",
    "ec2:instance",
    "ec2:volume",
    "elasticfilesystem:file-system",
    "fsx:file-system",
    "fsx:volume",
    "redshift:cluster",
]
"""What AWS Backup backs up besides buckets and databases, which have streams of their own. Copies
(snapshots, recovery points) take over the tags of what they are of and are left out."""


@stream(
    "aws.backup.plans",
    per="region",
    every="1d",
    needs={"GetBackupPlan": "backup:GetBackupPlan", "ListBackupPlans": "backup:ListBackupPlans"},
    unordered=["/rules"],
)
def plans(account: AwsAccount) -> Iterator[Record | Gap]:
    """Backup plans: how often, into which vault, and for how long.

    `kept_days`: days that a rule keeps what it makes (null: for ever).
    """
    backup = account.client("backup")
    listed = pages(backup, "list_backup_plans", "BackupPlansList")
    return (record for record in spread(partial(_plan, backup), listed) if record is not None)


def _plan(backup: Client, plan: Mapping[str, Any]) -> Record | None:
    rules = facet(backup.get_backup_plan, pick="BackupPlan", parse=_rules, BackupPlanId=plan["BackupPlanId"])
    if isinstance(rules, Gap) and rules.code == _GONE:
        return None
    return Record(plan["BackupPlanArn"], {"name": plan["BackupPlanName"], "rules": rules})


def _rules(plan: Mapping[str, Any]) -> Json:
    return [
        {
            "name": rule["RuleName"],
            "vault": rule["TargetBackupVaultName"],
            "schedule": rule.get("ScheduleExpression"),
            "continuous": rule.get("EnableContinuousBackup"),
            "kept_days": _days(rule.get("Lifecycle", {})),
        }
        for rule in plan["Rules"]
    ]


@stream(
    "aws.backup.points",
    per="region",
    every="1d",
    needs={
        "ListBackupVaults": "backup:ListBackupVaults",
        "ListRecoveryPointsByBackupVault": "backup:ListRecoveryPointsByBackupVault",
    },
)
def points(account: AwsAccount) -> Iterator[Record | Gap]:
    """The newest recovery point of each resource in the vaults of a region.

    `newest`: when it was begun, to the hour: what came later is not in it. `continuous`: whether changes are
    taken all the time, so that it is never old. `kept_days`: the longest that any of its points is kept (null:
    for ever). Nothing is told unless every vault was read whole.
    """
    backup = account.client("backup")
    newest: dict[str, dict[str, Any]] = {}
    for vault in pages(backup, "list_backup_vaults", "BackupVaultList"):
        name = vault["BackupVaultName"]
        try:
            for point in pages(backup, "list_recovery_points_by_backup_vault", "RecoveryPoints", BackupVaultName=name):
                if point["Status"] in _USABLE:
                    _take(newest, point)
        except SourceError as error:
            if error.gap.code != _GONE:
                raise
    for resource, told in newest.items():
        place = {"resource": resource, "region": account.region, "newest": to_the_hour(told["newest"])}
        yield Record(f"{resource}@{account.region}", {**told, **place})


def _take(newest: dict[str, dict[str, Any]], point: Mapping[str, Any]) -> None:
    """Put a recovery point to what is known of its resource."""
    told = {
        "newest": point["CreationDate"],
        "vault": point["BackupVaultName"],
        "plan": point.get("CreatedBy", {}).get("BackupPlanArn"),
        "encrypted": point.get("IsEncrypted"),
        "continuous": point["Status"] == "AVAILABLE" and ":continuous:" in point["RecoveryPointArn"],
        "kept_days": _days(point.get("Lifecycle", {})),
    }
    known = newest.setdefault(point["ResourceArn"], told)
    kept = [known["kept_days"], told["kept_days"]]
    both = {
        "kept_days": None if None in kept else max(kept),
        "continuous": known["continuous"] or told["continuous"],
    }
    later = (told["newest"], told["vault"]) > (known["newest"], known["vault"])
    known.update({**(told if later else {}), **both})


def _days(lifecycle: Mapping[str, int]) -> int | None:
    """Days until a recovery point is deleted; None when it never is, which AWS also writes as -1."""
    days = lifecycle.get("DeleteAfterDays", -1)
    return days if days > 0 else None


@stream("aws.backup.tagged", per="region", every="1d", needs={"GetResources": "tag:GetResources"}, tags=["/tags"])
def tagged(account: AwsAccount) -> Iterator[Record | Gap]:
    """Volumes, hosts, file systems and tables with the tag `backup` = `required`."""
    found = pages(
        account.client("resourcegroupstaggingapi"), "get_resources", "ResourceTagMappingList",
        TagFilters=_WANTED, ResourceTypeFilters=_STATEFUL,
    )  # fmt: skip
    for resource in found:
        yield Record(resource["ResourceARN"], {"tags": tag_map(resource.get("Tags", []))})
