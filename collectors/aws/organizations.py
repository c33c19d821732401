"""The organisation an account belongs to: its accounts and guardrails.

Any account may ask which organisation it is in; only the management account and delegated
administrators may list it. In another account that is refused by design and says nothing of missing
permissions: nothing is listed there, and `aws.organizations.memberships` names the account to read in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agent.collect import facet, spread
from agent.model import Gap, Json, Reason, Record, SourceError
from agent.registry import stream
from collectors.aws import AwsAccount, pages, whole
from collectors.aws.client import Client

_DESCRIBE = {"DescribeOrganization": "organizations:DescribeOrganization"}
_NOT_IN_ONE = "AWSOrganizationsNotInUseException"
_NO_FEATURES = ("OrganizationNotInAllFeaturesModeException", "ServiceAccessNotEnabledException")
"""What the management account is answered where root access is not managed centrally."""


@stream(
    "aws.organizations.memberships",
    per="account",
    every="1d",
    needs=_DESCRIBE | {"ListOrganizationsFeatures": "iam:ListOrganizationsFeatures"},
)
def memberships(account: AwsAccount) -> Iterator[Record | Gap]:
    """Which organisation the account is in, and who manages it.

    Null for an account in none. `root_features`, how root of member accounts is managed centrally, is
    there for the management account only: nobody else may ask.
    """
    organization = _organization(account.client("organizations"))
    facts: dict[str, Any] = {"account": account.id, "organization": None, "management_account": None}
    if organization is not None:
        facts |= {
            "organization": organization["Id"],
            "management_account": organization["MasterAccountId"],
            "feature_set": organization.get("FeatureSet"),
        }
        if organization["MasterAccountId"] == account.id:
            features = facet(
                account.client("iam").list_organizations_features,
                pick="EnabledFeatures",
                absent=_NO_FEATURES,
                parse=sorted,
            )
            facts["root_features"] = [] if features is None else features
    yield Record(account.arn, facts)


@stream(
    "aws.organizations.accounts",
    per="account",
    every="1d",
    needs=_DESCRIBE | {"ListAccounts": "organizations:ListAccounts"},
)
def accounts(account: AwsAccount) -> Iterator[Record | Gap]:
    """Accounts of the organisation, whether collected or not."""
    for listed in _listed(account, "list_accounts", "Accounts"):
        yield Record(
            listed["Arn"],
            {
                "id": listed["Id"],
                "name": listed.get("Name"),
                # `State` tells more, and takes the place of `Status`, which AWS gives up.
                "status": listed.get("State") or listed["Status"],
                "joined": listed.get("JoinedTimestamp"),
            },
        )


@stream(
    "aws.organizations.policies",
    per="account",
    every="1d",
    needs=_DESCRIBE
    | {
        "ListPolicies": "organizations:ListPolicies",
        "ListTargetsForPolicy": "organizations:ListTargetsForPolicy",
    },
)
def policies(account: AwsAccount) -> Iterator[Record | Gap]:
    """Guardrails of the organisation by name, and where each is attached.

    What they forbid is not read: rights are evaluated without them.
    """
    organizations = account.client("organizations")

    def describe(policy: Mapping[str, Any]) -> Record | None:
        targets = whole(organizations, "list_targets_for_policy", "Targets", PolicyId=policy["Id"])
        if isinstance(targets, Gap) and targets.code == "PolicyNotFoundException":
            return None
        facts = {"id": policy["Id"], "name": policy["Name"], "aws_managed": policy.get("AwsManaged")}
        return Record(policy["Arn"], {**facts, "targets": _targets(targets)})

    listed = _listed(account, "list_policies", "Policies", Filter="SERVICE_CONTROL_POLICY")
    yield from (record for record in spread(describe, listed) if record is not None)


def _organization(organizations: Client) -> Mapping[str, Any] | None:
    """The organisation of the account, None where it is in none; SourceError when that cannot be told."""
    told = facet(organizations.describe_organization, pick="Organization", absent=_NOT_IN_ONE)
    if isinstance(told, Gap):
        raise SourceError(told)
    return told  # type: ignore[no-any-return]


def _listed(account: AwsAccount, operation: str, member: str, **parameters: Any) -> Iterator[Any]:
    """A listing of the organisation; nothing in an account that is in none or is refused as a mere member."""
    organizations = account.client("organizations")
    organization = _organization(organizations)
    if organization is None:
        return
    if organization["MasterAccountId"] == account.id:
        yield from pages(organizations, operation, member, **parameters)
        return
    found = whole(organizations, operation, member, **parameters)
    if not isinstance(found, Gap):
        yield from found
    elif found.reason is not Reason.DENIED:
        raise SourceError(found)


def _targets(listed: list[Any] | Gap) -> Json | Gap:
    """Accounts, units and roots that a policy is attached to."""
    if isinstance(listed, Gap):
        return listed
    targets = [{"id": target["TargetId"], "type": target.get("Type")} for target in listed]
    return sorted(targets, key=lambda target: str(target["id"]))
