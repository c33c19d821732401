"""Pages 3 to 5 of the report: timelines, deviations, gaps, as the templates want them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from agent.assess import Assessment, ControlFacts, Deviation, State, TargetCoverage, days_text
from agent.catalogue import Catalogue, Control
from agent.export import charts
from agent.export.wording import (
    LIMIT_DAYS,
    closing_text,
    facts_of,
    length_text,
    overdue,
    utc,
)
from agent.model import Status
from agent.schedule import Run

MAX_LINKS = 6
MAX_ROWS = 25
"""Rows of one check in the table of deviations; the rest is in the tables."""
MAX_LANES = 34
NO_SOURCE = "no source configured"


@dataclass(frozen=True, slots=True)
class Gap:
    """A run of slots without evidence, of one target or of several at once."""

    id: str
    targets: tuple[str, ...]
    from_ms: int
    to_ms: int
    slots: int
    bridged: bool
    reason: str
    limit_exceeded: bool


def severity_of(catalogue: Catalogue, check: str) -> str:
    """The worst severity a control gives the check; medium for one that no control takes."""
    return catalogue.severity_of(check) if catalogue.controls_of(check) else "medium"


def control_view(facts: ControlFacts, assessment: Assessment) -> dict[str, Any]:
    """One control of page 3."""
    control, span = facts.control, assessment.span
    names = [one.id for one in sorted(facts.deviations, key=lambda one: not one.open_at(span.until_ms))]
    share = _share(facts)
    return {
        "id": control.id,
        "title": control.title,
        "statement": control.statement,
        "criteria": [*control.criteria, *(f"({one})" for one in control.supporting)],
        "severity": control.severity,
        "owner": control.owner,
        "sources": _sources(facts, assessment),
        "days": [(name, str(facts.days_in(*states))) for name, states in _DAY_GROUPS],
        "facts": facts_of(facts, span),
        "links": names[:MAX_LINKS],
        "more": max(0, len(names) - MAX_LINKS),
        "calendar": charts.calendar(span.days, facts.days) if span.is_period else None,
        "stretches": [
            (charts.short(first), charts.short(last), state.value)
            for first, last, state in charts.stretches(span.days, facts.days)
        ],
        "checks": [_check(entry.id, one.at_end if one else None, one) for entry, one in facts.checks],
        "share": share,
        "share_said": ", ".join(part["title"] for part in share) or "no subject",
    }


_DAY_GROUPS: Sequence[tuple[str, tuple[State, ...]]] = (
    ("Days met", (State.MET,)),
    ("Partly / not met", (State.PARTLY_MET, State.NOT_MET)),
    ("Not evaluable", (State.NOT_EVALUABLE,)),
    ("No evidence", (State.NO_EVIDENCE,)),
    ("Bridged", (State.BRIDGED,)),
)


def _check(id: str, at_end: Any, facts: Any) -> dict[str, Any]:
    if at_end is None:
        return {"id": id, "counts": ["not built yet", "", "", ""]}
    if not facts.configured:
        return {"id": id, "counts": [NO_SOURCE, "", "", ""]}
    order = (Status.PASS, Status.FAIL, Status.NOT_EVALUATED, Status.NOT_APPLICABLE)
    return {"id": id, "counts": [f"{at_end[status]:,}" for status in order]}


def _sources(facts: ControlFacts, assessment: Assessment) -> str:
    read = {i for check in facts.active for i in check.targets}
    services = sorted({assessment.targets[i].past.target.stream.rpartition(".")[0] for i in read})
    every = sorted({assessment.targets[i].past.terms[-1].every_s for i in read})
    often = " and ".join(every_text(seconds) for seconds in every)
    return ", ".join(services) + (f" · every {often}" if often else "") if services else "the ledger itself"


def every_text(seconds: int) -> str:
    """`15 min`, `6 h`, `1 d`."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


_SHARES = (
    (Status.PASS, "s-met", "", "pass"),
    (Status.FAIL, "s-fail", "×", "fail"),
    (Status.NOT_EVALUATED, "s-ne", "?", "not evaluated"),
    (Status.NOT_APPLICABLE, "s-na", "–", "not applicable"),
)


