"""SageMaker as it is stored: serving, registry, workplaces; odd answers and resources that go away meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from tests.aws.emulated import account, counted, envelopes, facts, on_call, poll, refuse, source
from tests.aws.worlds import sagemaker as world

AT = datetime(2026, 1, 2, tzinfo=UTC)
ROLE = "arn:aws:iam::123456789012:role/work"
ENDPOINT = world.arn("endpoint", "credit")
STREAMS = (
    "models", "endpoints", "inference_components", "model_packages", "model_cards", "notebooks", "domains",
    "monitoring_schedules", "mlflow_servers",
)  # fmt: skip


@pytest.fixture(autouse=True)
def emulated() -> Iterator[None]:
    with account():
        yield


def filled() -> Any:
    """The good account of the fault matrix."""
    world.fill(good=True)
    of = source()
    for operation, answer in world.answers(good=True).items():
        on_call(of, operation, answer)
    return of


@pytest.mark.parametrize("name", STREAMS)
def test_two_polls_of_an_unchanged_account_are_the_same(name: str) -> None:
    of = filled()
    first, second = (poll(f"aws.sagemaker.{name}", of) for _ in range(2))
    assert first.items
    assert [item.digest for item in first.items] == [item.digest for item in second.items]


def test_an_endpoint_with_what_it_runs() -> None:
    told = facts(poll("aws.sagemaker.endpoints", filled()))[ENDPOINT]
    assert (told["name"], told["status"], told["config"]["kms_key"]) == ("credit", "InService", world.KEY)
    assert set(told["variants"]) == {"all"}
    variant = told["variants"]["all"]
    assert (variant["instance_types"], variant["shadow"]) == (["ml.m5.large"], False)
    assert variant["models"]["credit-2"]["containers"][0]["package"] == world.arn("model-package", "credit/2")
    assert told["model_tags"] == {"credit-2": {"owner": "ada", "data_class": "internal"}}
    assert told["tags"] == {"owner": "ada", "data_class": "internal"}


def test_a_model_is_described_once_however_many_variants_run_it() -> None:
    of = filled()
    boto3.client("sagemaker").create_endpoint(EndpointName="second", EndpointConfigName="credit-2")
    calls = counted(of)
    assert len(facts(poll("aws.sagemaker.endpoints", of))) == 2
    assert calls["ListEndpoints"] == 1
    assert calls["DescribeEndpoint"] == calls["DescribeEndpointConfig"] == 2
    assert calls["DescribeModel"] <= 2  # two variants may ask at the same time


def test_of_a_containers_environment_only_the_uri_of_a_model_is_kept() -> None:
    environment = {"MODEL": "models:/credit/2", "SECRET_TOKEN": "hunter2hunter2", "WORKERS": "4"}
    boto3.client("sagemaker").create_model(
        ModelName="m", ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": "i", "ModelDataUrl": "s3://m/x.tar.gz", "Environment": environment},
    )  # fmt: skip
    snapshot = poll("aws.sagemaker.models")
    ((_, told),) = facts(snapshot).items()
    assert told["containers"][0]["model_uris"] == ["models:/credit/2"]
    assert told["containers"][0]["env_names"] == ["MODEL", "SECRET_TOKEN", "WORKERS"]
    assert "hunter2" not in json.dumps(envelopes(snapshot))


def test_network_isolation_is_what_aws_says() -> None:
    boto3.client("sagemaker").create_model(ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer={"Image": "i"})
    of = source()
    told = {
        "ModelName": "m", "ModelArn": world.arn("model", "m"), "CreationTime": AT, "EnableNetworkIsolation": True,
        "VpcConfig": {"SecurityGroupIds": ["sg-2", "sg-1"], "Subnets": ["subnet-1"]},
    }  # fmt: skip
    on_call(of, "sagemaker.DescribeModel", lambda _: told)  # the emulator forgets both
    (kept,) = facts(poll("aws.sagemaker.models", of)).values()
    assert kept["isolated"] is True
    assert kept["vpc"] == {"subnets": ["subnet-1"], "security_groups": ["sg-1", "sg-2"]}


def test_a_shadow_variant_and_instance_pools_are_told_apart() -> None:
    of = filled()
    pool = {"InstanceType": "ml.g5.xlarge", "ModelNameOverride": "credit-2", "Priority": 1}
    plan = {
        "EndpointConfigName": "credit-2", "EndpointConfigArn": world.arn("endpoint-config", "credit-2"),
        "CreationTime": AT, "ProductionVariants": [{"VariantName": "all", "InstancePools": [pool]}],
        "ShadowProductionVariants": [{"VariantName": "next", "ModelName": "credit-2", "ServerlessConfig": {
            "MemorySizeInMB": 1024, "MaxConcurrency": 1}}],
    }  # fmt: skip
    on_call(of, "sagemaker.DescribeEndpointConfig", lambda _: plan)
    (told,) = facts(poll("aws.sagemaker.endpoints", of)).values()
    assert {name: (one["shadow"], one["serverless"]) for name, one in told["variants"].items()} == {
        "all": (False, False), "next": (True, True),
    }  # fmt: skip
    assert told["variants"]["all"]["instance_types"] == ["ml.g5.xlarge"]
    assert set(told["variants"]["all"]["models"]) == {"credit-2"}


def test_a_model_and_a_configuration_deleted_under_an_endpoint() -> None:
    of = filled()
    sagemaker = boto3.client("sagemaker")
    sagemaker.delete_model(ModelName="credit-2")
    told = facts(poll("aws.sagemaker.endpoints", of))[ENDPOINT]
    assert told["variants"]["all"]["models"] == {"credit-2": {"name": "credit-2", "created": None, "containers": []}}
    sagemaker.delete_endpoint_config(EndpointConfigName="credit-2")
    told = facts(poll("aws.sagemaker.endpoints", of))[ENDPOINT]
    assert told["config"] is None
    assert told["variants"]["all"]["models"] == {}


def test_a_model_that_may_not_be_described_is_a_gap_of_its_variant() -> None:
    of = filled()
    refuse(of, "sagemaker.DescribeModel", "AccessDeniedException")
    envelope = envelopes(poll("aws.sagemaker.endpoints", of))[ENDPOINT]
    assert envelope["gaps"] == {
        "/variants/all/models/credit-2": {
            "code": "AccessDeniedException", "need": "sagemaker:DescribeModel", "op": "DescribeModel",
            "reason": "denied",
        }
    }  # fmt: skip


def not_found(_params: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"Error": {"Code": "ValidationException", "Message": 'Could not find endpoint "credit".'}}


def test_nothing_is_said_of_what_went_away_after_it_was_listed() -> None:
    of = filled()
    listings = iter([None, {"Endpoints": []}])
    on_call(of, "sagemaker.ListEndpoints", lambda _: next(listings))
    on_call(of, "sagemaker.DescribeEndpoint", not_found)
    snapshot = poll("aws.sagemaker.endpoints", of)
    assert (snapshot.status.value, list(snapshot.items)) == ("complete", [])


def test_what_is_still_listed_was_not_described() -> None:
    of = filled()
    on_call(of, "sagemaker.DescribeEndpoint", not_found)
    snapshot = poll("aws.sagemaker.endpoints", of)
    assert snapshot.status.value == "partial"
    assert envelopes(snapshot)[ENDPOINT]["gap"]["code"] == "ValidationException"


def test_every_page_is_read() -> None:
    of = source()
    listed = [
        {"ModelCardName": f"c{number}", "ModelCardArn": world.arn("model-card", f"c{number}"),
         "ModelCardStatus": "Draft", "CreationTime": AT}
        for number in range(3)
    ]  # fmt: skip

    def page(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        body = json.loads(asked["body"])
        assert body["MaxResults"] == 100
        start = int(body.get("NextToken", 0))
        more = {"NextToken": str(start + 1)} if start < 2 else {}
        return {"ModelCardSummaries": listed[start : start + 1], **more}

    def card(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        name = json.loads(asked["body"])["ModelCardName"]
        return {
            "ModelCardArn": world.arn("model-card", name), "ModelCardName": name, "ModelCardVersion": 1,
            "Content": "{}", "ModelCardStatus": "Draft", "CreationTime": AT, "CreatedBy": {},
        }  # fmt: skip

    on_call(of, "sagemaker.ListModelCards", page)
    on_call(of, "sagemaker.DescribeModelCard", card)
    assert [told["name"] for told in facts(poll("aws.sagemaker.model_cards", of)).values()] == ["c0", "c1", "c2"]


def test_a_package_with_its_approval_reports_and_card() -> None:
    told = facts(poll("aws.sagemaker.model_packages", filled()))[world.arn("model-package", "credit/2")]
    assert (told["group"], told["version"], told["approval_status"]) == ("credit", 2, "Approved")
    assert told["modified_by"]["profile"] == "bob"
    assert told["commit"] == "c" * 40
    assert told["metrics"]["bias"] == ["s3://models/credit/bias.json"]
    assert told["containers"][0]["data_url"] == "s3://models/credit/2/model.tar.gz"
    assert (told["card"]["status"], len(told["card"]["content"]["topics"])) == ("Approved", 8)
    assert told["customer_metadata"] == {"change_ref": "CHG-1"}


def test_packages_of_groups_and_without_are_one_listing() -> None:
    sagemaker = boto3.client("sagemaker")
    specification = {
        "Containers": [{"Image": "i", "ModelDataUrl": "s3://m/x.tar.gz"}], "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }  # fmt: skip
    sagemaker.create_model_package_group(ModelPackageGroupName="credit")
    sagemaker.create_model_package(ModelPackageGroupName="credit", InferenceSpecification=specification)
    sagemaker.create_model_package(ModelPackageName="alone", InferenceSpecification=specification)
    of = source()
    calls = counted(of)
    told = facts(poll("aws.sagemaker.model_packages", of))
    assert sorted((one["group"], one["version"]) for one in told.values() if one["group"]) == [("credit", 1)]
    assert world.arn("model-package", "alone") in told
    assert calls == {"GetCallerIdentity": 1, "ListModelPackages": 1, "DescribeModelPackage": 2}


@pytest.mark.parametrize(
    ("content", "topics"),
    [
        ("{}", []),
        ('{"model_overview": {"model_owner": ""}}', []),
        ('{"model_overview": {"model_owner": "ada"}, "evaluation_details": [{"metric_groups": [{"name": "Bias"}]}]}',
         ["fairness", "owner", "performance"]),
        ('{"additional_information": {"custom_details": {"Explanation method": "shap", "Fairness": ""}}}',
         ["explanation"]),
    ],
)  # fmt: skip
def test_topics_of_a_card(content: str, topics: list[str]) -> None:
    boto3.client("sagemaker").create_model_card(ModelCardName="c", Content=content, ModelCardStatus="Draft")
    (told,) = facts(poll("aws.sagemaker.model_cards")).values()
    assert told["content"]["topics"] == topics


@pytest.mark.parametrize("content", ["[]", "not json", "3"])
def test_a_card_that_is_none_is_a_gap(content: str) -> None:
    boto3.client("sagemaker").create_model_card(ModelCardName="c", Content=content, ModelCardStatus="Draft")
    (envelope,) = envelopes(poll("aws.sagemaker.model_cards")).values()
    assert envelope["gaps"]["/content"]["reason"] == "malformed"
    assert envelope["facts"]["status"] == "Draft"


def test_workplaces() -> None:
    of = filled()
    (notebook,) = facts(poll("aws.sagemaker.notebooks", of)).values()
    assert (notebook["name"], notebook["kms_key"], notebook["direct_internet"]) == ("lab", world.KEY, "Enabled")
    (domain,) = facts(poll("aws.sagemaker.domains", of)).values()
    assert (domain["name"], domain["kms_key"], domain["sign_in"]) == ("studio", world.KEY, "IAM")
    assert domain["tags"] == {"data_class": "restricted"}
    (schedule,) = facts(poll("aws.sagemaker.monitoring_schedules", of)).values()
    assert (schedule["type"], schedule["status"]) == ("DataQuality", "Scheduled")
    assert schedule["last_run"] == {"status": "Completed", "day": "2026-01-02"}


def test_one_kind_of_mlflow_may_be_refused_without_the_other() -> None:
    of = filled()
    assert sorted(told["kind"] for told in facts(poll("aws.sagemaker.mlflow_servers", of)).values()) == [
        "app", "server",
    ]  # fmt: skip
    of = source()
    for operation, answer in world.answers(good=True).items():
        if operation != "sagemaker.ListMlflowTrackingServers":
            on_call(of, operation, answer)
    refuse(of, "sagemaker.ListMlflowTrackingServers", "AccessDeniedException")
    snapshot = poll("aws.sagemaker.mlflow_servers", of)
    assert (snapshot.status.value, [item.key for item in snapshot.items]) == (
        "partial", [world.arn("mlflow-app", "app-1")],
    )  # fmt: skip
