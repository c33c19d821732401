"""What watches a region: GuardDuty, Security Hub, Config and Inspector; one record each, also when it is off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from agent.collect import facet
from agent.model import Gap, Json, Reason, Record
from agent.registry import stream
from collectors.aws import AwsAccount, pages
from collectors.aws.client import some

_NOT_SUBSCRIBED = ("InvalidAccessException", "ResourceNotFoundException")
"""How Security Hub says that it is not on."""
_HOSTS = [{"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}]
_A_FEW = 5
"""The smallest page of DescribeInstances."""


@stream(
    "aws.detect.detectors",
    per="region",
    every="1d",
    needs={"GetDetector": "guardduty:GetDetector", "ListDetectors": "guardduty:ListDetectors"},
)
def detectors(account: AwsAccount) -> Iterator[Record | Gap]:
    """The GuardDuty detector of a region and its features; null where there is none."""
    guard = account.client("guardduty")
    ids = list(pages(guard, "list_detectors", "DetectorIds"))
    detector = None
    if ids:  # a region has at most one
        detector = facet(guard.get_detector, pick=["Status", "Features"], parse=_detector, DetectorId=ids[0])
    yield Record(_place(account), {"region": account.region, "id": ids[0] if ids else None, "detector": detector})


def _detector(told: Mapping[str, Any]) -> Json | Gap:
    if told["Status"] is None or told["Features"] is None:
        return Gap(Reason.MALFORMED, "GetDetector", "NoStatus")
    features = {feature["Name"]: feature["Status"] for feature in told["Features"]}
    return {"status": told["Status"], "features": features}


@stream("aws.detect.hubs", per="region", every="1d", needs={"DescribeHub": "securityhub:DescribeHub"})
def hubs(account: AwsAccount) -> Iterator[Record | Gap]:
    """Security Hub of a region: its ARN, or null where the account is not subscribed."""
    hub = facet(account.client("securityhub").describe_hub, pick="HubArn", absent=_NOT_SUBSCRIBED)
    yield Record(_place(account), {"region": account.region, "hub": hub})


@stream(
    "aws.detect.recorders",
    per="region",
    every="1d",
    needs={
        "DescribeConfigurationRecorderStatus": "config:DescribeConfigurationRecorderStatus",
        "DescribeConfigurationRecorders": "config:DescribeConfigurationRecorders",
        "DescribeDeliveryChannels": "config:DescribeDeliveryChannels",
    },
    unordered=["/recorders", "/status", "/channels"],
)
def recorders(account: AwsAccount) -> Iterator[Record | Gap]:
    """Config of a region: what is recorded, and where it is delivered."""
    config = account.client("config")
    facts = {
        "region": account.region,
        "recorders": facet(config.describe_configuration_recorders, pick="ConfigurationRecorders", parse=_recorders),
        "status": facet(
            config.describe_configuration_recorder_status, pick="ConfigurationRecordersStatus", parse=_statuses
        ),
        "channels": facet(config.describe_delivery_channels, pick="DeliveryChannels", parse=_channels),
    }
    yield Record(_place(account), facts)


def _recorders(listed: list[Mapping[str, Any]]) -> Json:
    return [
        {
            "name": each["name"],
            "all_supported": recorded.get("allSupported"),
            "global_types": recorded.get("includeGlobalResourceTypes"),
            "strategy": recorded.get("recordingStrategy", {}).get("useOnly"),
        }
        for each in listed
        for recorded in [each.get("recordingGroup", {})]
    ]


def _statuses(listed: list[Mapping[str, Any]]) -> Json:
    return [
        {"name": each["name"], "recording": each.get("recording"), "last_status": each.get("lastStatus")}
        for each in listed
    ]


def _channels(listed: list[Mapping[str, Any]]) -> Json:
    return [
        {"name": each.get("name"), "bucket": each.get("s3BucketName"), "topic": each.get("snsTopicARN")}
        for each in listed
    ]


@stream(
    "aws.detect.scanners",
    per="region",
    every="1d",
    needs={
        "BatchGetAccountStatus": "inspector2:BatchGetAccountStatus",
        "DescribeInstances": "ec2:DescribeInstances",
        "ListFunctions": "lambda:ListFunctions",
    },
)
def scanners(account: AwsAccount) -> Iterator[Record | Gap]:
    """Inspector of a region, part by part, and what there is for it to scan.

    Hosts and functions are only asked whether there is any: ended hosts do not count.
    """
    client = account.client("inspector2")
    inspector = facet(
        client.batch_get_account_status, pick=["accounts", "failedAccounts"],
        parse=partial(_inspector, account.id, client.custom), accountIds=[account.id],
    )  # fmt: skip
    hosts = some(account.client("ec2"), "describe_instances", "Reservations", Filters=_HOSTS, MaxResults=_A_FEW)
    functions = some(account.client("lambda"), "list_functions", "Functions")
    facts = {"region": account.region, "inspector": inspector, "has_hosts": hosts, "has_functions": functions}
    yield Record(_place(account), facts)


def _inspector(account: str, custom: bool, told: Mapping[str, Any]) -> Json | Gap:
    """State of Inspector and of its parts; a gap when it does not say."""
    for failure in told["failedAccounts"] or []:
        if failure["accountId"] == account:
            reason = Reason.DENIED if failure["errorCode"] == "ACCESS_DENIED" else Reason.UNREACHABLE
            return Gap(reason, "BatchGetAccountStatus", failure["errorCode"], "inspector2:BatchGetAccountStatus")
    for each in told["accounts"] or []:
        if each["accountId"] == account:
            parts = {name: part["status"] for name, part in each["resourceState"].items()}
            return {"status": each["state"]["status"], "parts": parts}
    reason = Reason.UNSUPPORTED if custom else Reason.MALFORMED
    return Gap(reason, "BatchGetAccountStatus", "NotInAnswer")


def _place(account: AwsAccount) -> str:
    """Key of the records that there is one of per region."""
    return f"{account.id}/{account.region}"
