"""The policy of a reader: what the streams declare, all of it read-only, none of it unused."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from moto.iam.aws_managed_policies import aws_managed_policies_data
from typer.testing import CliRunner

from agent.cli.main import app
from agent.registry import discover

STREAMS = [spec for spec in discover().streams.values() if spec.provider == "aws"]
READERS = ("SecurityAudit", "ViewOnlyAccess", "ReadOnlyAccess")
OWN = {"sts:GetCallerIdentity"}
"""Allowed to everybody, and so in no policy."""


def printed(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["permissions", "aws", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def actions(document: dict[str, list[dict[str, list[str]]]]) -> set[str]:
    return {action for statement in document["Statement"] for action in statement["Action"]}


def test_it_holds_exactly_what_is_declared():
    member, management = (actions(json.loads(printed("--account", a))) for a in ("member", "management"))
    declared = {need for spec in STREAMS for need in spec.needs.values()}
    assert declared <= management
    assert management - declared == {"ec2:DescribeRegions"}
    only = {
        need for spec in STREAMS if spec.service in ("aws.organizations", "aws.sso") for need in spec.needs.values()
    }
    elsewhere = {
        n for spec in STREAMS if spec.service not in ("aws.organizations", "aws.sso") for n in spec.needs.values()
    }
    assert management - member == only - elsewhere - {"organizations:DescribeOrganization", "sso:ListInstances"}


def test_every_action_is_one_that_amazon_s_own_reading_policies_give():
    """As moto ships them. An action that is in none of them may write, or be misspelt."""
    documents = [by_amazon(name) for name in READERS]
    patterns = [
        re.compile(re.escape(pattern.lower()).replace(r"\*", ".*") + "$")
        for document in documents
        for statement in document["Statement"]
        if statement["Effect"] == "Allow"
        for pattern in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    ]
    wanted = actions(json.loads(printed("--account", "management"))) - OWN
    assert {action for action in wanted if not any(p.match(action.lower()) for p in patterns)} == set()


def by_amazon(name: str) -> Any:
    return json.loads(aws_managed_policies_data)[name]["Document"]


def test_the_three_formats_say_the_same():
    document = json.loads(printed())
    template = json.loads(printed("--format", "cloudformation"))
    role = template["Resources"]["EvidenceReader"]["Properties"]
    assert role["Policies"][0]["PolicyDocument"] == document
    terraform = printed("--format", "terraform")
    body = terraform.partition("jsonencode(")[2].rpartition(")")[0]
    assert json.loads(body) == document


@pytest.mark.parametrize("account", ["member", "management"])
def test_it_fits_into_a_role(account):
    """Inline policies of a role may hold 10,240 characters together, white space not counted (IAM quotas)."""
    assert len(json.dumps(json.loads(printed("--account", account)), separators=(",", ":"))) <= 10_240


def test_what_is_left_out_is_left_out():
    assert not {a for a in actions(json.loads(printed("--without", "aws.ecr"))) if a.startswith("ecr:")}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["permissions", "gcp"], "known: aws"),
        (["permissions", "aws", "--format", "yaml"], "known: json"),
        (["permissions", "aws", "--without", "aws.nothing"], "no collector aws.nothing"),
    ],
)
def test_bad_use_is_told(arguments, says):
    from agent.errors import UsageError

    with pytest.raises(UsageError) as error:
        CliRunner().invoke(app, arguments, catch_exceptions=False, standalone_mode=False)
    assert says in f"{error.value} {error.value.hint}"
