"""Okta: people and their factors, groups, apps with who reaches them, policies, administrators (Management API v1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agent.collect import spread
from agent.model import Gap, Reason, Record, SourceError
from agent.registry import stream
from collectors.identity.rest import Directory

_USERS = {"ListUsers": "okta.users.read"}
_STATUSES = {"SUSPENDED": "suspended", "STAGED": "staged", "PROVISIONED": "staged", "DEPROVISIONED": "deactivated"}
"""Okta's status -> ours; whoever is locked out, in recovery or has an expired password has an account in force."""

_PAGE = 200


@stream(
    "identity.okta.users", per="okta", every="1d", unordered=["/factors"], personal=True,
    needs=_USERS | {"ListFactors": "okta.users.read"},
)  # fmt: skip
def users(directory: Directory) -> Iterator[Record | Gap]:
    """People of the directory with the second factors that are active.

    Deactivated people are not listed. Only a call per person lists factors (GET /api/v1/users/{id}/factors).
    """

    def describe(user: Mapping[str, Any]) -> Record | None:
        profile = user["profile"]
        factors = _factors(directory, user["id"])
        if isinstance(factors, Gap) and factors.code == "E0000007":
            return None  # deleted after it was listed
        return Record(
            user["id"],
            {
                "id": user["id"],
                "mail": profile.get("email"),
                "aliases": sorted({profile["login"], profile.get("secondEmail")} - {profile.get("email"), None}),
                "name": f"{profile.get('firstName') or ''} {profile.get('lastName') or ''}".strip(),
                "kind": "human",
                "status": _STATUSES.get(user["status"], "active"),
                "state": user["status"],
                "factors": factors,
                "second_factor": factors if isinstance(factors, Gap) else bool(factors),
                "created": user["created"],
            },
        )

    for record in spread(describe, _users(directory)):
        if record is not None:
            yield record


@stream("identity.okta.usage", per="okta", every="1d", needs=_USERS, personal=True)
def usage(directory: Directory) -> Iterator[Record | Gap]:
    """When each person last signed in, to the day."""
    for user in _users(directory):
        last = user.get("lastLogin")
        yield Record(
            user["id"],
            {
                "mail": user["profile"].get("email"),
                "status": _STATUSES.get(user["status"], "active"),
                "created": user["created"],
                "last_sign_in": last[:10] if last else None,
            },
        )


@stream(
    "identity.okta.groups", per="okta", every="1d", unordered=["/members"],
    needs={"ListGroups": "okta.groups.read", "ListGroupUsers": "okta.groups.read"},
)  # fmt: skip
def groups(directory: Directory) -> Iterator[Record | Gap]:
    """Groups with their members."""

    def describe(group: Mapping[str, Any]) -> Record:
        members = _ids(directory, "ListGroupUsers", f"/api/v1/groups/{group['id']}/users")
        return Record(
            group["id"],
            {"id": group["id"], "name": group["profile"]["name"], "kind": group["type"], "members": members},
        )

    yield from spread(describe, directory.linked("ListGroups", "/api/v1/groups", limit=_PAGE))


@stream(
    "identity.okta.apps", per="okta", every="1d", unordered=["/users", "/groups"],
    needs={
        "ListApplications": "okta.apps.read",
        "ListApplicationUsers": "okta.apps.read",
        "ListApplicationGroups": "okta.apps.read",
    },
)  # fmt: skip
def apps(directory: Directory) -> Iterator[Record | Gap]:
    """Apps that people sign in to, who is assigned, and the policy that lets them in."""

    def describe(app: Mapping[str, Any]) -> Record:
        base = f"/api/v1/apps/{app['id']}"
        policy = app.get("_links", {}).get("accessPolicy", {}).get("href", "")
        return Record(
            app["id"],
            {
                "name": app["name"],
                "label": app["label"],
                "status": app["status"],
                "sign_on": app.get("signOnMode"),
                "policy": policy.rpartition("/")[2] or None,
                "users": _ids(directory, "ListApplicationUsers", f"{base}/users", limit=500),
                "groups": _ids(directory, "ListApplicationGroups", f"{base}/groups"),
            },
        )

    yield from spread(describe, directory.linked("ListApplications", "/api/v1/apps", limit=_PAGE))


