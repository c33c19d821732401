"""Jobs of the two accounts: the same names, opposite settings; the audit events are the same in both.

The emulator ends every job at once and loses part of what it is told, so jobs are answered beside it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.aws.emulated import ACCOUNT
from tests.aws.worlds.cloudtrail import event

SERVICES = ("sagemaker", "logs")
SETTINGS = {"trusted_registries": [f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com"], "scan_job_logs": True}
SOURCE = {"scan_job_logs": True}
CANNOT_TURN = {"dataset-used-is-registered": "the register of data sets is no part of the account"}

Answer = Callable[[Mapping[str, Any]], Mapping[str, Any] | None]

KEY = "11111111-2222-3333-4444-555555555555"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/train"
REGISTRY = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com"
NOW = datetime.now(UTC).replace(microsecond=0)
CREATED, STARTED, ENDED = NOW - timedelta(days=12), NOW - timedelta(days=11), NOW - timedelta(days=10)
OTHER = CREATED - timedelta(hours=3)
"""When the jobs of the bad account were created: no audit event is of that time."""

KINDS = {"training": "TrainingJob", "processing": "ProcessingJob", "transform": "TransformJob"}
TUNING = "HyperParameterTuningJob"
PRODUCTION = {"environment": "production", "group": "nightly"}


def arn(kind: str, name: str) -> str:
    """ARN of a job of the account."""
    return f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:{kind}-job/{name}"


def training(*, good: bool) -> dict[str, dict[str, Any]]:
    """A job of production, one that failed, one of development and the child of a tuning job."""
    whole = _training("nightly-1", good=good)
    ended = _training("nightly-2", good=good) | {"TrainingJobStatus": "Failed", "FailureReason": "AlgorithmError"}
    other = _training("explore-1", good=good)
    if not good:
        whole |= {"TrainingJobStatus": "InProgress"}
        other |= {"InputDataConfig": [_channel("s3://outside/raw")]}
    child = {**_training("sweep-1-001", good=good), "TuningJobArn": arn("hyper-parameter-tuning", "sweep-1")}
    return {job["TrainingJobName"]: job for job in (whole, ended, other, child)}


def _training(name: str, *, good: bool) -> dict[str, Any]:
    return {
        "TrainingJobName": name,
        "TrainingJobArn": arn("training", name),
        "TrainingJobStatus": "Completed",
        "SecondaryStatus": "Completed",
        "CreationTime": CREATED if good else OTHER,
        "TrainingStartTime": STARTED,
        "TrainingEndTime": ENDED,
        "ModelArtifacts": {"S3ModelArtifacts": f"s3://models/jobs/{name}/model.tar.gz"},
        "AlgorithmSpecification": {"TrainingImage": f"{REGISTRY}/trainer:1.4", "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "HyperParameters": {"lr": "0.1"} if good else {"hub": "hf_" + "abcdefghijklmnopqrstuvwxyzABCDEFGH"},
        "Environment": {"MODE": "fast"},
        "InputDataConfig": [_channel("s3://training/2026")],
        "OutputDataConfig": {"S3OutputPath": "s3://models/jobs", **({"KmsKeyId": KEY} if good else {})},
        "ResourceConfig": {
            "InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 10,
            **({"VolumeKmsKeyId": KEY} if good else {}),
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        "EnableNetworkIsolation": good,
        "EnableInterContainerTrafficEncryption": good,
        "RemoteDebugConfig": {"EnableRemoteDebug": not good},
        **({"VpcConfig": {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}} if good else {}),
    }  # fmt: skip


def _channel(uri: str) -> dict[str, Any]:
    return {"ChannelName": "train", "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}}


def processing(*, good: bool) -> dict[str, dict[str, Any]]:
    """One job that prepares data for production."""
    job = {
        "ProcessingJobName": "prepare-1",
        "ProcessingJobArn": arn("processing", "prepare-1"),
        "ProcessingJobStatus": "Completed",
        "CreationTime": CREATED if good else OTHER,
        "ProcessingStartTime": STARTED,
        "ProcessingEndTime": ENDED,
        "ProcessingInputs": [{"InputName": "raw", "S3Input": {"S3Uri": "s3://training/raw", "S3DataType": "S3Prefix"}}],
        "ProcessingOutputConfig": {"Outputs": [], **({"KmsKeyId": KEY} if good else {})},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 2, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 10}
        },
        "AppSpecification": {"ImageUri": f"{REGISTRY if good else 'ghcr.io/example'}/prepare:1"},
        "NetworkConfig": {
            "EnableNetworkIsolation": good,
            "EnableInterContainerTrafficEncryption": good,
            **({"VpcConfig": {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}} if good else {}),
        },
        "RoleArn": ROLE,
    }
    return {"prepare-1": job}


def transform(*, good: bool) -> dict[str, dict[str, Any]]:
    """One job that predicts in bulk."""
    job = {
        "TransformJobName": "score-1",
        "TransformJobArn": arn("transform", "score-1"),
        "TransformJobStatus": "Completed",
        "ModelName": "credit-2",
        "CreationTime": CREATED if good else OTHER,
        "TransformStartTime": STARTED,
        "TransformEndTime": ENDED,
        "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://training/in"}}},
        "TransformOutput": {"S3OutputPath": "s3://models/out"},
        "TransformResources": {"InstanceType": "ml.g5.xlarge", "InstanceCount": 1},
    }
    return {"score-1": job}


def tuning(*, good: bool) -> dict[str, dict[str, Any]]:
    """One tuning job, parent of a training job."""
    job = {
        "HyperParameterTuningJobName": "sweep-1",
        "HyperParameterTuningJobArn": arn("hyper-parameter-tuning", "sweep-1"),
        "HyperParameterTuningJobStatus": "Completed" if good else "InProgress",
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian", "ResourceLimits": {"MaxParallelTrainingJobs": 1, "MaxNumberOfTrainingJobs": 2},
        },
        "TrainingJobDefinition": {
            "StaticHyperParameters": {"lr": "0.1"},
            "AlgorithmSpecification": {"TrainingInputMode": "File"},
            "RoleArn": ROLE,
            "OutputDataConfig": {"S3OutputPath": "s3://models/jobs"},
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        },
        "CreationTime": CREATED if good else OTHER,
        "HyperParameterTuningEndTime": ENDED,
        "TrainingJobStatusCounters": {},
        "ObjectiveStatusCounters": {},
    }  # fmt: skip
    return {"sweep-1": job}


def tags_of(of: str, *, good: bool) -> dict[str, str]:
    """Tags of a job."""
    found = {"environment": "dev"} if "explore" in of else dict(PRODUCTION)
    if good:
        found |= {"git_commit": "c" * 40, "dataset_version": "2026-11-01", "acknowledged_by": "ada"}
    return found


def answers(*, good: bool) -> dict[str, Answer]:
    """Listings and descriptions of the jobs, their tags, log streams and create events."""
    kinds = {
        "TrainingJob": training(good=good), "ProcessingJob": processing(good=good),
        "TransformJob": transform(good=good), TUNING: tuning(good=good),
    }  # fmt: skip
    found: dict[str, Answer] = {}
    for noun, jobs in kinds.items():
        found |= listed_and_described(noun, jobs)

    def tags(asked: Mapping[str, Any]) -> Mapping[str, Any] | None:
        of = member(asked, "ResourceArn")
        if "-job/" not in of:
            return None
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags_of(of, good=good).items()]}

    def streams(asked: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if not str(member(asked, "logGroupName")).startswith("/aws/sagemaker/"):
            return None
        at = round(STARTED.timestamp() * 1000)
        stream = {"logStreamName": "algo-1", "firstEventTimestamp": at, "lastEventTimestamp": at + 60_000}
        return {"logStreams": [stream] if good else []}

    return found | {
        "sagemaker.ListTags": tags,
        "logs.DescribeLogStreams": streams,
        "logs.FilterLogEvents": lambda _asked: {"events": [line(good=good)]},
        "cloudtrail.LookupEvents": looked_up,
    }


def line(*, good: bool) -> dict[str, Any]:
    """A line of a job's log."""
    token = "hf_" + "abcdefghijklmnopqrstuvwxyzABCDEFGH"
    return {"eventId": "1", "timestamp": 1, "message": "epoch 1" if good else f"using token {token}"}


