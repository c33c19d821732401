"""Databases and backups, as they are stored."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import boto3
import pytest

from agent.registry import discover
from tests.aws.emulated import ACCOUNT, account, facts, on_call, poll, refuse, source
from tests.judging import as_facts

REGIONAL = "us-east-1:" + ACCOUNT


@pytest.fixture(autouse=True)
def emulator():
    with account():
        yield


def the_only(snapshot):
    (told,) = facts(snapshot).values()
    return told


class TestDatabases:
    def make(self, **more):
        boto3.client("rds").create_db_instance(
            DBInstanceIdentifier="mlflow", Engine="postgres", DBInstanceClass="db.t3.micro", AllocatedStorage=20,
            MasterUsername="admin", MasterUserPassword="Correct-Horse-9", **more,
        )  # fmt: skip

    def test_an_instance(self):
        self.make(StorageEncrypted=True, BackupRetentionPeriod=14, Tags=[{"Key": "backup", "Value": "none"}])
        ((key, told),) = facts(poll("aws.data.instances")).items()
        assert key == f"arn:aws:rds:{REGIONAL}:db:mlflow"
        assert (told["encrypted"], told["backup_retention"], told["tags"]) == (True, 14, {"backup": "none"})
        assert "latest" not in told

    def test_two_polls_of_an_instance_are_the_same_bytes(self):
        self.make()
        first, second = poll("aws.data.instances"), poll("aws.data.instances")
        assert [item.digest for item in first.items] == [item.digest for item in second.items]

    def test_how_far_back(self):
        self.make(BackupRetentionPeriod=7)
        time = datetime(2026, 11, 20, 9, 59, 59, tzinfo=UTC)
        instance = {"DBInstanceArn": f"arn:aws:rds:{REGIONAL}:db:a", "LatestRestorableTime": time}
        on_call(of := source(), "rds.DescribeDBInstances", lambda _: {"DBInstances": [instance]})
        on_call(
            of,
            "rds.DescribeDBClusters",
            lambda _: {"DBClusters": [{"DBClusterArn": f"arn:aws:rds:{REGIONAL}:cluster:c"}]},
        )
        told = facts(poll("aws.data.restorable", of))
        assert [each["latest"] for each in told.values()] == [None, "2026-11-20T09:00:00Z"]

    def test_snapshots_of_both_kinds(self):
        self.make(StorageEncrypted=True)
        boto3.client("rds").create_db_snapshot(DBSnapshotIdentifier="by-hand", DBInstanceIdentifier="mlflow")
        told = {each["type"]: each for each in facts(poll("aws.data.snapshots")).values()}
        assert sorted(told) == ["automated", "manual"]
        assert all(each["encrypted"] for each in told.values())


def point(resource, day, kept=None, *, vault="main", status="COMPLETED", kind="", month=11):
    return {
        "RecoveryPointArn": f"arn:aws:backup:{REGIONAL}:recovery-point:{kind}{resource}-{day}",
        "ResourceArn": resource,
        "BackupVaultName": vault,
        "Status": status,
        "CreationDate": datetime(2026, month, day, 5, 12, tzinfo=UTC),
        "Lifecycle": {"DeleteAfterDays": kept} if kept else {},
    }


class TestBackups:
    @pytest.fixture
    def vaults(self):
        for name in ("main", "second"):
            boto3.client("backup").create_backup_vault(BackupVaultName=name)
        of, held = source(), {"main": [], "second": []}

        def answer(params):
            return {"RecoveryPoints": held[params["url_path"].split("/")[2]]}

        on_call(of, "backup.ListRecoveryPointsByBackupVault", answer)
        return of, held

    def test_the_newest_point_and_the_longest_kept(self, vaults):
        of, held = vaults
        held["main"] += [point("a", 3, 7), point("a", 5, 7), point("a", 1, 365), point("a", 9, status="EXPIRED")]
        held["second"] += [point("a", 4, 30, vault="second"), point("b", 2, vault="second")]
        told = facts(poll("aws.backup.points", of))
        assert told["a@us-east-1"] == {
            "resource": "a",
            "region": "us-east-1",
            "newest": "2026-11-05T05:00:00Z",
            "vault": "main",
            "plan": None,
            "encrypted": None,
            "continuous": False,
            "kept_days": 365,
        }
        assert told["b@us-east-1"]["kept_days"] is None

    def test_a_point_that_is_still_added_to(self, vaults):
        of, held = vaults
        held["main"] += [point("a", 1, 35, status="AVAILABLE", kind="continuous:"), point("a", 5, -1)]
        told = facts(poll("aws.backup.points", of))["a@us-east-1"]
        assert (told["continuous"], told["newest"], told["kept_days"]) == (True, "2026-11-05T05:00:00Z", None)

    def test_a_vault_that_is_refused_leaves_nothing_to_conclude_from(self, vaults):
        of, held = vaults
        held["main"] += [point("a", 3)]

        def refused(params):
            error = {"Error": {"Code": "AccessDeniedException", "Message": "no", "Status": 403}}
            return error if "second" in params["url_path"] else {"RecoveryPoints": held["main"]}

        of = source()
        on_call(of, "backup.ListRecoveryPointsByBackupVault", refused)
        snapshot = poll("aws.backup.points", of)
        assert (snapshot.status, snapshot.why) == ("failed", "denied")

    def test_a_vault_that_went_away(self, vaults):
        of = source()
        refuse(of, "backup.ListRecoveryPointsByBackupVault", "ResourceNotFoundException", 400)
        assert facts(poll("aws.backup.points", of)) == {}

    def test_a_plan(self):
        rules = [
            {"RuleName": "daily", "TargetBackupVaultName": "main", "Lifecycle": {"DeleteAfterDays": 35}},
            {"RuleName": "for ever", "TargetBackupVaultName": "main", "ScheduleExpression": "cron(0 1 * * ? *)"},
        ]
        boto3.client("backup").create_backup_vault(BackupVaultName="main")
        boto3.client("backup").create_backup_plan(BackupPlan={"BackupPlanName": "all", "Rules": rules})
        told = the_only(poll("aws.backup.plans"))
        assert told["name"] == "all"
        assert {rule["name"]: rule["kept_days"] for rule in told["rules"]} == {"daily": 35, "for ever": None}

    def test_what_has_to_be_backed_up(self):
        ec2 = boto3.client("ec2")
        tags = [{"ResourceType": "volume", "Tags": [{"Key": "backup", "Value": "required"}]}]
        made = ec2.create_volume(AvailabilityZone="us-east-1a", Size=8, TagSpecifications=tags)["VolumeId"]
        ec2.create_volume(AvailabilityZone="us-east-1a", Size=8)
        assert [key.rpartition("/")[2] for key in facts(poll("aws.backup.tagged"))] == [made]

    def test_all_pages_of_what_has_to_be_backed_up(self):
        def answer(params):
            import json

            asked = json.loads(params["body"])
            more = not asked.get("PaginationToken")
            arn = f"arn:aws:ec2:{REGIONAL}:volume/{'a' if more else 'b'}"
            return {"ResourceTagMappingList": [{"ResourceARN": arn}], "PaginationToken": "more" if more else ""}

        on_call(of := source(), "resource-groups-tagging-api.GetResources", answer)
        assert len(facts(poll("aws.backup.tagged", of))) == 2


def test_buckets_that_models_lie_in():
    places = ["s3://models/fraud/1", "s3://models/fraud/2", "s3://other", "models:/m-1", "mlflow-artifacts:/1", None]
    versions = [as_facts({"source": place}) for place in places]
    derive = discover().derived["aws.backup.model_buckets"].derive
    told = derive(SimpleNamespace(now=lambda stream: versions), None)
    assert [record.key for record in told] == ["models", "other"]


def test_buckets_that_model_packages_lie_in():
    places = ["s3://models/fraud/1/model.tar.gz", "s3://models/fraud/2/model.tar.gz", "https://example.com/m", None]
    packages = [as_facts({"containers": [{"data_url": place}]}) for place in places] + [as_facts({"containers": []})]
    derive = discover().derived["aws.backup.package_buckets"].derive
    told = derive(SimpleNamespace(now=lambda stream: packages), None)
    assert [record.key for record in told] == ["models"]
