"""The smaller folders of a bundle: sources, tool, redaction; and the changes on record."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agent.assess import Assessment
from agent.canonical import canonical
from agent.clock import iso
from agent.export.csvfile import Column, Table
from agent.export.evidence import Items
from agent.export.ledger_part import LedgerPart
from agent.export.pages import every_text
from agent.export.tree import Tree
from agent.export.wording import utc
from agent.model import Gap, PollStatus, Reason
from agent.registry import Registry

if TYPE_CHECKING:
    from agent.ledger import Ledger

_CHANGE_KINDS = {
    "software": "Agent", "config": "Configuration", "catalogue": "Catalogue of controls", "threshold": "Thresholds",
    "adoption": "Adopted controls", "key": "Signing key", "recovery": "Declared recovery", "clock": "Clock set back",
    "outage": "Agent was away", "prune": "Content pruned",
}  # fmt: skip


def run_reasons(ledger: Ledger, assessment: Assessment) -> dict[tuple[int, int], str]:
    """(target, start of the run) -> why nothing covers it, as far as the ledger knows."""
    away = [line for line in assessment.reading.events("outage") if "from" in line and "to" in line]
    found = {}
    for number, target in assessment.targets.items():
        failed = [poll for poll in assessment.reading.polls(number) if poll.status is not PollStatus.COMPLETE]
        for run in target.runs:
            if run.why is None:
                known = [line for line in away if line["from"] < run.to_ms and line["to"] > run.from_ms]
                found[number, run.from_ms] = f"agent was away: {known[0].get('why')}" if known else "nobody tried"
                continue
            inside = [poll for poll in failed if run.from_ms <= poll.start_ms < run.to_ms]
            if not inside and run.why is Reason.STALE:
                found[number, run.from_ms] = "the source answered with what it had observed before"
                continue
            body = ledger.receipt(inside[-1].idx)["doc"].get("gap") if inside else None
            gap = Gap.of(body) if body else Gap(run.why)
            said = [f"refused {gap.op}" if gap.reason.value == "denied" and gap.op else gap.reason.value]
            said += [f"needs {gap.need}"] if gap.need else [gap.code] if gap.code else []
            found[number, run.from_ms] = "; ".join(said)
    return found


def source_groups(assessment: Assessment, part: LedgerPart) -> list[dict[str, Any]]:
    """Page 8: every stream in every scope, by provider."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for number, target in assessment.targets.items():
        wanted, receipts = target.past.target, part.receipts.get(number)
        groups[wanted.stream.partition(".")[0]].append({
            "stream": wanted.stream, "scope": wanted.scope.name, "every": every_text(wanted.every_s),
            "polls": f"{sum(target.polls.values()):,}", "complete": f"{target.polls[PollStatus.COMPLETE]:,}",
            "partial": f"{target.polls[PollStatus.PARTIAL]:,}", "failed": f"{target.polls[PollStatus.FAILED]:,}",
            "calls": f"{receipts.calls:,}" if receipts else "0", "pages": f"{receipts.pages:,}" if receipts else "0",
            "records": f"{receipts.rows_last:,}" if receipts else "–",
            "skew": f"{receipts.skew_ms:,} ms" if receipts else "–", "whole": target.polls,
        })  # fmt: skip
    made = []
    for provider in sorted(groups):
        rows = sorted(groups[provider], key=lambda row: (row["stream"], row["scope"]))
        total: Counter[PollStatus] = sum((row.pop("whole") for row in rows), Counter())
        polls = sum(total.values())
        said = f"{total[PollStatus.COMPLETE]:,} of {polls:,} polls complete" if polls else "no poll in this span"
        made.append({"provider": provider, "said": said, "rows": rows})
    return made


def write_sources(tree: Tree, assessment: Assessment, registry: Registry) -> None:
    """`sources/<provider>/scope.json`: what lies in scope, and which operations the agent may call there."""
    providers: dict[str, list[Any]] = defaultdict(list)
    for target in assessment.targets.values():
        providers[target.past.target.stream.partition(".")[0]].append(target)
    for provider, targets in sorted(providers.items()):
        streams = {target.past.target.stream for target in targets}
        known = [registry.streams[name] for name in sorted(streams) if name in registry.streams]
        body = {
            "provider": provider,
            "scopes": [
                {"scope": scope.name, "judging": scope.judging, "detail": dict(scope.detail)}
                for scope in sorted({t.past.target.scope.name: t.past.target.scope for t in targets}.values(),
                                    key=lambda scope: scope.name)
            ],
            "targets": [
                {"stream": t.past.target.stream, "scope": t.past.target.scope.name, "kind": t.past.target.kind.value,
                 "collector": t.past.target.collector,
                 "terms": [{"from": iso(term.from_ms), "every_seconds": term.every_s} for term in t.past.terms]}
                for t in sorted(targets, key=lambda t: t.past.target.name)
            ],
            "operations": {op: need for spec in known for op, need in sorted(spec.needs.items())},
        }  # fmt: skip
        tree.write(f"sources/{provider}/scope.json", json.dumps(body, indent=1, sort_keys=True) + "\n")