def _share(facts: ControlFacts) -> list[dict[str, Any]]:
    """The counts at the moment as parts of a bar of 300; what is there is never thinner than 4."""
    counts = facts.total.at_end
    whole = sum(counts.values())
    shown = [item for item in _SHARES if counts[item[0]]]
    free = 300 - 4 * len(shown)
    parts, x = [], 0.0
    for status, kind, sign, word in shown:
        w = round(4 + free * counts[status] / whole, 1)
        parts.append({"x": round(x, 1), "w": w, "kind": kind, "sign": sign, "title": f"{counts[status]:,} {word}"})
        x += w
    return parts


def deviation_groups(
    assessment: Assessment,
    catalogue: Catalogue,
    messages: Mapping[int, str],
    sampled: set[str],
    titles: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Page 4: the deviations by check, the worst severity first, open ones first within."""
    found = sorted(assessment.deviations, key=lambda one: one.subject.check)
    groups: list[dict[str, Any]] = []
    for check, members in groupby(found, key=lambda one: one.subject.check):
        severity = severity_of(catalogue, check)
        end = assessment.span.until_ms
        listed = sorted(members, key=lambda one: (not one.open_at(end), one.id))
        facts = assessment.checks[check]
        groups.append(
            {
                "check": check,
                "title": titles.get(check, check).rstrip("."),
                "severity": severity,
                "controls": [control.id for control in catalogue.controls_of(check)],
                "extent": f"{facts.deviating:,} of {facts.applicable:,} subjects",
                "shown": [_deviation(one, assessment, severity, messages, sampled) for one in listed[:MAX_ROWS]],
                "more": max(0, len(listed) - MAX_ROWS),
                "open": sum(1 for one in listed if one.open_at(end)),
                "count": len(listed),
            }
        )
    worst_first = list(LIMIT_DAYS)
    return sorted(groups, key=lambda group: (worst_first.index(group["severity"]), -group["open"], group["check"]))


def _deviation(
    one: Deviation, assessment: Assessment, severity: str, messages: Mapping[int, str], sampled: set[str]
) -> dict[str, Any]:
    span = assessment.span
    still_open = one.open_at(span.until_ms)
    return {
        "id": one.id,
        "key": one.subject.key,
        "message": messages.get(one.blob_id, ""),
        "last_good": "–" if one.event else utc(one.last_good_ms) or "never seen",
        "before": one.opened_ms < span.from_ms and span.is_period,
        "opened": utc(one.opened_ms),
        "closed": "" if still_open else utc(one.closed_ms),
        "closed_said": closing_text(one, span) if one.event or one.closed_ms is not None else "",
        "open": still_open,
        "event": one.event,
        "length": length_text(one, span),
        "limit": "–" if one.event else f"{LIMIT_DAYS[severity]} d",
        "overdue": overdue(one, severity, span),
        "flaps": one.flaps,
        "sample": one.id in sampled,
    }


def lives(assessment: Assessment, groups: Sequence[Mapping[str, Any]]) -> charts.Lives | None:
    """Life bars: one lane for each deviation, or for each check when there are many."""
    if not assessment.span.is_period or not assessment.deviations:
        return None
    single = len(assessment.deviations) <= MAX_LANES
    lanes = []
    if single:
        for number, one in enumerate(assessment.deviations):
            lanes.append(_lane(assessment, number, f"{one.id} {one.subject.check}"[:25], one.id, [one]))
    else:
        by_check: dict[str, list[Deviation]] = {}
        for one in assessment.deviations:
            by_check.setdefault(one.subject.check, []).append(one)
        for number, group in enumerate(groups):
            check = str(group["check"])
            lanes.append(_lane(assessment, number, check[:25], f"g-{check}", by_check[check]))
    return charts.Lives(26 + 20 * len(lanes), charts.grid(assessment.span), tuple(lanes))


def _lane(assessment: Assessment, number: int, label: str, href: str, members: Sequence[Deviation]) -> charts.Lane:
    span, y = assessment.span, 24 + 20 * number
    bars = []
    for one in sorted(members, key=lambda one: one.open_at(span.until_ms)):
        x = charts.at(span, one.opened_ms)
        end = span.until_ms if one.open_at(span.until_ms) else one.closed_ms or one.last_fail_ms
        w = max(4.0, round(charts.at(span, end) - x, 1))
        title = f"{one.id} {one.subject.key}: {length_text(one, span)}"
        bars.append(charts.Bar(x, w, one.open_at(span.until_ms), one.event, title))
    still_open = sum(bar.open for bar in bars)
    if len(members) == 1:
        length = "" if members[0].event else days_text(members[0].remediation_ms(span.until_ms))
        note = f"open {length}" if still_open else length
    else:
        note = f"{len(members)}, {still_open} open" if still_open else f"{len(members)}, all closed"
    right, left = max(bar.x + bar.w for bar in bars), min(bar.x for bar in bars)
    ends = right > charts.RIGHT - 40
    roomy = left - charts.LEFT > 90
    place = charts.Text(left - 5, y, note, end=True) if ends and roomy else charts.Text(right + 5, y, note)
    if ends and not roomy:
        place = charts.Text(charts.RIGHT + 5, y, note)
    return charts.Lane(y, label, href, tuple(bars), place)


def gaps(assessment: Assessment, why: Mapping[tuple[int, int], str]) -> list[Gap]:
    """Page 5: runs without evidence; those of several targets of one source at the same time stand together."""
    found: list[tuple[str, bool, str, int, int, TargetCoverage, Run]] = []
    for number, target in assessment.targets.items():
        for run in target.runs:
            reason = why.get((number, run.from_ms), "")
            scope = target.past.target.scope.judging
            found.append((scope, run.bridged, reason, run.from_ms, run.to_ms, target, run))
    found.sort(key=lambda item: (item[2], item[1], item[3], item[0], item[5].past.id))
    merged: list[list[tuple[str, bool, str, int, int, TargetCoverage, Run]]] = []
    for item in found:
        last = merged[-1] if merged else None
        if last and last[0][1:3] == item[1:3] and item[3] < max(other[4] for other in last):
            last.append(item)
        else:
            merged.append([item])
    merged.sort(key=lambda group: (group[0][3], group[0][5].past.id))
    return [
        Gap(
            f"GAP-{number:03d}",
            tuple(sorted({item[5].past.target.name for item in group})),
            min(item[3] for item in group),
            max(item[4] for item in group),
            sum(item[6].slots for item in group),
            group[0][1],
            group[0][2],
            any(item[6] in item[5].gaps for item in group),
        )
        for number, group in enumerate(merged, start=1)
    ]


def gap_view(gap: Gap, total: int) -> dict[str, Any]:
    """One row of page 5."""
    scope = ""
    if len(gap.targets) == 1:
        source, _, scope = gap.targets[0].partition("@")
    elif len(gap.targets) == total:
        source = "All sources"
    else:
        scopes = sorted({name.partition("@")[2].partition(":")[0] for name in gap.targets})
        source = ", ".join(scopes)
    return {
        "id": gap.id,
        "source": source,
        "scope": scope,
        "targets": gap.targets,
        "from": utc(gap.from_ms),
        "to": utc(gap.to_ms),
        "length": days_text(gap.to_ms - gap.from_ms),
        "slots": f"{gap.slots:,}",
        "reason": gap.reason + ("" if gap.limit_exceeded else "; shorter than the longest gap allowed"),
        "bridged": gap.bridged,
    }


def elsewhere_view(facts: ControlFacts) -> dict[str, Any]:
    """A control that no automated check of this store reaches, and why."""
    built = [one for _, one in facts.checks if one is not None]
    return {
        "id": facts.control.id,
        "title": facts.control.title,
        "why": NO_SOURCE if built else "no check is built yet",
    }


def unseen_rows(assessment: Assessment) -> Iterator[dict[str, Any]]:
    """Targets that were not known at the moment of a snapshot."""
    for target in assessment.targets.values():
        reason = target.unseen_at(assessment.span.until_ms)
        if reason is not None:
            newest = assessment.reading.sightings.get((target.past.judging_id, target.past.id))
            seen = newest.newest() if newest else None
            yield {"name": target.past.target.name, "newest": utc(seen[0]) if seen else "", "why": reason.value}


def controls_by_criterion(controls: Sequence[Control]) -> dict[str, list[tuple[Control, bool]]]:
    """Criterion -> controls that serve it, and whether only beside others."""
    found: dict[str, list[tuple[Control, bool]]] = {}
    for control in controls:
        for criterion in control.criteria:
            found.setdefault(criterion, []).append((control, False))
        for criterion in control.supporting:
            found.setdefault(criterion, []).append((control, True))
    return found
