"""200 users and 150 buckets: what the checks say equals what boto3 says when asked in another way."""

from __future__ import annotations

import json
import random
from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from tests.aws.emulated import ACCOUNT, counted, credentials, facts, poll, source
from tests.judging import judge

USERS, BUCKETS, POINTS = 200, 150, 12
FLAGS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
REGIONS = ("us-east-1", "eu-west-1", "eu-central-1")
QUIET = [
    "aws.iam.account", "aws.iam.credentials", "aws.iam.groups", "aws.iam.managed_policies", "aws.iam.policies",
    "aws.iam.role_usage", "aws.iam.roles", "aws.iam.ssh_keys", "aws.iam.usage", "aws.iam.users", "aws.s3.access_points",
    "aws.s3.account", "aws.s3.buckets", "aws.s3.exposures",
]  # fmt: skip


@pytest.fixture(scope="module")
def filled():
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        credentials(patch)
        draw = random.Random(7)
        fill_users(boto3.client("iam"), draw)
        for number in range(BUCKETS):
            fill_bucket(f"bucket-{number:03}", draw)
        fill_points(draw)
        yield


@pytest.fixture
def aws(filled, alone, monkeypatch):
    credentials(monkeypatch)
    return SimpleNamespace(iam=boto3.client("iam"), s3=boto3.client("s3"), s3control=boto3.client("s3control"))


@pytest.fixture(scope="module")
def buckets(filled):
    with pytest.MonkeyPatch.context() as patch:
        credentials(patch)
        return facts(poll("aws.s3.buckets"))


@pytest.fixture(scope="module")
def exposures(filled):
    with pytest.MonkeyPatch.context() as patch:
        credentials(patch)
        return {name: facts(poll(name)) for name in ("aws.s3.exposures", "aws.s3.access_points")}


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def fill_users(iam, draw):
    iam.create_group(GroupName="staff")
    for number in range(USERS):
        name = f"user-{number:03}"
        iam.create_user(UserName=name)
        if draw.random() < 0.35:
            iam.create_login_profile(UserName=name, Password="Not-a-Secret-1")
            if draw.random() < 0.6:
                serial = iam.create_virtual_mfa_device(VirtualMFADeviceName=name)["VirtualMFADevice"]["SerialNumber"]
                codes = {"AuthenticationCode1": "123456", "AuthenticationCode2": "654321"}
                iam.enable_mfa_device(UserName=name, SerialNumber=serial, **codes)
        if draw.random() < 0.2:
            iam.create_access_key(UserName=name)
        if draw.random() < 0.1:
            what = {"Effect": "Allow", "Action": "*", "Resource": draw.choice(["*", "arn:aws:s3:::data"])}
            iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=policy(what))
        if draw.random() < 0.5:
            iam.add_user_to_group(UserName=name, GroupName="staff")


def fill_bucket(name, draw):
    region = draw.choice(REGIONS)
    s3 = boto3.client("s3", region_name=region)
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    s3.create_bucket(Bucket=name, **place)
    arn = f"arn:aws:s3:::{name}"
    statements = []
    if draw.random() < 0.6:
        plain = {"Bool": {"aws:SecureTransport": "false"}}
        both = [arn, f"{arn}/*"] if draw.random() < 0.8 else [f"{arn}/*"]
        deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": both, "Condition": plain}
        statements.append(deny)
    if draw.random() < 0.3:
        statements.append({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"{arn}/*"})
    if statements:
        s3.put_bucket_policy(Bucket=name, Policy=policy(*statements))
    if draw.random() < 0.5:
        status = draw.choice(["Enabled", "Suspended"])
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": status})
    if draw.random() < 0.7:
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": draw.choice(["AES256", "aws:kms"])}}
        s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    if draw.random() < 0.3:
        s3.put_bucket_acl(Bucket=name, ACL=draw.choice(["public-read", "authenticated-read"]))
    if draw.random() < 0.4:
        owner = draw.choice(["BucketOwnerEnforced", "ObjectWriter", "BucketOwnerPreferred"])
        s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls={"Rules": [{"ObjectOwnership": owner}]})
    if draw.random() < 0.7:
        flags = {flag: draw.random() < 0.7 for flag in FLAGS}
        s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=flags)
    if draw.random() < 0.3:
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": "größe", "Value": "東京"}]})


