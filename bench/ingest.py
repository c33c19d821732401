"""How many unchanged observations a core takes in, and where the time goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import rfc8785

from agent.canonical import canonical, canonical_in_profile, digest, parse
from agent.collect import _apart as apart
from agent.collect import collect
from agent.model import Scope, Tape
from bench.estate import START_MS, Estate, EstateSource, Store, look_raw, raw, redactor, stream, target
from bench.figures import Figure, Size, at_least, best_of, cpu_seconds, told

DOCUMENTS = {Size.quick: 200, Size.normal: 10_000, Size.full: 10_000}
RUNS = {Size.quick: 1, Size.normal: 5, Size.full: 9}


class RawSource(EstateSource):
    """The estate as JSON text."""

    def open(self, scope: Scope, needs: object, tape: Tape) -> list[bytes]:  # type: ignore[override]
        """The documents of the scope as text."""
        super().open(scope, {}, tape)
        return self.texts

    texts: list[bytes]


def run(size: Size) -> Iterator[Figure]:
    """Unchanged polls of one target: the whole way, then its parts."""
    count, runs = DOCUMENTS[size], RUNS[size]
    scope = Scope("invented:1", "invented:1")
    source = RawSource(Estate([scope], count))
    source.texts = texts = [raw(facts) for facts in source.estate.buckets[scope.name]]
    mean = sum(map(len, texts)) / count
    told(f"ingest: {count:,} documents of {mean:,.0f} bytes, {runs} runs each")

    first, polled, same = _polls(source, scope, runs)
    yield _speed("an unchanged poll, all of it", count, polled, least=30_000, note=f"{mean:,.0f} bytes a document")
    yield Figure("ingest", "all polls had the first one's root", float(same), "1 = yes", at_least(1), timed=False)
    _, more, _ = _polls(source, scope, runs, tags=("/tags",), unordered=("/lifecycle",))
    yield _speed("the same, with tags and an unordered list", count, more, note="as aws.s3.buckets declares")
    yield _speed("the first poll, everything new", count, first, note="searched for secrets, compressed, stored")

    spec, redact = stream(look_raw), redactor()
    facts = [parse(text) for text in texts]
    envelopes = [{"facts": inner, "gaps": {}, "redacted": [], "v": 1} for inner in facts]
    parts: dict[str, Callable[[], None]] = {
        "parse": partial(_each, parse, texts),
        "into the profile, gaps apart": partial(_each, lambda inner: apart(inner, spec), facts),
        "redact": partial(_each, lambda inner: redact.redact(inner, ()), facts),
        "canonical bytes and digest": partial(_each, lambda body: digest(canonical_in_profile(body)), envelopes),
    }
    seconds = {name: best_of(runs, part) for name, part in parts.items()}
    for name, spent in seconds.items():
        yield _speed(f"of it: {name}", count, spent, note=f"{spent / polled:.0%} of the time")
    rest = polled - sum(seconds.values())
    yield Figure("ingest", "of it: the rest", rest / count * 1e6, "µs a document", note="engine, spool, append")
    oracle = best_of(runs, partial(_each, lambda body: digest(rfc8785.dumps(body)), envelopes))
    checked = best_of(runs, partial(_each, lambda body: digest(canonical(body)), envelopes))
    yield Figure(
        "ingest", "canonical bytes, profile checked, against rfc8785", oracle / checked, "times as fast", at_least(4)
    )
    yield _speed("the same, in documents", count, checked, note=f"rfc8785: {count / oracle:,.0f}")


def _polls(
    source: RawSource, scope: Scope, runs: int, tags: tuple[str, ...] = (), unordered: tuple[str, ...] = ()
) -> tuple[float, float, bool]:
    """CPU seconds of the first poll and of an unchanged one, and whether each had the root of the first."""
    spec, redact, polled = replace(stream(look_raw), tags=tags, unordered=unordered), redactor(), target(scope)
    with Store() as store:
        store.ledger.declare([polled], START_MS)

        def poll() -> None:
            snapshot = collect(polled, spec, source, redact, now=lambda: START_MS)
            store.ledger.append_poll(snapshot)
            snapshot.documents.close()

        with cpu_seconds() as first:
            poll()
        seconds = best_of(runs, poll)
        polls = list(store.ledger.polls())
        return first[0], seconds, len(polls) == runs + 2 and len({(line.root, line.n) for line in polls}) == 1


def _each(function: Callable[[Any], object], things: Iterable[Any]) -> None:
    """Call it for each, and hold nothing: what is kept costs time later."""
    for thing in things:
        function(thing)


def _speed(name: str, count: int, seconds: float, *, least: float | None = None, note: str = "") -> Figure:
    return Figure("ingest", name, count / seconds, "documents a CPU second", at_least(least) if least else None, note)
