"""`evidenced status`: is evidence still coming in, what is missing, what stands open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import typer

from agent import __version__
from agent.cli.out import Output, OutputOption, console, lines, table

if TYPE_CHECKING:
    from agent.assess import Reading, Span
    from agent.ledger import Ledger
    from agent.registry import Registry
    from agent.settings import Settings

EPILOG = """Examples:

evidenced status

evidenced status --output json

Slots are owed from the first start of the daemon on, or always with [schedule] owed = true.
"""
SCHEMA = "evidenced.status/1"
DAY_MS = 86_400_000
UNANCHORED = (
    "none; unanchored since the first entry: the signature shows that nobody without the key altered anything, "
    "not that the operator did not"
)


def status(ctx: typer.Context, output: OutputOption = Output.text) -> None:
    """Show each stream's last evidence, slots and what is open."""
    from agent import clock
    from agent.cli import opened
    from agent.registry import discover

    settings = opened.settings(ctx)
    ledger = opened.ledger(settings)
    body = read_status(ledger, discover(), settings, clock.now_ms())
    ledger.close()
    if output is Output.json:
        opened.emit(body)
    elif output is Output.jsonl:
        lines(body["streams"])
    else:
        out = console(ctx)
        for line in page(body, clock.now_ms()):
            out.print(line)


def read_status(ledger: Ledger, registry: Registry, settings: Settings, now_ms: int) -> dict[str, Any]:
    """The contract `evidenced.status/1`."""
    from agent import assess
    from agent.clock import iso
    from agent.judge import findings

    reading, head, notes = assess.read(ledger, now_ms), ledger.head(), ledger.notes()
    counts: Counter[str] = Counter(finding.status.value for finding in findings(ledger, registry, at_ms=now_ms))
    sealed = [int(event["at"]) for event in ledger.events("seal")]
    period = settings.entity.period
    span = assess.Span.period(period.first_day, period.last_day, period.timezone) if period else None
    return {
        "schema": SCHEMA,
        "version": __version__,
        "at": iso(now_ms),
        "demo": ledger.demo,
        "store": settings.store.url,
        "ledger": {
            "origin": ledger.origin,
            "size": head.size,
            "root": head.root.hex(),
            "key": ledger.fingerprint,
            "sealed_size": notes[-1][0] if notes else 0,
            "sealed_at": iso(sealed[-1]) if sealed else None,
        },
        "anchors": {"configured": [], "statement": UNANCHORED},
        "period": period.model_dump(mode="json") if period else None,
        "owed_from": None if reading.owed_from_ms is None else iso(reading.owed_from_ms),
        "streams": list(_streams(reading, span, now_ms)),
        "findings": {name: counts[name] for name in ("pass", "fail", "not_applicable", "not_evaluated")},
    }


def _streams(reading: Reading, span: Span | None, now_ms: int) -> Iterator[dict[str, Any]]:
    """Each stream in scope: intervals, newest evidence, slots of the last day and of the period."""
    from agent.assess import Span
    from agent.clock import iso
    from agent.model import PollStatus
    from agent.schedule import slot_of

    day = Span("type-2", now_ms - DAY_MS, now_ms, "UTC", ())
    newest = reading.ledger.newest(reading.upto)
    by_stream: dict[str, list[int]] = {}
    for number, past in reading.targets.items():
        if past.terms[-1].to_ms > now_ms:
            by_stream.setdefault(past.target.stream, []).append(number)
    for stream, numbers in sorted(by_stream.items()):
        every_s = reading.targets[numbers[0]].terms[-1].every_s
        polls = {number: reading.polls(number) for number in numbers}
        last = [
            max((poll.start_ms for poll in polls[number] if poll.status is PollStatus.COMPLETE), default=None)
            for number in numbers
        ]
        troubled = [
            {
                "scope": reading.targets[number].target.scope.name,
                "status": newest[number].status.value,
                "reason": why.value if (why := newest[number].why) else None,
            }
            for number in numbers
            if number in newest and newest[number].status is not PollStatus.COMPLETE
        ]
        yield {
            "stream": stream,
            "targets": len(numbers),
            "every_s": every_s,
            "last_complete": None if None in last else iso(min(at for at in last if at is not None)),
            "next_slot": iso(slot_of(every_s, now_ms) + every_s * 1000),
            "not_complete": troubled,
            "day": _slots(reading, numbers, polls, day, now_ms),
            "period": _slots(reading, numbers, polls, span, now_ms) if span else None,
        }


def _slots(reading: Reading, numbers: Sequence[int], polls: dict[int, Any], span: Span, now_ms: int) -> dict[str, int]:
    """Slots owed in a span, by what became of them."""
    from agent.assess import owed_slots
    from agent.schedule import Coverage

    counts: Counter[Coverage] = Counter(
        slot.coverage
        for number in numbers
        for slot in owed_slots(
            reading.targets[number], span, polls[number], owed_from_ms=reading.owed_from_ms, known_ms=now_ms
        )
    )
    return {coverage.value: counts[coverage] for coverage in Coverage}


def page(body: dict[str, Any], now_ms: int) -> Iterator[str]:
    """What a person reads."""
    from agent.cli.when import ago
    from agent.clock import parse_iso

    ledger = body["ledger"]
    if body["demo"]:
        yield "DEMO: every fact in this store is invented"
    yield f"evidenced {body['version']} · store {body['store']} · ledger {ledger['size']:,} · key {ledger['key']}"
    if ledger["sealed_at"]:
        behind = ledger["size"] - ledger["sealed_size"]
        rest = f", {behind:,} entries since" if behind else ""
        yield f"Sealed at {ledger['sealed_size']:,} entries, {ago(parse_iso(ledger['sealed_at']), now_ms)}{rest}"
    yield f"Anchors: {body['anchors']['statement']}"
    period = body["period"]
    if period:
        yield f"PERIOD {period['first_day']} to {period['last_day']}, {period['timezone']}"
    yield ""
    if not body["streams"]:
        yield "Nothing collected yet: evidenced collect --now"
    else:
        yield from table(_rows(body["streams"], now_ms), right=(4, 5, 6, 7))
    if body["owed_from"] is None:
        yield "No slots are owed yet: evidenced run starts the schedule, [schedule] owed = true promises it for cron"
    for stream in body["streams"]:
        for one in stream["not_complete"]:
            yield f"{stream['stream']}@{one['scope']}: {one['status']}, {one['reason']}"
    counts = body["findings"]
    yield ""
    yield f"Findings {sum(counts.values()):,} = " + " · ".join(f"{count:,} {name}" for name, count in counts.items())
    yield f"Open deviations: {counts['fail']:,}"


def _rows(streams: Sequence[dict[str, Any]], now_ms: int) -> Iterator[tuple[str, ...]]:
    from agent.assess import days_text
    from agent.cli.when import ago
    from agent.clock import parse_iso

    yield "STREAM", "EVERY", "LAST COMPLETE", "NEXT", "24 H", "COVERED", "BRIDGED", "WITHOUT EVIDENCE"
    for stream in streams:
        day, period = stream["day"], stream["period"] or stream["day"]
        owed = sum(period.values())
        seen = (period["covered"], period["bridged"], period["failed"] + period["missed"])
        last = stream["last_complete"]
        yield (
            stream["stream"],
            days_text(stream["every_s"] * 1000),
            ago(parse_iso(last), now_ms) if last else "never",
            days_text(parse_iso(stream["next_slot"]) - now_ms),
            f"{day['covered']}/{sum(day.values())}" if sum(day.values()) else "-",
            *((f"{100 * count / owed:.1f} %" for count in seen) if owed else ("-", "-", "-")),
        )
