"""Access that people were given since the first poll, and the requests there are for it: derived from history.

A grant is what appeared: a sign-in, a first key, a membership, a permission set. Rotating a key gives
nobody anything new. What the first complete poll shows was there before and is no grant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agent.clock import iso, parse_iso
from agent.facts import Context, Facts
from agent.guard import attempt
from agent.history import MISSING, Change, History, Version
from agent.model import PollStatus, Record
from agent.registry import derived
from checks.joined.identities import GOOGLE, IAM, OKTA, ROOT, SSO, Form, has_password, interval
from checks.joined.persons import Directory, directory, folded, persons

REQUESTS = "docs.registers.access_requests"


@dataclass(frozen=True, slots=True)
class Grant:
    """What somebody got, and when."""

    what: str
    """In words, `group staff`."""
    role: str | None
    """What a request has to name for it; None where asking for access is enough."""
    names: list[Any]
    """The names of whoever got it, the main one first."""
    seen: Version | Change
    recorded: str | None = None
    """When, where the source itself says so."""


@derived("aws.iam.grants", of=("aws.iam.credentials", "aws.iam.users"))
def iam_grants(history: History, ctx: Context) -> Iterator[Record]:
    """Sign-ins, first keys, groups and policies that people got as IAM users."""
    people: dict[str, list[Any]] = {}
    found = list(_credentials(history, people))
    for facet, kind in (("groups", "group"), ("attached", "policy"), ("inline", "policy")):
        for change in history.changes("aws.iam.users", facet):
            if change.key in people:
                for name in _added(change):
                    short = name.rpartition("/")[2]
                    found.append(Grant(f"{kind} {short}", short, people[change.key], change))
    yield from _told(found, ("aws", "iam"), history, ctx)


@derived("aws.sso.grants", of=("aws.sso.users", "aws.sso.groups", "aws.sso.permission_sets", "aws.sso.assignments"))
def sso_grants(history: History, ctx: Context) -> Iterator[Record]:
    """Accounts, memberships and permission sets that people got in Identity Center."""
    users: dict[str, list[Any]] = {}
    groups = {str(v.facts.seen("id", "")): str(v.facts.seen("name", "")) for v in _newest(history, "aws.sso.groups")}
    sets = {v.key: str(v.facts.seen("name", "")) for v in _newest(history, "aws.sso.permission_sets")}
    found = [*_accounts(history, SSO, users), *_memberships(history, "aws.sso.groups", users)]
    for version in history.versions("aws.sso.assignments"):
        if version.facts is not None and _is_new(version):
            told = version.facts
            holder, name = str(told["principal_id"]), sets.get(told["permission_set"]) or str(told["permission_set"])
            whose = users.get(holder, [holder]) if told["principal_type"] == "USER" else [groups.get(holder), holder]
            found.append(Grant(f"permission set {name} in account {told['account']}", name, whose, version))
    yield from _told(found, ("aws", "sso", "identity center"), history, ctx)


@derived("identity.google.grants", of=("identity.google.users", "identity.google.groups"))
def google_grants(history: History, ctx: Context) -> Iterator[Record]:
    """Accounts and memberships that people got in the Google directory."""
    yield from _told(_in_directory(history, GOOGLE, "identity.google.groups"), ("google", "workspace"), history, ctx)


@derived("identity.okta.grants", of=("identity.okta.users", "identity.okta.groups"))
def okta_grants(history: History, ctx: Context) -> Iterator[Record]:
    """Accounts and memberships that people got in Okta."""
    yield from _told(_in_directory(history, OKTA, "identity.okta.groups"), ("okta",), history, ctx)


def _in_directory(history: History, form: Form, groups: str) -> list[Grant]:
    users: dict[str, list[Any]] = {}
    return [*_accounts(history, form, users), *_memberships(history, groups, users)]


def _credentials(history: History, people: dict[str, list[Any]]) -> Iterator[Grant]:
    """Passwords and first keys; `people` is filled with the IAM users that ever had a password."""
    before: dict[str, Facts] = {}
    for version in history.versions(IAM.stream):
        user, was = version.facts, before.pop(version.key, None)
        if user is None or user.seen("user", ROOT) == ROOT:
            continue
        before[version.key] = user
        if has_password(user):
            people[version.key] = IAM.names(user)
        if not _is_new(version):
            continue
        if has_password(user) and not (was and has_password(was)):
            yield Grant("console sign-in", None, IAM.names(user), version, user.text("password_last_changed"))
        key = _key(user)
        if key and version.key in people and not (was and _key(was)):
            yield Grant("access key", None, people[version.key], version, user.text(f"access_key_{key}_last_rotated"))


def _key(user: Facts) -> int | None:
    """Number of the first active access key."""
    return next((n for n in (1, 2) if user.seen(f"access_key_{n}_active", "") == "true"), None)


def _accounts(history: History, form: Form, people: dict[str, list[Any]]) -> Iterator[Grant]:
    """People who came, or may sign in again; `people` is filled with the names of all, by id."""
    could: set[str] = set()
    for version in history.versions(form.stream):
        user = version.facts
        if user is not None and form.is_person(user):
            people[str(user.seen("id", version.key))] = form.names(user)
        if user is None or not form.can_sign_in(user):
            could.discard(version.key)
        elif version.key not in could:
            could.add(version.key)
            if form.is_person(user) and _is_new(version):
                yield Grant("account", None, form.names(user), version, user.seen("created", None))


def _memberships(history: History, stream: str, users: Mapping[str, list[Any]]) -> Iterator[Grant]:
    names = {v.key: str(v.facts.seen("name", v.key)) for v in _newest(history, stream)}
    for change in history.changes(stream, "members"):
        for member in _added(change):
            if member in users:
                name = names.get(change.key, change.key)
                yield Grant(f"group {name}", name, users[member], change)


def _newest(history: History, stream: str) -> list[Any]:
    """The newest version of each record ever seen."""
    found = {version.key: version for version in history.versions(stream) if version.facts is not None}
    return list(found.values())


def _added(change: Change) -> list[str]:
    """Names in a list, or of a table, that were not there before."""
    if not _is_new(change) or change.after is MISSING:
        return []
    before = set() if change.before is MISSING else set(change.before or ())
    return sorted(str(name) for name in set(change.after or ()) - before)


def _is_new(seen: Version | Change) -> bool:
    return not seen.baseline and seen.not_before_ms is not None


def _told(found: list[Grant], systems: tuple[str, ...], history: History, ctx: Context) -> Iterator[Record]:
    """The grants as records, each with the requests of the same person."""
    people = directory(ctx)
    asked, known = _requests(history), _known_until(history)
    for grant in found:
        rows = persons(grant.names, people) or []
        names = sorted({*folded(grant.names), *(name for row in rows for name in row["names"])})
        requests = {row["id"]: row for name in names for row in asked.get(name, [])}
        facts = {
            "what": grant.what,
            "role": grant.role,
            "subject": next((str(name) for name in grant.names if name), ""),
            "names": names,
            "systems": list(systems),
            "interval": _when(grant),
            "requests": [requests[id] for id in sorted(requests, key=str)],
            "requests_known_until": known,
        }
        yield Record(f"grant:{grant.what}:{grant.seen.key}:{facts['subject']}:{grant.seen.idx}", facts)


def _when(grant: Grant) -> dict[str, str | None]:
    """A point where the source recorded the time between the two polls, else the bounds of these."""
    bounds = interval(grant.seen)
    at_ms, _ = attempt(lambda: parse_iso(str(grant.recorded)))
    begin = grant.seen.not_before_ms
    if at_ms is not None and begin is not None and begin <= at_ms <= grant.seen.not_after_ms:
        return {"not_before": iso(at_ms), "not_after": iso(at_ms)}
    return bounds


def _requests(history: History) -> Directory:
    """Requests by subject, each with the bounds between which its present approval came to be there."""
    rows: dict[str, dict[str, Any]] = {}
    for version in history.versions(REQUESTS, everywhere=True):
        if version.facts is None:
            rows.pop(version.key, None)
            continue
        columns = ("requester", "subject", "system", "role", "approved_by")
        told = {column: version.facts.seen(column, None) for column in columns}
        known = rows.get(version.key)
        same = known is not None and known["approved_by"] == told["approved_by"]
        bounds = {name: known[name] for name in ("not_before", "not_after")} if same and known else interval(version)
        if version.baseline and not same:
            bounds["not_before"] = None
        rows[version.key] = {"id": version.facts.seen("id", version.key), **told, **bounds}
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows.values():
        for name in folded([row["subject"]]):
            found.setdefault(name, []).append(row)
    return found


def _known_until(history: History) -> str | None:
    """When the whole register was last read."""
    polls = [p for p in history.polls(REQUESTS, everywhere=True) if p.status is PollStatus.COMPLETE]
    return iso(max(poll.asof_ms or poll.start_ms for poll in polls)) if polls else None
