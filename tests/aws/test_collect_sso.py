"""Identity Center as it is stored: of the account that owns it, of one that administers it, of a mere member."""

from __future__ import annotations

import json
from collections import Counter

import boto3
import pytest

from agent.model import Gap, Reason
from tests.aws.emulated import ACCOUNT, account, envelopes, facts, on_call, poll, source
from tests.aws.worlds import sso as world

INSTANCES, SETS, ASSIGNMENTS, USERS, GROUPS = (
    f"aws.sso.{name}" for name in ("instances", "permission_sets", "assignments", "users", "groups")
)
OWNER = "999988887777"
DENIED = "AccessDeniedException"


@pytest.fixture(autouse=True)
def emulated(alone):
    with account():
        yield


def told(**over):
    """A source in which the world's Identity Center answers, with some operations answered otherwise."""
    of = source()
    for operation, answer in world.answers(good=False).items():
        on_call(of, operation, over.get(operation.partition(".")[2], answer))
    return of


def foreign(**over):
    """The same, where the instance belongs to another account."""
    return told(ListInstances=lambda _asked: {"Instances": [world.instance(OWNER)]}, **over)


def body(asked):
    return json.loads(asked["body"])


def refused(code=DENIED):
    return lambda _asked: {"Error": {"Code": code}}


def test_an_account_without_identity_center_has_empty_complete_lists():
    for name in (INSTANCES, SETS, ASSIGNMENTS, USERS, GROUPS):
        assert facts(poll(name, told(ListInstances=lambda _asked: {"Instances": []}))) == {}


def test_what_the_emulator_made_is_what_is_stored():
    sso, directory = boto3.client("sso-admin"), boto3.client("identitystore")
    (made,) = sso.list_instances()["Instances"]
    arn, store = made["InstanceArn"], made["IdentityStoreId"]
    ada = directory.create_user(
        IdentityStoreId=store, UserName="ada", DisplayName="Ada", Name={"GivenName": "A", "FamilyName": "B"},
        Emails=[{"Value": "ada@example.com", "Primary": True}],
    )["UserId"]  # fmt: skip
    staff = directory.create_group(IdentityStoreId=store, DisplayName="staff")["GroupId"]
    directory.create_group_membership(IdentityStoreId=store, GroupId=staff, MemberId={"UserId": ada})
    permissions = sso.create_permission_set(Name="Reader", InstanceArn=arn)["PermissionSet"]["PermissionSetArn"]
    of_set = {"InstanceArn": arn, "PermissionSetArn": permissions}
    read = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    sso.attach_managed_policy_to_permission_set(ManagedPolicyArn=read, **of_set)
    sso.create_account_assignment(
        TargetId=ACCOUNT, TargetType="AWS_ACCOUNT", PrincipalType="GROUP", PrincipalId=staff, **of_set
    )
    of = source()
    # The emulator knows neither boundaries nor where a set is.
    on_call(of, "sso-admin.GetPermissionsBoundaryForPermissionSet", refused("ResourceNotFoundException"))
    on_call(of, "sso-admin.ListAccountsForProvisionedPermissionSet", lambda _asked: {"AccountIds": [ACCOUNT]})
    assert facts(poll(INSTANCES, of)) == {
        arn: {
            "identity_store": store,
            "name": None,
            "status": "ACTIVE",
            "owner_account": ACCOUNT,
            "region": None,
            "read_here": True,
        }
    }
    assert facts(poll(USERS, of)) == {
        f"{store}/{ada}": {
            "id": ada,
            "name": "ada",
            "mail": "ada@example.com",
            "status": None,
            "created": None,
            "issuers": [],
            "instance": arn,
        }
    }
    assert facts(poll(GROUPS, of)) == {
        f"{store}/{staff}": {"id": staff, "name": "staff", "instance": arn, "members": [ada]}
    }
    found = facts(poll(SETS, of))[permissions]
    assert (found["name"], found["managed"], found["customer"]) == ("Reader", [read], [])
    assert (found["inline"], found["boundary"], found["accounts"]) == (None, None, [ACCOUNT])
    assert facts(poll(ASSIGNMENTS, of)) == {
        f"{ACCOUNT}/{permissions}/GROUP:{staff}": {
            "account": ACCOUNT,
            "permission_set": permissions,
            "principal_type": "GROUP",
            "principal_id": staff,
        }
    }


