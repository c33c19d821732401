"""`python -m bench [NAME ...]`: run benchmarks and print each figure beside its demand."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import sys
from collections.abc import Sequence
from enum import Enum
from importlib import import_module
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from agent import __version__, clock
from bench.figures import Figure, Size

NAMES = ("collect", "help", "ingest", "polls", "year", "verify")


class Output(Enum):
    """How the figures are written."""

    text = "text"
    json = "json"


def main(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help=f"Of {', '.join(NAMES)}; or all.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Seconds instead of minutes: its times mean nothing.")] = False,
    full: Annotated[bool, typer.Option("--full", help="The simulated year whole: many hours.")] = False,
    output: Annotated[Output, typer.Option("--output", help="text or json.")] = Output.text,
) -> None:
    """Measure, on this machine, the figures that the product is to reach.

    Ends with 1 when a demand is not met; after --quick only demands that do not depend on time count.
    """
    unknown = sorted(set(names or ()) - set(NAMES))
    if unknown:
        raise typer.BadParameter(f"no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}")
    size = Size.quick if quick else Size.full if full else Size.normal
    figures = measured(names or NAMES, size)
    if output is Output.json:
        print(json.dumps(as_json(figures, size), indent=1))
    else:
        show(figures, size)
    raise typer.Exit(1 if missed(figures, size) else 0)


def measured(names: Sequence[str], size: Size) -> list[Figure]:
    """The figures of these benchmarks, in their order."""
    return [figure for name in NAMES if name in names for figure in import_module(f"bench.{name}").run(size)]


def missed(figures: Sequence[Figure], size: Size) -> list[Figure]:
    """Figures whose demand is not met; times of a quick run are none."""
    return [figure for figure in figures if figure.met is False and not (size is Size.quick and figure.timed)]


def machine() -> dict[str, Any]:
    """What was measured on, and when."""
    return {
        "at": clock.iso(clock.now_ms() // 1000 * 1000),
        "cores": os.cpu_count(),
        "evidenced": __version__,
        "load": round(os.getloadavg()[0], 1),
        "machine": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }


def as_json(figures: Sequence[Figure], size: Size) -> dict[str, Any]:
    """The figures as one object."""
    return {
        "schema": "evidenced.bench/1",
        "size": size.value,
        "machine": machine(),
        "figures": [
            {
                "bench": figure.bench,
                "name": figure.name,
                "value": figure.value,
                "unit": figure.unit,
                "demand": f"{figure.demand.sign} {figure.demand.limit:g}" if figure.demand else None,
                "met": figure.met,
                "timed": figure.timed,
                "note": figure.note,
            }
            for figure in figures
        ],
    }


def show(figures: Sequence[Figure], size: Size) -> None:
    """The figures as a table."""
    about = ", ".join(f"{name} {value}" for name, value in machine().items())
    table = Table(title=f"{about}; {size.value} run", title_justify="left", box=None, pad_edge=False)
    for name, justify in (
        ("bench", "left"),
        ("figure", "left"),
        ("value", "right"),
        ("unit", "left"),
        ("demand", "right"),
        ("", "left"),
        ("", "left"),
    ):
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for figure in figures:
        demand = f"{figure.demand.sign} {figure.demand.limit:,g}" if figure.demand else ""
        met = {True: "met", False: "MISSED", None: ""}[figure.met]
        if size is Size.quick and figure.timed:
            met = ""
        table.add_row(figure.bench, figure.name, number(figure.value), figure.unit, demand, met, figure.note)
    Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False).print(table)


def number(value: float) -> str:
    """A value with three or four digits that mean something."""
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


if __name__ == "__main__":
    typer.run(main)
