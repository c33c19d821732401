"""Sign-in, passwords, keys and root: each check passing, failing, not applicable and unseen."""

from __future__ import annotations

import pytest

from agent.model import Gap, Reason
from tests.judging import DENIED, judge

PARTIAL = Gap(Reason.PARTIAL, "GetCredentialReport")
ROOT = "arn:aws:iam::123456789012:root"
ADA = "arn:aws:iam::123456789012:user/ada"
TODAY = "2027-01-15T07:00:00+00:00"
OLD = "2026-10-01T07:00:00+00:00"


def row(**told):
    """A row of the credential report for a user with neither password nor key."""
    return {
        "user": "ada",
        "password_enabled": "false",
        "password_last_changed": "N/A",
        "password_last_used": "N/A",
        "mfa_active": "false",
        "access_key_1_active": "false",
        "access_key_1_last_rotated": "N/A",
        "access_key_1_last_used_date": "N/A",
        "access_key_2_active": "false",
        "access_key_2_last_rotated": "N/A",
        "access_key_2_last_used_date": "N/A",
        **told,
    }


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ({"password_enabled": "true", "mfa_active": "true"}, "pass"),
        ({"password_enabled": "true", "mfa_active": "false"}, "fail"),
        ({"password_enabled": "false", "mfa_active": "false"}, "not_applicable"),
        ({"user": "<root_account>", "password_enabled": "not_supported", "mfa_active": "false"}, "not_applicable"),
        ({"password_enabled": "", "mfa_active": "false"}, "not_evaluated"),
        ({"password_enabled": "true", "mfa_active": "?"}, "not_evaluated"),
        ({"password_enabled": "true", "mfa_active": DENIED}, "not_evaluated"),
    ],
)
def test_console_mfa(told, status):
    assert judge("iam-console-mfa", row(**told)).status == status


def summary(**told):
    held = {
        "AccountAccessKeysPresent": 0,
        "AccountMFAEnabled": 1,
        "AccountPasswordPresent": 1,
        "AccountSigningCertificatesPresent": 0,
    }
    return {"summary": held | told, "password_policy": None}


def root_used(when):
    return {"aws.iam.usage": {ROOT: row(user="<root_account>", password_last_used=when)}}


@pytest.mark.parametrize(
    ("told", "here", "status"),
    [
        ({}, root_used("no_information"), "pass"),
        ({}, root_used("N/A"), "pass"),
        ({}, root_used("2026-10-16"), "pass"),
        ({}, root_used("2026-10-17"), "fail"),
        ({}, root_used("2027-01-15"), "fail"),
        ({"AccountMFAEnabled": 0, "AccountPasswordPresent": 0}, root_used("N/A"), "pass"),
        ({"AccountMFAEnabled": 0}, root_used("N/A"), "fail"),
        ({"AccountMFAEnabled": 0, "AccountPasswordPresent": None}, root_used("N/A"), "fail"),
        ({"AccountAccessKeysPresent": 1}, {}, "fail"),
        ({"AccountSigningCertificatesPresent": 1}, {}, "fail"),
        ({"AccountAccessKeysPresent": None}, root_used("N/A"), "not_evaluated"),
        ({}, {"aws.iam.usage": {}}, "not_evaluated"),
        ({}, {"aws.iam.usage": DENIED}, "not_evaluated"),
        ({}, {}, "not_evaluated"),
    ],
)
def test_root_locked(told, here, status):
    assert judge("iam-root-locked", summary(**told), key=ROOT, here=here).status == status


def test_root_locked_is_not_judged_without_the_summary():
    verdict = judge("iam-root-locked", {"summary": DENIED}, key=ROOT, here=root_used("N/A"))
    assert (verdict.status, verdict.reason, verdict.need) == ("not_evaluated", "denied", ("it:Get",))


CONSOLE = {"aws.iam.credentials": {ADA: row(password_enabled="true")}}
GOOD = {
    "MinimumPasswordLength": 14,
    "PasswordReusePrevention": 24,
    "RequireLowercaseCharacters": False,
    "RequireNumbers": True,
    "RequireSymbols": False,
    "RequireUppercaseCharacters": False,
    "ExpirePasswords": False,
    "MaxPasswordAge": None,
}


