"""Checks over the newest polls of a judging scope become findings; `Unseen` becomes not_evaluated.

Pure: it reads the ledger and the rules, and gives the same answer when it is run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import structlog

from agent import __version__
from agent.canonical import canonical, digest, in_profile, parse
from agent.catalogue import load_catalogue
from agent.clock import iso
from agent.facts import Context, Facts, StreamView, Unseen
from agent.guard import attempt, place
from agent.history import History
from agent.ledger import Judged, Ledger, TargetRow
from agent.model import Finding, Gap, Kind, Poll, Reason, Record, Status, Stored, Verdict, finding_body, undecided
from agent.registry import CheckSpec, DerivedSpec, Registry
from agent.world import World

log = structlog.get_logger()

Settings = Mapping[str, Any]
_KEPT_VERDICTS = 400_000
_BATCH = 1_000
"""Records that are read and judged at once."""
_memory: dict[tuple[bytes, str, str, str, bytes], bytes] = {}
"""(rules, check, stream, key, record digest) -> finding document, of checks that asked for nothing else."""


def rules_document(registry: Registry, settings: Settings) -> bytes:
    """What binds findings to the rules that made them (ledger.md 4.1)."""
    revisions = {name: "+".join(spec.revision for spec in specs) for name, specs in registry.checks.items()}
    revisions |= {f"@{name}": spec.revision for name, spec in registry.derived.items()}
    return canonical(
        {
            "catalogue": load_catalogue().digest,
            "checks": {name: f"{__version__}:{revision}" for name, revision in sorted(revisions.items())},
            "plugins": [f"{name} {version}" for name, version in sorted(registry.plugins.items())],
            "thresholds": in_profile(dict(settings), lambda _at, _why: None),
            "v": 1,
        }
    )


def judge(
    ledger: Ledger, registry: Registry, settings: Settings, at_ms: int, judging_ids: Iterable[int] | None = None
) -> list[int]:
    """Judge scopes (None: all) by the polls there are; the indices of the judged lines come back."""
    rules = rules_document(registry, settings)
    lines = []
    for judging_id in sorted(ledger.judgings() if judging_ids is None else judging_ids):
        upto = ledger.head().size - 1
        world = World(ledger, upto, at_ms)
        found = Judging(world, registry, settings, judging_id, digest(rules)).findings()
        unseen = [row.id for row in world.targets.values() if row.judging_id == judging_id and world.unseen(row)]
        lines.append(ledger.append_judged(judging_id, at_ms, upto, rules, found, sorted(unseen)))
    return lines


class Judging:
    """One judging scope, once."""

    def __init__(self, world: World, registry: Registry, settings: Settings, judging_id: int, rules: bytes) -> None:
        self.world, self.registry, self.settings = world, registry, settings
        self.judging_id, self.rules = judging_id, rules
        self.name = world.ledger.judgings()[judging_id]
        self.found: dict[str, bytes] = {}
        self._told: dict[str, tuple[list[Facts], Gap | None]] = {}
        self._before: list[Stored] | None = None
        self._others: dict[int, Judging] = {}
        self._views: dict[tuple[str, int | None], StreamView] = {}

    def findings(self) -> dict[str, bytes]:
        """Key in the findings tree -> finding document, for all but the records of unseen targets."""
        rows = [row for row in self.world.targets.values() if row.judging_id == self.judging_id]
        configured = {row.target.stream for row in rows}
        for row in rows:
            if self.world.unseen(row) is None:
                self._over_records(row)
        for spec in self.registry.all_checks():
            if spec.once in configured:
                self._put(0, spec, self._whole(spec), self._ask(spec, None, self.world.at_ms)[0])
        for derived in self.registry.derived.values():
            if configured.intersection(derived.of) or not derived.of:
                self._over_derived(derived)
        return self.found

    def _over_records(self, row: TargetRow) -> None:
        checks = list(self.registry.checks_over(row.target.stream))
        if not checks:
            return
        poll = self.world.newest[row.id]
        stored = self.world.stored(row)
        for start in range(0, len(stored), _BATCH):
            self._over_batch(row, poll, stored[start : start + _BATCH], checks)
        broken = self.world.list_broken(row)
        if broken:
            for spec in checks:
                verdict = _unseen_verdict(broken, f"the list of {row.target.name} is not complete")
                self._put(0, spec, row.target.name, verdict)

    def _over_batch(self, row: TargetRow, poll: Poll, items: list[Stored], checks: list[CheckSpec]) -> None:
        """Judge some records of a target; what is known of an unchanged one is not asked again."""
        fresh = [item for item in items if any(self._memory_key(spec, item) not in _memory for spec in checks)]
        self.world.load([item.blob_id for item in fresh])
        for item in items:
            for spec in checks:
                key = self._memory_key(spec, item)
                known = _memory.get(key)
                if known is None:
                    facts = self.world.facts(item.blob_id, item.key, poll, row.target.scope.name)
                    verdict, asked = self._ask(spec, facts, facts.observed_ms)
                    known = self._put(row.id, spec, item.key, verdict)
                    if not asked:
                        _remember(key, known)
                else:
                    self.found[f"{row.id}/{spec.id}/{item.key}"] = known

    def _over_derived(self, derived: DerivedSpec) -> None:
        checks = list(self.registry.checks_over(derived.name))
        before = self._findings_before(checks)
        records, gap = self._tell(derived)
        if derived.kind is Kind.EVENTS:
            self.found.update(before)
        elif gap and not records:
            # Which subjects there are cannot be told now: those known so far are not gone for that.
            for key in before:
                spec = next(spec for spec in checks if key.startswith(f"0/{spec.id}/"))
                self._put(0, spec, key.split("/", 2)[2], _unseen_verdict(gap, derived.title.rstrip(".")))
        for facts in records:
            for spec in checks:
                key = self._derived_key(spec, facts.key)
                known = before.get(f"0/{spec.id}/{key}") if derived.kind is Kind.EVENTS else None
                if known is None or parse(known)["status"] == Status.NOT_EVALUATED.value:
                    self._put(0, spec, key, self._ask(spec, facts, self.world.at_ms)[0])
        if gap and (records or derived.kind is Kind.EVENTS or not before):
            for spec in checks:
                self._put(0, spec, self._whole(spec), _unseen_verdict(gap, f"{derived.title.rstrip('.')}: not told"))

    def _tell(self, derived: DerivedSpec) -> tuple[list[Facts], Gap | None]:
        """Records of a derived stream, and why they are not all there is; worked out once a judging."""
        if derived.name not in self._told:
            self._told[derived.name] = self._derive(derived)
        return self._told[derived.name]

    def _derive(self, derived: DerivedSpec) -> tuple[list[Facts], Gap | None]:
        rows = [row for stream in derived.of for row in self.world.rows(stream, self.judging_id)]
        missing = next((gap for gap in map(self.world.incomplete, rows) if gap), None)
        if missing and derived.kind is not Kind.EVENTS and missing.reason is not Reason.PARTIAL:
            return [], missing  # how things stand cannot be told from what was; what happened can
        history, context = History(self.world, self.judging_id), self._context(self.world.at_ms)
        try:
            told, error = attempt(lambda: list(derived.derive(history, context)))
        except Unseen as unseen:
            return [], unseen.gap
        if error is not None:
            log.error("derived stream crashed", stream=derived.name, error=place(error))
            return [], Gap(Reason.CRASHED, code=type(error).__name__)
        gap = next((item for item in told or () if isinstance(item, Gap)), missing)
        records = [item for item in told or () if isinstance(item, Record)]
        return [_derived_facts(record, self.name, self.world.at_ms) for record in records], gap

    def _findings_before(self, checks: list[CheckSpec]) -> dict[str, bytes]:
        """Findings of these checks about single derived records, as judged last."""
        prefixes = tuple(f"0/{spec.id}/{self._derived_key(spec, '')}" for spec in checks)
        whole = {f"0/{spec.id}/{self._whole(spec)}" for spec in checks}
        return {
            stored.key: self.world.ledger.document(stored.blob_id)
            for stored in self._stored_findings()
            if stored.key.startswith(prefixes) and stored.key not in whole
        }

    def _stored_findings(self) -> list[Stored]:
        if self._before is None:
            self._before = self.world.ledger.state(-self.judging_id, self.world.upto)
        return self._before

    def _context(self, now_ms: int) -> Context:
        def here(stream: str) -> StreamView:
            return self._view(stream, self.judging_id)

        return Context(
            now_ms, self.settings, here, lambda stream: self._view(stream, None), self._is_configured
        )  # fmt: skip

    def _is_configured(self, stream: str) -> bool:
        derived = self.registry.derived.get(stream)
        return any(self.world.rows(name, None) for name in (derived.of if derived else (stream,)))

    def _view(self, stream: str, judging_id: int | None) -> StreamView:
        """The stream as checks see it; made once, so that looking up one record of many is quick."""
        place = (stream, judging_id)
        if place not in self._views:
            self._views[place] = self._look(stream, judging_id)
        return self._views[place]

    def _look(self, stream: str, judging_id: int | None) -> StreamView:
        derived = self.registry.derived.get(stream)
        if derived is None:
            return self.world.view(stream, judging_id)
        scopes = {row.judging_id for name in derived.of for row in self.world.rows(name, judging_id)}
        if derived.of and not scopes:
            raise Unseen(Gap(Reason.NOT_CONFIGURED, code="NoSuchSource"), stream)
        told = [self._in(scope)._tell(derived) for scope in sorted(scopes) or [self.judging_id]]
        records = [facts for seen, _ in told for facts in seen]
        gap = next((gap for _, gap in told if gap), None)
        if gap and not records:
            raise Unseen(gap, stream)
        by_key: dict[str, Facts] = {}

        def find(key: str) -> Facts | None:
            if not by_key:
                by_key.update((facts.key, facts) for facts in reversed(records))
            return by_key.get(key)

        return StreamView(lambda: iter(records), gap, stream, find)

    def _in(self, judging_id: int) -> Judging:
        """The same world as another judging scope sees it."""
        if judging_id == self.judging_id:
            return self
        if judging_id not in self._others:
            self._others[judging_id] = Judging(self.world, self.registry, self.settings, judging_id, self.rules)
        return self._others[judging_id]

    def _ask(self, spec: CheckSpec, subject: Facts | None, now_ms: int) -> tuple[Verdict, bool]:
        """The check's verdict, and whether it read more than its subject."""
        context = self._context(now_ms)

        def run() -> Verdict:
            return spec.judge(subject, context) if subject is not None else spec.judge(context)

        try:
            verdict, error = attempt(run)
        except Unseen as unseen:
            return _unseen_verdict(unseen.gap, unseen.where), context.asked
        if isinstance(verdict, Verdict):
            return verdict, context.asked
        said = place(error) if error else "no verdict"
        log.error("check crashed", check=spec.id, error=said)
        return undecided(Reason.CRASHED, f"the check itself failed ({said.partition(' ')[0]})"), True

    def _whole(self, spec: CheckSpec) -> str:
        """Key of a finding about the whole scope; with the stream where a check has several."""
        several = len(self.registry.checks[spec.id]) > 1
        return f"{spec.stream}@{self.name}" if several else self.name

    def _derived_key(self, spec: CheckSpec, key: str) -> str:
        """Key of a finding about a derived record; with the stream where the check has several of one provider."""
        provider = spec.stream.partition(".")[0]
        streams = [other.stream for other in self.registry.checks[spec.id] if other.stream in self.registry.derived]
        several = sum(stream.partition(".")[0] == provider for stream in streams) > 1
        return f"{spec.stream}@{key}" if several else key

    def _put(self, target_id: int, spec: CheckSpec, key: str, verdict: Verdict) -> bytes:
        body = in_profile(finding_body(spec.id, verdict), lambda _at, _why: None)
        data = canonical(body)
        self.found[f"{target_id}/{spec.id}/{key}"] = data
        return data

    def _memory_key(self, spec: CheckSpec, item: Any) -> tuple[bytes, str, str, str, bytes]:
        return (self.rules, spec.id, spec.stream, item.key, item.digest)