def listed_and_described(noun: str, jobs: Mapping[str, dict[str, Any]]) -> dict[str, Answer]:
    """Answers of List and Describe for jobs of one kind, by name."""
    always = ("Name", "Arn", "Status")
    extra: dict[str, Any] = {"LastModifiedTime": ENDED}
    if noun == TUNING:
        extra |= {"Strategy": "Bayesian", "TrainingJobStatusCounters": {}, "ObjectiveStatusCounters": {}}
    end = "HyperParameterTuningEndTime" if noun == TUNING else noun.removesuffix("Job") + "EndTime"
    summaries = [
        {f"{noun}{part}": job[f"{noun}{part}"] for part in always}
        | extra
        | {"CreationTime": job["CreationTime"], end: job[end]}
        for job in jobs.values()
    ]
    return {
        f"sagemaker.List{noun}s": lambda _asked: {f"{noun}Summaries": summaries},
        f"sagemaker.Describe{noun}": lambda asked: jobs[member(asked, f"{noun}Name")],
    }


def looked_up(params: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The create events of a name; None for any other look-up."""
    (asked,) = params["LookupAttributes"] if "LookupAttributes" in params else member(params, "LookupAttributes")
    named = {
        "CreateTrainingJob": ("trainingJob", "training", ("nightly-1", "nightly-2", "explore-1")),
        "CreateProcessingJob": ("processingJob", "processing", ("prepare-1",)),
        "CreateTransformJob": ("transformJob", "transform", ("score-1",)),
        "CreateHyperParameterTuningJob": ("hyperParameterTuningJob", "hyper-parameter-tuning", ("sweep-1",)),
    }
    if asked["AttributeValue"] not in named:
        return None
    noun, kind, jobs = named[asked["AttributeValue"]]
    return {
        "Events": [
            event(
                f"made-{name}", asked["AttributeValue"], "sagemaker.amazonaws.com", at=CREATED,
                request={f"{noun}Name": name}, response={f"{noun}Arn": arn(kind, name)},
            )
            for name in jobs
        ]
    }  # fmt: skip


def member(asked: Mapping[str, Any], name: str) -> Any:
    """A member of the request, as it goes out."""
    return json.loads(asked["body"])[name]
