"""Texts of the policies AWS wrote, as far as the account uses them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agent.collect import facet, spread
from agent.model import Gap, Json, Record
from agent.registry import stream
from collectors.aws import AwsAccount, pages
from collectors.aws.policy import document

_USAGES = ("PermissionsPolicy", "PermissionsBoundary")


@stream(
    "aws.iam.managed_policies",
    per="account",
    every="1d",
    needs={"ListPolicies": "iam:ListPolicies", "GetPolicyVersion": "iam:GetPolicyVersion"},
)
def managed_policies(account: AwsAccount) -> Iterator[Record | Gap]:
    """Policies by AWS that are attached or are a boundary, as they are in force.

    Each text is fetched once, however many users and roles have it.
    """
    iam = account.client("iam")
    used: dict[str, Mapping[str, Any]] = {}
    for usage in _USAGES:
        for policy in pages(
            iam,
            "list_policies",
            "Policies",
            Scope="AWS",
            OnlyAttached=usage == _USAGES[0],
            PolicyUsageFilter=usage,
            MaxItems=1000,
        ):
            if policy.get("AttachmentCount") or policy.get("PermissionsBoundaryUsageCount"):
                used[policy["Arn"]] = policy

    def describe(policy: Mapping[str, Any]) -> Record:
        version = policy["DefaultVersionId"]
        held = facet(
            iam.get_policy_version,
            pick="PolicyVersion",
            parse=_text,
            PolicyArn=policy["Arn"],
            VersionId=version,
        )
        return Record(policy["Arn"], {"name": policy["PolicyName"], "version": version, "document": held})

    yield from spread(describe, [used[arn] for arn in sorted(used)])


def _text(version: Mapping[str, Any]) -> Json | Gap:
    return document(version.get("Document"))
