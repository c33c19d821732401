"""Jobs of SageMaker in the normal form that all platforms share: pure functions of what Describe* answered.

Source: DescribeTrainingJob, DescribeProcessingJob, DescribeTransformJob, DescribeHyperParameterTuningJob.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agent.model import Gap, Json
from collectors.training.normal import job_status

Told = Mapping[str, Any]
Tags = Mapping[str, str] | Gap

_ENDED = ("Completed", "Failed", "Stopped")
_MANIFESTS = ("ManifestFile", "AugmentedManifestFile")

RUN_TAG, GROUP_TAG, ENVIRONMENT_TAG = "mlflow_run_id", "group", "environment"
COMMIT_TAG, REPO_TAG, DATA_TAG = "git_commit", "git_repo", "dataset_version"
"""Tags of a job that say which run, group and environment it belongs to, and its versions of code and data."""


def training(told: Told, tags: Tags) -> dict[str, Any]:
    """Facts of a training job that only it has, in the names of the normal form."""
    algorithm, resources = told.get("AlgorithmSpecification") or {}, told.get("ResourceConfig") or {}
    return {
        "status": ended_status(told),
        "status_said": told["TrainingJobStatus"],
        "started_at": told.get("TrainingStartTime"),
        "ended_at": told.get("TrainingEndTime"),
        "stopping_limit_s": _limit(told),
        "image": _image(algorithm.get("TrainingImage")),
        "algorithm": algorithm.get("AlgorithmName"),
        # a job without any specification is one whose algorithm the platform itself brings
        "algorithm_builtin": bool(algorithm.get("AlgorithmName")) or not algorithm,
        "arguments": _arguments(algorithm),
        "code": _code(tags, (told.get("HyperParameters") or {}).get("sagemaker_submit_directory")),
        "inputs": _versioned([_channel(channel) for channel in told.get("InputDataConfig") or []], tags),
        "outputs": _outputs(
            [(told.get("OutputDataConfig") or {}).get("S3OutputPath")], told.get("OutputDataConfig") or {}
        ),
        "model_out": (told.get("ModelArtifacts") or {}).get("S3ModelArtifacts"),
        "package_out": told.get("OutputModelPackageArn"),
        "network": _network(told, told.get("VpcConfig"), told.get("RemoteDebugConfig")),
        "params": dict(told.get("HyperParameters") or {}),
        "parent": told.get("TuningJobArn") or told.get("AutoMLJobArn") or told.get("LabelingJobArn") or None,
        "mlflow_run_id": (told.get("MlflowDetails") or {}).get("MlflowRunId") or _tag(tags, RUN_TAG),
        **_machines(resources),
    }


def processing(told: Told, tags: Tags) -> dict[str, Any]:
    """Facts of a processing job that only it has."""
    network, results = told.get("NetworkConfig") or {}, told.get("ProcessingOutputConfig") or {}
    places = [(output.get("S3Output") or {}).get("S3Uri") for output in results.get("Outputs") or []]
    app = told.get("AppSpecification") or {}
    return {
        "status": job_status(told["ProcessingJobStatus"]),
        "status_said": told["ProcessingJobStatus"],
        "started_at": told.get("ProcessingStartTime"),
        "ended_at": told.get("ProcessingEndTime"),
        "stopping_limit_s": _limit(told),
        "image": _image(app.get("ImageUri")),
        "algorithm": None,
        "algorithm_builtin": False,
        "arguments": _arguments(app),
        "code": _code(tags, None),
        "inputs": _versioned([_processed(given) for given in told.get("ProcessingInputs") or []], tags),
        "outputs": _outputs(places, results),
        "network": _network(network, network.get("VpcConfig"), None),
        "params": {},
        "parent": told.get("AutoMLJobArn") or told.get("MonitoringScheduleArn") or told.get("TrainingJobArn") or None,
        "mlflow_run_id": _tag(tags, RUN_TAG),
        **_machines((told.get("ProcessingResources") or {}).get("ClusterConfig") or {}),
    }


def transform(told: Told, tags: Tags) -> dict[str, Any]:
    """Facts of a batch transform job that only it has; image and network are those of its model."""
    data, out = told.get("TransformInput") or {}, told.get("TransformOutput") or {}
    return {
        "status": job_status(told["TransformJobStatus"]),
        "status_said": told["TransformJobStatus"],
        "started_at": told.get("TransformStartTime"),
        "ended_at": told.get("TransformEndTime"),
        "model": told.get("ModelName"),
        "inputs": _versioned([_channel({**data, "ChannelName": "transform"})], tags),
        "outputs": _outputs([out.get("S3OutputPath")], out),
        "captured": _outputs(
            [(told.get("DataCaptureConfig") or {}).get("DestinationS3Uri")], told.get("DataCaptureConfig") or {}
        ),
        "params": {},
        "parent": told.get("AutoMLJobArn") or told.get("LabelingJobArn") or None,
        "mlflow_run_id": _tag(tags, RUN_TAG),
        **_machines(told.get("TransformResources") or {}),
    }


def tuning(told: Told, tags: Tags) -> dict[str, Any]:
    """Facts of a tuning job: its training jobs are listed by themselves, each with this as its parent."""
    given = [told.get("TrainingJobDefinition"), *(told.get("TrainingJobDefinitions") or [])]
    definitions = [definition for definition in given if definition]
    return {
        "status": job_status(told["HyperParameterTuningJobStatus"]),
        "status_said": told["HyperParameterTuningJobStatus"],
        "started_at": told["CreationTime"],
        "ended_at": told.get("HyperParameterTuningEndTime"),
        "role": next((definition.get("RoleArn") for definition in definitions), None),
        "env": _merged(definitions, "Environment"),
        "params": _merged(definitions, "StaticHyperParameters"),
        "parent": None,
        "mlflow_run_id": _tag(tags, RUN_TAG),
    }


def shared(told: Told, tags: Tags) -> dict[str, Any]:
    """Facts that jobs of every kind have."""
    env = told.get("Environment") or {}
    return {
        "provider": "sagemaker",
        "created_at": told["CreationTime"],
        "failure_reason": told.get("FailureReason") or None,
        "role": told.get("RoleArn"),
        "group": _tag(tags, GROUP_TAG) or (told.get("ExperimentConfig") or {}).get("ExperimentName"),
        "environment": _tag(tags, ENVIRONMENT_TAG),
        "env": dict(env),
        "tags": tags,
    }


def ended_status(told: Told) -> str:
    """Normal status of a training job; of one that is being deleted the last that it had before.

    >>> ended_status({"TrainingJobStatus": "Deleting",
    ...     "SecondaryStatusTransitions": [{"Status": "Training"}, {"Status": "Failed"}]})
    'failed'
    """
    status = told["TrainingJobStatus"]
    if status == "Deleting":
        passed = [step.get("Status") for step in told.get("SecondaryStatusTransitions") or []]
        status = next((step for step in reversed(passed) if step in _ENDED), "Unknown")
    return job_status(status)


def _tag(tags: Tags, name: str) -> str | Gap | None:
    """What a tag says; where the tags were not seen, that."""
    return tags if isinstance(tags, Gap) else tags.get(name) or None


def _limit(told: Told) -> int | None:
    """Seconds after which the platform itself stops the job, waiting for capacity included."""
    limit = told.get("StoppingCondition") or {}
    runs = limit.get("MaxWaitTimeInSeconds") or limit.get("MaxRuntimeInSeconds")
    return runs and runs + (limit.get("MaxPendingTimeInSeconds") or 0)


def _image(uri: str | None) -> Json:
    return {"uri": uri, "digest_pinned": "@sha256:" in uri} if uri else None


def _arguments(given: Told) -> list[str]:
    return [*(given.get("ContainerEntrypoint") or []), *(given.get("ContainerArguments") or [])]


def _code(tags: Tags, place: str | None) -> dict[str, Any]:
    return {"repo": _tag(tags, REPO_TAG), "commit": _tag(tags, COMMIT_TAG), "place": place}


def _channel(channel: Told) -> dict[str, Any]:
    """An input of a training or transform job."""
    source = channel.get("DataSource") or {}
    objects, files, set_ = (
        source.get(name) or {} for name in ("S3DataSource", "FileSystemDataSource", "DatasetSource")
    )
    uri = objects.get("S3Uri") or set_.get("DatasetArn")
    if not uri and files.get("FileSystemId"):
        uri = f"{str(files.get('FileSystemType')).lower()}://{files['FileSystemId']}{files.get('DirectoryPath') or ''}"
    return {"name": channel.get("ChannelName"), "uri": uri, "manifest": objects.get("S3DataType") in _MANIFESTS}


def _processed(given: Told) -> dict[str, Any]:
    """An input of a processing job: objects, or the answer of a query."""
    objects, definition = given.get("S3Input") or {}, given.get("DatasetDefinition") or {}
    athena, redshift = (definition.get(f"{name}DatasetDefinition") or {} for name in ("Athena", "Redshift"))
    uri = objects.get("S3Uri")
    if athena:
        uri = f"athena://{athena.get('Catalog')}/{athena.get('Database')}"
    elif redshift:
        uri = f"redshift://{redshift.get('ClusterId')}/{redshift.get('Database')}"
    return {"name": given.get("InputName"), "uri": uri, "manifest": objects.get("S3DataType") in _MANIFESTS}


def _versioned(inputs: Sequence[dict[str, Any]], tags: Tags) -> list[dict[str, Any]]:
    """Inputs with the version that a tag gives: `dataset_version`, or `dataset_version:<channel>` for one of them.

    Where the tags were not seen inputs have no such member; which they are is known all the same.
    """
    named = [given for given in inputs if given["uri"]]
    if isinstance(tags, Gap):
        return named
    versions = {given["name"]: tags.get(f"{DATA_TAG}:{given['name']}") or tags.get(DATA_TAG) for given in named}
    return [{**given, "version_or_digest": versions[given["name"]]} for given in named]


def _outputs(places: Sequence[str | None], given: Told) -> dict[str, Any]:
    uris = sorted({place for place in places if place})
    return {"uri": uris[0] if uris else None, "uris": uris, "kms": given.get("KmsKeyId") or None}


def _network(told: Told, vpc: Told | None, debug: Told | None) -> dict[str, Any]:
    subnets = sorted((vpc or {}).get("Subnets") or [])
    return {
        "private": bool(subnets),
        "vpc_subnets": subnets,
        "security_groups": sorted((vpc or {}).get("SecurityGroupIds") or []),
        "isolated": bool(told.get("EnableNetworkIsolation")),
        "internode_encrypted": bool(told.get("EnableInterContainerTrafficEncryption")),
        "interactive": bool((debug or {}).get("EnableRemoteDebug")),
    }


def _machines(given: Told) -> dict[str, Any]:
    """How many instances of which types, and the key of their volumes."""
    groups = given.get("InstanceGroups") or []
    types = {group.get("InstanceType") for group in groups} | {
        given.get("SelectedInstanceType") or given.get("InstanceType")
    }
    counted = sum(group.get("InstanceCount") or 0 for group in groups)
    return {
        "nodes": given.get("SelectedInstanceCount") or given.get("InstanceCount") or counted or None,
        "instance_types": sorted(type_ for type_ in types if type_),
        "volume_kms": given.get("VolumeKmsKeyId") or None,
    }


def _merged(definitions: Sequence[Told], name: str) -> dict[str, str]:
    """Maps of several definitions as one; the names of later ones have their definition's number."""
    found: dict[str, str] = {}
    for key, value, number in _pairs(definitions, name):
        found[key if key not in found else f"{number}/{key}"] = value
    return found


def _pairs(definitions: Sequence[Told], name: str) -> Iterator[tuple[str, str, int]]:
    for number, definition in enumerate(definitions):
        for key, value in (definition.get(name) or {}).items():
            yield key, value, number
