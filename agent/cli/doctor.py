"""`evidenced doctor`: ask every declared operation once and name each missing permission."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.out import Output, OutputOption, console, lines

if TYPE_CHECKING:
    from rich.console import Console

    from agent.model import Gap, Scope, Source, Window
    from agent.registry import Registry, StreamSpec
    from agent.settings import Settings

EPILOG = """Examples:

evidenced doctor

evidenced doctor aws.s3 mlflow

evidenced doctor --output json

Needs no store and no configuration file: without one it asks with the environment's AWS credentials. Stores nothing.

Exit code: 0 nothing is missing, 4 every shortfall is a missing permission or login, 5 something could not be reached.
"""
SCHEMA = "evidenced.doctor/1"
RECORDS = 3
"""Resources looked at in each stream: enough to make every call once, where there is anything to ask about."""
OWN_RIGHTS = "agent-identity-read-only"
LOOK_BACK_MS = 30 * 86_400_000
"""How far back jobs and runs are looked for."""


@dataclass(slots=True)
class Asked:
    """What one stream in one scope answered."""

    stream: str
    scope: str
    operations: set[str] = field(default_factory=set)
    gaps: set[Gap] = field(default_factory=set)
    skew_ms: int = 0
    identity: str | None = None


@dataclass(slots=True)
class Visit:
    """What one source answered."""

    provider: str
    scopes: list[str] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    unreached: Gap | None = None
    detail: str = ""
    surplus: str = ""
    """What the identity may do beyond what is collected, in words; empty when that is nothing, or not known."""

    @property
    def identity(self) -> str | None:
        """Who asked."""
        return next((asked.identity for asked in self.asked if asked.identity), None)


def doctor(
    ctx: typer.Context,
    collectors: Annotated[
        list[str] | None, typer.Argument(metavar="[COLLECTOR]...", help="Only these: aws, aws.s3, mlflow …")
    ] = None,
    output: OutputOption = Output.text,
) -> None:
    """Ask every API once and name each missing permission."""
    from agent import clock
    from agent.cli import opened
    from agent.cli.collect import chosen
    from agent.errors import UsageError
    from agent.registry import discover

    settings = opened.settings(ctx)
    registry = discover()
    wanted = chosen(registry, collectors or [], [])
    if not settings.providers(registry):
        raise UsageError("no source is enabled", "add [collect.aws] or [collect.mlflow] to the configuration")
    visits = list(examine(registry, settings, wanted, clock.now_ms()))
    report = Report(registry, visits)
    if output is Output.json:
        opened.emit(report.body())
    elif output is Output.jsonl:
        lines(report.body()["sources"])
    else:
        report.show(console(ctx), new=_is_new(ctx, settings))
    raise typer.Exit(report.exit_code)


def examine(registry: Registry, settings: Settings, wanted: Any, now_ms: int) -> Iterator[Visit]:
    """Visit each configured source in turn."""
    from agent.model import SourceError
    from agent.sweep import connect

    for provider, source in connect(registry, settings).items():
        specs = [spec for spec in registry.streams.values() if spec.provider == provider and wanted(spec)]
        if not specs:
            continue
        visit = Visit(provider)
        try:
            scopes = {per: source.scopes(per) for per in {spec.per for spec in specs}}
        except SourceError as error:
            visit.unreached, visit.detail = error.gap, str(error)
            yield visit
            continue
        visit.scopes = sorted({scope.judging for some in scopes.values() for scope in some})
        todo = [(spec, scope) for spec in specs for scope in scopes[spec.per]]
        with ThreadPoolExecutor(settings.schedule.max_parallel, "doctor") as pool:
            asking = [pool.submit(ask, source, spec, scope, now_ms) for spec, scope in todo]
            visit.asked = [future.result() for future in asking]
        visit.surplus = surplus(registry, settings, source, {spec.name for spec in specs}, visit.scopes, now_ms)
        source.close()
        yield visit


def surplus(
    registry: Registry, settings: Settings, source: Source, streams: set[str], scopes: Sequence[str], now_ms: int
) -> str:
    """What the rule about the agent's own identity says of it now, in the first scope; empty when it holds."""
    from agent.live import Live
    from agent.model import Status, Verdict
    from agent.redact import Redactor

    for spec in registry.checks.get(OWN_RIGHTS, ()):
        if spec.stream in streams and scopes:
            # nothing is kept, so that any key will do
            redactor = Redactor(bytes(32), registry.kept_tags)
            live = Live(registry, source, scopes[0], redactor, settings.rule_settings(), now_ms)
            for _, verdict in live.judge(spec):
                if isinstance(verdict, Verdict) and verdict.status is Status.FAIL:
                    return verdict.message
    return ""


