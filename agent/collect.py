"""One target becomes one Snapshot: the engine around every collector.

A collector only looks and yields. Here its yields are redacted, brought into the evidence profile,
digested and spooled; here time is taken and everything that went wrong is caught.
"""

from __future__ import annotations

import contextvars
import tempfile
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar

import structlog

from agent import clock
from agent.canonical import NotRepresentable, canonical, canonical_in_profile, digest, fits, in_profile, parse
from agent.guard import attempt, place
from agent.model import (
    AsOf,
    Gap,
    Item,
    Json,
    PollStatus,
    Reach,
    Reason,
    Record,
    Snapshot,
    Source,
    SourceError,
    Tape,
    Target,
    Window,
    iter_pointers,
)
from agent.redact import Redactor
from agent.registry import StreamSpec

log = structlog.get_logger()

POOL_SIZE = 16
"""Calls under way at once within one target; the sources' connection pools are as large."""

T = TypeVar("T")
R = TypeVar("R")


def facet(
    call: Callable[..., Mapping[str, Any]],
    *,
    pick: str | Sequence[str] = (),
    absent: str | Sequence[str] = (),
    parse: Callable[[Any], Any] | None = None,
    **parameters: Any,
) -> Json | Gap:
    """One part of a record, or the gap where its call failed.

    `pick` is a member that the answer must have, or a list of members kept as an object (those the
    answer leaves out become null). Codes in `absent`, and only those, mean that the source said
    "not set": null. `parse` turns the picked value into facts; what does not parse is a gap.
    """
    try:
        answer = call(**parameters)
    except SourceError as error:
        codes = (absent,) if isinstance(absent, str) else absent
        return None if error.gap.code in codes else error.gap
    if isinstance(pick, str):
        if pick not in answer:
            return Gap(Reason.MALFORMED, op=getattr(call, "operation", None), code=f"No{pick}")
        value = answer[pick]
    else:
        value = {name: answer.get(name) for name in pick}
    return parse(value) if parse else value


def json_text(text: str) -> Json | Gap:
    """A JSON document given as text, parsed; what does not parse is a gap with the text's digest."""
    import json

    try:
        return json.loads(text, parse_constant=str)
    except ValueError:
        return Gap(Reason.MALFORMED, code=f"NotJSON:{digest(text.encode(errors='replace')).hex()[:16]}")


def spread(describe: Callable[[T], R], listed: Iterable[T]) -> Iterator[R]:
    """`describe` each listed thing on a bounded pool, in the order of the list."""
    with ThreadPoolExecutor(POOL_SIZE, "describe") as pool:
        context = contextvars.copy_context()
        waiting: list[Future[R]] = []
        rest = iter(listed)
        try:
            while True:
                for thing in islice(rest, 4 * POOL_SIZE - len(waiting)):
                    waiting.append(pool.submit(context.copy().run, describe, thing))
                if not waiting:
                    return
                yield waiting.pop(0).result()
        finally:
            for future in waiting:
                future.cancel()


