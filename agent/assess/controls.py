"""The facts of each control over a span: side by side, never merged into one word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from agent.assess.coverage import Sight, TargetCoverage, cover
from agent.assess.days import DayState, State, Tally, blend, worst_of
from agent.assess.findings import Deviation, Piece, Subject, deviations
from agent.assess.reading import Reading
from agent.assess.span import Span
from agent.catalogue import Catalogue, CheckEntry, Control
from agent.model import Kind, Reason, Status
from agent.registry import CheckSpec, Registry
from agent.schedule import Coverage


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a subject stood under a check when the span ended."""

    subject: Subject
    piece: Piece
    status: Status
    reason: Reason | None
    by_rule: bool
    """Not evaluated because its whole target was not seen: nothing is stored for that."""


@dataclass(slots=True)
class CheckFacts:
    """One rule over the span."""

    id: str
    streams: tuple[str, ...]
    configured: bool
    """Whether any stream it is over is collected in the declared scope."""
    event: bool = False
    evaluated: int = 0
    """Subjects with a definite status (pass or fail) at some time in the span."""
    deviating: int = 0
    """Of these, with a deviation."""
    applicable: int = 0
    """Subjects to which the rule applied at some time in the span."""
    subjects: int = 0
    """Subjects that existed at some time in the span, whatever was said of them."""
    at_end: Counter[Status] = field(default_factory=Counter)
    reasons: Counter[Reason] = field(default_factory=Counter)
    """Of what was not evaluated at the end."""
    inherited: int = 0
    targets: tuple[int, ...] = ()
    days: list[DayState] = field(default_factory=list)
    deviations: list[Deviation] = field(default_factory=list)


@dataclass(slots=True)
class ControlFacts:
    """One control over the span: what is printed of it."""

    control: Control
    checks: list[tuple[CheckEntry, CheckFacts | None]]
    """Its checks as it takes them; None beside those that are planned and not built."""
    days: list[DayState]
    state: State
    """Of the last day, or of the moment."""
    deviations: list[Deviation]
    owed: Counter[Coverage]
    incomplete: list[str]

    @property
    def active(self) -> list[CheckFacts]:
        """Its checks that are built and have a source in scope."""
        return [facts for _, facts in self.checks if facts is not None and facts.configured]

    @property
    def total(self) -> CheckFacts:
        """The sums over its active checks."""
        total = CheckFacts(self.control.id, (), True)
        for facts in self.active:
            total.evaluated += facts.evaluated
            total.deviating += facts.deviating
            total.subjects += facts.subjects
            total.applicable += facts.applicable
            total.inherited += facts.inherited
            total.at_end += facts.at_end
            total.reasons += facts.reasons
        return total

    def days_in(self, *states: State) -> int:
        """How many days had one of these as their worst state."""
        return sum(1 for day in self.days if day.state in states)


@dataclass(slots=True)
class Assessment:
    """A whole store over a span, as facts."""

    span: Span
    reading: Reading
    targets: dict[int, TargetCoverage]
    checks: dict[str, CheckFacts]
    controls: list[ControlFacts]
    """Those with at least one active check whose source is in scope, in the order of the catalogue."""
    elsewhere: list[ControlFacts]
    """Those that no automated check of this store reaches."""
    standings: list[Standing]
    deviations: list[Deviation]

    @property
    def slots(self) -> Counter[Coverage]:
        """All slots owed in the span, by what became of them."""
        return sum((target.counts for target in self.targets.values()), Counter())

    @property
    def open(self) -> list[Deviation]:
        """Deviations open at the end."""
        return [one for one in self.deviations if one.open_at(self.span.until_ms)]


