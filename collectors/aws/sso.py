"""IAM Identity Center: people, groups, permission sets, and who has which in which account.

An instance lives in one region, whichever regions are collected; one call names all that an account
sees. Member accounts see the instance of their organisation but may not read it: where it belongs to
another account and that one's permission sets are refused, it is not read here, and its record in
`aws.sso.instances` says so. In the account it belongs to a refusal stays a refusal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from agent.collect import facet, spread
from agent.model import Gap, Json, Reason, Record, SourceError
from agent.registry import stream
from collectors.aws import AwsAccount, pages, whole
from collectors.aws.client import Client
from collectors.aws.policy import document

_GONE = "ResourceNotFoundException"
_IN_USE = (None, "ACTIVE")
"""Of an instance that is being made or deleted nothing can be listed."""
_LIST = {"ListInstances": "sso:ListInstances", "ListPermissionSets": "sso:ListPermissionSets"}
_PROVISIONED = {"ListAccountsForProvisionedPermissionSet": "sso:ListAccountsForProvisionedPermissionSet"}


@stream("aws.sso.instances", per="account", every="1d", needs=_LIST)
def instances(account: AwsAccount) -> Iterator[Record | Gap]:
    """Identity Center instances that the account sees, and whether it may read them.

    `read_here` is false in a member account that does not administer the organisation's instance.
    """
    for instance in _instances(account):
        yield Record(
            instance.arn,
            {
                "identity_store": instance.store,
                "name": instance.told.get("Name"),
                "status": instance.told.get("Status"),
                "owner_account": instance.owner,
                "region": instance.region,
                "read_here": instance.told.get("Status") in _IN_USE and _sets(account, instance) is not None,
            },
        )


@stream(
    "aws.sso.permission_sets",
    per="account",
    every="1d",
    needs=_LIST
    | _PROVISIONED
    | {
        "DescribePermissionSet": "sso:DescribePermissionSet",
        "ListManagedPoliciesInPermissionSet": "sso:ListManagedPoliciesInPermissionSet",
        "ListCustomerManagedPolicyReferencesInPermissionSet": (
            "sso:ListCustomerManagedPolicyReferencesInPermissionSet"
        ),
        "GetInlinePolicyForPermissionSet": "sso:GetInlinePolicyForPermissionSet",
        "GetPermissionsBoundaryForPermissionSet": "sso:GetPermissionsBoundaryForPermissionSet",
    },
    unordered=["/customer"],
)
def permission_sets(account: AwsAccount) -> Iterator[Record | Gap]:
    """Permission sets: what each allows and in which accounts it is."""
    for instance, sets in _readable(account):
        describe = partial(_permission_set, _admin(account, instance), instance.arn)
        yield from (found for found in spread(describe, sets) if found is not None)


@stream(
    "aws.sso.assignments",
    per="account",
    every="1d",
    needs=_LIST | _PROVISIONED | {"ListAccountAssignments": "sso:ListAccountAssignments"},
)
def assignments(account: AwsAccount) -> Iterator[Record | Gap]:
    """Which person or group has which permission set in which account.

    One call per permission set and account: there is no listing of all.
    """
    for instance, sets in _readable(account):
        sso = _admin(account, instance)
        provisioned = spread(partial(_pairs, sso, instance.arn), sets)
        for found in spread(partial(_assigned, sso, instance.arn), (pair for pairs in provisioned for pair in pairs)):
            yield from found


@stream(
    "aws.sso.users",
    per="account",
    every="1d",
    needs=_LIST | {"ListUsers": "identitystore:ListUsers"},
    personal=True,
    unordered=["/issuers"],
)
def users(account: AwsAccount) -> Iterator[Record | Gap]:
    """People in the directory of Identity Center.

    `issuers` are the outside identity providers that keep the entry; none where it was made here.
    """
    for instance, _ in _readable(account):
        directory = account.client("identitystore", instance.region)
        for user in pages(directory, "list_users", "Users", IdentityStoreId=instance.store):
            yield Record(
                f"{instance.store}/{user['UserId']}",
                {
                    "id": user["UserId"],
                    "name": user.get("UserName"),
                    "mail": _mail(user.get("Emails", [])),
                    "status": user.get("UserStatus"),
                    "created": user.get("CreatedAt"),
                    "issuers": [outside.get("Issuer") for outside in user.get("ExternalIds", [])],
                    "instance": instance.arn,
                },
            )


@stream(
    "aws.sso.groups",
    per="account",
    every="1d",
    needs=_LIST
    | {"ListGroups": "identitystore:ListGroups", "ListGroupMemberships": "identitystore:ListGroupMemberships"},
)
def groups(account: AwsAccount) -> Iterator[Record | Gap]:
    """Groups in the directory of Identity Center and who is in them."""

    def describe(place: Instance, directory: Client, group: Mapping[str, Any]) -> Record | None:
        listed = whole(
            directory,
            "list_group_memberships",
            "GroupMemberships",
            IdentityStoreId=place.store,
            GroupId=group["GroupId"],
        )
        if isinstance(listed, Gap) and listed.code == _GONE:
            return None
        facts = {"id": group["GroupId"], "name": group.get("DisplayName"), "instance": place.arn}
        return Record(f"{place.store}/{group['GroupId']}", {**facts, "members": _members(listed)})

    for instance, _ in _readable(account):
        client = account.client("identitystore", instance.region)
        listed = pages(client, "list_groups", "Groups", IdentityStoreId=instance.store)
        found = spread(partial(describe, instance, client), listed)
        yield from (record for record in found if record is not None)


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance, and where it is read."""

    arn: str
    store: str
    owner: str
    region: str | None
    """None: the region that was asked, where AWS names none."""
    told: Mapping[str, Any]


