"""How every SageMaker listing is read: each resource described, who made it, its tags."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from agent.collect import spread
from agent.model import Gap, Json, Reason, Record, SourceError
from collectors.aws.client import Call, Client, pages, whole
from collectors.aws.iam import tag_map

Listed = Mapping[str, Any]

PAGE = 100
"""The most elements of a page that SageMaker's listings give."""

NOT_FOUND = ("ResourceNotFound", "ResourceNotFoundException", "ValidationException")
"""Codes for a resource that is not there; the last one is also that of other refusals, so it is looked into."""


def ask(call: Call, *required: str, **parameters: Any) -> Listed | Gap:
    """The answer of a describing call; a gap when it fails or lacks one of the required members."""
    try:
        answer = call(**parameters)
    except SourceError as error:
        return error.gap
    lacking = next((member for member in required if member not in answer), None)
    return Gap(Reason.MALFORMED, call.operation, f"No{lacking}") if lacking else answer


def described(
    sagemaker: Client,
    operation: str,
    member: str,
    arn: str,
    describe: Callable[[Listed], Record | Gap],
    **parameters: Any,
) -> Iterator[Record | Gap]:
    """Records of all resources of a listing; `arn` is the member of an element that is its key.

    SageMaker answers `ValidationException` for most resources that are gone, so where one is said not to be
    found the list is asked for again: of what it no longer has nothing is said, what it still has could not
    be described. Raises SourceError when a listing breaks off.
    """

    def list_() -> Iterator[Any]:
        return pages(sagemaker, operation, member, MaxResults=PAGE, **parameters)

    def told(element: Listed) -> tuple[str, Record | Gap]:
        return element[arn], describe(element)

    lost: dict[str, Gap] = {}
    for key, found in spread(told, list_()):
        if isinstance(found, Record):
            yield found
        elif found.code in NOT_FOUND:
            lost[key] = found
        else:
            yield replace(found, key=key)
    if lost:
        there = {element[arn] for element in list_()}
        yield from (replace(gap, key=key) for key, gap in lost.items() if key in there)


def tags_of(sagemaker: Client, arn: str) -> dict[str, str] | Gap:
    """Tags of a resource by name."""
    listed = whole(sagemaker, "list_tags", "Tags", ResourceArn=arn)
    return listed if isinstance(listed, Gap) else tag_map(listed)


def who(context: Listed | None) -> Json:
    """Who made or changed something; null when SageMaker does not say.

    `profile` is the user of a Studio domain, `principal` the ARN of the caller (IAM user, or role with
    session name).
    """
    if not context:
        return None
    caller = context.get("IamIdentity") or {}
    return {
        "profile": context.get("UserProfileName"),
        "domain": context.get("DomainId"),
        "principal": caller.get("Arn"),
        "source_identity": caller.get("SourceIdentity"),
    }


def vpc_of(config: Listed | None) -> Json:
    """Subnets and security groups; null outside a VPC of one's own."""
    if not config:
        return None
    return {"subnets": sorted(config.get("Subnets", [])), "security_groups": sorted(config.get("SecurityGroupIds", []))}
