"""Organisations of the two accounts, which manage them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SERVICES = ("organizations",)

MANAGEMENT, MEMBER, PARTNER = "123456789012", "111122223333", "444455556666"
ORGANIZATION = "o-exampleorg1"


def answers(*, good: bool) -> dict[str, Any]:
    """An organisation of one name in both: the emulator invents one each time, and knows no central root access."""
    states = {MANAGEMENT: "ACTIVE", MEMBER: "SUSPENDED" if good else "ACTIVE"} | ({PARTNER: "CLOSED"} if good else {})
    return {
        "organizations.DescribeOrganization": lambda _asked: {"Organization": organization()},
        "organizations.ListAccounts": lambda _asked: {"Accounts": [account(*state) for state in states.items()]},
        "organizations.ListPolicies": lambda _asked: {"Policies": [policy()]},
        "organizations.ListTargetsForPolicy": lambda _asked: {
            "Targets": [{"TargetId": "r-abcd", "Type": "ROOT", "Name": "Root"}] if good else []
        },
        "iam.ListOrganizationsFeatures": lambda _asked: {
            "OrganizationId": ORGANIZATION,
            "EnabledFeatures": ["RootCredentialsManagement"] if good else [],
        },
    }


def organization(management: str = MANAGEMENT) -> Mapping[str, Any]:
    """An organisation as DescribeOrganization gives it."""
    return {
        "Id": ORGANIZATION,
        "Arn": f"arn:aws:organizations::{management}:organization/{ORGANIZATION}",
        "FeatureSet": "ALL",
        "MasterAccountId": management,
        "MasterAccountArn": f"arn:aws:organizations::{management}:account/{ORGANIZATION}/{management}",
        "MasterAccountEmail": "root@example.com",
    }


def account(id: str, state: str = "ACTIVE") -> Mapping[str, Any]:
    """An account as ListAccounts gives it."""
    arn = f"arn:aws:organizations::{MANAGEMENT}:account/{ORGANIZATION}/{id}"
    return {"Id": id, "Arn": arn, "Name": f"account {id}", "Email": f"{id}@example.com", "State": state}


def policy(name: str = "FullAWSAccess") -> Mapping[str, Any]:
    """A guardrail as ListPolicies gives it."""
    arn = f"arn:aws:organizations::aws:policy/service_control_policy/p-{name}"
    return {"Id": f"p-{name}", "Arn": arn, "Name": name, "Type": "SERVICE_CONTROL_POLICY", "AwsManaged": True}