def _instances(account: AwsAccount) -> Iterator[Instance]:
    """What the account sees of instances in every region; SourceError when the list is not complete."""
    listed = pages(account.client("sso-admin"), "list_instances", "Instances", RegionScope="ALL_REGIONS")
    for told in listed:
        owner = str(told.get("OwnerAccountId") or account.id)
        yield Instance(told["InstanceArn"], told["IdentityStoreId"], owner, told.get("PrimaryRegion"), told)


def _readable(account: AwsAccount) -> Iterator[tuple[Instance, list[str]]]:
    """The instances that are in use and read in this account, with the ARNs of their permission sets."""
    for instance in _instances(account):
        sets = _sets(account, instance) if instance.told.get("Status") in _IN_USE else None
        if sets is not None:
            yield instance, sets


def _sets(account: AwsAccount, instance: Instance) -> list[str] | None:
    """ARNs of the permission sets; None where the instance is another account's and not administered here."""
    listed = whole(_admin(account, instance), "list_permission_sets", "PermissionSets", InstanceArn=instance.arn)
    if not isinstance(listed, Gap):
        return listed
    if instance.owner != account.id and listed.reason is Reason.DENIED:
        return None
    raise SourceError(listed)


def _admin(account: AwsAccount, instance: Instance) -> Client:
    return account.client("sso-admin", instance.region)


def _permission_set(sso: Client, instance: str, arn: str) -> Record | Gap | None:
    """A permission set, nothing when it is gone, or the gap because of which nothing is known of it."""
    of: dict[str, Any] = {"InstanceArn": instance, "PermissionSetArn": arn}
    told = facet(sso.describe_permission_set, pick="PermissionSet", **of)
    if isinstance(told, Gap):
        return None if told.code == _GONE else Gap(told.reason, told.op, told.code, told.need, arn)
    facts = {
        "name": told["Name"],
        "instance": instance,
        "session": told.get("SessionDuration"),
        "managed": _arns(whole(sso, "list_managed_policies_in_permission_set", "AttachedManagedPolicies", **of)),
        "customer": _references(
            whole(
                sso,
                "list_customer_managed_policy_references_in_permission_set",
                "CustomerManagedPolicyReferences",
                **of,
            )
        ),
        "inline": facet(sso.get_inline_policy_for_permission_set, pick="InlinePolicy", parse=_inline, **of),
        "boundary": facet(
            sso.get_permissions_boundary_for_permission_set,
            pick="PermissionsBoundary",
            absent=_GONE,
            parse=_boundary,
            **of,
        ),
        "accounts": _sorted(whole(sso, "list_accounts_for_provisioned_permission_set", "AccountIds", **of)),
    }
    gone = any(isinstance(value, Gap) and value.code == _GONE for value in facts.values())
    return None if gone else Record(arn, facts)


def _pairs(sso: Client, instance: str, arn: str) -> list[tuple[str, str] | Gap]:
    """A permission set with each account it is in."""
    operation = "list_accounts_for_provisioned_permission_set"
    found = whole(sso, operation, "AccountIds", absent=_GONE, InstanceArn=instance, PermissionSetArn=arn)
    return [found] if isinstance(found, Gap) else [(arn, id) for id in found]


def _assigned(sso: Client, instance: str, pair: tuple[str, str] | Gap) -> list[Record | Gap]:
    """Who has a permission set in an account."""
    if isinstance(pair, Gap):
        return [pair]
    of = {"InstanceArn": instance, "PermissionSetArn": pair[0], "AccountId": pair[1]}
    found = whole(sso, "list_account_assignments", "AccountAssignments", absent=_GONE, **of)
    return [found] if isinstance(found, Gap) else [_assignment(told) for told in found]


def _assignment(told: Mapping[str, Any]) -> Record:
    facts = {
        "account": told["AccountId"],
        "permission_set": told["PermissionSetArn"],
        "principal_type": told["PrincipalType"],
        "principal_id": told["PrincipalId"],
    }
    return Record("{account}/{permission_set}/{principal_type}:{principal_id}".format(**facts), facts)


def _mail(listed: Iterable[Mapping[str, Any]]) -> Json:
    """The main address, or the first; null where there is none."""
    addresses = sorted(listed, key=lambda mail: not mail.get("Primary"))
    return addresses[0].get("Value") if addresses else None


def _members(listed: list[Any] | Gap) -> Json | Gap:
    return listed if isinstance(listed, Gap) else sorted(told["MemberId"]["UserId"] for told in listed)


def _arns(listed: list[Any] | Gap) -> Json | Gap:
    return listed if isinstance(listed, Gap) else sorted(policy["Arn"] for policy in listed)


def _references(listed: list[Any] | Gap) -> Json | Gap:
    """Customer policies are named, and looked up by name and path in each account."""
    return listed if isinstance(listed, Gap) else [_reference(policy) for policy in listed]


def _reference(policy: Mapping[str, Any]) -> dict[str, Json]:
    return {"name": policy["Name"], "path": policy.get("Path") or "/"}


def _sorted(listed: list[Any] | Gap) -> Json | Gap:
    return listed if isinstance(listed, Gap) else sorted(listed)


def _inline(text: str) -> Json | Gap:
    """The policy; null where AWS gives an empty text, because there is none."""
    return document(text) if text else None


def _boundary(told: Mapping[str, Any]) -> Json:
    """ARN of a policy of AWS, or name and path of a customer's."""
    if "ManagedPolicyArn" in told:
        return told["ManagedPolicyArn"]
    return _reference(told["CustomerManagedPolicyReference"])
