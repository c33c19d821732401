"""A reasonable company: two accounts as AWS gives them, set up with care, and one ML project in one of them.

The emulator holds what it can hold. What it lacks, or answers otherwise than AWS does, is answered
beside it, each answer checked against the SDK's own model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import botocore.session
import pytest
from moto import mock_aws

from agent import clock
from agent.collect import collect
from agent.model import Kind, Snapshot, Target, Window
from agent.redact import Redactor
from agent.registry import discover
from agent.settings import Aws, Settings
from collectors.aws import AwsSource
from collectors.aws.permissions import declared
from tests.aws import company_ml as ml
from tests.aws import company_people as people
from tests.aws.company_account import bucket, keys, of_any, policy
from tests.aws.company_people import MANAGEMENT, ML
from tests.aws.emulated import answered, credentials
from tests.aws.worlds import Answer
from tests.aws.worlds.cloudtrail import event

REGIONS = ("us-east-1", "us-west-2", "eu-west-1")
"""All that are collected; the first is the only one that is used."""

LOADER = botocore.session.Session().get_component("data_loader")
"""One loader of service models for all sessions: reading them is most of what a new session costs."""

AGAINST_ITS_MODEL = {"sso-admin.GetInlinePolicyForPermissionSet"}
"""What AWS answers otherwise than the SDK's model says: an empty text where there is no inline policy."""

STREAMS = {name: spec for name, spec in discover().streams.items() if name.startswith("aws.")}
LOGS = "acme-audit-logs"
TRAIL = f"arn:aws:cloudtrail:us-east-1:{MANAGEMENT}:trail/organization"
ORGANIZATION_ROLE = "OrganizationAccountAccessRole"
"""What AWS puts into an account that an organisation makes, for its management account."""

OF_ALL = (
    ("support.amazonaws.com", "AWSServiceRoleForSupport", "AWSSupportServiceRolePolicy"),
    ("trustedadvisor.amazonaws.com", "AWSServiceRoleForTrustedAdvisor", "AWSTrustedAdvisorServiceRolePolicy"),
)
OF_ORGANIZATION = (
    ("organizations.amazonaws.com", "AWSServiceRoleForOrganizations", "AWSOrganizationsServiceTrustPolicy"),
    ("sso.amazonaws.com", "AWSServiceRoleForSSO", "AWSSSOServiceRolePolicy"),
    ("cloudtrail.amazonaws.com", "AWSServiceRoleForCloudTrail", "CloudTrailServiceRolePolicy"),
    ("guardduty.amazonaws.com", "AWSServiceRoleForAmazonGuardDuty", "AmazonGuardDutyServiceRolePolicy"),
)
"""Roles of AWS's own services: service, name, policy."""


class Company(AwsSource):
    """The real source over an emulator, with the answers that it lacks, account by account."""

    def __init__(self, accounts: tuple[str, ...], answers: Callable[[str], Mapping[str, Answer]]) -> None:
        role = "arn:aws:iam::{account}:role/evidence-reader"
        settings = Aws(role=role, accounts=list(accounts), regions=list(REGIONS))
        super().__init__(settings, lambda reference: reference, pause=lambda seconds: None)
        self._told = answers

    def _access(self, account: str) -> Any:
        new = account not in self._accesses
        access = super()._access(account)
        access.session.register_component("data_loader", LOADER)
        if new and account:
            for operation, answer in self._told(account).items():
                answered(access.session, operation, answer, well_formed=operation not in AGAINST_ITS_MODEL)
        return access

    def only(self, account: str) -> Company:
        """The same world, of which one account alone is read."""
        other = Company((account,), self._told)
        other._accesses = self._accesses
        return other

    def polled(self) -> Iterator[Snapshot]:
        """One poll of every stream in every account and region; of jobs and events over all time."""
        redactor = Redactor(b"k" * 32, discover().kept_tags)
        for name, spec in STREAMS.items():
            for scope in self.scopes(spec.per):
                target = Target(name, scope, spec.kind, spec.every_s, spec.collector)
                window = None if spec.kind is Kind.STATE else Window(0, clock.now_ms())
                yield collect(target, spec, self, redactor, window=window)


