"""Who is meant to be privileged: the register `privileged_access`, and the people behind permission sets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from agent.facts import Context, Facts
from agent.history import History
from agent.model import Gap, Reason, Record, Verdict, undecided
from agent.registry import derived
from checks.registers import exempting, in_force, names, register

_SSO = ("aws.sso.assignments", "aws.sso.permission_sets", "aws.sso.users", "aws.sso.groups")


@derived("aws.access.people", kind="state", of=_SSO)
def people(history: History, ctx: Context) -> Iterator[Record | Gap]:
    """People behind each permission set of each account.

    Key: `ACCOUNT/NAME` of account and permission set. Facts: `people` (id, name, mail, enabled or not),
    `unresolved` (groups and people that the directory does not list).
    """
    sets = {record.key: record for record in ctx.here(_SSO[1])}
    users = {(record["instance"], record["id"]): record for record in ctx.here(_SSO[2])}
    groups = {(record["instance"], record["id"]): record for record in ctx.here(_SSO[3])}
    found: dict[str, tuple[dict[str, dict[str, Any]], set[str]]] = {}
    for one in ctx.here(_SSO[0]):
        permission_set = sets.get(one["permission_set"])
        instance = permission_set["instance"] if permission_set else ""
        name = permission_set["name"] if permission_set else one["permission_set"]
        known, lost = found.setdefault(f"{one['account']}/{name}", ({}, set()))
        for id in _members(one, instance, groups, lost):
            user = users.get((instance, id))
            if user is None:
                lost.add(f"user {id}")
            else:
                known[id] = {"id": id, "name": user["name"], "mail": user["mail"]}
    for key, (known, lost) in sorted(found.items()):
        yield Record(key, {"people": [known[id] for id in sorted(known)], "unresolved": sorted(lost)})


def behind(principal: Facts, ctx: Context) -> tuple[list[Facts], list[str]]:
    """The people behind a role of Identity Center, and what could not be resolved."""
    name = principal["permission_set"]
    if not ctx.configured("aws.access.people"):
        return [], [f"permission set {name}"]
    told = ctx.everywhere("aws.access.people").one(f"{principal['account']}/{name}")
    if told is not None:
        return list(told.list("people")), list(told.list("unresolved"))
    known = any(one["name"] == name for one in ctx.everywhere("aws.sso.permission_sets"))
    return [], [] if known else [f"permission set {name}"]


def privileged(ctx: Context, scope: str) -> list[Facts]:
    """Rows of the register in force that are about this judging scope; `Unseen` where nobody keeps it."""
    return [row for row in in_force(register(ctx, "privileged_access"), ctx.now) if _about(row, scope)]


def exempted(ctx: Context, scope: str) -> list[Facts]:
    """As `privileged`, none where nobody keeps the register."""
    return [row for row in in_force(exempting(ctx, "privileged_access"), ctx.now) if _about(row, scope)]


def row_for(rows: Iterable[Facts], *called: str | None) -> Facts | None:
    """The first row that names the principal by one of these names, without regard to case."""
    wanted = [name.casefold() for name in called if name]
    for row in rows:
        pattern = (row.get("principal") or "").strip().casefold()
        if pattern and any(names([pattern], name) for name in wanted):
            return row
    return None


def of_person(rows: Iterable[Facts], person: Facts) -> Facts | None:
    """The row that names a person by mail, name or id."""
    return row_for(rows, person["mail"], person["name"], person["id"])


def is_human(principal: Facts, ctx: Context) -> bool:
    """Whether a user is a person: has a console password, or is among the identities of `people`.

    Of a role: whether a permission set or a federation puts people behind it.
    """
    if principal["kind"] == "role":
        return bool(principal["permission_set"] or principal["people_from"])
    if principal["human"]:
        return True
    wanted = {principal.key.casefold(), principal["name"].casefold()}
    return any(wanted & _identities(row) for row in exempting(ctx, "people"))


def unread_verdict(unread: Sequence[Any], message: str, **facts: Any) -> Verdict:
    """not_evaluated because of policies whose text was not seen."""
    names_of = [one["name"] for one in unread]
    said = ", ".join(names_of[:5]) + (f" and {len(names_of) - 5} more" if len(names_of) > 5 else "")
    need = sorted({one["need"] for one in unread if one["need"]})
    reason = Reason(unread[0]["reason"])
    refused = f"; needs {', '.join(need)}" if need else ""
    return undecided(reason, f"{message}: not seen: {said}{refused}", need=need, unread=names_of, **facts)


def _members(one: Facts, instance: str, groups: dict[tuple[str, str], Facts], lost: set[str]) -> list[str]:
    id = one["principal_id"]
    if one["principal_type"] == "USER":
        return [id]
    group = groups.get((instance, id))
    if group is None:
        lost.add(f"group {id}")
    elif (gap := group.unseen_at("members")) is not None:
        lost.add(f"group {group['name']} ({gap.reason.value})")
    else:
        return list(group.list("members"))
    return []


def _about(row: Facts, scope: str) -> bool:
    """Whether a row is about this judging scope: named by it, by the account's number, or for all."""
    said = [part.casefold() for part in re.split(r"[\s,;]+", (row.get("scope") or "").strip()) if part]
    called = {scope.casefold(), *scope.casefold().split(":")}
    return not said or "all" in said or any(names(said, name) for name in called)


def _identities(row: Facts) -> set[str]:
    held = row.get("identities") or ""
    parts = held if isinstance(held, list) else re.split(r"[\s,;]+", held)
    return {part.casefold() for part in parts if part}