def ask(source: Source, spec: StreamSpec, scope: Scope, now_ms: int) -> Asked:
    """Look at the first few resources of a stream; keep what was asked and what was refused, no facts."""
    from agent.guard import attempt
    from agent.model import Gap, Kind, Reason, SourceError, Tape, Window, iter_pointers

    asked, tape = Asked(spec.name, scope.name), Tape()
    window: Window | None = None
    if spec.kind in (Kind.LIFE, Kind.EVENTS):
        window = Window(now_ms - LOOK_BACK_MS, now_ms)

    def look() -> None:
        opened = source.open(scope, spec.needs, tape)
        yields = spec.look(opened, window) if window else spec.look(opened)
        for yielded in islice(yields, RECORDS):
            if isinstance(yielded, Gap):
                asked.gaps.add(Gap(yielded.reason, yielded.op, yielded.code, yielded.need))
            elif facts := getattr(yielded, "facts", None):
                asked.gaps.update(gap for _, gap in iter_pointers(facts, Gap))

    _, error = attempt(look)
    if isinstance(error, SourceError):
        asked.gaps.add(error.gap)
    elif error is not None:
        asked.gaps.add(Gap(Reason.CRASHED, code=type(error).__name__))
    asked.operations.update(tape.operations)
    asked.operations.update(gap.op for gap in asked.gaps if gap.op is not None and gap.op in spec.needs)
    asked.skew_ms, asked.identity = tape.skew_ms, tape.identity
    return asked


def _is_new(ctx: typer.Context, settings: Settings) -> bool:
    from agent.cli.opened import database_file
    from agent.cli.out import options
    from agent.config import find

    store = database_file(settings)
    return find(options(ctx).config) is None and store is not None and not store.exists()


