"""Audit trail and log stores."""

from __future__ import annotations

from typing import Any

from agent.model import Gap, Reason
from tests.judging import DENIED
from tests.vectors import Vector

ACCOUNT, MANAGEMENT = "123456789012", "999988887777"
MAIN = f"arn:aws:cloudtrail:us-east-1:{ACCOUNT}:trail/main"
WHOLE = f"arn:aws:cloudtrail:us-east-1:{MANAGEMENT}:trail/whole"
TRAILS, SHADOWS, CALLS = "aws.cloudtrail.trails", "aws.cloudtrail.shadows", "aws.cloudtrail.interruptions"
DESTINATIONS, CAPTURES = "aws.cloudtrail.destinations", "aws.logs.captures"
GROUPS, BUCKETS = "aws.logs.groups", "aws.s3.buckets"
CHANGES = "docs.registers.changes"
PARTIAL = Gap(Reason.PARTIAL, "DescribeTrails")

# The vectors are judged on 2027-01-15 at 08:00 UTC.


def basic(read_write: str = "All", *, management: bool = True, excluded: tuple[str, ...] = ()) -> dict[str, Any]:
    """Selectors of the older form."""
    one = {"read_write": read_write, "management": management, "excluded": list(excluded), "data": []}
    return {"basic": [one], "advanced": []}


def advanced(*selectors: dict[str, Any]) -> dict[str, Any]:
    """Selectors of the newer form: for each, field -> values it equals, or {"not": values}."""
    told = []
    for selector in selectors:
        fields = []
        for name, values in selector.items():
            held: dict[str, Any] = {"field": name, "equals": [], "not_equals": []}
            held["not_equals" if isinstance(values, dict) else "equals"] = (
                values["not"] if isinstance(values, dict) else values
            )
            fields.append(held)
        told.append({"name": None, "fields": fields})
    return {"basic": [], "advanced": told}


def logging(**told: Any) -> dict[str, Any]:
    """The status of a trail that has logged since October."""
    held = {"is_logging": True, "latest_delivery_error": None, "latest_delivery": "2027-01-15"}
    return held | {"start": "2026-10-01T00:00:00Z", "stop": None} | told


def trail(**told: Any) -> dict[str, Any]:
    """A trail that records all that is asked for."""
    held = {
        "name": "main",
        "owner": ACCOUNT,
        "home_region": "us-east-1",
        "multi_region": True,
        "global_events": True,
        "validation": True,
        "organization": False,
        "bucket": "trail-logs",
        "prefix": None,
        "log_group": None,
        "kms_key": None,
        "logging": logging(),
        "selectors": basic(),
    }
    return held | told


def _active(status: str, own: dict[str, Any] | Gap, says: str = "", *, shadows: Any = None, more: Any = None) -> Vector:
    here = {TRAILS: own, SHADOWS: {} if shadows is None else shadows}
    known = own if isinstance(own, Gap) else {**own, **(more or {})}
    return Vector("trail-active", status, here=here, everywhere=here | {TRAILS: known}, says=says)


_SHADOW = {WHOLE: {"owner": MANAGEMENT, "bucket": "theirs"}}
_ORGANISATION = trail(name="whole", owner=MANAGEMENT, organization=True)

