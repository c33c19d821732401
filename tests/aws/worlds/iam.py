"""Identities of the two accounts."""

from __future__ import annotations

import json

import boto3

SERVICES = ("iam",)
EMPTY_IS_AN_ANSWER = {"GenerateCredentialReport"}
CANNOT_TURN = dict.fromkeys(
    ("iam-key-age", "iam-key-unused", "iam-user-unused", "iam-root-locked"), "turns with time, not with settings"
)


def fill(*, good: bool) -> None:
    """A password policy, a role, a group and a user who signs in with password, key and SSH key."""
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
