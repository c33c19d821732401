"""An account as facts: users, roles, groups and policies, and what is derived from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.facts import Context, Facts, StreamView, Unseen
from agent.model import Gap, Reason, Record
from agent.registry import discover
from agent.settings import Settings
from tests.judging import NOW_MS, as_facts

ACCOUNT = "123456789012"
IAM = f"arn:aws:iam::{ACCOUNT}:"
BY_AWS = "arn:aws:iam::aws:policy/"
Streams = dict[str, Mapping[str, Mapping[str, Any]] | Gap]


def doc(*statements: Mapping[str, Any]) -> dict[str, Any]:
    """A policy document; a statement without an effect allows."""
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement} for statement in statements]}


def allow(*actions: str, on: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": on, **more}


def deny(*actions: str, on: Any = "*", **more: Any) -> dict[str, Any]:
    return {**allow(*actions, on=on, **more), "Effect": "Deny"}


def trust(*principals: str, service: str = "", federated: str = "", **more: Any) -> dict[str, Any]:
    who: dict[str, Any] = {"AWS": list(principals)} if principals else {}
    action = "sts:AssumeRole"
    if service:
        who["Service"] = service
    if federated:
        who["Federated"] = federated
        action = "sts:AssumeRoleWithSAML" if "saml" in federated else "sts:AssumeRoleWithWebIdentity"
    return doc({"Action": action, "Principal": who, **more})


def user(name: str, *statements: Mapping[str, Any], **more: Any) -> dict[str, dict[str, Any]]:
    facts = {"name": name, "path": "/", "inline": {"own": doc(*statements)} if statements else {}, "attached": []}
    return {f"{IAM}user/{name}": facts | {"groups": [], "boundary": None} | more}


def role(name: str, *statements: Mapping[str, Any], path: str = "/", **more: Any) -> dict[str, dict[str, Any]]:
    facts = {"name": name, "path": path, "inline": {"own": doc(*statements)} if statements else {}, "attached": []}
    return {f"{IAM}role{path}{name}": facts | {"boundary": None, "trust": trust(service="ec2.amazonaws.com")} | more}


def account(
    *identities: Mapping[str, dict[str, Any]], policies: Mapping[str, Any] | None = None, **streams: Any
) -> Streams:
    """The streams of an account with these users and roles; every user has a console password."""
    held = {arn: facts for identity in identities for arn, facts in identity.items()}
    told: Streams = {
        "aws.iam.users": {arn: facts for arn, facts in held.items() if ":user/" in arn},
        "aws.iam.roles": {arn: facts for arn, facts in held.items() if ":role/" in arn},
        "aws.iam.groups": {},
        "aws.iam.policies": {},
        "aws.iam.managed_policies": {},
        "aws.sso.instances": {},
        "aws.iam.credentials": {arn: {"user": arn, "password_enabled": "true"} for arn in held if ":user/" in arn},
    }
    for arn, document in (policies or {}).items():
        stream = "aws.iam.managed_policies" if arn.startswith(BY_AWS) else "aws.iam.policies"
        told[stream] = {**told[stream], arn: {"document": document}}  # type: ignore[dict-item]
    return told | {f"aws.{name.replace('_', '.', 1)}": held for name, held in streams.items()}


def derived(name: str, here: Streams, **settings: Any) -> dict[str, dict[str, Any]]:
    """The records of a derived stream, by key, from the streams of one account; `Unseen` as a check gets it."""
    return {facts.key: facts.plain("all") for facts in context(here, settings).here(f"={name}")}


def context(here: Streams, settings: Mapping[str, Any] | None = None) -> Context:
    """What a check of the account is given."""
    kept: dict[str, list[Record]] = {}
    views: dict[str, StreamView] = {}

    def view(name: str) -> StreamView:
        if name not in views:
            views[name] = make(name)
        return views[name]

    def make(name: str) -> StreamView:
        bare = name.removeprefix("=")
        held = here.get(bare)
        if isinstance(held, Gap):
            raise Unseen(held, bare)
        if held is not None:
            records = [as_facts(facts, key) for key, facts in held.items()]
        elif bare in discover().derived:
            if bare not in kept:
                kept[bare] = [one for one in discover().derived[bare].derive(None, ctx) if isinstance(one, Record)]
            records = [_facts(record, whole=name != bare) for record in kept[bare]]
        else:
            raise Unseen(Gap(Reason.NOT_CONFIGURED, code="NoSuchSource"), bare)
        found = {record.key: record for record in records}
        return StreamView(lambda: iter(records), None, bare, found.get)

    rules = {**Settings().rule_settings(), **(settings or {})}
    ctx = Context(NOW_MS, rules, view, view, lambda name: name in here)
    return ctx


def _facts(record: Record, *, whole: bool) -> Facts:
    told = {"all": record.facts} if whole else record.facts
    return Facts(told, {}, key=record.key, scope=f"aws:{ACCOUNT}", observed_ms=NOW_MS)
