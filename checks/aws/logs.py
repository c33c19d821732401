"""Log stores: kept for the set time, encrypted as their class asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agent.facts import Context, Facts
from agent.history import History
from agent.model import Reason, Record, Status, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check, derived
from checks.aws.policy import members, statements
from checks.aws.trail_events import DESTINATIONS, TRAILS
from checks.classes import class_in_words, data_class
from checks.registers import names

GROUPS, BUCKETS, ENDPOINTS = "aws.logs.groups", "aws.s3.buckets", "aws.sagemaker.endpoints"
CAPTURES = "aws.logs.captures"

_KNOWN = ("/aws/sagemaker/*", "/aws/bedrock*")
"""Log groups that AWS itself names so: of training, processing, endpoints; of model invocations."""
_OF_JOBS = tuple(f"/aws/sagemaker/{kind}Jobs" for kind in ("Training", "Processing", "Transform"))
_DELIVERY_DAYS = 2
"""What a group of class DELIVERY keeps; nothing sets it otherwise."""


@derived(CAPTURES, kind="state", of=(ENDPOINTS,))
def captures(history: History, ctx: Context) -> Iterator[Record]:
    """Each bucket in which endpoints of the account keep requests and answers."""
    found: dict[str, set[str]] = {}
    for endpoint in history.now(ENDPOINTS):
        capture = endpoint["capture"]
        if capture and capture["destination"]:
            bucket, _, prefix = capture["destination"].removeprefix("s3://").partition("/")
            found.setdefault(bucket, set()).add(f"{prefix.rstrip('/')}/" if prefix else "")
    for bucket, places in found.items():
        yield Record(bucket, {"carries": ["logs of inference"], "places": sorted(places)})


@check("log-retention-365", over=GROUPS)
def group_kept(group: Facts, ctx: Context) -> Verdict:
    """Each log group with security, training or inference logs keeps them.

    The limit is the company's standard; a report adds that it reaches 90 days past its period. What a trail
    also delivers to a bucket counts as kept when the bucket keeps it.
    """
    role = _role(group, ctx)
    if role is None:
        return inapplicable("carries no security, training or inference logs: see the setting log_stores")
    return _kept(group, role, ctx)


@check("log-retention-365", over=BUCKETS)
def bucket_kept(bucket: Facts, ctx: Context) -> Verdict:
    """Each bucket with logs of a trail or of inference keeps them."""
    known = ctx.thresholds["log_stores"]
    places, roles = set(), []
    if names(known, bucket["name"]) or names(known, bucket.key):
        places, roles = {""}, ["declared"]
    else:
        served = [one for one in ctx.everywhere(DESTINATIONS) if one.key == bucket["name"]] if _open(bucket) else []
        captured = ctx.here(CAPTURES).one(bucket["name"])
        for one in [*served, *([captured] if captured else [])]:
            places.update(one.list("places"))
            roles += one.list("carries")
    if not roles:
        return inapplicable("carries no logs of a trail or of inference, and log_stores does not name it")
    limit, role = ctx.thresholds["log_retention_days"], ", ".join(sorted(set(roles)))
    days = _expiry(bucket, sorted(places))
    told = {"role": role, "expires_after_days": days, "log_retention_days": limit}
    if days is None:
        return passed(f"{role}: the lifecycle removes nothing", **told)
    return (failed if days < limit else passed)(f"{role}: removed after {days} days, limit {limit} days", **told)


@check("log-retention-365", once=TRAILS)
def stores_known(ctx: Context) -> Verdict:
    """The account has a store of security, training or inference logs."""
    known = ctx.thresholds["log_stores"]
    groups = [group["name"] for group in ctx.here(GROUPS) if names([*_KNOWN, *known], group["name"])]
    declared = [one["name"] for one in ctx.here(BUCKETS) if names(known, one["name"]) or names(known, one.key)]
    buckets = sorted(one.key for one in ctx.here(DESTINATIONS))
    stores = sorted({*groups, *declared, *buckets}) or sorted(one.key for one in ctx.here(CAPTURES))
    if not stores:
        return failed("no store of security, training or inference logs; lists complete", stores=[])
    unseen = [name for name in buckets if _bucket(name, ctx) is None]
    if unseen:
        said = f"the bucket of a trail is in no account that is collected: {', '.join(unseen)}"
        return undecided(Reason.DEPENDENCY, said, stores=stores)
    return passed(f"log stores: {', '.join(stores)}", stores=stores)


@check("log-encrypted", over=GROUPS, tags=["data_class"])
def group_encrypted(group: Facts, ctx: Context) -> Verdict:
    """Each log store of a class that demands own keys is encrypted with one.

    The provider encrypts every log group; that is enough where the key standard says so.
    """
    if _role(group, ctx) is None:
        return inapplicable("carries no security, training or inference logs: see the setting log_stores")
    return _encrypted(group, ctx)


@check("job-log-retention", over=GROUPS, tags=["data_class"])
def job_logs_kept(group: Facts, ctx: Context) -> Verdict:
    """Each log group of training jobs keeps them, encrypted as their class asks."""
    if group["name"] not in _OF_JOBS:
        return inapplicable("carries no logs of training jobs")
    kept, encrypted = _kept(group, "logs of training jobs", ctx), _encrypted(group, ctx)
    for verdict in (kept, encrypted):
        if verdict.status in (Status.FAIL, Status.NOT_EVALUATED):
            return verdict
    return passed(f"{kept.message}; {encrypted.message}", **{**kept.facts, **encrypted.facts})


def _role(group: Facts, ctx: Context) -> str | None:
    """What makes a log group a store to be judged; None where nothing does."""
    known = ctx.thresholds["log_stores"]
    if names(known, group["name"]) or names(known, group.key):
        return "declared"
    if names(_KNOWN, group["name"]):
        return "logs of training or inference"
    trail = next((one["name"] for one in ctx.here(TRAILS) if one["log_group"] == group.key), None)
    return f"logs of the trail {trail}" if trail else None


def _kept(group: Facts, role: str, ctx: Context) -> Verdict:
    days, limit = group["retention_days"], ctx.thresholds["log_retention_days"]
    if days is None and group["class"] == "DELIVERY":
        days = _DELIVERY_DAYS
    told: dict[str, Any] = {"role": role, "retention_days": days, "log_retention_days": limit}
    if days is None:
        return passed(f"{role}: kept without end", **told)
    if days >= limit:
        return passed(f"{role}: kept {days} days, limit {limit} days", **told)
    for trail in ctx.here(TRAILS):
        if trail["log_group"] == group.key and (bucket := _bucket(trail["bucket"], ctx)):
            longer = _expiry(bucket, [""])
            if longer is None or longer >= limit:
                return passed(f"{role}: kept {days} days here and longer in {bucket['name']}", **told)
    return failed(f"{role}: kept {days} days, limit {limit} days", **told)


def _encrypted(group: Facts, ctx: Context) -> Verdict:
    standard: dict[str, str] = ctx.thresholds["key_standard"]
    if "customer" not in standard.values():
        return inapplicable("inherited from the provider: every log group is encrypted; no class demands own keys")
    klass = data_class(group, ctx)
    if klass is None:
        return undecided(Reason.NOT_CONFIGURED, "unlabelled, and no default class of data is set")
    said, key = class_in_words(group, ctx), group["kms_key"]
    told = {"class": klass, "kms_key": key}
    if standard.get(klass) != "customer":
        return inapplicable(f"inherited from the provider: class {said} demands no own key", **told)
    if key:
        return passed(f"class {said}: encrypted with {key}", **told)
    return failed(f"class {said} demands an own key, the group has none", **told)


def _open(bucket: Facts) -> bool:
    """Whether the policy lets CloudTrail write: without that no trail delivers to the bucket."""
    for statement in statements(bucket.plain("policy"), "Allow"):
        principal = statement.get("Principal")
        if isinstance(principal, dict) and "cloudtrail.amazonaws.com" in members(principal.get("Service")):
            return True
    return False


def _bucket(name: str | None, ctx: Context) -> Facts | None:
    """A bucket of any account that is collected; its key has the partition in it."""
    if not name:
        return None
    view = ctx.everywhere(BUCKETS)
    found = (view.one(f"arn:{partition}:s3:::{name}") for partition in ("aws", "aws-us-gov", "aws-cn"))
    return next((bucket for bucket in found if bucket is not None), None)


def _expiry(bucket: Facts, places: list[str]) -> int | None:
    """Days after which the lifecycle removes what lies under these prefixes; None: never.

    In a versioned bucket an expired object stays until its old version expires.
    """
    rules = [rule for rule in bucket.plain("lifecycle") or [] if rule.get("Status") == "Enabled"]
    rules = [rule for rule in rules if any(_concerns(rule, place) for place in places)]
    days = min(_days(rules, "Expiration", "Days"), default=None)
    if days is None or bucket["versioning"]["Status"] != "Enabled":
        return days
    older = min(_days(rules, "NoncurrentVersionExpiration", "NoncurrentDays"), default=None)
    return None if older is None else days + older


def _days(rules: list[dict[str, Any]], action: str, member: str) -> Iterator[int]:
    """After how many days each rule removes; one with a date removes whatever there is then."""
    for rule in rules:
        told = rule.get(action) or {}
        if told.get(member) is not None:
            yield int(told[member])
        elif told.get("Date") is not None:
            yield 0


def _concerns(rule: dict[str, Any], place: str) -> bool:
    """Whether a rule speaks of objects under a prefix; logs have no tags, so none that asks for tags does."""
    held = rule.get("Filter") or {}
    held = held.get("And", held)
    if held.get("Tag") or held.get("Tags"):
        return False
    prefix = str(held.get("Prefix") or rule.get("Prefix") or "")
    return place.startswith(prefix) or prefix.startswith(place)