def _remember(key: tuple[bytes, str, str, str, bytes], document: bytes) -> None:
    if len(_memory) >= _KEPT_VERDICTS:
        _memory.clear()
    _memory[key] = document


def _derived_facts(record: Record, scope: str, at_ms: int) -> Facts:
    kept = in_profile(record.facts, lambda _at, _why: None)
    return Facts(kept, {}, key=record.key, scope=scope, observed_ms=at_ms)


def _unseen_verdict(gap: Gap, where: str) -> Verdict:
    """not_evaluated, with the reason and, where something was refused, the permission that would free it."""
    need = gap.need if gap.reason in (Reason.DENIED, Reason.PARTIAL) else None
    by = f" by {gap.op}" if gap.op else ""
    code = f" ({gap.code})" if gap.code else ""
    what = {
        Reason.DENIED: f"refused{by}" + (f"; needs {need}" if need else code),
        Reason.NOT_CONFIGURED: f"not configured{code}",
        Reason.STALE: "not collected recently enough",
    }.get(gap.reason, f"{gap.reason.value}{by}" + (f"; needs {need}" if need else code))
    return undecided(gap.reason, f"{where or 'the record'}: {what}", need=[need] if need else [])


def findings(
    ledger: Ledger, registry: Registry, *, upto: int | None = None, at_ms: int | None = None
) -> Iterator[Finding]:
    """The findings of the newest judged line of each scope, those that follow from `unseen` included.

    `upto`: as the log stood at this index. `at_ms`: as known at this time (ms UTC): only lines judged
    by then count, and what was too old to be known at that time is not_evaluated (stale).
    """
    newest = ledger.last_judged(upto)
    if at_ms is not None and any(line.at_ms > at_ms for line in newest.values()):
        newest = {line.judging_id: line for line in ledger.judged(upto=upto) if line.at_ms <= at_ms}
    for judging_id, line in sorted(newest.items()):
        world = World(ledger, line.upto, max(line.at_ms, at_ms or 0))
        yield from _Reading(world, registry, judging_id, line).findings()


