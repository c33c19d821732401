"""The approval of a promoted version over time, in one form for every registry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.clock import parse_iso
from agent.facts import Context, Facts
from agent.model import Reason, Verdict, undecided
from checks.aws.approvals import APPROVALS
from checks.mlflow.holding import VERSIONS
from checks.registers import exempting

State = Mapping[str, Any]
"""A state of an approval: `by` (null: not approved; empty: by whom is not known), `on`, `not_before`, `not_after`."""

YES = frozenset({"approved", "approve", "yes"})
"""What the register of approvals says of a version that was approved."""


@dataclass(frozen=True, slots=True)
class Story:
    """When a version was promoted, and the states of its approval."""

    states: Sequence[State]
    known_until_ms: int | None
    """Until when the states are known."""
    begin_ms: int
    end_ms: int
    """It was promoted in (begin, end]."""

    def known(self) -> bool:
        """Whether the states are known until the version was promoted for certain."""
        return self.known_until_ms is not None and self.known_until_ms >= self.end_ms

    def before(self) -> list[State]:
        """States that came to be before the promotion."""
        return [state for state in self.states if ms(state["not_after"]) <= self.begin_ms]

    def later(self) -> list[State]:
        """States that came to be, or may have come to be, after it began."""
        return [state for state in self.states if ms(state["not_after"]) > self.begin_ms]

    def approver(self) -> State | None:
        """The approval that stood when the version was promoted, else the first that came after."""
        before = self.before()
        if before and before[-1]["by"] is not None:
            return before[-1]
        return next((state for state in self.later() if state["by"] is not None), None)


def story(promotion: Facts, ctx: Context) -> Story | Verdict:
    """The story of a promotion, or what follows where the version's approval is not known."""
    interval = promotion["interval"]
    if promotion["kind"] != "package":
        states, known = promotion.plain("approvals"), promotion["approvals_known_until"]
    else:
        told = ctx.everywhere(APPROVALS).one(promotion["package"])
        if told is None:
            return undecided(Reason.DEPENDENCY, f"package {promotion['package']} is not among those collected")
        states, known = told.plain("states"), told["known_until"]
    return Story(states, None if known is None else ms(known), ms(interval["not_before"]), ms(interval["not_after"]))


def not_read_again(promotion: Facts, ctx: Context) -> None:
    """Raise Unseen where the list in which the version stands is not complete."""
    if promotion["kind"] == "package":
        ctx.everywhere(APPROVALS).count()
    else:
        ctx.here(VERSIONS[promotion["kind"]]).count()


def rows_about(model: str, version: str, ctx: Context) -> Iterator[Facts]:
    """Rows of the register of approvals about exactly this version that say yes."""
    for row in exempting(ctx, "model_approvals"):
        said = str(row.get("decision") or "").strip().casefold()
        if row.get("model") == model and str(row.get("version")) == str(version) and said in YES:
            yield row


def ms(text: str) -> int:
    """Milliseconds of a time as records have it."""
    return parse_iso(text)
