"""`evidenced verify`: whether a bundle or the store is what it was, and what that proves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.out import Output, OutputOption, lines

if TYPE_CHECKING:
    from agent.ledger.verify import Report

EPILOG = """Examples:

evidenced verify evidence_example-models_2026-01-01_2026-06-30.zip

evidenced verify bundle/ --key SHA256:OZ85rhEfWPdhocZYAt/Ocd1W7DxikumGMHctD74y/Wk

evidenced verify --store

Give --key the fingerprint you were told by letter or call: the one inside a bundle proves nothing about who signed.
A bundle needs neither configuration nor store. Exit code: 0 unchanged, 6 something differs.
"""
SCHEMA = "evidenced.verify/1"


def verify(
    ctx: typer.Context,
    bundle: Annotated[Path | None, typer.Argument(metavar="[BUNDLE]", help="A bundle: folder or zip.")] = None,
    store: Annotated[bool, typer.Option("--store", help="The store of the configuration instead.")] = False,
    key: Annotated[str, typer.Option("--key", metavar="FINGERPRINT", help="The signer's, told apart from it.")] = "",
    output: OutputOption = Output.text,
) -> None:
    """Check that nothing was altered; say what that proves."""
    from agent.cli import logs, opened
    from agent.cli.out import options
    from agent.errors import UsageError

    if (bundle is None) != store:
        raise UsageError("name a bundle, or give --store", "evidenced verify BUNDLE | --store")
    report: Report
    if bundle is None:
        from agent.ledger.verify import verify_store

        settings = opened.settings(ctx)
        what, report = settings.store.url, verify_store(settings.store.connection(), key or None)
    else:
        from agent.export.verify import verify_bundle

        logs.start(options(ctx))
        what, report = str(bundle), verify_bundle(bundle, key or None)
    if output is Output.text:
        for line in page(report):
            typer.echo(line)
    else:
        body = as_json(report, what)
        opened.emit(body) if output is Output.json else lines([body])
    raise typer.Exit(6 if report.problems else 0)


def as_json(report: Report, what: str) -> dict[str, Any]:
    """The contract `evidenced.verify/1`."""
    return {
        "schema": SCHEMA,
        "of": what,
        "result": report.result,
        "problems": [problem._asdict() for problem in report.problems],
        "unlisted": report.unlisted,
        "limits": list(report.limits),
        "counts": dict(report.counts),
        "key": report.fingerprint,
        "origin": report.origin,
        "size": report.size,
        "root": report.root.hex() if report.root else None,
    }


def page(report: Report) -> Iterator[str]:
    """What a person reads."""
    signer = report.fingerprint or "nobody"
    yield f"ledger    {report.size:,} entries of {report.origin or 'nobody'}, signed by {signer}"
    yield "checked   " + " · ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in report.counts.items())
    for problem in report.problems:
        yield f"PROBLEM   {problem.code} at {problem.place}: {problem.text}"
    if report.unlisted:
        yield f"PROBLEM   and {report.unlisted:,} more"
    for limit in report.limits:
        yield f"limit     {limit}"
    yield f"RESULT    {report.result}"
