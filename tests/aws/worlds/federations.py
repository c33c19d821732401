"""Identity providers of the two accounts, and roles that others may take."""

from __future__ import annotations

import json
from typing import Any

import boto3

from tests.aws.worlds.organizations import PARTNER

CANNOT_TURN = dict.fromkeys(
    ("access-grant-has-request",),
    "judged against registers, which this world has not",
)
GITHUB = "token.actions.githubusercontent.com"
METADATA = "<EntityDescriptor>" + "x" * 1000 + "</EntityDescriptor>"


def fill(*, good: bool) -> None:
    """A SAML and an OpenID Connect provider; a role of a pipeline and one of a partner's account."""
    iam = boto3.client("iam")
    iam.create_saml_provider(Name="corporate", SAMLMetadataDocument=METADATA)
    audiences = ["sts.amazonaws.com"] if good else ["sts.amazonaws.com", "other"]
    provider = iam.create_open_id_connect_provider(
        Url=f"https://{GITHUB}", ThumbprintList=["a" * 40], ClientIDList=audiences
    )["OpenIDConnectProviderArn"]
    subject = "repo:example/models:environment:production" if good else "repo:example/*"
    pipeline = {
        "Effect": "Allow",
        "Principal": {"Federated": provider},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {f"{GITHUB}:aud": "sts.amazonaws.com"},
            "StringLike": {f"{GITHUB}:sub": subject},
        },
    }
    _role(iam, "deployer", pipeline)
    account = f"arn:aws:iam::{PARTNER}:root"
    partner = {"Effect": "Allow", "Principal": {"AWS": account if good else [account, "*"]}, "Action": "sts:AssumeRole"}
    _role(iam, "partner", partner)


def _role(iam: Any, name: str, statement: dict[str, Any]) -> None:
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
