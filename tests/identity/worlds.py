"""A good and a bad directory of each provider: the same people, every setting the other way round."""

from __future__ import annotations

from typing import Any

from tests.identity.directory import OKTA

NOW = "2026-11-01T08:00:00.000Z"


def okta(*, good: bool) -> dict[str, Any]:
    """Two people, a group, an app that leads to AWS, its policy, one administrator."""
    people = [_okta_user("ada", good=good), _okta_user("bob", good=good)]
    factors = [{"id": "f1", "factorType": "token:software:totp", "status": "ACTIVE" if good else "PENDING_ACTIVATION"}]
    rule = {
        "id": "r1", "name": "Catch-all", "priority": 99, "status": "ACTIVE", "type": "ACCESS_POLICY",
        "actions": {"appSignOn": {"access": "ALLOW", "verificationMethod": {
            "type": "ASSURANCE", "factorMode": "2FA" if good else "1FA"}}},
    }  # fmt: skip
    app = {
        "id": "a1", "name": "amazon_aws_sso", "label": "AWS", "status": "ACTIVE", "signOnMode": "SAML_2_0",
        "_links": {"accessPolicy": {"href": f"{OKTA}/api/v1/policies/p1"}},
    }  # fmt: skip
    role = {"id": "o1", "type": "USER_ADMIN" if good else "SUPER_ADMIN", "status": "ACTIVE", "assignmentType": "USER",
            "label": "x", "created": NOW, "lastUpdated": NOW}  # fmt: skip
    return {
        "/api/v1/users": people,
        "/api/v1/users/ada/factors": factors,
        "/api/v1/users/bob/factors": factors,
        "/api/v1/users/ada/roles": [role],
        "/api/v1/groups": [{"id": "g1", "type": "OKTA_GROUP", "profile": {"name": "ml"}}],
        "/api/v1/groups/g1/users": people[: 1 if good else 2],
        "/api/v1/apps": [app],
        "/api/v1/apps/a1/users": [{"id": "ada", "status": "ACTIVE"}],
        "/api/v1/apps/a1/groups": [{"id": "g1"}],
        "/api/v1/policies": [{"id": "p1", "name": "AWS", "status": "ACTIVE", "type": "ACCESS_POLICY"}],
        "/api/v1/policies/p1/rules": [rule],
        "/api/v1/iam/assignees/users": {"value": [{"id": "ada"}]},
    }


def google(*, good: bool) -> dict[str, Any]:
    """Two people, a group, one administrator."""
    base = "/admin/directory/v1"
    return {
        f"{base}/users": {
            "kind": "admin#directory#users",
            "users": [_google_user("ada", good=good), _google_user("bob", good=good)],
        },
        f"{base}/groups": {
            "kind": "admin#directory#groups",
            "groups": [{"id": "g1", "email": "ml@example.com", "name": "ml"}],
        },
        f"{base}/groups/g1/members": {
            "kind": "admin#directory#members",
            "members": [{"id": who} for who in (("ada",) if good else ("ada", "bob"))],
        },
        f"{base}/customer/my_customer/roles": {
            "kind": "admin#directory#roles",
            "items": [{"roleId": "1", "roleName": "_SEED_ADMIN_ROLE", "isSuperAdminRole": True}],
        },
        f"{base}/customer/my_customer/roleassignments": {
            "kind": "admin#directory#roleAssignments",
            "items": [{"roleId": "1", "assignedTo": "ada", "scopeType": "CUSTOMER"}],
        },
    }


WORLDS = {"okta": okta, "google": google}


def _okta_user(name: str, *, good: bool) -> dict[str, Any]:
    profile = {"login": f"{name}@example.com", "email": f"{name}@example.com", "firstName": name, "lastName": "X"}
    return {"id": name, "status": "ACTIVE", "created": "2025-01-01T00:00:00.000Z", "profile": profile,
            "lastLogin": NOW if good else "2025-02-01T00:00:00.000Z"}  # fmt: skip


def _google_user(name: str, *, good: bool) -> dict[str, Any]:
    return {
        "id": name, "primaryEmail": f"{name}@example.com", "name": {"fullName": name}, "suspended": False,
        "archived": False, "isAdmin": not good, "isDelegatedAdmin": False, "isEnrolledIn2Sv": good,
        "isEnforcedIn2Sv": good, "creationTime": "2025-01-01T00:00:00.000Z",
        "lastLoginTime": NOW if good else "1970-01-01T00:00:00.000Z",
    }  # fmt: skip
