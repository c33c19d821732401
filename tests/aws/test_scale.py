"""Many accounts, regions that are off, limits: what one refusal may cost, and that nothing of it is silent."""

from __future__ import annotations

import json
import re
from collections import Counter
from types import SimpleNamespace

import boto3
import pytest
from botocore.awsrequest import AWSResponse

from agent import clock
from agent.claims import Claims
from agent.ledger import Ledger
from agent.model import PollStatus, Reason, Tape
from agent.redact import Redactor
from agent.registry import discover
from agent.settings import Settings
from agent.sweep import plan, sweep
from collectors.aws import AwsSource, limiter
from tests.aws.emulated import ACCOUNT, account, counted, envelopes, facts, on_call, poll, source

MANY = [f"{number:012d}" for number in range(111, 118)]
REFUSING = MANY[3]
ROLE = "arn:aws:iam::{account}:role/reader"
REFUSED = {"Error": {"Code": "AccessDenied", "Message": "no", "Status": 403}}


@pytest.fixture(autouse=True)
def aws():
    with account():
        yield


def refusing_role(of: AwsSource) -> list[str]:
    """Have one account refuse its role; the accounts that were asked come back."""
    asked: list[str] = []

    def answer(params):
        asked.append(params["body"]["RoleArn"].split(":")[4])
        return REFUSED if asked[-1] == REFUSING else None

    on_call(of, "sts.AssumeRole", answer)
    del of._accesses[ACCOUNT]
    return asked


class Sweeps:
    """Sweeps of some streams of one configuration into one ledger."""

    def __init__(self, folder, *streams):
        self.registry, self.streams = discover(), streams
        self.ledger = Ledger.open(f"sqlite:///{folder}/e.db", folder / "key", create=True, now_ms=clock.now_ms())
        self.redactor = Redactor(b"k" * 32, self.registry.kept_tags)

    def planned(self, of):
        return plan(self.registry, Settings(), {"aws": of}, self.ledger, lambda spec: spec.name in self.streams)

    def swept(self, of):
        return sweep(self.ledger, self.registry, Settings(), self.planned(of).targets, self.redactor, Claims(None))


@pytest.fixture
def sweeps(tmp_path):
    made = Sweeps(tmp_path, "aws.s3.account", "aws.iam.account", "aws.kms.keys", "aws.logs.groups")
    yield made
    made.ledger.close()


class TestAnAccountThatRefuses:
    def test_blinds_only_itself_and_is_asked_once_a_sweep(self, sweeps):
        of = source(accounts=MANY, role=ROLE)
        asked = refusing_role(of)
        for sweeps_so_far in (1, 2):
            outcome = sweeps.swept(of)
            bad = {name for name, snapshot in outcome.polls.items() if snapshot.status == "failed"}
            assert bad == {name for name in outcome.polls if f":{REFUSING}" in name}
            assert len(bad) == 4
            assert {(gap.reason, gap.op, gap.need) for gap in outcome.unseen} == {
                ("denied", "AssumeRole", "sts:AssumeRole")
            }
            assert outcome.exit_code == 4
            assert Counter(asked)[REFUSING] == sweeps_so_far
        assert all(count == 1 for account, count in Counter(asked).items() if account != REFUSING)

    def test_that_cannot_name_its_regions_fails_where_it_was_known(self, sweeps):
        whole = source(accounts=MANY, role=ROLE, regions=["eu-west-1", "us-east-1"])
        assert sweeps.swept(whole).exit_code == 0
        of = source(accounts=MANY, role=ROLE, regions="all-enabled")
        refusing_role(of)
        made = sweeps.planned(of)
        assert set(made.blind) == {f"aws:{REFUSING}"}
        assert made.unreached == {}
        regions = {item.target.scope.name for item in made.targets if item.target.scope.judging == f"aws:{REFUSING}"}
        assert regions == {f"aws:{REFUSING}", f"aws:{REFUSING}:eu-west-1", f"aws:{REFUSING}:us-east-1"}
        with pytest.raises(Exception, match="AssumeRole"):
            of.open(next(item.target.scope for item in made.targets if item.target.scope.name in regions), {}, Tape())

    def test_that_was_never_known_fails_in_its_home_region(self, sweeps):
        of = source(accounts=MANY, role=ROLE, regions="all-enabled")
        refusing_role(of)
        mine = [item.target for item in sweeps.planned(of).targets if item.target.scope.judging == f"aws:{REFUSING}"]
        assert {target.scope.name for target in mine} == {f"aws:{REFUSING}", f"aws:{REFUSING}:us-east-1"}


