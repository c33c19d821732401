"""`evidenced demo`: thirty invented days, really collected, judged, exported and verified."""

from __future__ import annotations

import sys
import zipfile
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
    from agent.settings import Settings

EPILOG = """Examples:

evidenced demo

evidenced demo --dir /tmp/look --open

Needs no cloud, no network and no configuration. The company and its account are invented; collectors, checks, ledger and
bundle are the real ones. The configuration stays in the folder: read it, then
`evidenced --config evidenced-demo/evidenced.toml findings`.
"""
DEFAULT = Path("evidenced-demo")
SHOWN = 12
"""Deviations that the summary names."""


def demo(
    ctx: typer.Context,
    dir: Annotated[Path, typer.Option("--dir", help="Where everything goes; an earlier demo there is replaced.")] = DEFAULT,
    open: Annotated[bool, typer.Option("--open", help="Open the report in the browser at the end.")] = False,
) -> None:
    """Live through thirty invented days in a minute, and open the report."""
    from agent import clock
    from agent.config import load
    from agent.demo.folder import period, prepare, require_libraries
    from agent.demo.simulate import sealed_environment, simulate

    require_libraries()
    started, now_ms = clock.monotonic(), clock.now_ms()
    folder = prepare(dir.absolute(), now_ms)
    first, last = period(now_ms)
    say(ctx, f"An invented company, {first} to {last}, UTC. The agent looks at it; the clock of this process is moved.")
    with sealed_environment():
        settings = load(folder.config)
        with _telling(ctx) as day_done:
            simulate(settings, folder.company, now_ms, day_done)
        verified = _export(folder, settings, now_ms)
    out = console(ctx)
    for line in [*_summary(folder, settings, now_ms), verified, f"Took {clock.monotonic() - started:.0f} s", ""]:
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
