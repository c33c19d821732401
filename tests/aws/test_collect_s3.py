"""Buckets as they are stored: every facet, its gaps, and what moves while it is looked at."""

from __future__ import annotations

import boto3
import pytest

from tests.aws.emulated import ACCOUNT, ROOT, account, counted, envelopes, facts, on_call, poll, refuse, source

FLAGS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
DATA = "arn:aws:s3:::data"


@pytest.fixture
def s3():
    with account():
        client = boto3.client("s3")
        client.create_bucket(Bucket="data")
        yield client


def test_a_bucket_of_which_nothing_is_set(s3):
    assert facts(poll("aws.s3.buckets")) == {
        DATA: {
            "name": "data",
            "region": "us-east-1",
            "encryption": None,
            "policy": None,
            "versioning": {"Status": None, "MFADelete": None},
            "logging": None,
            "lifecycle": None,
            "object_lock": None,
            "replication": None,
            "tags": {},
        }
    }


def test_a_bucket_of_which_everything_is_set(s3):
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}
    s3.put_bucket_encryption(Bucket="data", ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.put_bucket_versioning(Bucket="data", VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_policy(Bucket="data", Policy='{"Version": "2012-10-17", "Statement": [{"Sid": "ü"}]}')
    rules = [{"ID": id, "Filter": {"Prefix": id}, "Status": "Enabled", "Expiration": {"Days": 9}} for id in ("b", "a")]
    s3.put_bucket_lifecycle_configuration(Bucket="data", LifecycleConfiguration={"Rules": rules})
    (envelope,) = envelopes(poll("aws.s3.buckets")).values()
    told = envelope["facts"]
    assert told["encryption"]["Rules"][0].items() >= rule.items()
    assert told["versioning"]["Status"] == "Enabled"
    assert told["policy"]["Statement"] == [{"Sid": "ü"}]
    assert [rule["ID"] for rule in told["lifecycle"]] == ["a", "b"]


def test_a_bucket_in_another_region_is_asked_there(s3):
    west = boto3.client("s3", region_name="eu-west-1")
    west.create_bucket(Bucket="west", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert facts(poll("aws.s3.buckets"))["arn:aws:s3:::west"]["region"] == "eu-west-1"


def test_the_location_is_only_asked_for_where_the_listing_lacks_it(s3):
    on_call(of := source(), "s3.ListBuckets", lambda _: {"Buckets": [{"Name": "data", "BucketRegion": "us-east-1"}]})
    calls = counted(of)
    facts(poll("aws.s3.buckets", of))
    facts(poll("aws.s3.access_points", of))
    assert calls["GetBucketLocation"] == 0
    assert calls["ListAccessPoints"] == 1


@pytest.mark.parametrize(("told", "region"), [(None, "us-east-1"), ("EU", "eu-west-1"), ("eu-north-1", "eu-north-1")])
def test_locations(s3, told, region):
    of = source()
    on_call(of, "s3.GetBucketLocation", lambda _: {"LocationConstraint": told} if told else {})
    (envelope,) = envelopes(poll("aws.s3.buckets", of)).values()
    assert envelope["facts"]["region"] == region


def test_all_pages_of_buckets_are_read(s3):
    of = source()
    told = {"": (["a", "b"], "next"), "next": (["c"], None)}

    def answer(params):
        names, token = told[params["query_string"].get("continuation-token", "")]
        page = {"Buckets": [{"Name": name, "BucketRegion": "us-east-1"} for name in names]}
        return page | ({"ContinuationToken": token} if token else {})

    on_call(of, "s3.ListBuckets", answer)
    on_call(of, "s3.GetPublicAccessBlock", lambda _: {"PublicAccessBlockConfiguration": dict.fromkeys(FLAGS, True)})
    on_call(of, "s3.GetBucketPolicyStatus", lambda _: {"PolicyStatus": {"IsPublic": False}})
    on_call(of, "s3.GetBucketAcl", lambda _: {"Grants": []})
    owner = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    on_call(of, "s3.GetBucketOwnershipControls", lambda _: {"OwnershipControls": owner})
    snapshot = poll("aws.s3.exposures", of)
    assert [told["name"] for told in facts(snapshot).values()] == ["a", "b", "c"]
    assert snapshot.tape.pages == 2


def test_tags_lose_their_values_but_not_their_names(s3):
    s3.put_bucket_tagging(Bucket="data", Tagging={"TagSet": [{"Key": "größe", "Value": "東京"}]})
    snapshot = poll("aws.s3.buckets")
    assert envelopes(snapshot)[DATA]["redacted"] == ["/tags/größe"]
    assert "東京" not in snapshot.documents[snapshot.items[0].digest].decode()


@pytest.mark.parametrize(
    ("stream", "operation", "pointer", "need"),
    [
        ("aws.s3.buckets", "GetBucketEncryption", "/encryption", "s3:GetEncryptionConfiguration"),
        ("aws.s3.buckets", "GetBucketPolicy", "/policy", "s3:GetBucketPolicy"),
        ("aws.s3.buckets", "GetBucketLocation", "/region", "s3:GetBucketLocation"),
        ("aws.s3.exposures", "GetPublicAccessBlock", "/block", "s3:GetBucketPublicAccessBlock"),
        ("aws.s3.exposures", "GetBucketAcl", "/grants", "s3:GetBucketAcl"),
    ],
)
def test_a_refused_facet_is_a_gap_in_a_complete_poll(s3, stream, operation, pointer, need):
    refuse(of := source(), f"s3.{operation}", "AccessDenied")
    snapshot = poll(stream, of)
    (envelope,) = envelopes(snapshot).values()
    assert (snapshot.status, snapshot.gaps) == ("complete", 1)
    gap = {"code": "AccessDenied", "need": need, "op": operation, "reason": "denied"}
    assert envelope["gaps"] == {pointer: gap}


def test_a_policy_that_is_no_json(s3):
    on_call(of := source(), "s3.GetBucketPolicy", lambda _: {"Policy": "{not json"})
    (envelope,) = envelopes(poll("aws.s3.buckets", of)).values()
    assert envelope["gaps"]["/policy"]["reason"] == "malformed"
    assert "policy" not in envelope["facts"]


def test_an_answer_without_its_member_is_not_taken_for_not_set(s3):
    on_call(of := source(), "s3.GetBucketEncryption", lambda _: {})
    (envelope,) = envelopes(poll("aws.s3.buckets", of)).values()
    assert envelope["gaps"]["/encryption"]["reason"] == "malformed"


@pytest.mark.parametrize(
    ("stream", "operation", "keys"),
    [
        ("aws.s3.buckets", "GetBucketLocation", [DATA]),
        ("aws.s3.buckets", "GetBucketVersioning", [DATA]),
        ("aws.s3.exposures", "GetBucketAcl", [DATA]),
        ("aws.s3.access_points", "GetBucketLocation", []),
    ],
)
def test_of_a_bucket_that_went_away_nothing_is_said(s3, stream, operation, keys):
    s3.create_bucket(Bucket="gone")
    of = source()
    gone = {"Error": {"Code": "NoSuchBucket", "Message": "no", "Status": 404}}
    on_call(of, f"s3.{operation}", lambda params: gone if "gone" in params["url"] else None)
    snapshot = poll(stream, of)
    assert (snapshot.status, snapshot.gaps, list(envelopes(snapshot))) == ("complete", 0, keys)


def test_a_listing_that_is_refused(s3):
    refuse(of := source(), "s3.ListBuckets", "AccessDenied")
    snapshot = poll("aws.s3.buckets", of)
    assert (snapshot.status, snapshot.why) == ("failed", "denied")
    assert snapshot.receipt["gap"]["need"] == "s3:ListAllMyBuckets"


def test_an_account_without_buckets():
    with account():
        snapshot = poll("aws.s3.buckets")
    assert (snapshot.status, len(snapshot.items)) == ("complete", 0)


def test_the_block_of_the_account(s3):
    assert facts(poll("aws.s3.account"))[ROOT]["block"] is None
    block = dict.fromkeys(FLAGS, True) | {"IgnorePublicAcls": False}
    boto3.client("s3control").put_public_access_block(AccountId=ACCOUNT, PublicAccessBlockConfiguration=block)
    assert facts(poll("aws.s3.account"))[ROOT]["block"] == block


class TestAccessPoints:
    def test_a_point(self, s3):
        block = dict.fromkeys(FLAGS, False)
        boto3.client("s3control").create_access_point(
            AccountId=ACCOUNT, Name="reader", Bucket="data", PublicAccessBlockConfiguration=block
        )
        ((key, told),) = facts(poll("aws.s3.access_points")).items()
        assert key == f"arn:aws:s3:us-east-1:{ACCOUNT}:accesspoint/reader"
        assert told == {
            "name": "reader",
            "bucket": "data",
            "bucket_account": None,
            "network": "Internet",
            "block": block,
            "policy_status": None,
        }

    def test_a_region_that_is_not_known_makes_the_list_incomplete(self, s3):
        refuse(of := source(), "s3.GetBucketLocation", "AccessDenied")
        snapshot = poll("aws.s3.access_points", of)
        assert (snapshot.status, snapshot.why) == ("failed", "denied")

    def test_a_refused_listing(self, s3):
        refuse(of := source(), "s3-control.ListAccessPoints", "AccessDenied")
        snapshot = poll("aws.s3.access_points", of)
        assert (snapshot.status, snapshot.why) == ("failed", "denied")
        assert snapshot.receipt["gap"]["need"] == "s3:ListAccessPoints"

    def test_a_point_that_went_away(self, s3):
        boto3.client("s3control").create_access_point(AccountId=ACCOUNT, Name="reader", Bucket="data")
        refuse(of := source(), "s3-control.GetAccessPoint", "NoSuchAccessPoint", 404)
        snapshot = poll("aws.s3.access_points", of)
        assert (snapshot.status, len(snapshot.items)) == ("complete", 0)
