"""Accounts, regions, roles and credentials; what the client lets pass and writes down."""

from __future__ import annotations

import boto3
import pytest
from moto.server import ThreadedMotoServer

from agent.model import Reason, Scope, SourceError, Tape
from collectors.aws import Client, Recorder, pages
from tests.aws.emulated import (
    ACCOUNT,
    STREAMS,
    account,
    counted,
    credentials,
    envelopes,
    facts,
    on_call,
    poll,
    refuse,
    source,
)

LISTS = {"ListBuckets": "s3:ListAllMyBuckets"}


@pytest.fixture
def aws():
    with account():
        yield


@pytest.mark.usefixtures("aws")
class TestScopes:
    def test_without_accounts_it_is_the_account_of_the_credentials(self):
        assert source().scopes("account") == [Scope(f"aws:{ACCOUNT}", f"aws:{ACCOUNT}", {"account": ACCOUNT})]

    def test_configured_accounts_are_named_without_a_call(self):
        of = source(accounts=["111111111111", "222222222222"], role="arn:aws:iam::{account}:role/reader")
        calls = counted(of)
        assert [scope.name for scope in of.scopes("account")] == ["aws:111111111111", "aws:222222222222"]
        assert not calls

    def test_regions_of_the_configuration(self):
        scopes = source(regions=["eu-west-1", "eu-north-1"]).scopes("region")
        assert [(scope.name, scope.judging) for scope in scopes] == [
            (f"aws:{ACCOUNT}:eu-west-1", f"aws:{ACCOUNT}"),
            (f"aws:{ACCOUNT}:eu-north-1", f"aws:{ACCOUNT}"),
        ]

    def test_all_enabled_regions(self):
        expected = {region["RegionName"] for region in boto3.client("ec2").describe_regions()["Regions"]}
        assert {scope.detail["region"] for scope in source(regions="all-enabled").scopes("region")} == expected

    def test_regions_that_cannot_be_listed(self):
        of = source(regions="all-enabled")
        refuse(of, "ec2.DescribeRegions", "UnauthorizedOperation")
        (home,) = of.scopes("region")
        assert home.name == f"aws:{ACCOUNT}:us-east-1"
        assert (of.blind[home.judging].reason, of.blind[home.judging].need) == ("denied", "ec2:DescribeRegions")
        with pytest.raises(SourceError, match="UnauthorizedOperation"):
            of.open(home, {}, Tape())
        assert of.open(of.scopes("account")[0], {}, Tape()).id == ACCOUNT

    def test_other_scopes_do_not_exist(self):
        with pytest.raises(ValueError, match="per server"):
            source().scopes("server")


@pytest.mark.usefixtures("aws")
class TestRoles:
    def test_each_account_is_read_through_its_role(self):
        of = source(accounts=["111111111111"], role="arn:aws:iam::{account}:role/reader", external_id="env:X")
        asked = []
        session = of._access("").session
        session.register("before-parameter-build.sts.AssumeRole", lambda params, **_: asked.append(params))
        snapshot = poll("aws.s3.account", of)
        assert snapshot.status == "complete"
        assert snapshot.tape.identity == "arn:aws:sts::111111111111:assumed-role/reader/evidenced"
        assert asked[0]["RoleArn"] == "arn:aws:iam::111111111111:role/reader"
        assert asked[0]["ExternalId"] == "value of env:X"
        assert len(asked) == 1

    def test_a_refused_role_blinds_its_account(self):
        of = source(accounts=["111111111111"], role="arn:aws:iam::{account}:role/reader")
        session = of._access("").session
        on_call(of, "sts.AssumeRole", lambda _: {"Error": {"Code": "AccessDenied", "Message": "no", "Status": 403}})
        assert session is of._access("").session
        snapshot = poll("aws.s3.account", of)
        assert (snapshot.status, snapshot.why) == ("failed", "denied")
        assert snapshot.receipt["gap"]["op"] == "AssumeRole"
        assert snapshot.receipt["gap"]["need"] == "sts:AssumeRole"

    def test_credentials_of_another_account_are_not_taken_for_the_configured_one(self):
        snapshot = poll("aws.s3.account", source(accounts=["111111111111"]))
        assert (snapshot.status, snapshot.why) == ("failed", "not_configured")
        assert snapshot.receipt["gap"]["code"] == "OtherAccount"


