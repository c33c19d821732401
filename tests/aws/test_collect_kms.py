"""Keys as they are stored: what is asked of which, what is gone, what is refused."""

from __future__ import annotations

import json

import boto3
import pytest

from agent.canonical import canonical
from tests.aws.emulated import ACCOUNT, account, counted, envelopes, facts, on_call, poll, refuse, source

NAME = "aws.kms.keys"
NEAR = f"arn:aws:kms:us-east-1:{ACCOUNT}:"
READER = f"arn:aws:iam::{ACCOUNT}:role/reader"


@pytest.fixture
def kms():
    with account():
        yield boto3.client("kms")


def made(kms, **asked):
    return kms.create_key(**asked)["KeyMetadata"]["KeyId"]


def test_a_key_of_the_customer(kms):
    id = made(kms)
    for name in ("b", "a"):
        kms.create_alias(AliasName=f"alias/{name}", TargetKeyId=id)
    kms.create_grant(
        KeyId=id,
        GranteePrincipal=READER,
        Operations=["Encrypt", "Decrypt"],
        Constraints={"EncryptionContextSubset": {"tenant": "Ada Lovelace"}},
    )
    of = source()
    # the emulator leaves out the period
    rotated = {"KeyRotationEnabled": True, "RotationPeriodInDays": 180}
    on_call(of, "kms.GetKeyRotationStatus", lambda _: rotated)
    (told,) = facts(poll(NAME, of)).values()
    policy = told.pop("policy")
    assert policy["Statement"][0]["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    del told["created"]
    assert told == {
        "id": id,
        "manager": "CUSTOMER",
        "state": "Enabled",
        "spec": "SYMMETRIC_DEFAULT",
        "usage": None,
        "origin": "AWS_KMS",
        "multi_region": None,
        "deletion_date": None,
        "aliases": ["alias/a", "alias/b"],
        "rotation": {"enabled": True, "period_days": 180},
        "grants": [
            {
                "grantee": READER,
                "operations": ["Decrypt", "Encrypt"],
                "constraints": {"EncryptionContextSubset": ["tenant"]},
            }
        ],
    }


def test_values_of_encryption_contexts_are_not_kept(kms):
    id = made(kms)
    constraint = {"EncryptionContextEquals": {"patient": "Ada Lovelace"}}
    kms.create_grant(KeyId=id, GranteePrincipal=READER, Operations=["Decrypt"], Constraints=constraint)
    (item,) = (snapshot := poll(NAME)).items
    assert b"patient" in snapshot.documents[item.digest]
    assert b"Lovelace" not in snapshot.documents[item.digest]


def test_many_grants_for_one_grantee_are_one(kms):
    id = made(kms)
    for volume in ("vol-1", "vol-2", "vol-3"):
        constraint = {"EncryptionContextSubset": {"aws:ebs:id": volume}}
        kms.create_grant(KeyId=id, GranteePrincipal=READER, Operations=["Decrypt"], Constraints=constraint)
    (told,) = facts(poll(NAME)).values()
    assert len(told["grants"]) == 1


def test_two_polls_of_unchanged_keys_are_equal(kms):
    for number in range(5):
        kms.create_grant(KeyId=made(kms), GranteePrincipal=READER, Operations=["Decrypt"], Name=str(number))
    one, other = poll(NAME), poll(NAME)
    assert envelopes(one) == envelopes(other)
    assert canonical(one.receipt) == canonical(other.receipt)


def test_a_key_that_waits_for_deletion(kms):
    id = made(kms)
    kms.schedule_key_deletion(KeyId=id, PendingWindowInDays=7)
    (told,) = facts(poll(NAME)).values()
    assert told["state"] == "PendingDeletion"
    assert told["deletion_date"] is not None


@pytest.mark.parametrize(
    "asked",
    [
        {"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY"},
        {"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"},
        {"Origin": "EXTERNAL"},
    ],
)
def test_rotation_is_only_asked_for_where_kms_rotates(kms, asked):
    made(kms, **asked)
    calls = counted(of := source())
    (told,) = facts(poll(NAME, of)).values()
    assert told["rotation"] is None
    assert calls["GetKeyRotationStatus"] == 0
    assert calls["GetKeyPolicy"] == 1


def test_a_key_of_aws_is_described_and_nothing_more_is_asked(kms):
    made(kms)
    of = source()
    told = {"KeyId": "1", "KeyManager": "AWS", "KeyState": "Enabled", "KeySpec": "SYMMETRIC_DEFAULT"}
    on_call(of, "kms.DescribeKey", lambda _: {"KeyMetadata": told | {"Origin": "AWS_KMS"}})
    calls = counted(of)
    (found,) = facts(poll(NAME, of)).values()
    assert (found["manager"], found["rotation"]) == ("AWS", None)
    assert {"policy", "grants"}.isdisjoint(found), "what was not asked for is not told"
    assert set(calls) == {"GetCallerIdentity", "ListKeys", "ListAliases"}, "beside the description"


def test_aliases_are_listed_once(kms):
    for _ in range(3):
        made(kms)
    calls = counted(of := source())
    poll(NAME, of)
    assert (calls["ListAliases"], calls["DescribeKey"]) == (1, 3)


def test_all_pages_are_read(kms):
    of = source()
    ids = [made(kms) for _ in range(3)]

    def answer(params):
        first = "Marker" not in json.loads(params["body"])
        listed = [{"KeyId": id, "KeyArn": f"{NEAR}key/{id}"} for id in (ids[:2] if first else ids[2:])]
        return {"Keys": listed, "Truncated": first, **({"NextMarker": "more"} if first else {})}

    on_call(of, "kms.ListKeys", answer)
    assert {told["id"] for told in facts(poll(NAME, of)).values()} == set(ids)


def test_a_cut_list_without_a_mark_is_not_complete(kms):
    listed = [{"KeyId": (id := made(kms)), "KeyArn": f"{NEAR}key/{id}"}]
    on_call(of := source(), "kms.ListKeys", lambda _: {"Keys": listed, "Truncated": True})
    snapshot = poll(NAME, of)
    assert snapshot.status != "complete"
    assert (snapshot.why, snapshot.receipt["gap"]["code"]) == ("partial", "NoToken")


@pytest.mark.parametrize("operation", ["DescribeKey", "GetKeyRotationStatus", "GetKeyPolicy", "ListGrants"])
def test_of_a_key_that_went_away_nothing_is_said(kms, operation):
    gone, stays = made(kms), made(kms)
    of = source()
    answer = {"Error": {"Code": "NotFoundException", "Message": "no"}}
    on_call(of, f"kms.{operation}", lambda params: answer if gone in str(params["body"]) else None)
    snapshot = poll(NAME, of)
    assert (snapshot.status, list(envelopes(snapshot))) == ("complete", [f"{NEAR}key/{stays}"])


def test_a_key_that_may_not_be_described_is_named(kms):
    id = made(kms)
    refuse(of := source(), "kms.DescribeKey", "AccessDeniedException", 400)
    snapshot = poll(NAME, of)
    gap = {"code": "AccessDeniedException", "need": "kms:DescribeKey", "op": "DescribeKey", "reason": "denied"}
    assert envelopes(snapshot) == {f"{NEAR}key/{id}": {"gap": gap, "v": 1}}
    assert snapshot.status == "partial"


@pytest.mark.parametrize(
    ("operation", "pointer", "need"),
    [
        ("GetKeyPolicy", "/policy", "kms:GetKeyPolicy"),
        ("GetKeyRotationStatus", "/rotation", "kms:GetKeyRotationStatus"),
        ("ListAliases", "/aliases", "kms:ListAliases"),
        ("ListGrants", "/grants", "kms:ListGrants"),
    ],
)
def test_a_refused_part_is_a_gap_in_a_complete_poll(kms, operation, pointer, need):
    made(kms)
    refuse(of := source(), f"kms.{operation}", "AccessDeniedException", 400)
    snapshot = poll(NAME, of)
    (envelope,) = envelopes(snapshot).values()
    assert (snapshot.status, list(envelope["gaps"])) == ("complete", [pointer])
    assert (envelope["gaps"][pointer]["reason"], envelope["gaps"][pointer]["need"]) == ("denied", need)


def test_a_region_without_keys(kms):
    snapshot = poll(NAME)
    assert (snapshot.status, len(snapshot.items)) == ("complete", 0)
