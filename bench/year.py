"""How many bytes a year of evidence takes: 10,000 resources hourly, eight checks each, one change in a hundred."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial

from agent.claims import Claims
from agent.model import Scope, Target
from agent.settings import Settings
from agent.sweep import Planned, sweep
from bench.estate import HOUR_MS, START_MS, Estate, EstateSource, Store, redactor, registry, target
from bench.figures import Figure, Size, below, told

YEAR_HOURS = 365 * 24
ACCOUNTS, REGIONS, RESOURCES = 20, 12, 42
"""The estate whole: 20 judging scopes of 12 targets with 42 resources, 10,080 in 240 targets."""
CHANGING, FAILING = 0.01, 0.01
"""Share of the resources that change in an hour; chance of a poll to fail."""


@dataclass(frozen=True, slots=True)
class Slice:
    """The part of estate and year that is simulated."""

    accounts: int
    hours: int

    @property
    def resources(self) -> int:
        """How many there are."""
        return self.accounts * REGIONS * RESOURCES


SLICES = {Size.quick: Slice(1, 8), Size.normal: Slice(2, 6 * 7 * 24), Size.full: Slice(ACCOUNTS, YEAR_HOURS)}


@dataclass(slots=True)
class Simulated:
    """What came of it."""

    store: Store
    slice: Slice
    sizes: list[int]
    """Bytes in use before the first sweep and after each."""
    versions: list[int]
    """Versions of records and findings, at the same times."""
    taken: dict[str, tuple[int, int]]
    """Of each kind of row how many there are, and the bytes of its documents as they are kept."""


def run(size: Size) -> Iterator[Figure]:
    """Sweep a slice of the estate hour by hour and measure what the store grows by."""
    yield from figures(simulated(size))


@cache
def simulated(size: Size) -> Simulated:
    """The simulation of this size, done once: its store stays until the process ends."""
    return simulate(Store(durable=False), SLICES[size])


def simulate(store: Store, part: Slice) -> Simulated:
    """Every hour: some resources change, all targets are polled, judged and sealed by the product's own sweep."""
    scopes = [
        Scope(f"invented:{account:02d}:{region:02d}", f"invented:{account:02d}")
        for account in range(part.accounts)
        for region in range(REGIONS)
    ]
    estate = Estate(scopes, RESOURCES)
    source, rules, settings, redact, claims = (
        EstateSource(estate, FAILING), registry(), Settings(), redactor(), Claims(None),
    )  # fmt: skip
    planned = [Planned(next(iter(rules.streams.values())), source, target(scope)) for scope in scopes]
    sizes, versions = [store.size()], [0]
    for hour in range(part.hours):
        at = START_MS + hour * HOUR_MS
        if hour:
            estate.pass_hour(CHANGING)
        sweep(
            store.ledger, rules, settings, planned, redact, claims,
            slot_of=partial(_slot, at), now=partial(_later, at),
        )  # fmt: skip
        sizes.append(store.size())
        versions.append(store.ask("SELECT count(*) FROM change")[0][0])
        if hour % 168 == 0:
            told(f"year: day {hour // 24} of {part.hours // 24}, {sizes[-1] / 1e6:,.1f} MB")
    return Simulated(store, part, sizes, versions, _taken(store))


def figures(made: Simulated) -> Iterator[Figure]:
    """The growth of the second half, when the dictionary is trained and pages are as full as they stay, over a year."""
    part, sizes = made.slice, made.sizes
    year = whole_year(part, sizes)
    said = f"{part.resources:,} resources, {part.hours / 24:,.1f} days, {made.taken['polls'][0]:,} polls"
    yield Figure("year", "a year of 10,080 resources", year / 1e6, "MB", below(1000), f"from {said}", timed=False)
    for name, (count, taken) in made.taken.items():
        note = f"{count:,} in the simulated part" + (f", {taken / count:,.0f} bytes a document kept" if taken else "")
        yield Figure("year", f"simulated: {name}", count, "rows", note=note, timed=False)
    yield Figure("year", "simulated: the store", sizes[-1] / 1e6, "MB", timed=False)


def whole_year(part: Slice, counts: list[int]) -> float:
    """What a count that grows by the hour is after a year of the whole estate: its second half goes on and on."""
    half = max(1, part.hours // 2)
    hourly = (counts[-1] - counts[half]) / (part.hours - half)
    return (counts[-1] + hourly * (YEAR_HOURS - part.hours)) * ACCOUNTS / part.accounts


def _slot(at: int, _target: Target) -> int:
    return at


def _later(at: int) -> int:
    return at + 30_000


def _taken(store: Store) -> dict[str, tuple[int, int]]:
    kept = "SELECT count(*), coalesce(sum(length(b.z)), 0) FROM change c LEFT JOIN blob b ON b.id = c.blob_id WHERE"
    queries = {
        "versions of records": f"{kept} c.tree > 0",
        "versions of findings": f"{kept} c.tree < 0",
        "polls": "SELECT count(*), 0 FROM poll",
        "failed polls": "SELECT count(*), 0 FROM poll WHERE status = 2",
        "judged lines": "SELECT count(*), 0 FROM judged",
        "events": "SELECT count(*), sum(length(line)) FROM event",
    }
    return {name: store.ask(query)[0] for name, query in queries.items()}
