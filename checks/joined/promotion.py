"""Approval before promotion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.clock import parse_iso
from agent.facts import Context, Facts
from agent.guard import attempt
from agent.model import Reason, Verdict, failed, passed, undecided
from agent.registry import check
from checks.mlflow.holding import VERSIONS

GENERIC = frozenset(
    {"root", "ubuntu", "jovyan", "ec2-user", "sagemaker-user", "runner", "airflow", "unknown", "admin", "mlflow"}
)
"""Names that say nothing about a person: the clients' operating-system users."""


@check(
    "promotion-has-approval", over="mlflow.registry.promotions",
    tags=["approved_by", "approved_on", "approval_ref", "mlflow.user", "external_source"],
)  # fmt: skip
def promotion_has_approval(promotion: Facts, ctx: Context) -> Verdict:
    """An approval of the exact version comes before its promotion.

    It is by somebody else than the author of the run behind the version.
    Source: approval tags of the version over time (self-asserted: whoever may write the version may set
    them). Both times are intervals between polls; where they overlap the order is not proven.
    """
    states = promotion.plain("approvals")
    known = promotion["approvals_known_until"]
    begin, end = _ms(promotion["interval"]["not_before"]), _ms(promotion["interval"]["not_after"])
    before = [state for state in states if _ms(state["not_after"]) <= begin]
    later = [state for state in states if _ms(state["not_after"]) > begin]
    facts = {"how": promotion["how"], "promoted": promotion.plain("interval")}
    if known is None or _ms(known) < end:
        # an approval that was there before may have been withdrawn, one that was not there may have come
        ctx.here(VERSIONS[promotion["kind"]]).count()
        return undecided(Reason.UNDETERMINED, "the version was not read again since its promotion", **facts)
    standing = before[-1] if before and before[-1]["by"] else None
    close = [state for state in later if state["not_before"] is None or _ms(state["not_before"]) < end]
    if standing and not [state for state in close if state["by"] != standing["by"]]:
        return _judge_approval(standing, promotion, ctx, {**facts, "approval": standing})
    if standing or [state for state in close if state["by"]]:
        return _unproven({**facts, "approval": standing or close[0]})
    if [state for state in later if state["by"]]:
        first = next(state for state in later if state["by"])
        return failed(
            f"approval by {first['by']} was recorded after the promotion: after {first['not_before']}, promoted by "
            f"{promotion['interval']['not_after']}",
            **facts, approval=first,
        )  # fmt: skip
    return failed(f"no approval of the version was recorded when it was promoted, by {_spoken(promotion)}", **facts)


def _judge_approval(approval: Mapping[str, Any], promotion: Facts, ctx: Context, facts: Mapping[str, Any]) -> Verdict:
    """The approval came first; whether it is one."""
    by, on = approval["by"], approval["on"]
    if not on:
        return failed(f"the approval by {by} has no time (tag approved_on)", **facts)
    approved_ms, error = attempt(lambda: parse_iso(on))
    if approved_ms is None or error:
        return failed(f"the approval by {by} has no RFC 3339 time with zone, but {on!r}", **facts)
    if promotion["creation_timestamp"] and approved_ms < _ms(promotion["creation_timestamp"]):
        return failed(
            f"the approval by {by} is of {on}, before the version was made ({promotion['creation_timestamp']})", **facts
        )
    author = _author(promotion, ctx)
    if author and _same(author, by):
        return failed(f"approved by its own author, {by}", author=author, **facts)
    if author and _same(author.partition("@")[0], by.partition("@")[0]):
        return undecided(
            Reason.UNDETERMINED, f"approver {by} and author {author} may be the same person", author=author, **facts
        )
    said = f"author {author}" if author else "author not known"
    return passed(
        f"approved by {by} on {on}, seen by {approval['not_after']}, before the promotion; {said}",
        author=author, **facts,
    )  # fmt: skip


def _author(promotion: Facts, ctx: Context) -> str | None:
    """Who started the run behind the version; None where only a generic name is known."""
    if promotion["kind"] == "prompt" or not promotion["run_id"]:
        return None
    run = ctx.here("mlflow.tracking.source_runs").one(promotion["run_id"])
    run = run or ctx.here("mlflow.tracking.runs").one(promotion["run_id"])
    if run is None or run["lifecycle_stage"] == "gone":
        return None
    name = run["started_by"]["principal"]
    return None if not name or name.casefold() in GENERIC else str(name)


def _unproven(facts: Mapping[str, Any]) -> Verdict:
    promoted, approval = facts["promoted"], facts["approval"]
    minutes = (_ms(promoted["not_after"]) - _ms(promoted["not_before"])) // 60_000
    return undecided(
        Reason.UNDETERMINED,
        f"order not proven, window {minutes} min: promoted after {promoted['not_before']} and by "
        f"{promoted['not_after']}, approval recorded after {approval['not_before'] or 'an unknown time'} and by "
        f"{approval['not_after']}",
        **facts,
    )


def _spoken(promotion: Facts) -> str:
    return f"{promotion['interval']['not_after']} ({promotion['how']})"


def _same(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()


def _ms(text: str) -> int:
    return parse_iso(text)