class _Reading:
    """The findings of one judged line, as a reader gets them."""

    def __init__(self, world: World, registry: Registry, judging_id: int, line: Judged) -> None:
        self.world, self.registry, self.line = world, registry, line
        self.judging_id, self.name = judging_id, world.ledger.judgings()[judging_id]
        self.rows = {row.id: row for row in world.targets.values() if row.judging_id == judging_id}
        self.gaps = {i: gap for i, row in self.rows.items() if (gap := world.unseen(row))}
        for target_id in line.unseen:
            self.gaps.setdefault(target_id, Gap(Reason.STALE))
        self.late = [row.target for i, row in self.rows.items() if i in self.gaps and i not in line.unseen]
        """Targets that became too old only after they were judged."""

    def findings(self) -> Iterator[Finding]:
        """Stored findings first, then one per check of each unseen target that has none."""
        told: set[tuple[int, str]] = set()
        stored = self.world.ledger.state(-self.judging_id, self.line.idx)
        for start in range(0, len(stored), 5_000):
            chunk = stored[start : start + 5_000]
            bodies = {i: parse(data) for i, data in self.world.ledger.documents({item.blob_id for item in chunk})}
            for item in chunk:
                number, check, key = item.key.split("/", 2)
                told.add((int(number), check))
                if int(number) == 0 or int(number) in self.rows:
                    yield self._finding(int(number), check, key, bodies[item.blob_id], item.digest)
        for target_id in self.gaps:
            row = self.rows.get(target_id)
            for spec in self.registry.checks_over(row.target.stream) if row else ():
                if row and (target_id, spec.id) not in told:
                    yield self._finding(target_id, spec.id, row.target.scope.name, {}, None)

    def _finding(self, target_id: int, check: str, key: str, body: Mapping[str, Any], at: bytes | None) -> Finding:
        row = self.rows.get(target_id)
        poll = self.world.newest.get(target_id)
        gap = self.gaps.get(target_id)
        if gap is not None and row is not None:
            verdict = _unseen_verdict(gap, row.target.name)
            body, at = finding_body(check, verdict), None
        elif row is None and (lost := self._lost(check, key)):
            body, at = finding_body(check, _unseen_verdict(Gap(Reason.STALE, code="TooOld"), lost)), None
        return Finding(
            check=check,
            key=key,
            stream=row.target.stream if row else _stream_of(self.registry, check, key, self.name),
            scope=row.target.scope.name if row else self.name,
            judging=self.name,
            status=Status(body["status"]),
            reason=Reason(body["reason"]) if body["reason"] else None,
            message=body["message"],
            facts=body["facts"],
            need=tuple(body["need"]),
            observed_ms=(poll.asof_ms or poll.start_ms) if poll else self.line.at_ms,
            evidence=(poll.idx if poll else None, self.line.idx),
            digest=at,
        )

    def _lost(self, check: str, key: str) -> str | None:
        """A target too old by now on which a finding rests that is not about one of its records.

        What happened stays as it was judged; how things stand does not outlive what it was read from.
        """
        for spec in self.registry.checks.get(check, ()) if self.late else ():
            derived = self.registry.derived.get(spec.stream)
            if derived and derived.kind is Kind.EVENTS:
                continue
            streams = derived.of if derived else (spec.once,)
            for target in self.late:
                if target.stream in streams or (derived and not derived.of and key == target.name):
                    return target.name
        return None


