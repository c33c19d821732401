"""SageMaker workplaces: notebooks, domains, monitoring schedules, managed MLflow."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from agent.model import Gap, Json, Record, SourceError
from agent.registry import stream
from collectors.aws import AwsAccount
from collectors.aws.sagemaker_reading import Listed, ask, described, tags_of, who

_TAGS = {"ListTags": "sagemaker:ListTags"}


@stream(
    "aws.sagemaker.notebooks",
    per="region",
    every="1d",
    needs={
        "ListNotebookInstances": "sagemaker:ListNotebookInstances",
        "DescribeNotebookInstance": "sagemaker:DescribeNotebookInstance",
        **_TAGS,
    },
    tags=["/tags"],
)
def notebooks(account: AwsAccount) -> Iterator[Record | Gap]:
    """Notebook instances: network, root access and key of each."""
    sagemaker = account.client("sagemaker")

    def describe(listed: Listed) -> Record | Gap:
        told = ask(
            sagemaker.describe_notebook_instance, "NotebookInstanceArn", "NotebookInstanceName",
            NotebookInstanceName=listed["NotebookInstanceName"],
        )  # fmt: skip
        if isinstance(told, Gap):
            return told
        metadata = told.get("InstanceMetadataServiceConfiguration") or {}
        facts = {
            "name": told["NotebookInstanceName"],
            "status": told.get("NotebookInstanceStatus"),
            "created": told.get("CreationTime"),
            "instance_type": told.get("InstanceType"),
            "platform": told.get("PlatformIdentifier"),
            "role": told.get("RoleArn"),
            "kms_key": told.get("KmsKeyId"),
            "subnet": told.get("SubnetId"),
            "security_groups": sorted(told.get("SecurityGroups") or []),
            "direct_internet": told.get("DirectInternetAccess"),
            "root_access": told.get("RootAccess"),
            "metadata_version": metadata.get("MinimumInstanceMetadataServiceVersion"),
            "tags": tags_of(sagemaker, told["NotebookInstanceArn"]),
        }
        return Record(told["NotebookInstanceArn"], facts)

    yield from described(
        sagemaker, "list_notebook_instances", "NotebookInstances", "NotebookInstanceArn", describe
    )  # fmt: skip


@stream(
    "aws.sagemaker.domains",
    per="region",
    every="1d",
    needs={"ListDomains": "sagemaker:ListDomains", "DescribeDomain": "sagemaker:DescribeDomain", **_TAGS},
    tags=["/tags"],
)
def domains(account: AwsAccount) -> Iterator[Record | Gap]:
    """Studio domains: sign-in, network and key of each."""
    sagemaker = account.client("sagemaker")

    def describe(listed: Listed) -> Record | Gap:
        told = ask(sagemaker.describe_domain, "DomainArn", "DomainId", DomainId=listed["DomainId"])
        if isinstance(told, Gap):
            return told
        of_users = told.get("DefaultUserSettings") or {}
        facts = {
            "id": told["DomainId"],
            "name": told.get("DomainName"),
            "status": told.get("Status"),
            "created": told.get("CreationTime"),
            "sign_in": told.get("AuthMode"),
            "network": told.get("AppNetworkAccessType"),
            "vpc": told.get("VpcId"),
            "subnets": sorted(told.get("SubnetIds") or []),
            "kms_key": told.get("KmsKeyId") or told.get("HomeEfsFileSystemKmsKeyId"),
            "role": of_users.get("ExecutionRole"),
            "security_groups": sorted(of_users.get("SecurityGroups") or []),
            "tags": tags_of(sagemaker, told["DomainArn"]),
        }
        return Record(told["DomainArn"], facts)

    yield from described(sagemaker, "list_domains", "Domains", "DomainArn", describe)


@stream(
    "aws.sagemaker.monitoring_schedules",
    per="region",
    every="1d",
    needs={
        "ListMonitoringSchedules": "sagemaker:ListMonitoringSchedules",
        "DescribeMonitoringSchedule": "sagemaker:DescribeMonitoringSchedule",
    },
)
def monitoring_schedules(account: AwsAccount) -> Iterator[Record | Gap]:
    """Schedules that watch endpoints, and how the last execution of each ended."""
    sagemaker = account.client("sagemaker")

    def describe(listed: Listed) -> Record | Gap:
        told = ask(
            sagemaker.describe_monitoring_schedule, "MonitoringScheduleArn", "MonitoringScheduleStatus",
            MonitoringScheduleName=listed["MonitoringScheduleName"],
        )  # fmt: skip
        if isinstance(told, Gap):
            return told
        config = told.get("MonitoringScheduleConfig") or {}
        facts = {
            "name": told["MonitoringScheduleName"],
            "type": told.get("MonitoringType") or config.get("MonitoringType"),
            "status": told["MonitoringScheduleStatus"],
            "created": told.get("CreationTime"),
            "endpoint": told.get("EndpointName"),
            "definition": config.get("MonitoringJobDefinitionName"),
            "schedule": (config.get("ScheduleConfig") or {}).get("ScheduleExpression"),
            "last_run": _last_run(told.get("LastMonitoringExecutionSummary")),
        }
        return Record(told["MonitoringScheduleArn"], facts)

    yield from described(
        sagemaker, "list_monitoring_schedules", "MonitoringScheduleSummaries", "MonitoringScheduleArn", describe
    )  # fmt: skip


@stream(
    "aws.sagemaker.mlflow_servers",
    per="region",
    every="1d",
    needs={
        "ListMlflowTrackingServers": "sagemaker:ListMlflowTrackingServers",
        "DescribeMlflowTrackingServer": "sagemaker:DescribeMlflowTrackingServer",
        "ListMlflowApps": "sagemaker:ListMlflowApps",
        "DescribeMlflowApp": "sagemaker:DescribeMlflowApp",
    },
)
def mlflow_servers(account: AwsAccount) -> Iterator[Record | Gap]:
    """Managed MLflow: tracking servers, and apps, which need none."""
    sagemaker = account.client("sagemaker")

    def server(listed: Listed) -> Record | Gap:
        told = ask(
            sagemaker.describe_mlflow_tracking_server, "TrackingServerArn", "TrackingServerName",
            TrackingServerName=listed["TrackingServerName"],
        )  # fmt: skip
        if isinstance(told, Gap):
            return told
        told = {**told, "Name": told["TrackingServerName"], "Status": told.get("TrackingServerStatus")}
        return Record(told["TrackingServerArn"], _mlflow("server", told))

    def app(listed: Listed) -> Record | Gap:
        told = ask(sagemaker.describe_mlflow_app, "Arn", "Name", Arn=listed["Arn"])
        return told if isinstance(told, Gap) else Record(told["Arn"], _mlflow("app", told))

    kinds = (
        ("list_mlflow_tracking_servers", "TrackingServerSummaries", "TrackingServerArn", server),
        ("list_mlflow_apps", "Summaries", "Arn", app),
    )
    for kind in kinds:
        try:
            yield from described(sagemaker, *kind)
        except SourceError as error:  # the other kind is listed all the same
            yield error.gap


def _mlflow(kind: str, told: Listed) -> dict[str, Any]:
    return {
        "kind": kind,
        "name": told["Name"],
        "status": told.get("Status"),
        "version": told.get("MlflowVersion"),
        "artifacts": told.get("ArtifactStoreUri"),
        "role": told.get("RoleArn"),
        "kms_key": told.get("KmsKeyId"),
        "created": told.get("CreationTime"),
        "created_by": who(told.get("CreatedBy")),
        "modified_by": who(told.get("LastModifiedBy")),
    }


def _last_run(summary: Listed | None) -> Json:
    """How the last execution ended, and on which day it was due; null before the first."""
    if not summary:
        return None
    due: datetime = summary["ScheduledTime"]
    return {"status": summary["MonitoringExecutionStatus"], "day": due.date()}
