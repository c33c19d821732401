"""Trails of the two accounts, and the same audit events in both: what happened has no way back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3

from tests.aws.emulated import ACCOUNT

SERVICES = ("cloudtrail",)
BUCKET = "trail-logs"
_YESTERDAY = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)

Answer = Callable[[Mapping[str, Any]], Mapping[str, Any] | None]


def fill(*, good: bool) -> None:
    """A trail and the bucket it delivers to."""
    s3, cloudtrail = boto3.client("s3"), boto3.client("cloudtrail")
    s3.create_bucket(Bucket=BUCKET)
    write = {
        "Effect": "Allow",
        "Principal": {"Service": "cloudtrail.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{BUCKET}/AWSLogs/*",
    }
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [write]}))
    expiry = {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 400 if good else 30}}
    s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": [expiry]})
    cloudtrail.create_trail(
        Name="main", S3BucketName=BUCKET, IsMultiRegionTrail=good, EnableLogFileValidation=good
    )  # fmt: skip
    selector = {"ReadWriteType": "All" if good else "WriteOnly", "IncludeManagementEvents": True, "DataResources": []}
    cloudtrail.put_event_selectors(TrailName="main", EventSelectors=[selector])
    cloudtrail.start_logging(Name="main")


def answers(*, good: bool) -> dict[str, Answer]:
    """What the emulator lacks: the events, and a stop that is later than the start."""
    stopped = {
        "IsLogging": False,
        "StartLoggingTime": _YESTERDAY,
        "StopLoggingTime": _YESTERDAY + timedelta(hours=1),
        "LatestDeliveryTime": _YESTERDAY,
    }
    return {
        "cloudtrail.LookupEvents": looked_up,
        "cloudtrail.GetTrailStatus": lambda _params: None if good else stopped,
    }


def looked_up(params: Mapping[str, Any]) -> dict[str, Any]:
    """The page of events that a look-up asks for; `params` are those of the request on the wire."""
    (asked,) = json.loads(params["body"])["LookupAttributes"]
    root = {"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT}:root"}
    found = [
        event("1", "StopLogging", "cloudtrail.amazonaws.com", request={"name": "main"}),
        event("2", "CreateUser", "iam.amazonaws.com", request={"userName": "ada"}),
        event("3", "ConsoleLogin", "signin.amazonaws.com", identity=root),
    ]
    return {"Events": [one for one in found if one[asked["AttributeKey"]] == asked["AttributeValue"]]}


def event(
    id: str,
    name: str,
    source: str,
    *,
    identity: Mapping[str, Any] | None = None,
    request: Mapping[str, Any] | None = None,
    response: Mapping[str, Any] | None = None,
    at: datetime = _YESTERDAY,
    **more: Any,
) -> dict[str, Any]:
    """An event as LookupEvents shows it."""
    who = identity or {"type": "IAMUser", "arn": f"arn:aws:iam::{ACCOUNT}:user/ada", "accountId": ACCOUNT}
    told = {
        "eventID": id,
        "eventName": name,
        "eventSource": source,
        "eventTime": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventType": "AwsApiCall",
        "awsRegion": "us-east-1",
        "recipientAccountId": ACCOUNT,
        "userIdentity": who,
        "requestParameters": request,
        "responseElements": response,
    } | more
    return {
        "EventId": id,
        "EventName": name,
        "EventSource": source,
        "EventTime": at,
        "Username": "root" if who.get("type") == "Root" else "ada",
        "Resources": [],
        "CloudTrailEvent": json.dumps(told),
    }