class TestARegion:
    def off(self, of: AwsSource, code: str) -> Counter[str]:
        """Have one region know no credentials."""
        refused = {"Error": {"Code": code, "Message": "no", "Status": 403}}
        on_call(of, "kms.ListKeys", lambda params: refused if "ap-east-1" in params["url"] else None)
        return counted(of)

    @pytest.mark.parametrize("code", ["UnrecognizedClientException", "InvalidClientTokenId"])
    def test_that_is_not_switched_on_is_named_and_spoils_no_other(self, sweeps, code):
        of = source(regions=["ap-east-1", "us-east-1"])
        calls = self.off(of, code)
        session = of._access(ACCOUNT).session
        outcome = sweeps.swept(of)
        off = outcome.polls[f"aws.kms.keys@aws:{ACCOUNT}:ap-east-1"]
        assert (off.status, off.why, off.receipt["gap"]["code"]) == ("failed", "not_configured", "RegionOff")
        assert outcome.polls[f"aws.kms.keys@aws:{ACCOUNT}:us-east-1"].status == "complete"
        assert outcome.exit_code == 5
        assert of._access(ACCOUNT).session is session, "good credentials were thrown away"
        before = calls["ListKeys"]
        target = next(i.target for i in sweeps.planned(of).targets if i.target.name == off.target.name)
        with pytest.raises(Exception, match="not switched on"):
            of.open(target.scope, {"ListKeys": "kms:ListKeys"}, Tape()).client("kms")
        assert calls["ListKeys"] == before

    def test_where_the_credentials_are_refused_everywhere_is_not_off(self):
        of = source(regions=["ap-east-1"])
        self.off(of, "UnrecognizedClientException")
        target = of.scopes("region")[0]
        opened = of.open(target, {"ListKeys": "kms:ListKeys"}, Tape())
        on_call(
            of, "sts.GetCallerIdentity", lambda _: {"Error": {"Code": "ExpiredToken", "Message": "", "Status": 403}}
        )
        of._access(ACCOUNT)._clients.pop(("sts", "us-east-1"))
        of._access(ACCOUNT)._ways.clear()
        with pytest.raises(Exception, match="aws sso login"):
            opened.client("kms").list_keys()


class TestABudget:
    def test_that_is_used_up_leaves_named_gaps_also_after_a_restart(self, sweeps):
        names = [f"bucket-{number}" for number in range(4)]
        for name in names:
            boto3.client("s3").create_bucket(Bucket=name)
        sweeps.streams = ("aws.s3.exposures",)
        first = sweeps.swept(source(calls_per_day=10))
        assert first.exit_code == 5
        assert {(gap.reason, gap.code) for gap in first.unseen} == {("throttled", "CallBudget")}
        (snapshot,) = first.polls.values()
        assert snapshot.tape.calls <= 9, "one of the ten asks who the caller is"
        assert len(snapshot.items) == len(names), "of each listed bucket it is said what was not seen"
        restarted = source(calls_per_day=10)
        calls = counted(restarted)
        again = sweeps.swept(restarted)
        assert again.exit_code == 5
        assert sum(s.tape.calls for s in (snapshot, *again.polls.values())) <= 10
        assert calls["GetBucketAcl"] == 0
        assert sweeps.swept(source(calls_per_day=10)).count(PollStatus.FAILED) == 1

    def test_that_is_large_enough_is_not_noticed(self, sweeps):
        assert sweeps.swept(source(calls_per_day=1000)).exit_code == 0

    def test_pages_that_were_not_asked_for_are_not_counted(self):
        # two calls ask who the caller is: the credentials', and the account's
        of = source(calls_per_day=3)
        assert poll("aws.iam.users", of).status == "complete"
        assert not of._budget.take()


