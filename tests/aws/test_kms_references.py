"""Which keys resources name: every form of a name, and what cannot be told."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from agent.facts import StreamView, Unseen
from agent.model import Gap, Reason
from checks.aws import kms_references
from tests.judging import DENIED, as_facts

NEAR = "arn:aws:kms:eu-west-1:1:"
KEY, ALIAS = f"{NEAR}key/1111", f"{NEAR}alias/data"


def history(partial=None, **streams):
    """History in which these streams hold these records; names with `__` for dots."""
    held = {name.replace("__", "."): records for name, records in streams.items()}

    def now(stream):
        records = [as_facts(facts, key) for key, facts in held.get(stream, {}).items()]
        return StreamView(lambda: iter(records), partial, stream)

    return SimpleNamespace(now=now), SimpleNamespace(configured=held.__contains__)


def named(partial=None, **streams):
    told = kms_references.references(*history(partial, **streams))
    return {record.key: record.facts for record in told}


def bucket(key, region="eu-west-1"):
    applied = {"SSEAlgorithm": "aws:kms"} | ({"KMSMasterKeyID": key} if key else {})
    rules = [{"ApplyServerSideEncryptionByDefault": applied, "BucketKeyEnabled": True}]
    return {"region": region, "encryption": {"Rules": rules}, "replication": None}


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (KEY, KEY),
        ("1111", KEY),
        ("mrk-1111", f"{NEAR}key/mrk-1111"),
        ("alias/data", ALIAS),
        (ALIAS, ALIAS),
        ("arn:aws:kms:us-east-1:222222222222:key/2", "arn:aws:kms:us-east-1:222222222222:key/2"),
        (None, None),
    ],
)
def test_every_form_of_a_name(given, found):
    told = named(aws__s3__buckets={"arn:aws:s3:::data": bucket(given)})
    assert told == ({found: {"count": 1, "resources": ["arn:aws:s3:::data"]}} if found else {})


def test_a_bare_name_is_one_of_the_resource_s_region():
    group = {"arn:aws:logs:eu-north-1:1:log-group:a": {"kms_key": "1111"}}
    told = named(aws__s3__buckets={"arn:aws:s3:::data": bucket("1111", "us-east-1")}, aws__logs__groups=group)
    assert list(told) == ["arn:aws:kms:eu-north-1:1:key/1111", "arn:aws:kms:us-east-1:1:key/1111"]


def test_the_key_of_copies():
    copied = {"EncryptionConfiguration": {"ReplicaKmsKeyID": KEY}, "Bucket": "arn:aws:s3:::copy"}
    criteria = {"SseKmsEncryptedObjects": {"Status": "Enabled"}}
    rule = {"Status": "Enabled", "SourceSelectionCriteria": criteria, "Destination": copied}
    told = named(aws__s3__buckets={"arn:aws:s3:::data": bucket(None) | {"replication": {"Rules": [rule]}}})
    assert list(told) == [KEY]


def test_keys_of_other_resources():
    job = {"volume_kms": "1111", "outputs": {"uri": "s3://a", "uris": ["s3://a"], "kms": ALIAS}}
    told = named(
        aws__ecr__repositories={f"arn:aws:ecr:eu-west-1:1:repository/{n}": {"encryption": {"kms_key": KEY}}
                                for n in range(12)},
        aws__sagemaker__training_jobs={"arn:aws:sagemaker:eu-west-1:1:training-job/a": job},
        aws__sagemaker__endpoints={"arn:aws:sagemaker:eu-west-1:1:endpoint/a": {"config": None, "capture": None}},
    )  # fmt: skip
    assert (told[KEY]["count"], len(told[KEY]["resources"])) == (13, 10)
    assert told[ALIAS]["resources"] == ["arn:aws:sagemaker:eu-west-1:1:training-job/a"]


@pytest.mark.parametrize(
    ("partial", "told"), [(Gap(Reason.PARTIAL), bucket(KEY)), (None, bucket(KEY) | {"encryption": DENIED})]
)
def test_what_names_cannot_be_told_from_half_a_list(partial, told):
    with pytest.raises(Unseen):
        named(partial, aws__s3__buckets={"arn:aws:s3:::data": told})


def test_aliases():
    keys = {KEY: {"aliases": ["alias/data", "alias/old"]}, f"{NEAR}key/2": {"aliases": []}}
    told = kms_references.aliases(*history(aws__kms__keys=keys))
    assert {record.key: record.facts for record in told} == {ALIAS: {"key": KEY}, f"{NEAR}alias/old": {"key": KEY}}
