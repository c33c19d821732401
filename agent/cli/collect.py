"""`evidenced collect`: look once, now, and say what was seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.findings import permissions
from agent.cli.out import Output, OutputOption, console

if TYPE_CHECKING:
    from agent.ledger import Head, Ledger
    from agent.model import Finding, Snapshot
    from agent.registry import Registry
    from agent.sweep import Outcome, Plan, Planned

EPILOG = """Examples:

evidenced collect --now

evidenced collect --now aws.iam --output json

evidenced collect --now --only bucket-tls-only --note "Pre-audit snapshot"

Exit code: 0 everything was seen, 4 every shortfall is a missing permission or login, 5 incomplete for another reason;
what could be had is stored either way.
"""


def collect(
    ctx: typer.Context,
    collectors: Annotated[
        list[str] | None,
        typer.Argument(help="Only these: aws, aws.s3, mlflow.registry ... Default: all that is enabled."),
    ] = None,
    now: Annotated[bool, typer.Option("--now", help="Collect now; without a daemon there is no other time.")] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Only what this control, check or stream needs; may be repeated.")
    ] = None,
    note: Annotated[str, typer.Option("--note", help="A remark for the record, with your words.")] = "",
    output: OutputOption = Output.text,
) -> None:
    """Collect evidence once, judge it and seal it."""
    from agent import clock
    from agent.cli import opened
    from agent.errors import UsageError
    from agent.registry import discover
    from agent.sweep import announce, connect, plan, retire_absent, sweep

    if not now:
        raise UsageError("nothing to do", "type `evidenced collect --now`; for a schedule use `evidenced run`")
    settings, registry = opened.settings(ctx), discover()
    wanted = chosen(registry, collectors or [], only or [])
    sources = connect(registry, settings)
    if not any(spec.provider in sources and wanted(spec) for spec in registry.streams.values()):
        raise UsageError(
            "nothing of that is enabled", "enable it in the configuration, e.g. [collect.aws] enabled = true"
        )
    ledger = opened.ledger(settings, create=True, writing=True)
    made = plan(registry, settings, sources, ledger, wanted)
    if not collectors and not only:
        retire_absent(ledger, registry, settings, made, clock.now_ms())
    announce(ledger, registry, settings, clock.now_ms())
    if note:
        ledger.append_event("note", {"text": note}, clock.now_ms())
    first = ledger.head().size
    with opened.claims(settings) as claims, Progress(made, quiet=output is not Output.text) as progress:
        outcome = sweep(
            ledger, registry, settings, made.targets, opened.redactor(settings, registry), claims, on_poll=progress.told
        )
    outcome.unseen.update(made.unreached.values())
    found = newest(ledger, registry, made.targets)
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


def newest(ledger: Ledger, registry: Registry, planned: Sequence[Planned]) -> list[Finding]:
    """The newest findings over these targets, and about the scopes they belong to."""
    from agent.judge import findings

    targets = {(item.target.stream, item.target.scope.name) for item in planned}
    scopes = {item.target.scope.judging for item in planned}
    return [
        finding
        for finding in findings(ledger, registry)
        if (finding.stream, finding.scope) in targets
        or (finding.judging in scopes and finding.stream not in registry.streams)
        or (finding.scope in scopes and any(stream == finding.stream for stream, _ in targets))
    ]


def as_json(outcome: Outcome, found: Sequence[Finding], head: Head) -> dict[str, Any]:
    """The contract `evidenced.collect/1`."""
    from agent.model import PollStatus, Status

    counts = Counter(finding.status for finding in found)
    return {
        "schema": "evidenced.collect/1",
        "targets": {status.value: outcome.count(status) for status in PollStatus},
        "records": sum(len(snapshot.items) for snapshot in outcome.polls.values()),
        "gaps": sum(outcome.unseen.values()),
        "api_calls": sum(snapshot.tape.calls for snapshot in outcome.polls.values()),
        "findings": {status.value: counts[status] for status in Status},
        "ledger": {"size": head.size, "root": head.root.hex()},
    }


class Progress:
    """A bar per collector on a terminal, nothing elsewhere."""

    def __init__(self, made: Plan, *, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        console = Console(stderr=True)
        self._bars = Bars(
            TextColumn("  {task.description:<18}"), BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn(),
            console=console, disable=quiet or not console.is_terminal, transient=True,
        )  # fmt: skip
        totals = Counter(item.spec.service for item in made.targets)
        self._tasks = {service: self._bars.add_task(service, total=total) for service, total in totals.items()}

    def __enter__(self) -> Progress:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def told(self, item: Planned, _snapshot: Snapshot | None) -> None:
        """One more target is done."""
        self._bars.advance(self._tasks[item.spec.service])


class Summary:
    """What a person reads when the collection is over."""

    def __init__(
        self, ctx: typer.Context, ledger: Ledger, made: Plan, outcome: Outcome, found: Sequence[Finding], first: int
    ) -> None:
        self.ledger, self.made, self.outcome = ledger, made, outcome
        self.found, self.first = found, first
        self.compared = any(poll.idx < first for poll in ledger.newest(first - 1).values())
        self.out = console(ctx)

    def show(self) -> None:
        """Print it."""
        from agent import clock

        head = self.ledger.head()
        self.out.print(
            f"Collection {clock.iso(clock.now_ms())} · manual, no slot · {len(self.made.targets)} targets · "
            f"{len({item.spec.provider for item in self.made.targets})} sources"
        )
        self._collectors()
        for name, gap in self.made.unreached.items():
            self.out.print(
                f"  {name:<18} could not be reached: {gap.reason.value}. {self.made.detail[name]}", style="red"
            )
        records = sum(len(snapshot.items) for snapshot in self.outcome.polls.values())
        changed = sum(1 for _, tree, *_ in self.ledger.changes(self.first) if tree > 0)
        compared = f"{changed:,} changed" if self.compared else "baseline: nothing to compare yet"
        self.out.print(
            f"\nStored {records:,} records ({compared}) · ledger {head.size:,} entries, {head.size - self.first:,} new"
            f" · root {head.root.hex()[:8]}…"
        )
        self._findings()
        for line in permissions(self.found):
            self.out.print(line)
        self.out.print(f"Anchors: none configured; the log is unanchored. Signed by {self.ledger.fingerprint}")
        self.out.print("\nNext: evidenced findings --status fail · evidenced export --as-of now --out bundle.zip")

    def _collectors(self) -> None:
        from agent.model import PollStatus

        services: dict[str, list[Snapshot]] = {}
        for item in self.made.targets:
            snapshot = self.outcome.polls.get(item.target.name)
            if snapshot:
                services.setdefault(item.spec.service, []).append(snapshot)
        for service, polls in sorted(services.items()):
            plural: Counter[str] = Counter()
            for snapshot in polls:
                plural[snapshot.target.stream.rpartition(".")[2].replace("_", " ")] += len(snapshot.items)
            seen = ", ".join(f"{n:,} {name}" for name, n in plural.items())
            short = [snapshot for snapshot in polls if snapshot.status is not PollStatus.COMPLETE]
            gaps = sum(snapshot.gaps for snapshot in polls)
            state = (
                f"{len(short)} of {len(polls)} targets {short[0].status.value}: {short[0].why}"
                if short
                else f"complete, {gaps} facets unseen" if gaps else "complete"
            )  # fmt: skip
            calls, took = sum(s.tape.calls for s in polls), max(s.dur_ms for s in polls) / 1000
            line = f"  {service:<18} {seen:<70.70} {calls:>6,} calls {took:>6.1f} s  {state}"
            self.out.print(line, style="yellow" if short or gaps else None)

    def _findings(self) -> None:
        from agent.catalogue import load_catalogue
        from agent.model import Status

        counts = Counter(finding.status for finding in self.found)
        said = " · ".join(f"{counts[status]:,} {status.value}" for status in Status)
        self.out.print(f"Findings {len(self.found):,} = {said}")
        catalogue = load_catalogue()
        by_check: dict[str, list[Finding]] = {}
        for finding in self.found:
            by_check.setdefault(finding.check, []).append(finding)
        for status, colour in ((Status.FAIL, "red"), (Status.NOT_EVALUATED, "magenta")):
            for check, all_of_it in sorted(by_check.items()):
                bad = [finding for finding in all_of_it if finding.status is status]
                if bad:
                    label = status.value.replace("_", " ").upper()
                    controls = ", ".join(control.id for control in catalogue.controls_of(check))
                    first = f"{bad[0].key}: {bad[0].message}" if len(bad) == 1 else bad[0].message
                    count = f"{len(bad):>4} of {len(all_of_it):<5}"
                    self.out.print(f"  {label:<14} {controls:<28.28} {check:<26} {count} {first:.110}", style=colour)
