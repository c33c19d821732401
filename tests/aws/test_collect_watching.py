"""Volumes, images and what watches a region, as they are stored."""

from __future__ import annotations

import boto3
import pytest

from tests.aws.emulated import ACCOUNT, account, counted, envelopes, facts, on_call, poll, refuse, source

PLACE = f"{ACCOUNT}/us-east-1"
REGIONAL = "us-east-1:" + ACCOUNT


@pytest.fixture(autouse=True)
def emulator():
    with account():
        yield


def the_only(snapshot):
    (told,) = facts(snapshot).values()
    return told


class TestVolumes:
    def test_a_volume(self):
        ec2 = boto3.client("ec2")
        made = ec2.create_volume(AvailabilityZone="us-east-1a", Size=8, Encrypted=True)["VolumeId"]
        told = facts(poll("aws.compute.volumes"))[f"arn:aws:ec2:{REGIONAL}:volume/{made}"]
        assert told["encrypted"] is True
        assert told["kms_key"].startswith("arn:aws:kms:")
        assert the_only(poll("aws.compute.defaults")) == {
            "region": "us-east-1",
            "encrypted": False,
            "has_volumes": True,
        }

    def test_a_region_that_nobody_uses(self):
        assert facts(poll("aws.compute.volumes")) == {}
        boto3.client("ec2").enable_ebs_encryption_by_default()
        assert facts(poll("aws.compute.defaults"))[PLACE] == {
            "region": "us-east-1",
            "encrypted": True,
            "has_volumes": False,
        }

    def test_a_refusal_hides_only_its_own_fact(self):
        refuse(of := source(), "ec2.DescribeVolumes", "UnauthorizedOperation")
        (envelope,) = envelopes(poll("aws.compute.defaults", of)).values()
        assert envelope["facts"]["encrypted"] is False
        assert list(envelope["gaps"]) == ["/has_volumes"]


class TestWatching:
    def test_a_region_where_nothing_is_on(self):
        assert facts(poll("aws.detect.detectors"))[PLACE]["detector"] is None
        assert facts(poll("aws.detect.hubs"))[PLACE]["hub"] is None
        assert facts(poll("aws.detect.recorders"))[PLACE] == {
            "region": "us-east-1",
            "recorders": [],
            "status": [],
            "channels": [],
        }

    def test_a_detector(self):
        features = [{"Name": "S3_DATA_EVENTS", "Status": "ENABLED"}]
        made = boto3.client("guardduty").create_detector(Enable=True, Features=features)["DetectorId"]
        told = the_only(poll("aws.detect.detectors"))
        assert told["id"] == made
        assert told["detector"] == {"status": "ENABLED", "features": {"S3_DATA_EVENTS": "ENABLED"}}

    def test_a_hub(self):
        boto3.client("securityhub").enable_security_hub()
        assert the_only(poll("aws.detect.hubs"))["hub"].endswith("hub/default")

    def test_a_hub_that_may_not_be_asked_for_is_not_taken_for_none(self):
        refuse(of := source(), "securityhub.DescribeHub", "AccessDeniedException")
        (envelope,) = envelopes(poll("aws.detect.hubs", of)).values()
        assert envelope["gaps"]["/hub"]["reason"] == "denied"

    def test_inspector(self):
        off, on = (
            {"status": status, "errorCode": "ALREADY_ENABLED", "errorMessage": "-"}
            for status in ("DISABLED", "ENABLED")
        )
        parts = {"ec2": on, "ecr": off, "lambda": on}
        state = {"accountId": ACCOUNT, "state": on, "resourceState": parts}
        on_call(of := source(), "inspector2.BatchGetAccountStatus", lambda _: {"accounts": [state]})
        told = the_only(poll("aws.detect.scanners", of))
        assert told["inspector"] == {
            "status": "ENABLED",
            "parts": {"ec2": "ENABLED", "ecr": "DISABLED", "lambda": "ENABLED"},
        }
        assert (told["has_hosts"], told["has_functions"]) == (False, False)

    @pytest.mark.parametrize(
        ("code", "reason"), [(None, "malformed"), ("ACCESS_DENIED", "denied"), ("INTERNAL_ERROR", "unreachable")]
    )
    def test_inspector_that_does_not_say(self, code, reason):
        failed = [{"accountId": ACCOUNT, "errorCode": code, "errorMessage": "-"}] if code else []
        answer = {"accounts": [], "failedAccounts": failed}
        on_call(of := source(), "inspector2.BatchGetAccountStatus", lambda _: answer)
        (envelope,) = envelopes(poll("aws.detect.scanners", of)).values()
        assert envelope["gaps"]["/inspector"]["reason"] == reason

    def test_hosts_that_ended_do_not_count(self):
        ec2 = boto3.client("ec2")
        image = ec2.describe_images()["Images"][0]["ImageId"]
        made = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
        assert envelopes(poll("aws.detect.scanners"))[PLACE]["facts"]["has_hosts"] is True
        ec2.terminate_instances(InstanceIds=[made])
        assert envelopes(poll("aws.detect.scanners"))[PLACE]["facts"]["has_hosts"] is False


class TestImages:
    def test_a_repository(self):
        boto3.client("ecr").create_repository(
            repositoryName="trainer",
            imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
            imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "latest*"}],
            imageScanningConfiguration={"scanOnPush": True},
        )
        ((key, told),) = facts(poll("aws.ecr.repositories")).items()
        assert key == f"arn:aws:ecr:{REGIONAL}:repository/trainer"
        assert told["tag_mutability"] == "IMMUTABLE_WITH_EXCLUSION"
        assert told["exclusions"] == [{"type": "WILDCARD", "filter": "latest*"}]
        assert told["uri"] == f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/trainer"
        assert (told["scan_on_push"], told["encryption"]["type"]) == (True, "AES256")

    def test_scanning_is_asked_for_in_batches(self):
        ecr = boto3.client("ecr")
        for number in range(26):
            ecr.create_repository(repositoryName=f"image-{number}")
        calls = counted(of := source())
        assert len(facts(poll("aws.ecr.repositories", of))) == 26
        assert calls["BatchGetRepositoryScanningConfiguration"] == 2

    def test_a_repository_that_went_away_and_one_left_out(self):
        ecr = boto3.client("ecr")
        for name in ("gone", "left-out", "there"):
            ecr.create_repository(repositoryName=name)
        answer = {
            "scanningConfigurations": [{"repositoryName": "there", "scanFrequency": "CONTINUOUS_SCAN"}],
            "failures": [{"repositoryName": "gone", "failureCode": "REPOSITORY_NOT_FOUND"}],
        }
        on_call(of := source(), "ecr.BatchGetRepositoryScanningConfiguration", lambda _: answer)
        told = {
            envelope["facts"]["name"]: envelope for envelope in envelopes(poll("aws.ecr.repositories", of)).values()
        }
        assert sorted(told) == ["left-out", "there"]
        assert told["there"]["facts"]["scan_frequency"] == "CONTINUOUS_SCAN"
        assert told["left-out"]["gaps"]["/scan_frequency"]["code"] == "NotInAnswer"

    def test_a_registry_with_rules(self):
        rule = {"scanFrequency": "SCAN_ON_PUSH", "repositoryFilters": [{"filter": "*", "filterType": "WILDCARD"}]}
        boto3.client("ecr").put_registry_scanning_configuration(scanType="BASIC", rules=[rule])
        assert facts(poll("aws.ecr.registries"))[PLACE] == {
            "region": "us-east-1",
            "scan_type": "BASIC",
            "rules": [{"frequency": "SCAN_ON_PUSH", "repositories": ["*"]}],
        }
