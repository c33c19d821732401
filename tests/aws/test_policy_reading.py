"""What a policy document says, against cases read by hand from AWS's own rules of evaluation."""

from __future__ import annotations

import pytest

from checks.aws.policy import denies, full_rights, grants, of_everybody, trusted_services


def doc(**statement):
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]}


@pytest.mark.parametrize(
    ("statement", "full"),
    [
        ({"Action": "*", "Resource": "*"}, True),
        ({"Action": ["s3:GetObject", "*:*"], "Resource": ["arn:aws:s3:::a", "*"]}, True),
        ({"NotAction": "iam:*", "Resource": "*"}, True),
        ({"Action": "*", "NotResource": "arn:aws:s3:::secret"}, True),
        ({"NotAction": "*", "Resource": "*"}, False),
        ({"Action": "*", "NotResource": "*"}, False),
        ({"Action": "*", "Resource": "arn:aws:s3:::a/*"}, False),
        ({"Action": "s3:*", "Resource": "*"}, False),
        ({"Effect": "Deny", "Action": "*", "Resource": "*"}, False),
        ({"Action": "*", "Resource": "*", "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}}, True),
        ({"Action": "*", "Resource": "arn:aws:*"}, True),
        ({"Action": "*", "Resource": "arn:aws:s3:::*"}, False),
        ({"Action": "*", "Resource": "${aws:PrincipalTag/all}"}, True),
        ({"Action": None, "Resource": "*"}, False),
        ({"Action": [1, {}], "Resource": "*"}, False),
    ],
)
def test_full_rights(statement, full):
    assert bool(full_rights(doc(**statement))) is full


@pytest.mark.parametrize(
    ("statement", "granted"),
    [
        ({"Action": "s3:Get*", "Resource": "arn:aws:s3:::data/*"}, True),
        ({"Action": "S3:getobject", "Resource": "arn:aws:s3:::data/*"}, True),
        ({"Action": "s3:GetObjec?", "Resource": "arn:aws:s3:::d?ta/*"}, True),
        ({"Action": "s3:[Gg]etObject", "Resource": "*"}, False),
        ({"Action": "s3:GetObject", "Resource": "arn:aws:s3:::DATA/*"}, False),
        ({"NotAction": "s3:PutObject", "Resource": "*"}, True),
        ({"NotAction": "s3:Get*", "Resource": "*"}, False),
        ({"Action": "s3:*", "NotResource": "arn:aws:s3:::data/*"}, False),
        ({"Action": "s3:*", "NotResource": "arn:aws:s3:::other/*"}, True),
        ({"Action": "s3:*", "Resource": "arn:aws:s3:::${aws:username}/*"}, True),
        ({"Action": "s3:*", "NotResource": "arn:aws:s3:::${aws:username}/*"}, True),
        ({"Action": "s3:*", "Resource": "arn:aws:s3:::${*}/*"}, False),
    ],
)
def test_grants(statement, granted):
    assert bool(grants(doc(**statement), "s3:GetObject", "arn:aws:s3:::data/a.csv")) is granted


def test_a_resource_without_region_is_met_by_a_statement_for_one_region():
    one = doc(Action="sagemaker:*", Resource="arn:aws:sagemaker:eu-west-1:1:*")
    assert grants(one, "sagemaker:X", "arn:aws:sagemaker::1:thing/x")
    assert not grants(one, "sagemaker:X", "arn:aws:sagemaker::2:thing/x")


@pytest.mark.parametrize(("condition", "denied"), [({}, True), ({"Bool": {"aws:SecureTransport": "false"}}, False)])
def test_only_an_unconditional_deny_takes_a_right_away(condition, denied):
    document = doc(Effect="Deny", Action="s3:*", Resource="*", Condition=condition)
    assert denies(document, "s3:GetObject", "arn:aws:s3:::a/b") is denied


@pytest.mark.parametrize(
    ("principal", "everybody"),
    [("*", True), ({"AWS": "*"}, True), ({"AWS": ["arn:aws:iam::1:root", "*"]}, True), ({"AWS": "arn:x"}, False),
     ({"Service": "*"}, False), (None, False)],
)  # fmt: skip
def test_everybody(principal, everybody):
    assert of_everybody({"Principal": principal}) is everybody


def test_one_statement_may_stand_without_a_list():
    trust = {"Statement": {"Effect": "Allow", "Principal": {"Service": ["a.amazonaws.com"]}, "Action": "sts:*"}}
    assert trusted_services(trust) == {"a.amazonaws.com"}
    assert trusted_services(None) == set()


def test_a_variable_in_a_deny_takes_nothing_away():
    """It may stand for another text than the one asked about."""
    for element, denied in (("Resource", False), ("NotResource", False)):
        document = doc(Effect="Deny", Action="s3:*", **{element: "arn:aws:s3:::${aws:username}/*"})
        assert denies(document, "s3:GetObject", "arn:aws:s3:::ada/b") is denied


@pytest.mark.parametrize("held", [None, "text", 7, [None, "text", 7, []], {"Effect": "Allow", "Condition": "odd"}])
def test_what_is_no_statement_says_nothing(held):
    document = {"Statement": held}
    assert not grants(document, "s3:GetObject", "arn:aws:s3:::a/b")
    assert not denies(document, "s3:GetObject", "arn:aws:s3:::a/b")
    assert not full_rights(document)
    assert trusted_services(document) == set()
