"""Identities of an account, what they may do, and how they sign in.

Users, roles, groups and policies come from GetAccountAuthorizationDetails, one listing each;
passwords and keys from the credential report (`credential_report.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC
from typing import Any

from agent.collect import facet, spread
from agent.model import Gap, Json, Reason, Record
from agent.registry import stream
from collectors.aws import AwsAccount, pages, whole
from collectors.aws.policy import document, documents

_DETAILS = {"GetAccountAuthorizationDetails": "iam:GetAccountAuthorizationDetails"}
_NO_VERSION = Gap(Reason.MALFORMED, "GetAccountAuthorizationDetails", "NoDefaultVersion")
_SUMMARY = (
    "AccountAccessKeysPresent",
    "AccountMFAEnabled",
    "AccountPasswordPresent",
    "AccountSigningCertificatesPresent",
)
_PASSWORD_POLICY = (
    "AllowUsersToChangePassword",
    "ExpirePasswords",
    "HardExpiry",
    "MaxPasswordAge",
    "MinimumPasswordLength",
    "PasswordReusePrevention",
    "RequireLowercaseCharacters",
    "RequireNumbers",
    "RequireSymbols",
    "RequireUppercaseCharacters",
)


@stream("aws.iam.users", per="account", every="1d", needs=_DETAILS, tags=["/tags"], personal=True)
def users(account: AwsAccount) -> Iterator[Record | Gap]:
    """Users of the account with their groups and policies."""
    for user in _details(account, "User", "UserDetailList"):
        yield Record(
            user["Arn"],
            {
                "name": user["UserName"],
                "path": user.get("Path"),
                "created": user.get("CreateDate"),
                "groups": sorted(user.get("GroupList", [])),
                "inline": documents(user.get("UserPolicyList", [])),
                "attached": _arns(user),
                "boundary": user.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
                "tags": tag_map(user.get("Tags", [])),
            },
        )


@stream("aws.iam.roles", per="account", every="1d", needs=_DETAILS, tags=["/tags"])
def roles(account: AwsAccount) -> Iterator[Record | Gap]:
    """Roles of the account, whom they trust and what they may do."""
    for role in _details(account, "Role", "RoleDetailList"):
        yield Record(
            role["Arn"],
            {
                "name": role["RoleName"],
                "path": role.get("Path"),
                "created": role.get("CreateDate"),
                "trust": document(role.get("AssumeRolePolicyDocument")),
                "inline": documents(role.get("RolePolicyList", [])),
                "attached": _arns(role),
                "boundary": role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
                "tags": tag_map(role.get("Tags", [])),
            },
        )


@stream("aws.iam.role_usage", per="account", every="1d", needs=_DETAILS)
def role_usage(account: AwsAccount) -> Iterator[Record | Gap]:
    """When each role was last used, to the day."""
    for role in _details(account, "Role", "RoleDetailList"):
        used = role.get("RoleLastUsed", {})
        yield Record(
            role["Arn"],
            {
                "name": role["RoleName"],
                "path": role.get("Path"),
                "created": role.get("CreateDate"),
                "last_used": used["LastUsedDate"].astimezone(UTC).date() if "LastUsedDate" in used else None,
                "last_used_region": used.get("Region"),
            },
        )


@stream("aws.iam.groups", per="account", every="1d", needs=_DETAILS)
def groups(account: AwsAccount) -> Iterator[Record | Gap]:
    """Groups of the account and what their members may do."""
    for group in _details(account, "Group", "GroupDetailList"):
        yield Record(
            group["Arn"],
            {
                "name": group["GroupName"],
                "path": group.get("Path"),
                "created": group.get("CreateDate"),
                "inline": documents(group.get("GroupPolicyList", [])),
                "attached": _arns(group),
            },
        )


@stream("aws.iam.policies", per="account", every="1d", needs=_DETAILS)
def policies(account: AwsAccount) -> Iterator[Record | Gap]:
    """Policies the customer wrote, in the version that is in force.

    Those that AWS wrote are a stream of their own (`managed_policies.py`).
    """
    for policy in _details(account, "LocalManagedPolicy", "Policies"):
        in_force = [version for version in policy["PolicyVersionList"] if version.get("IsDefaultVersion")]
        yield Record(
            policy["Arn"],
            {
                "name": policy["Arn"].rpartition("/")[2],
                "path": policy.get("Path"),
                "created": policy.get("CreateDate"),
                "version": policy.get("DefaultVersionId"),
                "attached_to": policy["AttachmentCount"],
                "boundary_of": policy.get("PermissionsBoundaryUsageCount"),
                "document": document(in_force[0].get("Document")) if in_force else _NO_VERSION,
            },
        )


@stream(
    "aws.iam.account",
    per="account",
    every="1d",
    needs={
        "GetAccountSummary": "iam:GetAccountSummary",
        "GetAccountPasswordPolicy": "iam:GetAccountPasswordPolicy",
    },
)
def account_settings(account: AwsAccount) -> Iterator[Record | Gap]:
    """The root user's credentials and the rules for passwords."""
    iam = account.client("iam")
    summary = facet(iam.get_account_summary, pick="SummaryMap", parse=lambda told: _only(told, _SUMMARY))
    password_policy = facet(
        iam.get_account_password_policy,
        pick="PasswordPolicy",
        absent="NoSuchEntity",
        parse=lambda told: _only(told, _PASSWORD_POLICY),
    )
    yield Record(account.arn, {"account": account.id, "summary": summary, "password_policy": password_policy})