class Report:
    """What doctor says, for people and for programs."""

    def __init__(self, registry: Registry, visits: Sequence[Visit]) -> None:
        self.registry, self.visits = registry, visits

    @property
    def exit_code(self) -> int:
        """0 nothing is missing, 4 only permissions and logins are, 5 otherwise."""
        from agent.model import Reason

        gaps = [gap for visit in self.visits for asked in visit.asked for gap in asked.gaps if _missing(gap)]
        gaps += [visit.unreached for visit in self.visits if visit.unreached]
        if not gaps:
            return 0
        return 4 if all(gap.reason is Reason.DENIED for gap in gaps) else 5

    def body(self) -> dict[str, Any]:
        """The contract `evidenced.doctor/1`."""
        return {
            "schema": SCHEMA,
            "sources": [self._source(visit) for visit in self.visits],
            "warnings": list(self._warnings()),
            "exit_code": self.exit_code,
        }

    def _source(self, visit: Visit) -> dict[str, Any]:
        return {
            "provider": visit.provider,
            "identity": visit.identity,
            "scopes": visit.scopes,
            "unreached": {**visit.unreached.body, "detail": visit.detail} if visit.unreached else None,
            "clock_offset_ms": self._skew(visit),
            "collectors": [self._collector(visit, service) for service in self._services(visit)],
        }

    def _services(self, visit: Visit) -> list[str]:
        return sorted({self.registry.streams[asked.stream].service for asked in visit.asked})

    def _collector(self, visit: Visit, service: str) -> dict[str, Any]:
        asked = [one for one in visit.asked if self.registry.streams[one.stream].service == service]
        streams = {one.stream for one in asked}
        declared = {op for stream in streams for op in self.registry.streams[stream].needs}
        gaps: dict[Gap, list[Asked]] = defaultdict(list)
        for one in asked:
            for gap in one.gaps:
                gaps[gap].append(one)
        missing = sorted((gap for gap in gaps if _missing(gap)), key=str)
        refused = {gap.op for gap in missing}
        made = {op for one in asked for op in one.operations} & declared
        return {
            "collector": service,
            "operations": len(declared),
            "answered": len(made - refused),
            "not_asked": sorted(declared - made - refused),
            "scopes": len({one.scope for one in asked}),
            "missing": [
                {**gap.body, "scopes": sorted({one.scope for one in gaps[gap]}), "checks": self._checks(gaps[gap])}
                for gap in missing
            ],
        }

    def _checks(self, asked: Sequence[Asked]) -> list[str]:
        """The checks that read these streams, directly or through a derived one."""
        streams = {one.stream for one in asked}
        streams |= {name for name, derived in self.registry.derived.items() if streams.intersection(derived.of)}
        return sorted({spec.id for spec in self.registry.all_checks() if spec.stream in streams})

    def _skew(self, visit: Visit) -> int | None:
        skews = sorted(asked.skew_ms for asked in visit.asked if asked.operations)
        return skews[len(skews) // 2] if skews else None

    def _warnings(self) -> Iterator[str]:
        for visit in self.visits:
            identity = visit.identity or ""
            if identity.startswith("arn:") and ":user/" in identity:
                yield f"{visit.provider}: a long-lived key of {identity}; a role or a sign-on session is better. Works."
            if identity.startswith("arn:") and identity.endswith(":root"):
                yield f"{visit.provider}: the account's root user; a reader should be a role that can only read."
            if visit.surplus:
                yield f"{visit.provider}: too much? {visit.surplus}. A reader should only read: `evidenced permissions`"
            if abs(self._skew(visit) or 0) > 2_000:
                yield f"{visit.provider}: this clock is off by {(self._skew(visit) or 0) / 1000:+.1f} s"

    def show(self, out: Console, *, new: bool) -> None:
        """Print it."""
        body = self.body()
        for source in body["sources"]:
            self._show_source(out, source)
        for source in body["sources"]:
            if source["clock_offset_ms"] is not None:
                out.print(f"clock       offset {source['clock_offset_ms'] / 1000:+.2f} s against {source['provider']}")
        for warning in body["warnings"]:
            out.print(f"warn        {warning}")
        if new:
            out.print("no store and no configuration yet: evidenced init")
        kinds = Counter(
            "permission" if gap["need"] else "call"
            for source in body["sources"]
            for collector in source["collectors"]
            for gap in collector["missing"]
        )
        unreached = sum(1 for source in body["sources"] if source["unreached"])
        said = [f"{kinds['permission']} permissions missing", f"{len(body['warnings'])} warnings"]
        said += [f"{kinds['call']} calls failed"] if kinds["call"] else []
        said += [f"{unreached} sources not reached"] if unreached else []
        out.print(f"\n{', '.join(said)}.{'':10}exit {self.exit_code}")

    def _show_source(self, out: Console, source: dict[str, Any]) -> None:
        if source["unreached"]:
            out.print(f"{source['provider']} could not be reached: {source['unreached']['detail']}")
            return
        who = f" as {source['identity']}" if source["identity"] else ""
        out.print(f"{', '.join(source['scopes'])}{who}")
        for collector in source["collectors"]:
            scopes = f", {collector['scopes']} scopes" if collector["scopes"] > 1 else ""
            state = "ok    " if not collector["missing"] else "lacks "
            count = f"{collector['answered']} of {collector['operations']} operations answered{scopes}"
            out.print(f"  {collector['collector']:<16} {state} {count}")
            if collector["not_asked"]:
                out.print(f"{'':19}nothing to ask about: {', '.join(collector['not_asked'])}")
            for gap in collector["missing"]:
                self._show_gap(out, gap)

    def _show_gap(self, out: Console, gap: dict[str, Any]) -> None:
        where = gap["scopes"][0] if len(gap["scopes"]) == 1 else f"{len(gap['scopes'])} scopes"
        need = f"needs {gap['need']}  " if gap["need"] else ""
        operation = f"operation {gap['op']}: " if gap["op"] else ""
        out.print(f"{'':19}{need}({operation}{gap['code'] or gap['reason']}, {where})")
        if gap["checks"]:
            out.print(f"{'':19}read by {', '.join(gap['checks'])}")
        out.print(f"{'':19}until then those findings are not_evaluated ({gap['reason']}), never pass")


def _missing(gap: Gap) -> bool:
    """Whether somebody has to act: a thing that does not exist there, or cannot be told, is no shortfall."""
    from agent.model import Reason

    return gap.reason not in (Reason.UNSUPPORTED, Reason.NOT_CONFIGURED)