@pytest.mark.parametrize(
    ("policy", "here", "thresholds", "status"),
    [
        (GOOD, CONSOLE, {}, "pass"),
        (None, CONSOLE, {}, "fail"),
        (GOOD | {"MinimumPasswordLength": 13}, CONSOLE, {}, "fail"),
        (GOOD | {"PasswordReusePrevention": None}, CONSOLE, {}, "fail"),
        (GOOD, CONSOLE, {"password_min_length": 16}, "fail"),
        (GOOD, CONSOLE, {"password_classes": 1}, "pass"),
        (GOOD, CONSOLE, {"password_classes": 4}, "fail"),
        (GOOD, CONSOLE, {"max_password_age_days": 90}, "fail"),
        (GOOD | {"ExpirePasswords": True, "MaxPasswordAge": 90}, CONSOLE, {"max_password_age_days": 90}, "pass"),
        (GOOD | {"ExpirePasswords": True, "MaxPasswordAge": 91}, CONSOLE, {"max_password_age_days": 90}, "fail"),
        (None, {"aws.iam.credentials": {ADA: row()}}, {}, "not_applicable"),
        (None, {"aws.iam.credentials": {}}, {}, "not_applicable"),
        (DENIED, CONSOLE, {}, "not_evaluated"),
        (None, {"aws.iam.credentials": DENIED}, {}, "not_evaluated"),
    ],
)
def test_password_policy(policy, here, thresholds, status):
    assert judge("iam-password-policy", {"password_policy": policy}, here=here, **thresholds).status == status


@pytest.mark.parametrize(("row_seen", "status"), [(row(password_enabled="true"), "fail"), (row(), "not_evaluated")])
def test_absence_of_console_users_is_not_concluded_from_a_partial_list(row_seen, status):
    here = {"aws.iam.credentials": {ADA: row_seen}}
    partial = {"aws.iam.credentials": PARTIAL}
    verdict = judge("iam-password-policy", {"password_policy": None}, here=here, partial=partial)
    assert verdict.status == status


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ({"access_key_1_active": "true", "access_key_1_last_rotated": "2026-10-17T08:00:00+00:00"}, "pass"),
        ({"access_key_1_active": "true", "access_key_1_last_rotated": "2026-10-17T07:59:59+00:00"}, "fail"),
        ({"access_key_2_active": "true", "access_key_2_last_rotated": OLD}, "fail"),
        ({"access_key_1_active": "false", "access_key_1_last_rotated": OLD}, "not_applicable"),
        ({"access_key_1_active": "true", "access_key_1_last_rotated": "N/A"}, "not_evaluated"),
        ({"access_key_1_active": "true", "access_key_1_last_rotated": DENIED}, "not_evaluated"),
    ],
)
def test_key_age(told, status):
    assert judge("iam-key-age", row(**told), over="aws.iam.credentials").status == status


def test_a_finding_of_age_holds_dates_and_no_age():
    told = row(access_key_1_active="true", access_key_1_last_rotated=OLD)
    verdict = judge("iam-key-age", told, over="aws.iam.credentials")
    assert verdict.message == "access key 1 last rotated 2026-10-01, limit 90 days"
    assert verdict == judge("iam-key-age", told, over="aws.iam.credentials", now=1_800_000_000_000 + 86_400_000)


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ({"status": "Active", "created": "2026-12-01T00:00:00Z"}, "pass"),
        ({"status": "Active", "created": "2026-10-01T00:00:00Z"}, "fail"),
        ({"status": "Inactive", "created": "2026-10-01T00:00:00Z"}, "not_applicable"),
        ({"status": DENIED, "created": "2026-10-01T00:00:00Z"}, "not_evaluated"),
    ],
)
def test_age_of_ssh_keys(told, status):
    assert judge("iam-key-age", {"user": "ada", **told}, over="aws.iam.ssh_keys").status == status


def key(used, made, active="true"):
    return row(access_key_1_active=active, access_key_1_last_used_date=used, access_key_1_last_rotated=made)


@pytest.mark.parametrize(
    ("told", "status"),
    [
        (key("2027-01-14", OLD), "pass"),
        (key("2026-12-01", OLD), "pass"),
        (key("2026-11-30", OLD), "fail"),
        (key("N/A", TODAY), "pass"),
        (key("N/A", OLD), "fail"),
        (key("N/A", "N/A"), "not_evaluated"),
        (key("N/A", OLD, active="false"), "not_applicable"),
        (key(DENIED, OLD), "not_evaluated"),
    ],
)
def test_key_unused(told, status):
    assert judge("iam-key-unused", told).status == status


def password(used, changed, **more):
    return row(password_enabled="true", password_last_used=used, password_last_changed=changed, **more)


@pytest.mark.parametrize(
    ("told", "status"),
    [
        (password("2026-12-01", OLD), "pass"),
        (password("2026-11-30", TODAY), "fail"),
        (password("no_information", TODAY), "pass"),
        (password("no_information", OLD), "fail"),
        (password("no_information", "N/A"), "not_evaluated"),
        (password("N/A", TODAY, user="<root_account>"), "not_applicable"),
        (row(), "not_applicable"),
        (password(DENIED, OLD), "not_evaluated"),
    ],
)
def test_user_unused(told, status):
    assert judge("iam-user-unused", told, over="aws.iam.usage").status == status
