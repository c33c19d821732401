"""The report's words: facts side by side, never merged into one, and never an opinion (controls.md 7.5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from agent.assess import Assessment, CheckFacts, ControlFacts, Deviation, Span, State, days_text
from agent.clock import DAY_MS, iso
from agent.export.charts import plural
from agent.model import Reason, Status
from agent.schedule import Coverage

LIMIT_DAYS: Mapping[str, int] = {"critical": 2, "high": 7, "medium": 30, "low": 90}
"""Time to remediate by severity (controls.md 1.4)."""

_SCOPE_WORDS = {
    "aws": "AWS account", "azure": "Azure subscription", "gcp": "GCP project", "mlflow": "MLflow server",
    "trainlog": "training log", "org": "organisation",
}  # fmt: skip

DRAFT = (
    "No control has been adopted yet: this is a draft for the company, not for the auditor. Every control of the "
    "catalogue that has an automated check is shown as observed, in the catalogue's own words."
)
NO_OPINION = (
    "It lists what the agent asked, when, as whom, and what came back, and which rule held. It gives no opinion on a "
    "control or a criterion: that is the service auditor's to give. Time without evidence is shown as such and never "
    "counted as met. What no automated check reaches is listed as such."
)


@dataclass(frozen=True, slots=True)
class Fact:
    """One printed fact of a control; `kind` says how loud it is."""

    kind: str
    """plain, bad, gap or quiet."""
    text: str


def facts_of(control: ControlFacts, span: Span) -> list[Fact]:
    """The facts of a control, in the order in which they are read."""
    total = control.total
    facts = [_deviations(control, total, span)]
    still_open = [one for one in control.deviations if one.open_at(span.until_ms)]
    if still_open and span.is_period:
        longest = max(one.remediation_ms(span.until_ms) for one in still_open)
        facts.append(Fact("bad", f"{len(still_open)} open at period end, longest {days_text(longest)}"))
    waiting = total.at_end[Status.NOT_EVALUATED]
    if waiting:
        facts.append(Fact("gap", f"{waiting:,} not evaluated at the end ({reasons_text(total.reasons)})"))
    facts += [Fact("gap", f"evidence incomplete: {said}") for said in control.incomplete]
    facts += list(_quiet(control, total))
    if span.is_period and any(check.targets for check in control.active):
        facts.append(Fact("quiet", slots_text(control.owed)))
    return facts


def _deviations(control: ControlFacts, total: CheckFacts, span: Span) -> Fact:
    count = len(control.deviations)
    if count:
        said = "deviation" if count == 1 else "deviations"
        when = "" if span.is_period else " open"
        return Fact("bad", f"{count:,} {said}{when} in {total.applicable:,}")
    if total.applicable == 0:
        seen = any(day.state is State.NOT_APPLICABLE for day in control.days)
        none = "did not occur (population 0, list complete)" if total.subjects == 0 else "applied to nothing"
        return Fact("quiet", none if seen else "nothing was evaluated")
    if total.evaluated == 0:
        return Fact("gap", f"none of {total.applicable:,} evaluated")
    return Fact("plain", f"no deviation in {total.evaluated:,} of {total.applicable:,}")


def _quiet(control: ControlFacts, total: CheckFacts) -> list[Fact]:
    facts = []
    if total.inherited:
        facts.append(Fact("quiet", f"inherited from the provider: {total.inherited:,}"))
    other = total.at_end[Status.NOT_APPLICABLE] - total.inherited
    if other > 0:
        facts.append(Fact("quiet", f"not applicable: {other:,}"))
    if len(control.active) < len(control.checks):
        facts.append(Fact("quiet", f"{len(control.active)} of {len(control.checks)} checks active"))
    return facts


def slots_text(counts: Counter[Coverage]) -> str:
    """`slots: 4,344 owed, 4,301 covered, 31 bridged, 12 without evidence`."""
    owed = sum(counts.values())
    if not owed:
        return "no slot was owed"
    without = counts[Coverage.FAILED] + counts[Coverage.MISSED]
    parts = [f"{owed:,} owed", f"{counts[Coverage.COVERED]:,} covered"]
    if counts[Coverage.BRIDGED]:
        parts.append(f"{counts[Coverage.BRIDGED]:,} bridged")
    return "slots: " + ", ".join([*parts, f"{without:,} without evidence"])


def reasons_text(reasons: Counter[Reason]) -> str:
    """`denied 2, stale 1`, the most frequent first."""
    return ", ".join(f"{reason.value} {count:,}" for reason, count in reasons.most_common())


def closing_text(one: Deviation, span: Span) -> str:
    """How a deviation ended, as far as the span goes."""
    if one.event:
        return "an event: nothing undoes it"
    if not one.open_at(span.until_ms):
        return one.closed_by or ""
    if not span.is_period:
        return "open"
    if one.closed_ms is not None:
        return f"open at period end; {one.closed_by} on {iso(one.closed_ms)[:10]}"
    return "open at period end"


def length_text(one: Deviation, span: Span) -> str:
    """How long it lasted, between its two bounds."""
    if one.event:
        return "event"
    shortest, longest = one.bounds_ms(span.until_ms)
    if longest is None:
        return f"at least {days_text(shortest)}" if shortest else "seen once"
    low, high = days_text(shortest), days_text(longest)
    return low if low == high else f"{low} to {high}" if shortest else f"up to {high}"


def overdue(one: Deviation, severity: str, span: Span) -> bool:
    """Whether the time to remediate is beyond the severity's limit."""
    return one.remediation_ms(span.until_ms) > LIMIT_DAYS[severity] * DAY_MS


