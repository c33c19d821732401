"""Log groups of a region: how long they keep what they are given, and by which key it is encrypted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agent.clock import iso
from agent.model import Gap, Json, Record
from agent.registry import stream
from collectors.aws import AwsAccount, pages, whole
from collectors.aws.iam import tag_map

_PAGE = 50
"""Log groups a page, the most that DescribeLogGroups allows."""
_TAGGED = 100
"""Tagged resources a page, the most that GetResources allows."""


@stream(
    "aws.logs.groups",
    per="region",
    every="1d",
    needs={"DescribeLogGroups": "logs:DescribeLogGroups", "GetResources": "tag:GetResources"},
    tags=["/tags"],
)
def groups(account: AwsAccount) -> Iterator[Record | Gap]:
    """Log groups of the region, their retention in days and their key.

    Null retention is what AWS says of a group that keeps everything, and of one of class DELIVERY, which
    keeps two days. The tags of all groups come in one listing. Source: DescribeLogGroups; GetResources.
    """
    tags = _tags(account)
    for group in pages(account.client("logs"), "describe_log_groups", "logGroups", limit=_PAGE):
        arn = (group.get("logGroupArn") or group["arn"]).removesuffix(":*")
        yield Record(
            arn,
            {
                "name": group["logGroupName"],
                "retention_days": group.get("retentionInDays"),
                "kms_key": group.get("kmsKeyId"),
                "class": group.get("logGroupClass", "STANDARD"),
                "created": iso(group["creationTime"]) if "creationTime" in group else None,
                "tags": tags if isinstance(tags, Gap) else tags.get(arn, {}),
            },
        )


def _tags(account: AwsAccount) -> Mapping[str, Json] | Gap:
    """Tags by ARN of the groups that have some, or the gap where they could not be listed."""
    client = account.client("resourcegroupstaggingapi")
    found: list[Any] | Gap = whole(
        client, "get_resources", "ResourceTagMappingList", ResourceTypeFilters=["logs"], ResourcesPerPage=_TAGGED
    )
    if isinstance(found, Gap):
        return found
    return {one["ResourceARN"].removesuffix(":*"): tag_map(one.get("Tags", [])) for one in found}
