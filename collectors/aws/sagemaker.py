"""SageMaker serving: models, endpoints, inference components, and what each of them runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from agent.model import Gap, Json, Record
from agent.registry import stream
from collectors.aws import AwsAccount
from collectors.aws.client import Client
from collectors.aws.sagemaker_reading import NOT_FOUND, Listed, ask, described, tags_of, vpc_of

_MODEL = {"DescribeModel": "sagemaker:DescribeModel", "ListTags": "sagemaker:ListTags"}
_URI_SCHEMES = ("models:/", "runs:/", "mlflow-artifacts:/")


@stream(
    "aws.sagemaker.models",
    per="region",
    every="1d",
    needs={"ListModels": "sagemaker:ListModels", **_MODEL},
    tags=["/tags"],
)
def models(account: AwsAccount) -> Iterator[Record | Gap]:
    """Models that endpoints and batch jobs may run: their containers and network."""
    sagemaker = account.client("sagemaker")

    def describe(listed: Listed) -> Record | Gap:
        told = ask(sagemaker.describe_model, "ModelArn", "CreationTime", ModelName=listed["ModelName"])
        if isinstance(told, Gap):
            return told
        facts = {
            **_model(told),
            "role": told.get("ExecutionRoleArn"),
            "vpc": vpc_of(told.get("VpcConfig")),
            "isolated": told.get("EnableNetworkIsolation"),
            "tags": tags_of(sagemaker, told["ModelArn"]),
        }
        return Record(told["ModelArn"], facts)

    yield from described(sagemaker, "list_models", "Models", "ModelArn", describe)


@stream(
    "aws.sagemaker.endpoints",
    per="region",
    every="1h",
    needs={
        "ListEndpoints": "sagemaker:ListEndpoints",
        "DescribeEndpoint": "sagemaker:DescribeEndpoint",
        "DescribeEndpointConfig": "sagemaker:DescribeEndpointConfig",
        **_MODEL,
    },
    tags=["/tags", "/model_tags/*"],
)
def endpoints(account: AwsAccount) -> Iterator[Record | Gap]:
    """Endpoints, what each variant of them runs, and what they keep of requests."""
    sagemaker = account.client("sagemaker")
    deployed = _Models(sagemaker)

    def describe(listed: Listed) -> Record | Gap:
        told = ask(
            sagemaker.describe_endpoint, "EndpointArn", "EndpointStatus", "CreationTime",
            EndpointName=listed["EndpointName"],
        )  # fmt: skip
        if isinstance(told, Gap):
            return told
        config = _config(sagemaker, told.get("EndpointConfigName"))
        variants = config if isinstance(config, Gap) else _variants(told, config or {}, deployed)
        facts = {
            "name": told["EndpointName"],
            "status": told["EndpointStatus"],
            "created": told["CreationTime"],
            "modified": told.get("LastModifiedTime"),
            "config": config if isinstance(config, Gap) else config and _of_config(config),
            "variants": variants,
            "model_tags": config if isinstance(config, Gap) else deployed.tags(_planned(config or {})),
            "capture": _capture(told.get("DataCaptureConfig"), config),
            "rollback": _rollback(told.get("LastDeploymentConfig")),
            "tags": tags_of(sagemaker, told["EndpointArn"]),
        }
        return Record(told["EndpointArn"], facts)

    yield from described(sagemaker, "list_endpoints", "Endpoints", "EndpointArn", describe)


@stream(
    "aws.sagemaker.inference_components",
    per="region",
    every="1h",
    needs={
        "ListInferenceComponents": "sagemaker:ListInferenceComponents",
        "DescribeInferenceComponent": "sagemaker:DescribeInferenceComponent",
        **_MODEL,
    },
    tags=["/tags", "/model_tags/*"],
)
def inference_components(account: AwsAccount) -> Iterator[Record | Gap]:
    """Inference components: models that share the instances of an endpoint."""
    sagemaker = account.client("sagemaker")
    deployed = _Models(sagemaker)

    def describe(listed: Listed) -> Record | Gap:
        told = ask(
            sagemaker.describe_inference_component, "InferenceComponentArn", "EndpointArn", "CreationTime",
            InferenceComponentName=listed["InferenceComponentName"],
        )  # fmt: skip
        if isinstance(told, Gap):
            return told
        parts = told.get("Specifications") or [told.get("Specification") or {}]
        facts = {
            "name": told["InferenceComponentName"],
            "endpoint": told["EndpointArn"],
            "variant": told.get("VariantName"),
            "status": told.get("InferenceComponentStatus"),
            "created": told["CreationTime"],
            "modified": told.get("LastModifiedTime"),
            "adapter_of": next((part["BaseInferenceComponentName"] for part in parts if _is_adapter(part)), None),
            "models": dict(_of_part(part, deployed) for part in parts),
            "model_tags": deployed.tags({part["ModelName"] for part in parts if part.get("ModelName")}),
            "tags": tags_of(sagemaker, told["InferenceComponentArn"]),
        }
        return Record(told["InferenceComponentArn"], facts)

    yield from described(
        sagemaker, "list_inference_components", "InferenceComponents", "InferenceComponentArn", describe
    )  # fmt: skip


class _Models:
    """Models as the variants of one poll name them, each asked for once."""

    def __init__(self, sagemaker: Client) -> None:
        self._sagemaker = sagemaker
        self._known: dict[str, Json | Gap] = {}
        self._tags: dict[str, dict[str, str] | Gap] = {}

    def named(self, name: str) -> Json | Gap:
        """The model of this name; only its name is known when it was deleted while an endpoint still runs it."""
        if name not in self._known:
            told = ask(self._sagemaker.describe_model, "ModelArn", "CreationTime", ModelName=name)
            if not isinstance(told, Gap):
                self._tags[name] = tags_of(self._sagemaker, told["ModelArn"])
                self._known[name] = _model(told)
            elif told.code in NOT_FOUND:
                self._known[name] = {"name": name, "created": None, "containers": []}
            else:
                self._known[name] = told
        return self._known[name]

    def tags(self, names: Iterable[str]) -> dict[str, dict[str, str] | Gap]:
        """Tags of those of the named models that are still there."""
        return {name: self._tags[name] for name in sorted(names) if name in self._tags}


def _model(told: Listed) -> dict[str, Json]:
    listed = told.get("Containers") or [told.get("PrimaryContainer") or {}]
    return {
        "name": told["ModelName"],
        "created": told["CreationTime"],
        "containers": [_container(container) for container in listed],
    }


def _container(told: Listed) -> dict[str, Json]:
    """A container: its image, where its model lies, and which package or registered version it names.

    Of the environment only names are kept, and values that are the URI of a model.
    """
    source = (told.get("ModelDataSource") or {}).get("S3DataSource") or {}
    environment: Mapping[str, str] = told.get("Environment") or {}
    return {
        "image": told.get("Image"),
        "mode": told.get("Mode"),
        "data_url": told.get("ModelDataUrl") or source.get("S3Uri"),
        "data_etag": source.get("ETag") or source.get("ManifestEtag"),
        "package": told.get("ModelPackageName"),
        "model_uris": sorted({value for value in environment.values() if value.startswith(_URI_SCHEMES)}),
        "env_names": sorted(environment),
    }


def _config(sagemaker: Client, name: str | None) -> Listed | Gap | None:
    """The configuration of an endpoint; None where it was deleted, or the endpoint never had one."""
    if not name:
        return None
    told = ask(
        sagemaker.describe_endpoint_config, "EndpointConfigName", "ProductionVariants", EndpointConfigName=name
    )  # fmt: skip
    return None if isinstance(told, Gap) and told.code in NOT_FOUND else told


def _of_config(config: Listed) -> Json:
    return {
        "name": config["EndpointConfigName"],
        "created": config.get("CreationTime"),
        "kms_key": config.get("KmsKeyId"),
        "role": config.get("ExecutionRoleArn"),
        "vpc": vpc_of(config.get("VpcConfig")),
        "isolated": config.get("EnableNetworkIsolation"),
        "asynchronous": bool(config.get("AsyncInferenceConfig")),
    }


def _variants(told: Listed, config: Listed, deployed: _Models) -> dict[str, Json]:
    """The variants by name, each with how it runs and what the configuration in force says of it.

    A configuration that an update is still rolling out is not the one in force.
    """
    running = {variant["VariantName"]: variant for variant in told.get("ProductionVariants") or []}
    planned = {variant["VariantName"]: variant for variant in config.get("ProductionVariants") or []}
    shadows = {variant["VariantName"]: variant for variant in config.get("ShadowProductionVariants") or []}
    return {
        **{name: _variant({}, plan, deployed, shadow=True) for name, plan in shadows.items()},
        **{
            name: _variant(running.get(name, {}), planned.get(name, {}), deployed, shadow=False)
            for name in {*running, *planned}
        },
    }


def _variant(running: Listed, planned: Listed, deployed: _Models, *, shadow: bool) -> dict[str, Json]:
    pools = planned.get("InstancePools") or []
    return {
        "shadow": shadow,
        "weight": running.get("CurrentWeight", planned.get("InitialVariantWeight")),
        "instance_types": sorted({planned.get("InstanceType"), *(pool.get("InstanceType") for pool in pools)} - {None}),
        "instances": planned.get("InitialInstanceCount"),
        "serverless": "ServerlessConfig" in planned,
        "images": [image.get("ResolvedImage") for image in running.get("DeployedImages") or []],
        "models": {name: deployed.named(name) for name in sorted(_names(planned))},
    }


def _names(variant: Listed) -> set[str]:
    """Names of the models that a variant of a configuration runs; none where inference components do."""
    pools = variant.get("InstancePools") or []
    return {variant.get("ModelName"), *(pool.get("ModelNameOverride") for pool in pools)} - {None}


def _planned(config: Listed) -> set[str]:
    return {name for variant in config.get("ProductionVariants") or [] for name in _names(variant)}


def _of_part(part: Listed, deployed: _Models) -> tuple[str, Json | Gap]:
    """What one specification of an inference component runs, by name: a model, or an artifact in its own container."""
    if part.get("ModelName"):
        return part["ModelName"], deployed.named(part["ModelName"])
    told = part.get("Container") or {}
    image = (told.get("DeployedImage") or {}).get("SpecifiedImage")
    container = _container(
        {"Image": image, "ModelDataUrl": told.get("ArtifactUrl"), "Environment": told.get("Environment")}
    )
    return str(told.get("ArtifactUrl") or image), {"name": None, "created": None, "containers": [container]}


def _is_adapter(part: Listed) -> bool:
    return bool(part.get("BaseInferenceComponentName"))


def _capture(summary: Listed | None, config: Listed | Gap | None) -> Json | Gap:
    """What the endpoint keeps of requests and answers; null when it keeps nothing."""
    if not summary:
        return None
    options = config if isinstance(config, Gap) else (config or {}).get("DataCaptureConfig") or {}
    return {
        "enabled": summary.get("EnableCapture"),
        "status": summary.get("CaptureStatus"),
        "percentage": summary.get("CurrentSamplingPercentage"),
        "destination": summary.get("DestinationS3Uri"),
        "kms_key": summary.get("KmsKeyId"),
        "options": options
        if isinstance(options, Gap)
        else sorted(option["CaptureMode"] for option in options.get("CaptureOptions", [])),
    }


def _rollback(deployment: Listed | None) -> Json:
    """How the last deployment would go back by itself; null when none was made with such settings."""
    if not deployment:
        return None
    alarms = (deployment.get("AutoRollbackConfiguration") or {}).get("Alarms") or []
    return {
        "alarms": sorted(alarm["AlarmName"] for alarm in alarms if alarm.get("AlarmName")),
        "policy": next(
            (name for name in ("BlueGreenUpdatePolicy", "RollingUpdatePolicy") if deployment.get(name)), None
        ),
    }
