"""The organisation of an account, as it is stored: of its manager, a member, and of one in none."""

from __future__ import annotations

import json

import boto3
import pytest

from agent.model import Gap, Reason
from tests.aws.emulated import ACCOUNT, ROOT, account, envelopes, facts, on_call, poll, refuse, source
from tests.aws.worlds import organizations as world

MEMBERSHIPS, ACCOUNTS, POLICIES = (f"aws.organizations.{name}" for name in ("memberships", "accounts", "policies"))
MANAGER = "999988887777"


@pytest.fixture(autouse=True)
def emulated(alone):
    with account():
        yield


def member():
    """The source of an account whose organisation another account manages."""
    of = source()
    on_call(of, "organizations.DescribeOrganization", lambda _asked: {"Organization": world.organization(MANAGER)})
    for operation in ("ListAccounts", "ListPolicies", "ListTargetsForPolicy"):
        refuse(of, f"organizations.{operation}", "AccessDeniedException", 400)
    return of


def manager(features):
    of = source()
    on_call(of, "iam.ListOrganizationsFeatures", lambda _asked: features)
    return of


def test_an_account_in_no_organisation_has_an_empty_complete_list_and_says_so():
    assert facts(poll(MEMBERSHIPS)) == {ROOT: {"account": ACCOUNT, "organization": None, "management_account": None}}
    assert facts(poll(ACCOUNTS)) == {}
    assert facts(poll(POLICIES)) == {}


def test_the_manager_lists_accounts_guardrails_and_central_root_access():
    organizations = boto3.client("organizations")
    organization = organizations.create_organization(FeatureSet="ALL")["Organization"]
    other = organizations.create_account(Email="models@example.com", AccountName="models")["CreateAccountStatus"]
    of = manager(
        {"OrganizationId": organization["Id"], "EnabledFeatures": ["RootSessions", "RootCredentialsManagement"]}
    )
    assert facts(poll(MEMBERSHIPS, of))[ROOT] == {
        "account": ACCOUNT,
        "organization": organization["Id"],
        "management_account": ACCOUNT,
        "feature_set": "ALL",
        "root_features": ["RootCredentialsManagement", "RootSessions"],
    }
    found = {told["id"]: told for told in facts(poll(ACCOUNTS, of)).values()}
    assert {id: told["status"] for id, told in found.items()} == {ACCOUNT: "ACTIVE", other["AccountId"]: "ACTIVE"}
    assert found[other["AccountId"]]["name"] == "models"
    assert "models@example.com" not in str(found), "mail addresses of accounts are nobody's business here"
    (policy,) = facts(poll(POLICIES, of)).values()
    assert policy["name"] == "FullAWSAccess"
    assert {"ROOT", "ACCOUNT"} == {target["type"] for target in policy["targets"]}


@pytest.mark.parametrize("code", ["ServiceAccessNotEnabledException", "OrganizationNotInAllFeaturesModeException"])
def test_root_access_that_is_not_managed_centrally_is_no_feature(code):
    boto3.client("organizations").create_organization(FeatureSet="ALL")
    assert facts(poll(MEMBERSHIPS, manager({"Error": {"Code": code}})))[ROOT]["root_features"] == []


def test_a_member_knows_its_manager_and_lists_nothing():
    of = member()
    assert facts(poll(MEMBERSHIPS, of))[ROOT] == {
        "account": ACCOUNT,
        "organization": world.ORGANIZATION,
        "management_account": MANAGER,
        "feature_set": "ALL",
    }
    assert facts(poll(ACCOUNTS, of)) == {}
    assert facts(poll(POLICIES, of)) == {}


def test_a_delegated_administrator_lists_the_accounts():
    of = source()
    on_call(of, "organizations.DescribeOrganization", lambda _asked: {"Organization": world.organization(MANAGER)})
    on_call(of, "organizations.ListAccounts", lambda _asked: {"Accounts": [world.account(MANAGER)]})
    assert [told["id"] for told in facts(poll(ACCOUNTS, of)).values()] == [MANAGER]


def test_the_manager_that_may_not_list_is_denied():
    boto3.client("organizations").create_organization(FeatureSet="ALL")
    of = source()
    refuse(of, "organizations.ListAccounts", "AccessDeniedException", 400)
    snapshot = poll(ACCOUNTS, of)
    assert snapshot.status.value == "failed"
    need = "organizations:ListAccounts"
    assert list(snapshot.unseen) == [Gap(Reason.DENIED, "ListAccounts", "AccessDeniedException", need)]


@pytest.mark.parametrize("name", [MEMBERSHIPS, ACCOUNTS, POLICIES])
def test_an_account_that_may_not_ask_for_its_organisation_is_denied(name):
    of = source()
    refuse(of, "organizations.DescribeOrganization", "AccessDeniedException", 400)
    snapshot = poll(name, of)
    assert snapshot.status.value == "failed"
    assert [gap.need for gap in snapshot.unseen] == ["organizations:DescribeOrganization"]


def test_a_member_whose_list_is_throttled_is_not_taken_for_an_empty_one():
    of = source()
    on_call(of, "organizations.DescribeOrganization", lambda _asked: {"Organization": world.organization(MANAGER)})
    refuse(of, "organizations.ListAccounts", "TooManyRequestsException", 400)
    snapshot = poll(ACCOUNTS, of)
    assert (snapshot.status.value, snapshot.why) == ("failed", Reason.THROTTLED)


def test_every_page_is_read_even_after_an_empty_one():
    boto3.client("organizations").create_organization(FeatureSet="ALL")
    of = source()
    pages = {
        None: {"Accounts": [world.account("111111111111")], "NextToken": "a"},
        "a": {"Accounts": [], "NextToken": "b"},
        "b": {"Accounts": [world.account("222222222222")]},
    }
    on_call(of, "organizations.ListAccounts", lambda asked: pages[json.loads(asked["body"]).get("NextToken")])
    assert {told["id"] for told in facts(poll(ACCOUNTS, of)).values()} == {"111111111111", "222222222222"}


def test_the_older_status_stands_in_where_no_state_is_given():
    boto3.client("organizations").create_organization(FeatureSet="ALL")
    of = source()
    old = {key: value for key, value in world.account("111111111111").items() if key != "State"}
    on_call(of, "organizations.ListAccounts", lambda _asked: {"Accounts": [{**old, "Status": "SUSPENDED"}]})
    assert [told["status"] for told in facts(poll(ACCOUNTS, of)).values()] == ["SUSPENDED"]


def test_a_guardrail_that_went_away_is_not_spoken_of_and_one_that_is_refused_has_a_gap():
    boto3.client("organizations").create_organization(FeatureSet="ALL")
    of = source()
    on_call(of, "organizations.ListPolicies", lambda _asked: {"Policies": [world.policy("a"), world.policy("b")]})

    def targets(asked):
        code = "PolicyNotFoundException" if "p-a" in str(asked["body"]) else "AccessDeniedException"
        return {"Error": {"Code": code}}

    on_call(of, "organizations.ListTargetsForPolicy", targets)
    ((key, told),) = envelopes(poll(POLICIES, of)).items()
    assert key.endswith("p-b")
    assert told["gaps"]["/targets"]["need"] == "organizations:ListTargetsForPolicy"
