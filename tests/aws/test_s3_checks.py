"""Buckets: each check passing, failing and unseen."""

from __future__ import annotations

import itertools

import pytest

from agent.model import Gap, Reason
from tests.judging import DENIED, judge

FLAGS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
ALL, NONE = dict.fromkeys(FLAGS, True), dict.fromkeys(FLAGS, False)
ACCOUNT = "arn:aws:iam::123456789012:root"
BUCKET = "arn:aws:s3:::data"
GROUPS = "http://acs.amazonaws.com/groups"
EVERYBODY = {"type": "Group", "id": None, "uri": f"{GROUPS}/global/AllUsers", "permission": "READ"}
SIGNED_IN = EVERYBODY | {"uri": f"{GROUPS}/global/AuthenticatedUsers"}
LOGS = EVERYBODY | {"uri": f"{GROUPS}/s3/LogDelivery"}
OWNER = {"type": "CanonicalUser", "id": "abc", "uri": None, "permission": "FULL_CONTROL"}


def account(block):
    return {"aws.s3.account": {ACCOUNT: {"block": block}}}


@pytest.mark.parametrize(
    ("block", "status"),
    [(ALL, "pass"), (ALL | {"IgnorePublicAcls": False}, "fail"), (None, "fail"), (DENIED, "not_evaluated")],
)
def test_account_public_block(block, status):
    assert judge("account-public-block", {"block": block}).status == status


HALF = ALL | {"BlockPublicAcls": False, "BlockPublicPolicy": False}
OTHER_HALF = ALL | {"IgnorePublicAcls": False, "RestrictPublicBuckets": False}


@pytest.mark.parametrize(
    ("block", "here", "status"),
    [
        (ALL, {}, "pass"),
        (None, account(ALL), "pass"),
        (HALF, account(OTHER_HALF), "pass"),
        (HALF, account(HALF), "fail"),
        (None, account(None), "fail"),
        (DENIED, account(ALL), "not_evaluated"),
        (HALF, account(DENIED), "not_evaluated"),
        (HALF, {"aws.s3.account": DENIED}, "not_evaluated"),
        ({"BlockPublicAcls": True}, account(ALL), "not_evaluated"),
    ],
)
def test_bucket_public_block(block, here, status):
    assert judge("bucket-public-block", {"block": block}, here=here).status == status


def exposure(**told):
    closed = {"name": "data", "block": NONE, "policy_status": None, "grants": [OWNER], "ownership": None}
    return closed | told


def point(**told):
    reaches = {"bucket": "data", "network": "Internet", "block": NONE, "policy_status": {"IsPublic": True}}
    return {"aws.s3.access_points": {"arn:point": {"name": "point", **reaches, **told}}}


NO_POINTS = {"aws.s3.access_points": {}}
OPEN = account(NONE) | NO_POINTS
SHUT = account(ALL) | NO_POINTS
PUBLIC = {"IsPublic": True}


@pytest.mark.parametrize(
    ("facts", "here", "status"),
    [
        pytest.param(exposure(), OPEN, "pass", id="closed"),
        pytest.param(exposure(policy_status=PUBLIC), OPEN, "fail", id="public policy"),
        pytest.param(exposure(policy_status={"IsPublic": False}), OPEN, "pass", id="policy not public"),
        pytest.param(exposure(policy_status=PUBLIC, block=ALL), OPEN, "pass", id="held back by the bucket"),
        pytest.param(exposure(policy_status=PUBLIC), SHUT, "pass", id="held back by the account"),
        pytest.param(exposure(grants=[OWNER, EVERYBODY]), OPEN, "fail", id="ACL for all"),
        pytest.param(exposure(grants=[SIGNED_IN], ownership="ObjectWriter"), OPEN, "fail", id="ACL for any account"),
        pytest.param(exposure(grants=[LOGS]), OPEN, "pass", id="ACL for log delivery"),
        pytest.param(exposure(grants=[EVERYBODY], ownership="BucketOwnerEnforced"), OPEN, "pass", id="ACLs off"),
        pytest.param(exposure(grants=[EVERYBODY]), SHUT, "pass", id="ACLs ignored"),
        pytest.param(exposure(), account(NONE) | point(), "fail", id="open access point"),
        pytest.param(exposure(), account(NONE) | point(network="VPC"), "pass", id="access point in a network"),
        pytest.param(exposure(), account(NONE) | point(block=ALL), "pass", id="access point with a block"),
        pytest.param(exposure(), account(NONE) | point(policy_status=None), "pass", id="access point, no policy"),
        pytest.param(exposure(), account(NONE) | point(bucket="other"), "pass", id="another's access point"),
        pytest.param(exposure(policy_status=DENIED), OPEN, "not_evaluated", id="status unseen"),
        pytest.param(exposure(grants=DENIED), OPEN, "not_evaluated", id="ACL unseen"),
        pytest.param(exposure(block=DENIED), OPEN, "not_evaluated", id="block unseen"),
        pytest.param(exposure(grants=[EVERYBODY], ownership=DENIED), OPEN, "not_evaluated", id="ownership unseen"),
        pytest.param(exposure(policy_status=PUBLIC), {"aws.s3.account": DENIED}, "not_evaluated", id="account unseen"),
        pytest.param(exposure(), account(NONE), "not_evaluated", id="access points unseen"),
        pytest.param(exposure(), account(NONE) | point(block=DENIED), "not_evaluated", id="point's block unseen"),
    ],
)
def test_not_public(facts, here, status):
    assert judge("bucket-not-public", facts, here=here).status == status


