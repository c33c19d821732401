"""Databases of a region (RDS, Aurora, DocumentDB, Neptune), their snapshots, and how far back they reach."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from agent.model import Gap, Json, Record
from agent.registry import stream
from collectors.aws import AwsAccount, pages
from collectors.aws.iam import tag_map

_INSTANCES = {"DescribeDBInstances": "rds:DescribeDBInstances"}
_CLUSTERS = {"DescribeDBClusters": "rds:DescribeDBClusters"}


@stream("aws.data.instances", per="region", every="1d", needs=_INSTANCES, tags=["/tags"])
def instances(account: AwsAccount) -> Iterator[Record | Gap]:
    """Database instances: encryption, own backups, cluster or source.

    `backup_retention`: days that automated backups are kept, 0 = none are made.
    """
    for instance in pages(account.client("rds"), "describe_db_instances", "DBInstances"):
        source = instance.get("ReadReplicaSourceDBInstanceIdentifier")
        facts = {
            "name": instance["DBInstanceIdentifier"],
            "cluster": instance.get("DBClusterIdentifier"),
            "replica_of": source or instance.get("ReadReplicaSourceDBClusterIdentifier"),
            "public": instance.get("PubliclyAccessible"),
        }
        yield Record(instance["DBInstanceArn"], facts | _protection(instance))


@stream("aws.data.clusters", per="region", every="1d", needs=_CLUSTERS, tags=["/tags"])
def clusters(account: AwsAccount) -> Iterator[Record | Gap]:
    """Database clusters: encryption and own backups."""
    for cluster in pages(account.client("rds"), "describe_db_clusters", "DBClusters"):
        yield Record(cluster["DBClusterArn"], {"name": cluster["DBClusterIdentifier"], **_protection(cluster)})


def _protection(database: Mapping[str, Any]) -> dict[str, Json]:
    return {
        "engine": database.get("Engine"),
        "encrypted": database.get("StorageEncrypted"),
        "kms_key": database.get("KmsKeyId"),
        "backup_retention": database.get("BackupRetentionPeriod"),
        "deletion_protection": database.get("DeletionProtection"),
        "multi_az": database.get("MultiAZ"),
        "tags": tag_map(database.get("TagList", [])),
    }


@stream(
    "aws.data.snapshots",
    per="region",
    every="1d",
    needs={
        "DescribeDBClusterSnapshots": "rds:DescribeDBClusterSnapshots",
        "DescribeDBSnapshots": "rds:DescribeDBSnapshots",
    },
)
def snapshots(account: AwsAccount) -> Iterator[Record | Gap]:
    """Own snapshots of databases, automated and manual.

    Those that other accounts share are left out.
    """
    rds = account.client("rds")
    for snapshot in pages(rds, "describe_db_snapshots", "DBSnapshots"):
        database, encrypted = snapshot["DBInstanceIdentifier"], snapshot.get("Encrypted")
        yield Record(snapshot["DBSnapshotArn"], _snapshot(snapshot, database, encrypted))
    for snapshot in pages(rds, "describe_db_cluster_snapshots", "DBClusterSnapshots"):
        database, encrypted = snapshot["DBClusterIdentifier"], snapshot.get("StorageEncrypted")
        yield Record(snapshot["DBClusterSnapshotArn"], _snapshot(snapshot, database, encrypted))


def _snapshot(snapshot: Mapping[str, Any], database: str, encrypted: bool | None) -> dict[str, Json]:
    return {
        "database": database,
        "engine": snapshot.get("Engine"),
        "type": snapshot.get("SnapshotType"),
        "created": snapshot.get("SnapshotCreateTime"),
        "encrypted": encrypted,
        "kms_key": snapshot.get("KmsKeyId"),
    }


@stream("aws.data.restorable", per="region", every="1d", needs={**_INSTANCES, **_CLUSTERS})
def restorable(account: AwsAccount) -> Iterator[Record | Gap]:
    """The latest time to which each database can be restored.

    To the hour, in UTC; null without own backups. It moves every five minutes: no part of the database's own record.
    """
    rds = account.client("rds")
    databases = chain(
        pages(rds, "describe_db_instances", "DBInstances"), pages(rds, "describe_db_clusters", "DBClusters")
    )
    for database in databases:
        arn = database.get("DBInstanceArn") or database["DBClusterArn"]
        yield Record(arn, {"latest": to_the_hour(database.get("LatestRestorableTime"))})


def to_the_hour(time: datetime | None) -> datetime | None:
    """The full hour before a time, in UTC; None stays None."""
    return time and time.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