class TestThrottling:
    @pytest.fixture
    def every_second(self, monkeypatch):
        """Every second GetBucketVersioning is answered with 503 SlowDown, before the SDK's retries."""
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "4")
        monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
        of, asked = source(), []

        def answer(request, **_):
            asked.append(request.url)
            body = b"<Error><Code>SlowDown</Code><Message>slow</Message></Error>"
            slow = AWSResponse(request.url, 503, {}, SimpleNamespace(stream=lambda *_a, **_k: iter([body])))
            return slow if len(asked) % 2 else None

        of._access("").session.register("before-send.s3.GetBucketVersioning", answer)
        of._accesses[ACCOUNT] = of._access("")
        return of

    def test_of_every_second_call_loses_nothing(self, every_second):
        for number in range(5):
            boto3.client("s3").create_bucket(Bucket=f"bucket-{number}")
            boto3.client("s3").put_bucket_versioning(
                Bucket=f"bucket-{number}", VersioningConfiguration={"Status": "Enabled"}
            )
        told = facts(poll("aws.s3.buckets", every_second))
        assert [facts["versioning"]["Status"] for facts in told.values()] == ["Enabled"] * 5

    def test_that_does_not_end_is_a_gap_and_slows_down_who_comes_next(self):
        boto3.client("s3").create_bucket(Bucket="bucket")
        pauses: list[float] = []
        of = source(pauses)
        slow = {"Error": {"Code": "SlowDown", "Message": "no", "Status": 503}}
        on_call(of, "s3.GetBucketVersioning", lambda _: slow)
        (envelope,) = envelopes(poll("aws.s3.buckets", of)).values()
        assert envelope["gaps"]["/versioning"]["reason"] == "throttled"
        assert pauses
        assert max(pauses) < 5


class TestPaces:
    def test_where_few_calls_are_allowed_they_are_spaced(self, monkeypatch):
        pauses: list[float] = []
        monkeypatch.setattr(limiter.clock, "monotonic", lambda: 100.0)
        paces = limiter.Paces(pauses.append)
        look = paces.of("cloudtrail", "us-east-1", "LookupEvents")
        for _ in range(4):
            look.wait()
        assert pauses == [0.5, 1.0, 1.5]
        assert look is paces.of("cloudtrail", "us-east-1", "LookupEvents")
        assert look is not paces.of("cloudtrail", "eu-west-1", "LookupEvents")
        paces.of("cloudtrail", "us-east-1", "DescribeTrails").wait()
        assert len(pauses) == 3

    def test_a_throttled_service_recovers(self):
        pace = limiter.Pace(None, lambda _s: None)
        for _ in range(20):
            pace.throttled()
        assert pace._gap_s == 5.0
        for _ in range(60):
            pace.answered()
        assert pace._gap_s == 0.0

    def test_a_documented_pace_is_never_left(self):
        pace = limiter.Pace(2.0, lambda _s: None)
        pace.throttled()
        for _ in range(60):
            pace.answered()
        assert pace._gap_s == 0.5


