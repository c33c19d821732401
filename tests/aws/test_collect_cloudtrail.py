"""Trails as they are stored: once, with status and both forms of selectors."""

from __future__ import annotations

from datetime import UTC, datetime

import boto3
import pytest

from tests.aws.emulated import ACCOUNT, account, envelopes, facts, on_call, poll, refuse, source

ARN = f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/main"
TRAILS, SHADOWS = "aws.cloudtrail.trails", "aws.cloudtrail.shadows"
ALL = {"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": []}


@pytest.fixture
def cloudtrail():
    with account():
        boto3.client("s3").create_bucket(Bucket="trail-logs")
        client = boto3.client("cloudtrail")
        client.create_trail(Name="main", S3BucketName="trail-logs", IsMultiRegionTrail=True)
        client.put_event_selectors(TrailName="main", EventSelectors=[ALL])
        yield client


def described(**told):
    """A trail as DescribeTrails tells of it."""
    return {"Name": "main", "TrailARN": ARN, "HomeRegion": "us-east-1", "S3BucketName": "trail-logs"} | told


def told_by(operation, body):
    of = source()
    on_call(of, f"cloudtrail.{operation}", lambda _params: body)
    return of


def test_a_trail_that_logs(cloudtrail):
    cloudtrail.start_logging(Name="main")
    (told,) = facts(poll(TRAILS)).values()
    started = told["logging"].pop("start")
    assert started.startswith(told["logging"].pop("latest_delivery"))
    assert told == {
        "name": "main",
        "owner": ACCOUNT,
        "home_region": "us-east-1",
        "multi_region": True,
        "global_events": True,
        "validation": False,
        "organization": False,
        "bucket": "trail-logs",
        "prefix": None,
        "log_group": None,
        "kms_key": None,
        "logging": {"is_logging": True, "latest_delivery_error": None, "stop": None},
        "selectors": {
            "basic": [{"read_write": "All", "management": True, "excluded": [], "data": []}],
            "advanced": [],
        },
    }


def test_the_latest_delivery_is_kept_to_the_day(cloudtrail):
    times = [datetime(2027, 1, 14, hour, tzinfo=UTC) for hour in (1, 23)]
    told = [
        envelopes(poll(TRAILS, told_by("GetTrailStatus", {"IsLogging": True, "LatestDeliveryTime": time})))
        for time in times
    ]
    assert told[0] == told[1]
    assert told[0][ARN]["facts"]["logging"]["latest_delivery"] == "2027-01-14"


def test_advanced_selectors_are_kept_whatever_their_order(cloudtrail):
    fields = [
        {"Field": "resources.type", "Equals": ["AWS::S3::Object"]},
        {"Field": "eventCategory", "Equals": ["Data"]},
        {"Field": "eventSource", "NotEquals": ["kms.amazonaws.com", "rdsdata.amazonaws.com"]},
    ]
    forms = [fields, fields[::-1]]
    told = [
        facts(poll(TRAILS, told_by("GetEventSelectors", {"AdvancedEventSelectors": [{"FieldSelectors": form}]})))
        for form in forms
    ]
    assert told[0] == told[1]
    (selector,) = told[0][ARN]["selectors"]["advanced"]
    assert [field["field"] for field in selector["fields"]] == ["eventCategory", "eventSource", "resources.type"]
    assert selector["fields"][1]["not_equals"] == ["kms.amazonaws.com", "rdsdata.amazonaws.com"]


def test_a_trail_is_a_record_in_its_home_region_only(cloudtrail):
    west = source(regions=["eu-west-1"])
    assert facts(poll(TRAILS, west)) == {}
    assert facts(poll(SHADOWS, west))[ARN]["home_region"] == "us-east-1"
    assert facts(poll(SHADOWS)) == {}


def test_the_trail_of_another_account_is_only_a_shadow(cloudtrail):
    arn = "arn:aws:cloudtrail:us-east-1:999988887777:trail/organisation"
    theirs = described(TrailARN=arn, Name="organisation", IsOrganizationTrail=True)
    of = told_by("DescribeTrails", {"trailList": [theirs]})
    assert facts(poll(TRAILS, of)) == {}
    assert facts(poll(SHADOWS, of))[arn]["owner"] == "999988887777"


def test_nothing_is_said_of_a_trail_that_is_gone(cloudtrail):
    of = source()
    refuse(of, "cloudtrail.GetTrailStatus", "TrailNotFoundException", 400)
    snapshot = poll(TRAILS, of)
    assert (snapshot.status.value, len(snapshot.items)) == ("complete", 0)


@pytest.mark.parametrize(
    ("operation", "place"), [("GetTrailStatus", "/logging"), ("GetEventSelectors", "/selectors")]
)  # fmt: skip
def test_what_is_refused_is_a_gap_of_the_trail(cloudtrail, operation, place):
    of = source()
    refuse(of, f"cloudtrail.{operation}", "AccessDeniedException", 400)
    (envelope,) = envelopes(poll(TRAILS, of)).values()
    assert envelope["gaps"][place]["need"] == f"cloudtrail:{operation}"


@pytest.mark.parametrize(
    ("operation", "body", "place"),
    [("GetTrailStatus", {}, "/logging"), ("GetEventSelectors", {"TrailARN": ARN}, "/selectors")],
)
def test_an_answer_that_says_nothing_is_no_observation(cloudtrail, operation, body, place):
    (envelope,) = envelopes(poll(TRAILS, told_by(operation, body))).values()
    assert envelope["gaps"][place]["reason"] == "malformed"


def test_two_polls_are_equal_bytes_and_receipts(cloudtrail):
    cloudtrail.create_trail(Name="second", S3BucketName="trail-logs")
    cloudtrail.put_event_selectors(TrailName="second", EventSelectors=[ALL])
    one, other = poll(TRAILS), poll(TRAILS)
    assert one.receipt == other.receipt
    assert [item.digest for item in one.items] == [item.digest for item in other.items]