@stream(
    "identity.okta.policies", per="okta", every="1d", unordered=["/rules"],
    needs={"ListPolicies": "okta.policies.read", "ListPolicyRules": "okta.policies.read"},
)  # fmt: skip
def policies(directory: Directory) -> Iterator[Record | Gap]:
    """Policies of signing in to apps, with their rules in order."""

    def describe(policy: Mapping[str, Any]) -> Record:
        listed = directory.linked("ListPolicyRules", f"/api/v1/policies/{policy['id']}/rules")
        try:
            rules: list[dict[str, Any]] | Gap = [_rule(rule) for rule in listed]
        except SourceError as error:
            rules = error.gap
        return Record(policy["id"], {"name": policy["name"], "status": policy["status"], "rules": rules})

    listed = directory.linked("ListPolicies", "/api/v1/policies", type="ACCESS_POLICY")
    yield from spread(describe, listed)


@stream(
    "identity.okta.admins", per="okta", every="1d", unordered=["/roles"],
    needs={"ListAssignees": "okta.roles.read", "ListRoles": "okta.roles.read"},
)  # fmt: skip
def admins(directory: Directory) -> Iterator[Record | Gap]:
    """Who holds administrator roles, by themselves or through a group."""

    def describe(user: Mapping[str, Any]) -> Record:
        listed = directory.linked("ListRoles", f"/api/v1/users/{user['id']}/roles")
        try:
            roles: list[dict[str, Any]] | Gap = [
                {"type": role["type"], "status": role.get("status"), "by": role.get("assignmentType")}
                for role in listed
            ]
        except SourceError as error:
            roles = error.gap
        return Record(user["id"], {"holder": user["id"], "roles": roles})

    yield from spread(describe, _assignees(directory))


def _assignees(directory: Directory) -> Iterator[Mapping[str, Any]]:
    """Users with a role of administration: this listing has its page token inside (`_links.next`)."""
    after: dict[str, str] = {}
    seen: set[str] = set()
    while True:
        page = directory.get("ListAssignees", "/api/v1/iam/assignees/users", limit=100, **after)
        yield from page["value"]
        following = page.get("_links", {}).get("next", {}).get("href", "")
        token = following.partition("after=")[2].partition("&")[0]
        if not token:
            return
        if token in seen:
            raise SourceError(Gap(Reason.PARTIAL, "ListAssignees", "TokenTwice", "okta.roles.read"))
        seen.add(token)
        after = {"after": token}


def _users(directory: Directory) -> Iterator[Any]:
    return directory.linked("ListUsers", "/api/v1/users", limit=_PAGE)


def _factors(directory: Directory, user: str) -> list[str] | Gap:
    """Kinds of the active factors beyond password and security question."""
    try:
        listed = list(directory.linked("ListFactors", f"/api/v1/users/{user}/factors"))
    except SourceError as error:
        return error.gap
    return sorted({f["factorType"] for f in listed if f["status"] == "ACTIVE" and f["factorType"] != "question"})


def _ids(directory: Directory, operation: str, path: str, limit: int = _PAGE) -> list[str] | Gap:
    try:
        return [each["id"] for each in directory.linked(operation, path, limit=limit)]
    except SourceError as error:
        return error.gap


def _rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    """What decides whether a rule lets somebody in without a second factor."""
    signing = rule["actions"]["appSignOn"]
    method = signing.get("verificationMethod") or {}
    people = (rule.get("conditions") or {}).get("people") or {}
    return {
        "name": rule["name"],
        "priority": rule["priority"],
        "status": rule["status"],
        "access": signing["access"],
        "method": method.get("type"),
        "factors": method.get("factorMode"),
        "people": {
            kind: {part: sorted((people.get(kind) or {}).get(part) or []) for part in ("include", "exclude")}
            for kind in ("users", "groups")
        },
    }