def test_a_public_policy_that_is_held_back_is_noted():
    verdict = judge("bucket-not-public", exposure(policy_status=PUBLIC, block=ALL), here=OPEN)
    assert verdict.message == "closed to outsiders; its public policy is held back by RestrictPublicBuckets"


@pytest.mark.parametrize(("points", "status"), [(point(), "fail"), (point(bucket="other"), "not_evaluated")])
def test_an_open_access_point_fails_even_on_a_partial_list(points, status):
    partial = {"aws.s3.access_points": Gap(Reason.PARTIAL)}
    assert judge("bucket-not-public", exposure(), here=account(NONE) | points, partial=partial).status == status


def test_not_public_against_every_combination_of_settings():
    """The rule of the catalogue, said again in other words, over all 1,024 worlds of one bucket."""
    switches = itertools.product([False, True], repeat=10)
    for policy, acl, enforced, b_restrict, b_ignore, a_restrict, a_ignore, p_public, p_net, p_restrict in switches:
        facts = exposure(
            policy_status={"IsPublic": policy},
            grants=[EVERYBODY] if acl else [OWNER],
            ownership="BucketOwnerEnforced" if enforced else "ObjectWriter",
            block=NONE | {"RestrictPublicBuckets": b_restrict, "IgnorePublicAcls": b_ignore},
        )
        here = account(NONE | {"RestrictPublicBuckets": a_restrict, "IgnorePublicAcls": a_ignore}) | point(
            policy_status={"IsPublic": p_public},
            network="Internet" if p_net else "VPC",
            block=NONE | {"RestrictPublicBuckets": p_restrict},
        )
        by_policy = policy and not (a_restrict or b_restrict)
        by_acl = acl and not enforced and not (a_ignore or b_ignore)
        by_point = p_public and p_net and not p_restrict
        expected = "fail" if by_policy or by_acl or by_point else "pass"
        assert judge("bucket-not-public", facts, here=here).status == expected


def encrypted(**default):
    return {"encryption": {"Rules": [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": False}]}}


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        (encrypted(SSEAlgorithm="AES256"), "pass"),
        (encrypted(SSEAlgorithm="aws:kms", KMSMasterKeyID="arn:key"), "pass"),
        ({"encryption": None}, "fail"),
        ({"encryption": {"Rules": []}}, "fail"),
        ({"encryption": DENIED}, "not_evaluated"),
    ],
)
def test_encryption(facts, status):
    assert judge("bucket-encryption", facts).status == status


def test_the_key_of_an_encrypted_bucket_is_listed():
    verdict = judge("bucket-encryption", encrypted(SSEAlgorithm="aws:kms", KMSMasterKeyID="arn:key"))
    assert verdict.facts == {"algorithms": ["aws:kms"], "keys": ["arn:key"]}


BOTH = [BUCKET, f"{BUCKET}/*"]


def deny(**told):
    plain = {"Bool": {"aws:SecureTransport": "false"}}
    return {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": BOTH, "Condition": plain} | told


@pytest.mark.parametrize(
    ("statements", "status"),
    [
        pytest.param([deny()], "pass", id="plain"),
        pytest.param([deny(Principal={"AWS": "*"}, Action="*", Resource="*")], "pass", id="wider"),
        pytest.param([deny(Resource=BUCKET), deny(Resource=f"{BUCKET}/*")], "pass", id="in two statements"),
        pytest.param([deny(Resource=f"{BUCKET}*")], "pass", id="one pattern for both"),
        pytest.param([deny(Condition={"Bool": {"aws:securetransport": ["false"]}})], "pass", id="key without case"),
        pytest.param([deny(Resource=f"{BUCKET}/*")], "fail", id="objects only"),
        pytest.param([deny(Resource=BUCKET)], "fail", id="bucket only"),
        pytest.param([deny(Resource=[BUCKET, f"{BUCKET}/a/*"])], "fail", id="one folder"),
        pytest.param([deny(Action="s3:GetObject")], "fail", id="reading only"),
        pytest.param([deny(Principal={"AWS": "arn:aws:iam::1:root"})], "fail", id="one principal"),
        pytest.param([deny(Effect="Allow")], "fail", id="allow"),
        pytest.param([deny(Condition={"Bool": {"aws:SecureTransport": "true"}})], "fail", id="the wrong way round"),
        pytest.param(
            [deny(Condition={"Bool": {"aws:SecureTransport": "false"}, "StringEquals": {"aws:x": "y"}})],
            "fail",
            id="narrowed by another condition",
        ),
        pytest.param([deny(Condition={})], "fail", id="denies everything, always"),
    ],
)
def test_tls_only(statements, status):
    assert judge("bucket-tls-only", {"policy": {"Statement": statements}}, key=BUCKET).status == status


@pytest.mark.parametrize(
    ("policy", "status"), [(None, "fail"), (DENIED, "not_evaluated"), (Gap(Reason.MALFORMED), "not_evaluated")]
)
def test_tls_only_without_a_policy_to_read(policy, status):
    assert judge("bucket-tls-only", {"policy": policy}, key=BUCKET).status == status


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ({"versioning": {"Status": "Enabled", "MFADelete": None}}, "pass"),
        ({"versioning": {"Status": "Suspended", "MFADelete": None}}, "fail"),
        ({"versioning": {"Status": None, "MFADelete": None}}, "fail"),
        ({"versioning": DENIED}, "not_evaluated"),
    ],
)
def test_versioning(facts, status):
    assert judge("bucket-versioning", facts).status == status
