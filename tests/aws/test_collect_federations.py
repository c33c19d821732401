"""Identity providers an account trusts, as they are stored."""

from __future__ import annotations

import boto3
import pytest

from agent.model import Gap, Reason
from tests.aws.emulated import ACCOUNT, account, envelopes, facts, on_call, poll, refuse, source
from tests.aws.worlds.federations import GITHUB, METADATA

STREAM = "aws.iam.federations"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{GITHUB}"


@pytest.fixture(autouse=True)
def emulated(alone):
    with account():
        yield


def github():
    boto3.client("iam").create_open_id_connect_provider(
        Url=f"https://{GITHUB}", ThumbprintList=["a" * 40], ClientIDList=["sts.amazonaws.com", "another"]
    )


def test_none_is_an_empty_complete_list():
    assert facts(poll(STREAM)) == {}


def test_both_kinds_are_told_apart():
    boto3.client("iam").create_saml_provider(Name="corporate", SAMLMetadataDocument=METADATA)
    github()
    found = facts(poll(STREAM))
    assert found[PROVIDER] == {
        "kind": "oidc",
        "name": GITHUB,
        "url": f"https://{GITHUB}",
        "client_ids": ["another", "sts.amazonaws.com"],
    }
    saml = found[f"arn:aws:iam::{ACCOUNT}:saml-provider/corporate"]
    assert (saml["kind"], saml["name"], saml["url"], saml["client_ids"]) == ("saml", "corporate", None, [])
    assert saml["valid_until"] > saml["created"]


def test_a_provider_is_known_by_its_address_where_its_audiences_are_refused():
    github()
    of = source()
    refuse(of, "iam.GetOpenIDConnectProvider", "AccessDenied")
    told = envelopes(poll(STREAM, of))[PROVIDER]
    assert told["facts"]["name"] == GITHUB
    assert told["gaps"]["/client_ids"]["need"] == "iam:GetOpenIDConnectProvider"


def test_nothing_is_said_of_one_that_went_away_after_it_was_listed():
    gone = f"arn:aws:iam::{ACCOUNT}:oidc-provider/gone.example.com"
    of = source()
    on_call(of, "iam.ListOpenIDConnectProviders", lambda _asked: {"OpenIDConnectProviderList": [{"Arn": gone}]})
    assert facts(poll(STREAM, of)) == {}


def test_a_refused_list_is_not_an_empty_one():
    github()
    of = source()
    refuse(of, "iam.ListSAMLProviders", "AccessDenied")
    snapshot = poll(STREAM, of)
    assert snapshot.status.value == "failed"
    assert list(snapshot.unseen) == [Gap(Reason.DENIED, "ListSAMLProviders", "AccessDenied", "iam:ListSAMLProviders")]