@contextmanager
def company() -> Iterator[Company]:
    """The company with its organisation, its people and its ML project; both accounts are read."""
    with _emulator():
        aws = {account: session(account) for account in (MANAGEMENT, ML)}
        for account in aws:
            _account(aws[account], account, OF_ALL + OF_ORGANIZATION)
            _signed_in(aws[account].client("iam"), account)
        _log_bucket(aws[MANAGEMENT])
        _cared_for(aws[ML])
        ml.project(aws[ML])
        yield Company((MANAGEMENT, ML), _of_company)


@contextmanager
def newcomer() -> Iterator[Company]:
    """An account opened today: its root has MFA and no keys, and there is nothing else but the reader's role."""
    with _emulator():
        _account(session(ML), ML, OF_ALL)
        yield Company((ML,), _of_newcomer)


def settings() -> dict[str, Any]:
    """What a careful owner configures, without any register."""
    rules = Settings().rule_settings()
    access: Any = rules["access"]
    admins = [f"arn:aws:iam::{MANAGEMENT}:role/{ORGANIZATION_ROLE}", people.role_of("AdministratorAccess", MANAGEMENT)]
    return rules | {
        "access": access | {
            "deployment_identities": [ml.DEPLOYER],
            "allowed": ml.ALLOWED | {f"arn:aws:s3:::{LOGS}": admins},
        },
        "environments": {f"aws:{ML}": "production", f"aws:{MANAGEMENT}": "management"},
        "own_accounts": [ML, MANAGEMENT],
        "trusted_registries": [ml.REGISTRY],
        "log_stores": [LOGS],
    }  # fmt: skip


def session(account: str) -> boto3.Session:
    """A session of the SDK in one account of the emulator."""
    sts = boto3.client("sts", region_name=REGIONS[0])
    key = sts.assume_role(RoleArn=f"arn:aws:iam::{account}:role/setup", RoleSessionName="setup")["Credentials"]
    return boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"], region_name=REGIONS[0])


@contextmanager
def _emulator() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        credentials(patch)
        with mock_aws(config={"iam": {"load_aws_managed_policies": True}}):
            yield


def _account(aws: boto3.Session, id: str, service_roles: tuple[tuple[str, str, str], ...]) -> None:
    """Roles of AWS's own services, the reader's, and what lets members of a default group reach each other."""
    iam = aws.client("iam")
    for service, name, managed in service_roles:
        trust = policy({"Principal": {"Service": service}, "Action": "sts:AssumeRole"})
        iam.create_role(RoleName=name, Path=f"/aws-service-role/{service}/", AssumeRolePolicyDocument=trust)
        iam.attach_role_policy(RoleName=name, PolicyArn=f"arn:aws:iam::aws:policy/aws-service-role/{managed}")
    allowed = {"Action": declared(list(STREAMS.values()), management=id == MANAGEMENT), "Resource": "*"}
    runner = {"Principal": {"AWS": f"arn:aws:iam::{ML}:root"}, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName="evidence-reader", AssumeRolePolicyDocument=policy(runner))
    iam.put_role_policy(RoleName="evidence-reader", PolicyName="evidence-reader", PolicyDocument=policy(allowed))
    for region in REGIONS:
        ec2 = aws.client("ec2", region_name=region)
        (group,) = ec2.describe_security_groups()["SecurityGroups"]
        within = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group["GroupId"]}]}
        ec2.authorize_security_group_ingress(GroupId=group["GroupId"], IpPermissions=[within])


