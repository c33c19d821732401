"""Data in buckets: the key its class demands, its labels, where it lies, how long it is kept."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check
from checks.aws.kms import key_named
from checks.aws.kms_references import near
from checks.classes import STRICTEST, class_in_words, data_class, environment, in_production, is_labelled
from checks.owners import labels
from checks.registers import exempting

BUCKETS = "aws.s3.buckets"

_BY_KMS = ("aws:kms", "aws:kms:dsse")
_UNLABELLED = "unlabelled: no tag data_class, and no default_data_class is configured"


@check("bucket-customer-key", over=BUCKETS, tags=["data_class"])
def bucket_customer_key(bucket: Facts, ctx: Context) -> Verdict:
    """A bucket whose class demands it is encrypted with an enabled key of one's own.

    Settings `key_standard` and `default_data_class`. Source: the default encryption of the bucket, its
    key looked for among `aws.kms.keys` by ARN, id or alias, the last two in the bucket's region.
    """
    standard = ctx.thresholds["key_standard"]
    if "customer" not in standard.values():
        return inapplicable("the key standard of every class is the provider's key", standard="provider")
    found = data_class(bucket, ctx)
    if found is None:
        return undecided(Reason.NOT_CONFIGURED, _UNLABELLED)
    said = class_in_words(bucket, ctx)
    if standard[found] != "customer":
        return inapplicable(f"class {said}: its key standard is the provider's key", data_class=found)
    told = {"data_class": found}
    applied = next(_default_encryption(bucket), None)
    algorithm = applied["SSEAlgorithm"] if applied else None
    if applied is None or algorithm not in _BY_KMS:
        return failed(f"class {said} demands a key of one's own; encrypted with {algorithm or 'nothing'}",
                      algorithm=algorithm, **told)  # fmt: skip
    named = applied.get("KMSMasterKeyID")
    if not named:
        return failed(f"class {said} demands a key of one's own; the bucket names none", algorithm=algorithm, **told)
    key = key_named(named, near(bucket), ctx)
    told |= {"algorithm": algorithm, "named": named}
    if key is None:
        return undecided(Reason.DEPENDENCY, f"key {named} is not among those collected", **told)
    manager, state = key["manager"], key["state"]
    told |= {"key": key.key, "manager": manager, "state": state}
    if manager != "CUSTOMER":
        return failed(f"class {said} demands a key of one's own; {named} is managed by {manager}", **told)
    if state != "Enabled":
        return failed(f"the bucket's key {named} is {state}", **told)
    return passed(f"class {said}: encrypted with the enabled key {named} of one's own", **told)


@check("asset-tagged", over=BUCKETS, tags=["owner", "data_class"])
def asset_tagged(resource: Facts, ctx: Context) -> Verdict:
    """A bucket has an owner, who is a person still there, and a known class of data.

    By its tags `owner` and `data_class`, or its row of the assets register. Source: bucket tags, the
    people register or an identity source.
    """
    return labels(resource, ctx)


@check("region-allowed", over=BUCKETS, tags=["data_class"])
def region_allowed(bucket: Facts, ctx: Context) -> Verdict:
    """A bucket, and whatever it is copied to, lies in a region allowed for its class.

    Settings `allowed_regions` and `default_data_class`; a class that has no list has no limit.
    """
    allowed = regions_for(bucket, ctx)
    if isinstance(allowed, Verdict):
        return allowed
    region, said = bucket["region"], class_in_words(bucket, ctx)
    places = {"the bucket": region}
    for target in _copied_to(bucket):
        copy = ctx.everywhere(BUCKETS).one(target)
        if copy is None:
            return undecided(
                Reason.DEPENDENCY, f"copied to {target}, which is not among the buckets collected", region=region
            )
        places[target] = copy["region"]
    outside = [f"{place} in {where}" for place, where in places.items() if where not in allowed]
    facts = {"regions": sorted(set(places.values())), "allowed": list(allowed)}
    if outside:
        return failed(f"class {said} may not lie there: {', '.join(outside)}", **facts)
    return passed(f"class {said} may lie in {', '.join(facts['regions'])}", **facts)


@check("nonprod-no-raw-personal", over=BUCKETS, tags=["data_class", "environment"])
def nonprod_no_raw_personal(bucket: Facts, ctx: Context) -> Verdict:
    """No bucket outside production holds restricted or raw personal data.

    Source: tags `environment` (or setting `environments`) and `data_class`; rows of the datasets register
    whose `uri` lies in the bucket. A bucket of no known environment counts as production.
    """
    if in_production(bucket, ctx):
        return inapplicable(f"in production ({environment(bucket, ctx) or 'no environment is named'})")
    raw = [
        row.key
        for row in datasets_in(bucket, ctx)
        if row.get("contains_personal") == "yes" and row.get("deidentified") == "no"
    ]
    facts = {"environment": environment(bucket, ctx), "datasets": raw}
    if raw:
        return failed(f"raw personal data outside production: {', '.join(raw)}", **facts)
    if not is_labelled(bucket, ctx):
        return undecided(Reason.NOT_CONFIGURED, "unlabelled: no tag data_class says what lies outside production")
    said = class_in_words(bucket, ctx)
    if data_class(bucket, ctx) == STRICTEST:
        return failed(f"class {said} outside production", **facts)
    return passed(f"class {said}, no raw personal data registered", **facts)


def regions_for(resource: Facts, ctx: Context) -> list[str] | Verdict:
    """Regions that the class of a resource may lie in, or what follows where there is no limit to judge by."""
    limits = ctx.thresholds.get("allowed_regions") or {}
    if not limits:
        return undecided(Reason.NOT_CONFIGURED, "no allowed_regions are configured")
    found = data_class(resource, ctx)
    if found is None:
        return undecided(Reason.NOT_CONFIGURED, _UNLABELLED)
    if found not in limits:
        return inapplicable(f"class {class_in_words(resource, ctx)} has no limit of regions", data_class=found)
    return list(limits[found])


def datasets_in(bucket: Facts, ctx: Context) -> Iterator[Facts]:
    """Rows of the datasets register whose `uri` lies in the bucket."""
    place = re.compile(rf"s3[an]?://{re.escape(bucket['name'])}(?:/|$)")
    return (row for row in exempting(ctx, "datasets") if place.match(row.get("uri") or ""))


def _default_encryption(bucket: Facts) -> Iterator[Facts]:
    config = bucket["encryption"]
    for rule in config.list("Rules") if config else ():
        if applied := rule.get("ApplyServerSideEncryptionByDefault"):
            yield applied


def _copied_to(bucket: Facts) -> Iterator[str]:
    """ARNs of the buckets that enabled replication rules write to."""
    replication = bucket["replication"]
    for rule in replication.list("Rules") if replication else ():
        if rule["Status"] == "Enabled":
            yield rule["Destination"]["Bucket"]
