"""Every AWS stream x declared operation x fault: nothing that depends on what was hidden is pass or fail."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ReadTimeoutError
from botocore.parsers import ResponseParserError
from moto import mock_aws

from agent.collect import collect
from agent.model import Target
from agent.redact import Redactor
from agent.registry import discover
from agent.settings import Settings
from collectors.aws import AwsSource
from tests.faults import Lab

FAULTS = ("denied", "throttled", "timeout", "malformed", "short")
SERVICES = ("iam", "s3", "s3-control")
EMPTY_IS_AN_ANSWER = {"GenerateCredentialReport", "GetBucketVersioning", "GetBucketLogging", "GetBucketLocation"}
"""An answer without any member is what the provider says for "never set" there: no short answer to tell apart."""

LOADER = botocore.session.Session().get_component("data_loader")
"""One loader of service models for all cases: reading them is most of what a new session costs."""
LISTS = {"ListBuckets", "ListAccessPoints"}
"""Operations that say "there is more" by a token alone: the page after it is refused."""

STREAMS = {name: spec for name, spec in discover().streams.items() if name.startswith("aws.")}
CASES = [
    pytest.param(name, operation, fault, id=f"{name}-{operation}-{fault}")
    for name, spec in STREAMS.items()
    for operation in spec.needs
    for fault in FAULTS
    if not (fault == "short" and operation in EMPTY_IS_AN_ANSWER)
]
SETTINGS = Settings().rule_settings()


class Faulty(AwsSource):
    """The real source over sessions in which one operation goes wrong."""

    def __init__(self, operation: str = "", fault: str = "") -> None:
        settings = SimpleNamespace(role=None, external_id=None, accounts=[], regions=["us-east-1"])
        super().__init__(settings, lambda reference: reference, pause=lambda seconds: None)
        self.operation, self.fault, self.calls, self.cut = operation, fault, 0, False

    def _access(self, account: str) -> Any:
        new = account not in self._accesses
        access = super()._access(account)
        access.session.register_component("data_loader", LOADER)
        if new and self.fault:
            for service in SERVICES:
                stage = "after-call" if self.fault == "short" else "before-call"
                access.session.register(f"{stage}.{service}.{self.operation}", getattr(self, f"_{self.fault}"))
                if self.fault == "short":
                    access.session.register(f"before-call.{service}.{self.operation}", self._second)
        return access

    def _denied(self, **_: Any) -> Any:
        return _error(403, "AccessDenied")

    def _throttled(self, **_: Any) -> Any:
        return _error(400, "Throttling")

    def _timeout(self, **_: Any) -> Any:
        raise ReadTimeoutError(endpoint_url="https://aws.invalid")

    def _malformed(self, **_: Any) -> Any:
        raise ResponseParserError("not what the model says")

    def _short(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        """A page that is cut, with a mark that there is more, or an answer without its members."""
        if "Error" in parsed:
            return
        self.cut = True
        lists = [name for name, value in parsed.items() if isinstance(value, list)]
        token = next((name for name in ("ContinuationToken", "NextToken") if name in model.output_shape.members), None)
        if "IsTruncated" in parsed or "IsTruncated" in model.output_shape.members:
            parsed["IsTruncated"] = True
            parsed.pop("Marker", None)
        elif lists and token:
            parsed[token] = "more"
        else:
            for name in [name for name in parsed if name != "ResponseMetadata"]:
                del parsed[name]
        for name in lists:
            del parsed.get(name, [])[-1:]

    def _second(self, **_: Any) -> Any:
        self.calls += 1
        return _error(500, "InternalError") if self.calls > 1 and self.operation in LISTS else None


def _error(status: int, code: str) -> tuple[AWSResponse, dict[str, Any]]:
    body = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}}}
    return AWSResponse("https://aws.invalid", status, {}, None), body


def fill(*, good: bool) -> None:
    """One account with the same names either way, and every setting the other way round."""
    iam, s3 = boto3.client("iam"), boto3.client("s3")
    s3control = boto3.client("s3control")
    account = boto3.client("sts").get_caller_identity()["Account"]
    if good:
        iam.update_account_password_policy(MinimumPasswordLength=16, PasswordReusePrevention=24)
    else:
        iam.update_account_password_policy(MinimumPasswordLength=6)
    wide = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    narrow = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::a/*"}],
    }
    allowed = json.dumps(narrow if good else wide)
    policy = iam.create_policy(PolicyName="work", PolicyDocument=allowed)["Policy"]["Arn"]
    assume = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    trust = {"Version": "2012-10-17", "Statement": [assume]}
    iam.create_role(RoleName="trainer", AssumeRolePolicyDocument=json.dumps(trust))
    iam.attach_role_policy(RoleName="trainer", PolicyArn=policy)
    iam.create_group(GroupName="staff")
    iam.put_group_policy(GroupName="staff", PolicyName="inline", PolicyDocument=allowed)
    iam.create_user(UserName="ada")
    iam.create_login_profile(UserName="ada", Password="Correct-Horse-9")
    iam.create_access_key(UserName="ada")
    iam.upload_ssh_public_key(UserName="ada", SSHPublicKeyBody="ssh-rsa AAAAB3NzaC1yc2E= ada")
    if good:
        serial = iam.create_virtual_mfa_device(VirtualMFADeviceName="ada")["VirtualMFADevice"]["SerialNumber"]
        iam.enable_mfa_device(
            UserName="ada", SerialNumber=serial, AuthenticationCode1="123456", AuthenticationCode2="234567"
        )
        iam.add_user_to_group(GroupName="staff", UserName="ada")
    else:
        iam.attach_user_policy(UserName="ada", PolicyArn=policy)
    block = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), good)
    s3control.put_public_access_block(AccountId=account, PublicAccessBlockConfiguration=block)
    for name in ("models", "training"):
        _bucket(s3, name, block, good=good)
    s3control.create_access_point(AccountId=account, Name="reader", Bucket="models")


def _bucket(s3: Any, name: str, block: dict[str, bool], *, good: bool) -> None:
    s3.create_bucket(Bucket=name)
    arn = [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"]
    tls = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": arn,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    public = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": arn[1]}
    statement = tls if good else public
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=block)
    s3.put_bucket_ownership_controls(
        Bucket=name,
        OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced" if good else "ObjectWriter"}]},
    )
    if good:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    else:
        s3.put_bucket_acl(Bucket=name, ACL="public-read")


def poll(name: str, source: AwsSource) -> Any:
    spec = STREAMS[name]
    scope = source.scopes(spec.per)[0]
    return collect(
        Target(name, scope, spec.kind, spec.every_s, spec.collector),
        spec,
        source,
        Redactor(b"k" * 32, discover().kept_tags),
    )


@pytest.fixture(autouse=True)
def credentials(alone: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invented ones, for the calls that the tests themselves make."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Snapshots of a good and a bad account, the findings of the good one, and the good account itself, still there."""
    patch = pytest.MonkeyPatch()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        patch.setenv(name, "testing")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        fill(good=False)
        source = Faulty()
        bad = {name: poll(name, source) for name in STREAMS}
    with mock_aws():
        fill(good=True)
        source = Faulty()
        good = {name: poll(name, source) for name in STREAMS}
        assert {name: snapshot.unseen for name, snapshot in good.items() if snapshot.unseen} == {}
        lab = Lab(tmp_path_factory.mktemp("lab"), good, SETTINGS)
        yield SimpleNamespace(lab=lab, bad=bad)
        lab.ledger.close()
    patch.undo()


def test_the_two_worlds_differ_in_every_check(worlds):
    """Without this the matrix below would prove little: each check must be able to go both ways."""
    before = worlds.lab.baseline
    other = worlds.lab.judged(worlds.bad.values())
    worlds.lab.judged(worlds.lab.good.values())
    turned = {f.check for name, f in other.items() if name in before and before[name].status is not f.status}
    of_aws = {spec.id for spec in discover().all_checks() if spec.stream.startswith("aws.")}
    by_time = {"iam-key-age", "iam-key-unused", "iam-user-unused", "iam-root-locked"}
    assert turned == of_aws - by_time


@pytest.mark.parametrize(("name", "operation", "fault"), CASES)
def test_nothing_unseen_is_judged(worlds, name, operation, fault):
    source = Faulty(operation, fault)
    faulty = poll(name, source)
    if fault == "short" and not source.cut:  # the good account has nothing of this kind: nothing to cut
        assert not faulty.unseen
        return
    assert worlds.lab.wrong(worlds.bad[name], faulty, operation, fault) == []