def fill_points(draw):
    control = boto3.client("s3control")
    for number in range(POINTS):
        bucket, name = f"bucket-{number * 7:03}", f"point-{number:02}"
        network = {"VpcConfiguration": {"VpcId": "vpc-1"}} if number % 4 == 0 else {}
        block = dict.fromkeys(FLAGS, number % 3 == 0)
        asked = {"AccountId": ACCOUNT, "Name": name}
        control.create_access_point(**asked, Bucket=bucket, PublicAccessBlockConfiguration=block, **network)
        if draw.random() < 0.7:
            arn = f"arn:aws:s3:us-east-1:{ACCOUNT}:accesspoint/{name}"
            opened = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"{arn}/object/*"}
            control.put_access_point_policy(**asked, Policy=policy(opened))


def asked(call, *members, **parameters):
    """One answer of boto3, or None where AWS says that the thing is not set."""
    try:
        answer = call(**parameters)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if "NoSuch" not in code and "NotFound" not in code:
            raise
        return None
    for member in members:
        answer = answer.get(member) if answer else None
    return answer


def failing(check, records, **context):
    return {key for key, told in records.items() if judge(check, told, key=key, **context).status == "fail"}


def names(keys):
    return {key.rpartition(":")[2] for key in keys}


def all_buckets(aws):
    return [bucket["Name"] for bucket in aws.s3.list_buckets()["Buckets"]]


def test_console_users_without_mfa(aws):
    without = set()
    for user in aws.iam.get_paginator("list_users").paginate().search("Users"):
        console = asked(aws.iam.get_login_profile, "LoginProfile", UserName=user["UserName"])
        if console and not aws.iam.list_mfa_devices(UserName=user["UserName"])["MFADevices"]:
            without.add(user["Arn"])
    rows = facts(poll("aws.iam.credentials"))
    assert len(rows) == USERS
    assert failing("iam-console-mfa", rows) == without
    assert 5 < len(without) < USERS


def test_users_with_policies_of_their_own(aws):
    listed = [user["UserName"] for user in aws.iam.get_paginator("list_users").paginate().search("Users")]
    direct = {name for name in listed if aws.iam.list_user_policies(UserName=name)["PolicyNames"]}
    users = facts(poll("aws.iam.users"))
    found = failing("iam-no-direct-user-policy", users)
    assert {users[key]["name"] for key in found} == direct
    assert 5 < len(direct) < USERS
    members = {user["UserName"] for user in aws.iam.get_group(GroupName="staff")["Users"]}
    assert {user["name"] for user in users.values() if user["groups"] == ["staff"]} == members


def test_buckets_without_encryption(aws, buckets):
    without = {name for name in all_buckets(aws) if not asked(aws.s3.get_bucket_encryption, Bucket=name)}
    assert names(failing("bucket-encryption", buckets)) == without
    assert 5 < len(without) < BUCKETS


def test_buckets_without_versioning(aws, buckets):
    status = {name: asked(aws.s3.get_bucket_versioning, "Status", Bucket=name) for name in all_buckets(aws)}
    kept = {name for name in status if status[name] == "Enabled"}
    assert names(failing("bucket-versioning", buckets)) == set(all_buckets(aws)) - kept
    assert 5 < len(kept) < BUCKETS


def test_buckets_that_answer_without_tls(aws, buckets):
    without = set()
    for name in all_buckets(aws):
        held = json.loads(asked(aws.s3.get_bucket_policy, "Policy", Bucket=name) or '{"Statement": []}')
        refusing = [each for each in held["Statement"] if each["Effect"] == "Deny"]
        if not refusing or len(refusing[0]["Resource"]) < 2:
            without.add(name)
    assert names(failing("bucket-tls-only", buckets)) == without
    assert 5 < len(without) < BUCKETS


@pytest.fixture(scope="module")
def doors(filled):
    """Of each bucket, asked with boto3: its own flags, and the ways in with the flag that would shut each."""
    with pytest.MonkeyPatch.context() as patch:
        credentials(patch)
        s3, control = boto3.client("s3"), boto3.client("s3control")
        found = {}
        for name in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
            own = asked(s3.get_public_access_block, "PublicAccessBlockConfiguration", Bucket=name) or {}
            ways = set()
            if asked(s3.get_bucket_policy_status, "PolicyStatus", "IsPublic", Bucket=name):
                ways.add("RestrictPublicBuckets")
            owner = asked(s3.get_bucket_ownership_controls, "OwnershipControls", "Rules", Bucket=name)
            acls_off = {"ObjectOwnership": "BucketOwnerEnforced"} in (owner or [])
            for grant in s3.get_bucket_acl(Bucket=name)["Grants"]:
                group = grant["Grantee"].get("URI", "").split("/")[-1]
                if not acls_off and group in ("AllUsers", "AuthenticatedUsers"):
                    ways.add("IgnorePublicAcls")
            found[name] = ({flag for flag in FLAGS if own.get(flag)}, ways)
        for point in control.list_access_points(AccountId=ACCOUNT)["AccessPointList"]:
            one = {"AccountId": ACCOUNT, "Name": point["Name"]}
            held = control.get_access_point(**one)["PublicAccessBlockConfiguration"]["RestrictPublicBuckets"]
            public = asked(control.get_access_point_policy_status, "PolicyStatus", "IsPublic", **one)
            if point["NetworkOrigin"] == "Internet" and public and not held:
                found[point["Bucket"]][1].add("nothing shuts an access point but its own block")
        return found


