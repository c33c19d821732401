"""What principals may do: direct policies, wildcards, and what a SageMaker role can reach."""

from __future__ import annotations

import pytest

from agent.model import Gap, Reason
from tests.judging import DENIED, judge

NOT_JSON = Gap(Reason.MALFORMED, code="NotJSON")
OWN = "arn:aws:iam::123456789012:policy/"
AWS = "arn:aws:iam::aws:policy/"
ROLE = "arn:aws:iam::123456789012:role/trainer"


def doc(*statements):
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement} for statement in statements]}


WIDE = doc({"Action": "*", "Resource": "*"})
NARROW = doc({"Action": "s3:GetObject", "Resource": "arn:aws:s3:::data/*"})


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ({"inline": {}, "attached": []}, "pass"),
        ({"inline": {"own": NARROW}, "attached": []}, "fail"),
        ({"inline": {}, "attached": [AWS + "ReadOnlyAccess"]}, "fail"),
        ({"inline": {}, "attached": DENIED}, "not_evaluated"),
        ({"inline": {"own": NOT_JSON}, "attached": []}, "not_evaluated"),
    ],
)
def test_no_direct_user_policy(facts, status):
    assert judge("iam-no-direct-user-policy", facts).status == status


@pytest.mark.parametrize("over", ["aws.iam.users", "aws.iam.roles", "aws.iam.groups"])
@pytest.mark.parametrize(
    ("inline", "status"),
    [
        ({}, "pass"),
        ({"a": NARROW}, "pass"),
        ({"a": NARROW, "b": WIDE}, "fail"),
        ({"b": doc({"NotAction": "iam:*", "Resource": "*"})}, "fail"),
        ({"a": NOT_JSON}, "not_evaluated"),
    ],
)
def test_no_wildcard_inline(over, inline, status):
    assert judge("iam-no-wildcard-policy", {"name": "x", "inline": inline}, over=over).status == status


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ({"attached_to": 1, "document": NARROW}, "pass"),
        ({"attached_to": 2, "document": WIDE}, "fail"),
        ({"attached_to": 0, "document": WIDE}, "not_applicable"),
        ({"attached_to": 1, "document": NOT_JSON}, "not_evaluated"),
    ],
)
def test_no_wildcard_customer_policy(facts, status):
    assert judge("iam-no-wildcard-policy", facts, over="aws.iam.policies").status == status


def role(*attached, inline=None, boundary=None, service="sagemaker.amazonaws.com"):
    trust = doc({"Action": "sts:AssumeRole", "Principal": {"Service": service}})
    return {"trust": trust, "inline": inline or {}, "attached": list(attached), "boundary": boundary}


def inline(*statements, **more):
    return role(inline={"work": doc(*statements)}, **more)


