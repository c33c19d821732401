"""Keys that the volumes and outputs of jobs are encrypted with, as their data class demands."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check
from checks.training.inputs import bucket_of, class_of_inputs
from checks.training.population import JOBS, PROCESSING, TRAINING, TRANSFORM

_KEYS = "aws.kms.keys"
_LOCAL_DISK = re.compile(
    r"ml\.(?:[a-z]+\d+[a-z]*d[a-z]*|g[5-9]e?|p[5-9](?:e|en)?(?:-\w+)?|f1|x1e?|i\d\w*|trn\d\w*|dl1)\.", re.ASCII
)
"""Instance types with NVMe disks of their own: encrypted by the hardware, a key cannot be given."""


@check("job-volume-key", over=JOBS)
def volumes_of_own_clusters(job: Facts, ctx: Context) -> Verdict:
    """The volumes of a training job are encrypted.

    On clusters of one's own whatever the data class is.
    Source: `encryption.volume`, or `volume_kms`, of the job record. Inventory.
    """
    del ctx
    key = job.get("volume_kms")
    if key:
        return passed(f"volumes encrypted with {key}", key=key)
    encryption = job["encryption"]
    if encryption is None:
        return failed("the job names no encryption of its volumes", volume=None)
    volume = encryption["volume"]
    if volume is True:
        return passed("volumes encrypted", volume=True)
    return failed("volumes not encrypted", volume=volume)


@check("job-volume-key", over=TRAINING, tags=["data_class"])
@check("job-volume-key", over=PROCESSING, tags=["data_class"])
@check("job-volume-key", over=TRANSFORM, tags=["data_class"])
def job_volume_key(job: Facts, ctx: Context) -> Verdict:
    """The volumes of a job have a key of one's own where the data class demands it.

    Source: VolumeKmsKeyId; class of the buckets that its inputs lie in; threshold `key_standard`. Types
    with local disks only are encrypted by their hardware. Inventory.
    """
    demanded = _demanded(job, ctx)
    if isinstance(demanded, Verdict):
        return demanded
    key, types = job["volume_kms"], job.list("instance_types")
    if key and is_own(key, ctx):
        return passed(f"volumes encrypted with {key}; {demanded}", key=key)
    if types and all(_LOCAL_DISK.match(type_) for type_ in types):
        return inapplicable(
            f"inherited from the provider: {', '.join(types)} has local disks, encrypted by hardware", types=types
        )
    named = f"the provider's key {key}" if key else "no key of one's own"
    return failed(f"volumes have {named}; {demanded}", key=key)


@check("job-output-key", over=TRAINING, tags=["data_class"])
@check("job-output-key", over=PROCESSING, tags=["data_class"])
@check("job-output-key", over=TRANSFORM, tags=["data_class"])
def job_output_key(job: Facts, ctx: Context) -> Verdict:
    """What a job writes has a key of one's own where the data class demands it.

    Source: KmsKeyId of the output; else the default encryption of the bucket it goes to. Inventory.
    """
    demanded = _demanded(job, ctx)
    if isinstance(demanded, Verdict):
        return demanded
    outputs = job["outputs"]
    key = outputs["kms"]
    if key:
        if is_own(key, ctx):
            return passed(f"outputs encrypted with {key}; {demanded}", key=key)
        return failed(f"outputs encrypted with the provider's key {key}; {demanded}", key=key)
    uris = outputs.list("uris")
    if not uris:
        return inapplicable("the job writes no output")
    unknown, bare = [], []
    for uri in uris:
        bucket = bucket_of(uri, ctx)
        if bucket is None:
            unknown.append(uri)
        elif not any(is_own(default, ctx) for default in _defaults(bucket)):
            bare.append(uri)
    if bare:
        return failed(f"no key of one's own for {', '.join(bare)}; {demanded}", uris=bare)
    if unknown:
        return undecided(Reason.DEPENDENCY, f"the bucket of {', '.join(unknown)} is not collected", uris=unknown)
    return passed(f"the buckets encrypt by default with a key of one's own; {demanded}", uris=list(uris))


def is_own(key: str, ctx: Context) -> bool:
    """Whether a key, by id, ARN or alias, is one of the customer's and not one that AWS manages."""
    if key.rpartition("alias/")[2].startswith("aws/") and "alias/" in key:
        return False
    found = ctx.everywhere(_KEYS).one(key) if key.startswith("arn:") and ctx.configured(_KEYS) else None
    return found is None or found["manager"] != "AWS"


def _demanded(job: Facts, ctx: Context) -> str | Verdict:
    """Why a key of one's own is demanded, in words; or what follows where none is."""
    standard = ctx.thresholds.get("key_standard") or {}
    if "customer" not in standard.values():
        return inapplicable("every class of data may have the provider's key (key_standard)")
    if not job.list("inputs"):
        default = ctx.thresholds.get("default_data_class", "restricted") or None
        found, said = default, "no input is named"
    else:
        found, said = class_of_inputs(job, ctx)
    if found is None:
        return undecided(Reason.NOT_CONFIGURED, f"unlabelled input: {said}")
    if standard.get(found) != "customer":
        return inapplicable(f"data of class {found} may have the provider's key: {said}", data_class=found)
    return f"its data is {found}: {said}"


def _defaults(bucket: Facts) -> Iterator[str]:
    """Keys that a bucket encrypts new objects with by default."""
    encryption = bucket.plain("encryption")
    for rule in (encryption or {}).get("Rules") or ():
        given = rule.get("ApplyServerSideEncryptionByDefault") or {}
        if str(given.get("SSEAlgorithm")).startswith("aws:kms") and given.get("KMSMasterKeyID"):
            yield str(given["KMSMasterKeyID"])
