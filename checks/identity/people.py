"""People of identity providers: second factors, unused accounts, administrators."""

from __future__ import annotations

from collections.abc import Iterator

from agent.clock import DAY_MS, parse_iso
from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check
from checks.registers import in_force, register

GOOGLE, OKTA = "identity.google.users", "identity.okta.users"
SUPER = "SUPER_ADMIN"
"""What Okta calls the role over everything."""


@check("idp-mfa-registered", over=OKTA)
def okta_registered(person: Facts, ctx: Context) -> Verdict:
    """Every active person has a second factor beyond password and security question.

    Source: Okta's factors of the person with status ACTIVE.
    """
    return _outside(person) or _registered(person)


@check("idp-mfa-registered", over=GOOGLE)
def google_registered(person: Facts, ctx: Context) -> Verdict:
    """Every active person has enrolled in two-step verification.

    Source: `isEnrolledIn2Sv`. Where another provider signs people in, Google's factors say nothing.
    """
    return _outside(person) or _elsewhere(ctx) or _registered(person)


@check("idp-mfa-enforced", over=GOOGLE)
def google_enforced(person: Facts, ctx: Context) -> Verdict:
    """Every active person is made to use the second step.

    Source: `isEnforcedIn2Sv`.
    """
    if other := _outside(person) or _elsewhere(ctx):
        return other
    if person["enforced"] is True:
        return passed("two-step verification is enforced", enforced=True)
    return failed("two-step verification is not enforced", enforced=person["enforced"])


@check("iam-user-unused", over="identity.google.usage")
@check("iam-user-unused", over="identity.okta.usage")
def user_unused(person: Facts, ctx: Context) -> Verdict:
    """Each active person signed in within the allowed number of days.

    Who never did counts from when the account was made.
    """
    if other := _outside(person):
        return other
    limit, last, made = ctx.thresholds["credential_unused_days"], person["last_sign_in"], person.text("created")
    since = last or made[:10]
    said = f"last sign-in {since}" if last else f"never signed in, made {since}"
    days = ctx.now // DAY_MS - parse_iso(f"{since}T00:00:00Z") // DAY_MS
    facts = {"last_sign_in": last, "created": made, "credential_unused_days": limit}
    return (failed if days > limit else passed)(f"{said}, limit {limit} days", **facts)


@check("iam-admin-inventory", over=GOOGLE)
def google_administrator_known(person: Facts, ctx: Context) -> Verdict:
    """Every super administrator is in the register of privileged access.

    Source: `isAdmin`; register privileged_access, by mail.
    """
    if other := _outside(person):
        return other
    if person["admin"] is not True:
        return inapplicable("no super administrator")
    return _in_register([person["mail"], *person.list("aliases")], ctx)


@check("iam-admin-inventory", over="identity.okta.admins")
def okta_administrator_known(holder: Facts, ctx: Context) -> Verdict:
    """Every super administrator of Okta is in the register of privileged access.

    Source: role assignments, those by groups included; register privileged_access, by mail.
    """
    if not _is_super(holder):
        return inapplicable("no super administrator", roles=[role["type"] for role in holder.list("roles")])
    person = ctx.here(OKTA).one(holder.key)
    if person is None:
        return undecided(Reason.DEPENDENCY, "the administrator is not among the people listed")
    return _in_register([person["mail"], *person.list("aliases")], ctx)


@check("iam-admin-count", once=GOOGLE)
def google_administrators_few(ctx: Context) -> Verdict:
    """The directory has at most the allowed number of super administrators."""
    people = ctx.here(GOOGLE)
    return _few([p["mail"] for p in people if p["status"] == "active" and p["admin"] is True], ctx)


@check("iam-admin-count", once="identity.okta.admins")
def okta_administrators_few(ctx: Context) -> Verdict:
    """Okta has at most the allowed number of super administrators."""
    return _few([holder.key for holder in ctx.here("identity.okta.admins") if _is_super(holder)], ctx)


def _outside(person: Facts) -> Verdict | None:
    """Why a rule about people who can sign in is not about this one."""
    status = person["status"]
    return None if status == "active" else inapplicable(f"{status}: cannot sign in", status=status)


def _elsewhere(ctx: Context) -> Verdict | None:
    """What follows where another provider signs the people of Google in."""
    if ctx.thresholds["google_signs_in"]:
        return None
    if ctx.configured(OKTA):
        return inapplicable("another identity provider signs people in; its people are judged there")
    return undecided(Reason.NOT_CONFIGURED, "another identity provider signs people in, and it is not collected")


def _registered(person: Facts) -> Verdict:
    factors = list(person.list("factors"))
    if person["second_factor"] is True:
        return passed(f"second factor: {', '.join(factors)}", factors=factors)
    return failed("no second factor", factors=factors)


def _is_super(holder: Facts) -> bool:
    return any(role["type"] == SUPER and role["status"] != "INACTIVE" for role in holder.list("roles"))


def _in_register(names: list[str], ctx: Context) -> Verdict:
    known = {name.casefold() for name in names if name}
    rows = [row for row in _rows(ctx) if row.text("principal").casefold() in known]
    if rows:
        return passed(f"in the register until {rows[0]['expires_on']}", row=rows[0]["id"])
    return failed(f"super administrator {names[0]} has no row in force in privileged_access", principal=names[0])


def _rows(ctx: Context) -> Iterator[Facts]:
    return in_force(register(ctx, "privileged_access"), ctx.now)


def _few(holders: list[str], ctx: Context) -> Verdict:
    most, count = ctx.thresholds["max_admins"], len(holders)
    facts = {"administrators": sorted(holders), "max_admins": most}
    if count > most:
        return failed(f"{count} super administrators, at most {most} are allowed", **facts)
    warning = "; fewer than two people can recover it" if count < 2 else ""
    return passed(f"{count} super administrators, at most {most} are allowed{warning}", **facts)
