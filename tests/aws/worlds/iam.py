"""Identities of the two accounts."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import boto3
from moto.iam.models import AWSManagedPolicy, iam_backends

ACCOUNT = "123456789012"
PEOPLE = [f"person-{number}" for number in range(6)]
MADE = "2026-01-01T00:00:00+00:00"

SERVICES = ("iam",)
SETTINGS = {
    "environments": {f"aws:{ACCOUNT}": "production"},
    "access": {
        "allowed": {
            "arn:aws:s3:::models": [f"arn:aws:iam::{ACCOUNT}:role/trainer"],
            "arn:aws:s3:::training": [f"arn:aws:iam::{ACCOUNT}:role/trainer"],
            f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:mlflow-tracking-server/runs": [],
        }
    },
}
EMPTY_IS_AN_ANSWER = {"GenerateCredentialReport"}
CANNOT_TURN = dict.fromkeys(
    ("iam-key-unused", "iam-user-unused", "iam-root-locked"), "turns with time, not with settings"
)


def fill(*, good: bool) -> None:
    """A password policy, a role, groups, people, and a user who signs in with password, key and SSH key."""
    iam = boto3.client("iam")
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
    iam.attach_role_policy(RoleName="trainer", PolicyArn=_by_aws(narrow if good else wide))
    iam.create_group(GroupName="staff")
    iam.put_group_policy(GroupName="staff", PolicyName="inline", PolicyDocument=allowed)
    iam.create_group(GroupName="people")
    iam.put_group_policy(GroupName="people", PolicyName="inline", PolicyDocument=allowed)
    for name in PEOPLE:
        iam.create_user(UserName=name)
        iam.create_login_profile(UserName=name, Password="Correct-Horse-9")
        iam.add_user_to_group(GroupName="people", UserName=name)
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


def answers(*, good: bool) -> dict[str, Any]:
    """A credential for one service: the emulator has none."""
    held = {
        "UserName": "ada",
        "Status": "Active" if good else "Inactive",
        "CreateDate": datetime.now(UTC).replace(microsecond=0),
        "ServiceSpecificCredentialId": "ACCAEXAMPLEEXAMPLE123",
        "ServiceName": "bedrock.amazonaws.com",
    }
    told = {"ServiceSpecificCredentials": [held], "IsTruncated": False}
    return {"iam.ListServiceSpecificCredentials": lambda _asked: told}


def _by_aws(document: Any) -> str:
    """A policy that AWS wrote, as far as the emulator goes: none is loaded there by itself."""
    told = {"Path": "/", "DefaultVersionId": "v1", "Document": document, "CreateDate": MADE, "UpdateDate": MADE}
    policy = AWSManagedPolicy.from_data("Work", ACCOUNT, "us-east-1", told)
    backend = iam_backends[ACCOUNT]["aws"]
    backend.managed_policies[policy.arn] = policy
    backend.aws_managed_policies = [policy]
    return policy.arn
