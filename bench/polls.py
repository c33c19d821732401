"""What an unchanged poll costs the store: bytes, whatever the number of resources, and time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from random import Random

from agent.collect import collect
from agent.model import Scope
from bench.estate import HOUR_MS, START_MS, Estate, EstateSource, Store, look, redactor, stream, target
from bench.figures import Figure, Size, at_most, cpu_seconds, told
from bench.synthetic import request_id

POLLS = {Size.quick: 600, Size.normal: 4_000, Size.full: 20_000}
RESOURCES = {Size.quick: (10, 200), Size.normal: (10, 10_000), Size.full: (10, 10_000)}


def run(size: Size) -> Iterator[Figure]:
    """The same snapshot appended again and again, once small and once large."""
    polls, each = POLLS[size], []
    for resources in RESOURCES[size]:
        told(f"polls: {polls:,} unchanged polls of {resources:,} resources")
        with Store(durable=size is not Size.quick) as store, cpu_seconds() as spent:
            start = time.perf_counter()
            grown = quiet(store, resources, polls)
            seconds = time.perf_counter() - start
        each.append(grown / polls)
        name, note = f"an unchanged poll of {resources:,} resources", "SQLite, with request id and slot"
        yield Figure("polls", name, each[-1], "bytes", at_most(100), note, timed=False)
        name, note = "the same, committed one by one", f"{spent[0] / polls * 1e6:,.0f} µs of CPU each; synchronous=FULL"
        yield Figure("polls", name, polls / seconds, "polls a second", note=note)
    note = "1: it does not depend on the number of resources"
    yield Figure("polls", "bytes, large against small", each[1] / each[0], "times", at_most(1.1), note, timed=False)


def quiet(store: Store, resources: int, polls: int) -> int:
    """Append hourly polls that show no change, and a seal at the end; bytes by which the polls made the store grow."""
    scope, random = Scope("invented:1", "invented:1"), Random(3)
    polled, source = target(scope), EstateSource(Estate([scope], resources))
    store.ledger.declare([polled], START_MS)
    snapshot = collect(polled, stream(look), source, redactor(), now=lambda: START_MS)
    store.ledger.append_poll(snapshot)
    before = store.size()
    for hour in range(1, polls + 1):
        at = START_MS + hour * HOUR_MS
        snapshot.tape.request_id, snapshot.tape.skew_ms = request_id(random), random.randrange(-40, 40)
        took = random.randrange(500, 30_000)
        store.ledger.append_poll(replace(snapshot, slot_ms=at, start_ms=at + 112, asof_ms=at + 112, dur_ms=took))
    grown = store.size() - before
    store.ledger.seal(START_MS + (polls + 1) * HOUR_MS)
    return grown
