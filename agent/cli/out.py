"""How verbs speak: data on standard output, messages on standard error, colour only on a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console


class Output(StrEnum):
    """How the answer is written: text is for people and may change, the others are a contract."""

    text = "text"
    json = "json"
    jsonl = "jsonl"


OutputOption = Annotated[Output, typer.Option("--output", help="text for people; json; jsonl: one object a line.")]


class LogFormat(StrEnum):
    """How the log is written: text on a terminal, JSON lines elsewhere, unless said."""

    text = "text"
    json = "json"


@dataclass(frozen=True, slots=True)
class Globals:
    """The options before the verb; every verb finds them in `ctx.obj`."""

    config: Path | None = None
    verbose: int = 0
    quiet: bool = False
    color: bool = True
    log_format: LogFormat | None = None


def options(ctx: typer.Context) -> Globals:
    """The options before the verb, also inside a group of verbs."""
    given = ctx.find_root().obj
    return given if isinstance(given, Globals) else Globals()


def console(ctx: typer.Context) -> Console:
    """Standard output; a pipe has no width, so lines for it are not folded."""
    from rich.console import Console

    terminal = sys.stdout.isatty()
    return Console(
        no_color=not options(ctx).color or None,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=True,
        width=None if terminal else 200,
    )


def say(ctx: typer.Context, text: str) -> None:
    """A message for a person, on standard error; silent with -q."""
    if not options(ctx).quiet:
        typer.echo(text, err=True)


def lines(bodies: Iterable[Any]) -> None:
    """One object a line on standard output."""
    for body in bodies:
        sys.stdout.write(json.dumps(body, ensure_ascii=False, separators=(",", ":")) + "\n")


def table(rows: Iterable[Iterable[str]], right: Iterable[int] = ()) -> list[str]:
    """Rows as lines in columns two spaces apart; the columns in `right` end flush."""
    cells = [list(row) for row in rows]
    flush = set(right)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if number in flush else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
