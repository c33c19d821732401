"""Two directories in place of Google's and Okta's: answers checked against the vendors' own schemas, and faults.

Checked against: Google's discovery document of directory_v1 as shipped with google-api-python-client,
and the models of Okta's SDK, which Okta generates from its API description.
"""

from __future__ import annotations

import importlib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from requests.adapters import BaseAdapter

from agent import clock
from agent.collect import collect
from agent.model import Snapshot, Target
from agent.redact import Redactor
from agent.registry import discover
from collectors.identity import IdentitySource
from collectors.identity.rest import session

OKTA, GOOGLE = "https://example.okta.test", "https://admin.google.test"
STREAMS = {name: spec for name, spec in discover().streams.items() if name.startswith("identity.")}
_OPERATIONS = {
    "okta": {
        r"/api/v1/users": "ListUsers",
        r"/api/v1/users/[^/]+/factors": "ListFactors",
        r"/api/v1/users/[^/]+/roles": "ListRoles",
        r"/api/v1/groups": "ListGroups",
        r"/api/v1/groups/[^/]+/users": "ListGroupUsers",
        r"/api/v1/apps": "ListApplications",
        r"/api/v1/apps/[^/]+/users": "ListApplicationUsers",
        r"/api/v1/apps/[^/]+/groups": "ListApplicationGroups",
        r"/api/v1/policies": "ListPolicies",
        r"/api/v1/policies/[^/]+/rules": "ListPolicyRules",
        r"/api/v1/iam/assignees/users": "ListAssignees",
    },
    "google": {
        r"/admin/directory/v1/users": "ListUsers",
        r"/admin/directory/v1/groups": "ListGroups",
        r"/admin/directory/v1/groups/[^/]+/members": "ListMembers",
        r"/admin/directory/v1/customer/my_customer/roles": "ListRoles",
        r"/admin/directory/v1/customer/my_customer/roleassignments": "ListRoleAssignments",
    },
}
_OKTA_MODELS = {
    "ListUsers": "user.User",
    "ListFactors": "user_factor.UserFactor",
    "ListGroups": "group.Group",
    "ListGroupUsers": "user.User",
    "ListApplications": "application.Application",
    "ListApplicationUsers": "app_user.AppUser",
    "ListApplicationGroups": "application_group_assignment.ApplicationGroupAssignment",
    "ListPolicies": "access_policy.AccessPolicy",
    "ListPolicyRules": "access_policy_rule.AccessPolicyRule",
    "ListRoles": "standard_role.StandardRole",
}
_GOOGLE_SCHEMAS = {
    "ListUsers": "Users",
    "ListGroups": "Groups",
    "ListMembers": "Members",
    "ListRoles": "Roles",
    "ListRoleAssignments": "RoleAssignments",
}

Answers = Mapping[str, Any]


class Web(BaseAdapter):
    """Answers requests from a mapping path -> body; one operation may go wrong."""

    def __init__(self, provider: str, answers: Answers, operation: str = "", fault: str = "") -> None:
        super().__init__()
        self.provider, self.answers, self.operation, self.fault = provider, answers, operation, fault
        self.asked: Counter[str] = Counter()
        self.sent: list[requests.PreparedRequest] = []
        self.cut = False
        for path, body in answers.items():
            check_schema(provider, self.named(path), body)

    def named(self, path: str) -> str:
        """The operation of a path."""
        return next(name for route, name in _OPERATIONS[self.provider].items() if re.fullmatch(route, path))

    def send(self, request: Any, **_: Any) -> requests.Response:
        """The answer, or what the fault makes of it."""
        self.sent.append(request)
        parts = urlsplit(request.url)
        name = self.named(parts.path)
        self.asked[name] += 1
        if name == self.operation:
            return self._wrong(request, parts.path, parse_qs(parts.query))
        return answer(request, 200, self.answers[parts.path])

    def _wrong(self, request: Any, path: str, query: Mapping[str, Any]) -> requests.Response:
        if self.fault == "timeout":
            raise requests.ReadTimeout
        if self.fault == "denied":
            google = {"error": {"code": 403, "errors": [{"reason": "forbidden"}], "message": "no"}}
            return answer(request, 403, google if self.provider == "google" else {"errorCode": "E0000006"})
        if self.fault == "throttled":
            return answer(request, 429, {"errorCode": "E0000047"}, {"Retry-After": "1"})
        if self.fault == "malformed":
            return answer(request, 200, b"<html>")
        if "pageToken" in query or "after" in query:
            return answer(request, 500, {})
        return self._short(request, path)

    def _short(self, request: Any, path: str) -> requests.Response:
        """A page that lacks its last element and says that there is more."""
        body = json.loads(json.dumps(self.answers[path]))
        self.cut = True
        if isinstance(body, list):
            link = f'<{OKTA}{path}?after=x>; rel="next"'
            return answer(request, 200, body[:-1], {"Link": link})
        for value in body.values():
            if isinstance(value, list):
                del value[-1:]
        more = {"nextPageToken": "x"} if self.provider == "google" else {
            "_links": {"next": {"href": f"{OKTA}{path}?after=x"}}}  # fmt: skip
        return answer(request, 200, body | more)

    def close(self) -> None:
        """Nothing is open."""


