"""People come, change and leave: every access was asked for, and ends with them.

All of it is judged against registers: without them it is not evaluated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.clock import DAY_MS, iso, parse_iso
from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check
from checks.joined.persons import due_ms, folded, left
from checks.registers import register

_LISTED_AFTER_DAYS = 41
"""The people register is confirmed each month, at the latest 10 days after it: by then a leaver has a row."""


@check("access-grant-has-request", over="aws.iam.grants")
@check("access-grant-has-request", over="aws.sso.grants")
@check("access-grant-has-request", over="identity.google.grants")
@check("access-grant-has-request", over="identity.okta.grants")
def grant_requested(grant: Facts, ctx: Context) -> Verdict:
    """Each access that a person got was approved before, by somebody else.

    The request is of the same person and system and names the group, policy or permission set. Both
    times are intervals: the source's own record or the polls around the grant, and the readings of the
    register between which the approval came; where they overlap the order is not proven. Source: how
    identities, keys, memberships and assignments changed; register access_requests.
    """
    register(ctx, "access_requests").count()
    told: dict[str, Any] = {"what": grant["what"], "subject": grant["subject"], "granted": grant.plain("interval")}
    end, known = parse_iso(grant["interval"]["not_after"]), grant["requests_known_until"]
    if known is None or parse_iso(known) < end:
        return undecided(Reason.UNDETERMINED, "access_requests was not read since the grant", **told)
    of_system = [row for row in grant.plain("requests") if _of_system(row, grant)]
    if not of_system:
        return failed(f"no request names {grant['subject']}: {grant['what']} appeared by {iso(end)}", **told)
    rows = [row for row in of_system if _names_role(row, grant)]
    if not rows:
        ids = ", ".join(str(row["id"]) for row in of_system)
        return undecided(
            Reason.UNDETERMINED, f"requests {ids} of the same person do not name {grant['role']}", requests=ids, **told
        )
    verdicts = [_judge_request(row, grant, told) for row in rows]
    return min(verdicts, key=lambda verdict: _ORDER.index(verdict.status.value))


_ORDER = ("pass", "not_evaluated", "fail")


@check("access-leaver-removed", over="aws.iam.identities")
@check("access-leaver-removed", over="aws.sso.identities")
@check("access-leaver-removed", over="identity.google.identities")
@check("access-leaver-removed", over="identity.okta.identities")
def leaver_has_no_access(identity: Facts, ctx: Context) -> Verdict:
    """Nobody who left can still sign in one business day after the last day.

    Business days are Monday to Friday, and a day ends where it ends last on earth. Source: the identity
    as it is now; `end_date` of the people register.
    """
    if not identity["can_sign_in"]:
        return inapplicable(f"{identity['name']} has no access; when it ended is judged by itself")
    rows, told = _persons(identity, ctx), {"identity": identity["name"]}
    if not rows and identity["is_person"]:
        return undecided(Reason.DEPENDENCY, "no row of people.csv names it, so nobody knows whether it left", **told)
    gone = [row for row in rows if left(row, ctx.now)]
    if not gone:
        return inapplicable("not of a leaver", **told)
    row, days = gone[0], _business_days(ctx)
    due = due_ms(row["end_date"], days)
    told |= {"person": row["id"], "end_date": row["end_date"], "business_days": days}
    if ctx.now <= due:
        return inapplicable(f"{row['id']} left on {row['end_date']}; access is due to end by {iso(due)}", **told)
    return failed(f"{row['id']} left on {row['end_date']} and still has access, due to end by {iso(due)}", **told)


@check("access-leaver-removed", over="aws.iam.removals")
@check("access-leaver-removed", over="aws.sso.removals")
@check("access-leaver-removed", over="identity.google.removals")
@check("access-leaver-removed", over="identity.okta.removals")
def leaver_removed_in_time(removal: Facts, ctx: Context) -> Verdict:
    """Access of each leaver ended within one business day of the last day.

    The removal lies between two polls; the first that shows no access must be in time. One without a
    leaver row is listed. Source: how the identity changed; `end_date` of the people register.
    """
    told: dict[str, Any] = {"identity": removal["name"], "removed": removal.plain("interval")}
    rows, end = _persons(removal, ctx), parse_iso(removal["interval"]["not_after"])
    leavers = [row for row in rows if row["end_date"]]
    if not leavers:
        if not rows and not removal["is_person"]:
            return inapplicable("of no person", **told)
        if ctx.now - end <= _LISTED_AFTER_DAYS * DAY_MS:
            return undecided(Reason.DEPENDENCY, "access ended, and people.csv has no last day for its person", **told)
        return inapplicable("access ended without a leaver row, listed for the auditor", **told)
    row, days = leavers[0], _business_days(ctx)
    due = due_ms(row["end_date"], days)
    told |= {"person": row["id"], "end_date": row["end_date"], "business_days": days}
    said = f"{row['id']} left on {row['end_date']}, access ended by {iso(end)}, due by {iso(due)}"
    if end <= due:
        return passed(said, **told)
    begin = removal["interval"]["not_before"]
    if begin is None or parse_iso(begin) < due:
        return undecided(Reason.UNDETERMINED, f"{said}: it may have ended in time, after {begin}", **told)
    return failed(said, **told)


@check("access-no-orphan-identity", over="aws.iam.identities", tags=["owner"])
@check("access-no-orphan-identity", over="aws.sso.identities")
@check("access-no-orphan-identity", over="identity.google.identities")
@check("access-no-orphan-identity", over="identity.okta.identities")
def identity_of_one_person(identity: Facts, ctx: Context) -> Verdict:
    """Every identity is of exactly one current person; a program's has an owner.

    Rows name identities by `identities`, mail or id; of an IAM user the tag owner counts too. Source:
    the identity as it is now; the people register.
    """
    told: dict[str, Any] = {"identity": identity["name"], "is_person": identity["is_person"]}
    if not identity["can_sign_in"]:
        return inapplicable(f"{identity['name']} has no access", **told)
    rows = _persons(identity, ctx)
    here = [row["id"] for row in rows if not left(row, ctx.now)]
    told |= {"persons": here, "left": [row["id"] for row in rows if row["id"] not in here]}
    if identity["is_person"] and len(here) == 1:
        return passed(f"of {here[0]}", **told)
    if not identity["is_person"] and here:
        return passed(f"owned by {', '.join(here)}", **told)
    if here:
        return failed(f"of more than one person: {', '.join(here)}", **told)
    whom = "of nobody who is here by people.csv" if identity["is_person"] else "of a program without a current owner"
    return failed(f"{identity['name']} is {whom}", **told)


def _persons(identity: Facts, ctx: Context) -> list[Mapping[str, Any]]:
    """Rows of the people register; `Unseen` where nobody keeps one."""
    rows: list[Mapping[str, Any]] | None = identity.plain("persons")
    if rows is None:
        register(ctx, "people").count()
    return rows or []


def _business_days(ctx: Context) -> int:
    return int(ctx.thresholds["leaver_business_days"])


def _of_system(row: Mapping[str, Any], grant: Facts) -> bool:
    """Whether a request is about the system of the grant, or about none in particular."""
    asked = str(row["system"] or "").casefold()
    return not asked or any(word in asked for word in (*grant.list("systems"), *grant.scope.split(":")[1:]))


def _names_role(row: Mapping[str, Any], grant: Facts) -> bool:
    return grant["role"] is None or str(grant["role"]).casefold() in str(row["role"] or "").casefold()


def _judge_request(row: Mapping[str, Any], grant: Facts, told: Mapping[str, Any]) -> Verdict:
    """Whether one request was approved by another person before the grant."""
    told = {**told, "request": row["id"], "approved_by": row["approved_by"]}
    if not row["approved_by"]:
        return failed(f"request {row['id']} is not approved", **told)
    by = folded([row["approved_by"]])
    if by == folded([row["requester"]]) or set(by) & set(grant.list("names")):
        return failed(f"request {row['id']} was approved by its own requester or subject, {row['approved_by']}", **told)
    approved = {"not_before": row["not_before"], "not_after": row["not_after"]}
    begin, end = grant["interval"]["not_before"], grant["interval"]["not_after"]
    if parse_iso(row["not_after"]) <= parse_iso(begin):
        return passed(f"request {row['id']}, approved by {row['approved_by']} before the grant", **told)
    if row["not_before"] and parse_iso(row["not_before"]) >= parse_iso(end):
        said = f"request {row['id']} was approved after {row['not_before']}; the grant appeared by {end}"
        return failed(said, approved=approved, **told)
    return undecided(
        Reason.UNDETERMINED,
        f"order not proven: granted after {begin} and by {end}, request {row['id']} approved after "
        f"{row['not_before'] or 'an unknown time'} and by {row['not_after']}",
        approved=approved, **told,
    )  # fmt: skip
