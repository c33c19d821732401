"""Image repositories of a region: whether tags can be moved, and what is scanned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from agent.collect import facet
from agent.model import Gap, Json, Reason, Record
from agent.registry import stream
from collectors.aws import AwsAccount, pages

_BATCH = 25
"""Repositories whose scanning is asked for at once, the most that ECR allows."""
_GONE = "REPOSITORY_NOT_FOUND"


@stream(
    "aws.ecr.repositories",
    per="region",
    every="1d",
    needs={
        "BatchGetRepositoryScanningConfiguration": "ecr:BatchGetRepositoryScanningConfiguration",
        "DescribeRepositories": "ecr:DescribeRepositories",
    },
    unordered=["/exclusions"],
)
def repositories(account: AwsAccount) -> Iterator[Record | Gap]:
    """Image repositories: whether a tag can be moved, when images are scanned.

    `scan_on_push` is the setting of the repository itself, `scan_frequency` what is in force after the
    rules of the registry: SCAN_ON_PUSH, CONTINUOUS_SCAN or MANUAL. `exclusions` are the tags for which
    `tag_mutability` says the opposite.
    """
    ecr = account.client("ecr")
    for batch in _batches(pages(ecr, "describe_repositories", "repositories")):
        names = [repository["repositoryName"] for repository in batch]
        scans = facet(
            ecr.batch_get_repository_scanning_configuration, pick=["scanningConfigurations", "failures"],
            parse=_frequencies, repositoryNames=names,
        )  # fmt: skip
        for repository in batch:
            frequency = scans if isinstance(scans, Gap) else scans.get(repository["repositoryName"], _UNSAID)
            if frequency != _GONE:
                yield Record(repository["repositoryArn"], {**_facts(repository), "scan_frequency": frequency})


@stream(
    "aws.ecr.registries",
    per="region",
    every="1d",
    needs={"GetRegistryScanningConfiguration": "ecr:GetRegistryScanningConfiguration"},
    unordered=["/rules"],
)
def registries(account: AwsAccount) -> Iterator[Record | Gap]:
    """The registry of a region and which of its repositories are scanned by rule."""
    scanning = facet(account.client("ecr").get_registry_scanning_configuration, pick="scanningConfiguration")
    facts = {"region": account.region, "scan_type": scanning, "rules": scanning}
    if not isinstance(scanning, Gap):
        rules = [
            {
                "frequency": rule["scanFrequency"],
                "repositories": sorted(filter_["filter"] for filter_ in rule["repositoryFilters"]),
            }
            for rule in scanning.get("rules", [])
        ]
        facts |= {"scan_type": scanning["scanType"], "rules": rules}
    yield Record(f"{account.id}/{account.region}", facts)


_UNSAID = Gap(Reason.MALFORMED, "BatchGetRepositoryScanningConfiguration", "NotInAnswer")


def _facts(repository: Mapping[str, Any]) -> dict[str, Json]:
    encryption = repository.get("encryptionConfiguration", {})
    return {
        "name": repository["repositoryName"],
        "uri": repository["repositoryUri"],
        "created": repository.get("createdAt"),
        "tag_mutability": repository.get("imageTagMutability"),
        "exclusions": [
            {"type": each["filterType"], "filter": each["filter"]}
            for each in repository.get("imageTagMutabilityExclusionFilters", [])
        ],
        "scan_on_push": repository.get("imageScanningConfiguration", {}).get("scanOnPush"),
        "encryption": {"type": encryption.get("encryptionType"), "kms_key": encryption.get("kmsKey")},
    }


def _frequencies(told: Mapping[str, Any]) -> Json | Gap:
    """Repository -> when its images are scanned, or that it went away."""
    if told["scanningConfigurations"] is None:
        return Gap(Reason.MALFORMED, "BatchGetRepositoryScanningConfiguration", "NoscanningConfigurations")
    found = {each["repositoryName"]: each.get("scanFrequency") for each in told["scanningConfigurations"]}
    gone = {each["repositoryName"]: _GONE for each in told["failures"] or [] if each.get("failureCode") == _GONE}
    return found | gone


def _batches(listed: Iterable[Any]) -> Iterator[list[Any]]:
    rest = iter(listed)
    while batch := list(islice(rest, _BATCH)):
        yield batch
