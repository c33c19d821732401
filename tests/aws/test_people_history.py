"""Who got access and who lost it, read from history over a real ledger, against registers kept beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from agent.clock import DAY_MS
from agent.collect import collect
from agent.judge import findings, judge
from agent.ledger import Ledger
from agent.model import Finding, Gap, Reason, Record, Scope, Status, Target
from agent.redact import Redactor
from agent.registry import discover
from agent.settings import Settings
from tests.aws import emulated

START_MS = 1_800_000_000_000
"""Friday 2027-01-15, 08:00 UTC."""
SCOPES = {
    "aws": Scope("aws:123456789012", "aws:123456789012", {"account": "123456789012"}),
    "docs": Scope("org", "org"),
    "identity": Scope("identity:okta", "identity:okta"),
}
ADA, BOB = "arn:aws:iam::123456789012:user/ada", "arn:aws:iam::123456789012:user/bob"
CREDENTIALS, USERS, PEOPLE, REQUESTS = (
    "aws.iam.credentials", "aws.iam.users", "docs.registers.people", "docs.registers.access_requests",
)  # fmt: skip
SSO_USERS, SSO_GROUPS, SSO_ASSIGNMENTS = "aws.sso.users", "aws.sso.groups", "aws.sso.assignments"


class Story:
    """A ledger that grows by a day with each sweep; registers are polled first."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger.open(f"sqlite:///{folder}/e.db", folder / "key", create=True, now_ms=START_MS)
        self.at_ms = START_MS
        self.name = "story"

    def sweep(self, streams: Mapping[str, Mapping[str, Any] | Gap]) -> None:
        """Poll these streams, half an hour apart, then let the day pass."""
        begin = self.at_ms
        for stream in sorted(streams, key=lambda name: not name.startswith("docs.")):
            self._poll(stream, streams[stream])
            self.at_ms += DAY_MS // 48
        self.at_ms = begin + DAY_MS

    def found(self, check: str) -> dict[str, Finding]:
        """Judge, and the findings of one check by key, the stream in it left out."""
        judge(self.ledger, discover(), Settings().rule_settings(), self.at_ms)
        told = [one for one in findings(self.ledger, discover()) if one.check == check]
        return {one.key.removeprefix(f"{one.stream}@"): one for one in told}

    def scopes(self, per: str) -> list[Scope]:
        return []

    def open(self, scope: Scope, needs: Mapping[str, str], tape: Any) -> None:
        return None

    def close(self) -> None:
        self.ledger.close()

    def _poll(self, stream: str, records: Mapping[str, Any] | Gap) -> None:
        known = discover().streams.get(stream) or discover().streams[USERS]
        told = [records] if isinstance(records, Gap) else [Record(key, facts) for key, facts in records.items()]
        spec = replace(known, name=stream, tags=("/tags",), look=lambda _opened: iter(told))
        target = Target(stream, SCOPES[stream.partition(".")[0]], spec.kind, DAY_MS // 1000, "test/1")
        snapshot = collect(target, spec, self, Redactor(b"k" * 32, discover().kept_tags), now=lambda: self.at_ms)
        snapshot.dur_ms = 1_000
        self.ledger.declare([target], self.at_ms)
        self.ledger.append_poll(snapshot)


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    made = Story(tmp_path)
    yield made
    made.close()


def user(*groups: str, tags: Mapping[str, str] | None = None) -> dict[str, Any]:
    return {"name": "x", "groups": list(groups), "attached": [], "inline": {}, "tags": dict(tags or {})}


def credentials(name: str, password: str = "false", key: str = "false", rotated: str = "N/A") -> dict[str, Any]:
    second = {"access_key_2_active": "false", "access_key_2_last_rotated": "N/A"}
    first = {"access_key_1_active": key, "access_key_1_last_rotated": rotated}
    return {"user": name, "password_enabled": password, "password_last_changed": "N/A", **first, **second}


def request(subject: str = "ada", role: str = "staff", **over: Any) -> dict[str, Any]:
    told = {"id": "r1", "requester": "lead", "subject": subject, "system": "aws", "role": role, "approved_by": "boss"}
    return {"r1": {**told, **over}}


def person(id: str, end: str | None = None, **over: Any) -> dict[str, Any]:
    return {id: {"id": id, "mail": f"{id}@example.com", "identities": id, "end_date": end, **over}}


def iam(ada: Mapping[str, Any] | None = None, *groups: str) -> dict[str, Any]:
    """Both IAM streams with one user."""
    return {CREDENTIALS: {ADA: ada} if ada else {}, USERS: {ADA: user(*groups)} if ada else {}}


HUMAN = credentials("ada", password="true")


class TestGrants:
    CHECK = "access-grant-has-request"

    def test_what_was_there_at_the_first_poll_is_no_population(self, story):
        for _ in range(2):
            story.sweep({**iam(credentials("ada", "true", "true", "2027-01-01T00:00:00Z"), "staff"), REQUESTS: {}})
        assert story.found(self.CHECK) == {}

    def test_a_membership_with_an_earlier_request_passes_and_stays(self, story):
        story.sweep({**iam(HUMAN), REQUESTS: {}})
        story.sweep({**iam(HUMAN), REQUESTS: request()})
        story.sweep({**iam(HUMAN, "staff"), REQUESTS: request()})
        story.sweep({**iam(HUMAN, "staff"), REQUESTS: request()})
        ((key, found),) = story.found(self.CHECK).items()
        assert key.startswith(f"grant:group staff:{ADA}:ada:")
        assert (found.status, found.stream) == (Status.PASS, "aws.iam.grants"), found.message
        story.sweep({**iam(HUMAN), REQUESTS: {}})  # neither the request nor the membership is there any more
        assert story.found(self.CHECK)[key].status is Status.PASS

    def test_one_without_a_request_fails_when_the_register_was_read_since(self, story):
        story.sweep({**iam(HUMAN), REQUESTS: {}})
        story.sweep({**iam(HUMAN, "staff"), REQUESTS: {}})
        assert [f.status for f in story.found(self.CHECK).values()] == [Status.NOT_EVALUATED]
        story.sweep({**iam(HUMAN, "staff"), REQUESTS: {}})
        (found,) = story.found(self.CHECK).values()
        assert found.status is Status.FAIL
        assert "no request names ada" in found.message

    def test_an_approval_that_comes_with_the_grant_does_not_prove_the_order(self, story):
        story.sweep({**iam(HUMAN), REQUESTS: {}})
        story.sweep({**iam(HUMAN, "staff"), REQUESTS: request()})
        story.sweep({**iam(HUMAN, "staff"), REQUESTS: request()})
        (found,) = story.found(self.CHECK).values()
        assert (found.status, found.reason) == (Status.NOT_EVALUATED, Reason.UNDETERMINED), found.message
        assert "order not proven" in found.message

    def test_an_approval_after_the_grant_fails_whatever_day_is_typed_in(self, story):
        late = request(approved_on="2020-01-01")
        for groups, rows in (((), {}), (("staff",), {}), (("staff",), {}), (("staff",), late), (("staff",), late)):
            story.sweep({**iam(HUMAN, *groups), REQUESTS: rows})
        (found,) = story.found(self.CHECK).values()
        assert found.status is Status.FAIL
        assert "was approved after" in found.message

    def test_without_the_register_nothing_is_decided(self, story):
        story.sweep(iam(HUMAN))
        story.sweep(iam(HUMAN, "staff"))
        (found,) = story.found(self.CHECK).values()
        assert (found.status, found.reason) == (Status.NOT_EVALUATED, Reason.NOT_CONFIGURED)

    def test_a_program_and_a_rotated_key_get_nothing_new(self, story):
        robot = credentials("ada", key="true", rotated="2027-01-01T00:00:00Z")
        story.sweep(iam())
        story.sweep(iam(robot, "staff"))
        assert story.found(self.CHECK) == {}
        story.sweep(iam(credentials("ada", "true", "true", "2027-01-01T00:00:00Z"), "staff"))
        story.sweep(iam(credentials("ada", "true", "true", "2027-01-17T00:00:00Z"), "staff"))
        kinds = sorted(key.split(":")[1] for key in story.found(self.CHECK))
        assert kinds == ["console sign-in", "group staff"], "its groups count from when it became a person"

    def test_the_time_that_the_source_records_is_a_point(self, story):
        story.sweep({**iam(HUMAN), REQUESTS: {}})
        story.sweep({**iam(HUMAN), REQUESTS: request(role="")})
        keyed = credentials("ada", "true", "true", "2027-01-17T07:00:00Z")
        story.sweep({**iam(keyed), REQUESTS: request(role="")})
        story.sweep({**iam(keyed), REQUESTS: request(role="")})
        ((key, found),) = story.found(self.CHECK).items()
        assert key.startswith(f"grant:access key:{ADA}:ada:")
        assert found.facts["granted"] == {"not_before": "2027-01-17T07:00:00Z", "not_after": "2027-01-17T07:00:00Z"}
        assert found.status is Status.PASS

    def test_people_groups_and_assignments_of_identity_center(self, story):
        def centre(*, more: bool) -> dict[str, Any]:
            ada = {"id": "1", "name": "ada", "mail": "ada@example.com", "status": "ENABLED", "created": None}
            eve = {**ada, "id": "2", "name": "eve", "mail": "eve@example.com"}
            told = {"account": "1", "permission_set": "ps", "principal_type": "GROUP", "principal_id": "g"}
            return {
                SSO_USERS: {"d/1": ada, **({"d/2": eve} if more else {})},
                SSO_GROUPS: {"d/g": {"id": "g", "name": "staff", "members": ["1", "2"] if more else ["1"]}},
                SSO_ASSIGNMENTS: {"1/ps/GROUP:g": told} if more else {},
                "aws.sso.permission_sets": {"ps": {"name": "Admin"}},
                REQUESTS: request("eve@example.com", "staff"),
            }

        for more in (False, True, True):
            story.sweep(centre(more=more))
        told = {key.split(":")[1]: (one.status.value, one.message) for key, one in story.found(self.CHECK).items()}
        assert set(told) == {"account", "group staff", "permission set Admin in account 1"}
        assert told["account"][0] == told["group staff"][0] == "pass", told
        assert told["permission set Admin in account 1"][0] == "fail", "of the group, which no request names"

    def test_a_refused_poll_between_is_no_change(self, story):
        story.sweep(iam(HUMAN, "staff"))
        denied = Gap(Reason.DENIED, "GetAccountAuthorizationDetails", "AccessDenied", "iam:It")
        story.sweep({CREDENTIALS: {ADA: HUMAN}, USERS: denied})
        story.sweep(iam(HUMAN, "staff"))
        assert [key for key in story.found(self.CHECK) if key.startswith("grant:")] == []

    def test_people_of_an_identity_provider(self, story):
        def okta(*, more: bool) -> dict[str, Any]:
            ada = {"id": "1", "mail": "ada@example.com", "aliases": ["ada"], "kind": "human", "status": "active"}
            eve = {**ada, "id": "2", "mail": "eve@example.com", "aliases": []}
            robot = {**eve, "id": "3", "mail": "robot@example.com", "kind": "service"}
            added = {"2": eve, "3": robot} if more else {}
            members = ["1", "2", "3"] if more else ["1"]
            return {
                "identity.okta.users": {"1": ada, **added},
                "identity.okta.groups": {"g": {"id": "g", "name": "staff", "members": members}},
                REQUESTS: request("eve@example.com", "staff", system="Okta"),
            }

        for more in (False, True, True):
            story.sweep(okta(more=more))
        told = {key.partition(":")[2].rpartition(":")[0]: one for key, one in story.found(self.CHECK).items()}
        assert set(told) == {"account:2:eve@example.com", "group staff:g:eve@example.com"}
        assert {(one.status, one.stream) for one in told.values()} == {(Status.PASS, "identity.okta.grants")}


class TestLeavers:
    CHECK = "access-leaver-removed"

    def test_of_who_left_the_removal_is_judged_by_the_first_poll_without_access(self, story):
        left = person("ada", "2027-01-15") | person("bob", "2027-01-15")
        both = {CREDENTIALS: {ADA: HUMAN, BOB: credentials("bob", "true")}, USERS: {ADA: user(), BOB: user()}}
        for _ in range(2):  # Friday and Saturday
            story.sweep({**both, PEOPLE: left})
        assert {one.status for one in story.found(self.CHECK).values()} == {Status.NOT_APPLICABLE}
        for _ in range(5):  # Sunday to Thursday; due by Tuesday noon
            story.sweep({CREDENTIALS: {BOB: credentials("bob", "true")}, USERS: {BOB: user()}, PEOPLE: left})
        found = {one.facts["identity"]: one for one in story.found(self.CHECK).values()}
        assert found["IAM user ada"].status is Status.PASS
        assert found["IAM user ada"].stream == "aws.iam.removals"
        assert found["IAM user bob"].status is Status.FAIL
        assert found["IAM user bob"].stream == "aws.iam.identities"
        story.sweep({CREDENTIALS: {BOB: credentials("bob")}, USERS: {BOB: user()}, PEOPLE: left})
        now = [one for key, one in story.found(self.CHECK).items() if "bob" in key and key.startswith("removal:")]
        assert [(one.status, one.facts["person"]) for one in now] == [(Status.FAIL, "bob")], "a later removal is late"

    def test_what_is_said_of_an_identity_goes_with_it_while_its_removal_stays(self, story):
        story.sweep({**iam(HUMAN), PEOPLE: person("ada")})
        story.sweep({**iam(HUMAN), PEOPLE: person("ada")})
        assert list(story.found(self.CHECK)) == [ADA]
        story.sweep({**iam(), PEOPLE: person("ada", "2027-01-17")})
        (key,) = story.found(self.CHECK)
        assert key.startswith("removal:")

    def test_without_a_last_day_a_removal_waits_for_it_and_is_then_listed(self, story):
        for ada in (HUMAN, HUMAN, None):
            story.sweep({**iam(ada), PEOPLE: person("ada")})
        (found,) = story.found(self.CHECK).values()
        assert (found.status, found.reason) == (Status.NOT_EVALUATED, Reason.DEPENDENCY)
        story.at_ms += 41 * DAY_MS
        story.sweep({**iam(), PEOPLE: person("ada")})
        (found,) = story.found(self.CHECK).values()
        assert found.status is Status.NOT_APPLICABLE
        assert "listed" in found.message


class TestOrphans:
    CHECK = "access-no-orphan-identity"

    def test_an_identity_is_found_by_name_mail_arn_or_tag(self, story):
        robot = "arn:aws:iam::123456789012:user/robot"
        names = {ADA: HUMAN, BOB: credentials("bob", "true"), robot: credentials("robot", key="true")}
        users = {ADA: user(), BOB: user(), robot: user(tags={"owner": "carol@example.com"})}
        people = person("1", identities=f"{ADA}; mlflow:x") | person("2", mail="BOB") | person("carol")
        story.sweep({CREDENTIALS: names, USERS: users, PEOPLE: people})
        found = {key: (one.status.value, one.facts["persons"]) for key, one in story.found(self.CHECK).items()}
        assert found == {ADA: ("pass", ["1"]), BOB: ("pass", ["2"]), robot: ("pass", ["carol"])}

    def test_nobody_and_two_people_fail(self, story):
        people = person("1", identities="bob") | person("2", identities=["bob"])
        both = {ADA: HUMAN, BOB: credentials("bob", "true")}
        story.sweep({CREDENTIALS: both, USERS: {ADA: user(), BOB: user()}, PEOPLE: people})
        assert {key: one.status for key, one in story.found(self.CHECK).items()} == {ADA: Status.FAIL, BOB: Status.FAIL}

    def test_each_identity_says_that_the_register_is_missing(self, story):
        story.sweep(iam(HUMAN))
        (found,) = story.found(self.CHECK).values()
        assert (found.status, found.reason) == (Status.NOT_EVALUATED, Reason.NOT_CONFIGURED)

    def test_a_register_that_was_not_read_whole_decides_nothing(self, story):
        story.sweep({**iam(HUMAN), PEOPLE: Gap(Reason.MALFORMED, code="Line3")})
        assert {one.status for one in story.found(self.CHECK).values()} == {Status.NOT_EVALUATED}


def test_a_real_account_told_twice(story):
    """The emulator's own users and report, before and after somebody was let in and somebody removed."""
    with emulated.account():
        client = boto3.client("iam")
        client.create_group(GroupName="staff")
        client.create_user(UserName="bob")
        client.create_login_profile(UserName="bob", Password="Correct-Horse-9")

        def streams() -> dict[str, Any]:
            return {name: emulated.facts(emulated.poll(name)) for name in (CREDENTIALS, USERS)}

        story.sweep({**streams(), REQUESTS: {}, PEOPLE: {}})
        client.create_user(UserName="ada")
        client.create_login_profile(UserName="ada", Password="Correct-Horse-9")
        client.create_access_key(UserName="ada")
        client.add_user_to_group(GroupName="staff", UserName="ada")
        client.delete_login_profile(UserName="bob")
        story.sweep({**streams(), REQUESTS: {}, PEOPLE: {}})
        story.sweep({**streams(), REQUESTS: {}, PEOPLE: {}})
    granted = story.found("access-grant-has-request")
    assert sorted(key.split(":")[1] for key in granted) == ["access key", "console sign-in", "group staff"]
    assert {one.status for one in granted.values()} == {Status.FAIL}
    removed = [key for key in story.found("access-leaver-removed") if key.startswith("removal:")]
    assert [key.split(":user/")[1].partition(":")[0] for key in removed] == ["bob"]


MINE = (
    "access-grant-has-request", "access-leaver-removed", "access-no-orphan-identity", "asset-unknown-component",
    "iam-oidc-trust-scoped", "iam-trust-external", "idp-federation-known", "idp-mfa-registered",
    "vendor-seen-is-listed",
)  # fmt: skip


def test_an_account_of_its_own_with_nothing_of_the_kind_fails_nowhere(story):
    """In no organisation, without Identity Center and federations, without registers: a user, a role of a service."""
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    with emulated.account():
        client = boto3.client("iam")
        client.create_user(UserName="ada")
        client.create_login_profile(UserName="ada", Password="Correct-Horse-9")
        client.create_role(RoleName="runner", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
        of = emulated.source()
        emulated.on_call(of, "sso-admin.ListInstances", lambda _asked: {"Instances": []})
        names = [n for n in emulated.STREAMS if n.startswith(("aws.sso.", "aws.organizations."))]
        names += [CREDENTIALS, USERS, "aws.iam.roles", "aws.iam.federations", "aws.iam.account"]
        for _ in range(2):
            story.sweep({name: emulated.facts(emulated.poll(name, of)) for name in names})
    told = {check: {one.status.value for one in story.found(check).values()} for check in MINE}
    assert {check: statuses for check, statuses in told.items() if "fail" in statuses} == {}
    assert told["iam-trust-external"] == told["iam-oidc-trust-scoped"] == {"not_applicable"}
    assert told["access-no-orphan-identity"] == {"not_evaluated"}, "nobody keeps a people register"
    none = ("idp-federation-known", "asset-unknown-component", "vendor-seen-is-listed", "access-grant-has-request")
    assert {check: told[check] for check in none} == dict.fromkeys(none, set())
