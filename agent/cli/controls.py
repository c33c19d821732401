"""`evidenced controls`: the catalogue, as a list and one control at a time."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.catalogue import TIERS, Catalogue, Control, load_catalogue
from agent.errors import UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

SCHEMA = "evidenced.controls/1"
MODE = "observed"
"""Of every control that no adoption names: judged, shown to the company, in no bundle."""

app = typer.Typer(help="Controls, the criteria they serve and the checks they take.",
                  rich_markup_mode=None, no_args_is_help=True)  # fmt: skip


class Output(StrEnum):
    """How the answer is written: text is for people and may change, the others are a contract."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"


OutputOption = Annotated[Output, typer.Option("--output", help="text, json, or jsonl with one control a line.")]


@app.command("list")
def list_controls(
    provider: Annotated[
        str, typer.Option("--provider", help="Only checks that read this: aws, aws.s3, identity, mlflow ...")
    ] = "",
    tier: Annotated[
        list[str] | None, typer.Option("--tier", help=f"Only checks of this tier: {', '.join(TIERS)}.")
    ] = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """List the controls, or with --provider or --tier the checks of that kind.

    A control with the criteria it carries and how many of its checks are active; a check with the streams it judges.
    """
    if unknown_tier := set(tier or ()) - set(TIERS):
        raise UsageError(f"no tier {min(unknown_tier)}", f"known: {', '.join(TIERS)}")
    catalogue = load_catalogue()
    controls = tuple(catalogue.controls.values())
    chosen = tuple(_narrowed(controls, provider, tier or TIERS))
    if (provider or tier) and not chosen:
        raise UsageError(f"no check reads {provider}", f"known: {', '.join(_providers(controls))}")
    if output is not Output.TEXT:
        _print_json(catalogue, chosen, output)
    elif provider or tier:
        _print(*_checks(chosen))
    else:
        _print(_overview(controls))


@app.command("show")
def show_control(
    id: Annotated[str, typer.Argument(metavar="ID", help="Id of a control.")],
    output: OutputOption = Output.TEXT,
) -> None:
    """Show one control.

    What it states, which criteria it serves, which checks it takes. Exit code 2 for an unknown id.
    """
    catalogue = load_catalogue()
    control = catalogue.controls.get(id)
    if control is None:
        typer.echo(unknown(id, catalogue), err=True)
        raise typer.Exit(2)
    if output is Output.TEXT:
        _print(*_page(control, catalogue, _rules()))
    else:
        _print_json(catalogue, (control,), output)


def unknown(id: str, catalogue: Catalogue) -> str:
    """The message for an id no control has: the controls of a check, or ids that look alike."""
    from difflib import get_close_matches

    takers = [control.id for control in catalogue.controls_of(id)]
    if takers:
        return f"{id} is a check; controls that take it: {', '.join(takers)}"
    close = get_close_matches(id, catalogue.controls, n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else "`evidenced controls list` names them all"
    return f"no control {id}; {hint}"


def _rules() -> Mapping[str, str]:
    """First docstring line of each check that is registered, by id."""
    from agent.registry import discover

    return {id: specs[0].title for id, specs in discover().checks.items()}


def _narrowed(controls: Sequence[Control], provider: str, tiers: Sequence[str]) -> Iterator[Control]:
    """The controls with only those checks that are of one of the tiers and read the provider."""
    for control in controls:
        checks = tuple(c for c in control.checks if c.tier in tiers and (not provider or c.reads(provider)))
        if checks:
            yield replace(control, checks=checks)


def _providers(controls: Sequence[Control]) -> list[str]:
    return sorted({source.partition(".")[0] for c in controls for check in c.checks for source in check.sources})


def _checks(controls: Sequence[Control]) -> Sequence[RenderableType]:
    from rich import box
    from rich.table import Table

    from agent.registry import discover

    registered = discover().checks
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("control", "check"):
        table.add_column(heading, no_wrap=True)
    for heading in ("tier", "state", "judged over"):
        table.add_column(heading)
    seen: dict[str, str] = {}
    for control in controls:
        for number, check in enumerate(control.checks):
            streams = ", ".join(dict.fromkeys(spec.stream for spec in registered.get(check.id, ())))
            table.add_row("" if number else control.id, check.id, check.tier, check.state, streams)
            seen[check.id] = check.state
    active = sum(state == "active" for state in seen.values())
    return table, f"{active} of {len(seen)} checks active"


def _overview(controls: Sequence[Control]) -> RenderableType:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("control", no_wrap=True)
    for heading in ("criteria", "severity", "checks", "mode"):
        table.add_column(heading)
    for control in controls:
        count = f"{len(control.active)} of {len(control.checks)} active"
        table.add_row(control.id, " ".join(control.criteria), control.severity, count, MODE)
    return table


def _page(control: Control, catalogue: Catalogue, rules: Mapping[str, str]) -> Sequence[RenderableType]:
    from rich.padding import Padding

    criteria = [(id, catalogue.criteria[id].title) for id in control.criteria]
    criteria += [(id, f"{catalogue.criteria[id].title} (supporting)") for id in control.supporting]
    checks = [(check.id, check.state, check.severity, rules.get(check.id, "")) for check in control.checks]
    return (
        f"{control.id}: {control.title}",
        f"{MODE}, severity {control.severity}, {control.cadence}, owner: {control.owner}\n",
        Padding(control.statement, (0, 0, 1, 2), expand=False),
        "Criteria",
        _rows(criteria),
        f"Checks, {len(control.active)} of {len(control.checks)} active",
        _rows(checks),
        "Population",
        Padding(control.population, (0, 0, 1, 2), expand=False),
        "Remediation",
        Padding(control.remediation, (0, 0, 1, 2), expand=False),
        f"Requirements: {' '.join(control.requirements)}",
    )


def _rows(rows: Sequence[Sequence[str]]) -> RenderableType:
    from rich.padding import Padding
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    for _ in rows[0][:-1]:
        grid.add_column(no_wrap=True)
    grid.add_column()
    for row in rows:
        grid.add_row(*row)
    return Padding(grid, (0, 0, 1, 2), expand=False)


def _print(*parts: RenderableType) -> None:
    """Write to standard output; a pipe has no width, so lines for it are not folded at 80."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 140, markup=False, emoji=False, highlight=False)
    for part in parts:
        console.print(part)


def _print_json(catalogue: Catalogue, controls: Sequence[Control], output: Output) -> None:
    rules = _rules()
    bodies = [_body(control, rules) for control in controls]
    if output is Output.JSONL:
        for body in bodies:
            typer.echo(json.dumps({"schema": SCHEMA, **body}, ensure_ascii=False))
    else:
        answer = {"schema": SCHEMA, "catalogue": catalogue.digest, "controls": bodies}
        typer.echo(json.dumps(answer, ensure_ascii=False, indent=2))


def _body(control: Control, rules: Mapping[str, str]) -> dict[str, Any]:
    """A control as JSON; `rule` of a check is null while it is not registered."""
    checks = [{**asdict(check), "rule": rules.get(check.id)} for check in control.checks]
    return {**asdict(control), "mode": MODE, "checks": checks}
