"""As whom the agent asks, and what that role may do."""

from __future__ import annotations

import json
from typing import Any

import boto3

from tests.aws.worlds import Answer

SERVICES = ("sts",)


def fill(*, good: bool) -> None:
    """The role of the agent."""
    iam = boto3.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    allow = {"Effect": "Allow", "Action": "s3:ListAllMyBuckets" if good else "s3:PutObject", "Resource": "*"}
    for_agent, may = ({"Version": "2012-10-17", "Statement": [each]} for each in (trust, allow))
    iam.create_role(RoleName="evidence-reader", AssumeRolePolicyDocument=json.dumps(for_agent))
    iam.put_role_policy(RoleName="evidence-reader", PolicyName="read", PolicyDocument=json.dumps(may))


def answers(*, good: bool) -> dict[str, Answer]:
    """The emulator would name a user that it does not have."""
    told: dict[str, Any] = {
        "Account": "123456789012",
        "Arn": "arn:aws:sts::123456789012:assumed-role/evidence-reader/agent",
        "UserId": "AROA:agent",
    }
    return {"sts.GetCallerIdentity": lambda _parameters: told}
