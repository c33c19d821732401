"""Google Workspace and Cloud Identity: people, groups and administrators (Admin SDK, directory_v1).

Google's second factors are Google's own: where another provider signs people in, they say nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agent.collect import spread
from agent.model import Gap, Record, SourceError
from agent.registry import stream
from collectors.identity.rest import Directory

_API = "/admin/directory/v1"
_USERS = {"ListUsers": "admin.directory.user.readonly"}
_NEVER = "1970-01-01T00:00:00.000Z"


@stream("identity.google.users", per="google", every="1d", needs=_USERS, unordered=["/aliases"], personal=True)
def users(directory: Directory) -> Iterator[Record | Gap]:
    """People of the directory, with second factor and whether it is demanded."""
    for user in _users(directory):
        yield Record(
            user["id"],
            {
                "id": user["id"],
                "mail": user["primaryEmail"],
                "aliases": [*user.get("aliases", []), *user.get("nonEditableAliases", [])],
                "name": user.get("name", {}).get("fullName"),
                "kind": "human",
                "status": _status(user),
                "factors": ["two-step verification"] if user["isEnrolledIn2Sv"] else [],
                "second_factor": user["isEnrolledIn2Sv"],
                "enforced": user["isEnforcedIn2Sv"],
                "admin": user["isAdmin"],
                "delegated_admin": user.get("isDelegatedAdmin", False),
                "created": user["creationTime"],
            },
        )


@stream("identity.google.usage", per="google", every="1d", needs=_USERS, personal=True)
def usage(directory: Directory) -> Iterator[Record | Gap]:
    """When each person last signed in, to the day (users.list)."""
    for user in _users(directory):
        last = user.get("lastLoginTime")
        yield Record(
            user["id"],
            {
                "mail": user["primaryEmail"],
                "status": _status(user),
                "created": user["creationTime"],
                "last_sign_in": None if last in (None, _NEVER) else last[:10],
            },
        )


@stream(
    "identity.google.groups", per="google", every="1d", unordered=["/members"],
    needs={"ListGroups": "admin.directory.group.readonly", "ListMembers": "admin.directory.group.readonly"},
)  # fmt: skip
def groups(directory: Directory) -> Iterator[Record | Gap]:
    """Groups with their members, people and groups alike (groups.list, members.list)."""

    def describe(group: Mapping[str, Any]) -> Record | Gap:
        members = directory.listed("ListMembers", f"{_API}/groups/{group['id']}/members", "members", maxResults=200)
        facts = {"id": group["id"], "name": group.get("name"), "mail": group["email"]}
        try:
            found: list[str] | Gap = [member["id"] for member in members]
        except SourceError as error:
            found = error.gap
        return Record(group["id"], {**facts, "members": found})

    customer = directory.detail["customer"]
    yield from spread(
        describe, directory.listed("ListGroups", f"{_API}/groups", "groups", customer=customer, maxResults=200)
    )


@stream(
    "identity.google.admins", per="google", every="1d", unordered=["/roles"],
    needs={
        "ListRoles": "admin.directory.rolemanagement.readonly",
        "ListRoleAssignments": "admin.directory.rolemanagement.readonly",
    },
)  # fmt: skip
def admins(directory: Directory) -> Iterator[Record | Gap]:
    """Who holds which administrator role (roles.list, roleAssignments.list)."""
    base = f"{_API}/customer/{directory.detail['customer']}"
    roles = {role["roleId"]: role for role in directory.listed("ListRoles", f"{base}/roles", "items", maxResults=100)}
    held: dict[str, list[dict[str, Any]]] = {}
    for given in directory.listed("ListRoleAssignments", f"{base}/roleassignments", "items", maxResults=200):
        role = roles.get(given["roleId"], {})
        told = {"name": role.get("roleName"), "super": role.get("isSuperAdminRole", False), "of": given["scopeType"]}
        held.setdefault(given["assignedTo"], []).append(told)
    for holder, names in sorted(held.items()):
        yield Record(holder, {"holder": holder, "roles": names})


def _users(directory: Directory) -> Iterator[Any]:
    customer = directory.detail["customer"]
    return directory.listed(
        "ListUsers", f"{_API}/users", "users", customer=customer, projection="basic", maxResults=500
    )  # fmt: skip


def _status(user: Mapping[str, Any]) -> str:
    if user["suspended"]:
        return "suspended"
    return "deactivated" if user.get("archived") else "active"
