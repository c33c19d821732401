"""Databases of the two accounts."""

from __future__ import annotations

import boto3

SERVICES = ("rds",)


def fill(*, good: bool) -> None:
    """An instance, a cluster, and a snapshot of each."""
    rds = boto3.client("rds")
    made = {"MasterUsername": "admin", "MasterUserPassword": "Correct-Horse-9", "StorageEncrypted": good}
    days = 7 if good else 1
    rds.create_db_instance(
        DBInstanceIdentifier="mlflow", Engine="postgres", DBInstanceClass="db.t3.micro", AllocatedStorage=20,
        BackupRetentionPeriod=days, **made,
    )  # fmt: skip
    rds.create_db_snapshot(DBSnapshotIdentifier="by-hand", DBInstanceIdentifier="mlflow")
    rds.create_db_cluster(
        DBClusterIdentifier="features", Engine="aurora-postgresql", BackupRetentionPeriod=days, **made
    )
    rds.create_db_cluster_snapshot(DBClusterSnapshotIdentifier="cluster-by-hand", DBClusterIdentifier="features")
