"""Administrators of an AWS account: each is in the register, and they are few."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check
from checks.aws.patterns import meets
from checks.aws.privileged import behind, exempted, is_human, of_person, privileged, row_for, unread_verdict
from checks.aws.resource_policy import account_of

_UNNAMED = "not in privileged_access.csv, or expired there"


@check("iam-admin-inventory", over="aws.access.principals")
def admin_inventory(principal: Facts, ctx: Context) -> Verdict:
    """Every effective administrator has a row in force in the register.

    Administrator by full rights or by a right of the list in `escalation.py`, through roles too. Of a role
    of Identity Center the people behind it are asked for. Conditions and organisation guardrails are
    not evaluated.
    """
    admin = principal["admin"]
    if principal["service_linked"]:
        return inapplicable("service-linked role: only its service can take it")
    if not admin["held"]:
        if principal.list("unread"):
            return unread_verdict(principal.plain("unread"), "no administrator right seen", list=admin["list"])
        return inapplicable(f"no administrator right of {admin['list']}", list=admin["list"])
    told: dict[str, Any] = {name: admin.plain(name) for name in ("how", "by", "conditions", "list")}
    said = f"administrator by {_few(told['how'])}{_on(told['conditions'])}"
    if outside := list(principal.list("outside")):
        told["outside"], said = outside, f"{said}, which {_few(outside)} may take"
    rows = privileged(ctx, principal.scope)
    if principal["permission_set"]:
        return _people_named(principal, ctx, rows, said, told)
    row = row_for(rows, principal.key, principal["name"])
    if row is None:
        return failed(f"{said}; {_UNNAMED}", **told)
    if principal.list("people_from"):
        from_ = list(principal.list("people_from"))
        why = f"{said}; in the register by row {row['id']}, but who takes it by {_few(from_)} is not known"
        return undecided(Reason.DEPENDENCY, why, row=row["id"], people_from=from_, **told)
    return passed(f"{said}; in the register by row {row['id']}", row=row["id"], **told)


@check("iam-admin-count", once="aws.iam.users")
def admin_count(ctx: Context) -> Verdict:
    """At most the set number of people are administrators of the account.

    Fewer than two people able to recover the account, and a row of the register for nobody who is
    administrator, are warnings. Root is not counted; who takes a role from another account is counted
    where that account is collected.
    """
    limit, found = ctx.thresholds["max_admins"], _Count()
    for principal in ctx.here("aws.access.principals"):
        found.account = principal["account"]
        if principal["service_linked"]:
            continue
        if not principal["admin"]["held"]:
            found.unread += [part for part in principal.plain("unread") if part not in found.unread]
            continue
        found.called.update((principal.key, principal["name"], principal["permission_set"]))
        found.take(principal, ctx)
        for account in principal.list("outside"):
            found.take_outside(account, principal.key, ctx)
    people = sorted(found.people)
    told = {"administrators": people, "max_admins": limit, "unresolved": sorted(found.unresolved)}
    said = f"{len(people)} people are administrators, limit {limit}"
    if len(people) > limit:
        return failed(said, **told)
    if found.unresolved:
        return undecided(Reason.DEPENDENCY, f"{said}; not resolved: {_few(sorted(found.unresolved))}", **told)
    if found.unread:
        return unread_verdict(found.unread, said, **told)
    warnings = ["fewer than two people can recover the account"] if len(people) < 2 else []
    idle = found.idle(ctx, f"aws:{found.account}")
    if idle:
        told["rows_for_nobody"] = idle
        warnings.append(f"rows of the register for nobody who is administrator: {_few(idle)}")
    return passed("; ".join([said, *(f"warning: {warning}" for warning in warnings)]), **told)


@dataclass(slots=True)
class _Count:
    people: set[str] = field(default_factory=set)
    unresolved: set[str] = field(default_factory=set)
    unread: list[dict[str, Any]] = field(default_factory=list)
    called: set[str | None] = field(default_factory=set)
    """Names by which the register may call those who are administrators."""
    account: str = ""

    def idle(self, ctx: Context, scope: str) -> list[str]:
        """Rows about this account that name nobody found; root and rows for all accounts are not looked at."""
        rows = [row for row in exempted(ctx, scope) if row.get("scope") and "root" not in (row.get("principal") or "")]
        return sorted(row["id"] for row in rows if row_for([row], *self.called) is None)

    def take(self, principal: Facts, ctx: Context) -> None:
        """Count who is behind a principal that is administrator."""
        if principal["permission_set"]:
            people, lost = behind(principal, ctx)
            self.people.update(person["mail"] or person["name"] or person["id"] for person in people)
            self.called.update(name for person in people for name in (person["mail"], person["name"], person["id"]))
            self.unresolved.update(lost)
            return  # the federation of such a role is Identity Center itself
        if principal["kind"] == "user" and is_human(principal, ctx):
            self.people.add(principal.key)
        self.unresolved.update(f"who signs in by {name}" for name in principal.list("people_from"))

    def take_outside(self, who: str, role: str, ctx: Context) -> None:
        """Count who takes a role that is administrator from another account."""
        account = account_of(who)
        there = [one for one in ctx.everywhere("aws.access.principals") if one["account"] == account] if account else []
        if not there:
            self.unresolved.add(f"who takes {role} as {who}")
        for one in there:
            may = who in (account, one.key) or who.endswith(":root")
            if may and any(meets(pattern, role) for pattern in one.list("abroad")):
                self.take(one, ctx)


def _people_named(principal: Facts, ctx: Context, rows: list[Facts], said: str, told: dict[str, Any]) -> Verdict:
    """Whether each person behind a permission set that is administrator is in the register."""
    people, lost = behind(principal, ctx)
    who = [person["mail"] or person["name"] or person["id"] for person in people]
    missing = [name for name, person in zip(who, people, strict=True) if of_person(rows, person) is None]
    told |= {"permission_set": principal["permission_set"], "people": who, "missing": missing, "unresolved": lost}
    if missing:
        return failed(f"{said}; {_UNNAMED}: {_few(missing)}", **told)
    if lost:
        return undecided(Reason.DEPENDENCY, f"{said}; not resolved: {_few(lost)}", **told)
    return passed(f"{said}; its {len(people)} people are in the register", **told)


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _on(conditions: list[str]) -> str:
    return f" (conditions not evaluated: {', '.join(conditions)})" if conditions else ""