class TestCredentials:
    def test_none_at_all(self):
        of = source(accounts=[ACCOUNT])
        with pytest.raises(SourceError, match="aws sso login") as refused:
            of.open(of.scopes("account")[0], LISTS, Tape())
        assert (refused.value.gap.reason, refused.value.gap.code) == ("denied", "NoCredentialsError")

    def test_a_profile_that_does_not_exist(self, monkeypatch):
        monkeypatch.setenv("AWS_PROFILE", "nobody")
        with pytest.raises(SourceError, match="aws sso login") as refused:
            source().scopes("account")
        assert refused.value.gap.reason is Reason.DENIED

    def test_after_a_refusal_the_next_poll_takes_fresh_ones(self, aws):
        of = source()
        refuse(of, "s3.ListBuckets", "ExpiredToken")
        first, second = poll("aws.s3.buckets", of), poll("aws.s3.buckets", of)
        assert (first.status, first.why) == ("failed", "denied")
        assert second.status == "complete"


@pytest.mark.usefixtures("aws")
class TestClient:
    def test_an_undeclared_operation_is_our_own_mistake(self):
        of = source()
        opened = of.open(of.scopes("account")[0], LISTS, Tape())
        with pytest.raises(RuntimeError, match="GetBucketPolicy"):
            opened.client("s3").get_bucket_policy(Bucket="data")

    def test_an_operation_names_itself(self):
        of = source()
        opened = of.open(of.scopes("account")[0], LISTS, Tape())
        assert opened.client("s3").list_buckets.operation == "ListBuckets"
        with pytest.raises(AttributeError):
            opened.client("s3").list_everything  # noqa: B018

    def test_the_tape(self):
        boto3.client("s3").create_bucket(Bucket="data")
        tape = poll("aws.s3.exposures").tape
        assert tape.identity == f"arn:aws:sts::{ACCOUNT}:user/moto"
        assert tape.endpoint == "https://s3.amazonaws.com"
        assert (tape.calls, tape.pages, tape.rows) == (5, 1, 1)
        assert tape.request_id
        assert abs(tape.skew_ms) < 60_000
        assert tape.operations == {
            "ListBuckets": {"MaxBuckets": 10_000},
            "GetBucketAcl": {},
            "GetBucketOwnershipControls": {},
            "GetBucketPolicyStatus": {},
            "GetPublicAccessBlock": {},
        }

    def test_clients_are_made_once(self):
        of = source()
        scope = of.scopes("account")[0]
        first, second = (of.open(scope, LISTS, Tape()) for _ in range(2))
        assert first.client("s3")._way is second.client("s3")._way
        assert first.client("s3", "eu-west-1")._way is not first.client("s3")._way


class Pages:
    """Listings that break off, through the real SDK."""

    def listed(self, of, operation, member, **needs):
        access = of._access("")
        client = Client(access.way("iam"), Recorder(Tape(), needs))
        return pages(client, operation, member)


