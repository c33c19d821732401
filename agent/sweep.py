"""A sweep: collect targets, store each snapshot, judge the scopes touched, seal.

`collect --now`, `run` and `demo` are this function with other clocks and other plans.
"""

from __future__ import annotations

import hashlib
import platform
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import structlog

from agent import __version__, clock
from agent.canonical import canonical, digest, parse
from agent.catalogue import load_catalogue
from agent.collect import collect
from agent.config import require_libraries
from agent.judge import judge
from agent.ledger import Ledger, SlotTaken
from agent.model import Gap, Kind, PollStatus, Reason, Shared, Snapshot, Source, SourceError, Target, Window
from agent.redact import Redactor
from agent.registry import Registry, StreamSpec, seconds

if TYPE_CHECKING:
    from agent.claims import Claims
    from agent.config import Settings

log = structlog.get_logger()

DAY_MS = 86_400_000
OVERLAP_MS = 3_600_000
"""How far a window of a life or events stream reaches back over the one before: late arrivals."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A target with what collects it."""

    spec: StreamSpec
    source: Source
    target: Target


@dataclass(slots=True)
class Plan:
    """What is to be collected, and the sources that could not name their scopes."""

    targets: list[Planned] = field(default_factory=list)
    unreached: dict[str, Gap] = field(default_factory=dict)
    detail: dict[str, str] = field(default_factory=dict)
    """Provider -> what to do about it, in words."""
    blind: dict[str, Gap] = field(default_factory=dict)
    """Judging scope -> why it could not name its parts, though its source named others."""


@dataclass(slots=True)
class Outcome:
    """How a sweep ended."""

    polls: dict[str, Snapshot] = field(default_factory=dict)
    unseen: Counter[Gap] = field(default_factory=Counter)
    """Every kind of gap met and how often, unreached sources included."""

    def count(self, status: PollStatus) -> int:
        """How many targets ended so."""
        return sum(1 for snapshot in self.polls.values() if snapshot.status is status)

    @property
    def exit_code(self) -> int:
        """0 nothing unseen that could be seen, 4 every shortfall is a missing permission, 5 otherwise."""
        short = [gap for gap in self.unseen if gap.reason is not Reason.UNSUPPORTED]
        if not short:
            return 0
        return 4 if all(gap.reason is Reason.DENIED for gap in short) else 5

    @property
    def unsupported(self) -> Counter[Gap]:
        """What the source itself lacks: gaps that nobody can fill, so that they make no exit code."""
        return Counter({gap: count for gap, count in self.unseen.items() if gap.reason is Reason.UNSUPPORTED})


def connect(registry: Registry, settings: Settings) -> dict[str, Source]:
    """The sources that are configured, by provider."""
    require_libraries(settings)
    sections = settings.collect.enabled()
    return {name: registry.sources[name](section, settings.secret) for name, section in sections.items()}


def plan(
    registry: Registry,
    settings: Settings,
    sources: Mapping[str, Source],
    ledger: Ledger | None = None,
    wanted: Callable[[StreamSpec], bool] = lambda _spec: True,
) -> Plan:
    """The targets of the configured sources; of an unreachable source those the ledger knows."""
    made = Plan()
    for name, source in sources.items():
        specs = [spec for spec in registry.streams.values() if spec.provider == name and wanted(spec)]
        try:
            scopes = {per: source.scopes(per) for per in {spec.per for spec in specs}}
        except SourceError as error:
            made.unreached[name] = error.gap
            made.detail[name] = str(error)
            made.targets += _known(ledger, specs, source) if ledger else []
            continue
        blind = dict(source.blind) if isinstance(source, Shared) else {}
        known = _known(ledger, specs, source) if ledger and blind else []
        made.blind |= blind
        for spec in specs:
            every_s = interval(spec, settings.intervals(name))
            for scope in scopes[spec.per]:
                of_before = [item for item in known if item.spec is spec and item.target.scope.judging == scope.judging]
                if scope.name != scope.judging and scope.judging in blind and of_before:
                    made.targets += of_before
                else:
                    made.targets.append(
                        Planned(spec, source, Target(spec.name, scope, spec.kind, every_s, spec.collector))
                    )
    return made