class Spool:
    """Documents of a snapshot, on disk from 4 MiB on, so that any target is collected in bounded memory."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=4 << 20)  # noqa: SIM115
        self.close = weakref.finalize(self, self._file.close)
        """Give the space back; done by itself when nobody holds the spool any more."""
        self._where: dict[bytes, tuple[int, int]] = {}
        self._end = 0

    def add(self, data: bytes) -> bytes:
        """Keep a document; its digest comes back."""
        key = digest(data)
        if key not in self._where:
            self._file.seek(self._end)
            self._file.write(data)
            self._where[key] = (self._end, len(data))
            self._end += len(data)
        return key

    def __getitem__(self, key: bytes) -> bytes:
        """Bytes of a kept document; KeyError for any other digest."""
        offset, size = self._where[key]
        self._file.seek(offset)
        return self._file.read(size)


class Gathering:
    """What one poll has yielded so far."""

    def __init__(self, spec: StreamSpec, redactor: Redactor) -> None:
        self.spec, self.redactor = spec, redactor
        self.spool = Spool()
        self.items: dict[str, Item] = {}
        self.open_keys: set[str] = set()
        self.breaks: list[Gap] = []
        """What makes the poll partial: a broken listing, or resources that could not be described."""
        self.unseen: Counter[Gap] = Counter()
        self.gaps = 0
        self.asof_ms: int | None = None
        self.reach_ms = 0
        self.usable = False

    def take(self, yielded: Record | Gap | AsOf | Reach) -> None:
        """Keep a record, a gap, the source's own time of observation or how far back it reaches."""
        if isinstance(yielded, AsOf):
            self.asof_ms = yielded.ms
        elif isinstance(yielded, Reach):
            self.reach_ms = max(self.reach_ms, yielded.from_ms)
        elif isinstance(yielded, Gap):
            self.broke(yielded)
            if yielded.key is not None:
                self._put(yielded.key, canonical({"gap": yielded.body, "v": 1}))
        elif not _good_key(yielded.key):
            self.broke(Gap(Reason.MALFORMED, code="BadKey"))
        else:
            self._record(yielded)

    def broke(self, gap: Gap) -> None:
        """Note that the list, or a resource of it, was not seen."""
        self.breaks.append(gap)
        self.unseen[replace(gap, key=None)] += 1

    def _record(self, record: Record) -> None:
        self.usable = True
        facts, gaps = _apart(_searched(record.facts, self.spec, self.redactor), self.spec)
        facts, redacted = self.redactor.redact(facts, self.spec.tags)
        self.gaps += len(gaps)
        self.unseen.update(Gap.of(body) for body in gaps.values())
        try:
            data = canonical_in_profile({"facts": facts, "gaps": gaps, "redacted": redacted, "v": 1})
        except NotRepresentable as error:
            log.warning("record not representable", stream=self.spec.name, why=str(error))
            self.take(Gap(Reason.MALFORMED, code="NotRepresentable", key=record.key))
            return
        if self.spec.is_open and self.spec.is_open(facts):
            self.open_keys.add(record.key)
        self._put(record.key, data)

    def _put(self, key: str, data: bytes) -> None:
        item = Item(key, self.spool.add(data), len(data))
        known = self.items.get(key)
        if known and known.digest != item.digest:
            self.broke(Gap(Reason.MALFORMED, code="KeyTwice"))
        self.items[key] = item


def collect(
    target: Target,
    spec: StreamSpec,
    source: Source,
    redactor: Redactor,
    *,
    slot_ms: int | None = None,
    window: Window | None = None,
    now: Callable[[], int] = clock.now_ms,
) -> Snapshot:
    """Poll one target once. Never raises for what a source did: that is a partial or failed snapshot."""
    tape = Tape()
    started, ticks = now(), clock.monotonic()
    got = Gathering(spec, redactor)

    def look() -> None:
        opened = source.open(target.scope, spec.needs, tape)
        for yielded in spec.look(opened, window) if window else spec.look(opened):
            got.take(yielded)

    _, error = attempt(look)
    crash = _crash(error, target) if error else None
    if crash:
        got.broke(crash)
    status, why = _outcome(got, crash)
    tape.rows = len(got.items)
    return Snapshot(
        target=target,
        status=status,
        why=why,
        slot_ms=slot_ms,
        start_ms=started,
        dur_ms=max(0, round((clock.monotonic() - ticks) * 1000)),
        asof_ms=None if status is PollStatus.FAILED else got.asof_ms if got.asof_ms is not None else started,
        items=() if status is PollStatus.FAILED else sorted(got.items.values(), key=lambda item: item.key.encode()),
        documents=got.spool,
        receipt=_receipt(tape, redactor, got.breaks),
        tape=tape,
        gaps=0 if status is PollStatus.FAILED else got.gaps,
        window=_reached(window, got.reach_ms),
        open_keys=frozenset(got.open_keys),
        unseen=dict(got.unseen),
    )


def _reached(window: Window | None, from_ms: int) -> Window | None:
    """The window without what lies before the source's reach: that was not read, and nothing says it was."""
    if window is None or from_ms <= window.from_ms:
        return window
    return replace(window, from_ms=min(from_ms, window.to_ms))


