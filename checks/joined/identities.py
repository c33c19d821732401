"""Identities of every source in one form, and when each lost its access: derived from history."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from agent.clock import iso
from agent.facts import Context, Facts
from agent.history import Change, History, Version
from agent.model import Record
from agent.registry import derived
from checks.joined.persons import Directory, directory, persons

ROOT = "<root_account>"
"""What the credential report calls the root user: nobody's identity."""


@dataclass(frozen=True, slots=True)
class Form:
    """How a stream tells who an identity is and whether it has access."""

    stream: str
    name: Callable[[Facts], str]
    names: Callable[[Facts], list[Any]]
    """Names by which the people register may know it, the main one first."""
    can_sign_in: Callable[[Facts], bool]
    is_person: Callable[[Facts], bool]


def _has_key(user: Facts) -> bool:
    return "true" in (user.seen("access_key_1_active", ""), user.seen("access_key_2_active", ""))


def has_password(user: Facts) -> bool:
    """Whether an IAM user signs in to the console: what tells a person from a program."""
    return bool(user.seen("password_enabled", "") == "true")


def _directory_form(stream: str) -> Form:
    """The normal form of identity providers."""
    return Form(
        stream,
        lambda user: str(user.seen("mail", None) or user.key),
        lambda user: [user.seen("mail", None), *user.seen("aliases", []), user.seen("id", None), user.key],
        lambda user: bool(user.seen("status", "active") == "active"),
        lambda user: bool(user.seen("kind", "human") == "human"),
    )


IAM = Form(
    "aws.iam.credentials",
    lambda user: f"IAM user {user.seen('user', user.key)}",
    lambda user: [user.seen("user", None), user.key],
    lambda user: has_password(user) or _has_key(user),
    has_password,
)
SSO = Form(
    "aws.sso.users",
    lambda user: f"Identity Center user {user.seen('name', None) or user.key}",
    lambda user: [user.seen("mail", None), user.seen("name", None), user.seen("id", None), user.key],
    lambda user: bool(user.seen("status", None) != "DISABLED"),
    lambda user: True,
)
GOOGLE, OKTA = _directory_form("identity.google.users"), _directory_form("identity.okta.users")


@derived("aws.iam.identities", kind="state", of=("aws.iam.credentials", "aws.iam.users"))
def iam_identities(history: History, ctx: Context) -> Iterator[Record]:
    """IAM users with the people whose they are, root left out."""
    people, users = directory(ctx), history.now("aws.iam.users")
    for row in history.now(IAM.stream):
        if row["user"] != ROOT:
            user = users.one(row.key)
            owner = user["tags"].get("owner") if user is not None else None
            yield Record(row.key, _facts(row, IAM, people, owner))


@derived("aws.sso.identities", kind="state", of=(SSO.stream,))
def sso_identities(history: History, ctx: Context) -> Iterator[Record]:
    """People of Identity Center with their rows in the people register."""
    return _identities(SSO, history, ctx)


@derived("identity.google.identities", kind="state", of=(GOOGLE.stream,))
def google_identities(history: History, ctx: Context) -> Iterator[Record]:
    """Accounts of the Google directory with the people whose they are."""
    return _identities(GOOGLE, history, ctx)


@derived("identity.okta.identities", kind="state", of=(OKTA.stream,))
def okta_identities(history: History, ctx: Context) -> Iterator[Record]:
    """Accounts of Okta with the people whose they are."""
    return _identities(OKTA, history, ctx)


@derived("aws.iam.removals", of=(IAM.stream,))
def iam_removals(history: History, ctx: Context) -> Iterator[Record]:
    """IAM users that lost their last password or key, each time one did."""
    return _removals(IAM, history, ctx)


@derived("aws.sso.removals", of=(SSO.stream,))
def sso_removals(history: History, ctx: Context) -> Iterator[Record]:
    """People of Identity Center who were disabled or deleted, each time one was."""
    return _removals(SSO, history, ctx)


@derived("identity.google.removals", of=(GOOGLE.stream,))
def google_removals(history: History, ctx: Context) -> Iterator[Record]:
    """Accounts of the Google directory that lost access, each time one did."""
    return _removals(GOOGLE, history, ctx)


@derived("identity.okta.removals", of=(OKTA.stream,))
def okta_removals(history: History, ctx: Context) -> Iterator[Record]:
    """Accounts of Okta that lost access, each time one did."""
    return _removals(OKTA, history, ctx)


def _identities(form: Form, history: History, ctx: Context) -> Iterator[Record]:
    people = directory(ctx)
    for user in history.now(form.stream):
        yield Record(user.key, _facts(user, form, people))


def _removals(form: Form, history: History, ctx: Context) -> Iterator[Record]:
    """What had access and then had none or was gone, with the bounds between which that came."""
    people = directory(ctx)
    had: dict[str, Facts] = {}
    for version in history.versions(form.stream):
        if version.facts is not None and form.can_sign_in(version.facts):
            had[version.key] = version.facts
        elif before := had.pop(version.key, None):
            facts = {**_facts(before, form, people), "can_sign_in": False, "interval": interval(version)}
            yield Record(f"removal:{version.key}:{version.idx}", facts)


def interval(seen: Version | Change) -> dict[str, str | None]:
    """The bounds between which something came to be, as facts."""
    begin = seen.not_before_ms
    return {"not_before": None if begin is None else iso(begin), "not_after": iso(seen.not_after_ms)}


def _facts(user: Facts, form: Form, people: Directory | None, owner: str | None = None) -> dict[str, Any]:
    return {
        "name": form.name(user),
        "is_person": form.is_person(user),
        "can_sign_in": form.can_sign_in(user),
        "owner": owner,
        "persons": persons([*form.names(user), owner], people),
    }