def _known(ledger: Ledger, specs: Iterable[StreamSpec], source: Source) -> list[Planned]:
    by_name = {spec.name: spec for spec in specs}
    return [
        Planned(by_name[row.target.stream], source, row.target)
        for row in ledger.targets().values()
        if not row.ended and row.target.stream in by_name
    ]


def retire_absent(ledger: Ledger, registry: Registry, settings: Settings, made: Plan, at_ms: int) -> None:
    """End the targets that a whole plan no longer names, and their findings.

    A source that could not be reached still names its own: those that the ledger knows.
    """
    wanted = {item.target.name for item in made.targets}
    gone = [row for row in ledger.targets().values() if not row.ended and row.target.name not in wanted]
    if gone:
        ledger.retire([row.target.name for row in gone], "no longer configured", at_ms)
        judge(ledger, registry, settings.rule_settings(), at_ms, {row.judging_id for row in gone})


def interval(spec: StreamSpec, overrides: Mapping[str, str]) -> int:
    """Seconds between polls: as configured for `service.plural`, `plural` or `service`, else the stream's own."""
    service, _, plural = spec.name.partition(".")[2].rpartition(".")
    for key in (f"{service}.{plural}", plural, service):
        if key in overrides:
            return seconds(overrides[key])
    return spec.every_s


def announce(ledger: Ledger, registry: Registry, settings: Settings, at_ms: int) -> None:
    """Write the events that say what collects and judges from here on, where that has changed."""
    config = canonical(settings.redacted())
    rules = canonical(settings.rule_settings())
    said: list[tuple[str, dict[str, Any], list[bytes]]] = [
        ("software", software(registry), []),
        ("config", {"digest": digest(config).hex(), "owed": settings.schedule.owed}, [config]),
        ("catalogue", {"digest": load_catalogue().digest}, []),
        ("threshold", {"digest": digest(rules).hex()}, [rules]),
    ]
    for kind, body, documents in said:
        last = _last(ledger, kind)
        if last != body:
            ledger.append_event(kind, body, at_ms, documents)


def _last(ledger: Ledger, kind: str) -> dict[str, Any] | None:
    line: dict[str, Any] | None = None
    for line in ledger.events(kind):  # noqa: B007 - the newest is wanted
        pass
    return (
        {name: value for name, value in line.items() if name not in ("at", "docs", "idx", "k", "v")} if line else None
    )


def software(registry: Registry) -> dict[str, Any]:
    """Version, digest of the installed source, Python and plug-ins."""
    return {
        "digest": _source_digest(),
        "plugins": dict(registry.plugins),
        "python": platform.python_version(),
        "version": __version__,
    }


@cache
def _source_digest() -> str:
    """SHA-256 over path and content of every installed file of the three packages."""
    total = hashlib.sha256()
    for package in ("agent", "checks", "collectors"):
        waiting = [(package, files(package))]
        while waiting:
            path, node = waiting.pop()
            if node.is_dir():
                if node.name != "__pycache__":
                    children = sorted(node.iterdir(), key=lambda child: child.name)
                    waiting += [(f"{path}/{child.name}", child) for child in children]
            else:
                total.update(f"{path}\0".encode() + hashlib.sha256(node.read_bytes()).digest())
    return total.hexdigest()