def answer(request: Any, status: int, body: Any, headers: Mapping[str, str] | None = None) -> requests.Response:
    """An HTTP answer with a JSON body (or these bytes)."""
    made = requests.Response()
    made.status_code, made.url, made.request = status, request.url, request
    made.headers.update({"Content-Type": "application/json", **(headers or {})})
    made._content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return made


def source(web: Web, pauses: list[float] | None = None) -> IdentitySource:
    """The real source whose only connection leads to `web`."""
    google = SimpleNamespace(admin="reader@example.com", credentials="env:KEY", customer="my_customer")
    okta = SimpleNamespace(url=OKTA, token="env:TOKEN")
    settings = SimpleNamespace(
        google=google if web.provider == "google" else None, okta=okta if web.provider == "okta" else None
    )
    pause: Callable[[float], None] = ([] if pauses is None else pauses).append
    made = IdentitySource(settings, lambda _reference: "00secret-token", google_api=GOOGLE, pause=pause)
    http = session()
    http.headers["Authorization"] = "SSWS 00secret-token"
    http.mount("https://", web)
    made._sessions[web.provider] = http
    return made


def poll(name: str, of: IdentitySource) -> Snapshot:
    """One poll of a stream."""
    spec = STREAMS[name]
    target = Target(name, of.scopes(spec.per)[0], spec.kind, spec.every_s, spec.collector)
    return collect(target, spec, of, Redactor(b"k" * 32, []), now=clock.now_ms)


def check_schema(provider: str, operation: str, body: Any) -> None:
    """AssertionError for a member that the vendor's schema does not have, or of another type."""
    if provider == "google":
        _google(_GOOGLE_SCHEMAS[operation], body, operation)
    elif operation == "ListAssignees":
        _okta("role_assigned_users.RoleAssignedUsers", body)
    else:
        for each in body:
            _okta(_OKTA_MODELS[operation], each)


def _okta(name: str, body: Mapping[str, Any]) -> None:
    module, _, model = name.rpartition(".")
    known = getattr(importlib.import_module(f"okta.models.{module}"), model)
    made = known.from_dict(body)
    names = {field.alias or key for key, field in type(made).model_fields.items()}
    assert set(body) <= names, f"{model} has no {sorted(set(body) - names)}"


@cache
def _discovery() -> Any:
    import googleapiclient.discovery_cache as cached

    file = Path(str(cached.__file__)).parent / "documents" / "admin.directory_v1.json"
    return json.loads(file.read_text(encoding="utf-8"))["schemas"]


_TYPES = {"string": str, "boolean": bool, "integer": int, "array": list, "object": dict}


def _google(schema: str, body: Mapping[str, Any], at: str) -> None:
    members = _discovery()[schema]["properties"]
    for name, value in body.items():
        assert name in members, f"{at}: {schema} has no {name}"
        wanted = members[name]
        assert isinstance(value, _TYPES.get(wanted.get("type", ""), object)), f"{at}.{name}: {value!r}"
        for each in value if isinstance(value, list) else [value]:
            inner = wanted.get("items", wanted).get("$ref")
            if inner:
                _google(inner, each, f"{at}.{name}")