def _crash(error: Exception, target: Target) -> Gap:
    """Why the collector stopped; what it raised is logged by its type, since its text may hold anything."""
    if isinstance(error, SourceError):
        return error.gap
    log.warning("collector crashed", target=target.name, error=place(error))
    # A member that the source's own schema promises was not there, or was of another type.
    shape = isinstance(error, (KeyError, TypeError, AttributeError))
    return Gap(Reason.MALFORMED if shape else Reason.CRASHED, code=type(error).__name__)


def _outcome(got: Gathering, crash: Gap | None) -> tuple[PollStatus, Reason | None]:
    if not got.breaks:
        return PollStatus.COMPLETE, None
    if got.usable or (not crash and got.items):
        return PollStatus.PARTIAL, got.breaks[0].reason
    return PollStatus.FAILED, got.breaks[0].reason


def _receipt(tape: Tape, redactor: Redactor, breaks: Sequence[Gap]) -> dict[str, Json]:
    """What repeats from poll to poll: caller, operations, and the gap that broke the listing, if one did."""
    return {
        "endpoint": tape.endpoint,
        "gap": next((gap.body for gap in breaks if gap.key is None), None),
        "identity": tape.identity,
        "operations": dict(sorted(tape.operations.items())),
        "patterns": redactor.patterns_digest,
        "v": 1,
    }


def _searched(facts: Mapping[str, Any], spec: StreamSpec, redactor: Redactor) -> Mapping[str, Any]:
    """The facts with each text that is only to be searched replaced by how many lines it had and what hit."""
    found = dict(facts) if spec.scanned else facts
    for name in (pointer[1:] for pointer in spec.scanned):
        lines = facts.get(name)
        if isinstance(lines, list):
            hits = Counter(hit for line in lines for hit in redactor.scan(line))
            told = [{"hash": hash, "lines": count, "pattern": pattern} for (pattern, hash), count in hits.items()]
            found = {**found, name: {"hits": sorted(told, key=canonical), "lines": len(lines)}}
    return found


def _apart(facts: Mapping[str, Any], spec: StreamSpec) -> tuple[Mapping[str, Json], dict[str, Json]]:
    """Facts in the evidence profile, with the gaps that lay inside taken out and put beside."""
    if fits(facts):
        kept = parse(canonical(facts)) if spec.volatile or spec.unordered else facts
        gaps: dict[str, Json] = {}
    else:
        kept, gaps = _mapped(facts)
    for pointer in spec.volatile:
        _drop(kept, pointer.split("/")[1:])
    for pointer in spec.unordered:
        _sort(kept, pointer.split("/")[1:])
    return kept, gaps


def _mapped(facts: Mapping[str, Any]) -> tuple[dict[str, Json], dict[str, Json]]:
    refused: dict[str, str] = {}
    kept = in_profile(facts, refused.setdefault)
    if not refused:
        return kept, {}
    gaps: dict[str, Json] = dict.fromkeys(refused, Gap(Reason.MALFORMED, code="NotRepresentable").body)
    gaps |= {pointer: gap.body for pointer, gap in iter_pointers(facts, Gap)}
    for pointer in gaps:
        _drop(kept, pointer.split("/")[1:])
    return kept, gaps


def _drop(value: Any, tokens: Sequence[str]) -> None:
    """Take out what a pointer (`*` = any) names; a list keeps its length, with null in the place."""
    for holder, name in _places(value, tokens):
        if isinstance(holder, dict):
            holder.pop(name, None)
        else:
            holder[name] = None


def _sort(value: Any, tokens: Sequence[str]) -> None:
    for holder, name in _places(value, tokens):
        if isinstance(holder[name], list):
            holder[name].sort(key=canonical)


def _places(value: Any, tokens: Sequence[str]) -> Iterator[tuple[Any, Any]]:
    token, *rest = tokens
    token = token.replace("~1", "/").replace("~0", "~")
    if isinstance(value, dict):
        names: list[Any] = list(value) if token == "*" else [token] if token in value else []
    elif isinstance(value, list):
        names = list(range(len(value))) if token == "*" else [int(token)] if token.isdigit() else []
    else:
        return
    for name in names:
        if rest:
            yield from _places(value[name], rest)
        else:
            yield value, name


def _good_key(key: str) -> bool:
    """1 to 1,024 bytes of UTF-8, no control characters: the record leaf uses 00 as separator."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return False
    return 0 < size <= 1024 and min(key) > "\x1f"
