"""People of Google Workspace and Okta."""

from __future__ import annotations

from typing import Any

from agent.model import Gap, Reason
from tests.judging import DENIED
from tests.vectors import Vector

GOOGLE, OKTA = "identity.google.users", "identity.okta.users"
USAGE, APPS, ADMINS = "identity.okta.usage", "identity.okta.apps", "identity.okta.admins"
REGISTER = "docs.registers.privileged_access"


def person(**facts: Any) -> dict[str, Any]:
    return {
        "id": "ada", "mail": "ada@example.com", "aliases": [], "status": "active", "factors": ["push"],
        "second_factor": True, "enforced": True, "admin": False, "created": "2025-01-01T00:00:00Z",
    } | facts  # fmt: skip


NONE = {"second_factor": False, "factors": []}
APP = {"name": "amazon_aws_sso", "label": "AWS", "status": "ACTIVE", "policy": "p1"}
RULE = {"name": "all", "priority": 1, "status": "ACTIVE", "access": "ALLOW", "method": "ASSURANCE", "factors": "2FA",
        "people": {"users": {"include": []}, "groups": {"include": []}}}  # fmt: skip


def policy(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"identity.okta.policies": {"p1": {"name": "AWS", "rules": [RULE | rule for rule in rules]}}}


ROW = {"id": "PA-1", "principal": "Ada@example.com", "approved_by": "cto", "expires_on": "2027-06-30"}
EXPIRED = ROW | {"expires_on": "2026-12-31"}
HELP_DESK = {"roles": [{"type": "HELP_DESK_ADMIN", "status": "ACTIVE"}]}
ADA: dict[str, Any] = {OKTA: {"ada": person()}}
SUPER = {"roles": [{"type": "SUPER_ADMIN", "status": "ACTIVE"}]}

VECTORS = [
    Vector("idp-mfa-registered", "pass", person(), OKTA, says="push"),
    Vector("idp-mfa-registered", "fail", person(**NONE), OKTA),
    Vector("idp-mfa-registered", "not_evaluated", person(second_factor=DENIED, factors=DENIED), OKTA),
    Vector("idp-mfa-registered", "not_applicable", person(status="suspended", **NONE), OKTA),
    Vector("idp-mfa-registered", "pass", person(), GOOGLE),
    Vector("idp-mfa-registered", "fail", person(**NONE), GOOGLE),
    Vector("idp-mfa-registered", "not_applicable", person(status="deactivated", **NONE), GOOGLE),
    Vector(
        "idp-mfa-registered", "not_applicable", person(**NONE), GOOGLE,
        here={OKTA: {}}, settings={"google_signs_in": False}, says="judged there",
    ),
    Vector("idp-mfa-registered", "not_evaluated", person(**NONE), GOOGLE, settings={"google_signs_in": False}),
    Vector("idp-mfa-enforced", "pass", person(), GOOGLE),
    Vector("idp-mfa-enforced", "fail", person(enforced=False), GOOGLE),
    Vector("idp-mfa-enforced", "not_applicable", person(status="suspended", enforced=False), GOOGLE),
    Vector("idp-mfa-enforced", "pass", APP, APPS, here=policy({})),
    Vector("idp-mfa-enforced", "fail", APP, APPS, here=policy({}, {"factors": "1FA"}), says="for everybody"),
    Vector(
        "idp-mfa-enforced", "fail", APP, APPS, says="for 1 users or groups",
        here=policy({"factors": "1FA", "people": {"users": {"include": ["u"]}, "groups": {"include": []}}}),
    ),
    Vector("idp-mfa-enforced", "pass", APP, APPS, here=policy({}, {"factors": "1FA", "status": "INACTIVE"})),
    Vector("idp-mfa-enforced", "pass", APP, APPS, here=policy({"factors": "1FA", "access": "DENY"}, {})),
    Vector("idp-mfa-enforced", "not_evaluated", APP, APPS, here=policy({"method": "AUTH_METHOD_CHAIN"})),
    Vector("idp-mfa-enforced", "not_evaluated", APP, APPS, here={"identity.okta.policies": DENIED}),
    Vector("idp-mfa-enforced", "not_evaluated", APP | {"policy": None}, APPS),
    Vector("idp-mfa-enforced", "not_evaluated", APP, APPS, here={"identity.okta.policies": {}}, says="not listed"),
    Vector("idp-mfa-enforced", "not_applicable", APP | {"name": "slack", "label": "Slack"}, APPS),
    Vector("idp-mfa-enforced", "not_applicable", APP | {"status": "INACTIVE"}, APPS),
    Vector("iam-user-unused", "pass", person(last_sign_in="2027-01-10"), USAGE),
    Vector("iam-user-unused", "fail", person(last_sign_in="2026-10-10"), USAGE, says="2026-10-10"),
    Vector("iam-user-unused", "fail", person(last_sign_in=None), USAGE, says="never signed in"),
    Vector("iam-user-unused", "pass", person(last_sign_in=None, created="2027-01-01T00:00:00Z"), USAGE),
    Vector("iam-user-unused", "not_applicable", person(status="staged", last_sign_in=None), USAGE),
    Vector("iam-user-unused", "not_evaluated", person(last_sign_in=DENIED), USAGE),
    Vector("iam-admin-inventory", "pass", person(admin=True), GOOGLE, everywhere={REGISTER: {"1": ROW}}),
    Vector("iam-admin-inventory", "fail", person(admin=True), GOOGLE, everywhere={REGISTER: {"1": EXPIRED}}),
    Vector("iam-admin-inventory", "not_evaluated", person(admin=True), GOOGLE),
    Vector("iam-admin-inventory", "not_applicable", person(), GOOGLE),
    Vector("iam-admin-inventory", "pass", SUPER, ADMINS, key="ada", here=ADA | {REGISTER: {"1": ROW}}),
    Vector("iam-admin-inventory", "fail", SUPER, ADMINS, key="ada", here=ADA | {REGISTER: {}}),
    Vector("iam-admin-inventory", "not_evaluated", SUPER, ADMINS, key="ada", here={OKTA: {}, REGISTER: {}}),
    Vector("iam-admin-inventory", "not_applicable", HELP_DESK, ADMINS),
    Vector("iam-admin-count", "pass", over=ADMINS, here={ADMINS: {"a": SUPER, "b": SUPER}}),
    Vector("iam-admin-count", "pass", over=ADMINS, here={ADMINS: {"a": SUPER}}, says="fewer than two"),
    Vector("iam-admin-count", "fail", over=ADMINS, here={ADMINS: dict.fromkeys("abcdef", SUPER)}),
    Vector("iam-admin-count", "not_evaluated", over=ADMINS, here={ADMINS: {"a": {"roles": DENIED}}}),
    Vector("iam-admin-count", "pass", over=GOOGLE, here={GOOGLE: {"a": person(admin=True), "b": person(admin=True)}}),
    Vector("iam-admin-count", "fail", over=GOOGLE, here={GOOGLE: dict.fromkeys("abcdef", person(admin=True))}),
    Vector(
        "iam-admin-count", "not_evaluated", over=GOOGLE, here={GOOGLE: {"a": person(admin=True)}},
        partial={GOOGLE: Gap(Reason.PARTIAL, "ListUsers", "TokenTwice")},
    ),
]  # fmt: skip
NEVER = {"iam-admin-count": "not_applicable: there is always somebody who administers"}