def _stream_of(registry: Registry, check: str, key: str, judging: str) -> str | None:
    """The stream of a finding that is not about a collected record: its key names it where the check has several."""
    specs = registry.checks.get(check, ())
    streams = [spec.stream for spec in specs]
    # without a name in its key it is about a record of a derived stream, of the provider whose scope it is
    others = [spec.stream for spec in specs if spec.over in registry.derived] or streams
    others.sort(key=lambda stream: stream.partition(".")[0] != judging.partition(":")[0])
    return next((stream for stream in streams if key.startswith(f"{stream}@")), others[0] if others else None)


def as_object(finding: Finding, registry_controls: Callable[[str], Iterable[Any]]) -> dict[str, Any]:
    """A finding as `findings --output jsonl` prints it."""
    controls = list(registry_controls(finding.check))
    return {
        "check": finding.check,
        "controls": [control.id for control in controls],
        "criteria": sorted({criterion for control in controls for criterion in control.criteria}),
        "stream": finding.stream,
        "scope": finding.scope,
        "resource": finding.key,
        "status": finding.status.value,
        "reason": finding.reason.value if finding.reason else None,
        "message": finding.message,
        "observed_at": iso(finding.observed_ms) if finding.observed_ms is not None else None,
        "evidence": list(finding.evidence),
    }
