"""`evidenced export`: a bundle for the auditor, of a period or of a moment."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.out import Output, OutputOption, lines

if TYPE_CHECKING:
    from agent.export.bundle import Exported

EPILOG = """Examples:

evidenced export --period 2026-01-01..2026-06-30

evidenced export --as-of now --out bundle.zip

evidenced export --as-of 2026-06-30 --made-at 2026-07-03T09:00:00Z --output json

A period is inclusive days in the configured time zone; a day as --as-of means its end.
"""
SCHEMA = "evidenced.export/1"


def export(
    ctx: typer.Context,
    period: Annotated[str, typer.Option("--period", metavar="A..B", help="First and last day, both included.")] = "",
    as_of: Annotated[str, typer.Option("--as-of", metavar="T", help="A moment: now, a day, a time with zone.")] = "",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="ZIP", help="Where it goes; a folder takes it in.")
    ] = None,
    made_at: Annotated[
        str, typer.Option("--made-at", metavar="T", help="Its time of making: the same then gives the same bytes.")
    ] = "now",
    output: OutputOption = Output.text,
) -> None:
    """Write a signed bundle that an auditor checks alone."""
    from agent import clock
    from agent.cli import opened
    from agent.cli.when import moment
    from agent.cli.when import period as days
    from agent.errors import UsageError
    from agent.export.bundle import export_bundle
    from agent.registry import discover

    if bool(period) == bool(as_of):
        raise UsageError("give either --period FIRST..LAST or --as-of TIME", "evidenced export --as-of now")
    asked = days(period) if period else None
    settings = opened.settings(ctx)
    zone = settings.entity.period.timezone if settings.entity.period else "UTC"
    at_ms = moment(as_of, zone, clock.now_ms) if as_of else None
    made_at_ms = moment(made_at, zone, clock.now_ms)
    ledger = opened.ledger(settings)
    span = f"{asked[0]}_{asked[1]}" if asked else clock.iso(at_ms or 0)[:10]
    path = _place(out, settings.entity.name, span)
    made = export_bundle(
        ledger, discover(), settings, out=path, made_at_ms=made_at_ms, as_of=at_ms, period=asked, zone=zone
    )
    body = as_json(made)
    ledger.close()
    if output is Output.json:
        opened.emit(body)
    elif output is Output.jsonl:
        lines([body])
    else:
        _show(body)


def _place(out: Path | None, entity: str, span: str) -> Path:
    name = re.sub(r"[^a-z0-9]+", "-", entity.lower()).strip("-")
    default = "_".join(part for part in ("evidence", name, span) if part) + ".zip"
    if out is None:
        return Path(default)
    return out / default if out.is_dir() else out


def as_json(made: Exported) -> dict[str, Any]:
    """The contract `evidenced.export/1`."""
    from agent.canonical import digest

    manifest = made.manifest
    return {
        "schema": SCHEMA,
        "path": str(made.path),
        "bytes": made.path.stat().st_size,
        "files": len(made.sums.splitlines()),
        "sums": digest(made.sums).hex(),
        "kind": manifest["kind"],
        "draft": manifest["draft"],
        "ledger": manifest["ledger"],
        "counts": manifest["counts"],
        "key": manifest["signing_key"]["fingerprint"],
        "anchored": manifest["anchored"],
    }


def _show(body: dict[str, Any]) -> None:
    counts, slots = body["counts"], body["counts"]["slots"]
    typer.echo(f"Wrote {body['path']}   {body['bytes'] / 1e6:,.1f} MB, {body['files']:,} files")
    entries = f"{body['ledger']['size']:,} entries"
    typer.echo(f"  ledger      {entries}, {counts['polls']:,} polls, {counts['items']:,} items of evidence")
    if slots["owed"]:
        told = ", ".join(f"{slots[name]:,} {name}" for name in slots if name != "owed")
        typer.echo(f"  slots       {slots['owed']:,} owed: {told}")
    typer.echo(f"  deviations  {counts['deviations']:,}, {counts['deviations_open']:,} open at the end")
    if body["draft"]:
        typer.echo("  draft       no control has been adopted yet: for the company, not for the auditor")
    typer.echo(f"  anchors     {body['anchored']}")
    typer.echo(f"Signed by {body['key']}")
    typer.echo(f"Next: evidenced verify {body['path']}")
