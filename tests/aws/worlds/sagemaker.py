"""What serves in the two accounts, and the registry behind it.

The emulator lacks inference components, monitoring schedules and managed MLflow, and forgets who approved:
these are answered beside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import boto3

from tests.aws.emulated import ACCOUNT

SERVICES = ("sagemaker",)
CANNOT_TURN = dict.fromkeys(
    (
        "approver-not-author", "author-attributable", "previous-version-present", "promotion-has-approval",
        "promotion-has-change-record", "version-numbers-contiguous",
    ),
    "told from how the account changes, not from how it is: tests/aws/test_sagemaker_history.py",
)  # fmt: skip

REGION = "us-east-1"
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
APPROVED = datetime(2026, 1, 3, tzinfo=UTC)
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
BUCKET = "s3://models/credit"
CARD = (
    '{"model_overview": {"model_owner": "ada", "model_name": "credit"}, "intended_uses": {"purpose_of_model": "score",'
    ' "factors_affecting_model_efficiency": "few"}, "training_details": {"training_observations": "2025"},'
    ' "evaluation_details": [{"name": "bias report"}], "additional_information": {"ethical_considerations": "none",'
    ' "custom_details": {"explanation": "weights"}}}'
)


def arn(kind: str, name: str) -> str:
    """ARN of a SageMaker resource of the account."""
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{kind}/{name}"


def fill(*, good: bool) -> None:
    """A group of three packages, an endpoint that runs one, a notebook, a domain and a model card."""
    sagemaker = boto3.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="credit")
    for number in (1, 2, 3):
        sagemaker.create_model_package(
            ModelPackageGroupName="credit",
            ModelApprovalStatus="Approved" if good or number != 2 else "PendingManualApproval",
            InferenceSpecification={
                "Containers": [{"Image": "i", "ModelDataUrl": f"{BUCKET}/{number}/model.tar.gz"}],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv"],
            },
        )
    tags = [{"Key": name, "Value": value} for name, value in (("owner", "ada"), ("data_class", "internal"))]
    sagemaker.create_model(
        ModelName="credit-2", ExecutionRoleArn="arn:aws:iam::123456789012:role/work", Tags=tags,
        PrimaryContainer={"ModelPackageName": arn("model-package", "credit/2")},
    )  # fmt: skip
    sagemaker.create_endpoint_config(
        EndpointConfigName="credit-2",
        ProductionVariants=[
            {"VariantName": "all", "ModelName": "credit-2", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        ],
        **({"KmsKeyId": KEY} if good else {}),
    )
    sagemaker.create_endpoint(EndpointName="credit", EndpointConfigName="credit-2", Tags=tags if good else [])
    key = {"KmsKeyId": KEY} if good else {}
    sagemaker.create_notebook_instance(
        NotebookInstanceName="lab", InstanceType="ml.t3.medium", RoleArn="arn:aws:iam::123456789012:role/work",
        **key,
    )  # fmt: skip
    sagemaker.create_domain(
        DomainName="studio", AuthMode="IAM", DefaultUserSettings={}, SubnetIds=["subnet-1"], VpcId="vpc-1",
        **key,
    )  # fmt: skip
    sagemaker.create_model_card(ModelCardName="credit", Content=CARD, ModelCardStatus="Approved" if good else "Draft")


def answers(*, good: bool) -> dict[str, Any]:
    """What the emulator does not tell."""
    return {
        "sagemaker.DescribeModelPackage": lambda asked: package(_member(asked, "ModelPackageName"), good=good),
        "sagemaker.ListTags": lambda asked: _tags(_member(asked, "ResourceArn"), good=good),
        **_components(good=good),
        **_schedules(good=good),
        **_mlflow(),
    }


def _member(asked: Mapping[str, Any], name: str) -> str:
    """A member of the request, as it goes out."""
    return str(json.loads(asked["body"])[name])


def _tags(of: str, *, good: bool) -> Mapping[str, Any] | None:
    """Tags of what the emulator cannot tag."""
    if ":domain/" not in of and ":inference-component/" not in of:
        return None
    return {"Tags": [{"Key": "data_class", "Value": "restricted"}] if good else []}


def package(named: str, *, good: bool) -> Mapping[str, Any]:
    """A package as AWS describes it, with who approved it and the reports behind it."""
    number = int(named.rpartition("/")[2])
    return {
        "ModelPackageName": named,
        "ModelPackageGroupName": "credit",
        "ModelPackageVersion": number,
        "ModelPackageArn": arn("model-package", f"credit/{number}"),
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": []},
        "CreationTime": AT,
        "CreatedBy": {"UserProfileName": "ada"} if good else {},
        "LastModifiedTime": APPROVED,
        "LastModifiedBy": {"UserProfileName": "bob" if good else "ada"},
        "ModelApprovalStatus": "Approved" if good or number != 2 else "PendingManualApproval",
        "InferenceSpecification": {"Containers": [{"Image": "i", "ModelDataUrl": f"{BUCKET}/{number}/model.tar.gz"}]},
        "MetadataProperties": {"CommitId": "c" * 40},
        "ModelMetrics": {"Bias": {"Report": {"ContentType": "application/json", "S3Uri": f"{BUCKET}/bias.json"}}}
        if good
        else {},
        "CustomerMetadataProperties": {"change_ref": "CHG-1"},
        **({"ModelCard": {"ModelCardStatus": "Approved", "ModelCardContent": CARD}} if good else {}),
    }


def _components(*, good: bool) -> dict[str, Any]:
    uri = f"{BUCKET}/{1 if good else 2}/model.tar.gz"
    runs: dict[str, Any] = {"scorer": {"Container": {"ArtifactUrl": uri}}, "whole": {"ModelName": "credit-2"}}

    def told(name: str) -> dict[str, Any]:
        return {
            "CreationTime": AT,
            "LastModifiedTime": AT,
            "InferenceComponentArn": arn("inference-component", name),
            "InferenceComponentName": name,
            "InferenceComponentStatus": "InService",
            "EndpointArn": arn("endpoint", "credit"),
            "EndpointName": "credit",
            "VariantName": "all",
        }

    def described(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        name = _member(asked, "InferenceComponentName")
        return {**told(name), "Specification": runs[name]}

    return {
        "sagemaker.ListInferenceComponents": lambda _: {"InferenceComponents": [told(name) for name in runs]},
        "sagemaker.DescribeInferenceComponent": described,
    }


def _schedules(*, good: bool) -> dict[str, Any]:
    listed = {
        "MonitoringScheduleName": "drift",
        "MonitoringScheduleArn": arn("monitoring-schedule", "drift"),
        "CreationTime": AT,
        "LastModifiedTime": AT,
        "MonitoringScheduleStatus": "Scheduled" if good else "Stopped",
        "EndpointName": "credit",
        "MonitoringType": "DataQuality",
    }
    run = {"ScheduledTime": AT, "CreationTime": AT, "LastModifiedTime": AT, "MonitoringExecutionStatus": "Completed"}
    told = {
        **listed,
        "MonitoringScheduleConfig": {"ScheduleConfig": {"ScheduleExpression": "cron(0 * ? * * *)"}},
        "LastMonitoringExecutionSummary": {"MonitoringScheduleName": "drift", **run},
    }
    return {
        "sagemaker.ListMonitoringSchedules": lambda _: {"MonitoringScheduleSummaries": [listed]},
        "sagemaker.DescribeMonitoringSchedule": lambda _: told,
    }


def _mlflow() -> dict[str, Any]:
    server = {"TrackingServerArn": arn("mlflow-tracking-server", "runs"), "TrackingServerName": "runs"}
    app = {"Arn": arn("mlflow-app", "app-1"), "Name": "registry", "Status": "Created"}
    return {
        "sagemaker.ListMlflowTrackingServers": lambda _: {"TrackingServerSummaries": [server]},
        "sagemaker.DescribeMlflowTrackingServer": lambda _: {**server, "ArtifactStoreUri": "s3://models/mlflow"},
        "sagemaker.ListMlflowApps": lambda _: {"Summaries": [app]},
        "sagemaker.DescribeMlflowApp": lambda _: {**app, "ArtifactStoreUri": "s3://models/mlflow"},
    }