DENY_S3 = {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}
S3 = {"Action": "s3:*", "Resource": "*"}
POLICIES = {
    "aws.iam.policies": {
        OWN + "wide": {"document": WIDE},
        OWN + "narrow": {"document": NARROW},
        OWN + "bad": {"document": NOT_JSON},
    },
    "aws.iam.managed_policies": {
        AWS + "AdministratorAccess": {"document": WIDE},
        AWS + "PowerUserAccess": {"document": doc({"NotAction": ["iam:*", "organizations:*"], "Resource": "*"})},
        AWS + "ReadOnlyAccess": {"document": doc({"Action": ["s3:Get*", "s3:List*"], "Resource": "*"})},
        AWS + "refused": {"document": DENIED},
    },
}


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        pytest.param(inline(S3), "fail", id="all of S3"),
        pytest.param(inline({"Action": "s3:*", "Resource": "arn:aws:s3:::*/*"}), "fail", id="objects of any bucket"),
        pytest.param(inline({"Action": "s3:*", "Resource": "arn:aws:s3:::ml-*"}), "pass", id="own buckets"),
        pytest.param(inline({"Action": "s3:Get*", "Resource": "*"}), "pass", id="reading S3"),
        pytest.param(inline({"NotAction": "iam:*", "Resource": "*"}), "fail", id="NotAction"),
        pytest.param(inline({"Action": "s3:*", "NotResource": "arn:aws:s3:::pay"}), "fail", id="NotResource"),
        pytest.param(inline(S3, DENY_S3), "pass", id="denied again"),
        pytest.param(
            inline(S3, {"Effect": "Deny", "Action": "s3:*", "NotResource": "arn:aws:s3:::ml-*"}), "pass", id="fenced in"
        ),
        pytest.param(inline(S3, DENY_S3 | {"Condition": {"Bool": {"a:b": "true"}}}), "fail", id="denied on condition"),
        pytest.param(inline({"Action": "iam:PassRole", "Resource": "*"}), "fail", id="pass any role"),
        pytest.param(
            inline({"Action": "iam:Pass*", "Resource": "arn:aws:iam::123456789012:role/*"}), "fail", id="of the account"
        ),
        pytest.param(inline({"Action": "iam:PassRole", "Resource": ROLE}), "pass", id="pass itself"),
        pytest.param(inline({"Action": "sagemaker:*", "Resource": "*"}), "fail", id="all of SageMaker"),
        pytest.param(
            inline({"Action": "sagemaker:*", "Resource": "arn:aws:sagemaker:eu-west-1:123456789012:*"}),
            "fail",
            id="all of SageMaker in a region",
        ),
        pytest.param(
            inline({"Action": "sagemaker:*", "Resource": "arn:aws:sagemaker:*:123456789012:training-job/ml-*"}),
            "pass",
            id="its own jobs",
        ),
        pytest.param(role(OWN + "narrow"), "pass", id="attached, narrow"),
        pytest.param(role(OWN + "wide"), "fail", id="attached, wide"),
        pytest.param(role(OWN + "gone"), "not_evaluated", id="attached, not in the list"),
        pytest.param(role(OWN + "bad"), "not_evaluated", id="attached, no JSON"),
        pytest.param(role(AWS + "AdministratorAccess"), "fail", id="administrator"),
        pytest.param(role(AWS + "PowerUserAccess"), "fail", id="power user"),
        pytest.param(role(AWS + "ReadOnlyAccess"), "pass", id="by AWS, narrow"),
        pytest.param(role(AWS + "CloudWatchLogsFullAccess"), "not_evaluated", id="by AWS, not in the list"),
        pytest.param(role(AWS + "refused"), "not_evaluated", id="by AWS, text refused"),
        pytest.param(role(AWS + "CloudWatchLogsFullAccess", OWN + "wide"), "fail", id="unknown and wide"),
        pytest.param(role(OWN + "wide", boundary=OWN + "narrow"), "pass", id="within a boundary"),
        pytest.param(role(OWN + "wide", boundary=OWN + "wide"), "fail", id="boundary as wide"),
        pytest.param(role(OWN + "wide", boundary=AWS + "ViewOnlyAccess"), "not_evaluated", id="boundary unknown"),
        pytest.param(role(OWN + "narrow", boundary=AWS + "ViewOnlyAccess"), "pass", id="boundary does not matter"),
        pytest.param(role(OWN + "wide", service="ec2.amazonaws.com"), "not_applicable", id="other service"),
        pytest.param(role() | {"trust": NOT_JSON}, "not_evaluated", id="trust unread"),
        pytest.param(role() | {"inline": DENIED}, "not_evaluated", id="inline unseen"),
    ],
)
def test_ml_service_wildcards(facts, status):
    assert judge("iam-ml-service-wildcards", facts, key=ROLE, here=POLICIES).status == status


def test_conditions_are_named_and_the_widest_reading_counts():
    condition = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    facts = inline({"Action": "iam:PassRole", "Resource": "*", "Condition": condition})
    verdict = judge("iam-ml-service-wildcards", facts, key=ROLE)
    assert verdict.status == "fail"
    assert verdict.facts["conditions"] == ["iam:PassedToService"]
    assert "iam:PassedToService" in verdict.message


def test_policies_of_a_partial_list_are_not_taken_as_absent():
    verdict = judge(
        "iam-ml-service-wildcards",
        role(OWN + "gone"),
        key=ROLE,
        here=POLICIES,
        partial={"aws.iam.policies": Gap(Reason.PARTIAL)},
    )
    assert (verdict.status, verdict.reason) == ("not_evaluated", "partial")
