"""The ML project of the reasonable company: data, one training job, one approved package and what serves it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3

from tests.aws.company_account import bucket, policy
from tests.aws.company_people import EXECUTION, ML, MODELS, TRAINING, person, role_of
from tests.aws.worlds import Answer
from tests.aws.worlds.cloudtrail import event
from tests.aws.worlds.sagemaker_jobs import listed_and_described

DEPLOYER = f"arn:aws:iam::{ML}:role/ml-deploy"
SERVING = f"arn:aws:iam::{ML}:role/ml-serving"
READER = f"arn:aws:iam::{ML}:role/evidence-reader"
GITHUB = "token.actions.githubusercontent.com"
REGISTRY = f"{ML}.dkr.ecr.us-east-1.amazonaws.com"
IMAGE = f"{REGISTRY}/trainer@sha256:{'5' * 64}"
SERVER = f"{REGISTRY}/server@sha256:{'6' * 64}"
TAGS = {"environment": "production", "data_class": "confidential", "owner": "cleo@acme.example"}
ALLOWED = {
    f"arn:aws:s3:::{TRAINING}": [EXECUTION, role_of("MLEngineer"), role_of("AdministratorAccess")],
    f"arn:aws:s3:::{MODELS}": [SERVING, DEPLOYER, role_of("AdministratorAccess")],
}
NOW = datetime.now(UTC).replace(microsecond=0)
TRAINED, REGISTERED, APPROVED, DEPLOYED = (NOW - timedelta(days=days) for days in (12, 11, 10, 9))
JOB, PACKAGE = "churn-2026-11", f"arn:aws:sagemaker:us-east-1:{ML}:model-package/churn/1"


def arn(kind: str, name: str) -> str:
    """ARN of a SageMaker resource of the project."""
    return f"arn:aws:sagemaker:us-east-1:{ML}:{kind}/{name}"


def project(aws: boto3.Session) -> None:
    """Buckets, roles, network, images and log groups of the project."""
    for name in (TRAINING, MODELS):
        bucket(aws, name, TAGS)
    _roles(aws.client("iam"))
    _network(aws)
    aws.client("ecr").create_repository(
        repositoryName="trainer", imageTagMutability="IMMUTABLE", imageScanningConfiguration={"scanOnPush": True}
    )
    logs = aws.client("logs")
    for group in ("TrainingJobs", "Endpoints/churn", "studio"):
        logs.create_log_group(logGroupName=f"/aws/sagemaker/{group}")


def _objects(name: str, *actions: str) -> dict[str, Any]:
    return {"Action": [f"s3:{action}" for action in actions], "Resource": f"arn:aws:s3:::{name}/*"}


def _listing(name: str) -> dict[str, Any]:
    return {"Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{name}"}


def _roles(iam: Any) -> None:
    sagemaker = policy({"Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"})
    pull = [
        {"Action": "ecr:GetAuthorizationToken", "Resource": "*"},
        {
            "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"],
            "Resource": f"arn:aws:ecr:us-east-1:{ML}:repository/trainer",
        },
    ]
    log = {
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents", "logs:CreateLogGroup", "logs:DescribeLogStreams"],
        "Resource": f"arn:aws:logs:us-east-1:{ML}:log-group:/aws/sagemaker/*",
    }
    interfaces = {
        "Action": [
            "ec2:CreateNetworkInterface", "ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface",
            "ec2:DeleteNetworkInterfacePermission", "ec2:DescribeNetworkInterfaces", "ec2:DescribeVpcs",
            "ec2:DescribeDhcpOptions", "ec2:DescribeSubnets", "ec2:DescribeSecurityGroups",
        ],
        "Resource": "*",
    }  # fmt: skip
    metric = {"Action": "cloudwatch:PutMetricData", "Resource": "*"}
    train = policy(_listing(TRAINING), _objects(TRAINING, "GetObject", "PutObject"), *pull, log, interfaces, metric)
    serve = policy(_listing(MODELS), _objects(MODELS, "GetObject"), *pull, log, metric)
    for name, allowed in (("ml-training", train), ("ml-serving", serve)):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=sagemaker)
        iam.put_role_policy(RoleName=name, PolicyName="work", PolicyDocument=allowed)
    provider = iam.create_open_id_connect_provider(
        Url=f"https://{GITHUB}", ClientIDList=["sts.amazonaws.com"], ThumbprintList=["a" * 40]
    )["OpenIDConnectProviderArn"]
    wanted = {f"{GITHUB}:aud": "sts.amazonaws.com", f"{GITHUB}:sub": "repo:acme/ml:environment:production"}
    github = policy(
        {
            "Principal": {"Federated": provider},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": wanted},
        }
    )
    deploy = policy(
        {
            "Action": [
                "sagemaker:CreateModelPackage", "sagemaker:CreateModel", "sagemaker:CreateEndpointConfig",
                "sagemaker:CreateEndpoint", "sagemaker:UpdateEndpoint", "sagemaker:Describe*", "sagemaker:AddTags",
            ],
            "Resource": f"arn:aws:sagemaker:us-east-1:{ML}:*",
        },
        _listing(MODELS),
        _objects(MODELS, "GetObject", "PutObject"),
        {
            "Action": "iam:PassRole",
            "Resource": SERVING,
            "Condition": {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        },
    )  # fmt: skip
    iam.create_role(RoleName="ml-deploy", AssumeRolePolicyDocument=github)
    iam.put_role_policy(RoleName="ml-deploy", PolicyName="deploy", PolicyDocument=deploy)


def _network(aws: boto3.Session) -> None:
    """A network of its own, closed and logged."""
    ec2, logs = aws.client("ec2"), aws.client("logs")
    network = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
    ec2.create_subnet(VpcId=network, CidrBlock="10.20.1.0/24")
    group = ec2.create_security_group(GroupName="ml", Description="training and serving", VpcId=network)["GroupId"]
    within = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[within])
    logs.create_log_group(logGroupName="/vpc/ml")
    ec2.create_flow_logs(
        ResourceIds=[network], ResourceType="VPC", TrafficType="ALL", LogGroupName="/vpc/ml",
        DeliverLogsPermissionArn=f"arn:aws:iam::{ML}:role/flow-logs",
    )  # fmt: skip


def answers() -> dict[str, Answer]:
    """SageMaker of the project in its region, and the audit events of it."""
    told = {
        **listed_and_described("TrainingJob", {JOB: _job()}),
        "logs.DescribeLogStreams": lambda _: {"logStreams": [_stream()]},
        "sagemaker.ListModelPackages": lambda _: {"ModelPackageSummaryList": [_summary()]},
        "sagemaker.DescribeModelPackage": lambda _: _package(),
        "sagemaker.ListModels": lambda _: {"Models": [_names("Model", "churn-1", "model")]},
        "sagemaker.DescribeModel": lambda _: _model(),
        "sagemaker.ListEndpoints": lambda _: {"Endpoints": [_endpoint()]},
        "sagemaker.DescribeEndpoint": lambda _: _endpoint() | {"EndpointConfigName": "churn-1", **_running()},
        "sagemaker.DescribeEndpointConfig": lambda _: _config(),
        "sagemaker.ListTags": lambda _: {"Tags": [{"Key": key, "Value": value} for key, value in _tags().items()]},
        "sagemaker.ListDomains": lambda _: {"Domains": [_domain()]},
        "sagemaker.DescribeDomain": lambda _: _domain() | _domain_more(),
        "cloudtrail.LookupEvents": looked_up,
    }
    nothing: dict[str, Mapping[str, Any]] = {"cloudtrail.LookupEvents": {"Events": []}}
    return {operation: _only_here(answer, nothing.get(operation)) for operation, answer in told.items()}


def _only_here(answer: Answer, elsewhere: Mapping[str, Any] | None) -> Answer:
    """An answer of the first region; the others have nothing of it."""
    return lambda asked: answer(asked) if "us-east-1" in asked["url"] else elsewhere


def _tags() -> dict[str, str]:
    return TAGS | {"git_commit": "c" * 40, "git_repo": "acme/ml", "dataset_version": "2026-11-01"}


def _job() -> dict[str, Any]:
    return {
        "TrainingJobName": JOB,
        "TrainingJobArn": arn("training-job", JOB),
        "TrainingJobStatus": "Completed",
        "SecondaryStatus": "Completed",
        "CreationTime": TRAINED,
        "TrainingStartTime": TRAINED + timedelta(minutes=5),
        "TrainingEndTime": TRAINED + timedelta(hours=2),
        "LastModifiedTime": TRAINED + timedelta(hours=2),
        "ModelArtifacts": {"S3ModelArtifacts": f"s3://{TRAINING}/output/{JOB}/output/model.tar.gz"},
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "RoleArn": EXECUTION,
        "HyperParameters": {"lr": "0.1", "epochs": "20"},
        "InputDataConfig": [
            {
                "ChannelName": "train",
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{TRAINING}/2026-11-01/"}},
            }
        ],
        "OutputDataConfig": {"S3OutputPath": f"s3://{TRAINING}/output"},
        "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30},
        "StoppingCondition": {"MaxRuntimeInSeconds": 14_400},
        "EnableNetworkIsolation": False,
        "EnableInterContainerTrafficEncryption": False,
        "VpcConfig": {"Subnets": ["subnet-0a1b2c3d"], "SecurityGroupIds": ["sg-0a1b2c3d"]},
    }


def _stream() -> dict[str, Any]:
    started = round(TRAINED.timestamp() * 1000) + 360_000
    return {
        "logStreamName": f"{JOB}/algo-1-1", "firstEventTimestamp": started, "lastEventTimestamp": started + 6_000_000,
    }  # fmt: skip


def _names(noun: str, name: str, kind: str) -> dict[str, Any]:
    return {f"{noun}Name": name, f"{noun}Arn": arn(kind, name), "CreationTime": DEPLOYED}


def _summary() -> dict[str, Any]:
    return {
        "ModelPackageGroupName": "churn", "ModelPackageVersion": 1, "ModelPackageArn": PACKAGE,
        "CreationTime": REGISTERED, "ModelPackageStatus": "Completed", "ModelApprovalStatus": "Approved",
    }  # fmt: skip


def _package() -> dict[str, Any]:
    return _summary() | {
        "ModelPackageName": PACKAGE,
        "ModelPackageStatusDetails": {"ValidationStatuses": []},
        "CreatedBy": {"IamIdentity": {"Arn": DEPLOYER, "PrincipalId": "AROADEPLOY:GitHubActions"}},
        "LastModifiedTime": APPROVED,
        "LastModifiedBy": {"IamIdentity": {"Arn": person("ada", "AdministratorAccess")["arn"]}},
        "ApprovalDescription": "reviewed in acme/ml#42",
        "InferenceSpecification": {
            "Containers": [{"Image": SERVER, "ModelDataUrl": f"s3://{MODELS}/churn/1/model.tar.gz"}]
        },
        "MetadataProperties": {"CommitId": "c" * 40, "Repository": "acme/ml", "GeneratedBy": arn("training-job", JOB)},
        "CustomerMetadataProperties": {"change_ref": "acme/ml#42"},
    }


def _model() -> dict[str, Any]:
    return _names("Model", "churn-1", "model") | {
        "PrimaryContainer": {"ModelPackageName": PACKAGE},
        "ExecutionRoleArn": SERVING,
        "VpcConfig": {"Subnets": ["subnet-0a1b2c3d"], "SecurityGroupIds": ["sg-0a1b2c3d"]},
        "EnableNetworkIsolation": False,
    }


def _endpoint() -> dict[str, Any]:
    return _names("Endpoint", "churn", "endpoint") | {"EndpointStatus": "InService", "LastModifiedTime": DEPLOYED}


def _running() -> dict[str, Any]:
    image = {"SpecifiedImage": SERVER, "ResolvedImage": SERVER, "ResolutionTime": DEPLOYED}
    variant = {"VariantName": "all", "CurrentWeight": 1.0, "CurrentInstanceCount": 2, "DeployedImages": [image]}
    return {"ProductionVariants": [variant]}


def _config() -> dict[str, Any]:
    variant = {
        "VariantName": "all", "ModelName": "churn-1", "InstanceType": "ml.m5.large", "InitialInstanceCount": 2,
        "InitialVariantWeight": 1.0,
    }  # fmt: skip
    return _names("EndpointConfig", "churn-1", "endpoint-config") | {"ProductionVariants": [variant]}


def _domain() -> dict[str, Any]:
    return {"DomainId": "d-studio0001", "DomainArn": arn("domain", "d-studio0001"), "DomainName": "studio",
            "Status": "InService", "CreationTime": TRAINED}  # fmt: skip


def _domain_more() -> dict[str, Any]:
    return {
        "AuthMode": "SSO", "AppNetworkAccessType": "VpcOnly", "VpcId": "vpc-0a1b2c3d", "SubnetIds": ["subnet-0a1b2c3d"],
        "DefaultUserSettings": {"ExecutionRole": EXECUTION, "SecurityGroups": ["sg-0a1b2c3d"]},
    }  # fmt: skip


def looked_up(asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """The page of audit events of one name."""
    (wanted,) = json.loads(asked["body"])["LookupAttributes"]
    found = [one for one in _events() if one[wanted["AttributeKey"]] == wanted["AttributeValue"]]
    return {"Events": found}


def _events() -> list[dict[str, Any]]:
    pipeline = {
        "type": "AssumedRole",
        "principalId": "AROADEPLOY:GitHubActions",
        "arn": f"arn:aws:sts::{ML}:assumed-role/ml-deploy/GitHubActions",
        "accountId": ML,
        "sessionContext": {
            "sessionIssuer": {"type": "Role", "arn": DEPLOYER, "accountId": ML, "userName": "ml-deploy"}
        },
    }
    by = "sagemaker.amazonaws.com"
    return [
        event("e1", "CreateTrainingJob", by, identity=person("cleo", "MLEngineer"), at=TRAINED,
              request={"trainingJobName": JOB}, response={"trainingJobArn": arn("training-job", JOB)}),
        event("e2", "CreateModelPackage", by, identity=pipeline, at=REGISTERED,
              request={"modelPackageGroupName": "churn"}, response={"modelPackageArn": PACKAGE}),
        event("e3", "UpdateModelPackage", by, identity=person("ada", "AdministratorAccess"), at=APPROVED,
              request={"modelPackageArn": PACKAGE, "modelApprovalStatus": "Approved"},
              response={"modelPackageArn": PACKAGE}),
        event("e4", "CreateEndpoint", by, identity=pipeline, at=DEPLOYED,
              request={"endpointName": "churn", "endpointConfigName": "churn-1"},
              response={"endpointArn": arn("endpoint", "churn")}),
    ]  # fmt: skip
