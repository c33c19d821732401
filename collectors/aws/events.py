"""Audit events of a region: who started jobs, changed models, endpoints, trails or identities; use of root."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from agent.clock import DAY_MS
from agent.model import Gap, Json, Reach, Reason, Record, Window
from agent.registry import stream
from collectors.aws import AwsAccount, pages

REACH_MS = 90 * DAY_MS
"""How far back LookupEvents answers."""

WANTED: Mapping[str, tuple[str, ...]] = {
    "cloudtrail.amazonaws.com": ("DeleteTrail", "PutEventSelectors", "StopLogging", "UpdateTrail"),
    "iam.amazonaws.com": ("CreateAccessKey", "CreateUser"),
    "sagemaker.amazonaws.com": (
        "CreateEndpoint",
        "CreateHyperParameterTuningJob",
        "CreateInferenceComponent",
        "CreateModelPackage",
        "CreateProcessingJob",
        "CreateTrainingJob",
        "CreateTransformJob",
        "UpdateEndpoint",
        "UpdateEndpointWeightsAndCapacities",
        "UpdateInferenceComponent",
        "UpdateModelPackage",
    ),
    "sso.amazonaws.com": ("CreateAccountAssignment",),
    "sso-directory.amazonaws.com": ("CreateUser",),
}
"""Source of an event -> the names of it that rules read; other services have events of the same names."""

_REQUEST = frozenset(
    {
        "endpointConfigName",
        "endpointName",
        "enableLogFileValidation",
        "hyperParameterTuningJobName",
        "includeGlobalServiceEvents",
        "inferenceComponentName",
        "instanceArn",
        "isMultiRegionTrail",
        "isOrganizationTrail",
        "modelApprovalStatus",
        "modelPackageArn",
        "modelPackageGroupName",
        "modelPackageName",
        "name",
        "permissionSetArn",
        "principalId",
        "principalType",
        "processingJobName",
        "s3BucketName",
        "targetId",
        "targetType",
        "trailName",
        "trainingJobName",
        "transformJobName",
        "userName",
    }
)
"""Parameters that are kept; all others may hold anything, settings of jobs with secrets in them included."""

_RESPONSE = frozenset(
    {
        "ConsoleLogin",
        "endpointArn",
        "hyperParameterTuningJobArn",
        "inferenceComponentArn",
        "modelPackageArn",
        "processingJobArn",
        "trailARN",
        "trainingJobArn",
        "transformJobArn",
    }
)


@stream(
    "aws.cloudtrail.events",
    kind="events",
    per="region",
    every="1h",
    needs={"LookupEvents": "cloudtrail:LookupEvents"},
    personal=True,
)
def events(account: AwsAccount, window: Window) -> Iterator[Record | Gap | Reach]:
    """Audit events that rules read, by name, and every event of the root user.

    Key: the event's id. `request` and `response` hold the few named members that rules read, by CloudTrail's
    own names; a service event has its details there. CloudTrail keeps 90 days: what a window has before that
    is left out of it. Source: LookupEvents, one look-up per name.
    """
    from_ms = max(window.from_ms, window.to_ms - REACH_MS)
    if from_ms > window.from_ms:
        yield Reach(from_ms)
    taken: set[str] = set()
    for event in _looked_up(account, from_ms, window.to_ms):
        if from_ms <= event["EventTime"].timestamp() * 1000 < window.to_ms and event["EventId"] not in taken:
            record = _record(event)
            if record is not None:
                taken.add(event["EventId"])
                yield record


def _looked_up(account: AwsAccount, from_ms: int, to_ms: int) -> Iterator[Any]:
    """What every look-up of the window shows."""
    client = account.client("cloudtrail")
    names = sorted(set(chain.from_iterable(WANTED.values())))
    span = {"StartTime": _moment(from_ms), "EndTime": _moment(to_ms)}
    for key, value in [("Username", "root"), *(("EventName", name) for name in names)]:
        asked = [{"AttributeKey": key, "AttributeValue": value}]
        yield from pages(client, "lookup_events", "Events", LookupAttributes=asked, **span)


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _record(event: Mapping[str, Any]) -> Record | Gap | None:
    """The event as it is kept; None for one that no rule reads."""
    told = _parsed(event.get("CloudTrailEvent"))
    if told is None:
        return Gap(Reason.MALFORMED, "LookupEvents", "NotAnEvent", key=event["EventId"])
    actor = _actor(_object(told.get("userIdentity")))
    name, source = event["EventName"], str(told.get("eventSource") or event.get("EventSource"))
    if not actor["root"] and name not in WANTED.get(source, ()):
        return None
    request, response = _object(told.get("requestParameters")), _object(told.get("responseElements"))
    details = _object(told.get("serviceEventDetails"))
    return Record(
        event["EventId"],
        {
            "name": name,
            "source": source,
            "time": event["EventTime"],
            "region": told.get("awsRegion"),
            "account": told.get("recipientAccountId"),
            "error": told.get("errorCode"),
            "service_event": told.get("eventType") == "AwsServiceEvent",
            "actor": actor,
            "resources": _resources(event, told),
            "request": _only(request, _REQUEST) | _only(details, _REQUEST),
            "response": _only(response, _RESPONSE) | _only(details, _RESPONSE),
        },
    )


def _parsed(text: Any) -> dict[str, Any] | None:
    """The event as CloudTrail wrote it; None where that is no JSON object."""
    try:
        told = json.loads(text)
    except (TypeError, ValueError):
        return None
    return told if isinstance(told, dict) else None


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _actor(identity: Mapping[str, Any]) -> dict[str, Json]:
    """Who called; `root` is false for what a service of AWS does in root's name."""
    arn = identity.get("arn")
    issuer = _object(_object(identity.get("sessionContext")).get("sessionIssuer"))
    kind, invoked_by = identity.get("type"), identity.get("invokedBy")
    return {
        "type": kind,
        "arn": arn,
        "account": identity.get("accountId"),
        "session_name": arn.rpartition("/")[2] if kind == "AssumedRole" and isinstance(arn, str) else None,
        "issuer_arn": issuer.get("arn"),
        "invoked_by": invoked_by,
        "root": kind == "Root" and invoked_by is None,
    }


def _resources(event: Mapping[str, Any], told: Mapping[str, Any]) -> list[dict[str, Json]]:
    """Resources that the event is about, as the look-up and the event itself name them."""
    listed = [(one.get("ResourceType"), one.get("ResourceName")) for one in event.get("Resources", [])]
    within = told.get("resources")
    listed += [(one.get("type"), one.get("ARN")) for one in within if isinstance(one, dict)] if within else []
    return [{"type": kind, "name": name} for kind, name in sorted(set(listed), key=str)]


def _only(told: Mapping[str, Any], names: frozenset[str]) -> dict[str, Json]:
    """The named members, where they are plain values."""
    return {name: told[name] for name in sorted(names & told.keys()) if isinstance(told[name], (str, bool, int))}