@pytest.mark.usefixtures("aws")
class TestPages(Pages):
    def test_every_page_is_read(self):
        of = source()
        of_all = {"Path": "/", "UserId": "u" * 16, "Arn": "a" * 20, "CreateDate": 0}
        users = [{"UserName": f"u{n}", **of_all} for n in range(5)]
        told = {"": (users[:2], "2"), "2": (users[2:4], "3"), "3": (users[4:], None)}

        def answer(params):
            page, marker = told[params["body"].get("Marker", "")]
            return {"Users": page, "IsTruncated": bool(marker), **({"Marker": marker} if marker else {})}

        on_call(of, "iam.ListUsers", answer)
        assert len(list(self.listed(of, "list_users", "Users", ListUsers="x"))) == 5

    @pytest.mark.parametrize(
        ("answer", "reason", "code"),
        [
            ({"Users": [], "IsTruncated": True}, "partial", "NoToken"),
            ({"IsTruncated": False}, "malformed", "NoUsers"),
            ({"Users": [], "IsTruncated": True, "Marker": "same"}, "partial", "PaginationError"),
        ],
    )
    def test_a_listing_that_breaks_off(self, answer, reason, code):
        of = source()
        on_call(of, "iam.ListUsers", lambda _params: answer, well_formed=False)
        with pytest.raises(SourceError) as broken:
            list(self.listed(of, "list_users", "Users", ListUsers="iam:ListUsers"))
        gap = broken.value.gap
        assert (gap.reason, gap.code, gap.op, gap.need) == (reason, code, "ListUsers", "iam:ListUsers")

    @pytest.mark.parametrize(("markers", "count"), [(["a", "b", None], 3), (["a", "a", None], None)])
    def test_an_operation_without_a_paginator(self, markers, count):
        of, left = source(), iter(markers)
        held = {"UserName": "u", "Status": "Active", "ServiceUserName": "u" * 17, "CreateDate": 0,
                "ServiceSpecificCredentialId": "i" * 20, "ServiceName": "s"}  # fmt: skip

        def answer(_params):
            marker = next(left)
            page = {"ServiceSpecificCredentials": [held], "IsTruncated": marker is not None}
            return page | ({"Marker": marker} if marker else {})

        on_call(of, "iam.ListServiceSpecificCredentials", answer)
        need = {"ListServiceSpecificCredentials": "x"}
        listed = self.listed(of, "list_service_specific_credentials", "ServiceSpecificCredentials", **need)
        if count is None:
            with pytest.raises(SourceError, match="TokenTwice"):
                list(listed)
        else:
            assert len(list(listed)) == count


@pytest.fixture(scope="module")
def server():
    started = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    started.start()
    yield started.get_host_and_port()[1]
    started.stop()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_an_endpoint_of_ones_own(server, monkeypatch, host):
    credentials(monkeypatch)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{server}")
    direct = {"endpoint_url": f"http://127.0.0.1:{server}", "region_name": "us-east-1"}
    s3, bucket = boto3.client("s3", **direct), f"data-{host}"
    s3.create_bucket(Bucket=bucket)
    boto3.client("iam", **direct).create_user(UserName=f"ada-{host}")
    of = source()
    snapshots = {name: poll(name, of) for name in STREAMS}
    # the emulator lacks some operations: that, and nothing else, may be missing
    lacking = {gap for snapshot in snapshots.values() for gap in snapshot.unseen}
    assert {gap.reason for gap in lacking} <= {Reason.UNSUPPORTED}, lacking
    seen = {name for name, snapshot in snapshots.items() if snapshot.status == "complete"}
    lacking_whole = {"aws.iam.service_credentials"}
    assert seen >= {name for name in STREAMS if name.startswith(("aws.iam.", "aws.s3."))} - lacking_whole
    assert f"arn:aws:s3:::{bucket}" in facts(snapshots["aws.s3.buckets"])
    assert facts(snapshots["aws.s3.account"]) == {f"arn:aws:iam::{ACCOUNT}:root": {"account": ACCOUNT, "block": None}}
    assert f"arn:aws:iam::{ACCOUNT}:user/ada-{host}" in envelopes(snapshots["aws.iam.credentials"])
    assert snapshots["aws.s3.account"].tape.endpoint == f"http://{host}:{server}"


def test_an_endpoint_that_is_not_there(monkeypatch):
    credentials(monkeypatch)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    snapshot = poll("aws.s3.account", source(accounts=[ACCOUNT]))
    assert (snapshot.status, snapshot.why) == ("failed", "unreachable")
