"""`tables/*.csv` with `schema.json`: the same facts as the report, one row each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from agent.assess import Assessment, Standing, days_text, owed_slots
from agent.canonical import parse
from agent.catalogue import Catalogue
from agent.clock import iso
from agent.export.csvfile import Column, Table
from agent.export.ledger_part import LedgerPart
from agent.export.pages import Gap, severity_of
from agent.export.tree import Tree
from agent.export.wording import LIMIT_DAYS, closing_text, facts_of, overdue
from agent.model import PollStatus, Status
from agent.schedule import Coverage

Row = Sequence[object]
_BATCH = 1_000

_ID = Column("control", "id of the control in the catalogue; none is adopted yet")
_CHECK = Column("check", "id of the rule")
_STREAM = Column("stream", "what is observed", null="a rule about several streams or derived records")
_SCOPE = Column("scope", "part of the source, or the judging scope")
_SUBJECT = Column("subject", "the provider's own id of the resource, or the judging scope")


def _time(name: str, meaning: str, null: str = "never empty") -> Column:
    return Column(name, meaning, "time", null=null)


def _count(name: str, meaning: str, unit: str | None = None, null: str = "never empty") -> Column:
    return Column(name, meaning, "integer", unit, null)


CONTROLS = Table("controls", "Controls with at least one automated check in scope, and their facts.", (
    _ID, Column("title", "the catalogue's title"), Column("statement", "the catalogue's wording"),
    Column("mode", "observed: no control has been adopted yet"), Column("severity", "critical, high, medium, low"),
    Column("owner", "a role"), Column("checks_active", "its rules that were evaluated"),
    Column("checks_other", "its rules that are not built or have no source", null="none"),
    Column("state_at_end", "state of the last day, or of the moment"), Column("facts", "the facts as printed"),
    _count("deviations", "in the span"), _count("open", "at its end"), _count("slots_owed", "planned collections"),
    _count("slots_covered", "observed"), _count("slots_bridged", "not observed, same records on both sides"),
    _count("slots_failed", "tried, none complete"), _count("slots_missed", "not tried"),
))  # fmt: skip
CRITERIA_MAP = Table("criteria_map", "Which control serves which criterion.", (
    Column("criterion", "public id of the trust services criterion"), Column("title", "our own short title"),
    _ID, Column("role", "carries, or supports beside others"),
))  # fmt: skip
RESULTS = Table("results", "Every finding as it stood at the end of the span.", (
    _CHECK, _STREAM, _SCOPE, _SUBJECT, Column("status", "pass, fail, not_applicable, not_evaluated"),
    Column("reason", "why it was not evaluated", null="it was"), Column("message", "what the rule said"),
    _time("observed_at", "when the judged record was observed"),
    _count("poll", "ledger index of the poll", null="the finding is about a whole judging scope"),
    _count("judged", "ledger index of the judged line"),
    Column("finding", "SHA-256 of the finding document", "digest", null="follows from `unseen`: nothing is stored"),
))  # fmt: skip
DAILY = Table("results_daily", "The state of each control on each day: never better than its worst slot.", (
    _ID, Column("day", "in the period's time zone", "day"), Column("state", "worst state of the day"),
    Column("also", "what else was true of the day", null="nothing"), _count("met", "findings that passed"),
    _count("not_met", "findings that failed"), _count("not_evaluated", "findings that could not be judged"),
))  # fmt: skip
INTERVALS = Table("intervals", "Stretches of one status of one finding; confirmed again by each later poll.", (
    _CHECK, _SCOPE, _SUBJECT, Column("status", "pass, fail, not_applicable, not_evaluated"),
    Column("reason", "why it was not evaluated", null="it was"), _time("first", "first observation"),
    _time("last", "last observation"), _time("next", "first observation of what came after", "still so"),
    _count("judged", "ledger index of the judged line that began it"),
    Column("finding", "SHA-256 of the finding document", "digest"),
))  # fmt: skip
DEVIATIONS = Table("deviations", "Intervals in which a rule failed for a subject, with both bounds.", (
    Column("id", "number in this bundle"), _CHECK, Column("controls", "controls that take the rule"),
    Column("severity", "worst of these"), _SCOPE, _SUBJECT, Column("message", "what the rule said when it opened"),
    _time("last_good_at", "last pass before", "failed when first seen"),
    _time("opened_at", "first failing observation"), _time("last_fail_at", "last failing observation"),
    _time("closed_at", "first pass after, or proved removal", "open"),
    Column("closed_by", "what closed it, as far as the span goes"),
    _count("shortest", "last_fail_at - opened_at", "ms"),
    _count("longest", "closed_at - last_good_at", "ms", "unknown: failed when first seen"),
    _count("to_remediate", "closed_at - opened_at, to the end of the span for open ones", "ms"),
    _count("limit", "time to remediate by severity", "days"), Column("overdue", "yes or no"),
    _count("flaps", "opened again within seven days"), Column("event", "yes: something that happened, not a state"),
    _count("poll", "ledger index of the poll that opened it", null="about a whole judging scope"),
    _count("judged", "ledger index of the judged line"), Column("finding", "SHA-256 of the finding", "digest"),
))  # fmt: skip
GAPS = Table("gaps", "Runs of slots that no poll covers, target by target.", (
    Column("gap", "number in the report"), _STREAM, _SCOPE, _time("from", "start of the first slot"),
    _time("until", "end of the last slot"), _count("slots", "in the run"), Column("length", "for people"),
    Column("bridged", "yes: the records are the same on both sides"), Column("reason", "on record"),
    Column("beyond_longest_gap", "yes: longer than max(6 h, 3 x interval)"),
))  # fmt: skip
SLOTS = Table("slots", "Every owed slot and what came of it.", (
    _STREAM, _SCOPE, _time("slot", "its start"), _time("until", "its end"),
    Column("coverage", "covered, bridged, failed, missed"),
    _count("poll", "ledger index of the poll that covers it, or tried last", null="nobody tried"),
    Column("why", "reason of a failed slot", null="it did not fail"), Column("backfilled", "yes: read later"),
))  # fmt: skip
SOURCES = Table("sources", "Every stream in every scope: what was asked, how often, how completely.", (
    _STREAM, _SCOPE, Column("judging_scope", "account, server or similar"), Column("kind", "state, life, events"),
    _count("every", "interval", "s"), Column("collector", "and version"), _count("polls", "in the span"),
    _count("complete", "every page read, every listed resource described"), _count("partial", "something missing"),
    _count("failed", "nothing usable"), _count("calls", "to the source"), _count("pages", "read"),
    _count("rows", "records in the newest poll"), _count("skew", "largest clock difference", "ms"),
    Column("first_request_id", "the provider's own, of the first poll", null="the source gives none"),
))  # fmt: skip
INHERITED = Table("inherited", "What the provider does for everyone: never counted as met.", (
    _CHECK, _SCOPE, _SUBJECT, Column("message", "what is inherited"),
))  # fmt: skip


class Tables:
    """Writes the tables of one bundle."""

    def __init__(
        self, tree: Tree, assessment: Assessment, catalogue: Catalogue, part: LedgerPart, gaps: Sequence[Gap],
        reasons: Mapping[tuple[int, int], str],
    ) -> None:  # fmt: skip
        self.tree, self.assessment, self.catalogue, self.part = tree, assessment, catalogue, part
        self.gaps, self.reasons = gaps, reasons
        self.written: dict[str, int] = {}
        self._schema: list[Table] = []

    def write(self) -> dict[str, int]:
        """All tables and their schema; the number of rows of each comes back."""
        for table, rows in (
            (CONTROLS, self._controls()), (CRITERIA_MAP, self._criteria()), (RESULTS, self._results()),
            (INTERVALS, self._intervals()), (DEVIATIONS, self._deviations()), (SOURCES, self._sources()),
            (INHERITED, self._inherited()),
        ):  # fmt: skip
            self._write(table, rows)
        if self.assessment.span.is_period:
            for table, rows in ((DAILY, self._daily()), (GAPS, self._gaps()), (SLOTS, self._slots())):
                self._write(table, rows)
        schema = {
            table.name: {"meaning": table.meaning, "columns": [column.described for column in table.columns]}
            for table in self._schema
        }
        self.tree.write("tables/schema.json", json.dumps(schema, indent=1, sort_keys=True) + "\n")
        return self.written

    def _write(self, table: Table, rows: Iterable[Row]) -> None:
        self._schema.append(table)
        number = -1
        for number, line in enumerate(table.lines(rows)):  # noqa: B007 - the last number is wanted
            self.tree.write(f"tables/{table.name}.csv", line)
        self.written[table.name] = number

    def _controls(self) -> Iterator[Row]:
        span = self.assessment.span
        for facts in self.assessment.controls:
            control, active = facts.control, {one.id for one in facts.active}
            other = [entry.id for entry, _ in facts.checks if entry.id not in active]
            yield (
                control.id, control.title, control.statement, "observed", control.severity, control.owner,
                " ".join(sorted(active)), " ".join(other) or None, facts.state.value,
                "; ".join(fact.text for fact in facts_of(facts, span)), len(facts.deviations),
                sum(1 for one in facts.deviations if one.open_at(span.until_ms)), sum(facts.owed.values()),
                *(facts.owed[coverage] for coverage in Coverage),
            )  # fmt: skip

    def _criteria(self) -> Iterator[Row]:
        for criterion in self.catalogue.criteria.values():
            for facts in self.assessment.controls:
                if criterion.id in facts.control.criteria:
                    yield criterion.id, criterion.title, facts.control.id, "carries"
                elif criterion.id in facts.control.supporting:
                    yield criterion.id, criterion.title, facts.control.id, "supports"

    def standings(self) -> Iterator[tuple[Standing, Mapping[str, Any]]]:
        """Each finding at the end with its document, read in batches."""
        waiting = iter(self.assessment.standings)
        while batch := list(islice(waiting, _BATCH)):
            numbers = {one.piece.blob_id for one in batch if one.piece.blob_id is not None}
            bodies = {i: parse(data) for i, data in self.assessment.reading.ledger.documents(numbers)}
            for one in batch:
                yield one, bodies.get(one.piece.blob_id or -1, {"message": ""})

    def _results(self) -> Iterator[Row]:
        for one, body in self.standings():
            subject, piece = one.subject, one.piece
            target = self.assessment.targets.get(subject.target_id)
            message = f"not seen at the end: {one.reason.value}" if one.by_rule and one.reason else body["message"]
            yield (
                subject.check, target.past.target.stream if target else None,
                self._scope(subject.judging_id, subject.target_id), subject.key, one.status.value,
                one.reason.value if one.reason else None, message, iso(piece.last_ms), piece.last_poll, piece.judged,
                None if one.by_rule else self._digest(piece.blob_id),
            )  # fmt: skip

    def _digest(self, blob_id: int | None) -> str | None:
        return None if blob_id is None else self.assessment.reading.digests[blob_id].hex()

    def _scope(self, judging_id: int, target_id: int) -> str:
        target = self.assessment.targets.get(target_id)
        return target.past.target.scope.name if target else self.assessment.reading.judgings[judging_id]

    def _daily(self) -> Iterator[Row]:
        for facts in self.assessment.controls:
            for day, state in zip(self.assessment.span.days, facts.days, strict=True):
                also = ", ".join(one.value for one in state.also) or None
                yield facts.control.id, day.date, state.state.value, also, state.met, state.not_met, state.open

    def _intervals(self) -> Iterator[Row]:
        span, reading = self.assessment.span, self.assessment.reading
        for subject, life in reading.lives():
            for piece in life:
                over = piece.next_ms is not None and piece.next_ms <= span.from_ms
                if piece.result is None or piece.blob_id is None or over or piece.first_ms >= span.until_ms:
                    continue
                reason, last_ms = piece.result.reason, reading.last_seen(subject, piece, span.until_ms)[0]
                yield (
                    subject.check, self._scope(subject.judging_id, subject.target_id), subject.key,
                    piece.result.status.value, reason.value if reason else None, iso(piece.first_ms),
                    iso(last_ms), _iso(piece.next_ms), piece.judged, self._digest(piece.blob_id),
                )  # fmt: skip

    def _deviations(self) -> Iterator[Row]:
        span, reading = self.assessment.span, self.assessment.reading
        waiting = iter(self.assessment.deviations)
        while batch := list(islice(waiting, _BATCH)):
            bodies = {i: parse(data) for i, data in reading.ledger.documents({one.blob_id for one in batch})}
            for one in batch:
                severity = severity_of(self.catalogue, one.subject.check)
                shortest, longest = one.bounds_ms(span.until_ms)
                controls = " ".join(control.id for control in self.catalogue.controls_of(one.subject.check))
                yield (
                    one.id, one.subject.check, controls, severity,
                    self._scope(one.subject.judging_id, one.subject.target_id), one.subject.key,
                    bodies[one.blob_id]["message"], _iso(one.last_good_ms), iso(one.opened_ms), iso(one.last_fail_ms),
                    _iso(one.closed_ms), closing_text(one, span), shortest, longest, one.remediation_ms(span.until_ms),
                    LIMIT_DAYS[severity], _yes(overdue(one, severity, span)), one.flaps, _yes(one.event),
                    one.opened_poll, one.opened_judged, self._digest(one.blob_id),
                )  # fmt: skip

    def _gaps(self) -> Iterator[Row]:
        for gap in self.gaps:
            for target in self.assessment.targets.values():
                if target.past.target.name not in gap.targets:
                    continue
                for run in target.runs:
                    reason = self.reasons.get((target.past.id, run.from_ms), "")
                    inside = gap.from_ms <= run.from_ms and run.to_ms <= gap.to_ms
                    if inside and run.bridged == gap.bridged and reason == gap.reason:
                        yield (
                            gap.id, target.past.target.stream, target.past.target.scope.name, iso(run.from_ms),
                            iso(run.to_ms), run.slots, days_text(run.length_ms), _yes(run.bridged), reason,
                            _yes(run in target.gaps),
                        )  # fmt: skip

    def _slots(self) -> Iterator[Row]:
        reading, span = self.assessment.reading, self.assessment.span
        for number, target in self.assessment.targets.items():
            where = (target.past.target.stream, target.past.target.scope.name)
            for slot in owed_slots(
                target.past, span, reading.polls(number), owed_from_ms=reading.owed_from_ms, known_ms=reading.known_ms
            ):
                yield (
                    *where, iso(slot.start_ms), iso(slot.end_ms), slot.coverage.value, slot.poll,
                    slot.why.value if slot.why else None, _yes(slot.backfilled),
                )  # fmt: skip

    def _sources(self) -> Iterator[Row]:
        for number, target in self.assessment.targets.items():
            wanted, receipts = target.past.target, self.part.receipts.get(number)
            yield (
                wanted.stream, wanted.scope.name, wanted.scope.judging, wanted.kind.value, wanted.every_s,
                wanted.collector, sum(target.polls.values()), *(target.polls[status] for status in PollStatus),
                *((receipts.calls, receipts.pages, receipts.rows_last, receipts.skew_ms, receipts.first_request)
                  if receipts else (0, 0, 0, 0, None)),
            )  # fmt: skip

    def _inherited(self) -> Iterator[Row]:
        for one, body in self.standings():
            if one.piece.result and one.piece.result.inherited and one.status is Status.NOT_APPLICABLE:
                where = self._scope(one.subject.judging_id, one.subject.target_id)
                yield one.subject.check, where, one.subject.key, body["message"]


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _iso(ms: int | None) -> str | None:
    return None if ms is None else iso(ms)
