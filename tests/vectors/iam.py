"""Sign-in, passwords, keys and root of an account."""

from __future__ import annotations

from typing import Any

from agent.model import Gap, Reason
from tests.judging import DENIED
from tests.vectors import Vector

ACCOUNT = "123456789012"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
ADA = f"arn:aws:iam::{ACCOUNT}:user/ada"
PARTIAL = Gap(Reason.PARTIAL, "GetCredentialReport")
USAGE, CREDENTIALS, SSH = "aws.iam.usage", "aws.iam.credentials", "aws.iam.ssh_keys"
TODAY, OLD = "2027-01-15T07:00:00+00:00", "2026-10-01T07:00:00+00:00"
"""The vectors are judged on 2027-01-15 at 08:00 UTC."""


def row(**told: Any) -> dict[str, Any]:
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


def summary(**told: Any) -> dict[str, Any]:
    """The account's record, with a root that has a password, MFA and nothing else."""
    held = {
        "AccountAccessKeysPresent": 0,
        "AccountMFAEnabled": 1,
        "AccountPasswordPresent": 1,
        "AccountSigningCertificatesPresent": 0,
    }
    return {"account": ACCOUNT, "summary": held | told, "password_policy": None}


def signed_in(when: str) -> dict[str, Any]:
    """The credential report's word on root."""
    return {USAGE: {ROOT: row(user="<root_account>", password_last_used=when)}}


def events(*times: str, complete: bool = True, since: str = "2026-10-17T08:00:00Z") -> dict[str, Any]:
    """What the audit events tell of root."""
    uses = [{"id": f"e{time}", "name": "ConsoleLogin", "source": "signin", "time": time} for time in times]
    told = {"complete": complete, "since": since if complete else None, "uses": uses if complete else []}
    return {"aws.cloudtrail.root_use": {ACCOUNT: told}}


def change(**told: Any) -> dict[str, Any]:
    """A register of changes with one row."""
    held = {
        "id": "C-7",
        "system": "",
        "ref": "",
        "approved_by": "grace",
        "approved_on": "2027-01-09",
        "emergency": "no",
    }
    return {"docs.registers.changes": {"C-7": held | {"merged_on": "2027-01-10"} | told}}


def incident(**told: Any) -> dict[str, Any]:
    """A register of incidents with one row."""
    held = {"id": "I-1", "detected_at": "2027-01-10T05:00:00Z", "resolved_at": "", "systems": f"root {ACCOUNT}"}
    return {"docs.registers.incidents": {"I-1": held | told}}


USED = events("2027-01-10T09:00:00Z")
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
CONSOLE = {CREDENTIALS: {ADA: row(password_enabled="true")}}
KEY = {"access_key_1_active": "true"}

_MFA = [
    Vector("iam-console-mfa", "pass", row(password_enabled="true", mfa_active="true")),
    Vector("iam-console-mfa", "fail", row(password_enabled="true")),
    Vector("iam-console-mfa", "not_applicable", row(), says="no console password"),
    Vector("iam-console-mfa", "not_applicable", row(user="<root_account>", password_enabled="not_supported")),
    Vector("iam-console-mfa", "not_evaluated", row(password_enabled="true", mfa_active=DENIED)),
    Vector("iam-console-mfa", "not_evaluated", row(password_enabled="", mfa_active="true")),
]


def _root(status: str, facts: dict[str, Any], here: dict[str, Any], says: str = "") -> Vector:
    return Vector("iam-root-locked", status, facts, key=ROOT, here=here, says=says)


_ROOT = [
    _root("pass", summary(), signed_in("no_information"), "no sign-in on record"),
    _root("pass", summary(AccountMFAEnabled=0, AccountPasswordPresent=0), signed_in("N/A")),
    _root("pass", summary(), signed_in("2026-10-16"), "last sign-in 2026-10-16"),
    _root("fail", summary(), signed_in("2026-10-17"), "signed in on 2026-10-17"),
    _root("fail", summary(AccountMFAEnabled=0), {}, "no MFA"),
    _root("fail", summary(AccountAccessKeysPresent=1), {}, "access keys"),
    _root("fail", summary(AccountSigningCertificatesPresent=1), {}, "signing certificates"),
    _root("not_evaluated", summary(AccountAccessKeysPresent=None), signed_in("N/A")),
    _root("not_evaluated", summary(), {USAGE: DENIED}),
    _root("not_evaluated", summary(), {USAGE: {}}),
    _root("not_evaluated", {"summary": DENIED}, signed_in("N/A")),
    # audit events: where they reach back as far as the limit, the report's date is not asked for
    _root("pass", summary(), events(), "CloudTrail shows no use"),
    _root("pass", summary(), events("2026-10-16T23:59:59Z", since="2026-07-01T00:00:00Z"), "CloudTrail shows no use"),
    _root("fail", summary(), USED, "ConsoleLogin at 2027-01-10"),
    _root("fail", summary(), events("2027-01-10T09:00:00Z", since="2026-07-01T00:00:00Z")),
    # where they do not, or are not complete, the date is what there is
    _root("pass", summary(), events(since="2026-12-01T00:00:00Z") | signed_in("2026-10-01"), "last sign-in"),
    _root("fail", summary(), events(since="2026-12-01T00:00:00Z") | signed_in("2027-01-02"), "signed in on 2027-01-02"),
    _root("fail", summary(), events(complete=False) | signed_in("2027-01-02")),
    _root("not_evaluated", summary(), {"aws.cloudtrail.root_use": DENIED} | signed_in("N/A")),
    # registers account for a use: of this account, and of that day only
    _root("pass", summary(), USED | change(system=ACCOUNT)),
    _root("pass", summary(), USED | change(ref="root,PROJ-9")),
    _root("fail", summary(), USED | change(system="999999999999")),
    _root("fail", summary(), USED | change(system=f"x{ACCOUNT}")),
    _root("fail", summary(), USED | change(system=ACCOUNT, merged_on="2027-01-08", approved_on="2027-01-08")),
    _root("fail", summary(), USED | change(system=ACCOUNT, approved_by="")),
    _root("fail", summary(), USED | change(system=ACCOUNT, approved_on="2027-01-11", merged_on="2027-01-11")),
    _root(
        "pass", summary(),
        USED | change(system=ACCOUNT, approved_on="2027-01-11", merged_on="2027-01-10", emergency="yes"),
    ),
    _root("pass", summary(), USED | incident()),
    _root("fail", summary(), USED | incident(resolved_at="2027-01-09T00:00:00Z", detected_at="2027-01-08T00:00:00Z")),
    _root("pass", summary(), signed_in("2027-01-10") | incident()),
]  # fmt: skip