def test_an_instance_is_found_and_read_wherever_it_lives():
    asked_for, regions = [], set()

    def listed(asked):
        asked_for.append(body(asked).get("RegionScope"))
        return {"Instances": [world.instance(region="eu-west-1")]}

    def users(asked):
        regions.add(asked["url"].split(".")[1])
        return {"Users": [world.user(good=False)]}

    of = told(ListInstances=listed, ListUsers=users)
    assert facts(poll(INSTANCES, of))[world.INSTANCE]["region"] == "eu-west-1"
    assert len(facts(poll(USERS, of))) == 1
    assert set(asked_for) == {"ALL_REGIONS"}
    assert regions == {"eu-west-1"}


@pytest.mark.parametrize("name", [SETS, ASSIGNMENTS, USERS, GROUPS])
def test_a_refusal_in_the_account_that_owns_it_stays_denied(name):
    snapshot = poll(name, told(ListPermissionSets=refused()))
    assert snapshot.status.value == "failed"
    assert list(snapshot.unseen) == [Gap(Reason.DENIED, "ListPermissionSets", DENIED, "sso:ListPermissionSets")]


@pytest.mark.parametrize("name", [SETS, ASSIGNMENTS, USERS, GROUPS])
def test_a_member_account_reads_nothing_and_its_record_says_so(name):
    of = foreign(ListPermissionSets=refused())
    assert facts(poll(name, of)) == {}
    record = facts(poll(INSTANCES, of))[world.INSTANCE]
    assert (record["owner_account"], record["read_here"]) == (OWNER, False)


def test_an_account_that_administers_it_for_the_owner_reads_it():
    of = foreign()
    assert facts(poll(INSTANCES, of))[world.INSTANCE]["read_here"] is True
    assert len(facts(poll(USERS, of))) == len(facts(poll(SETS, of))) == len(facts(poll(ASSIGNMENTS, of))) == 1


def test_a_throttled_probe_is_not_taken_for_a_refusal():
    snapshot = poll(USERS, foreign(ListPermissionSets=refused("ThrottlingException")))
    assert (snapshot.status.value, snapshot.why) == ("failed", Reason.THROTTLED)


def test_of_an_instance_in_the_making_only_its_status_is_read():
    of = told(
        ListInstances=lambda _asked: {"Instances": [world.instance(status="CREATE_IN_PROGRESS")]},
        ListPermissionSets=refused(),
    )
    record = facts(poll(INSTANCES, of))[world.INSTANCE]
    assert (record["status"], record["read_here"]) == ("CREATE_IN_PROGRESS", False)
    assert facts(poll(USERS, of)) == {}


def test_one_refused_part_of_a_permission_set_hides_only_itself():
    of = told(GetInlinePolicyForPermissionSet=refused())
    told_of = envelopes(poll(SETS, of))[world.SET]
    assert told_of["gaps"] == {
        "/inline": {"code": DENIED, "need": "sso:GetInlinePolicyForPermissionSet", "reason": "denied",
                    "op": "GetInlinePolicyForPermissionSet"}
    }  # fmt: skip
    assert told_of["facts"]["managed"] == ["arn:aws:iam::aws:policy/AdministratorAccess"]


def test_a_permission_set_that_is_not_described_is_named():
    snapshot = poll(SETS, told(DescribePermissionSet=refused()))
    assert (snapshot.status.value, [item.key for item in snapshot.items]) == ("partial", [world.SET])
    assert [gap.need for gap in snapshot.unseen] == ["sso:DescribePermissionSet"]


