"""How fast a whole store is verified: a quiet one, and the one that `year` made. In a process of its own."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from bench.child import measured
from bench.estate import Store
from bench.figures import Figure, Size, at_least, at_most, below, told
from bench.polls import quiet
from bench.year import ACCOUNTS, REGIONS, RESOURCES, YEAR_HOURS, simulated, whole_year

POLLS = {Size.quick: 300, Size.normal: 30_000, Size.full: 100_000}


@dataclass(frozen=True, slots=True)
class Verified:
    """What one verification took."""

    seconds: float
    """CPU seconds."""
    memory: float
    """Peak of the whole process, MiB."""
    problems: int
    result: str
    polls: int
    observations: int
    versions: int
    raw: int
    """Bytes of all documents."""


def run(size: Size) -> Iterator[Figure]:
    """Verify three stores; what polls and versions take is told from the differences."""
    told(f"verify: a quiet store of {POLLS[size]:,} polls")
    empty, still, made = _quiet(0), _quiet(POLLS[size]), simulated(size)
    lively = verify(made.store)
    yield _sound("a quiet store verifies", still)
    yield _sound("the store of `year` verifies", lively)
    spent = max(still.seconds - empty.seconds, 1e-9)
    note = f"{still.polls:,} unchanged polls of {RESOURCES} resources; start of {empty.seconds:.2f} s taken off"
    yield Figure("verify", "polls", still.polls / spent, "a CPU second", at_least(120_000), note)
    yield Figure("verify", "observations", still.observations / spent, "a CPU second", at_least(2_000_000), note)
    note = f"{lively.polls:,} polls, {lively.versions:,} versions, {lively.raw / 1e6:,.1f} MB of documents"
    yield Figure("verify", "the store of `year`", lively.seconds, "CPU seconds", note=note)
    each = spent / still.polls
    version = max(0.0, lively.seconds - empty.seconds - lively.polls * each) / max(1, lively.versions)
    yield Figure("verify", "a version with its document", version * 1e6, "µs", note="judged lines and seals included")
    polls, versions = ACCOUNTS * REGIONS * YEAR_HOURS, whole_year(made.slice, made.versions)
    note = f"extrapolated to {polls:,} polls and {versions:,.0f} versions"
    year = polls * each + versions * version
    yield Figure("verify", "a year of 10,080 resources", year, "CPU seconds", below(60), note)
    yield Figure("verify", "peak memory", max(still.memory, lively.memory), "MiB", at_most(256))


def _quiet(polls: int) -> Verified:
    with Store(durable=False) as store:
        quiet(store, RESOURCES, polls)
        return verify(store)


def verify(store: Store) -> Verified:
    """Verify a store in new processes; the fastest counts."""
    ended = min(
        (measured([sys.executable, "-m", "bench.verify", str(store.path)]) for _ in range(3)), key=lambda run: run.cpu
    )
    polls, observations = store.ask("SELECT count(*), sum(n) FROM poll")[0]
    versions, raw = store.ask("SELECT (SELECT count(*) FROM change), (SELECT sum(size) FROM blob)")[0]
    said = json.loads(ended.printed)
    return Verified(**said, memory=ended.memory, polls=polls, observations=observations, versions=versions, raw=raw)


def _sound(name: str, verified: Verified) -> Figure:
    return Figure("verify", name, verified.problems, "problems", at_most(0), verified.result, timed=False)


def _child(path: str) -> None:
    from agent.ledger.verify import verify_store

    start = time.process_time()
    report = verify_store(path)
    spent = time.process_time() - start
    said = {
        "seconds": spent,
        "problems": len(report.problems),
        "result": report.result,
    }
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    _child(sys.argv[1])