def _policy(status: str, rules: Any, here: dict[str, Any] = CONSOLE, **settings: Any) -> Vector:
    return Vector("iam-password-policy", status, {"password_policy": rules}, here=here, settings=settings)


_POLICY = [
    _policy("pass", GOOD),
    _policy("fail", None),
    _policy("fail", GOOD | {"MinimumPasswordLength": 13}),
    _policy("fail", GOOD | {"PasswordReusePrevention": None}),
    _policy("fail", GOOD, password_classes=4),
    _policy("fail", GOOD, max_password_age_days=90),
    _policy("pass", GOOD | {"ExpirePasswords": True, "MaxPasswordAge": 90}, max_password_age_days=90),
    _policy("not_applicable", None, {CREDENTIALS: {ADA: row()}}),
    _policy("not_evaluated", DENIED),
    _policy("not_evaluated", GOOD, {CREDENTIALS: DENIED}),
    Vector(
        "iam-password-policy", "not_evaluated", {"password_policy": None}, here={CREDENTIALS: {ADA: row()}},
        partial={CREDENTIALS: PARTIAL},
    ),
]  # fmt: skip


def _key(status: str, says: str = "", **told: Any) -> Vector:
    return Vector("iam-key-age", status, row(**told), CREDENTIALS, says=says)


_AGE = [
    _key("pass", access_key_1_active="true", access_key_1_last_rotated="2026-10-17T08:00:00+00:00"),
    _key("fail", "2026-10-17", access_key_1_active="true", access_key_1_last_rotated="2026-10-17T07:59:59+00:00"),
    _key("fail", "access key 2", access_key_2_active="true", access_key_2_last_rotated=OLD),
    _key("not_applicable", access_key_1_last_rotated=OLD),
    _key("not_evaluated", access_key_1_active="true"),
    _key("not_evaluated", access_key_1_active=DENIED),
    Vector("iam-key-age", "pass", {"user": "ada", "status": "Active", "created": TODAY}, SSH),
    Vector("iam-key-age", "fail", {"user": "ada", "status": "Active", "created": OLD}, SSH, says="created 2026-10-01"),
    Vector("iam-key-age", "not_applicable", {"user": "ada", "status": "Inactive", "created": OLD}, SSH),
    Vector("iam-key-age", "not_evaluated", {"user": "ada", "status": "Active", "created": DENIED}, SSH),
]  # fmt: skip


def _unused(status: str, says: str = "", **told: Any) -> Vector:
    return Vector("iam-key-unused", status, row(**told), USAGE, says=says)


_UNUSED = [
    _unused("pass", **KEY, access_key_1_last_rotated=OLD, access_key_1_last_used_date="2026-12-01"),
    _unused("pass", **KEY, access_key_1_last_rotated=TODAY),
    _unused("fail", "used 2026-11-30", **KEY, access_key_1_last_rotated=OLD, access_key_1_last_used_date="2026-11-30"),
    _unused("fail", "never used", **KEY, access_key_1_last_rotated=OLD),
    _unused("not_applicable", access_key_1_last_rotated=OLD),
    _unused("not_evaluated", **KEY),
    _unused("not_evaluated", access_key_1_active=DENIED),
]  # fmt: skip


def _user(status: str, says: str = "", **told: Any) -> Vector:
    return Vector("iam-user-unused", status, row(**{"password_enabled": "true"} | told), USAGE, says=says)


_USER = [
    _user("pass", password_last_used="2026-12-01"),
    _user("fail", "last sign-in 2026-11-30", password_last_used="2026-11-30"),
    _user("pass", password_last_used="no_information", password_last_changed=TODAY),
    _user("fail", "never signed in", password_last_used="no_information", password_last_changed=OLD),
    _user("not_applicable", password_enabled="false"),
    _user("not_applicable", user="<root_account>", password_last_used=OLD),
    _user("not_evaluated", password_last_used=DENIED),
    _user("not_evaluated"),
]

_DIRECT = [
    Vector("iam-no-direct-user-policy", "pass", {"inline": {}, "attached": []}),
    Vector("iam-no-direct-user-policy", "fail", {"inline": {"own": {}}, "attached": []}, says="own"),
    Vector("iam-no-direct-user-policy", "fail", {"inline": {}, "attached": ["arn:aws:iam::aws:policy/ReadOnlyAccess"]}),
    Vector("iam-no-direct-user-policy", "not_evaluated", {"inline": {}, "attached": DENIED}),
    Vector("iam-no-direct-user-policy", "not_evaluated", {"inline": {"own": DENIED}, "attached": []}),
]

VECTORS = [*_MFA, *_ROOT, *_POLICY, *_AGE, *_UNUSED, *_USER, *_DIRECT]
NEVER = {
    "iam-root-locked": "not_applicable: every account has a root user",
    "iam-no-direct-user-policy": "not_applicable: the rule is about every user there is",
}
