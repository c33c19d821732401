"""People of the reasonable company: its organisation and its Identity Center, as each account sees them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.aws.worlds import Answer

MANAGEMENT, ML, CLOSED = "210987654321", "123456789012", "333344445555"
ORGANIZATION = "o-acme123456"
INSTANCE = "arn:aws:sso:::instance/ssoins-72230a1b2c3d4e5f"
STORE = "d-9067f0a1b2"
ADMIN_SET, ENGINEER_SET = (INSTANCE.replace(":instance/", ":permissionSet/") + f"/ps-{n * 16}" for n in "ae")
SUFFIX = {"AdministratorAccess": "0a1b2c3d4e5f6071", "MLEngineer": "8192a3b4c5d6e7f8"}
"""What Identity Center puts behind the name of the role that it makes of a permission set."""

PEOPLE = ("ada", "bob", "cleo", "dan", "eve", "finn")
MEMBERS = {"Admins": ("ada", "bob"), "ML": ("cleo", "dan", "eve", "finn")}
ASSIGNED = {(ML, ADMIN_SET): "Admins", (MANAGEMENT, ADMIN_SET): "Admins", (ML, ENGINEER_SET): "ML"}

TRAINING, MODELS = "acme-ml-training", "acme-ml-models"
EXECUTION = f"arn:aws:iam::{ML}:role/ml-training"
ENGINEER: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "Train",
            "Effect": "Allow",
            "Action": [
                "sagemaker:CreateTrainingJob", "sagemaker:StopTrainingJob", "sagemaker:Describe*", "sagemaker:List*",
                "sagemaker:AddTags",
            ],
            "Resource": "*",
        },
        {
            "Sid": "Pass",
            "Effect": "Allow",
            "Action": "iam:PassRole",
            "Resource": EXECUTION,
            "Condition": {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        },
        {
            "Sid": "Data",
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject", "s3:ListBucket"],
            "Resource": [f"arn:aws:s3:::{TRAINING}", f"arn:aws:s3:::{TRAINING}/*"],
        },
        {
            "Sid": "Logs",
            "Effect": "Allow",
            "Action": ["logs:GetLogEvents", "logs:DescribeLogStreams", "logs:FilterLogEvents"],
            "Resource": f"arn:aws:logs:*:{ML}:log-group:/aws/sagemaker/*",
        },
    ],
}  # fmt: skip
_DENIED = {"Error": {"Code": "AccessDeniedException", "Message": "not allowed", "Status": 400}}


def role_of(set_: str, account: str = ML) -> str:
    """ARN of the role that a permission set has in an account."""
    return f"arn:aws:iam::{account}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_{set_}_{SUFFIX[set_]}"


def person(name: str, set_: str) -> dict[str, Any]:
    """`userIdentity` of an audit event that somebody caused through a permission set."""
    issuer = role_of(set_)
    short = issuer.rpartition("/")[2]
    return {
        "type": "AssumedRole",
        "principalId": f"AROA{set_[:6].upper()}:{name}@acme.example",
        "arn": f"arn:aws:sts::{ML}:assumed-role/{short}/{name}@acme.example",
        "accountId": ML,
        "sessionContext": {"sessionIssuer": {"type": "Role", "arn": issuer, "accountId": ML, "userName": short}},
    }


def organization(account: str) -> dict[str, Answer]:
    """The organisation; only its management account may list it."""
    of = f"arn:aws:organizations::{MANAGEMENT}"
    told = {
        "Id": ORGANIZATION, "Arn": f"{of}:organization/{ORGANIZATION}", "FeatureSet": "ALL",
        "MasterAccountId": MANAGEMENT, "MasterAccountArn": f"{of}:account/{ORGANIZATION}/{MANAGEMENT}",
        "MasterAccountEmail": "aws@acme.example",
    }  # fmt: skip
    states = {MANAGEMENT: ("acme", "ACTIVE"), ML: ("acme-ml", "ACTIVE"), CLOSED: ("acme-trial", "SUSPENDED")}
    accounts = [
        {
            "Id": id, "Arn": f"{of}:account/{ORGANIZATION}/{id}", "Name": name, "Email": f"{name}@acme.example",
            "State": state, "Status": state,
        }
        for id, (name, state) in states.items()
    ]  # fmt: skip
    policy = {
        "Id": "p-FullAWSAccess", "Arn": "arn:aws:organizations::aws:policy/service_control_policy/p-FullAWSAccess",
        "Name": "FullAWSAccess", "Type": "SERVICE_CONTROL_POLICY", "AwsManaged": True,
    }  # fmt: skip
    targets = [{"TargetId": "r-ab12", "Type": "ROOT", "Name": "Root"}]
    off = {"Error": {"Code": "ServiceAccessNotEnabledException", "Message": "off", "Status": 409}}
    listed: dict[str, Mapping[str, Any]] = {
        "organizations.ListAccounts": {"Accounts": accounts},
        "organizations.ListPolicies": {"Policies": [policy]},
        "organizations.ListTargetsForPolicy": {"Targets": targets},
    }
    found: dict[str, Answer] = {
        operation: lambda _, answer=answer: answer if account == MANAGEMENT else _DENIED
        for operation, answer in listed.items()
    }
    return found | {
        "organizations.DescribeOrganization": lambda _: {"Organization": told},
        "iam.ListOrganizationsFeatures": lambda _: off,
    }


def identity_center(account: str) -> dict[str, Answer]:
    """Identity Center, seen by both accounts and read in the one that it belongs to."""
    instance = {
        "InstanceArn": INSTANCE, "IdentityStoreId": STORE, "OwnerAccountId": MANAGEMENT, "Status": "ACTIVE",
        "PrimaryRegion": "us-east-1",
    }  # fmt: skip
    read: dict[str, Answer] = {
        "sso-admin.ListPermissionSets": lambda _: {"PermissionSets": [ADMIN_SET, ENGINEER_SET]},
        "sso-admin.DescribePermissionSet": lambda asked: {"PermissionSet": _set(_of(asked))},
        "sso-admin.ListManagedPoliciesInPermissionSet": lambda asked: {"AttachedManagedPolicies": _managed(_of(asked))},
        "sso-admin.ListCustomerManagedPolicyReferencesInPermissionSet": lambda _: {
            "CustomerManagedPolicyReferences": []
        },
        "sso-admin.GetInlinePolicyForPermissionSet": lambda asked: {
            "InlinePolicy": json.dumps(ENGINEER) if _of(asked) == ENGINEER_SET else ""
        },
        "sso-admin.GetPermissionsBoundaryForPermissionSet": lambda _: {
            "Error": {"Code": "ResourceNotFoundException", "Message": "none", "Status": 404}
        },
        "sso-admin.ListAccountsForProvisionedPermissionSet": lambda asked: {
            "AccountIds": [id for id, set_ in ASSIGNED if set_ == _of(asked)]
        },
        "sso-admin.ListAccountAssignments": lambda asked: {"AccountAssignments": _assignments(asked)},
        "identitystore.ListUsers": lambda _: {"Users": [_user(name) for name in PEOPLE]},
        "identitystore.ListGroups": lambda _: {"Groups": [_group(name) for name in MEMBERS]},
        "identitystore.ListGroupMemberships": lambda asked: {"GroupMemberships": _memberships(asked)},
    }
    found = read if account == MANAGEMENT else {operation: lambda _: _DENIED for operation in read}
    return found | {"sso-admin.ListInstances": lambda _: {"Instances": [instance]}}


def _of(asked: Mapping[str, Any], name: str = "PermissionSetArn") -> str:
    return str(json.loads(asked["body"])[name])


def _set(arn: str) -> Mapping[str, Any]:
    name = "MLEngineer" if arn == ENGINEER_SET else "AdministratorAccess"
    return {"Name": name, "PermissionSetArn": arn, "SessionDuration": "PT4H"}


def _managed(arn: str) -> list[Mapping[str, Any]]:
    admin = {"Name": "AdministratorAccess", "Arn": "arn:aws:iam::aws:policy/AdministratorAccess"}
    return [admin] if arn == ADMIN_SET else []


def _assignments(asked: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    place = (_of(asked, "AccountId"), _of(asked))
    told = {"AccountId": place[0], "PermissionSetArn": place[1], "PrincipalType": "GROUP"}
    return [{**told, "PrincipalId": _id(ASSIGNED[place])}]


def _id(name: str) -> str:
    return f"00000000-0000-4000-8000-{name.encode().hex():0>12}"


def _user(name: str) -> Mapping[str, Any]:
    mail = f"{name}@acme.example"
    return {
        "UserId": _id(name), "UserName": mail, "DisplayName": name.title(), "UserStatus": "ENABLED",
        "IdentityStoreId": STORE, "Emails": [{"Value": mail, "Type": "work", "Primary": True}],
        **_stored("user", name),
    }  # fmt: skip


def _group(name: str) -> Mapping[str, Any]:
    return {"GroupId": _id(name), "DisplayName": name, "IdentityStoreId": STORE, **_stored("group", name)}


def _stored(kind: str, name: str) -> dict[str, str]:
    return {"Revision": "1", f"{kind.title()}Arn": f"arn:aws:identitystore:::{kind}/{_id(name)}"}


def _memberships(asked: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    group = next(name for name in MEMBERS if _id(name) == _of(asked, "GroupId"))
    return [
        {
            "IdentityStoreId": STORE, "MembershipId": _id(name), "MemberId": {"UserId": _id(name)},
            "MembershipArn": f"arn:aws:identitystore:::membership/{_id(name)}",
        }
        for name in MEMBERS[group]
    ]  # fmt: skip
