"""`evidenced findings`: the newest answers, or those known at an earlier moment."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.out import Output, OutputOption, console, lines, table

if TYPE_CHECKING:
    from rich.console import Console

    from agent.catalogue import Catalogue
    from agent.model import Finding

EPILOG = """Examples:

evidenced findings

evidenced findings --status fail,not_evaluated --by owner

evidenced findings --check bucket-tls-only --scope aws:123456789012

evidenced findings --as-of 2026-06-30 --output jsonl

Without --status, the text lists what failed or could not be evaluated; json and jsonl give all.
"""
SCHEMA = "evidenced.findings/1"


class By(StrEnum):
    """What findings are grouped by."""

    reason = "reason"
    control = "control"
    owner = "owner"


def findings(
    ctx: typer.Context,
    check: Annotated[list[str] | None, typer.Option("--check", help="Only this check; may be repeated.")] = None,
    status: Annotated[
        str, typer.Option("--status", help="pass, fail, not_applicable, not_evaluated; several with commas.")
    ] = "",
    scope: Annotated[str, typer.Option("--scope", help="Only this scope and those inside it.")] = "",
    as_of: Annotated[str, typer.Option("--as-of", help="As known then: a day, a time with zone, or now.")] = "",
    by: Annotated[By | None, typer.Option("--by", help="Counts, grouped.")] = None,
    output: OutputOption = Output.text,
) -> None:
    """Show findings and the permission that frees most."""
    from agent import clock
    from agent.catalogue import load_catalogue
    from agent.cli import opened
    from agent.cli.when import moment
    from agent.errors import UsageError
    from agent.judge import as_object
    from agent.judge import findings as newest
    from agent.model import Status
    from agent.registry import discover

    catalogue, registry = load_catalogue(), discover()
    for name in check or ():
        if name not in registry.checks:
            raise UsageError(f"no check {name}", "evidenced controls show ID  lists the checks of a control")
    if unknown := set(_words(status)) - set(Status):
        raise UsageError(f"no status {', '.join(sorted(unknown))}", f"there are {', '.join(Status)}")
    settings = opened.settings(ctx)
    zone = settings.entity.period.timezone if settings.entity.period else "UTC"
    at_ms = moment(as_of or "now", zone, clock.now_ms)
    ledger = opened.ledger(settings)
    wanted = set(_words(status))
    found = (
        finding
        for finding in newest(ledger, registry, at_ms=at_ms)
        if (not check or finding.check in check)
        and (not wanted or finding.status.value in wanted)
        and (not scope or _inside(finding, scope))
    )
    if output is Output.jsonl:
        lines(as_object(finding, catalogue.controls_of) for finding in found)
    elif output is Output.json:
        opened.emit({"schema": SCHEMA, "findings": [as_object(finding, catalogue.controls_of) for finding in found]})
    else:
        Page(console(ctx), catalogue, list(found)).show(by, everything=bool(wanted))
    ledger.close()


def _words(text: str) -> list[str]:
    return [word for word in text.replace("-", "_").split(",") if word]


def _inside(finding: Finding, scope: str) -> bool:
    return any(f"{name}:".startswith(f"{scope}:") for name in (finding.scope, finding.judging))


class Page:
    """What a person reads."""

    def __init__(self, out: Console, catalogue: Catalogue, found: Sequence[Finding]) -> None:
        self.out, self.catalogue, self.found = out, catalogue, found

    def show(self, by: By | None, *, everything: bool) -> None:
        """Print counts, then the findings or their groups, then the permissions to ask for."""
        from agent.model import Status

        counts = Counter(finding.status for finding in self.found)
        self.out.print(
            f"{len(self.found):,} findings = " + " · ".join(f"{counts[status]:,} {status.value}" for status in Status)
        )
        if by:
            self._grouped(by)
        else:
            told = (Status.FAIL, Status.NOT_EVALUATED)
            self._list([finding for finding in self.found if everything or finding.status in told])
        for line in permissions(self.found):
            self.out.print(line)

    def _list(self, listed: Sequence[Finding]) -> None:
        order = sorted(listed, key=lambda finding: (finding.status.value, finding.check, finding.key))
        for finding in order:
            reason = f" ({finding.reason.value})" if finding.reason else ""
            self.out.print(f"{_label(finding):<14} {finding.check:<30} {finding.key}")
            self.out.print(f"{'':<14} {finding.message}{reason}  [{' '.join(self._controls(finding))}]")

    def _grouped(self, by: By) -> None:
        from agent.model import Status

        groups: dict[str, Counter[Status]] = defaultdict(Counter)
        for finding in self.found:
            for name in self._groups(finding, by):
                groups[name][finding.status] += 1
        rows = [(by.value, *(status.value for status in Status))]
        rows += [
            (name, *(f"{counts[status]:,}" for status in Status))
            for name, counts in sorted(groups.items(), key=lambda group: (-group[1][Status.FAIL], group[0]))
        ]
        for line in table(rows, right=range(1, 5)):
            self.out.print(line)

    def _groups(self, finding: Finding, by: By) -> Iterable[str]:
        if by is By.reason:
            return [finding.reason.value] if finding.reason else []
        if by is By.control:
            return self._controls(finding)
        return {control.owner for control in self.catalogue.controls_of(finding.check)}

    def _controls(self, finding: Finding) -> list[str]:
        return [control.id for control in self.catalogue.controls_of(finding.check)]


class Freed:
    """Which missing permission would free how many findings."""

    def __init__(self) -> None:
        self._findings: Counter[str] = Counter()
        self._checks: dict[str, set[str]] = defaultdict(set)

    def add(self, finding: Finding) -> None:
        """Count what a finding needs."""
        for need in finding.need:
            self._findings[need] += 1
            self._checks[need].add(finding.check)

    def lines(self) -> Iterator[str]:
        """What to ask for, the greatest first; nothing when nothing is missing."""
        if self._findings:
            yield "Missing permissions, the one that frees most first:"
        for need, count in self._findings.most_common():
            yield f"  {need:<40} frees {count:,} findings of {', '.join(sorted(self._checks[need]))}"


def permissions(found: Iterable[Finding]) -> Iterator[str]:
    """Lines that say which missing permission would free how many findings, the greatest first."""
    freed = Freed()
    for finding in found:
        freed.add(finding)
    return freed.lines()


def _label(finding: Finding) -> str:
    return finding.status.value.replace("_", " ").upper()