@pytest.mark.parametrize("of_account", [None, FLAGS, ("RestrictPublicBuckets",), ("IgnorePublicAcls",)])
def test_public_buckets(aws, doors, exposures, of_account):
    """Every flag at bucket or account level; every way in: policy, ACL, access point."""
    if of_account is None:
        aws.s3control.delete_public_access_block(AccountId=ACCOUNT)
    else:
        flags = {flag: flag in of_account for flag in FLAGS}
        aws.s3control.put_public_access_block(AccountId=ACCOUNT, PublicAccessBlockConfiguration=flags)
    shut = set(of_account or ())
    not_blocked = {name for name, (own, _) in doors.items() if len(own | shut) < len(FLAGS)}
    public = {name for name, (own, ways) in doors.items() if ways - own - shut}
    here = {"aws.s3.account": facts(poll("aws.s3.account")), **exposures}
    assert names(failing("bucket-public-block", exposures["aws.s3.exposures"], here=here)) == not_blocked
    assert names(failing("bucket-not-public", exposures["aws.s3.exposures"], here=here)) == public
    assert 2 < len(public) < BUCKETS
    assert bool(failing("account-public-block", here["aws.s3.account"])) is (of_account != FLAGS)


@pytest.mark.parametrize("name", QUIET)
@pytest.mark.usefixtures("aws")
def test_an_unchanged_account_is_an_unchanged_snapshot(name):
    first, second = poll(name), poll(name)
    assert [item.digest for item in first.items] == [item.digest for item in second.items]
    assert (first.status, first.receipt) == ("complete", second.receipt)


PER_BUCKET = {"GetBucketLocation"} | {
    f"GetBucket{name}" for name in (
        "Encryption", "LifecycleConfiguration", "Logging", "Policy", "Replication", "Tagging", "Versioning")
} | {"GetObjectLockConfiguration"}  # fmt: skip


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("aws.iam.users", {"GetAccountAuthorizationDetails": 1}),
        ("aws.iam.roles", {"GetAccountAuthorizationDetails": 1}),
        ("aws.iam.groups", {"GetAccountAuthorizationDetails": 1}),
        ("aws.iam.policies", {"GetAccountAuthorizationDetails": 1}),
        ("aws.iam.managed_policies", {"ListPolicies": 2}),
        ("aws.iam.credentials", {"GenerateCredentialReport": 1, "GetCredentialReport": 1}),
        ("aws.iam.account", {"GetAccountSummary": 1, "GetAccountPasswordPolicy": 1}),
        ("aws.iam.ssh_keys", {"ListUsers": 1, "ListSSHPublicKeys": USERS}),
        ("aws.s3.account", {"GetPublicAccessBlock": 1}),
        ("aws.s3.buckets", {"ListBuckets": 1, **dict.fromkeys(PER_BUCKET, BUCKETS)}),
        (
            "aws.s3.exposures",
            {
                "ListBuckets": 1,
                "GetBucketAcl": BUCKETS,
                "GetBucketOwnershipControls": BUCKETS,
                "GetBucketPolicyStatus": BUCKETS,
                "GetPublicAccessBlock": BUCKETS,
            },
        ),
        (
            "aws.s3.access_points",
            {
                "ListBuckets": 1,
                "GetBucketLocation": BUCKETS,
                "ListAccessPoints": len(REGIONS),
                # AWS lists the points of one region, the emulator all of them each time.
                "GetAccessPoint": POINTS * len(REGIONS),
                "GetAccessPointPolicyStatus": POINTS * len(REGIONS),
            },
        ),
    ],
)
def test_calls(name, expected):
    """One call per stored facet, none per user but where AWS has no other way; the report is made by now."""
    poll("aws.iam.credentials")
    of = source()
    of.scopes("account")
    calls = counted(of)
    snapshot = poll(name, of)
    assert dict(calls) == expected
    assert snapshot.tape.calls == sum(expected.values())
