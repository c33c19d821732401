"""Rights of the agent's own identity beyond what it collects, as `doctor` finds them in a live account."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from agent.cli.doctor import OWN_RIGHTS, surplus
from agent.registry import discover
from agent.settings import Settings
from tests.aws.emulated import ACCOUNT, account, source

ROLE = f"arn:aws:iam::{ACCOUNT}:role/evidence-reader"
STREAMS = {spec.name for spec in discover().streams.values() if spec.provider == "aws"}


def reader(*actions: str) -> None:
    """The role that the agent takes, with these rights."""
    iam = boto3.client("iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
    allow = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    iam.create_role(RoleName="evidence-reader", AssumeRolePolicyDocument=_policy(trust))
    iam.put_role_policy(RoleName="evidence-reader", PolicyName="read", PolicyDocument=_policy(allow))


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.mark.parametrize(
    ("actions", "says"),
    [
        (("s3:ListAllMyBuckets", "iam:GetAccountAuthorizationDetails"), ""),
        (("s3:ListAllMyBuckets", "s3:PutObject"), "may change things or read data: s3:PutObject"),
        (("s3:ListAllMyBuckets", "lightsail:GetDisks"), "may read more than is collected: lightsail:GetDisks"),
    ],
)
def test_what_a_reader_may_do_too_much_is_named(actions, says):
    with account():
        reader(*actions)
        with_role = source(role=ROLE, accounts=[ACCOUNT])
        told = surplus(discover(), Settings(), with_role, STREAMS, [f"aws:{ACCOUNT}"], 1_800_000_000_000)
    assert told == (f"role evidence-reader {says}" if says else "")


def test_nothing_is_asked_when_identities_are_not_looked_at():
    assert surplus(discover(), Settings(), source(), {"aws.s3.buckets"}, [f"aws:{ACCOUNT}"], 0) == ""
    assert {spec.stream for spec in discover().checks[OWN_RIGHTS]} == {"aws.iam.caller"}