_ACTIVE = [
    _active("pass", {MAIN: trail()}, "recorded by main, own trail"),
    _active("fail", {}, "no trail records the account"),
    _active("fail", {MAIN: trail(multi_region=False)}, "not of all regions"),
    _active("fail", {MAIN: trail(global_events=False)}, "without global services"),
    _active("fail", {MAIN: trail(validation=False)}, "without log file validation"),
    _active("fail", {MAIN: trail(logging=logging(is_logging=False))}, "not logging"),
    _active("fail", {MAIN: trail(logging=logging(latest_delivery_error="AccessDenied"))}, "delivery fails"),
    _active("fail", {MAIN: trail(logging=logging(latest_delivery=None))}, "not delivered anything"),
    _active("pass", {MAIN: trail(logging=logging(latest_delivery="2027-01-14"))}),
    _active("fail", {MAIN: trail(logging=logging(latest_delivery="2027-01-13"))}, "delivered last on 2027-01-13"),
    _active("not_evaluated", DENIED),
    _active("not_evaluated", {MAIN: trail(logging=DENIED)}),
    _active("not_evaluated", {MAIN: trail(selectors=DENIED)}),
    _active("pass", {"blind": trail(logging=DENIED), MAIN: trail()}),
    _active("not_evaluated", {"blind": trail(logging=DENIED), MAIN: trail(validation=False)}),
    Vector("trail-active", "not_evaluated", here={TRAILS: {}, SHADOWS: {}}, partial={TRAILS: PARTIAL}),
    Vector("trail-active", "pass", here={TRAILS: {MAIN: trail()}, SHADOWS: {}}, partial={TRAILS: PARTIAL}),
    Vector("trail-active", "not_evaluated", here={TRAILS: {}, SHADOWS: DENIED}),
    # what is selected
    _active("fail", {MAIN: trail(selectors=basic("WriteOnly"))}, "not selected: read"),
    _active("fail", {MAIN: trail(selectors=basic("ReadOnly"))}, "not selected: write"),
    _active("fail", {MAIN: trail(selectors=basic(management=False))}, "not selected: read and write"),
    _active("pass", {MAIN: trail(selectors=basic(excluded=("kms.amazonaws.com",)))}, "left out: kms.amazonaws.com"),
    _active("pass", {MAIN: trail(selectors=advanced({"eventCategory": ["Management"]}))}),
    _active("fail", {MAIN: trail(selectors=advanced({"eventCategory": ["Data"]}))}, "not selected"),
    _active("fail", {MAIN: trail(selectors=advanced({"eventCategory": ["Management"], "readOnly": ["false"]}))}),
    _active(
        "pass",
        {MAIN: trail(selectors=advanced(
            {"eventCategory": ["Management"], "readOnly": ["true"]},
            {"eventCategory": ["Management"], "readOnly": ["false"]},
        ))},
    ),
    _active(
        "pass",
        {MAIN: trail(selectors=advanced(
            {"eventCategory": ["Management"], "eventSource": {"not": ["rdsdata.amazonaws.com"]}}
        ))},
        "left out: rdsdata.amazonaws.com",
    ),
    _active(
        "fail",
        {MAIN: trail(selectors=advanced({"eventCategory": ["Management"], "eventName": {"not": ["DeleteTrail"]}}))},
        "not selected",
    ),
    # a trail of the organisation
    _active("pass", {}, f"organisation trail of {MANAGEMENT}", shadows=_SHADOW, more={WHOLE: _ORGANISATION}),
    _active("not_evaluated", {}, "nothing is collected", shadows=_SHADOW),
    _active("not_evaluated", {MAIN: trail(validation=False)}, shadows=_SHADOW),
    _active("pass", {MAIN: trail()}, shadows=_SHADOW),
    _active("fail", {}, "whole", shadows=_SHADOW, more={WHOLE: _ORGANISATION | {"validation": False}}),
    _active("not_evaluated", {}, shadows=_SHADOW, more={WHOLE: _ORGANISATION | {"logging": DENIED}}),
]  # fmt: skip


def change(**told: Any) -> dict[str, Any]:
    """A register of changes with one row."""
    held = {"id": "C-7", "system": "cloudtrail main", "ref": "", "approved_by": "grace", "approved_on": "2027-01-09"}
    return {CHANGES: {"C-7": held | {"merged_on": "2027-01-10", "emergency": "no"} | told}}


def _call(status: str, here: dict[str, Any], says: str = "", **told: Any) -> Vector:
    held = {"name": "UpdateTrail", "time": "2027-01-10T09:00:00Z", "region": "us-east-1", "trail": MAIN, "actor": "ada"}
    return Vector("trail-interruptions", status, held | told, CALLS, key="event-1", here=here, says=says)


def _stopped(status: str, says: str = "", **told: Any) -> Vector:
    return Vector("trail-interruptions", status, trail(logging=logging(**told)), TRAILS, says=says)


_INTERRUPTIONS = [
    _stopped("pass", "logging since"),
    _stopped("pass", stop="2026-09-30T23:59:59Z"),
    _stopped("fail", "not started since", is_logging=False, stop="2026-10-02T00:00:00Z"),
    _stopped("not_applicable", "never logged", is_logging=False, start=None),
    Vector("trail-interruptions", "not_evaluated", trail(logging=DENIED), TRAILS),
    _call("fail", {}, "no approved row"),
    _call("pass", change(), "change C-7"),
    _call("pass", change(system="", ref="PROJ-1, event-1")),
    _call("pass", change(), trail="main"),
    _call("fail", change(system="cloudtrail mainframe")),
    _call("fail", change(approved_by="")),
    _call("fail", change(approved_on="2027-01-11", merged_on="2027-01-12")),
    _call("fail", change(approved_on="2027-01-02", merged_on="2027-01-08")),
    _call("pass", change(approved_on="2027-01-12", merged_on="2027-01-10", emergency="yes")),
    _call("not_evaluated", {CHANGES: {}}, "waited for", time="2027-01-14T09:00:00Z"),
    _call("fail", {CHANGES: {}}, time="2027-01-13T08:00:00Z"),
    _call("fail", {}, time="2027-01-14T09:00:00Z"),
    _call("not_evaluated", {CHANGES: DENIED}),
]