def sweep(
    ledger: Ledger,
    registry: Registry,
    settings: Settings,
    planned: Sequence[Planned],
    redactor: Redactor,
    claims: Claims,
    *,
    slot_of: Callable[[Target], int | None] = lambda _target: None,
    now: Callable[[], int] = clock.now_ms,
    on_poll: Callable[[Planned, Snapshot | None], None] = lambda _planned, _snapshot: None,
    seal: bool = True,
    stopping: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Collect these targets in parallel, then judge the scopes they belong to and seal.

    `on_poll` is told when a target is done (None: its slot was taken already). Each snapshot is
    stored in one short transaction as soon as it is there, so at most the polls under way are lost.
    Once it is `stopping`, targets that were not begun are left out.
    """
    begin(ledger, planned, now())
    numbers = ledger.declare([item.target for item in planned], now())
    outcome = Outcome()

    def run(item: Planned) -> tuple[Planned, Snapshot | None] | None:
        if stopping():
            return None
        number = numbers[item.target.name]
        with claims.claim(number):
            snapshot = collect(
                item.target, item.spec, item.source, redactor,
                slot_ms=slot_of(item.target), window=window(ledger, item.spec, number, now()), now=now,
            )  # fmt: skip
            try:
                ledger.append_poll(snapshot)
            except SlotTaken:
                return item, None
            finally:
                snapshot.documents.close()
        return item, snapshot

    with ThreadPoolExecutor(settings.schedule.max_parallel, "collect") as pool:
        for wave in _waves(planned):
            for done in as_completed([pool.submit(run, item) for item in wave]):
                told = done.result()
                if told is None:
                    continue
                item, snapshot = told
                if snapshot:
                    outcome.polls[item.target.name] = snapshot
                    outcome.unseen.update(snapshot.unseen)
                on_poll(item, snapshot)
    rows = ledger.targets()
    touched = {rows[numbers[item.target.name]].judging_id for item in planned}
    judge(ledger, registry, settings.rule_settings(), now(), touched)
    if seal:
        ledger.seal(now())
    return outcome


def begin(ledger: Ledger, planned: Iterable[Planned], at_ms: int) -> None:
    """Tell the sources that a sweep begins, and how many calls of theirs the ledger knows of the last day."""
    sources = {item.source.name: item.source for item in planned if isinstance(item.source, Shared)}
    if not sources:
        return
    calls: Counter[str] = Counter()
    rows = ledger.targets()
    for number, made in ledger.calls_since(at_ms - DAY_MS).items():
        calls[rows[number].target.stream.partition(".")[0]] += made
    for name, source in sources.items():
        source.begin(calls[name])


def _waves(planned: Sequence[Planned]) -> list[list[Planned]]:
    """Targets whose stream comes `after` another one in a later wave than that one."""
    depth: dict[str, int] = {}
    by_name = {item.spec.name: item.spec for item in planned}

    def level(name: str) -> int:
        if name not in depth:
            depth[name] = 0
            depth[name] = max((1 + level(other) for other in by_name[name].after if other in by_name), default=0)
        return depth[name]

    waves: dict[int, list[Planned]] = {}
    for item in planned:
        waves.setdefault(level(item.spec.name), []).append(item)
    # scope by scope: what a source opens for one account can be closed when the sweep is past it
    return [
        sorted(waves[number], key=lambda item: (item.target.scope.judging, item.target.scope.name))
        for number in sorted(waves)
    ]


def window(ledger: Ledger, spec: StreamSpec, number: int, now_ms: int) -> Window | None:
    """What a poll of a life or events stream has to read: from the end of the last complete one."""
    if spec.kind not in (Kind.LIFE, Kind.EVENTS):
        return None
    complete = (poll.to_ms for poll in reversed(ledger.past(number)) if poll.status is PollStatus.COMPLETE)
    last = next((to_ms for to_ms in complete if to_ms is not None), None)
    since = 0 if last is None else max(0, last - OVERLAP_MS)
    return Window(since, now_ms, _open_keys(ledger, spec, number) if last is not None else frozenset())


def _open_keys(ledger: Ledger, spec: StreamSpec, number: int) -> frozenset[str]:
    """Records of a life stream that may still change, and those that were not seen."""
    if spec.is_open is None or spec.kind is not Kind.LIFE:
        return frozenset()
    keys: dict[int, list[str]] = {}
    for stored in ledger.state(number):
        keys.setdefault(stored.blob_id, []).append(stored.key)
    found: list[str] = []
    for blob_id, data in ledger.documents(keys):
        body = parse(data)
        if "gap" in body or spec.is_open(body["facts"]):
            found += keys[blob_id]
    return frozenset(found)
