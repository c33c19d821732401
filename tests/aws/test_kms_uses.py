"""Who may decrypt, and who both administers and uses a key: key policy and IAM read together."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from agent.facts import StreamView
from checks.aws import kms_uses
from tests.judging import DENIED, as_facts

OWN = "111111111111"
KEY = f"arn:aws:kms:eu-west-1:{OWN}:key/1"
ADA, GRACE = f"arn:aws:iam::{OWN}:user/ada", f"arn:aws:iam::{OWN}:role/grace"
ROOT = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{OWN}:root"}, "Action": "kms:*", "Resource": "*"}


def allow(action, resource="*"):
    return {"Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}]}


def named(who, action):
    return {"Effect": "Allow", "Principal": {"AWS": who}, "Action": action, "Resource": "*"}


def told(policy, holders, *, apart=False, manager="CUSTOMER"):
    """What is said of one key; `holders` are users and roles with the text of their policy."""
    keys = {KEY: {"manager": manager, "policy": policy}}
    held = {
        f"{who} {document}": {
            "principals": [who], "policies": [{"name": "inline work", "document": document}], "boundary": None,
            "unread": [] if document else [{"name": "work", "reason": "denied", "need": None}], "boundary_unread": None,
        }
        for who, document in holders.items()
    }  # fmt: skip
    streams = {"aws.kms.keys": keys, "aws.access.holders": held}

    def here(stream):
        return StreamView(lambda: (as_facts(facts, key) for key, facts in streams[stream].items()), None, stream)

    context = SimpleNamespace(here=here, thresholds={"access": {"separate_duties": [KEY] if apart else []}})
    return {record.key: record.facts for record in kms_uses.uses(SimpleNamespace(now=here), context)}


@pytest.mark.parametrize(
    ("policy", "document", "may"),
    [
        ({"Statement": [ROOT]}, allow("kms:Decrypt"), [ADA]),
        ({"Statement": [ROOT]}, allow("kms:Decrypt", KEY), [ADA]),
        ({"Statement": [ROOT]}, allow("kms:Decrypt", f"{KEY}9"), []),
        ({"Statement": [ROOT]}, allow("s3:*"), []),
        ({"Statement": []}, allow("kms:*"), []),
        ({"Statement": [named(ADA, "kms:Decrypt")]}, allow("s3:*"), [ADA]),
        ({"Statement": [named(GRACE, "kms:Decrypt")]}, allow("kms:*"), []),
    ],
)
def test_who_may_decrypt(policy, document, may):
    assert told(policy, {ADA: document})[KEY]["may_decrypt"] == may


def test_duties_are_only_told_apart_where_that_is_asked():
    holders = {ADA: allow("kms:*"), GRACE: allow("kms:Decrypt")}
    assert "both" not in told({"Statement": [ROOT]}, holders)[KEY]
    both = told({"Statement": [ROOT]}, holders, apart=True)[KEY]
    assert (both["both"], both["both_count"]) == ([ADA], 1)


def test_duties_apart_by_the_key_policy():
    policy = {"Statement": [named(ADA, "kms:Put*"), named(GRACE, "kms:Decrypt")]}
    holders = {ADA: allow("kms:*"), GRACE: allow("s3:*")}
    assert told(policy, holders, apart=True)[KEY]["both"] == []


def test_a_policy_that_was_not_seen_is_named():
    assert told({"Statement": [ROOT]}, {ADA: {}})[KEY]["unread"] == ["work"]


def test_keys_of_which_nothing_can_be_said():
    assert told(DENIED, {ADA: allow("kms:*")}) == {}
    assert told({"Statement": [ROOT]}, {ADA: allow("kms:*")}, manager="AWS") == {}
