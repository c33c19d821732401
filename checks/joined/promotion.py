"""Approval before promotion, and of whatever is in production now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.clock import parse_iso
from agent.facts import Context, Facts
from agent.guard import attempt
from agent.model import Reason, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check
from checks.aws.approvals import APPROVALS, APPROVED
from checks.aws.deployment import PACKAGES, see_all
from checks.aws.production import PRODUCTION as PACKAGES_HELD
from checks.aws.production import PROMOTIONS as PACKAGES_PROMOTED
from checks.joined.authors import GENERIC as GENERIC
from checks.joined.authors import MODELS_PROMOTED, authors, not_the_same
from checks.joined.story import ms, not_read_again, rows_about, story
from checks.mlflow.holding import MODELS, VERSIONS

MODELS_HELD = "mlflow.registry.production"


@check(
    "promotion-has-approval", over=MODELS_PROMOTED,
    tags=["approved_by", "approved_on", "approval_ref", "mlflow.user", "external_source"],
)  # fmt: skip
@check("promotion-has-approval", over=PACKAGES_PROMOTED, tags=["environment"])
def promotion_has_approval(promotion: Facts, ctx: Context) -> Verdict:
    """An approval of the exact version comes before its promotion.

    It is by somebody else than its author. Source: of MLflow the approval tags of the version over time
    (self-asserted: whoever may write the version may set them); of SageMaker the approval status of the
    package and the call that set it (recorded by AWS). Both times are intervals between polls, or points
    where the provider recorded them; where they overlap the order is not proven.
    """
    told = story(promotion, ctx)
    if isinstance(told, Verdict):
        return told
    before, later = told.before(), told.later()
    facts = {"how": promotion["how"], "promoted": promotion.plain("interval")}
    if not told.known():
        # an approval that was there before may have been withdrawn, one that was not there may have come
        not_read_again(promotion, ctx)
        return undecided(Reason.UNDETERMINED, "the version was not read again since its promotion", **facts)
    standing = before[-1] if before and before[-1]["by"] is not None else None
    close = [state for state in later if state["not_before"] is None or ms(state["not_before"]) < told.end_ms]
    if standing and not [state for state in close if state["by"] != standing["by"]]:
        return _judge_approval(standing, promotion, ctx, {**facts, "approval": standing})
    if standing or [state for state in close if state["by"] is not None]:
        return _unproven({**facts, "approval": standing or close[0]})
    if first := next((state for state in later if state["by"] is not None), None):
        return failed(
            f"approval by {first['by'] or 'somebody'} was recorded after the promotion: after {first['not_before']}, "
            f"promoted by {promotion['interval']['not_after']}",
            **facts, approval=first,
        )  # fmt: skip
    return failed(f"no approval of the version was recorded when it was promoted, by {_spoken(promotion)}", **facts)


@check("production-version-approved", over=MODELS_HELD, tags=["approved_by", "approved_on", "approval_ref"])
def model_approved(version: Facts, ctx: Context) -> Verdict:
    """Every model and prompt version in production has an approval now.

    Source: approval tags of the version, or a row of the register model_approvals; an approver who is
    also the author is none.
    """
    # in a list that is not complete an alias may have moved on unseen
    ctx.here(MODELS[version["kind"]]).count()
    if not version["holds_now"]:
        return inapplicable("no longer in production")
    facts = {"how": version.plain("how")}
    names = ctx.thresholds.get("approval") or {}
    record = ctx.here(VERSIONS[version["kind"]]).one(version.key)
    if record is None:
        return undecided(Reason.DEPENDENCY, "the version itself is not among those listed", **facts)
    by = record["tags"].get(names.get("by_tag", "approved_by"))
    on = record["tags"].get(names.get("on_tag", "approved_on"))
    if by and on:
        return _by_another(str(by), version, ctx, f"approved by {by} on {on}", {**facts, "by": by, "on": on})
    for row in rows_about(version["model"], version["version"], ctx):
        by, on = row.get("approved_by"), row.get("approved_on")
        if by and on:
            said = f"approved by {by} on {on}, by the register"
            return _by_another(str(by), version, ctx, said, {**facts, "by": by, "on": on})
    if by:
        return failed(f"the approval by {by} has no time (tag approved_on)", **facts, by=by)
    return failed("in production without an approval", **facts)


@check("production-version-approved", over=PACKAGES_HELD, tags=["environment"])
def package_approved(held: Facts, ctx: Context) -> Verdict:
    """Every model package that production runs is approved now.

    Source: `ModelApprovalStatus` of the package, and who set it; an approver who is also the author is none.
    """
    see_all(ctx)
    if not held["holds_now"]:
        return inapplicable("no longer in production")
    package = ctx.everywhere(PACKAGES).one(held["package"])
    if package is None:
        return undecided(Reason.DEPENDENCY, f"package {held['package']} is not among those collected")
    status = package["approval_status"]
    facts = {"runs_on": held.plain("places"), "approval_status": status}
    if status != APPROVED:
        return failed(f"in production, and its approval status is {status or 'not set'}", **facts)
    told = ctx.everywhere(APPROVALS).one(held["package"])
    states = told.list("states") if told else []
    by = states[-1]["by"] if states else None
    if not by:
        return undecided(Reason.DEPENDENCY, "approved, by whom is not known", **facts)
    said = f"approved by {by} on {states[-1]['on']}"
    return _by_another(by, held, ctx, said, {**facts, "by": by})


def _by_another(by: str, version: Facts, ctx: Context, said: str, facts: Mapping[str, Any]) -> Verdict:
    made = authors(version, ctx)
    return not_the_same(by, made, ctx, {**facts, "authors": made}) or passed(
        f"{said}; author {', '.join(made) or 'not known'}", **facts, authors=made
    )


def _judge_approval(approval: Mapping[str, Any], promotion: Facts, ctx: Context, facts: Mapping[str, Any]) -> Verdict:
    """The approval came first; whether it is one."""
    by, on = approval["by"], approval["on"]
    if not by:
        return undecided(Reason.DEPENDENCY, "approved before the promotion, by whom is not known", **facts)
    if not on:
        return failed(f"the approval by {by} has no time (tag approved_on)", **facts)
    approved_ms, error = attempt(lambda: parse_iso(on))
    if approved_ms is None or error:
        return failed(f"the approval by {by} has no RFC 3339 time with zone, but {on!r}", **facts)
    made_at = promotion.get("creation_timestamp")
    if made_at and approved_ms < ms(made_at):
        return failed(f"the approval by {by} is of {on}, before the version was made ({made_at})", **facts)
    made = authors(promotion, ctx)
    author = ", ".join(made) or None
    if other := not_the_same(by, made, ctx, {**facts, "author": author}):
        return other
    said = f"author {author}" if author else "author not known"
    return passed(
        f"approved by {by} on {on}, seen by {approval['not_after']}, before the promotion; {said}",
        author=author, **facts,
    )  # fmt: skip


def _unproven(facts: Mapping[str, Any]) -> Verdict:
    promoted, approval = facts["promoted"], facts["approval"]
    minutes = (ms(promoted["not_after"]) - ms(promoted["not_before"])) // 60_000
    return undecided(
        Reason.UNDETERMINED,
        f"order not proven, window {minutes} min: promoted after {promoted['not_before']} and by "
        f"{promoted['not_after']}, approval recorded after {approval['not_before'] or 'an unknown time'} and by "
        f"{approval['not_after']}",
        **facts,
    )


def _spoken(promotion: Facts) -> str:
    return f"{promotion['interval']['not_after']} ({promotion['how']})"
