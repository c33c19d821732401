"""`evidenced collect --plan`: what a month of collecting asks of each source, before it is asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from agent.cli.out import Output, console, lines, table

if TYPE_CHECKING:
    from agent.ledger import Ledger
    from agent.model import Source
    from agent.registry import Registry, StreamSpec
    from agent.settings import Settings
    from agent.sweep import Plan

SCHEMA = "evidenced.plan/1"
MONTH_S = 30 * 86_400
LONGER = (("15m", 900), ("1h", 3_600), ("6h", 21_600), ("1d", 86_400))
TRAILED = frozenset({"aws", "gcp"})
"""Providers that write an entry of the customer's own audit trail for each read."""


@dataclass(frozen=True, slots=True)
class Row:
    """A stream with one interval, and what a month of it asks."""

    stream: str
    every_s: int
    targets: int
    calls: float
    """Of one poll, the mean over its targets."""
    collected: int
    """How many targets have a poll that this is known from; of the rest it is estimated."""
    trailed: bool

    @property
    def month(self) -> int:
        """Calls in 30 days."""
        return self.month_at(self.every_s)

    def month_at(self, every_s: int) -> int:
        """Calls in 30 days with another interval."""
        return round(self.calls * self.targets * MONTH_S / every_s)

    @property
    def longer(self) -> tuple[str, int] | None:
        """The next longer interval that would make a difference, and the calls of a month with it."""
        if not self.month:
            return None
        return next(((name, self.month_at(every_s)) for name, every_s in LONGER if every_s >= 4 * self.every_s), None)

    @property
    def body(self) -> dict[str, Any]:
        """The row in the contract `evidenced.plan/1`."""
        return {
            "stream": self.stream,
            "every_s": self.every_s,
            "targets": self.targets,
            "calls_a_poll": round(self.calls, 1),
            "calls_a_month": self.month,
            "trail_events_a_month": self.month if self.trailed else None,
            "targets_estimated": self.targets - self.collected,
        }


def show(
    ctx: typer.Context,
    settings: Settings,
    registry: Registry,
    sources: Mapping[str, Source],
    wanted: Callable[[StreamSpec], bool],
    output: Output,
) -> None:
    """Print the plan. Sources are asked for their scopes and nothing else; nothing is written."""
    from agent.cli import opened
    from agent.sweep import plan

    path = opened.database_file(settings)
    ledger = opened.ledger(settings) if path is None or path.exists() else None
    made = plan(registry, settings, sources, ledger, wanted)
    rows = planned(made, ledger, registry)
    if ledger:
        ledger.close()
    limit = settings.collect.aws.calls_per_day
    if output is Output.json:
        opened.emit(as_json(rows, made, limit))
    elif output is Output.jsonl:
        lines(row.body for row in rows)
    else:
        out = console(ctx)
        for line in page(rows, made, limit):
            out.print(line)


def planned(made: Plan, ledger: Ledger | None, registry: Registry) -> list[Row]:
    """A row for each stream and interval, from the newest poll of each target.

    A target that was never collected counts as the mean of the others of its stream, or, where there is none,
    as one call for each operation that the stream declares.
    """
    numbers = {row.target.name: number for number, row in ledger.targets().items()} if ledger else {}
    newest = ledger.newest() if ledger else {}
    known: dict[tuple[str, int], list[int | None]] = defaultdict(list)
    for item in made.targets:
        poll = newest.get(numbers.get(item.target.name, 0))
        known[item.spec.name, item.target.every_s].append(poll.calls if poll and poll.root is not None else None)
    return sorted(
        (_row(registry.streams[name], every_s, calls) for (name, every_s), calls in known.items()),
        key=lambda row: row.stream,
    )


def _row(spec: StreamSpec, every_s: int, polls: Sequence[int | None]) -> Row:
    seen = [calls for calls in polls if calls is not None]
    mean = sum(seen) / len(seen) if seen else float(len(spec.needs))
    return Row(spec.name, every_s, len(polls), mean, len(seen), spec.provider in TRAILED)


def largest(rows: Sequence[Row]) -> Row | None:
    """The row with the most calls a month; None when nothing asks anything."""
    found = max(rows, key=lambda row: row.month, default=None)
    return found if found and found.month else None


def as_json(rows: Sequence[Row], made: Plan, limit: int) -> dict[str, Any]:
    """The contract `evidenced.plan/1`."""
    most = largest(rows)
    longer = most.longer if most else None
    return {
        "schema": SCHEMA,
        "streams": [row.body for row in rows],
        "calls_a_month": sum(row.month for row in rows),
        "aws_calls_a_day": aws_a_day(rows),
        "aws_calls_per_day": limit or None,
        "largest": {
            "stream": most.stream,
            "longer": {"every": longer[0], "calls_a_month": longer[1]} if longer else None,
        }
        if most
        else None,
        "unreached": {name: gap.reason.value for name, gap in made.unreached.items()},
    }


def aws_a_day(rows: Sequence[Row]) -> int:
    """Calls to AWS in a day."""
    return round(sum(row.month for row in rows if row.stream.startswith("aws.")) / 30)


def page(rows: Sequence[Row], made: Plan, limit: int) -> Iterator[str]:
    """The plan as lines for people."""
    most = largest(rows)
    cells = [("STREAM", "EVERY", "TARGETS", "CALLS A POLL", "CALLS A MONTH", "READ EVENTS A MONTH IN YOUR TRAIL", "")]
    cells += [
        (
            row.stream,
            _every(row.every_s),
            f"{row.targets:,}",
            ("about " if not row.collected else "") + f"{row.calls:,.0f}",
            f"{row.month:,}",
            f"{row.month:,}" if row.trailed else "not in a cloud trail",
            _remark(row, row is most),
        )
        for row in rows
    ]
    yield from table(cells, right=(1, 2, 3, 4, 5))
    yield f"\n{sum(row.month for row in rows):,} calls in 30 days."
    if any(row.collected < row.targets for row in rows):
        yield (
            "about: never collected yet, an estimate of one call for each operation of the stream; "
            "it grows with the number of resources."
        )
    if limit:
        day = aws_a_day(rows)
        over = "; what is over it will be gaps" if day > limit else ""
        yield f"[collect.aws] calls_per_day = {limit:,}; planned are {day:,} a day{over}."
    for name, gap in made.unreached.items():
        yield f"{name} could not be asked for its scopes: {gap.reason.value}. {made.detail[name]}"
    for scope, gap in made.blind.items():
        yield f"{scope} could not name its regions: {gap.reason.value} {gap.op}"


def _remark(row: Row, largest_of_all: bool) -> str:
    said = ["the largest"] if largest_of_all else []
    if largest_of_all and row.longer:
        said.append(f'"{row.longer[0]}" would make it {row.longer[1]:,}')
    if 0 < row.collected < row.targets:
        said.append(f"{row.targets - row.collected:,} targets never collected, counted as the others")
    return "; ".join(said)


def _every(every_s: int) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if every_s % size == 0:
            return f"{every_s // size} {unit}"
    return f"{every_s} s"
