"""`evidenced export`: one signed zip with the evidence of a period, or as of a moment, and the ledger behind it."""

from __future__ import annotations

import base64
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from agent import __version__
from agent.assess import Assessment, Span, assess, read
from agent.canonical import canonical, parse
from agent.catalogue import load_catalogue
from agent.clock import iso
from agent.errors import UsageError
from agent.export import pages, parts
from agent.export.about import NAMESPACE, SIGNER, About
from agent.export.evidence import ItemWriter, samples
from agent.export.ledger_part import LedgerPart, write_ledger
from agent.export.populations import write_populations
from agent.export.report import Contents, render_report, render_start, worst_first
from agent.export.tables import Tables
from agent.export.tree import Tree
from agent.ledger.checkpoint import parse as parse_note
from agent.ledger.sign import openssh_line, sshsig
from agent.registry import Registry
from agent.schedule import Coverage

if TYPE_CHECKING:
    from agent.ledger import Ledger
    from agent.settings import Settings

FORMAT = "evidenced-bundle/1"
MAX_SAMPLES, SAMPLES_PER_CHECK = 40, 2
_NO_NAME = "(entity not named)"

_LISTED = (
    ("report/report.html", "the report: start with its first page"),
    ("tables/", "the same facts as CSV, one row each; schema.json says what each column means"),
    ("evidence/items.jsonl", "one line per version of a record: who asked, what, when, what was found"),
    ("populations/", "whole lists to draw from, each with a sheet on how complete it is"),
    ("ledger/", "the ledger from its first entry: every poll, record, finding and checkpoint"),
    ("sources/", "what lies in scope, and which operations the agent may call there"),
    ("tool/", "versions, configuration and rules in force"),
    ("redaction.json", "what was left out, by place and count"),
    ("manifest.json", "facts of this bundle, for machines"),
    ("SHA256SUMS, SHA256SUMS.sig", "digest of every other file, and the signature over them"),
    ("allowed_signers", "the public key for ssh-keygen: a convenience, not a proof"),
)


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export made."""

    path: Path
    sums: bytes
    """SHA256SUMS: the same for the same ledger, span, program and `made_at_ms`."""
    manifest: Mapping[str, Any]
    assessment: Assessment


def export_bundle(
    ledger: Ledger,
    registry: Registry,
    settings: Settings,
    *,
    out: Path,
    made_at_ms: int,
    as_of: int | None = None,
    period: tuple[date, date] | None = None,
    zone: str | None = None,
) -> Exported:
    """Write the bundle of a period (first and last day, both included) or as of a moment (ms UTC).

    Days are those of `zone`, by default of settings.entity.period. The ledger is sealed first when
    entries follow its newest checkpoint. UsageError for a span that is none or lies ahead of the ledger.
    """
    named = settings.entity.period.timezone if settings.entity.period else "UTC"
    span = _span(as_of, period, zone or named)
    size, note = _sealed(ledger, made_at_ms)
    known_ms = _time_of(ledger, size - 1)
    first_ms = _time_of(ledger, 0)
    if span.is_period and span.from_ms > known_ms:
        raise UsageError("the span lies after the ledger's newest entry", f"The newest is of {iso(known_ms)}.")
    catalogue = load_catalogue()
    assessment = assess(read(ledger, known_ms, size - 1), registry, catalogue, span)
    tree = Tree()
    try:
        about = _about(ledger, settings, assessment, size, note, made_at_ms, first_ms)
        part = write_ledger(tree, ledger, size, (span.from_ms if span.is_period else first_ms, span.until_ms))
        wanted = worst_first(assessment, catalogue, MAX_SAMPLES, SAMPLES_PER_CHECK)
        items = ItemWriter(tree, ledger, assessment, catalogue, part).write(wanted)
        reasons = parts.run_reasons(ledger, assessment)
        gaps = pages.gaps(assessment, reasons)
        tables = Tables(tree, assessment, catalogue, part, gaps, reasons)
        rows = tables.write()
        populations = write_populations(tree, assessment, registry) if span.is_period else []
        parts.write_sources(tree, assessment, registry)
        parts.write_tool(tree, assessment, registry, part)
        redaction = parts.write_redaction(tree, items)
        contents = Contents(
            gaps=gaps,
            messages=_messages(ledger, assessment),
            samples=samples(ledger, items, wanted, part),
            items=items,
            sources=parts.source_groups(assessment, part),
            changes=parts.changes(assessment, part),
            populations=populations,
            inherited=parts.inherited_rows(list(tables.standings())),
            titles={name: specs[0].title for name, specs in registry.checks.items()},
        )
        tree.write("report/report.html", render_report(assessment, catalogue, about, contents))
        start, readme = render_start(assessment, about, _LISTED)
        tree.write("START-HERE.html", start)
        tree.write("README.txt", readme)
        _write_keys(tree, ledger)
        manifest = _manifest(
            assessment, about, part, rows, items.count, redaction, len(gaps), len(populations), made_at_ms
        )
        tree.write("manifest.json", canonical(manifest))
        sums = tree.seal(lambda data: sshsig(ledger.signer, data, NAMESPACE))
        tree.zip_to(out)
    finally:
        tree.close()
    return Exported(out, sums, manifest, assessment)


def _span(as_of: int | None, period: tuple[date, date] | None, zone: str) -> Span:
    if (as_of is None) == (period is None):
        raise UsageError("an export is of a period or as of a moment", "Give --period FIRST..LAST or --as-of TIME.")
    return Span.period(*period, zone) if period else Span.as_of(as_of or 0, zone)


def _sealed(ledger: Ledger, at_ms: int) -> tuple[int, str]:
    """The newest checkpoint, made now when entries follow it: (size, note)."""
    notes = ledger.notes()
    if not notes or notes[-1][0] < ledger.head().size:
        ledger.seal(at_ms)
        notes = ledger.notes()
    return notes[-1]


def _time_of(ledger: Ledger, idx: int) -> int:
    body = next(parse(line) for _, line in ledger.lines(idx, idx + 1))
    return int(body["start"] + body["dur"] if body["k"] == "poll" else body["at"])


def _about(
    ledger: Ledger, settings: Settings, assessment: Assessment, size: int, note: str, made_at_ms: int, first_ms: int
) -> About:
    anchors: dict[str, list[str]] = {}
    for line in assessment.reading.events("anchor"):
        anchors.setdefault(str(line.get("kind")), []).append(iso(line["at"])[:10])
    return About(
        entity=settings.entity.name or _NO_NAME,
        demo=ledger.demo,
        made_at_ms=made_at_ms,
        version=__version__,
        origin=ledger.origin,
        size=size,
        root=parse_note(note)[0].root.hex(),
        fingerprint=ledger.fingerprint,
        anchors=tuple({"type": k, "last": days[-1], "count": len(days)} for k, days in sorted(anchors.items())),
        since_ms=first_ms,
        recoveries=tuple(assessment.reading.events("recovery")),
    )


def _messages(ledger: Ledger, assessment: Assessment) -> dict[int, str]:
    wanted = {one.blob_id for one in assessment.deviations}
    return {number: str(parse(data)["message"]) for number, data in ledger.documents(wanted)}


def _write_keys(tree: Tree, ledger: Ledger) -> None:
    """The public key: for ssh-keygen, and for the notes of the ledger."""
    tree.write("allowed_signers", f'{SIGNER} namespaces="{NAMESPACE}" {openssh_line(ledger.signer.public_key)}\n')
    keys = [{"at": ledger.genesis["at"], "idx": 0, "key": ledger.genesis["key"]}]
    keys += [{"at": line["at"], "idx": line["idx"], "key": line["key"]} for line in ledger.events("key")]
    newest = base64.b64encode(ledger.signer.public_key).decode()
    body = {"algorithm": "ed25519", "fingerprint": ledger.fingerprint, "keys": keys, "newest": newest}
    tree.write("ledger/keys.json", json.dumps({**body, "origin": ledger.origin}, indent=1, sort_keys=True) + "\n")


def _manifest(
    assessment: Assessment, about: About, part: LedgerPart, rows: Mapping[str, int], items: int,
    redaction: Mapping[str, Any], gaps: int, populations: int, made_at_ms: int,
) -> dict[str, Any]:  # fmt: skip
    span, slots = assessment.span, assessment.slots
    where = f"{about.origin}/{about.size}/{span.kind}/{span.from_ms}/{span.until_ms}/{made_at_ms}"
    when: dict[str, Any] = (
        {"period": {
            "first_day": span.days[0].date.isoformat(), "last_day": span.days[-1].date.isoformat(),
            "days": len(span.days), "timezone": span.zone, "from": iso(span.from_ms), "until": iso(span.until_ms),
        }}
        if span.is_period else {"as_of": iso(span.until_ms - 1), "timezone": span.zone}
    )  # fmt: skip
    return {
        "format": FORMAT, "bundle_id": str(uuid5(NAMESPACE_URL, where)), "revision": 1, "supersedes": None,
        "kind": span.kind, "profile": "auditor", "entity": about.entity, "demo": about.demo, "draft": True,
        "draft_reason": "no control has been adopted yet: for the company, not for the auditor", **when,
        "made": {"at": iso(made_at_ms), "tool": f"evidenced {about.version}", "python": platform.python_version()},
        "criteria": {"set": "TSC 2017, points of focus 2022", "texts": "own short titles"},
        "controls": {
            "adopted": 0, "observed": len(assessment.controls), "without_automated_check": len(assessment.elsewhere),
        },
        "scope": sorted({target.past.target.scope.judging for target in assessment.targets.values()}),
        "ledger": {
            "origin": about.origin, "first": 0, "size": about.size, "root": about.root,
            "recoveries": [line["idx"] for line in about.recoveries],
        },
        "counts": {
            "items": items, "documents": part.documents, "documents_pruned": part.pruned, "polls": part.polls,
            "judged": part.judged, "events": part.events,
            "slots": {"owed": sum(slots.values()), **{coverage.value: slots[coverage] for coverage in Coverage}},
            "deviations": len(assessment.deviations), "deviations_open": len(assessment.open), "gaps": gaps,
            "tables": dict(rows), "populations": populations, "samples": 0,
        },
        "replay": None,
        "redaction": {"profile": "auditor", "fields": len(redaction["fields"]), "values": redaction["values"]},
        "signing_key": {"type": "ssh-ed25519", "fingerprint": about.fingerprint},
        "anchors": [dict(one) for one in about.anchors], "anchored": about.anchors_said,
    }  # fmt: skip
