"""SageMaker's resources: labels, region, and the key of their volumes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check
from checks.aws.bucket_data import regions_for
from checks.aws.deployment import ENDPOINTS, variants_of
from checks.classes import class_in_words, data_class
from checks.owners import labels

_LOCAL_DISK = re.compile(
    r"ml\.(?:[a-z]+\d+[a-z]*d[a-z]*|g5|g6|g6e|gr6|g7|g7e|p5|p5e|p5en|p6[\w-]*|trn1n?|trn2|dl1|i3|i3en|i4i)\."
)
"""Instances whose local disks a chip encrypts; a key of one's own cannot be set for them."""


@check("asset-tagged", over=ENDPOINTS, tags=["owner", "data_class"])
def endpoint_tagged(endpoint: Facts, ctx: Context) -> Verdict:
    """An endpoint has an owner, a person still there, and a known class of data.

    By its tags `owner` and `data_class`, or its row of the assets register.
    """
    return labels(endpoint, ctx)


@check("region-allowed", over=ENDPOINTS, tags=["data_class"])
def endpoint_region_allowed(endpoint: Facts, ctx: Context) -> Verdict:
    """An endpoint lies in a region allowed for its class.

    Settings `allowed_regions` and `default_data_class`; a class that has no list has no limit.
    """
    allowed = regions_for(endpoint, ctx)
    if isinstance(allowed, Verdict):
        return allowed
    region, said = endpoint.key.split(":")[3], class_in_words(endpoint, ctx)
    facts = {"regions": [region], "allowed": list(allowed)}
    if region not in allowed:
        return failed(f"class {said} may not lie in {region}", **facts)
    return passed(f"class {said} may lie in {region}", **facts)


@check("volume-encryption", over="aws.sagemaker.notebooks", tags=["data_class"])
def notebook_volume(notebook: Facts, ctx: Context) -> Verdict:
    """The volume of a notebook has a key of one's own where its class demands it.

    Elsewhere the key is listed. Settings `key_standard` and `default_data_class`.
    """
    return _own_key(notebook, notebook["kms_key"], [notebook["instance_type"]], ctx)


@check("volume-encryption", over="aws.sagemaker.domains", tags=["data_class"])
def domain_volume(domain: Facts, ctx: Context) -> Verdict:
    """The files of a domain have a key of one's own where its class demands it.

    Elsewhere the key is listed. Settings `key_standard` and `default_data_class`.
    """
    return _own_key(domain, domain["kms_key"], [], ctx)


@check("volume-encryption", over=ENDPOINTS, tags=["data_class"])
def endpoint_volume(endpoint: Facts, ctx: Context) -> Verdict:
    """The volumes of an endpoint have a key of one's own where its class demands it.

    Elsewhere the key is listed. Settings `key_standard` and `default_data_class`. Source: the endpoint's
    configuration in force.
    """
    config = endpoint["config"]
    if config is None:
        return undecided(Reason.DEPENDENCY, "the configuration of the endpoint was deleted: its key is not told")
    variants = variants_of(endpoint)
    if variants and all(variant["serverless"] for variant in variants):
        return inapplicable("inherited from the provider: serverless variants have no volumes of one's own")
    types = [kind for variant in variants if not variant["serverless"] for kind in variant["instance_types"]]
    return _own_key(endpoint, config["kms_key"], types, ctx)


def _own_key(holder: Facts, key: str | None, types: Sequence[str], ctx: Context) -> Verdict:
    """Whether volumes have the key that their class demands; `types` are the instances they belong to."""
    kinds = sorted(set(types))
    facts: dict[str, Any] = {"key": key, "instance_types": kinds}
    local = [kind for kind in kinds if _LOCAL_DISK.match(kind)]
    if local and local == kinds:
        said = f"inherited from the provider: {', '.join(local)} encrypts its local disks by itself"
        return inapplicable(said, **facts)
    standard, listed = ctx.thresholds["key_standard"], f"key {key}" if key else "AWS's own key"
    if "customer" not in standard.values():
        return inapplicable(f"the key standard of every class is the provider's key; {listed}", **facts)
    found = data_class(holder, ctx)
    if found is None:
        return undecided(Reason.NOT_CONFIGURED, "unlabelled: no tag data_class, and no default_data_class", **facts)
    said = class_in_words(holder, ctx)
    if standard[found] != "customer":
        return inapplicable(f"class {said}: its key standard is the provider's key; {listed}", **facts)
    if not key:
        return failed(f"class {said} demands a key of one's own; the volumes name none", **facts)
    return passed(f"class {said}: volumes encrypted with key {key}", **facts)
