"""Who reaches a resource, by policies of identities and of the resource itself; people behind permission sets."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.facts import Unseen
from agent.model import Gap, Reason
from checks.aws.holders import who_can
from tests.aws.emulated import account as emulated
from tests.aws.emulated import envelopes, facts, on_call, poll, refuse, source
from tests.aws.identities import (
    ACCOUNT,
    BY_AWS,
    IAM,
    account,
    allow,
    context,
    deny,
    derived,
    doc,
    role,
    trust,
    user,
)  # fmt: skip

BUCKET = "arn:aws:s3:::data"
ADA, BOB, ETL = f"{IAM}user/ada", f"{IAM}user/bob", f"{IAM}role/etl"
EVE = "arn:aws:iam::999999999999:role/eve"
READ = allow("s3:GetObject", on=f"{BUCKET}/*")
VPC = {"StringEquals": {"aws:SourceVpc": "vpc-1"}}


def to(*principals: str, effect: str = "Allow", kind: str = "AWS", **more: Any) -> dict[str, Any]:
    """A statement of a bucket policy over reading all objects."""
    who = {kind: list(principals)}
    said = {"Effect": effect, "Principal": who, "Action": "s3:GetObject", "Resource": f"{BUCKET}/*"}
    return {**said, **more}


def reached(policy: Any, *identities: Any, **more: Any) -> dict[str, Any]:
    """Who reaches the bucket, which has a list of allowed principals."""
    here = account(*identities, s3_buckets={BUCKET: {"name": "data", "policy": policy}}, **more)
    (found,) = derived("aws.access.reach", here, access=LISTED).values()
    return found


LISTED = {"allowed": {BUCKET: [], "arn:aws:s3:::elsewhere": [], "not an ARN": []}}


@pytest.mark.parametrize(
    ("policy", "identities", "readers"),
    [
        pytest.param(None, [user("ada", READ), user("bob")], [ADA], id="by identity"),
        pytest.param(None, [user("ada", allow("s3:Get*", on=f"{BUCKET}/part/*"))], [ADA], id="a part of it"),
        pytest.param(None, [user("ada", allow("s3:ListBucket"))], [], id="listing is not reading"),
        pytest.param(None, [user("ada", allow("s3:GetObject", on="arn:aws:s3:::data2/*"))], [], id="another bucket"),
        pytest.param(None, [user("ada", allow("s3:GetObject", on="arn:aws:s3:::dat?/*"))], [ADA], id="by a pattern"),
        pytest.param(None, [user("ada", {"Action": "s3:*", "NotResource": f"{BUCKET}/*"})], [], id="NotResource"),
        pytest.param(None, [user("ada", {"Action": "s3:*", "NotResource": f"{BUCKET}/a/*"})], [ADA], id="a part out"),
        pytest.param(None, [user("ada", {"NotAction": "iam:*", "Resource": "*"})], [ADA], id="NotAction"),
        pytest.param(None, [user("ada", READ, deny("s3:*", on=f"{BUCKET}*"))], [], id="denied again"),
        pytest.param(None, [user("ada", READ, deny("s3:*", on=f"{BUCKET}/a/*"))], [ADA], id="denied in part"),
        pytest.param(None, [user("ada", READ, deny("s3:*", Condition=VPC))], [ADA], id="denied on a condition"),
        pytest.param(doc(to(BOB)), [user("ada"), user("bob")], [BOB], id="by the bucket's policy"),
        pytest.param(doc(to(ETL)), [role("etl")], [ETL], id="a role by it"),
        pytest.param(
            doc(to(f"arn:aws:sts::{ACCOUNT}:assumed-role/etl/night")), [role("etl", path="/jobs/")],
            [f"{IAM}role/jobs/etl"], id="a session of a role",
        ),
        pytest.param(doc(to(BOB)), [user("bob", deny("s3:Get*"))], [], id="by it, denied by an own policy"),
        pytest.param(doc(to(f"{IAM}root")), [user("ada", READ), user("bob")], [ADA], id="left to the account"),
        pytest.param(doc(to(ADA, effect="Deny")), [user("ada", READ), user("bob", READ)], [BOB], id="kept out"),
        pytest.param(doc(to("*", effect="Deny")), [user("ada", READ), user("bob", READ)], [], id="all kept out"),
        pytest.param(doc(to(ACCOUNT, effect="Deny")), [user("ada", READ)], [], id="the account kept out"),
        pytest.param(
            doc(to(effect="Deny", Principal=None) | {"NotPrincipal": {"AWS": [ADA, f"{IAM}root"]}}),
            [user("ada", READ), user("bob", READ)], [ADA], id="all but one kept out",
        ),
        pytest.param(doc(to("*", effect="Deny", Condition=VPC)), [user("ada", READ)], [ADA], id="out on a condition"),
        pytest.param(doc(to(EVE)), [], [EVE], id="another account's role"),
        pytest.param(doc(to("999999999999")), [], ["999999999999"], id="another account"),
        pytest.param(doc(to(EVE), to("999999999999", effect="Deny")), [], [], id="another account kept out"),
        pytest.param(doc(to("AIDAEXAMPLEEXAMPLEXX")), [], [], id="somebody who is gone"),
        pytest.param(
            doc(to("cloudtrail.amazonaws.com", kind="Service")), [], ["cloudtrail.amazonaws.com"], id="a service"
        ),
        pytest.param(doc(to("*")), [user("ada")], ["*"], id="everybody"),
        pytest.param(doc(to("*"), to("*", effect="Deny")), [user("ada")], [], id="everybody, and nobody"),
        pytest.param(doc(to(ADA, Action="s3:PutObject")), [user("ada")], [], id="writing is not reading"),
    ],
)  # fmt: skip
def test_who_reads(policy, identities, readers):
    assert reached(policy, *(identities or [role("nobody")]))["readers"] == readers


def test_conditions_and_what_was_not_seen_are_named():
    found = reached(
        doc(to(BOB, Condition=VPC), to("*", effect="Deny", Condition={"Bool": {"aws:SecureTransport": "false"}})),
        user("ada", {**READ, "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}}),
        user("bob", attached=[BY_AWS + "Gone"]), user("cy", attached=[BY_AWS + "Lost"]),
    )  # fmt: skip
    assert found["readers"] == [ADA, BOB]
    assert found["conditions"] == ["aws:MultiFactorAuthPresent", "aws:SecureTransport", "aws:SourceVpc"]
    # bob is known to read, but not known not to write
    assert [one["name"] for one in found["unread"]] == [f"{BY_AWS}Lost", f"{BY_AWS}Gone"]


def test_a_boundary_keeps_out():
    edge = {f"{IAM}policy/edge": doc(allow("s3:PutObject"))}
    found = reached(None, user("ada", allow("s3:*"), boundary=f"{IAM}policy/edge"), policies=edge)
    assert (found["readers"], found["writers"]) == ([], [ADA])


def test_a_bucket_whose_policy_was_not_seen_is_left_out():
    here = account(user("ada"), s3_buckets={BUCKET: {"name": "data", "policy": Gap(Reason.DENIED)}})
    assert derived("aws.access.reach", here, access=LISTED) == {}


def test_mlflow_servers():
    server = f"arn:aws:sagemaker:eu-west-1:{ACCOUNT}:mlflow-tracking-server/runs"
    here = account(
        user("ada", allow("sagemaker-mlflow:SearchRuns")), user("bob", allow("sagemaker:Create*", on=f"{server}2")),
        user("cy", allow("sagemaker:CreatePresignedMlflowTrackingServerUrl", on=server)), user("di", allow("s3:*")),
    )  # fmt: skip
    found = derived("aws.access.reach", here, access={"allowed": {server: []}})
    assert found[server]["users"] == [ADA, f"{IAM}user/cy"]


KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1"


@pytest.mark.parametrize(
    ("policy", "able"),
    [
        (doc({"Action": "kms:*", "Principal": {"AWS": f"{IAM}root"}, "Resource": "*"}), [ADA]),
        (doc({"Action": "kms:*", "Principal": {"AWS": BOB}, "Resource": "*"}), [BOB]),
        (doc({"Action": "kms:Encrypt", "Principal": {"AWS": f"{IAM}root"}, "Resource": "*"}), []),
        (doc(), []),
    ],
)
def test_keys_count_own_policies_only_where_the_key_leaves_it_to_the_account(policy, able):
    here = account(user("ada", allow("kms:Decrypt")), user("bob"))
    found = who_can(context(here), ["kms:Decrypt"], KEY, policy, needs_delegation=True)
    assert sorted(found.principals) == able


def test_nothing_is_told_of_an_account_that_was_not_seen():
    here = account(user("ada"))
    here["aws.iam.managed_policies"] = Gap(Reason.DENIED)
    with pytest.raises(Unseen):
        who_can(context(here), ["s3:GetObject"], f"{BUCKET}/*")


PATTERNS = ["arn:aws:s3:::b1/*", "arn:aws:s3:::b2/*", "arn:aws:s3:::b?/*", "*", "arn:aws:s3:::*", "arn:aws:s3:::b1/x*"]
STATEMENT = st.builds(
    lambda effect, element, action, on: {"Effect": effect, "Action": action, element: on},
    st.sampled_from(["Allow", "Allow", "Deny"]), st.sampled_from(["Resource", "Resource", "NotResource"]),
    st.sampled_from(["*", "s3:*", "s3:GetObject", "s3:Put*"]), st.sampled_from(PATTERNS),
)  # fmt: skip
IDENTITIES = st.lists(st.lists(STATEMENT, max_size=3), min_size=1, max_size=4)
BY_BUCKET = st.none() | st.lists(
    st.builds(
        lambda effect, who, action: {"Effect": effect, "Principal": {"AWS": who}, "Action": action, "Resource": "*"},
        st.sampled_from(["Allow", "Deny"]), st.sampled_from([f"{IAM}user/u0", f"{IAM}user/u1", f"{IAM}root", "*"]),
        st.sampled_from(["s3:GetObject", "s3:*"]),
    ),
    max_size=2,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(IDENTITIES, BY_BUCKET)
def test_the_index_finds_whom_asking_everybody_finds(identities, policy):
    """`reach` asks an index, `who_can` everybody."""
    by_bucket = {"Statement": policy} if policy is not None else None
    buckets = {f"arn:aws:s3:::b{n}": {"name": f"b{n}", "policy": by_bucket} for n in (1, 2)}
    here = account(*(user(f"u{n}", *said) for n, said in enumerate(identities)), s3_buckets=buckets)
    found = derived("aws.access.reach", here, access={"allowed": dict.fromkeys(buckets, [])})
    for arn in buckets:
        asked = who_can(context(here), ["s3:GetObject", "s3:GetObjectVersion"], f"{arn}/*", by_bucket)
        assert found[arn]["readers"] == sorted(asked.principals | asked.outsiders)


class TestPeople:
    STORE = {"instance": "i", "id": "g", "name": "staff", "members": ["1", "2", "9"]}
    SETS = {"ps": {"name": "Admins", "instance": "i"}}
    USERS = {
        "d/1": {"instance": "i", "id": "1", "name": "ada", "mail": "a@x.org"},
        "d/2": {"instance": "i", "id": "2", "name": "bob", "mail": None},
        "e/9": {"instance": "other", "id": "9", "name": "eve", "mail": "e@x.org"},
    }

    def told(self, *assigned: tuple[str, str], **more: Any) -> dict[str, Any]:
        rows = {
            str(n): {"account": ACCOUNT, "permission_set": "ps", "principal_type": kind, "principal_id": id}
            for n, (kind, id) in enumerate(assigned)
        }
        here = {
            "aws.sso.assignments": rows, "aws.sso.permission_sets": self.SETS, "aws.sso.users": self.USERS,
            "aws.sso.groups": {"d/g": self.STORE}, **more,
        }  # fmt: skip
        return derived("aws.access.people", here)[f"{ACCOUNT}/Admins"]

    def test_people_of_groups_and_by_themselves_are_told_once(self):
        found = self.told(("USER", "1"), ("GROUP", "g"))
        assert [person["name"] for person in found["people"]] == ["ada", "bob"]
        assert found["unresolved"] == ["user 9"]

    def test_a_group_that_is_not_listed_or_not_seen(self):
        assert self.told(("GROUP", "h"))["unresolved"] == ["group h"]
        lost = {"d/g": self.STORE | {"members": Gap(Reason.DENIED)}}
        assert self.told(("GROUP", "g"), **{"aws.sso.groups": lost})["unresolved"] == ["group staff (denied)"]


class TestManagedPolicies:
    ARN = f"{BY_AWS}ReadOnlyAccess"
    LISTED = {"Arn": ARN, "PolicyName": "ReadOnlyAccess", "DefaultVersionId": "v7"}

    @pytest.fixture
    def iam(self):
        with emulated():
            yield boto3.client("iam")

    def listed(self, of: Any, asked: list[Any], **by_usage: list[dict[str, Any]]) -> None:
        def answer(parameters: Any) -> dict[str, Any]:
            asked.append(parameters.get("body", parameters))
            usage = asked[-1].get("PolicyUsageFilter")
            return {"Policies": by_usage.get(usage, []), "IsTruncated": False}

        on_call(of, "iam.ListPolicies", answer)

    def test_attached_ones_and_boundaries_each_once(self, iam):
        of, asked, fetched = source(), [], []
        attached = {**self.LISTED, "AttachmentCount": 3}
        edge = {**self.LISTED, "Arn": f"{BY_AWS}Edge", "PolicyName": "Edge", "PermissionsBoundaryUsageCount": 1}
        unused = {**self.LISTED, "Arn": f"{BY_AWS}Unused"}
        self.listed(of, asked, PermissionsPolicy=[attached], PermissionsBoundary=[edge, attached, unused])

        def version(parameters: Any) -> dict[str, Any]:
            fetched.append(parameters["body"]["PolicyArn"])
            return {"PolicyVersion": {"VersionId": "v7", "Document": json.dumps(doc(allow("s3:Get*")))}}

        on_call(of, "iam.GetPolicyVersion", version)
        found = facts(poll("aws.iam.managed_policies", of))
        assert sorted(found) == sorted(fetched) == [f"{BY_AWS}Edge", self.ARN]
        assert found[self.ARN] == {"name": "ReadOnlyAccess", "version": "v7", "document": doc(allow("s3:Get*"))}
        assert {one["Scope"] for one in asked} == {"AWS"}

    def test_a_text_that_is_refused_is_a_gap_beside_the_name(self, iam):
        self.listed(of := source(), [], PermissionsPolicy=[{**self.LISTED, "AttachmentCount": 1}])
        refuse(of, "iam.GetPolicyVersion", "AccessDenied")
        snapshot = poll("aws.iam.managed_policies", of)
        (envelope,) = envelopes(snapshot).values()
        assert (snapshot.status, envelope["gaps"]["/document"]["need"]) == ("complete", "iam:GetPolicyVersion")

    def test_none(self, iam):
        assert facts(poll("aws.iam.managed_policies")) == {}


class TestServiceCredentials:
    def test_no_secret_and_no_name_to_sign_in_with_is_stored(self):
        with emulated():
            of, asked = source(), []
            held = {
                "UserName": "ada", "Status": "Active", "CreateDate": "2026-01-02T03:04:05Z",
                "ServiceSpecificCredentialId": "ACCAEXAMPLEEXAMPLE123", "ServiceName": "codecommit.amazonaws.com",
                "ServiceUserName": "ada-at-123", "ExpirationDate": "2026-06-01T00:00:00Z",
            }  # fmt: skip

            def answer(parameters: Any) -> dict[str, Any]:
                asked.append(parameters["body"])
                return {"ServiceSpecificCredentials": [held], "IsTruncated": False}

            on_call(of, "iam.ListServiceSpecificCredentials", answer, well_formed=False)
            snapshot = poll("aws.iam.service_credentials", of)
            (envelope,) = envelopes(snapshot).values()
            assert envelope["facts"] == {
                "user": "ada", "service": "codecommit.amazonaws.com", "status": "Active",
                "created": "2026-01-02T03:04:05Z", "expires": "2026-06-01T00:00:00Z",
            }  # fmt: skip
            assert asked[0]["AllUsers"] == "true"

    def test_an_incomplete_listing_is_partial(self):
        with emulated():
            of = source()
            on_call(of, "iam.ListServiceSpecificCredentials", lambda _: {
                "ServiceSpecificCredentials": [], "IsTruncated": True})  # fmt: skip
            snapshot = poll("aws.iam.service_credentials", of)
            assert (snapshot.status, snapshot.why) == ("failed", "partial")


def test_a_large_account_is_judged_in_seconds():
    """2,000 users, 2,000 roles with policies of their own, 2,000 buckets with lists."""
    draw = random.Random(7)
    users = [user(f"u{n}", groups=[f"g{draw.randrange(20)}"]) for n in range(2000)]
    roles = [
        role(
            f"r{n}", allow("s3:GetObject", "s3:PutObject", on=f"arn:aws:s3:::b{n}/*"), allow("logs:*"),
            allow("sts:AssumeRole", on=f"{IAM}role/r{n + 1}"),
            trust=trust(f"{IAM}root") if n % 5 == 0 else trust(service="lambda.amazonaws.com"),
        )
        for n in range(2000)
    ]  # fmt: skip
    groups = {
        f"{IAM}group/g{n}": {"name": f"g{n}", "inline": {"own": doc(allow(f"s3:{n}*", "ec2:*"))}, "attached": []}
        for n in range(20)
    }
    buckets = {
        f"arn:aws:s3:::b{n}": {"name": f"b{n}", "policy": doc(to(f"{IAM}role/r{n}", Resource=f"arn:aws:s3:::b{n}/*"))}
        for n in range(2000)
    }
    here = account(*users, *roles, iam_groups=groups, s3_buckets=buckets)
    started = time.process_time()
    assert len(derived("aws.access.principals", here)) == 4000
    found = derived("aws.access.reach", here, access={"allowed": dict.fromkeys(buckets, [])})
    assert [found[f"arn:aws:s3:::b{n}"]["writers"] for n in (0, 1999)] == [[f"{IAM}role/r0"], [f"{IAM}role/r1999"]]
    assert time.process_time() - started < 30