def group(name: str = "/aws/sagemaker/TrainingJobs", **told: Any) -> dict[str, Any]:
    """A log group that keeps everything."""
    held = {"name": name, "retention_days": None, "kms_key": None, "class": "STANDARD", "created": None, "tags": {}}
    return held | told


ARN = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:trail"
BUCKET = "arn:aws:s3:::trail-logs"
OWN_KEYS = {"key_standard": {"restricted": "customer", "internal": "provider"}}


def _kept(status: str, facts: dict[str, Any], here: Any = None, says: str = "", **settings: Any) -> Vector:
    seen = {TRAILS: {}} if here is None else here
    return Vector("log-retention-365", status, facts, GROUPS, key=ARN, here=seen, says=says, settings=settings)


def bucket(*rules: dict[str, Any], open_: bool = True, **told: Any) -> dict[str, Any]:
    """A bucket that trails may write to, with these lifecycle rules."""
    write = {"Effect": "Allow", "Principal": {"Service": "cloudtrail.amazonaws.com"}, "Action": "s3:PutObject"}
    held = {
        "name": "trail-logs",
        "policy": {"Version": "2012-10-17", "Statement": [write]} if open_ else None,
        "lifecycle": [{"ID": str(number), "Status": "Enabled", **rule} for number, rule in enumerate(rules)] or None,
        "versioning": {"Status": None, "MFADelete": None},
    }
    return held | told


def expire(days: int | None = None, prefix: str = "", **more: Any) -> dict[str, Any]:
    """A lifecycle rule for objects under a prefix."""
    return {"Filter": {"Prefix": prefix}, **({"Expiration": {"Days": days}} if days is not None else {}), **more}


SERVED = {"trail-logs": {"carries": ["logs of the trail main"], "places": ["AWSLogs/"]}}
CAPTURED = {"trail-logs": {"carries": ["logs of inference"], "places": ["captured/"]}}
VERSIONED = {"versioning": {"Status": "Enabled", "MFADelete": None}}


def _held(
    status: str, facts: dict[str, Any], says: str = "", served: Any = SERVED, captured: Any = None, **settings: Any
) -> Vector:
    return Vector(
        "log-retention-365", status, facts, BUCKETS, key=BUCKET, here={CAPTURES: captured or {}},
        everywhere={DESTINATIONS: served}, says=says, settings=settings,
    )  # fmt: skip


def _stores(status: str, here: dict[str, Any], says: str = "", everywhere: Any = None, **settings: Any) -> Vector:
    seen = {TRAILS: {}, GROUPS: {}, BUCKETS: {}, DESTINATIONS: {}, CAPTURES: {}} | here
    known = seen | (everywhere or {})
    return Vector(
        "log-retention-365", status, None, TRAILS, here=seen, everywhere=known, says=says, settings=settings
    )  # fmt: skip


_OF_TRAIL = {TRAILS: {MAIN: trail(log_group=ARN)}}

