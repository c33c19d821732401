"""SageMaker's model registry: model packages with their approval, and model cards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agent.collect import json_text
from agent.model import Gap, Json, Reason, Record
from agent.registry import stream
from collectors.aws import AwsAccount
from collectors.aws.sagemaker_reading import Listed, ask, described, who

_REPORTS = {
    "quality": ("ModelQuality", ("Statistics", "Constraints")),
    "data_quality": ("ModelDataQuality", ("Statistics", "Constraints")),
    "bias": ("Bias", ("Report", "PreTrainingReport", "PostTrainingReport")),
    "explainability": ("Explainability", ("Report",)),
}
"""Name here -> member of ModelMetrics, and the reports in it."""

_TOPICS = {
    "intended use": ("intended_uses.purpose_of_model", "intended_uses.intended_uses"),
    "limitations": (
        "intended_uses.factors_affecting_model_efficiency", "additional_information.caveats_and_recommendations",
    ),
    "training data": (
        "training_details.training_observations", "training_details.training_job_details.training_datasets",
    ),
    "performance": ("evaluation_details",),
    "ethical considerations": ("additional_information.ethical_considerations",),
    "owner": ("model_overview.model_owner",),
}  # fmt: skip
"""Topic -> places of a card's content (SageMaker's own schema) of which one must be filled."""

_OWN_FIELDS = {"fairness": ("fairness", "bias"), "explanation": ("explanation", "explainability")}
"""Topics the schema has no place for: a custom detail, or an evaluation, with one of these words in its name."""


@stream(
    "aws.sagemaker.model_packages",
    per="region",
    every="1h",
    needs={
        "ListModelPackages": "sagemaker:ListModelPackages",
        "DescribeModelPackage": "sagemaker:DescribeModelPackage",
    },
    tags=["/customer_metadata"],
)
def model_packages(account: AwsAccount) -> Iterator[Record | Gap]:
    """Model packages, those of a group and those without, with their approval."""
    sagemaker = account.client("sagemaker")

    def describe(listed: Listed) -> Record | Gap:
        arn = listed["ModelPackageArn"]
        told = ask(sagemaker.describe_model_package, "ModelPackageArn", "CreationTime", ModelPackageName=arn)
        return told if isinstance(told, Gap) else Record(arn, _package(told))

    yield from described(
        sagemaker, "list_model_packages", "ModelPackageSummaryList", "ModelPackageArn", describe,
        ModelPackageType="Both",
    )  # fmt: skip


@stream(
    "aws.sagemaker.model_cards",
    per="region",
    every="1d",
    needs={"ListModelCards": "sagemaker:ListModelCards", "DescribeModelCard": "sagemaker:DescribeModelCard"},
)
def model_cards(account: AwsAccount) -> Iterator[Record | Gap]:
    """Model cards: status, and which topics each of them covers."""
    sagemaker = account.client("sagemaker")

    def describe(listed: Listed) -> Record | Gap:
        told = ask(
            sagemaker.describe_model_card, "ModelCardArn", "ModelCardStatus", "Content",
            ModelCardName=listed["ModelCardName"],
        )  # fmt: skip
        if isinstance(told, Gap):
            return told
        facts = {
            "name": told["ModelCardName"],
            "version": told["ModelCardVersion"],
            "status": told["ModelCardStatus"],
            "created": told.get("CreationTime"),
            "created_by": who(told.get("CreatedBy")),
            "modified": told.get("LastModifiedTime"),
            "modified_by": who(told.get("LastModifiedBy")),
            "content": _content(told["Content"], "DescribeModelCard"),
        }
        return Record(told["ModelCardArn"], facts)

    yield from described(sagemaker, "list_model_cards", "ModelCardSummaries", "ModelCardArn", describe)


def _package(told: Listed) -> dict[str, Any]:
    made, life = told.get("MetadataProperties") or {}, told.get("ModelLifeCycle")
    return {
        "name": told.get("ModelPackageName"),
        "group": told.get("ModelPackageGroupName"),
        "version": told.get("ModelPackageVersion"),
        "registration": told.get("ModelPackageRegistrationType"),
        "status": told.get("ModelPackageStatus"),
        "created": told["CreationTime"],
        "created_by": who(told.get("CreatedBy")),
        "modified": told.get("LastModifiedTime"),
        "modified_by": who(told.get("LastModifiedBy")),
        "approval_status": told.get("ModelApprovalStatus"),
        "approval_description": told.get("ApprovalDescription"),
        "life_cycle": life and {"stage": life.get("Stage"), "status": life.get("StageStatus")},
        "commit": made.get("CommitId"),
        "repository": made.get("Repository"),
        "generated_by": made.get("GeneratedBy"),
        "project": made.get("ProjectId"),
        "source_uri": told.get("SourceUri"),
        "containers": [_container(one) for one in (told.get("InferenceSpecification") or {}).get("Containers") or []],
        "metrics": _metrics(told.get("ModelMetrics") or {}),
        "card": _card(told.get("ModelCard")),
        "customer_metadata": dict(told.get("CustomerMetadataProperties") or {}),
    }


def _container(told: Listed) -> dict[str, Json]:
    source = (told.get("ModelDataSource") or {}).get("S3DataSource") or {}
    return {
        "image": told.get("Image"),
        "image_digest": told.get("ImageDigest"),
        "data_url": told.get("ModelDataUrl") or source.get("S3Uri"),
        "data_etag": told.get("ModelDataETag") or source.get("ETag") or source.get("ManifestEtag"),
    }


def _metrics(told: Listed) -> dict[str, list[str]]:
    """Where the reports of each kind lie."""
    return {
        name: [uri for report in reports if (uri := ((told.get(member) or {}).get(report) or {}).get("S3Uri"))]
        for name, (member, reports) in _REPORTS.items()
    }


def _card(told: Listed | None) -> Json:
    if not told or not told.get("ModelCardStatus"):
        return None
    return {
        "status": told["ModelCardStatus"],
        "content": _content(told.get("ModelCardContent") or "{}", "DescribeModelPackage"),
    }


def _content(text: str, operation: str) -> Json | Gap:
    """What a card is about and the topics it covers, from its content (JSON, SageMaker's own schema)."""
    card = json_text(text)
    if isinstance(card, Gap) or not isinstance(card, dict):
        return Gap(Reason.MALFORMED, operation, "NotACard")
    named = _named(card)
    covered = {topic for topic, places in _TOPICS.items() if any(_at(card, place) for place in places)}
    covered |= {
        topic for topic, words in _OWN_FIELDS.items() if any(word in name for word in words for name in named)
    }  # fmt: skip
    return {
        "topics": sorted(covered),
        "model": _text(_at(card, "model_overview.model_name")),
        "model_id": _text(_at(card, "model_overview.model_id")),
        "package": _text(_at(card, "model_package_details.model_package_arn")),
    }


def _named(card: Mapping[str, Any]) -> set[str]:
    """Names of the custom details that say something, and of the evaluations."""
    details, evaluations = _at(card, "additional_information.custom_details"), card.get("evaluation_details")
    found = {name for name, value in details.items() if value} if isinstance(details, dict) else set()
    for one in evaluations if isinstance(evaluations, list) else []:
        groups = one.get("metric_groups") if isinstance(one, dict) else None
        found.add(str(one.get("name")) if isinstance(one, dict) else "")
        found.update(str(group.get("name")) for group in groups or [] if isinstance(group, dict))
    return {name.casefold() for name in found}


def _at(card: Any, place: str) -> Any:
    for name in place.split("."):
        card = card.get(name) if isinstance(card, dict) else None
    return card


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
