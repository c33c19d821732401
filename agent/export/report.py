"""The report and the two start pages: one HTML file each, no request, readable with scripts off."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from agent.assess import Assessment, State, days_text
from agent.canonical import digest, parse
from agent.catalogue import Catalogue
from agent.clock import iso
from agent.export import charts, pages
from agent.export.about import VERIFY_LINES, About
from agent.export.evidence import Items, Sample, pretty
from agent.export.pages import Gap, severity_of
from agent.export.wording import (
    DRAFT,
    LIMIT_DAYS,
    NO_OPINION,
    closing_text,
    mark_of,
    period_text,
    scope_text,
    slots_text,
    utc,
)
from agent.model import Status
from agent.schedule import Coverage

_PAGES = (
    ("summary", "Summary"), ("criteria", "Criteria by control"), ("timelines", "Control timelines"),
    ("deviations", "Deviations"), ("gaps", "Gaps"), ("populations", "Populations"), ("evidence", "Evidence"),
    ("completeness", "Completeness & accuracy"), ("changes", "Changes to the tool"),
    ("inherited", "Inherited from providers"), ("verify", "Verify"), ("limits", "Method & limits"),
)  # fmt: skip
_LEGEND = (
    ("●", "ok", "no deviation, evidence throughout"), ("◆", "dev", "deviations, all closed"),
    ("▲", "open", "deviation open at the end"), ("○", "gap", "no deviation; time without evidence"),
    ("?", "ne", "no deviation; something could not be evaluated"), ("·", "na", "did not occur, or applied to nothing"),
)  # fmt: skip
_SHOWN_STATES = tuple(state.value for state in State if state is not State.OUTSIDE)
_EYE = 7


@dataclass(frozen=True, slots=True)
class Contents:
    """What the pages are made from besides the assessment itself."""

    gaps: Sequence[Gap]
    messages: Mapping[int, str]
    samples: Sequence[Sample]
    items: Items
    sources: Sequence[Mapping[str, Any]]
    changes: Sequence[Mapping[str, Any]]
    populations: Sequence[Mapping[str, Any]]
    inherited: Sequence[Mapping[str, Any]]
    titles: Mapping[str, str]
    """Check -> the first line of its rule."""


def render_report(assessment: Assessment, catalogue: Catalogue, about: About, contents: Contents) -> str:
    """`report/report.html`."""
    span = assessment.span
    sampled = {one.deviation.id for one in contents.samples}
    groups = pages.deviation_groups(assessment, catalogue, contents.messages, sampled, contents.titles)
    absent = {"inherited" if not contents.inherited else "", "populations" if not contents.populations else ""}
    shown = [page for page in enumerate(_PAGES, start=1) if page[1][0] not in absent]
    context: dict[str, Any] = {
        "pages": [{"number": number, "id": id, "title": title} for number, (id, title) in shown],
        "entity": about.entity, "demo": about.demo, "ledger": about, "made": iso(about.made_at_ms),
        "version": about.version, "anchors_said": about.anchors_said, "draft": DRAFT, "no_opinion": NO_OPINION,
        "is_period": span.is_period, "period": period_text(span), "days": len(span.days), "zone": span.zone,
        "scope": scope_text(assessment), "tiles": _tiles(assessment, contents),
        "eye": _eye(assessment, groups, contents, about), "matrix": _matrix(assessment, catalogue),
        "controls": [pages.control_view(facts, assessment) for facts in assessment.controls],
        "elsewhere": [pages.elsewhere_view(facts) for facts in assessment.elsewhere],
        "states": _SHOWN_STATES, "mark_size": charts.size_of(len(span.days)), "sizes": charts.SIZES,
        "mark_sizes": sorted({"w", charts.size_of(len(span.days))}),
        "deviations": groups, "lives": pages.lives(assessment, groups),
        "gaps": [pages.gap_view(gap, len(assessment.targets)) for gap in contents.gaps],
        "unseen": list(pages.unseen_rows(assessment)), "slots_said": slots_text(assessment.slots),
        "owed": sum(assessment.slots.values()), "populations": contents.populations,
        "samples": [_sample(one, assessment) for one in contents.samples], "items": contents.items.count,
        "samples_left": len(assessment.deviations) - len(contents.samples), "sources": contents.sources,
        "changes": contents.changes, "inherited": contents.inherited, "verify_lines": VERIFY_LINES,
        **_inline(),
    }  # fmt: skip
    return _environment().get_template("report.html.j2").render(context)


def render_start(assessment: Assessment, about: About, listed: Iterable[tuple[str, str]]) -> tuple[str, str]:
    """START-HERE.html and README.txt."""
    context: dict[str, Any] = {
        "about": about, "entity": about.entity, "demo": about.demo, "draft": DRAFT, "no_opinion": NO_OPINION,
        "period": period_text(assessment.span), "is_period": assessment.span.is_period, "zone": assessment.span.zone,
        "days": len(assessment.span.days), "made": iso(about.made_at_ms), "anchors_said": about.anchors_said,
        "verify_lines": VERIFY_LINES, "listed": list(listed), "controls": len(assessment.controls),
        "deviations": len(assessment.deviations), "open": len(assessment.open),
        "slots_said": slots_text(assessment.slots), "scope": scope_text(assessment), **_inline(),
    }  # fmt: skip
    environment = _environment()
    return (
        environment.get_template("start.html.j2").render(context),
        environment.get_template("readme.txt.j2").render(context),
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("agent.export"), autoescape=lambda name: bool(name) and ".html" in str(name),
        undefined=StrictUndefined, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters["count_of"] = charts.plural
    environment.filters["sentence"] = lambda text: str(text)[:1].upper() + str(text)[1:]
    environment.filters["slug"] = lambda text: str(text).replace(" ", "-")
    return environment


@cache
def _inline() -> dict[str, str]:
    """Style and script with the hashes that alone let them run."""
    folder = files("agent.export") / "templates"
    style, script = ((folder / name).read_text(encoding="utf-8") for name in ("style.css", "report.js"))
    return {"style": style, "script": script, "style_hash": _csp(style), "script_hash": _csp(script)}


def _csp(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _tiles(assessment: Assessment, contents: Contents) -> list[dict[str, str]]:
    span, found, still_open = assessment.span, assessment.deviations, assessment.open
    counts = assessment.slots
    events = sum(1 for one in found if one.event)
    ended = f"{len(found) - len(still_open) - events:,} closed" + (
        f", {charts.plural(events, 'event')}" if events else ""
    )
    deviations = {
        "figure": f"{len(found):,}", "what": "deviations" if span.is_period else "open deviations",
        "more": ended if span.is_period else "of a rule for a subject",
        "bad": f"{len(still_open):,} open at period end" if span.is_period and still_open else "",
    }  # fmt: skip
    items = {"figure": f"{contents.items.count:,}", "what": "evidence items", "more": "versions of records", "bad": ""}
    if not span.is_period:
        at_end: Counter[Status] = Counter(one.status for one in assessment.standings)
        named = (
            (Status.PASS, "pass"),
            (Status.NOT_EVALUATED, "not evaluated"),
            (Status.NOT_APPLICABLE, "not applicable"),
        )
        tiles = [
            {"figure": f"{at_end[status]:,}", "what": word, "more": "findings at this moment", "bad": ""}
            for status, word in named
        ]
        return [deviations, *tiles, items]
    days = Counter(day.state for facts in assessment.controls for day in facts.days)
    planned = days.total() - days[State.OUTSIDE]
    told = planned - days[State.NO_EVIDENCE] - days[State.NOT_EVALUABLE] - days[State.BRIDGED]
    closed = sorted(
        one.remediation_ms(span.until_ms) for one in found if not one.event and not one.open_at(span.until_ms)
    )
    owed = sum(counts.values())
    lost = counts[Coverage.FAILED] + counts[Coverage.MISSED]
    return [
        {"figure": _percent(told, planned), "what": "control-days evaluated",
         "more": f"of {planned:,}: {days[State.BRIDGED]:,} bridged, {days[State.NOT_EVALUABLE]:,} not evaluable",
         "bad": f"{days[State.NO_EVIDENCE]:,} without evidence" if days[State.NO_EVIDENCE] else ""},
        deviations,
        {"figure": days_text(closed[len(closed) // 2]) if closed else "–", "what": "median time to close",
         "more": f"longest {days_text(closed[-1])}" if closed else "nothing was closed", "bad": ""},
        items,
        {"figure": _percent(counts[Coverage.COVERED], owed), "what": "planned collections covered",
         "more": f"{counts[Coverage.COVERED]:,} of {owed:,}; {counts[Coverage.BRIDGED]:,} bridged",
         "bad": f"{lost:,} without evidence" if lost else ""},
    ]  # fmt: skip


def _percent(part: int, whole: int) -> str:
    """Never rounded up to 100 %."""
    return "–" if not whole else "100%" if part == whole else f"{min(99.9, 100 * part / whole):.1f}%"


def _eye(
    assessment: Assessment, groups: Sequence[Mapping[str, Any]], contents: Contents, about: About
) -> list[dict[str, str]]:
    """What a reader should look at first: declared losses before anything good, then the worst."""
    found = [
        {"pill": "open", "word": "loss", "href": "changes", "label": "Declared recovery",
         "text": f"entries {one.get('first')} to {one.get('last')}: {one.get('reason', '')}"}
        for one in about.recoveries
    ]  # fmt: skip
    at_end = "open at the end" if assessment.span.is_period else "open"
    for group in groups:
        if group["open"] and len(found) < _EYE - 2:
            text = f"{charts.plural(group['open'], 'subject')} {at_end}, {group['severity']}"
            found.append(
                {"pill": "open", "word": "open", "href": f"g-{group['check']}", "label": group["title"], "text": text}
            )
    for gap in sorted(contents.gaps, key=lambda gap: gap.from_ms - gap.to_ms):
        if not gap.bridged and len(found) < _EYE:
            text = f"{days_text(gap.to_ms - gap.from_ms)}, {charts.plural(gap.slots, 'slot')} not bridged: {gap.reason}"
            found.append({"pill": "gapp", "word": "gap", "href": gap.id, "label": gap.id, "text": text})
    blind = Counter(
        one.reason.value for one in assessment.standings if one.status is Status.NOT_EVALUATED and one.reason
    )
    if blind:
        said = ", ".join(f"{word} {count:,}" for word, count in blind.most_common(4))
        text = f"{charts.plural(sum(blind.values()), 'finding')} not evaluated at the end: {said}"
        found.append({"pill": "gapp", "word": "unseen", "href": "timelines", "label": "", "text": text})
    return found


def _matrix(assessment: Assessment, catalogue: Catalogue) -> dict[str, Any]:
    columns = [facts.control.id for facts in assessment.controls]
    marks = {facts.control.id: mark_of(facts, assessment) for facts in assessment.controls}
    count = {facts.control.id: len(facts.deviations) for facts in assessment.controls}
    serving = pages.controls_by_criterion([facts.control for facts in assessment.controls])
    rows = []
    for criterion in catalogue.criteria.values():
        serves = {control.id: beside for control, beside in serving.get(criterion.id, ())}
        if not serves:
            continue
        cells: list[dict[str, Any] | None] = []
        for column in columns:
            if column not in serves:
                cells.append(None)
                continue
            sign, kind, said = marks[column]
            beside = " (supporting)" if serves[column] else ""
            cells.append(
                {"sign": sign, "kind": kind, "said": f"{column}: {said}{beside}", "supporting": serves[column]}
            )
        rows.append(
            {"id": criterion.id, "title": criterion.title, "cells": cells, "controls": len(serves),
             "deviations": sum(count[id] for id in serves)}
        )  # fmt: skip
    unserved = [criterion for criterion in catalogue.criteria.values() if criterion.id not in serving]
    return {"columns": columns, "rows": rows, "unserved": unserved, "legend": _LEGEND}


def _sample(one: Sample, assessment: Assessment) -> dict[str, Any]:
    deviation, span = one.deviation, assessment.span
    finding = parse(one.finding)
    rows: list[tuple[str, dict[str, Any]]] = []

    def add(name: str, text: Any, *, code: bool = False) -> None:
        if text not in (None, ""):
            rows.append((name, {"text": str(text), "code": code, "bad": False}))

    if one.item is not None:
        receipt, observed = one.item["receipt"], one.item["observed"]
        add("Item", one.item["id"], code=True)
        add("Observed in", f"{one.item['stream']} @ {one.item['scope']}", code=True)
        add("Asked", ", ".join(receipt["operations"]), code=True)
        add("Acting as", receipt["identity"], code=True)
        add("Endpoint", receipt["endpoint"], code=True)
        add("Request id", receipt["first_request_id"], code=True)
        said = (
            f"{receipt['started']}, {receipt['calls']:,} calls, {receipt['pages']:,} pages, {receipt['rows']:,} records"
        )
        add("First poll", f"{said}, clock skew {receipt['skew_ms']} ms")
        add("Shown by", f"{charts.plural(observed['polls'], 'poll')}, {observed['first']} to {observed['last']}")
        add("Collector", receipt["collector"], code=True)
        place = one.item["ledger"]
        add("Ledger", f"entry {observed['first_idx']} (poll), target {place['target']}, position {place['pos']}")
        redacted = one.item["redacted"]
        add("Left out", ", ".join(redacted) if redacted else "nothing")
    else:
        add("About", "the judging scope as a whole, or what follows from its history")
    add("Judged", f"entry {deviation.opened_judged}")
    add("Rules", one.rules, code=True)
    add("Opened", utc(deviation.opened_ms))
    add("Closed", closing_text(deviation, span))
    documents = [{"title": "Finding", "digest": digest(one.finding).hex(), "pretty": pretty(one.finding), "raw": ""}]
    if one.record is not None:
        raw = one.record.decode() if len(one.record) <= 40_000 else ""
        body = pretty(one.record)
        body = body if len(body) <= 40_000 else body[:40_000] + "\n… the whole record is in ledger/documents/"
        documents.insert(0, {"title": "Record", "digest": digest(one.record).hex(), "pretty": body, "raw": raw})
    return {
        "id": deviation.id, "check": deviation.subject.check, "key": deviation.subject.key,
        "open": deviation.open_at(span.until_ms), "message": finding["message"], "rows": rows, "documents": documents,
        "state": "open" if deviation.open_at(span.until_ms) else "event" if deviation.event else "closed",
    }  # fmt: skip


def worst_first(assessment: Assessment, catalogue: Catalogue, most: int, per_check: int) -> list[Any]:
    """The deviations of which the report shows evidence: open and severe ones first, some of each check."""
    end, order = assessment.span.until_ms, list(LIMIT_DAYS)

    def rank(one: Any) -> tuple[Any, ...]:
        return (not one.open_at(end), order.index(severity_of(catalogue, one.subject.check)), one.id)

    taken: Counter[str] = Counter()
    chosen = []
    for one in sorted(assessment.deviations, key=rank):
        taken[one.subject.check] += 1
        if taken[one.subject.check] <= per_check:
            chosen.append(one)
    return chosen[:most]
