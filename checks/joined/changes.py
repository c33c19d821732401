"""Whether a promotion belongs to a recorded change."""

from __future__ import annotations

from collections.abc import Iterator

from agent.facts import Context, Facts
from agent.model import Reason, Verdict, failed, passed, undecided
from agent.registry import check
from checks.aws.deployment import PACKAGES
from checks.aws.production import PROMOTIONS as PACKAGES_PROMOTED
from checks.joined.authors import MODELS_PROMOTED
from checks.joined.story import rows_about
from checks.registers import exempting

_REGISTERS = ("model_approvals", "changes")


@check("promotion-has-change-record", over=MODELS_PROMOTED, tags=["approval_ref"])
@check("promotion-has-change-record", over=PACKAGES_PROMOTED, tags=["change_ref"])
def promotion_has_change_record(promotion: Facts, ctx: Context) -> Verdict:
    """A promoted version is linked to a recorded change.

    That is a row of the register model_approvals about the version with `change_ref`, or a row of the register
    changes (by `id` or `ref`) that the version names: by its tag `approval_ref`, the package by its metadata
    `change_ref` or its commit.
    """
    kept = [name for name in _REGISTERS if ctx.configured(f"docs.registers.{name}")]
    facts = {"how": promotion["how"]}
    version = promotion["version"]
    for row in rows_about(promotion["model"], "" if version is None else str(version), ctx):
        if row.get("change_ref"):
            return passed(f"the approval names change {row['change_ref']}", **facts, change=row["change_ref"])
    named = sorted(set(_named(promotion, ctx)))
    for row in exempting(ctx, "changes"):
        known = {row.get("id"), row.get("ref")} - {None, ""}
        if found := known.intersection(named):
            change = min(found)
            return passed(f"change {change} is recorded", **facts, change=change)
    if not kept:
        return undecided(Reason.NOT_CONFIGURED, "no register of changes or approvals is kept", **facts, named=named)
    said = f"names {', '.join(named)}, which no register has" if named else "names no change"
    return failed(f"the version {said}", **facts, named=named)


def _named(promotion: Facts, ctx: Context) -> Iterator[str]:
    """Changes that a version names."""
    if promotion["kind"] != "package":
        yield from (state["ref"] for state in promotion.plain("approvals") if state["ref"])
        return
    package = ctx.everywhere(PACKAGES).one(promotion["package"])
    if package is not None:
        named = package["customer_metadata"].get("change_ref"), package["commit"]
        yield from (name for name in named if name)