@pytest.mark.parametrize(
    "operation", ["DescribePermissionSet", "GetInlinePolicyForPermissionSet", "ListAccountsForProvisionedPermissionSet"]
)
def test_nothing_is_said_of_a_permission_set_that_went_away(operation):
    of = told(**{operation: refused("ResourceNotFoundException")})
    assert facts(poll(SETS, of)) == {}


def test_a_boundary_of_the_customer_is_kept_by_name_and_one_of_aws_by_arn():
    limits = {"CustomerManagedPolicyReference": {"Name": "limits", "Path": "/x/"}}
    for boundary, kept in (
        (limits, {"name": "limits", "path": "/x/"}),
        ({"ManagedPolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}, "arn:aws:iam::aws:policy/ReadOnlyAccess"),
    ):
        answer = {"PermissionsBoundary": boundary}
        of = told(GetPermissionsBoundaryForPermissionSet=lambda _asked, answer=answer: answer)
        assert facts(poll(SETS, of))[world.SET]["boundary"] == kept


def test_assignments_are_asked_for_once_per_set_and_account():
    accounts, sets = [f"{n:012}" for n in range(40)], [world.SET[:-2] + f"{n:02}" for n in range(5)]
    asked_of: Counter[tuple[str, str]] = Counter()

    def assigned(asked):
        place = body(asked)["PermissionSetArn"], body(asked)["AccountId"]
        asked_of[place] += 1
        return {"AccountAssignments": [{**world.assignment(account=place[1]), "PermissionSetArn": place[0]}]}

    of = told(
        ListPermissionSets=lambda _asked: {"PermissionSets": sets},
        ListAccountsForProvisionedPermissionSet=lambda _asked: {"AccountIds": accounts},
        ListAccountAssignments=assigned,
    )
    assert len(facts(poll(ASSIGNMENTS, of))) == 200
    assert len(asked_of) == 200
    assert set(asked_of.values()) == {1}


def test_one_account_whose_assignments_are_refused_makes_the_list_partial():
    other = "111122223333"

    def assigned(asked):
        of_other = body(asked)["AccountId"] == other
        return {"Error": {"Code": DENIED}} if of_other else {"AccountAssignments": [world.assignment()]}

    snapshot = poll(
        ASSIGNMENTS,
        told(
            ListAccountsForProvisionedPermissionSet=lambda _asked: {"AccountIds": [other, ACCOUNT]},
            ListAccountAssignments=assigned,
        ),
    )
    assert snapshot.status.value == "partial"
    assert len(snapshot.items) == 1
    assert [gap.need for gap in snapshot.unseen] == ["sso:ListAccountAssignments"]


def test_a_group_whose_members_are_refused_is_there_with_a_gap_and_one_that_went_away_is_not():
    of = told(ListGroupMemberships=refused())
    assert "/members" in envelopes(poll(GROUPS, of))[f"{world.STORE}/{world.GROUP}"]["gaps"]
    assert facts(poll(GROUPS, told(ListGroupMemberships=refused("ResourceNotFoundException")))) == {}


def test_people_are_read_page_by_page():
    pages = {
        None: {"Users": [{**world.user(good=False), "UserId": world.ADA[:-1] + "2"}], "NextToken": "more"},
        "more": {"Users": [world.user(good=False)]},
    }
    found = facts(poll(USERS, told(ListUsers=lambda asked: pages[body(asked).get("NextToken")])))
    assert len(found) == 2
    assert found[f"{world.STORE}/{world.ADA}"] == {
        "id": world.ADA,
        "name": "ada",
        "mail": "ada@example.com",
        "status": "ENABLED",
        "created": None,
        "issuers": ["https://idp.example.com"],
        "instance": world.INSTANCE,
    }


@pytest.mark.parametrize("name", [INSTANCES, SETS, ASSIGNMENTS, USERS, GROUPS])
def test_two_polls_of_an_unchanged_source_are_equal(name):
    one, other = poll(name, told()), poll(name, told())
    assert [(item.key, item.digest) for item in one.items] == [(item.key, item.digest) for item in other.items]
    assert one.receipt == other.receipt
