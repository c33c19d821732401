"""Identities of an emulated account, against what boto3 says when asked in another way."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import boto3
import pytest

from agent.model import Gap
from tests.aws.emulated import ACCOUNT, ROOT, account, envelopes, facts, on_call, poll, refuse, source
from tests.judging import judge

ARN = f"arn:aws:iam::{ACCOUNT}"
WIDE = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
NARROW = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
OF_IAM = [
    "aws.iam.account", "aws.iam.credentials", "aws.iam.groups", "aws.iam.policies", "aws.iam.role_usage",
    "aws.iam.roles", "aws.iam.usage", "aws.iam.users",
]  # fmt: skip


@pytest.fixture
def aws():
    with account():
        yield boto3.client("iam")


def of_trust(service):
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


class TestReport:
    HEAD = (
        "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,"
        "password_next_rotation,mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,"
        "access_key_1_last_used_region,access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,"
        "access_key_2_last_used_date,access_key_2_last_used_region,access_key_2_last_used_service,cert_1_active,"
        "cert_1_last_rotated,cert_2_active,cert_2_last_rotated"
    )
    KEYS = "false,N/A,N/A,N/A,N/A,false,N/A,N/A,N/A,N/A,false,N/A,false,N/A"
    ROOT_ROW = (
        f"<root_account>,{ROOT},2020-01-01T00:00:00+00:00,not_supported,2026-11-01T23:59:00+00:00,not_supported,"
        f"not_supported,true,{KEYS}"
    )
    MADE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    def report(self, of, *rows, made=MADE):
        content = "\n".join([self.HEAD, *rows]).encode()
        on_call(of, "iam.GenerateCredentialReport", lambda _: {"State": "COMPLETE"})
        on_call(of, "iam.GetCredentialReport", lambda _: {"Content": content, "GeneratedTime": made})

    def test_its_own_time_is_when_it_was_observed(self, aws):
        self.report(of := source(), self.ROOT_ROW)
        assert poll("aws.iam.credentials", of).asof_ms == round(self.MADE.timestamp() * 1000)

    def test_a_time_that_cannot_be_its_own_is_not_believed(self, aws):
        """The emulator always says 2015; AWS hands no report out for more than four hours."""
        snapshot = poll("aws.iam.credentials")
        assert abs(snapshot.start_ms - snapshot.asof_ms - 4 * 3_600_000) < 60_000

    def test_root_has_a_row(self, aws):
        self.report(of := source(), self.ROOT_ROW)
        assert facts(poll("aws.iam.credentials", of))[ROOT]["user"] == "<root_account>"

    def test_last_use_is_kept_to_the_day_and_apart(self, aws):
        self.report(of := source(), self.ROOT_ROW)
        assert facts(poll("aws.iam.usage", of))[ROOT]["password_last_used"] == "2026-11-01"
        assert "password_last_used" not in facts(poll("aws.iam.credentials", of))[ROOT]
        later = self.ROOT_ROW.replace("2026-11-01T23", "2026-12-24T23")
        self.report(again := source(), later)
        first, second = poll("aws.iam.credentials", of), poll("aws.iam.credentials", again)
        assert [item.digest for item in first.items] == [item.digest for item in second.items]

    def test_no_access_key_id_is_stored(self, aws):
        aws.create_user(UserName="ada")
        key = aws.create_access_key(UserName="ada")["AccessKey"]
        for name in OF_IAM:
            snapshot = poll(name)
            stored = b"".join(snapshot.documents[item.digest] for item in snapshot.items)
            assert key["AccessKeyId"].encode() not in stored
            assert key["SecretAccessKey"].encode() not in stored

    def test_a_shifted_row_makes_the_list_incomplete(self, aws):
        self.report(of := source(), self.ROOT_ROW, "ada,arn:aws:iam::1:user/ada,2020")
        snapshot = poll("aws.iam.credentials", of)
        assert (snapshot.status, snapshot.why, list(envelopes(snapshot))) == ("partial", "malformed", [ROOT])

    def test_a_report_without_its_columns(self, aws):
        of = source()
        on_call(of, "iam.GenerateCredentialReport", lambda _: {"State": "COMPLETE"})
        on_call(of, "iam.GetCredentialReport", lambda _: {"Content": b"<html>", "GeneratedTime": self.MADE})
        snapshot = poll("aws.iam.credentials", of)
        assert (snapshot.status, snapshot.why) == ("failed", "malformed")

    def test_waiting_for_it_is_bounded(self, aws):
        of = source(pauses := [])
        on_call(of, "iam.GenerateCredentialReport", lambda _: {"State": "INPROGRESS"})
        snapshot = poll("aws.iam.credentials", of)
        assert (snapshot.status, snapshot.why) == ("failed", "timeout")
        assert 60 < sum(pauses) < 200

    @pytest.mark.parametrize("operation", ["GenerateCredentialReport", "GetCredentialReport"])
    def test_a_refusal_names_the_permission(self, aws, operation):
        refuse(of := source(), f"iam.{operation}", "AccessDenied")
        gap = poll("aws.iam.usage", of).receipt["gap"]
        assert (gap["reason"], gap["op"], gap["need"]) == ("denied", operation, f"iam:{operation}")


class TestRecords:
    def test_a_role(self, aws):
        policy = aws.create_policy(PolicyName="work", Path="/ml/", PolicyDocument=json.dumps(WIDE))["Policy"]["Arn"]
        aws.create_role(
            RoleName="trainer",
            AssumeRolePolicyDocument=of_trust("sagemaker.amazonaws.com"),
            PermissionsBoundary=policy,
            Tags=[{"Key": "größe", "Value": "ü"}],
        )
        aws.put_role_policy(RoleName="trainer", PolicyName="own", PolicyDocument=json.dumps(NARROW))
        aws.attach_role_policy(RoleName="trainer", PolicyArn=policy)
        (envelope,) = envelopes(poll("aws.iam.roles")).values()
        role = envelope["facts"]
        assert role["attached"] == [f"{ARN}:policy/ml/work"]
        assert role["boundary"] == policy
        assert role["inline"] == {"own": NARROW}
        assert role["trust"] == json.loads(of_trust("sagemaker.amazonaws.com"))
        assert envelope["redacted"] == ["/tags/größe"]

    def test_the_version_of_a_policy_that_is_in_force(self, aws):
        arn = aws.create_policy(PolicyName="work", PolicyDocument=json.dumps(WIDE))["Policy"]["Arn"]
        aws.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(NARROW), SetAsDefault=True)
        aws.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(WIDE))
        policy = facts(poll("aws.iam.policies"))[arn]
        assert (policy["name"], policy["version"], policy["document"]) == ("work", "v2", NARROW)
        assert policy["attached_to"] == 0

    def test_a_policy_that_is_no_json_is_a_gap_of_its_own(self, aws):
        of = source()
        user = {"Path": "/", "UserName": "ada", "UserId": "u" * 16, "Arn": f"{ARN}:user/ada"}
        bad = {"PolicyName": "bad", "PolicyDocument": "%7Bnot json"}
        user["UserPolicyList"] = [bad]
        on_call(of, "iam.GetAccountAuthorizationDetails", lambda _: {"UserDetailList": [user]})
        snapshot = poll("aws.iam.users", of)
        (envelope,) = envelopes(snapshot).values()
        assert (snapshot.status, snapshot.gaps) == ("complete", 1)
        assert envelope["gaps"]["/inline/bad"]["reason"] == "malformed"
        held = Gap.of(envelope["gaps"]["/inline/bad"])
        verdict = judge("iam-no-wildcard-policy", envelope["facts"], over="aws.iam.users", gaps={"/inline/bad": held})
        assert (verdict.status, verdict.reason) == ("not_evaluated", "malformed")

    def test_members_of_a_policy_have_no_order(self, aws):
        digests = set()
        for actions in (["s3:A", "s3:B"], ["s3:B", "s3:A"]):
            of = source()
            document = {"Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
            group = {"GroupName": "g", "Arn": f"{ARN}:group/g", "GroupPolicyList": [
                {"PolicyName": "p", "PolicyDocument": json.dumps(document)}]}  # fmt: skip
            on_call(of, "iam.GetAccountAuthorizationDetails", lambda _, group=group: {"GroupDetailList": [group]})
            digests.add(poll("aws.iam.groups", of).items[0].digest)
        assert len(digests) == 1

    def test_the_account_without_password_rules(self, aws):
        assert facts(poll("aws.iam.account"))[ROOT]["password_policy"] is None
        aws.update_account_password_policy(MinimumPasswordLength=16)
        policy = facts(poll("aws.iam.account"))[ROOT]["password_policy"]
        assert (policy["MinimumPasswordLength"], policy["PasswordReusePrevention"]) == (16, None)

    def test_a_facet_that_is_refused_is_a_gap_beside_the_rest(self, aws):
        refuse(of := source(), "iam.GetAccountPasswordPolicy", "AccessDenied")
        snapshot = poll("aws.iam.account", of)
        (envelope,) = envelopes(snapshot).values()
        assert (snapshot.status, snapshot.gaps) == ("complete", 1)
        assert envelope["gaps"]["/password_policy"] == {
            "code": "AccessDenied",
            "need": "iam:GetAccountPasswordPolicy",
            "op": "GetAccountPasswordPolicy",
            "reason": "denied",
        }
        assert envelope["facts"]["summary"]["AccountAccessKeysPresent"] == 0

    def test_a_role_used_in_the_evening_far_west_was_used_on_the_day_in_utc(self, aws):
        of = source()
        used = {"LastUsedDate": datetime.fromisoformat("2026-03-01T20:00:00-08:00"), "Region": "us-west-2"}
        role = {"RoleName": "r", "Arn": f"{ARN}:role/r", "RoleLastUsed": used}
        on_call(of, "iam.GetAccountAuthorizationDetails", lambda _: {"RoleDetailList": [role]})
        assert facts(poll("aws.iam.role_usage", of))[f"{ARN}:role/r"]["last_used"] == "2026-03-02"


class TestOtherCredentials:
    def test_ssh_keys(self, aws):
        aws.create_user(UserName="ada")
        made = aws.upload_ssh_public_key(UserName="ada", SSHPublicKeyBody="ssh-rsa AAAA ada")["SSHPublicKey"]
        key = f"{ARN}:user/ada/ssh-key/{made['SSHPublicKeyId']}"
        assert facts(poll("aws.iam.ssh_keys"))[key].items() >= {"user": "ada", "status": "Active"}.items()

    @pytest.mark.parametrize(
        ("code", "status", "keys"), [("AccessDenied", "failed", []), ("NoSuchEntity", "complete", [])]
    )
    def test_a_user_whose_keys_are_not_told(self, aws, code, status, keys):
        aws.create_user(UserName="ada")
        refuse(of := source(), "iam.ListSSHPublicKeys", code)
        snapshot = poll("aws.iam.ssh_keys", of)
        assert (snapshot.status, list(envelopes(snapshot))) == (status, keys)
