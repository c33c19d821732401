"""`evidenced demo`: thirty invented days, really collected, judged, exported and verified."""

from __future__ import annotations

import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.out import console, options, say, table

if TYPE_CHECKING:
    from agent.demo.folder import Folder
    from agent.demo.simulate import DayDone
    from agent.demo.story import Event
    from agent.export.bundle import Exported
    from agent.ledger import Ledger
    from agent.registry import Registry
    from agent.settings import Settings

EPILOG = """Examples:

evidenced demo

evidenced demo --dir /tmp/look --open

Needs no cloud, no network and no configuration. The company and its account are invented; collectors, checks, ledger
and bundle are the real ones. The configuration stays in the folder: read it, then try
`evidenced --config evidenced-demo/evidenced.toml findings`.
"""
DEFAULT = Path("evidenced-demo")
REPORT = "report/report.html"
SHOWN = 20
"""Deviations that the summary names at most: those that opened within the thirty days."""


def demo(
    ctx: typer.Context,
    dir: Annotated[
        Path, typer.Option("--dir", help="Where everything goes; an earlier demo there is replaced.")
    ] = DEFAULT,
    open: Annotated[bool, typer.Option("--open", help="Open the report in the browser at the end.")] = False,
) -> None:
    """Live through thirty invented days in about a minute; a report comes of it."""
    import logging

    from agent import clock
    from agent.cli import logs
    from agent.config import load
    from agent.demo.folder import period, prepare, require_libraries
    from agent.demo.simulate import sealed_environment, simulate

    require_libraries()
    logs.start(options(ctx), level=logging.ERROR)  # a failed poll is part of the story
    started, now_ms = clock.monotonic(), clock.now_ms()
    folder = prepare(dir.absolute(), now_ms)
    first, last = period(now_ms)
    say(ctx, f"An invented company, {first} to {last}, UTC. The agent that watches it is the real one.")
    with sealed_environment():
        settings = load(folder.config)
        with _telling(ctx) as day_done:
            simulate(settings, folder.company, now_ms, day_done)
        lines = _export(folder, settings)
    out = console(ctx)
    for line in [*lines, f"Took        {clock.monotonic() - started:.0f} s", ""]:
        out.print(line)
    if open:
        typer.launch(folder.report.as_uri())
    out.print(f"Open {folder.report}")


@contextmanager
def _telling(ctx: typer.Context) -> Iterator[DayDone]:
    """Tell the story on standard error while it happens, with a bar over the days on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from agent.demo.simulate import DAYS

    given = options(ctx)
    if given.quiet:
        yield lambda _day, _events: None
    elif not sys.stderr.isatty():

        def plain(day: int, events: list[Event]) -> None:
            for event in events:
                typer.echo(_line(day, event), err=True)

        yield plain
    else:
        err = Console(stderr=True, no_color=not given.color or None, highlight=False)
        columns = (TextColumn("day"), MofNCompleteColumn(), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=err, transient=True) as bar:
            task = bar.add_task("days", total=DAYS)

            def shown(day: int, events: list[Event]) -> None:
                for event in events:
                    err.print(_line(day, event), markup=False)
                bar.update(task, completed=day)

            yield shown


def _line(day: int, event: Event) -> str:
    return f"day {day:>2} {event.time}  {event.what}"


def _export(folder: Folder, settings: Settings) -> list[str]:
    """Export, verify, take the report out; the summary comes back, line by line.

    IntegrityError (exit code 6) when the bundle does not verify.
    """
    from agent import clock
    from agent.errors import IntegrityError
    from agent.export.bundle import export_bundle
    from agent.export.verify import verify_bundle
    from agent.ledger import Ledger
    from agent.registry import discover

    registry, made_at_ms = discover(), clock.now_ms()
    assert settings.entity.period is not None
    days = settings.entity.period.first_day, settings.entity.period.last_day
    ledger = Ledger.open(settings.store.connection(), settings.ledger.key_file, now_ms=made_at_ms)
    try:
        made = export_bundle(
            ledger, registry, settings, out=folder.bundle(*days), made_at_ms=made_at_ms, period=days
        )  # fmt: skip
        report = verify_bundle(made.path, key=ledger.fingerprint)
        if report.problems:
            raise IntegrityError(f"the bundle does not verify: {report.problems[0]}", f"evidenced verify {made.path}")
        with zipfile.ZipFile(made.path) as bundle:
            folder.report.write_bytes(bundle.read(REPORT))
        return [
            *_summary(made, ledger, registry),
            f"Verified    {report.result}",
            *(f"            limit: {said}" for said in report.limits),
        ]
    finally:
        ledger.close()


def _summary(made: Exported, ledger: Ledger, registry: Registry) -> list[str]:
    """What was found, how much of it was seen, and where it is kept."""
    from agent.judge import findings
    from agent.model import Status

    counts = Counter(finding.status for finding in findings(ledger, registry))
    told, slots = made.manifest["counts"], made.manifest["counts"]["slots"]
    found = " · ".join(f"{counts[status]:,} {status.value}" for status in Status)
    owed = ", ".join(f"{slots[name]:,} {name}" for name in slots if name != "owed")
    return [
        "",
        f"{made.manifest['entity']}, {made.manifest['period']['first_day']} to {made.manifest['period']['last_day']}",
        *_deviations(made),
        "",
        f"Deviations  {told['deviations']:,} in the period, {told['deviations_open']:,} open at its end",
        f"Findings    {sum(counts.values()):,} at the end = {found}",
        f"Slots       {slots['owed']:,} owed: {owed}",
        *([f"Not seen    {unseen}"] if (unseen := _unseen(made)) else []),
        f"Ledger      {ledger.head().size:,} entries, {len(ledger.notes()):,} checkpoints",
        f"Key         {ledger.fingerprint}",
        f"Bundle      {made.path}   {made.path.stat().st_size / 1e6:.1f} MB",
    ]


def _deviations(made: Exported) -> list[str]:
    """A line for each deviation that opened within the period, oldest first."""
    from agent.clock import iso

    span = made.assessment.span
    opened = [one for one in made.assessment.deviations if span.from_ms <= one.opened_ms < span.until_ms]
    opened.sort(key=lambda one: (one.opened_ms, one.subject.check, one.subject.key))
    rows = []
    for one in opened[:SHOWN]:
        open_ = one.open_at(span.until_ms)
        end = "event" if one.event else "open" if open_ or one.closed_ms is None else f"to {iso(one.closed_ms)[:10]}"
        rows.append((f"  {iso(one.opened_ms)[:10]}", end, one.subject.check, one.subject.key))
    more = [f"  and {len(opened) - SHOWN} more"] if len(opened) > SHOWN else []
    return [*(table(rows) if rows else []), *more]


def _unseen(made: Exported) -> str:
    """The checks that could not be evaluated on some day of the period: nothing unseen passes."""
    from agent.assess.days import State

    days = {
        name: sum(day.state is State.NOT_EVALUABLE for day in facts.days)
        for name, facts in made.assessment.checks.items()
    }
    part = {name: count for name, count in days.items() if 0 < count < len(made.assessment.span.days)}
    named = [f"{name} on {count} day{'s' if count > 1 else ''}" for name, count in part.items()]
    never = sum(1 for count in days.values() if count) - len(part)
    more = [f"{len(named) - SHOWN} more on some days"] if len(named) > SHOWN else []
    kept = [f"{never} on every day, most of them for want of a register"] if never else []
    return ", ".join([*named[:SHOWN], *more, *kept])