_RETENTION = [
    _kept("pass", group(), says="kept without end"),
    _kept("pass", group(retention_days=365)),
    _kept("fail", group(retention_days=364), says="kept 364 days, limit 365 days"),
    _kept("pass", group(retention_days=180), log_retention_days=180),
    _kept("fail", group("/aws/bedrock/modelinvocations", retention_days=30)),
    _kept("fail", group(**{"class": "DELIVERY"}), says="kept 2 days"),
    _kept("not_applicable", group("/app/web", retention_days=1), says="log_stores"),
    _kept("fail", group("/app/web", retention_days=1), log_stores=["/app/*"], says="declared"),
    _kept("fail", group("/app/web", retention_days=1), log_stores=[ARN]),
    _kept("not_evaluated", group(retention_days=DENIED)),
    _kept("not_evaluated", group("/app/web"), {TRAILS: DENIED}),
    _kept("pass", group("trail"), _OF_TRAIL, "logs of the trail main"),
    _kept("fail", group("trail", retention_days=90), {**_OF_TRAIL, BUCKETS: {BUCKET: bucket(expire(100))}}),
    _kept("pass", group("trail", retention_days=90), {**_OF_TRAIL, BUCKETS: {BUCKET: bucket()}}, "longer in"),
    _kept("fail", group("trail", retention_days=90), {**_OF_TRAIL, BUCKETS: {}}),
    _kept("not_evaluated", group("trail", retention_days=90), {**_OF_TRAIL, BUCKETS: DENIED}),
    _held("pass", bucket(), "removes nothing"),
    _held("pass", bucket(expire(365))),
    _held("fail", bucket(expire(364)), "removed after 364 days, limit 365 days"),
    _held("fail", bucket(expire(400), expire(30, "AWSLogs/123456789012/"))),
    _held("pass", bucket(expire(30, "tmp/"))),
    _held("fail", bucket(expire(30, "tmp/")), log_stores=["trail-logs"]),
    _held("pass", bucket({**expire(30), "Status": "Disabled"})),
    _held("pass", bucket({"Filter": {"And": {"Prefix": "", "Tags": [{"Key": "a", "Value": "b"}]}},
                          "Expiration": {"Days": 1}})),
    _held("fail", bucket({"Prefix": "", "Expiration": {"Date": "2028-01-01T00:00:00Z"}})),
    _held("pass", bucket(expire(30), **VERSIONED)),
    _held("fail", bucket(expire(30, NoncurrentVersionExpiration={"NoncurrentDays": 30}), **VERSIONED), "after 60 days"),
    _held("pass", bucket(expire(NoncurrentVersionExpiration={"NoncurrentDays": 30}), **VERSIONED)),
    _held("not_applicable", bucket(open_=False)),
    _held("not_applicable", bucket(), served={}),
    _held("fail", bucket(expire(9), open_=False), "declared", served={}, log_stores=[BUCKET]),
    _held("not_evaluated", bucket(lifecycle=DENIED)),
    _held("not_evaluated", bucket(policy=DENIED)),
    _held("not_evaluated", bucket(), served=DENIED),
    _held("not_applicable", bucket(open_=False), served=DENIED),
    _held("fail", bucket(expire(30), open_=False), "logs of inference: removed after 30 days", captured=CAPTURED),
    _held("pass", bucket(expire(30, "AWSLogs/"), open_=False), captured=CAPTURED),
    _held("fail", bucket(expire(30, "AWSLogs/")), "logs of inference, logs of the trail main", captured=CAPTURED),
    _held("not_evaluated", bucket(open_=False), captured=DENIED),
    _stores("fail", {}, "no store"),
    _stores("pass", {CAPTURES: CAPTURED}, "trail-logs"),
    _stores("not_evaluated", {CAPTURES: DENIED}),
    _stores("pass", {GROUPS: {ARN: group()}}, "/aws/sagemaker/TrainingJobs"),
    _stores("pass", {DESTINATIONS: SERVED, BUCKETS: {BUCKET: bucket()}}, "trail-logs"),
    _stores("pass", {DESTINATIONS: SERVED}, everywhere={BUCKETS: {BUCKET: bucket()}}),
    _stores("not_evaluated", {DESTINATIONS: SERVED}, "no account that is collected"),
    _stores("fail", {GROUPS: {ARN: group("/app/web")}}),
    _stores("pass", {GROUPS: {ARN: group("/app/web")}}, log_stores=["/app/web"]),
    _stores("not_evaluated", {GROUPS: DENIED}),
]  # fmt: skip


def _sealed(status: str, facts: dict[str, Any], here: Any = None, says: str = "", **settings: Any) -> Vector:
    seen = {TRAILS: {}} if here is None else here
    return Vector("log-encrypted", status, facts, GROUPS, key=ARN, here=seen, says=says, settings=settings)


_ENCRYPTED = [
    _sealed("not_applicable", group(), says="inherited from the provider"),
    _sealed("not_applicable", group("/app/web"), **OWN_KEYS),
    _sealed("fail", group(), says="restricted", **OWN_KEYS),
    _sealed("pass", group(kms_key="arn:aws:kms:us-east-1:123456789012:key/1"), **OWN_KEYS),
    _sealed("not_applicable", group(tags={"data_class": "internal"}), says="inherited", **OWN_KEYS),
    _sealed("not_evaluated", group(), default_data_class="", **OWN_KEYS),
    _sealed("not_evaluated", group(tags=DENIED), **OWN_KEYS),
    _sealed("not_evaluated", group("/app/web"), {TRAILS: DENIED}, **OWN_KEYS),
]


def _jobs(status: str, facts: dict[str, Any], says: str = "", **settings: Any) -> Vector:
    return Vector("job-log-retention", status, facts, here={TRAILS: {}}, says=says, settings=settings)


_JOBS = [
    _jobs("pass", group(), "inherited from the provider"),
    _jobs("pass", group("/aws/sagemaker/ProcessingJobs", retention_days=400, kms_key="key"), **OWN_KEYS),
    _jobs("fail", group(retention_days=30), "kept 30 days"),
    _jobs("fail", group(), "demands an own key", **OWN_KEYS),
    _jobs("not_applicable", group("/aws/sagemaker/Endpoints/churn")),
    _jobs("not_evaluated", group(retention_days=DENIED)),
    _jobs("not_evaluated", group(tags=DENIED), **OWN_KEYS),
]

VECTORS = [*_ACTIVE, *_INTERRUPTIONS, *_RETENTION, *_ENCRYPTED, *_JOBS]
NEVER = {"trail-active": "not_applicable: there is always an account"}
