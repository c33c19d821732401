"""Log groups as they are stored: retention, key, class and tags."""

from __future__ import annotations

import boto3
import pytest

from tests.aws.emulated import ACCOUNT, account, counted, envelopes, facts, on_call, poll, refuse, source

STREAM = "aws.logs.groups"
NAME = "/aws/sagemaker/TrainingJobs"
ARN = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:{NAME}"


@pytest.fixture
def logs():
    with account():
        yield boto3.client("logs")


def test_a_group_of_which_nothing_is_set(logs):
    logs.create_log_group(logGroupName=NAME)
    told = facts(poll(STREAM))
    assert told[ARN].pop("created").endswith("Z")
    assert told == {ARN: {"name": NAME, "retention_days": None, "kms_key": None, "class": "STANDARD", "tags": {}}}


def test_a_group_of_which_everything_is_set(logs):
    key = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1"
    logs.create_log_group(logGroupName=NAME, kmsKeyId=key, tags={"data_class": "internal", "colour": "red"})
    logs.put_retention_policy(logGroupName=NAME, retentionInDays=400)
    (envelope,) = envelopes(poll(STREAM)).values()
    told = envelope["facts"]
    assert (told["retention_days"], told["kms_key"]) == (400, key)
    assert told["tags"] == {"data_class": "internal"}
    assert "/tags/colour" in envelope["redacted"]


def test_every_page_is_read(logs):
    for number in range(120):
        logs.create_log_group(logGroupName=f"group-{number:03}")
    of = source()
    calls = counted(of)
    assert len(facts(poll(STREAM, of))) == 120
    assert calls["DescribeLogGroups"] == 3
    assert calls["GetResources"] == 1


def test_tags_that_may_not_be_read_are_a_gap_of_each_group(logs):
    logs.create_log_group(logGroupName=NAME)
    of = source()
    refuse(of, "resourcegroupstaggingapi.GetResources", "AccessDeniedException", 400)
    snapshot = poll(STREAM, of)
    assert snapshot.status.value == "complete"
    assert envelopes(snapshot)[ARN]["gaps"]["/tags"]["need"] == "tag:GetResources"


def test_the_key_has_no_star_whichever_arn_is_given(logs):
    of = source()
    on_call(of, "logs.DescribeLogGroups", lambda _params: {"logGroups": [{"logGroupName": NAME, "arn": f"{ARN}:*"}]})
    assert list(facts(poll(STREAM, of))) == [ARN]
