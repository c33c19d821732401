"""`populations/`: whole lists for the auditor to draw from, each with a sheet on how complete it is."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from agent.assess import Assessment, Standing, owed_slots
from agent.canonical import canonical, parse
from agent.clock import iso
from agent.export.csvfile import Column, Table
from agent.export.tree import Tree
from agent.model import Kind
from agent.registry import DerivedSpec, Registry
from agent.schedule import Coverage

EVENTS: Mapping[str, tuple[str, str]] = {
    "mlflow.registry.promotions": ("POP-01", "Model and prompt version promotions"),
}
"""Derived events stream -> population and title (controls.md 7.3)."""
_BATCH = 1_000

_SLOTS = Table("POP-21", "Scheduled collections of the period.", (
    Column("id", "stream@scope and start of the slot"), Column("coverage", "covered, bridged, failed, missed"),
    Column("poll", "ledger index", "integer", null="nobody tried"),
))  # fmt: skip


def write_populations(tree: Tree, assessment: Assessment, registry: Registry) -> list[dict[str, Any]]:
    """Every population of a period that this version knows; their sheets come back."""
    made = [_events(tree, assessment, registry, name) for name in EVENTS if name in registry.derived]
    return [one for one in made if one is not None] + [_scheduled(tree, assessment)]


def _scheduled(tree: Tree, assessment: Assessment) -> dict[str, Any]:
    """POP-21: every owed slot."""
    counts: Counter[Coverage] = Counter()

    def rows() -> Iterator[dict[str, Any]]:
        reading = assessment.reading
        for number in sorted(assessment.targets, key=lambda i: assessment.targets[i].past.target.name.encode()):
            past = assessment.targets[number].past
            owed = owed_slots(
                past, assessment.span, reading.polls(number), owed_from_ms=reading.owed_from_ms,
                known_ms=reading.known_ms,
            )  # fmt: skip
            for slot in owed:
                counts[slot.coverage] += 1
                name = f"{past.target.name}|{iso(slot.start_ms)}"
                yield {"coverage": slot.coverage.value, "id": name, "poll": slot.poll}

    written = _write(tree, "POP-21", rows())
    listed = (parse(line) for line in tree.lines("populations/POP-21.jsonl"))
    for text in _SLOTS.lines((row["id"], row["coverage"], row["poll"]) for row in listed):
        tree.write("populations/POP-21.csv", text)
    said = ", ".join(f"{counts[coverage]:,} {coverage.value}" for coverage in Coverage)
    return _sheet(tree, assessment, written, {
        "id": "POP-21", "title": "Scheduled collections", "source": "the ledger of this bundle",
        "definition": "every slot of the fixed UTC grid of each target's interval that begins in the period, from the "
        "scope events of the ledger, once slots are owed (first start of the agent, or a declared schedule)",
        "bound_field": "start of the slot", "row_id": "stream@scope and start of the slot", "complete": True,
        "completeness": f"every slot that was due: {said}", "by_coverage": {c.value: counts[c] for c in Coverage},
        "limits": ["a slot that was not yet due when the bundle was made is not listed"],
    })  # fmt: skip


def _events(tree: Tree, assessment: Assessment, registry: Registry, name: str) -> dict[str, Any] | None:
    """A population of derived events: each with what every rule over it said first and definitely."""
    spec = registry.derived[name]
    checks = {check.id for check in registry.checks_over(name)}
    read = [target for target in assessment.targets.values() if target.past.target.stream in spec.of]
    if spec.kind is not Kind.EVENTS or not read or not checks:
        return None
    rows = _event_rows(assessment, checks)
    id, title = EVENTS[name]
    written = _write(tree, id, rows)
    lost = sorted({f"{target.past.target.name}" for target in read if any(not run.bridged for run in target.runs)})
    blind = any(assessment.reading.is_whole(one.subject) for one in assessment.standings if one.subject.check in checks)
    complete = not lost and not blind and all(target.owed for target in read)
    return _sheet(tree, assessment, written, {
        "id": id, "title": title, "source": ", ".join(sorted({t.past.target.name for t in read})),
        "definition": f"{spec.title.rstrip('.')}, as the polls of these streams show it; dated by the first judging",
        "bound_field": "first judged line about the event", "row_id": "kind, name, version and poll that showed it",
        "complete": complete, "completeness": _completeness(complete, lost, written[0]),
        "limits": ["what was done and undone between two polls is not seen", *_limits(spec)],
    })  # fmt: skip


def _event_rows(assessment: Assessment, checks: set[str]) -> Iterator[dict[str, Any]]:
    reading = assessment.reading
    found: dict[tuple[int, str], list[Standing]] = {}
    for one in assessment.standings:
        if one.subject.check in checks and not reading.is_whole(one.subject):
            found.setdefault((one.subject.judging_id, one.subject.key), []).append(one)
    waiting = iter(sorted(found.items(), key=lambda item: (item[0][1].encode(), item[0][0])))
    while batch := list(islice(waiting, _BATCH)):
        numbers = {one.piece.blob_id for _, group in batch for one in group if one.piece.blob_id is not None}
        bodies = {number: parse(data) for number, data in reading.ledger.documents(numbers)}
        for (judging_id, key), group in batch:
            findings = {
                one.subject.check: {
                    "facts": bodies[one.piece.blob_id]["facts"],
                    "finding": reading.digests[one.piece.blob_id].hex(),
                    "judged": one.piece.judged,
                    "message": bodies[one.piece.blob_id]["message"],
                    "status": one.status.value,
                }
                for one in sorted(group, key=lambda one: one.subject.check)
                if one.piece.blob_id is not None
            }
            first_ms = min(one.piece.first_ms for one in group)
            yield {
                "findings": findings,
                "first_judged": iso(first_ms),
                "id": key,
                "scope": reading.judgings[judging_id],
            }


def _completeness(complete: bool, lost: list[str], rows: int) -> str:
    if not complete:
        said = f": no evidence for part of the period of {', '.join(lost)}" if lost else ""
        return f"completeness not shown{said}"
    return (
        "did not occur (population 0, list complete)" if rows == 0 else "every slot of its streams covered or bridged"
    )


def _limits(spec: DerivedSpec) -> list[str]:
    return [f"derived by the plug-in {spec.plugin}"] if spec.plugin else []


def _write(tree: Tree, id: str, rows: Iterable[Mapping[str, Any]]) -> tuple[int, str]:
    """Canonical rows, one a line, in the order of their ids; their number and digest."""
    total, count = hashlib.sha256(), 0
    tree.write(f"populations/{id}.jsonl", b"")
    for row in rows:
        line = canonical(row) + b"\n"
        tree.write(f"populations/{id}.jsonl", line)
        total.update(line)
        count += 1
    return count, f"sha256:{total.hexdigest()}"


def _sheet(tree: Tree, assessment: Assessment, written: tuple[int, str], about: dict[str, Any]) -> dict[str, Any]:
    """The sheet on completeness and accuracy, `<id>.ipe.json`."""
    span = assessment.span
    sheet = {
        **about, "origin": "system", "rows": written[0], "digest": written[1], "from": iso(span.from_ms),
        "until": iso(span.until_ms), "independent_count": None,
    }  # fmt: skip
    tree.write(f"populations/{about['id']}.ipe.json", json.dumps(sheet, indent=1, sort_keys=True) + "\n")
    return sheet
