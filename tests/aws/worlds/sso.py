"""Identity Center of the two accounts: the same people, permission set and assignment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

SERVICES = ("sso-admin", "identitystore")

INSTANCE = "arn:aws:sso:::instance/ssoins-1111222233334444"
STORE = "d-1234567890"
SET = "arn:aws:sso:::permissionSet/ssoins-1111222233334444/ps-1111222233334444"
ACCOUNT = "123456789012"
ADA, GROUP = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-00000000000a"


def answers(*, good: bool) -> dict[str, Any]:
    """All of it: the emulator invents new ids each time, and knows neither boundaries nor where sets are."""
    allowed = {"Effect": "Allow", "Action": "s3:GetObject" if good else "*", "Resource": "*"}
    inline = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    boundary = {"CustomerManagedPolicyReference": {"Name": "limits", "Path": "/"}}
    managed = "ReadOnlyAccess" if good else "AdministratorAccess"
    return {
        "sso-admin.ListInstances": lambda _asked: {"Instances": [instance()]},
        "sso-admin.ListPermissionSets": lambda _asked: {"PermissionSets": [SET]},
        "sso-admin.DescribePermissionSet": lambda _asked: {"PermissionSet": {"Name": "Staff", "PermissionSetArn": SET}},
        "sso-admin.ListManagedPoliciesInPermissionSet": lambda _asked: {
            "AttachedManagedPolicies": [{"Name": managed, "Arn": f"arn:aws:iam::aws:policy/{managed}"}]
        },
        "sso-admin.ListCustomerManagedPolicyReferencesInPermissionSet": lambda _asked: {
            "CustomerManagedPolicyReferences": [] if good else [{"Name": "work", "Path": "/"}]
        },
        "sso-admin.GetInlinePolicyForPermissionSet": lambda _asked: {"InlinePolicy": inline},
        "sso-admin.GetPermissionsBoundaryForPermissionSet": lambda _asked: (
            {"PermissionsBoundary": boundary} if good else {"Error": {"Code": "ResourceNotFoundException"}}
        ),
        "sso-admin.ListAccountsForProvisionedPermissionSet": lambda _asked: {"AccountIds": [ACCOUNT]},
        "sso-admin.ListAccountAssignments": lambda _asked: {"AccountAssignments": [assignment()]},
        "identitystore.ListUsers": lambda _asked: {"Users": [user(good=good)]},
        "identitystore.ListGroups": lambda _asked: {"Groups": [group()]},
        "identitystore.ListGroupMemberships": lambda _asked: {"GroupMemberships": [membership()] if good else []},
    }


def instance(owner: str = ACCOUNT, region: str | None = "us-east-1", status: str = "ACTIVE") -> Mapping[str, Any]:
    """An instance as ListInstances gives it."""
    home = {"PrimaryRegion": region} if region else {}
    return {"InstanceArn": INSTANCE, "IdentityStoreId": STORE, "OwnerAccountId": owner, "Status": status, **home}


def assignment(kind: str = "GROUP", id: str = GROUP, account: str = ACCOUNT) -> Mapping[str, Any]:
    """An assignment as ListAccountAssignments gives it."""
    return {"AccountId": account, "PermissionSetArn": SET, "PrincipalType": kind, "PrincipalId": id}


def user(*, good: bool) -> Mapping[str, Any]:
    """A person: disabled and of this directory, or enabled and kept by an outside provider."""
    outside = {"ExternalIds": [{"Issuer": "https://idp.example.com", "Id": "7"}]}
    told = {"UserId": ADA, "UserName": "ada", "UserStatus": "DISABLED" if good else "ENABLED"}
    mails = [{"Value": "home@example.com"}, {"Value": "ada@example.com", "Primary": True}]
    return {**told, **_in_store("user", ADA), "Emails": mails, **({} if good else outside)}


def group(id: str = GROUP, name: str = "staff") -> Mapping[str, Any]:
    """A group as ListGroups gives it."""
    return {"GroupId": id, "DisplayName": name, **_in_store("group", id)}


def membership(user: str = ADA) -> Mapping[str, Any]:
    """Who is in a group, as ListGroupMemberships gives it."""
    arn = f"arn:aws:identitystore:::membership/{user}"
    return {"IdentityStoreId": STORE, "MembershipId": user, "MembershipArn": arn, "MemberId": {"UserId": user}}


def _in_store(kind: str, id: str) -> dict[str, str]:
    return {
        "IdentityStoreId": STORE,
        "Revision": "1",
        f"{kind.title()}Arn": f"arn:aws:identitystore:::{kind}/{id}",
    }
