"""`evidenced collect`: look once, now, and say what was seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.out import Output, OutputOption

if TYPE_CHECKING:
    from agent.ledger import Ledger
    from agent.model import Finding
    from agent.registry import Registry
    from agent.sweep import Planned

EPILOG = """Examples:

evidenced collect --now

evidenced collect --now aws.iam --output json

evidenced collect --now --only bucket-tls-only --note "Pre-audit snapshot"

evidenced collect --plan

Exit code: 0 everything was seen, 4 every shortfall is a missing permission or login, 5 incomplete for another reason;
what could be had is stored either way. What a source itself lacks (unsupported) is told and counts for neither.
"""


def collect(
    ctx: typer.Context,
    collectors: Annotated[
        list[str] | None,
        typer.Argument(help="Only these: aws, aws.s3, mlflow.registry ... Default: all that is enabled."),
    ] = None,
    now: Annotated[bool, typer.Option("--now", help="Collect now; without a daemon there is no other time.")] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what a month of collecting would ask of each source; collects nothing.")
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Only what this control, check or stream needs; may be repeated.")
    ] = None,
    note: Annotated[str, typer.Option("--note", help="A remark for the record, with your words.")] = "",
    output: OutputOption = Output.text,
) -> None:
    """Collect evidence once, judge it and seal it."""
    from agent import clock
    from agent.cli import opened
    from agent.cli.summary import Progress, Summary, Tally, as_json
    from agent.errors import UsageError
    from agent.registry import discover
    from agent.sweep import announce, connect, retire_absent, sweep
    from agent.sweep import plan as planned
    from agent.thrift import be_thrifty

    if now and plan:
        raise UsageError("--now collects, --plan does not", "give one of them")
    if not now and not plan:
        raise UsageError(
            "nothing to do", "type `evidenced collect --now` or `--plan`; for a schedule use `evidenced run`"
        )
    settings, registry = opened.settings(ctx), discover()
    wanted = chosen(registry, collectors or [], only or [])
    sources = connect(registry, settings)
    if not any(spec.provider in sources and wanted(spec) for spec in registry.streams.values()):
        raise UsageError(
            "nothing of that is enabled", "enable it in the configuration, e.g. [collect.aws] enabled = true"
        )
    if plan:
        from agent.cli.plan import show

        show(ctx, settings, registry, sources, wanted, output)
        return
    ledger = opened.ledger(settings, create=True, writing=True)
    made = planned(registry, settings, sources, ledger, wanted)
    if not collectors and not only:
        retire_absent(ledger, registry, settings, made, clock.now_ms())
    announce(ledger, registry, settings, clock.now_ms())
    if note:
        ledger.append_event("note", {"text": note}, clock.now_ms())
    first = ledger.head().size
    be_thrifty()
    with opened.claims(settings) as claims, Progress(made, quiet=output is not Output.text) as progress:
        outcome = sweep(
            ledger, registry, settings, made.targets, opened.redactor(settings, registry), claims, on_poll=progress.told
        )
    outcome.unseen.update(made.unreached.values())
    found = Tally(newest(ledger, registry, made.targets))
    if output is Output.text:
        Summary(ctx, ledger, made, outcome, found, first).show()
    else:
        for name, detail in made.detail.items():
            opened.say(f"{name} could not be reached: {detail}")
        opened.emit(as_json(outcome, found, ledger.head()))
    ledger.close()
    raise typer.Exit(outcome.exit_code)


def chosen(registry: Registry, collectors: Sequence[str], only: Sequence[str]) -> Any:
    """A function that says of a stream whether it is to be collected; UsageError for a name nobody knows."""
    from agent.catalogue import load_catalogue
    from agent.errors import UsageError

    catalogue = load_catalogue()
    streams: set[str] = set()
    for name in collectors:
        found = {stream for stream in registry.streams if f"{stream}.".startswith(f"{name}.")}
        if not found:
            raise UsageError(f"no collector {name}", "known: " + ", ".join(sorted(_services(registry))))
        streams |= found
    for name in only:
        checks = {entry.id for entry in catalogue.controls[name].checks} if name in catalogue.controls else {name}
        found = {stream for check in checks for stream in _read_by(registry, check)} | (
            {name} if name in registry.streams else set()
        )
        if not found:
            raise UsageError(f"no control, check or stream {name}", "evidenced controls list  shows what there is")
        streams |= found
    return (lambda spec: spec.name in streams) if streams else (lambda _spec: True)


def _services(registry: Registry) -> set[str]:
    return {spec.service for spec in registry.streams.values()}


def _read_by(registry: Registry, check: str) -> Iterable[str]:
    for spec in registry.checks.get(check, ()):
        derived = registry.derived.get(spec.stream)
        yield from derived.of if derived else (spec.stream,)


def newest(ledger: Ledger, registry: Registry, planned: Sequence[Planned]) -> Iterator[Finding]:
    """The newest findings over these targets, and about the scopes they belong to; there may be a million."""
    from agent.judge import findings

    targets = {(item.target.stream, item.target.scope.name) for item in planned}
    scopes = {item.target.scope.judging for item in planned}
    streams = {stream for stream, _ in targets}
    return (
        finding
        for finding in findings(ledger, registry)
        if (finding.stream, finding.scope) in targets
        or (finding.judging in scopes and finding.stream not in registry.streams)
        or (finding.scope in scopes and finding.stream in streams)
    )
