"""People who come, leave and come from elsewhere; who outside may take a role."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.judging import DENIED
from tests.vectors import Vector

_SAML = "arn:aws:iam::123456789012:saml-provider/corporate"
_OIDC = "arn:aws:iam::123456789012:oidc-provider/"
_GITHUB = "token.actions.githubusercontent.com"
_INSTANCE = "arn:aws:sso:::instance/ssoins-1"
_ROLE = "arn:aws:iam::123456789012:role/r"
_OKTA = {"identity.okta.users": {}}
_ORGANISATION: dict[str, Any] = {
    "aws.organizations.accounts": {"a": {"id": "123456789012"}, "b": {"id": "222233334444"}},
    "aws.organizations.memberships": {
        "here": {"account": "123456789012", "organization": "o-exampleorg1", "management_account": "123456789012"}
    },
}
_VENDORS = {"docs.registers.vendors": {"1": {"name": "Watcher", "accounts": "999900001111; 999900002222"}}}
_MANY = {"docs.registers.vendors": {"1": {"name": "Watcher", "accounts": "999900001111", "multi_tenant_role": "yes"}}}


def _federations(**behind: str) -> dict[str, Any]:
    arns = {"saml": _SAML, "instance": _INSTANCE, "oidc": f"{_OIDC}idp.example.com"}
    return {"access": {"federations": {arns[name]: source for name, source in behind.items()}}}


def _federation(status: str, kind: str, name: str, key: str = _SAML, **more: Any) -> Vector:
    facts = {"kind": kind, "name": name, "url": None, "client_ids": []}
    return Vector("idp-federation-known", status, facts, over="aws.iam.federations", key=key, **more)


def _instance(status: str, people: Any, *, read_here: bool = True, **more: Any) -> Vector:
    facts = {"owner_account": "123456789012", "status": "ACTIVE", "read_here": read_here}
    here = {"aws.sso.users": people, **more.pop("here", {})}
    return Vector("idp-federation-known", status, facts, over="aws.sso.instances", key=_INSTANCE, here=here, **more)


def _person(status: str, facts: Mapping[str, Any], **more: Any) -> Vector:
    told = {"status": "ENABLED", "issuers": [], "instance": _INSTANCE, **facts}
    return Vector("idp-mfa-registered", status, told, over="aws.sso.users", key="d-1/ada", **more)


def _registered(mfa: str | None, on: str | None) -> dict[str, Any]:
    row = {"id": "p1", "mfa": mfa, "mfa_checked_on": on, "end_date": None, "names": ["p1"]}
    return {"docs.registers.people": {}, "aws.sso.identities": {"d-1/ada": {"persons": [row]}}}


def _trust(*principals: str, **condition: Any) -> dict[str, Any]:
    statement: dict[str, Any] = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": list(principals)}}
    return {"trust": {"Statement": [statement | ({"Condition": condition} if condition else {})]}, "tags": {}}


def _external(status: str, facts: Mapping[str, Any], says: str = "", **more: Any) -> Vector:
    return Vector("iam-trust-external", status, facts, key=_ROLE, here=more.pop("here", {}), says=says, **more)


def _pipeline(subject: str | list[str] | None, *, audience: str | None = "sts.amazonaws.com", issuer: str = _GITHUB,
              operator: str = "StringLike", **claims: str) -> dict[str, Any]:  # fmt: skip
    equals = {f"{issuer}:aud": audience} if audience else {}
    tests: dict[str, Any] = {
        "StringEquals": {**equals, **{f"{issuer}:{name}": value for name, value in claims.items()}}
    }
    if subject:
        tests[operator] = {**tests.get(operator, {}), f"{issuer}:sub": subject}
    statement = {
        "Effect": "Allow",
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": f"{_OIDC}{issuer}"},
        "Condition": tests,
    }
    return {"trust": {"Statement": statement}, "tags": {}}


def _scoped(status: str, facts: Mapping[str, Any], says: str = "", **more: Any) -> Vector:
    return Vector("iam-oidc-trust-scoped", status, facts, key=_ROLE, says=says, **more)


_TEST = {"environments": {"test:1": "staging"}}
"""The scope of a subject in these vectors, labelled."""

_FEDERATIONS = [
    _federation("pass", "saml", "corporate", here=_OKTA, settings=_federations(saml="identity:okta")),
    _federation("not_evaluated", "saml", "corporate", settings=_federations(saml="identity:okta"), says="not coll"),
    _federation("not_evaluated", "saml", "corporate", says="access.federations"),
    _federation("not_applicable", "oidc", _GITHUB, key=f"{_OIDC}{_GITHUB}"),
    _federation("not_applicable", "oidc", "oidc.eks.eu-west-1.amazonaws.com/id/AB", key=f"{_OIDC}eks"),
    *[
        _federation(status, "oidc", "idp.example.com", key=f"{_OIDC}idp.example.com", here={"aws.iam.roles": roles})
        for status, roles in (
            ("not_evaluated", {}),
            ("not_evaluated", DENIED),
            ("not_evaluated", {"a": _pipeline("somebody", issuer="idp.example.com")}),
            ("not_evaluated", {"a": _pipeline(None, issuer="idp.example.com")}),
            ("not_evaluated", {"a": _pipeline("system:serviceaccount:a:b")}),
            ("not_applicable", {"a": _pipeline("system:serviceaccount:a:b", issuer="idp.example.com")}),
        )
    ],
    _federation("not_applicable", "saml", "AWSSSO_0123abcd_DO_NOT_DELETE", here={"aws.sso.instances": {"i": {}}}),
    _federation("not_evaluated", "saml", "AWSSSO_0123abcd_DO_NOT_DELETE", here={"aws.sso.instances": {}}),
    _federation("not_evaluated", "saml", "AWSSSO_0123abcd_DO_NOT_DELETE", here={"aws.sso.instances": DENIED}),
    _instance("pass", {"a": {"instance": _INSTANCE, "issuers": []}}, says="1 people"),
    _instance("not_evaluated", {"a": {"instance": _INSTANCE, "issuers": ["idp.example.com"]}}, says="idp.example.com"),
    _instance("not_evaluated", DENIED),
    _instance("not_evaluated", {}, partial={"aws.sso.users": DENIED}),
    _instance("pass", DENIED, here=_OKTA, settings=_federations(instance="identity:okta"), says="identity:okta"),
    _instance("not_evaluated", {}, settings=_federations(instance="identity:entra"), says="identity:entra"),
    _instance("not_evaluated", {}, read_here=False, everywhere={"aws.sso.instances": {_INSTANCE: {"read_here": False}}},
              says="collect that account"),
    _instance("not_applicable", {}, read_here=False,
              everywhere={"aws.sso.instances": {_INSTANCE: {"read_here": True}}}),
]  # fmt: skip

_FACTORS = [
    _person("not_applicable", {"status": "DISABLED"}),
    _person("not_applicable", {}, here=_OKTA, settings=_federations(instance="identity:okta"), says="identity:okta"),
    _person("not_evaluated", {}, settings=_federations(instance="identity:okta"), says="not collected"),
    _person("not_evaluated", {"issuers": ["idp.example.com"]}, says="idp.example.com keeps"),
    _person("not_evaluated", {}, says="no API"),
    _person("not_evaluated", {"status": DENIED}),
    _person("pass", {}, here=_registered("yes", "2026-11-02"), says="self asserted"),
    _person("pass", {}, here=_registered("yes", "2026-07-01"), says="self asserted"),  # in the grace of the quarter
    _person("not_evaluated", {}, here=_registered("yes", "2026-06-30"), says="no API"),
    _person("not_evaluated", {}, here=_registered("yes", "2027-02-01"), says="no API"),  # not yet
    _person("fail", {}, here=_registered("no", None), says="no second factor"),
]

_EXTERNAL = [
    _external("not_applicable", _trust("arn:aws:iam::123456789012:root")),
    _external("not_applicable", _trust("222233334444"), here=_ORGANISATION),
    _external("not_applicable", _trust("333344445555"), settings={"own_accounts": ["333344445555"]}),
    _external("not_applicable", _trust("AROAEXAMPLE")),  # of a role that is gone
    _external("not_applicable", _trust("*", StringEquals={"aws:PrincipalOrgID": "o-exampleorg1"}), here=_ORGANISATION),
    _external("not_applicable", _trust("999900001111", StringEquals={"aws:PrincipalAccount": "123456789012"})),
    _external("pass", _trust("arn:aws:iam::999900002222:role/w"), "Watcher", here=_ORGANISATION | _VENDORS),
    _external("fail", _trust("999900003333"), "no vendor", here=_ORGANISATION | _VENDORS),
    _external("fail", _trust("999900001111"), "ExternalId", here=_MANY),
    _external("fail", _trust("999900001111", StringNotEquals={"sts:ExternalId": "x"}), "ExternalId", here=_MANY),
    _external("pass", _trust("999900001111", StringEquals={"sts:ExternalId": "x"}), here=_MANY),
    _external("not_evaluated", _trust("999900001111"), "vendors", here=_ORGANISATION),
    _external("not_evaluated", _trust("999900001111"), here=_VENDORS | {"aws.organizations.accounts": DENIED}),
    _external("not_evaluated", {"trust": DENIED}),
    _external("fail", _trust("*"), "every AWS account"),
    _external("fail", _trust("*", StringEqualsIfExists={"aws:PrincipalOrgID": "o-exampleorg1"}), "every AWS account"),
    _external("fail", _trust("*", StringEquals={"sts:ExternalId": "x"}), "every AWS account"),
    _external("fail", _trust("*", ArnLike={"aws:PrincipalArn": "arn:aws:iam::*:role/x"}), "every AWS account"),
    _external("fail", {"trust": {"Statement": [
        {"Effect": "Allow", "Action": "sts:*", "NotPrincipal": {"AWS": "123456789012"}}]}}, "every AWS account"),
    _external("fail", _trust("*", StringEquals={"aws:PrincipalOrgID": "o-anotherorg2"}), "o-anotherorg2",
              here=_ORGANISATION | _VENDORS),
    # A member account, whose organisation nobody who is collected may list.
    _external("not_evaluated", _trust("222233334444"), "accounts of the organisation", here=_VENDORS | {
        "aws.organizations.accounts": {},
        "aws.organizations.memberships": {"here": {"organization": "o-exampleorg1",
                                                   "management_account": "555566667777"}}}),
    # An account in no organisation.
    _external("pass", _trust("999900001111"), here=_VENDORS | {
        "aws.organizations.accounts": {},
        "aws.organizations.memberships": {"here": {"organization": None, "management_account": None}}}),
]  # fmt: skip

_OUTSIDERS = [
    Vector("vendor-seen-is-listed", status, {"account": account, "roles": [_ROLE]}, here=here, says=says)
    for status, account, here, says in (
        ("pass", "999900001111", _ORGANISATION | _VENDORS, "Watcher"),
        ("fail", "999900003333", _ORGANISATION | _VENDORS, "no vendor"),
        ("not_applicable", "222233334444", _ORGANISATION, "own"),
        ("not_evaluated", "999900001111", _ORGANISATION, "vendors"),
        ("not_evaluated", "999900001111", {"aws.organizations.accounts": DENIED}, ""),
    )
]

_PIPELINES = [
    _scoped("not_applicable", _trust("999900001111")),
    _scoped("not_applicable", _pipeline(None, issuer="idp.example.com"),
            settings=_federations(oidc="identity:okta")),
    _scoped("pass", _pipeline("repo:example/models:environment:production")),
    _scoped("pass", _pipeline("repo:example/models:ref:refs/heads/main", operator="StringEquals")),
    _scoped("pass", _pipeline("repo:example@1/models@2:ref:refs/tags/v*")),
    _scoped("fail", _pipeline("repo:example/models:*"), "no branch"),
    _scoped("pass", _pipeline("repo:example/models:*"), settings=_TEST),
    _scoped("fail", {**_pipeline("repo:example/models:*"), "tags": {"environment": "production"}}, settings=_TEST),
    _scoped("fail", _pipeline("repo:example/models:pull_request"), "no branch"),
    _scoped("fail", _pipeline("repo:example/*"), "repo:example/* names no", settings=_TEST),
    _scoped("fail", _pipeline("repo:example/models*"), settings=_TEST),
    _scoped("fail", _pipeline("*"), "begins with a wildcard", settings=_TEST),
    _scoped("fail", _pipeline(None), "no condition on the subject", settings=_TEST),
    _scoped("fail", _pipeline(["repo:example/models:environment:production", "repo:example/*"]), "repo:example/* "),
    _scoped("fail", _pipeline("repo:example/models:*", operator="ForAllValues:StringLike"), "no condition",
            settings=_TEST),
    _scoped("fail", _pipeline("repo:example/models:*", operator="StringLikeIfExists"), "no condition", settings=_TEST),
    _scoped("pass", _pipeline("repo:example/models:*", operator="ForAnyValue:StringLike"), settings=_TEST),
    _scoped("fail", _pipeline("repo:example/models:environment:production", audience=None), "audience"),
    _scoped("fail", _pipeline("repo:example/models:environment:production", audience=None,
                              operator="StringNotLike"), "audience"),
    _scoped("pass", _pipeline("repo:example/*", repository="example/models", environment="production")),
    _scoped("fail", _pipeline("repo:example/*", environment="production"), "names no organisation"),
    _scoped("pass", _pipeline("repo:example/models:*", ref="refs/heads/main")),
    _scoped("pass", _pipeline("system:serviceaccount:train:runner", issuer="oidc.eks.eu-west-1.amazonaws.com/id/AB")),
    _scoped("fail", _pipeline("system:serviceaccount:*:*", issuer="oidc.eks.eu-west-1.amazonaws.com/id/AB")),
    _scoped("fail", _pipeline("project_path:group/*:ref_type:branch:ref:main", issuer="gitlab.com")),
    _scoped("pass", _pipeline("project_path:group/sub/models:ref_type:branch:ref:main", issuer="git.example.com")),
    _scoped("pass", _pipeline("one-exact-subject", issuer="tokens.example.com")),
    _scoped("not_evaluated", _pipeline("worker-*", issuer="tokens.example.com"), "not known"),
    _scoped("fail", _pipeline("worker-*")),
    _scoped("not_evaluated", {"trust": DENIED, "tags": {}}),
    _scoped("not_evaluated", {**_pipeline("repo:example/models:*"), "tags": DENIED}),
]  # fmt: skip


def _account(status: str, state: str, collected: Any, **more: Any) -> Vector:
    key = "arn:aws:organizations::123456789012:account/o-1/222233334444"
    facts = {"id": "222233334444", "name": "models", "status": state}
    return Vector("asset-unknown-component", status, facts, key=key, here={"aws.iam.account": collected}, **more)


_ROOT = {"arn:aws:iam::222233334444:root": {}}
_ACCOUNTS = [
    _account("pass", "ACTIVE", _ROOT),
    _account("not_evaluated", "ACTIVE", {}, says="222233334444"),
    _account("not_evaluated", "ACTIVE", {}, partial={"aws.iam.account": DENIED}),
    _account("not_applicable", "SUSPENDED", {}),
    _account("not_applicable", "CLOSED", {}),
]


def _row(id: str = "p1", end: str | None = None) -> dict[str, Any]:
    return {"id": id, "end_date": end, "mfa": None, "mfa_checked_on": None, "names": [id]}


def _identity(
    check: str, status: str, rows: Any, *, person: bool = True, access: bool = True, says: str = ""
) -> Vector:
    facts = {"name": "ada", "is_person": person, "can_sign_in": access, "owner": None, "persons": rows}
    return Vector(check, status, facts, over="aws.iam.identities", says=says)


_LEAVER = "access-leaver-removed"
_ORPHAN = "access-no-orphan-identity"


def _removal(status: str, begin: str | None, end: str, rows: Any, *, person: bool = True, says: str = "") -> Vector:
    interval = {"not_before": begin, "not_after": end}
    facts = {"name": "ada", "is_person": person, "can_sign_in": False, "persons": rows, "interval": interval}
    return Vector(_LEAVER, status, facts, over="aws.sso.removals", says=says)


# The subject is judged on Friday 2027-01-15 at 08:00 UTC.
_LEAVERS = [
    _identity(_LEAVER, "not_applicable", [_row()]),
    _identity(_LEAVER, "not_applicable", [], access=False),
    _identity(_LEAVER, "not_applicable", [_row(end="2027-03-31")]),
    _identity(
        _LEAVER, "not_applicable", [_row(end="2027-01-14")], says="not of a leaver"
    ),  # a day that ends last at 12:00
    _identity(_LEAVER, "not_applicable", [_row(end="2027-01-13")], says="due to end by 2027-01-15T12:00:00Z"),
    _identity(_LEAVER, "fail", [_row(end="2027-01-12")], says="due to end by 2027-01-14T12:00:00Z"),
    _identity(_LEAVER, "fail", [_row(end="2027-01-08")], says="still has access"),  # a Friday: due on Monday
    _identity(_LEAVER, "not_evaluated", [], says="no row"),
    _identity(_LEAVER, "not_applicable", [], person=False),
    _identity(_LEAVER, "not_evaluated", None, says="not seen: docs.registers.people"),
    _removal("pass", "2027-01-10T00:00:00Z", "2027-01-11T00:00:00Z", [_row(end="2027-01-08")]),
    _removal("fail", "2027-01-13T00:00:00Z", "2027-01-14T00:00:00Z", [_row(end="2027-01-08")]),
    _removal(
        "not_evaluated", "2027-01-11T00:00:00Z", "2027-01-14T00:00:00Z", [_row(end="2027-01-08")], says="may have"
    ),
    _removal("not_evaluated", None, "2027-01-14T00:00:00Z", [_row(end="2027-01-08")], says="may have"),
    _removal("not_evaluated", "2027-01-10T00:00:00Z", "2027-01-11T00:00:00Z", [_row()], says="no last day"),
    _removal("not_applicable", "2026-10-01T00:00:00Z", "2026-10-02T00:00:00Z", [_row()], says="listed"),
    _removal("not_applicable", "2027-01-10T00:00:00Z", "2027-01-11T00:00:00Z", [], person=False),
    _removal("not_evaluated", "2027-01-10T00:00:00Z", "2027-01-11T00:00:00Z", None),
    _identity(_ORPHAN, "pass", [_row()], says="of p1"),
    _identity(_ORPHAN, "pass", [_row("p1", "2026-01-01"), _row("p2")], says="of p2"),
    _identity(_ORPHAN, "fail", [], says="of nobody"),
    _identity(_ORPHAN, "fail", [_row(end="2026-01-01")], says="of nobody"),
    _identity(_ORPHAN, "fail", [_row("p1"), _row("p2")], says="more than one"),
    _identity(_ORPHAN, "pass", [_row("p1"), _row("p2")], person=False, says="owned by p1, p2"),
    _identity(_ORPHAN, "fail", [], person=False, says="without a current owner"),
    _identity(_ORPHAN, "not_applicable", [], access=False),
    _identity(_ORPHAN, "not_evaluated", None),
]


def _request(by: str | None = "boss", begin: str | None = "2027-01-02T00:00:00Z", end: str = "2027-01-03T00:00:00Z",
             system: str = "AWS", role: str | None = "staff", requester: str = "lead") -> dict[str, Any]:  # fmt: skip
    told = {"id": "r1", "requester": requester, "subject": "ada", "system": system, "role": role, "approved_by": by}
    return {**told, "not_before": begin, "not_after": end}


def _grant(status: str, *requests: Any, known: str | None = "2027-01-14T00:00:00Z", role: str | None = "staff",
           says: str = "", kept: bool = True) -> Vector:  # fmt: skip
    facts = {
        "what": "group staff",
        "role": role,
        "subject": "ada",
        "names": ["ada", "ada@example.com"],
        "systems": ["aws", "iam"],
        "interval": {"not_before": "2027-01-10T00:00:00Z", "not_after": "2027-01-11T00:00:00Z"},
        "requests": list(requests),
        "requests_known_until": known,
    }
    here = {"docs.registers.access_requests": {}} if kept else {}
    return Vector("access-grant-has-request", status, facts, over="aws.iam.grants", here=here, says=says)


_GRANTS = [
    _grant("pass", _request(), says="approved by boss before"),
    _grant("pass", _request(begin=None), says="approved by boss before"),  # in the register when first read
    _grant("fail", says="no request names ada"),
    _grant("fail", _request(system="Payroll"), says="no request names ada"),
    _grant("not_evaluated", _request(role="billing"), says="do not name staff"),
    _grant("pass", _request(role=None), role=None),
    _grant("fail", _request(by=None), says="not approved"),
    _grant("fail", _request(by="lead"), says="own requester"),
    _grant("fail", _request(by="Ada@example.com"), says="own requester or subject"),
    _grant("fail", _request(begin="2027-01-12T00:00:00Z", end="2027-01-13T00:00:00Z"), says="approved after"),
    _grant("not_evaluated", _request(begin="2027-01-09T00:00:00Z", end="2027-01-12T00:00:00Z"), says="order not"),
    _grant("not_evaluated", _request(begin=None, end="2027-01-12T00:00:00Z"), says="an unknown time"),
    _grant("pass", _request(by=None), _request(), says="before the grant"),
    _grant("not_evaluated", known="2027-01-10T12:00:00Z", says="not read since"),
    _grant("not_evaluated", known=None, says="not read since"),
    _grant("not_evaluated", kept=False, says="access_requests"),
]

VECTORS = [*_FEDERATIONS, *_FACTORS, *_EXTERNAL, *_OUTSIDERS, *_PIPELINES, *_ACCOUNTS, *_LEAVERS, *_GRANTS]
NEVER = {
    "access-grant-has-request": "not_applicable: a grant is of a person; none in the period is a population of 0",
    "asset-unknown-component": "fail: what is not collected was not judged, which is a gap and no deviation",
    "idp-federation-known": "fail: people behind an unknown federation are unseen, which is a gap and no deviation",
}
