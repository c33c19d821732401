"""Trails: where they deliver to, what they select and whether they log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC
from functools import partial
from typing import Any

from agent.collect import facet, spread
from agent.model import Gap, Json, Reason, Record
from agent.registry import stream
from collectors.aws import AwsAccount, pages
from collectors.aws.client import Client

_LIST = {"DescribeTrails": "cloudtrail:DescribeTrails"}
_GONE = "TrailNotFoundException"
_STATUS = ("IsLogging", "LatestDeliveryError", "LatestDeliveryTime", "StartLoggingTime", "StopLoggingTime")
_COMPARISONS = {
    "Equals": "equals",
    "NotEquals": "not_equals",
    "StartsWith": "starts_with",
    "NotStartsWith": "not_starts_with",
    "EndsWith": "ends_with",
    "NotEndsWith": "not_ends_with",
}


@stream(
    "aws.cloudtrail.trails",
    per="region",
    every="1d",
    needs=_LIST | {"GetTrailStatus": "cloudtrail:GetTrailStatus", "GetEventSelectors": "cloudtrail:GetEventSelectors"},
)
def trails(account: AwsAccount) -> Iterator[Record | Gap]:
    """Trails of the account that are at home in the region.

    Each trail is a record once, of its own account, whatever regions and accounts it covers. The day of
    the latest delivery is UTC. Source: DescribeTrails, GetTrailStatus, GetEventSelectors.
    """
    client = account.client("cloudtrail")
    own = (trail for trail in _listed(client) if _is_at_home(trail, account))
    yield from (record for record in spread(partial(_trail, client), own) if record is not None)


@stream("aws.cloudtrail.shadows", per="region", every="1d", needs=_LIST)
def shadows(account: AwsAccount) -> Iterator[Record | Gap]:
    """Trails of other regions or other accounts that cover the region too.

    Their status and selectors are those of the trail, in its own account and home region. An organisation
    trail is shown so in every account of the organisation. Source: DescribeTrails.
    """
    for trail in _listed(account.client("cloudtrail")):
        if not _is_at_home(trail, account):
            yield Record(trail["TrailARN"], _named(trail))


def _listed(client: Client) -> Iterator[Any]:
    return pages(client, "describe_trails", "trailList", includeShadowTrails=True)


def _is_at_home(trail: Mapping[str, Any], account: AwsAccount) -> bool:
    return bool(trail["HomeRegion"] == account.region and _owner(trail) == account.id)


def _owner(trail: Mapping[str, Any]) -> str:
    return str(trail["TrailARN"].split(":")[4])


def _named(trail: Mapping[str, Any]) -> dict[str, Json]:
    """What the listing itself tells of a trail."""
    group = trail.get("CloudWatchLogsLogGroupArn")
    return {
        "name": trail["Name"],
        "owner": _owner(trail),
        "home_region": trail["HomeRegion"],
        "multi_region": trail.get("IsMultiRegionTrail", False),
        "global_events": trail.get("IncludeGlobalServiceEvents", False),
        "validation": trail.get("LogFileValidationEnabled", False),
        "organization": trail.get("IsOrganizationTrail", False),
        "bucket": trail.get("S3BucketName"),
        "prefix": trail.get("S3KeyPrefix"),
        "log_group": group.removesuffix(":*") if group else None,
        "kms_key": trail.get("KmsKeyId"),
    }


def _trail(client: Client, trail: Mapping[str, Any]) -> Record | None:
    """The record of a trail, or nothing when it went away after it was listed."""
    arn = trail["TrailARN"]
    facts = {
        **_named(trail),
        "logging": facet(client.get_trail_status, Name=arn, pick=_STATUS, parse=_logging),
        "selectors": facet(
            client.get_event_selectors,
            TrailName=arn,
            pick=["EventSelectors", "AdvancedEventSelectors"],
            parse=_selectors,
        ),
    }
    gone = any(isinstance(value, Gap) and value.code == _GONE for value in facts.values())
    return None if gone else Record(arn, facts)


def _logging(told: Mapping[str, Any]) -> Json | Gap:
    """Whether it logs; the time of the latest delivery, which changes by itself, to the day."""
    if told["IsLogging"] is None:
        return Gap(Reason.MALFORMED, "GetTrailStatus", "NoIsLogging")
    delivered = told["LatestDeliveryTime"]
    return {
        "is_logging": told["IsLogging"],
        "latest_delivery_error": told["LatestDeliveryError"] or None,
        "latest_delivery": _day(delivered) if delivered else None,
        "start": told["StartLoggingTime"],
        "stop": told["StopLoggingTime"],
    }


def _day(moment: Any) -> str:
    return str(moment.astimezone(UTC).date())


def _selectors(told: Mapping[str, Any]) -> Json | Gap:
    """Both forms of selectors; a trail has one of them."""
    if told["EventSelectors"] is None and told["AdvancedEventSelectors"] is None:
        return Gap(Reason.MALFORMED, "GetEventSelectors", "NoSelectors")
    return {
        "basic": [_basic(selector) for selector in told["EventSelectors"] or []],
        "advanced": [_advanced(selector) for selector in told["AdvancedEventSelectors"] or []],
    }


def _basic(selector: Mapping[str, Any]) -> Json:
    data = [
        {"type": resource.get("Type"), "values": sorted(resource.get("Values", []))}
        for resource in selector.get("DataResources", [])
    ]
    return {
        "read_write": selector.get("ReadWriteType", "All"),
        "management": selector.get("IncludeManagementEvents", True),
        "excluded": sorted(selector.get("ExcludeManagementEventSources", [])),
        "data": sorted(data, key=str),
    }


def _advanced(selector: Mapping[str, Any]) -> Json:
    fields = [
        {"field": field["Field"]} | {ours: sorted(field.get(theirs, [])) for theirs, ours in _COMPARISONS.items()}
        for field in selector["FieldSelectors"]
    ]
    return {"name": selector.get("Name"), "fields": sorted(fields, key=str)}
