"""The company's AWS account: an emulated one, filled and changed through the AWS library."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from agent.clock import iso, now_ms
from agent.registry import discover

REGION = "eu-central-1"
PREFIX = "example-models-"
"""Bucket names are world-wide; the story says `training-data`, the account `example-models-training-data`."""

BLOCKED = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": True}
OPEN = dict.fromkeys(BLOCKED, False)

_NEVER_MADE = {
    "list_inference_components": "InferenceComponents",
    "list_mlflow_apps": "Summaries",
    "list_mlflow_tracking_servers": "TrackingServerSummaries",
    "list_monitoring_schedules": "MonitoringScheduleSummaries",
}
"""Listings of SageMaker that the emulator lacks, and their member: the account has none of these."""

_REPORT_KEPT_MS = 4 * 3_600_000
_ROOT_ROW = (
    "{arn},{created},{enabled},{used},{changed},not_supported,true,false,N/A,N/A,N/A,N/A,false,N/A,N/A,N/A,N/A,"
    "false,N/A,false,N/A\n"
)


class Account:
    """The account as its administrators change it.

    Needs the emulator (`mock_aws`) to be in force. Whatever is made carries the time of the process
    clock, so a key made after travelling 400 days back is 400 days old.
    """

    def __init__(self) -> None:
        import boto3
        from moto.core import DEFAULT_ACCOUNT_ID
        from moto.iam.models import iam_backends
        from moto.s3.models import s3_backends

        self.id = str(DEFAULT_ACCOUNT_ID)
        self.iam = boto3.client("iam", region_name=REGION)
        self.s3 = boto3.client("s3", region_name=REGION)
        self.s3control = boto3.client("s3control", region_name=REGION)
        self._identities: Any = iam_backends[self.id]["aws"]
        self._storage: Any = s3_backends[self.id]["aws"]
        self._keys: dict[str, list[str]] = {}

    def watch(self) -> None:
        """Turn threat detection on, buckets included."""
        import boto3

        features: Any = [{"Name": "S3_DATA_EVENTS", "Status": "ENABLED"}]
        boto3.client("guardduty", region_name=REGION).create_detector(Enable=True, Features=features)

    def record(self, bucket: str) -> None:
        """Record what is done in the account: a trail of all regions that delivers to this bucket, kept for years."""
        import boto3

        trail = boto3.client("cloudtrail", region_name=REGION)
        self.bucket_policy(bucket, plain_refused(PREFIX + bucket), trail_delivers(PREFIX + bucket))
        trail.create_trail(
            Name="main", S3BucketName=PREFIX + bucket, IsMultiRegionTrail=True, EnableLogFileValidation=True
        )
        everything: Any = {"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": []}
        trail.put_event_selectors(TrailName="main", EventSelectors=[everything])
        trail.start_logging(Name="main")

    # --- people and their credentials

    def user(
        self, name: str, *groups: str, console: bool = False, mfa: bool = False, tags: Mapping[str, str] | None = None
    ) -> None:
        """Make a user, with a console password and a second factor where asked."""
        self.iam.create_user(UserName=name, Tags=_tags(tags or {}))
        for group in groups:
            self.iam.add_user_to_group(GroupName=group, UserName=name)
        if console:
            self.iam.create_login_profile(UserName=name, Password=f"Not-a-Secret-{len(name)}-for-the-emulator")
        if mfa:
            self.enrol_mfa(name)

    def enrol_mfa(self, name: str) -> None:
        """Give a user a virtual second factor."""
        device = self.iam.create_virtual_mfa_device(VirtualMFADeviceName=name)["VirtualMFADevice"]["SerialNumber"]
        self.iam.enable_mfa_device(
            UserName=name, SerialNumber=device, AuthenticationCode1="123456", AuthenticationCode2="654321"
        )

    def remove_user(self, name: str) -> None:
        """Delete a user with all that hangs on it."""
        for key in self._keys.pop(name, []):
            self.iam.delete_access_key(UserName=name, AccessKeyId=key)
        for device in self.iam.list_mfa_devices(UserName=name)["MFADevices"]:
            self.iam.deactivate_mfa_device(UserName=name, SerialNumber=device["SerialNumber"])
        for group in self.iam.list_groups_for_user(UserName=name)["Groups"]:
            self.iam.remove_user_from_group(GroupName=group["GroupName"], UserName=name)
        self.iam.delete_login_profile(UserName=name)
        self.iam.delete_user(UserName=name)

    def key(self, user: str) -> None:
        """Make an access key for a user."""
        made = self.iam.create_access_key(UserName=user)["AccessKey"]
        self._keys.setdefault(user, []).append(made["AccessKeyId"])

    def rotate_key(self, user: str) -> None:
        """Make a new key and delete the user's oldest."""
        self.key(user)
        self.iam.delete_access_key(UserName=user, AccessKeyId=self._keys[user].pop(0))

    def disable_key(self, user: str) -> None:
        """Make the user's oldest key inactive."""
        self.iam.update_access_key(UserName=user, AccessKeyId=self._keys[user][0], Status="Inactive")

    def work(self, people: Sequence[str], services: Sequence[str]) -> None:
        """Let people sign in and services use their newest key: nothing but the times of last use change."""
        from moto.core.utils import utcnow
        from moto.iam.models import AccessKeyLastUsed

        for name in people:
            if name in self._identities.users:
                self._identities.users[name].password_last_used = utcnow()
        for name in services:
            if self._keys.get(name):
                key = self._identities.access_keys[self._keys[name][-1]]
                key.last_used = AccessKeyLastUsed(utcnow(), "s3", REGION)

    def password_policy(self, length: int, reuse: int) -> None:
        """Set the account's rules for passwords."""
        self.iam.update_account_password_policy(MinimumPasswordLength=length, PasswordReusePrevention=reuse)

    def protect_root(self) -> None:
        """Give the root user the row and the second factor that the emulator leaves out and AWS shows."""
        now = iso(now_ms()).replace("Z", "+00:00")
        self._identities.account_summary._account_mfa_enabled = 1
        row = _ROOT_ROW.format(
            arn=f"<root_account>,arn:aws:iam::{self.id}:root", created=now, enabled="not_supported",
            used=now, changed="not_supported",
        )  # fmt: skip
        written = self._identities.get_credential_report

        def report() -> str:
            head, rest = written().split("\n", 1)
            return f"{head}\n{row}{rest}"

        self._identities.get_credential_report = report

    # --- what they may do

    def group(self, name: str, *policies: str) -> None:
        """Make a group with these policies."""
        self.iam.create_group(GroupName=name)
        for policy in policies:
            self.iam.attach_group_policy(GroupName=name, PolicyArn=policy)

    def policy(self, name: str, *statements: Mapping[str, Any]) -> str:
        """Write a policy of the company's own; its ARN comes back."""
        made = self.iam.create_policy(PolicyName=name, PolicyDocument=_document(statements))
        return str(made["Policy"]["Arn"])

    def rewrite_policy(self, name: str, *statements: Mapping[str, Any]) -> None:
        """Put a new version of a policy in force."""
        self.iam.create_policy_version(
            PolicyArn=self.own(name), PolicyDocument=_document(statements), SetAsDefault=True
        )  # fmt: skip

    def role(self, name: str, trusted: Mapping[str, str], *policies: str) -> None:
        """Make a role that this principal may take, with these policies."""
        trust = {"Effect": "Allow", "Principal": dict(trusted), "Action": "sts:AssumeRole"}
        self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=_document([trust]))
        for policy in policies:
            self.iam.attach_role_policy(RoleName=name, PolicyArn=policy)

    def reader(self, name: str, trusted: Mapping[str, str]) -> None:
        """Make the agent's own role, with the policy that `evidenced permissions aws` prints."""
        registry = discover()
        streams = [spec for spec in registry.streams.values() if spec.provider == "aws"]
        policy = registry.permissions["aws"](streams, "json", False)
        self.iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(json.loads(policy), separators=(",", ":")))
        self.role(name, trusted, self.own(name))

    def own(self, name: str) -> str:
        """ARN of a policy of the company's own."""
        return f"arn:aws:iam::{self.id}:policy/{name}"

    # --- buckets

    def bucket(
        self,
        name: str,
        data_class: str | None,
        *,
        tls_only: bool = True,
        versioned: bool = True,
        blocked: bool = True,
        key: str | None = None,
    ) -> None:
        """Make a bucket with what AWS sets by itself since 2023 and the emulator does not, and with these settings."""
        full = PREFIX + name
        self.s3.create_bucket(
            Bucket=full, ObjectOwnership="BucketOwnerEnforced", CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        by_default: dict[str, Any] = (
            {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key} if key else {"SSEAlgorithm": "AES256"}
        )
        rule = {"ApplyServerSideEncryptionByDefault": by_default, "BucketKeyEnabled": bool(key)}
        self.s3.put_bucket_encryption(Bucket=full, ServerSideEncryptionConfiguration={"Rules": [rule]})
        self.s3.put_public_access_block(Bucket=full, PublicAccessBlockConfiguration=BLOCKED if blocked else OPEN)
        tags = {
            "team": "platform",
            "owner": "platform@example-models.com",
            **({"data_class": data_class} if data_class else {}),
        }
        self.s3.put_bucket_tagging(Bucket=full, Tagging={"TagSet": _tags(tags)})
        if versioned:
            self.version_bucket(name)
        if tls_only:
            self.bucket_policy(name, plain_refused(full))

    def version_bucket(self, name: str) -> None:
        """Keep every version of the objects of a bucket."""
        self.s3.put_bucket_versioning(Bucket=PREFIX + name, VersioningConfiguration={"Status": "Enabled"})

    def bucket_policy(self, name: str, *statements: Mapping[str, Any]) -> None:
        """Set the policy of a bucket."""
        self.s3.put_bucket_policy(Bucket=PREFIX + name, Policy=_document(statements))

    def block_bucket(self, name: str, *, on: bool) -> None:
        """Turn the public-access block of one bucket on or off."""
        self.s3.put_public_access_block(Bucket=PREFIX + name, PublicAccessBlockConfiguration=BLOCKED if on else OPEN)

    def block_account(self, *, on: bool) -> None:
        """Turn the public-access block of the whole account on or off."""
        self.s3control.put_public_access_block(
            AccountId=self.id, PublicAccessBlockConfiguration=BLOCKED if on else OPEN
        )  # fmt: skip

    # --- what the agent itself may do

    def refuse_encryption(self) -> None:
        """Take s3:GetEncryptionConfiguration from every reader: the operation answers 403 AccessDenied."""
        from moto.s3.exceptions import S3AccessDeniedError

        def refuse(_bucket: str) -> None:
            raise S3AccessDeniedError

        self._storage.get_bucket_encryption = refuse

    def allow_encryption(self) -> None:
        """Give the permission back."""
        del self._storage.get_bucket_encryption


def allow(*actions: str, on: str | Sequence[str] = "*") -> dict[str, Any]:
    """A policy statement that allows actions on resources."""
    return {"Effect": "Allow", "Action": list(actions), "Resource": on if isinstance(on, str) else list(on)}


def plain_refused(bucket: str) -> dict[str, Any]:
    """The bucket-policy statement that refuses requests without TLS."""
    arn = f"arn:aws:s3:::{bucket}"
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def trail_delivers(bucket: str) -> dict[str, Any]:
    """The bucket-policy statement that lets CloudTrail write its logs."""
    trail = {"Service": "cloudtrail.amazonaws.com"}
    return {
        "Effect": "Allow",
        "Principal": trail,
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{bucket}/AWSLogs/*",
    }


def anybody_reads(bucket: str) -> dict[str, Any]:
    """The bucket-policy statement that opens a bucket to the world."""
    return {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}


@contextmanager
def emulated(seed: int) -> Iterator[None]:
    """Have every call of the AWS library answered by the emulator, whose made-up ids follow from the seed."""
    from moto import mock_aws
    from moto.moto_api._internal import mock_random

    mock_random.seed(seed)
    with mock_aws(config={"iam": {"load_aws_managed_policies": True}}), _emulator_mended():
        yield


@contextmanager
def _emulator_mended() -> Iterator[None]:
    """Let the emulator answer what it lacks or has wrong: credentials of one service, the age of a report.

    The account holds no service-specific credential; a credential report is made anew after four hours.
    No policy is a permission boundary. Inspector, where it was never turned on, says that it is off. Of what
    is done in the emulator CloudTrail shows nothing. SageMaker has none of what the emulator cannot make.
    """
    from moto.cloudtrail.responses import CloudTrailResponse
    from moto.core.responses import ActionResult
    from moto.iam.responses import IamResponse
    from moto.inspector2.models import AccountStatus, Inspector2Backend
    from moto.sagemaker.responses import SageMakerResponse

    made_ms = 0

    def none_held(_response: Any) -> Any:
        return ActionResult({"ServiceSpecificCredentials": [], "IsTruncated": False})

    def report(response: Any) -> Any:
        nonlocal made_ms
        if now_ms() - made_ms >= _REPORT_KEPT_MS:
            made_ms = now_ms()
        content = response.backend.get_credential_report()
        return ActionResult({"Content": content, "ReportFormat": "text/csv", "GeneratedTime": iso(made_ms)})

    def policies(response: Any) -> Any:
        if response._get_param("PolicyUsageFilter") == "PermissionsBoundary":
            return ActionResult({"Policies": [], "IsTruncated": False})
        return listed(response)

    def inspected(backend: Any, ids: Sequence[str]) -> list[dict[str, Any]]:
        return [(backend.account_status.get(id) or AccountStatus(id)).to_batch_json() for id in ids]

    wrong, unsaid = IamResponse.get_credential_report, Inspector2Backend.batch_get_account_status
    listed, IamResponse.list_policies = IamResponse.list_policies, policies
    Inspector2Backend.batch_get_account_status = inspected
    IamResponse.get_credential_report, IamResponse.list_service_specific_credentials = report, none_held
    for listing, member in _NEVER_MADE.items():
        setattr(SageMakerResponse, listing, lambda _response, member=member: json.dumps({member: []}))
    CloudTrailResponse.lookup_events = lambda _response: json.dumps({"Events": []})
    try:
        yield
    finally:
        del CloudTrailResponse.lookup_events
        for listing in _NEVER_MADE:
            delattr(SageMakerResponse, listing)
        IamResponse.get_credential_report, IamResponse.list_policies = wrong, listed
        Inspector2Backend.batch_get_account_status = unsaid
        del IamResponse.list_service_specific_credentials


def _document(statements: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def _tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": name, "Value": value} for name, value in sorted(tags.items())]