def assess(reading: Reading, registry: Registry, catalogue: Catalogue, span: Span) -> Assessment:
    """The facts of every control over the span, from one reading of the ledger."""
    targets = {
        number: cover(
            past, span, reading.polls(number), owed_from_ms=reading.owed_from_ms, known_ms=reading.known_ms
        )  # fmt: skip
        for number, past in sorted(reading.targets.items())
    }
    judged_days = {judging_id: _judged_days(reading, judging_id, span) for judging_id in reading.judgings}
    rules = {
        id: _Rule(id, specs, registry, targets, span, judged_days)
        for id, specs in sorted(registry.checks.items())
    }  # fmt: skip
    standings: list[Standing] = []
    end_ms = min(span.until_ms, reading.known_ms + 1) if span.is_period else span.until_ms
    for subject, life in reading.lives():
        rule = rules.get(subject.check)
        if rule is not None:
            life = [_clipped(reading, subject, piece, end_ms) for piece in life]
            standing = rule.take(subject, life, end_ms, whole=reading.is_whole(subject))
            if standing:
                standings.append(standing)
    checks = {id: rule.facts_of_days() for id, rule in rules.items()}
    found = sorted(
        (one for facts in checks.values() for one in facts.deviations),
        key=lambda one: (one.opened_ms, one.subject.check, one.subject.key, one.subject.target_id),
    )
    for number, one in enumerate(found, start=1):
        one.id = f"DEV-{number:04d}"
    controls = [_control(control, checks, targets, span) for control in catalogue.controls.values()]
    reached = [facts for facts in controls if facts.active]
    return Assessment(
        span, reading, targets, checks, reached, [facts for facts in controls if not facts.active], standings, found
    )


def _clipped(reading: Reading, subject: Subject, piece: Piece, end_ms: int) -> Piece:
    """A piece as far as it was observed before the end of the span."""
    if piece.first_ms >= end_ms or piece.last_ms < end_ms:
        return piece
    last_ms, last_poll = reading.last_seen(subject, piece, end_ms)
    return replace(piece, last_ms=last_ms, last_poll=last_poll)


def _judged_days(reading: Reading, judging_id: int, span: Span) -> list[Sight]:
    """Days on which a judging scope was judged: what a rule about the ledger itself can be told on."""
    times = reading.sightings[judging_id, 0].times()
    if not span.is_period:
        return [Sight.SEEN if times and times[0] < span.until_ms else Sight.NOT_PLANNED]
    days = [Sight.NOT_PLANNED] * len(span.days)
    for at_ms in times:
        if span.from_ms <= at_ms < span.until_ms:
            days[span.day_number(at_ms)] = Sight.SEEN
    for number, day in enumerate(span.days):
        between = bool(times) and times[0] < day.from_ms and day.until_ms <= reading.known_ms
        if between and days[number] is Sight.NOT_PLANNED:
            days[number] = Sight.NOTHING
    return days