def period_text(span: Span) -> str:
    """`1 January to 30 June 2026`, in the company's time zone."""
    if not span.is_period:
        return f"as of {iso(span.until_ms - 1)}"
    first, last = span.days[0].date, span.days[-1].date
    if first.year != last.year:
        return f"{first.day} {first:%B %Y} to {last.day} {last:%B %Y}"
    if first.month != last.month:
        return f"{first.day} {first:%B} to {last.day} {last:%B %Y}"
    return f"{first.day} to {last.day} {last:%B %Y}" if first != last else f"{first.day} {first:%B %Y}"


def utc(ms: int | None) -> str:
    """`2026-03-02 05:00Z`; seconds are in the tables."""
    return "" if ms is None else f"{iso(ms)[:10]} {iso(ms)[11:16]}Z"


def local_day(ms: int | None, span: Span) -> str:
    """`2 Mar 2026` in the company's time zone."""
    if ms is None:
        return ""
    day = datetime.fromtimestamp(ms / 1000, ZoneInfo(span.zone))
    return f"{day.day} {day:%b %Y}"


def mark_of(control: ControlFacts, assessment: Assessment) -> tuple[str, str, str]:
    """Sign, class and meaning of a control in the matrix."""
    end = assessment.span.until_ms
    if any(one.open_at(end) for one in control.deviations):
        return "▲", "open", "deviation open at the end"
    if control.deviations:
        return "◆", "dev", "deviations, all closed"
    total = control.total
    if control.incomplete or control.days_in(State.NO_EVIDENCE):
        return "○", "gap", "no deviation; time without evidence"
    if total.at_end[Status.NOT_EVALUATED] or control.days_in(State.NOT_EVALUABLE):
        return "?", "ne", "no deviation; something could not be evaluated"
    if total.evaluated == 0:
        return "·", "na", "did not occur, or applied to nothing"
    return "●", "ok", "no deviation, evidence throughout"


def scope_text(assessment: Assessment) -> str:
    """`1 account, 2 regions, 1 server`: what was collected, by judging scope."""
    per = Counter(
        name.partition(":")[0] for name in {one.past.target.scope.judging for one in assessment.targets.values()}
    )
    parts = (plural(count, _SCOPE_WORDS.get(name, f"{name} scope")) for name, count in sorted(per.items()))
    return ", ".join(parts) or "nothing in scope"