def write_tool(tree: Tree, assessment: Assessment, registry: Registry, part: LedgerPart) -> None:
    """`tool/`: versions and configuration in force, and each rule as it is written."""
    reading = assessment.reading
    table = Table("versions", "Versions of the agent in force.", (
        Column("from", "when it was first seen", "time"), Column("version", "of the agent"),
        Column("digest", "of the installed source", "digest"), Column("python", "version"),
        Column("plugins", "third-party code", null="none"), Column("entry", "ledger index", "integer"),
    ))  # fmt: skip
    rows = (
        (iso(line["at"]), line["version"], line["digest"], line["python"], _plugins(line), line["idx"])
        for line in reading.events("software")
    )
    for text in table.lines(rows):
        tree.write("tool/versions.csv", text)
    for line in reading.events("config", "catalogue", "threshold", "adoption"):
        tree.write("tool/config-history.jsonl", canonical(line) + b"\n")
    for idx, at_ms, digest in part.rule_sets:
        body = {"at": at_ms, "idx": idx, "k": "rules", "rules": digest}
        tree.write("tool/rules-history.jsonl", canonical(body) + b"\n")
    active = {check.id for facts in assessment.controls for check in facts.active}
    for name in sorted(active):
        parts = [f"# {name}\n"]
        for spec in registry.checks[name]:
            doc = "\n".join(line.strip() for line in (spec.judge.__doc__ or "").strip().splitlines())
            form = "each record of" if spec.over else "each judging scope, about"
            plugin = f"\nFrom the plug-in {spec.plugin}.\n" if spec.plugin else ""
            parts.append(f"## Over {form} `{spec.stream}`\n\n{doc}\n\nRevision `{spec.revision}`.\n{plugin}")
        tree.write(f"tool/rules/{name}.md", "\n".join(parts))


def _plugins(line: Mapping[str, Any]) -> str | None:
    return ", ".join(f"{name} {version}" for name, version in sorted(line["plugins"].items())) or None


def changes(assessment: Assessment, part: LedgerPart) -> list[dict[str, Any]]:
    """Page 9: what was in force when the span began, and every change in it."""
    reading, span = assessment.reading, assessment.span
    found: list[dict[str, Any]] = []
    last: dict[str, str] = {}
    scoped: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for line in reading.events("scope", *_CHANGE_KINDS):
        if line["k"] == "scope":
            scoped[line["at"]].append(line)
            continue
        said = _said(line)
        found.append(_change(line["at"], line["idx"], _CHANGE_KINDS[line["k"]], last.get(line["k"]), said))
        last[line["k"]] = said
    for at_ms, lines in scoped.items():
        ended = sum(1 for line in lines if "stream" not in line)
        told = [f"{len(lines) - ended} targets declared"] if len(lines) > ended else []
        told += [f"{ended} ended: {lines[-1].get('end')}"] if ended else []
        entry = lines[0]["idx"] if len(lines) == 1 else f"{lines[0]['idx']} to {lines[-1]['idx']}"
        found.append(_change(at_ms, entry, "Scope", None, ", ".join(told)))
    before = None
    for idx, at_ms, digest in part.rule_sets:
        found.append(_change(at_ms, idx, "Rules", before, f"rules {digest[:12]}…"))
        before = f"rules {digest[:12]}…"
    found = sorted((row for row in found if row["at"] < span.until_ms), key=lambda row: row["at"])
    standing = {row["what"]: row for row in found if row["at"] < span.from_ms}
    return [row for row in found if row["at"] >= span.from_ms or standing.get(row["what"]) is row]


def _said(line: Mapping[str, Any]) -> str:
    if line["k"] == "software":
        return f"{line.get('version')} · {str(line.get('digest'))[:12]}… · Python {line.get('python')}"
    if line["k"] == "recovery":
        return f"{line.get('kind')}: entries {line.get('first')} to {line.get('last')}; {line.get('reason')}"
    if line["k"] == "clock":
        return f"from {utc(line.get('was'))} to {utc(line['at'])}"
    if line["k"] == "outage":
        return f"{utc(line.get('from'))} to {utc(line.get('to'))}: {line.get('why')}"
    return (
        f"{str(line.get('digest'))[:12]}…"
        if line.get("digest")
        else ", ".join(sorted(line.keys() - {"at", "idx", "k", "v"}))
    )


def _change(at_ms: int, entry: Any, what: str, before: str | None, after: str) -> dict[str, Any]:
    return {"at": at_ms, "when": utc(at_ms), "what": what, "before": before, "after": after, "entry": entry}


def write_redaction(tree: Tree, items: Items) -> dict[str, Any]:
    """`redaction.json`: what was left out of the stored records, by stream and place; never what it was."""
    fields = [
        {"stream": stream, "at": pointer, "values": count, "method": "allow-list: the name is kept, the value is not"}
        for (stream, pointer), count in sorted(items.redacted.items())
    ]
    method = "replaced by [redacted]; place, pattern and keyed hash kept"
    body = {
        "profile": "auditor", "fields": fields, "values": sum(items.redacted.values()),
        "secret_patterns": {"hits": items.secrets, "method": method},
        "when": "before anything was hashed or stored",
    }  # fmt: skip
    tree.write("redaction.json", json.dumps(body, indent=1, sort_keys=True) + "\n")
    return body


def inherited_rows(standings: Sequence[tuple[Any, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Page 10: what providers do for everyone, by check and message."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one, body in standings:
        if one.piece.result and one.piece.result.inherited and not one.by_rule:
            groups[one.subject.check, body["message"]].append(one.subject.key)
    return [
        {"check": check, "message": message, "count": f"{len(keys):,}", "example": keys[0]}
        for (check, message), keys in sorted(groups.items())
    ]