class TestWhatChangesWhileItIsRead:
    def test_a_token_that_expires_in_between_is_named(self):
        for number in range(3):
            boto3.client("s3").create_bucket(Bucket=f"bucket-{number}")
        of, left = source(), [2]
        expired = {"Error": {"Code": "ExpiredToken", "Message": "secret", "Status": 400}}

        def answer(_params):
            left[0] -= 1
            return expired if left[0] < 0 else None

        on_call(of, "s3.GetBucketVersioning", answer)
        snapshot = poll("aws.s3.buckets", of)
        gaps = [e["gaps"]["/versioning"] for e in envelopes(snapshot).values() if "/versioning" in e["gaps"]]
        assert gaps
        assert {(gap["reason"], gap["code"]) for gap in gaps} == {("denied", "ExpiredToken")}
        assert facts(poll("aws.s3.buckets", of)), "the next poll takes fresh credentials"

    def test_a_page_token_that_repeats_leaves_a_partial_list(self):
        of = source()
        user = {"UserName": "u", "UserId": "u" * 16, "Arn": "arn:aws:iam::123456789012:user/u", "Path": "/",
                "CreateDate": 0}  # fmt: skip
        page = {"UserDetailList": [user], "IsTruncated": True, "Marker": "again"}
        on_call(of, "iam.GetAccountAuthorizationDetails", lambda _: page)
        snapshot = poll("aws.iam.users", of)
        assert (snapshot.status, snapshot.why) == ("partial", "partial")
        assert snapshot.receipt["gap"]["code"] == "PaginationError"

    def test_a_report_in_the_making_is_waited_for(self):
        pauses: list[float] = []
        of, states = source(pauses), iter(["STARTED", "INPROGRESS", "INPROGRESS"])

        def answer(_params):
            state = next(states, None)
            return {"State": state} if state else None

        on_call(of, "iam.GenerateCredentialReport", answer)
        assert poll("aws.iam.credentials", of).status == "complete"
        # the emulator begins with a state of its own
        assert pauses == [0.25, 0.5, 1.0, 2.0]

    def test_a_bucket_gone_after_it_was_listed_is_no_record_and_no_gap(self):
        for name in ("gone", "here"):
            boto3.client("s3").create_bucket(Bucket=name)
        of = source()
        gone = {"Error": {"Code": "NoSuchBucket", "Message": "no", "Status": 404}}
        on_call(of, "s3.GetBucketTagging", lambda params: gone if "gone" in params["url"] else None)
        assert list(facts(poll("aws.s3.buckets", of))) == ["arn:aws:s3:::here"]


class TestSentDirectly:
    """What is sent without the SDK's ceremony is answered as the SDK would have."""

    def test_every_hook_of_an_answer_is_called(self):
        west = boto3.client("s3", region_name="eu-west-1")
        west.create_bucket(Bucket="west", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        of = source()
        opened = of.open(of.scopes("account")[0], {"GetBucketLocation": "x", "GetBucketPolicy": "y"}, Tape())
        s3 = opened.client("s3")
        assert s3.get_bucket_location(Bucket="west")["LocationConstraint"] == "eu-west-1"
        assert s3._way.direct("GetBucketLocation") is not None
        with pytest.raises(Exception, match="NoSuchBucketPolicy") as refused:
            s3.get_bucket_policy(Bucket="west")
        assert refused.value.gap.reason is Reason.UNSUPPORTED

    def test_an_answer_that_is_not_plain_is_left_to_the_sdk(self):
        boto3.client("s3").create_bucket(Bucket="data")
        of, asked = source(), []

        def answer(params):
            asked.append(params)
            return {"Error": {"Code": "InternalError", "Message": "", "Status": 500}} if len(asked) == 1 else None

        on_call(of, "s3.GetBucketVersioning", answer)
        opened = of.open(of.scopes("account")[0], {"GetBucketVersioning": "x"}, Tape())
        assert opened.client("s3").get_bucket_versioning(Bucket="data")
        assert len(asked) == 2
        assert opened.client("s3")._way.direct("GetBucketVersioning")._resting > 0


class TestMemory:
    def test_of_many_accounts_only_the_clients_used_last_are_kept(self, monkeypatch):
        monkeypatch.setattr("collectors.aws.access._CLIENTS", 5)
        of = source(accounts=MANY, role=ROLE)
        for scope in of.scopes("account"):
            opened = of.open(scope, {"GetAccountSummary": "x", "GetPublicAccessBlock": "y"}, Tape())
            iam = opened.client("iam")
            assert opened.client("s3control").get_public_access_block
            assert iam.get_account_summary()["SummaryMap"], "a client in use is not lost"
        kept = [place for access in of._accesses.values() for place in access._ways]
        assert len(kept) == 5

    def test_the_services_are_described_once_for_all_accounts(self):
        of = source(accounts=MANY[:2], role=ROLE)
        one, other = (of._access(account).session.get_component("data_loader") for account in MANY[:2])
        assert one is other
        model = one.load_service_model("s3", "service-2")
        assert model["shapes"]["ListBucketsOutput"]["members"]["Buckets"]
        assert set(re.findall(r'"documentation": "[^"]*"', json.dumps(model))) == {'"documentation": ""'}