def _signed_in(iam: Any, account: str) -> None:
    """What Identity Center puts into an account with assignments, and the organisation into one that it made."""
    provider = iam.create_saml_provider(
        Name="AWSSSO_1234567890abcdef_DO_NOT_DELETE", SAMLMetadataDocument="<EntityDescriptor>" + "x" * 1000
    )["SAMLProviderArn"]
    trust = policy(
        {
            "Principal": {"Federated": provider},
            "Action": ["sts:AssumeRoleWithSAML", "sts:TagSession"],
            "Condition": {"StringEquals": {"SAML:aud": "https://signin.aws.amazon.com/saml"}},
        }
    )
    for set_ in ("AdministratorAccess", "MLEngineer") if account == ML else ("AdministratorAccess",):
        path, name = people.role_of(set_, account).split(":role")[1].rsplit("/", 1)
        iam.create_role(RoleName=name, Path=f"{path}/", AssumeRolePolicyDocument=trust)
        if set_ == "MLEngineer":
            inline = json.dumps(people.ENGINEER)
            iam.put_role_policy(RoleName=name, PolicyName="AwsSSOInlinePolicy", PolicyDocument=inline)
        else:
            iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    if account == ML:
        manager = policy({"Principal": {"AWS": f"arn:aws:iam::{MANAGEMENT}:root"}, "Action": "sts:AssumeRole"})
        iam.create_role(RoleName=ORGANIZATION_ROLE, AssumeRolePolicyDocument=manager)
        iam.attach_role_policy(RoleName=ORGANIZATION_ROLE, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")


def _cared_for(aws: boto3.Session) -> None:
    """What a careful owner switches on in the account of the project."""
    aws.client("ec2").enable_ebs_encryption_by_default()
    block = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
    aws.client("s3control").put_public_access_block(AccountId=ML, PublicAccessBlockConfiguration=block)
    features = [{"Name": "S3_DATA_EVENTS", "Status": "ENABLED"}]
    aws.client("guardduty").create_detector(Enable=True, Features=features)


def _log_bucket(aws: boto3.Session) -> None:
    """Where the organisation's trail delivers, with the policy that AWS's own console writes."""
    bucket(aws, LOGS, {"owner": "ada@acme.example", "data_class": "internal"})
    source = {"StringEquals": {"aws:SourceArn": TRAIL}}
    by = {"Service": "cloudtrail.amazonaws.com"}
    check = {"Principal": by, "Action": "s3:GetBucketAcl", "Resource": f"arn:aws:s3:::{LOGS}", "Condition": source}
    places = [f"arn:aws:s3:::{LOGS}/AWSLogs/{place}/*" for place in (MANAGEMENT, people.ORGANIZATION)]
    owned = {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control", "aws:SourceArn": TRAIL}}
    write = {"Principal": by, "Action": "s3:PutObject", "Resource": places, "Condition": owned}
    aws.client("s3").put_bucket_policy(Bucket=LOGS, Policy=policy(check, write))


def _of_company(account: str) -> dict[str, Answer]:
    found = of_any(account, root_used=clock.now_ms() - 200 * clock.DAY_MS)
    found |= people.organization(account) | people.identity_center(account) | _trails()
    return found | (ml.answers() | keys("ebs", "elasticfilesystem") if account == ML else {})


def _of_newcomer(account: str) -> dict[str, Answer]:
    """The first sign-in of root is all that happened."""
    root = {"type": "Root", "arn": f"arn:aws:iam::{account}:root", "accountId": account}
    login = event("r1", "ConsoleLogin", "signin.amazonaws.com", identity=root, response={"ConsoleLogin": "Success"})

    def looked_up(asked: Mapping[str, Any]) -> Mapping[str, Any]:
        (wanted,) = json.loads(asked["body"])["LookupAttributes"]
        here = "us-east-1" in asked["url"] and login[wanted["AttributeKey"]] == wanted["AttributeValue"]
        return {"Events": [login] if here else []}

    alone: dict[str, Answer] = {"sso-admin.ListInstances": lambda _: {"Instances": []}}
    return of_any(account, root_used=clock.now_ms()) | alone | {"cloudtrail.LookupEvents": looked_up}


def _trails() -> dict[str, Answer]:
    """The organisation's trail: every account and region is shown it, its own tells how it does."""
    trail = {
        "Name": "organization", "TrailARN": TRAIL, "HomeRegion": "us-east-1", "S3BucketName": LOGS,
        "IsMultiRegionTrail": True, "IncludeGlobalServiceEvents": True, "LogFileValidationEnabled": True,
        "IsOrganizationTrail": True, "HasCustomEventSelectors": False, "HasInsightSelectors": False,
    }  # fmt: skip
    now = datetime.now(UTC)
    status = {"IsLogging": True, "StartLoggingTime": now - timedelta(days=290), "LatestDeliveryTime": now}
    selector = {"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": []}
    return {
        "cloudtrail.DescribeTrails": lambda _: {"trailList": [trail]},
        "cloudtrail.GetTrailStatus": lambda _: status,
        "cloudtrail.GetEventSelectors": lambda _: {"TrailARN": TRAIL, "EventSelectors": [selector]},
    }
