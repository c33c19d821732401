"""What `evidenced collect --now` says while it collects and when it is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import typer

from agent.cli.findings import Freed
from agent.cli.out import console

if TYPE_CHECKING:
    from rich.console import Console

    from agent.ledger import Head, Ledger
    from agent.model import Finding, Gap, Snapshot, Status
    from agent.sweep import Outcome, Plan, Planned

NAMED = 3
"""Of many scopes in which something failed so many are named, and the rest counted."""


class Tally:
    """Findings counted while they go by: of a million only the first of each kind is kept."""

    def __init__(self, found: Iterable[Finding]) -> None:
        self.counts: Counter[Status] = Counter()
        self.of_check: Counter[str] = Counter()
        self.kinds: Counter[tuple[str, Status]] = Counter()
        self.first: dict[tuple[str, Status], Finding] = {}
        self.freed = Freed()
        for finding in found:
            kind = (finding.check, finding.status)
            self.counts[finding.status] += 1
            self.of_check[finding.check] += 1
            self.kinds[kind] += 1
            self.first.setdefault(kind, finding)
            self.freed.add(finding)


def as_json(outcome: Outcome, found: Tally, head: Head) -> dict[str, Any]:
    """The contract `evidenced.collect/1`."""
    from agent.model import PollStatus, Status

    return {
        "schema": "evidenced.collect/1",
        "targets": {status.value: outcome.count(status) for status in PollStatus},
        "records": sum(len(snapshot.items) for snapshot in outcome.polls.values()),
        "gaps": sum(outcome.unseen.values()),
        "unsupported": sum(outcome.unsupported.values()),
        "api_calls": sum(snapshot.tape.calls for snapshot in outcome.polls.values()),
        "findings": {status.value: found.counts[status] for status in Status},
        "ledger": {"size": head.size, "root": head.root.hex()},
    }


class Progress:
    """A bar per collector on a terminal, nothing elsewhere: as many lines for one account as for 200.

    A bar counts the targets that are done, and names those that were not seen whole.
    """

    def __init__(self, made: Plan, *, quiet: bool, to: Console | None = None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        console = to or Console(stderr=True)
        self._bars = Bars(
            TextColumn("  {task.description:<18}"), BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("{task.fields[short]}", style="yellow", markup=False),
            console=console, disable=quiet or not console.is_terminal, transient=True,
        )  # fmt: skip
        totals = Counter(item.spec.service for item in made.targets)
        self._tasks = {
            service: self._bars.add_task(service, total=total, short="") for service, total in sorted(totals.items())
        }
        self._short: dict[str, list[str]] = {service: [] for service in totals}

    def __enter__(self) -> Progress:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def told(self, item: Planned, snapshot: Snapshot | None) -> None:
        """One more target is done."""
        short = self._short[item.spec.service]
        if snapshot and not _whole(snapshot):
            short.append(item.target.scope.name)
        said = f"{len(short):,} not whole: {named(short)}" if short else ""
        self._bars.update(self._tasks[item.spec.service], advance=1, short=said)


def named(scopes: Iterable[str]) -> str:
    """The first few names, each once, and how many more there are."""
    each = list(dict.fromkeys(scopes))
    more = f" and {len(each) - NAMED:,} more" if len(each) > NAMED else ""
    return ", ".join(each[:NAMED]) + more


def _whole(snapshot: Snapshot) -> bool:
    from agent.model import PollStatus

    return snapshot.status is PollStatus.COMPLETE


class Summary:
    """What a person reads when the collection is over."""

    def __init__(
        self, ctx: typer.Context, ledger: Ledger, made: Plan, outcome: Outcome, found: Tally, first: int
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
        for line in (*_blind(self.made.blind), *_lacking(self.outcome.unsupported)):
            self.out.print(line, style="yellow")
        records = sum(len(snapshot.items) for snapshot in self.outcome.polls.values())
        changed = sum(1 for _, tree, *_ in self.ledger.changes(self.first) if tree > 0)
        compared = f"{changed:,} changed" if self.compared else "baseline: nothing to compare yet"
        self.out.print(
            f"\nStored {records:,} records ({compared}) · ledger {head.size:,} entries, {head.size - self.first:,} new"
            f" · root {head.root.hex()[:8]}…"
        )
        self._findings()
        for line in self.found.freed.lines():
            self.out.print(line)
        self.out.print(f"Anchors: none configured; the log is unanchored. Signed by {self.ledger.fingerprint}")
        self.out.print("\nNext: evidenced findings --status fail · evidenced export --as-of now --out bundle.zip")

    def _collectors(self) -> None:
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
            short = [snapshot for snapshot in polls if not _whole(snapshot)]
            gaps = sum(snapshot.gaps for snapshot in polls)
            state = (
                _shortfall(short, len(polls))
                if short
                else f"complete, {gaps} facets unseen" if gaps else "complete"
            )  # fmt: skip
            calls, took = sum(s.tape.calls for s in polls), max(s.dur_ms for s in polls) / 1000
            line = f"  {service:<18} {seen:<70.70} {calls:>6,} calls {took:>6.1f} s  {state}"
            self.out.print(line, style="yellow" if short or gaps else None)

    def _findings(self) -> None:
        from agent.catalogue import load_catalogue
        from agent.model import Status

        found, catalogue = self.found, load_catalogue()
        said = " · ".join(f"{found.counts[status]:,} {status.value}" for status in Status)
        self.out.print(f"Findings {found.counts.total():,} = {said}")
        for status, colour in ((Status.FAIL, "red"), (Status.NOT_EVALUATED, "magenta")):
            for check, all_of_it in sorted(found.of_check.items()):
                bad = found.kinds[check, status]
                if bad:
                    label = status.value.replace("_", " ").upper()
                    controls = ", ".join(control.id for control in catalogue.controls_of(check))
                    one = found.first[check, status]
                    first = f"{one.key}: {one.message}" if bad == 1 else one.message
                    count = f"{bad:>4} of {all_of_it:<5}"
                    self.out.print(f"  {label:<14} {controls:<28.28} {check:<26} {count} {first:.110}", style=colour)


def _shortfall(short: Sequence[Snapshot], total: int) -> str:
    """How many targets were not seen whole, why, and where."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for snapshot in short:
        why = snapshot.why.value if snapshot.why else ""
        reasons.setdefault((snapshot.status.value, why), []).append(snapshot.target.scope.name)
    said = [f"{len(scopes):,} {status}: {why} ({named(scopes)})" for (status, why), scopes in reasons.items()]
    return f"of {total:,} targets {'; '.join(said)}"


def _blind(blind: dict[str, Gap]) -> Iterator[str]:
    """Lines about accounts that could not name their regions, one for each reason."""
    accounts: dict[tuple[str, str], list[str]] = {}
    for scope, gap in blind.items():
        accounts.setdefault((gap.reason.value, gap.op or ""), []).append(scope)
    for (reason, op), scopes in accounts.items():
        yield f"  {len(scopes):,} accounts could not name their regions: {op} {reason} ({named(scopes)})"


def _lacking(unsupported: Counter[Gap]) -> Iterator[str]:
    """A line about what the sources themselves lack."""
    if unsupported:
        operations = sorted({gap.op or gap.code or "" for gap in unsupported})
        yield f"  the source has no {', '.join(operations)}: what needs it stays not evaluated"