class _Rule:
    """One check while its findings stream by."""

    def __init__(
        self,
        id: str,
        specs: Sequence[CheckSpec],
        registry: Registry,
        targets: Mapping[int, TargetCoverage],
        span: Span,
        judged_days: Mapping[int, list[Sight]],
    ) -> None:
        self.specs, self.registry, self.targets, self.span = specs, registry, targets, span
        self.judged_days = judged_days
        self.once = any(spec.once for spec in specs)
        derived = [registry.derived[spec.stream] for spec in specs if spec.stream in registry.derived]
        self.event = any(one.kind is Kind.EVENTS for one in derived)
        streams = {spec.stream for spec in specs} | {name for one in derived for name in one.of}
        self.ids = tuple(i for i, target in targets.items() if target.past.target.stream in streams)
        whole = any(not one.of for one in derived) and bool(targets)
        self.facts = CheckFacts(id, tuple(sorted(streams)), bool(self.ids) or whole, self.event)
        self.facts.targets = self.ids
        self.groups: dict[tuple[int, int], Tally] = {}

    def take(self, subject: Subject, life: list[Piece], end_ms: int, *, whole: bool) -> Standing | None:
        """Count a subject; where it stood at the end comes back, None when it was not there any more."""
        event = self.event and subject.target_id == 0 and not whole
        once = self.once and subject.target_id == 0
        group = self.groups.setdefault((subject.judging_id, subject.target_id), Tally(len(self.span.days)))
        statuses = set()
        for piece in life:
            group.add(piece, self.span, end_ms, once=once, event=event)
            if piece.result and self._within(piece, end_ms, event):
                statuses.add(piece.result.status)
        if not statuses:
            return None
        for one in deviations(subject, life, event=event):
            if self._counts(one, end_ms):
                self.facts.deviations.append(one)
        if whole and not self.once:  # it stands for records that nobody could name
            return self._standing(subject, life, end_ms)
        self.facts.subjects += 1
        self.facts.evaluated += bool(statuses & {Status.PASS, Status.FAIL})
        self.facts.deviating += Status.FAIL in statuses
        self.facts.applicable += statuses != {Status.NOT_APPLICABLE}
        return self._standing(subject, life, end_ms)

    def facts_of_days(self) -> CheckFacts:
        """What was counted, with the state of each day."""
        number = len(self.span.days)
        parts: list[tuple[Tally, Sequence[Sight]]] = []
        for (judging_id, target_id), tally in self.groups.items():
            ids = [target_id] if target_id else [i for i in self.ids if self.targets[i].past.judging_id == judging_id]
            parts.append((tally, self._together(ids) if ids else self.judged_days.get(judging_id, [])))
        # Targets without any subject say by themselves whether they were seen.
        parts += [(Tally(number), self.targets[i].days) for i in self.ids]
        self.facts.days = blend(parts, number)
        return self.facts

    def _together(self, ids: Sequence[int]) -> list[Sight]:
        """What was seen of several targets: a day counts as seen when any of them was."""
        total = [Sight.NOT_PLANNED] * len(self.span.days)
        for i in ids:
            for number, sight in enumerate(self.targets[i].days):
                total[number] |= sight
        return [sight & (Sight.SEEN | Sight.BRIDGED) for sight in total]

    def _within(self, piece: Piece, end_ms: int, event: bool) -> bool:
        if piece.first_ms >= end_ms:
            return False
        if event:
            return piece.first_ms >= self.span.from_ms
        if not self.span.is_period:
            return piece.next_ms is None or piece.next_ms >= end_ms
        return piece.next_ms is None or piece.next_ms > self.span.from_ms

    def _counts(self, one: Deviation, end_ms: int) -> bool:
        if one.opened_ms >= end_ms:
            return False
        if one.event:
            return one.opened_ms >= self.span.from_ms
        if not self.span.is_period:
            return one.open_at(end_ms)
        return one.closed_ms is None or one.closed_ms > self.span.from_ms

    def _standing(self, subject: Subject, life: list[Piece], end_ms: int) -> Standing | None:
        held = [piece for piece in life if piece.first_ms < end_ms]
        piece = held[-1]
        if piece.result is None:
            return None
        status, reason, by_rule = piece.result.status, piece.result.reason, False
        target = self.targets.get(subject.target_id)
        if target is not None:
            unseen = target.unseen_at(end_ms)
            if unseen is not None:
                status, reason, by_rule = Status.NOT_EVALUATED, unseen, True
        self.facts.at_end[status] += 1
        if reason is not None and status is Status.NOT_EVALUATED:
            self.facts.reasons[reason] += 1
        self.facts.inherited += piece.result.inherited and not by_rule
        return Standing(subject, piece, status, reason, by_rule)


def _control(
    control: Control, checks: Mapping[str, CheckFacts], targets: Mapping[int, TargetCoverage], span: Span
) -> ControlFacts:
    """One control from its checks."""
    taken = [(entry, checks.get(entry.id) if entry.state == "active" else None) for entry in control.checks]
    active = [facts for _, facts in taken if facts is not None and facts.configured]
    days = worst_of([facts.days for facts in active]) if active else []
    read = sorted({i for facts in active for i in facts.targets})
    owed: Counter[Coverage] = Counter()
    for i in read:
        owed += targets[i].counts
    incomplete = [said for i in read if (said := targets[i].incomplete(span))]
    found = sorted((one for facts in active for one in facts.deviations), key=lambda one: (one.opened_ms, one.id))
    return ControlFacts(
        control, taken, days, days[-1].state if days else State.OUTSIDE, found, owed, incomplete
    )  # fmt: skip