@stream(
    "aws.iam.ssh_keys",
    per="account",
    every="1d",
    needs={"ListUsers": "iam:ListUsers", "ListSSHPublicKeys": "iam:ListSSHPublicKeys"},
    personal=True,
)
def ssh_keys(account: AwsAccount) -> Iterator[Record | Gap]:
    """Public keys with which users reach code repositories.

    Only a call per user lists them.
    """
    iam = account.client("iam")

    def of(user: Mapping[str, Any]) -> list[Record | Gap]:
        keys = whole(iam, "list_ssh_public_keys", "SSHPublicKeys", absent="NoSuchEntity", UserName=user["UserName"])
        return [keys] if isinstance(keys, Gap) else [_ssh_key(user, key) for key in keys]

    for found in spread(of, pages(iam, "list_users", "Users")):
        yield from found


@stream(
    "aws.iam.service_credentials",
    per="account",
    every="1d",
    needs={"ListServiceSpecificCredentials": "iam:ListServiceSpecificCredentials"},
    personal=True,
)
def service_credentials(account: AwsAccount) -> Iterator[Record | Gap]:
    """Passwords and keys for one service: repositories, databases, model APIs."""
    iam = account.client("iam")
    for held in pages(iam, "list_service_specific_credentials", "ServiceSpecificCredentials", AllUsers=True):
        user, number = held["UserName"], held["ServiceSpecificCredentialId"]
        yield Record(
            f"arn:{account.partition}:iam::{account.id}:user/{user}/service-credential/{number}",
            {
                "user": user,
                "service": held["ServiceName"],
                "status": held["Status"],
                "created": held["CreateDate"],
                "expires": held.get("ExpirationDate"),
            },
        )


def tag_map(listed: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Tags by name, from a list of `{"Key": …, "Value": …}`."""
    return {tag["Key"]: tag["Value"] for tag in listed}


def _details(account: AwsAccount, kind: str, member: str) -> Iterator[Any]:
    iam = account.client("iam")
    return pages(iam, "get_account_authorization_details", member, Filter=[kind])


def _arns(holder: Mapping[str, Any]) -> list[str]:
    return sorted(policy["PolicyArn"] for policy in holder.get("AttachedManagedPolicies", []))


def _only(told: Mapping[str, Json], names: Iterable[str]) -> dict[str, Json]:
    """The named members; null for those that AWS left out because they are not set."""
    return {name: told.get(name) for name in names}


def _ssh_key(user: Mapping[str, Any], key: Mapping[str, Any]) -> Record:
    return Record(
        f"{user['Arn']}/ssh-key/{key['SSHPublicKeyId']}",
        {"user": user["UserName"], "status": key["Status"], "created": key["UploadDate"]},
    )
