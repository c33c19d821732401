"""Every job accounted for: job listings, audit events and runs reconciled, and who started what.

Jobs and *successful* create events are matched both ways by region, kind, name and time (30 minutes either
way). Children of a tuning job that have no event of their own are accounted for by their parent's. What
was created before the audit log reaches, or so late that the other side may not show it yet, is told
apart and is no orphan.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.clock import iso, parse_iso
from agent.facts import Context, Facts
from agent.history import History
from agent.model import Poll, PollStatus, Reason, Record, Verdict, failed, inapplicable, passed, undecided
from agent.registry import check, derived
from checks.training.population import JOBS, PROCESSING, RUNS, TRAINING, TRANSFORM, TUNING

EVENTS = "aws.cloudtrail.events"
STARTS = "aws.sagemaker.starts"
LINKED = "training.jobs.runs"
GRACE_MS = 30 * 60_000
_RUN_LAG_MS = 6 * 3_600_000
"""How much later than its job a run may show: as long as jobs are not polled again."""
_NAMED = 20
"""Orphans that a finding names; the rest is counted."""

STREAMS = {"training": TRAINING, "processing": PROCESSING, "transform": TRANSFORM, "tuning": TUNING}
_CREATING = {
    "CreateTrainingJob": ("training", "trainingJob"),
    "CreateProcessingJob": ("processing", "processingJob"),
    "CreateTransformJob": ("transform", "transformJob"),
    "CreateHyperParameterTuningJob": ("tuning", "hyperParameterTuningJob"),
}
"""Event -> kind of the job it creates, and what its members begin with."""

Place = tuple[str, str, str]
"""Scope, kind and case-folded name of a job: where a job and its event meet."""


@dataclass(frozen=True, slots=True)
class _Job:
    """What is needed of a job: of fifty thousand the whole records would fill the memory."""

    key: str
    place: Place
    name: str
    created_at: str
    parent: str | None
    run_id: str | None

    @property
    def created(self) -> int:
        return parse_iso(self.created_at)


@dataclass(frozen=True, slots=True)
class _Event:
    """What is needed of a create event."""

    key: str
    scope: str
    time: str
    service: bool
    starter: Mapping[str, Any]


Events = Mapping[Place, Sequence[_Event]]


@derived(STARTS, kind="state", of=(*STREAMS.values(), EVENTS))
def starts(history: History, ctx: Context) -> Iterator[Record]:
    """Jobs with the audit event that started each, and create events without a job.

    `accounted` of a job: `event`, `parent`, `before` (the audit log does not reach so far back), `late` (its
    event may still come) or `no`. Of an event: `late` or `no`; others are not told. `unnamed` events name no job.
    """
    del ctx
    spans = _spans(history)
    events = _events(history)
    jobs = {job.place: job for stream in STREAMS.values() for job in map(_job, history.now(stream))}
    parents = {job.key: job for job in jobs.values() if job.place[1] == "tuning"}
    for job in jobs.values():
        yield Record(job.key, _told(job, parents, events, spans))
    for place, listed in sorted(events.items()):
        for event in listed:
            if place not in jobs:
                yield Record(f"event:{event.key}", _orphan(event, place, spans))


def _job(job: Facts) -> _Job:
    place = (job.scope, job["kind"], job["name"].casefold())
    return _Job(job.key, place, job["name"], job["created_at"], job["parent"], job.seen("mlflow_run_id", None))


def _told(job: _Job, parents: Mapping[str, _Job], events: Events, spans: _Spans) -> dict[str, Any]:
    """What is known of the start of a job."""
    own, by_parent = _near(events.get(job.place, ()), job.created), None
    parent = parents.get(job.parent or "")
    if parent and (own is None or own.service):
        by_parent = _near(events.get(parent.place, ()), parent.created)
    since, until = spans.of(EVENTS, job.place[0])
    accounted = "event" if own else "parent" if by_parent else "no"
    if accounted == "no" and job.created < since + GRACE_MS:
        accounted = "before"
    elif accounted == "no" and job.created > until - GRACE_MS:
        accounted = "late"
    event = by_parent or own
    return {
        "what": "job",
        "kind": job.place[1],
        "name": job.name,
        "created_at": job.created_at,
        "parent": job.parent,
        "mlflow_run_id": job.run_id,
        "accounted": accounted,
        "reach": iso(since),
        "event": event.key if event else None,
        "starter": event.starter if event else None,
    }


def _orphan(event: _Event, place: Place, spans: _Spans) -> dict[str, Any]:
    """A create event that no job answers to."""
    _, until = spans.of(STREAMS[place[1]], event.scope)
    return {
        "what": "event" if place[2] else "unnamed",
        "kind": place[1],
        "name": place[2] or None,
        "time": event.time,
        "service_event": event.service,
        "accounted": "late" if parse_iso(event.time) > until - GRACE_MS else "no",
    }


def _events(history: History) -> Events:
    """Successful create events, oldest first, by the job that each names; without a name under "" of its kind."""
    found: dict[Place, list[_Event]] = defaultdict(list)
    history.now(EVENTS).one("")  # `Unseen` unless all of them were seen: none is concluded to be missing otherwise
    for event in history.kept(EVENTS, _creates):
        kind, noun = _CREATING[event["name"]]
        service = bool(event["service_event"]) or event["actor"]["type"] == "AWSService"
        told = _Event(event.key, event.scope, event["time"], service, _starter(event["actor"]))
        found[event.scope, kind, _name(event, noun)].append(told)
    for listed in found.values():
        listed.sort(key=lambda event: event.time)
    return found


def _creates(event: Mapping[str, Any]) -> bool:
    """Whether an event created a job: calls that were refused did not."""
    called = event.get("name") in _CREATING and event.get("source") == "sagemaker.amazonaws.com"
    return called and event.get("error") is None


def _name(event: Facts, noun: str) -> str:
    """Name of the job that an event created, case-folded, or ""."""
    request, response = event.plain("request"), event.plain("response")
    arns = [response.get(f"{noun}Arn"), *(resource["name"] for resource in event.list("resources"))]
    named = (arn.rpartition("-job/")[2] for arn in arns if arn and "-job/" in arn)
    return str(request.get(f"{noun}Name") or next(named, "")).casefold()


def _near(events: Sequence[_Event], created: int) -> _Event | None:
    """The event nearest in time to a job's creation, within the grace."""
    near = min(events, key=lambda event: abs(parse_iso(event.time) - created), default=None)
    return near if near and abs(parse_iso(near.time) - created) <= GRACE_MS else None


def _starter(actor: Facts) -> dict[str, Any]:
    return {
        "type": actor["type"],
        "arn": actor["arn"],
        "session": actor["session_name"],
        "role": actor["issuer_arn"],
        "root": actor["root"],
        "service": actor["invoked_by"],
    }


class _Spans:
    """Since when and until when each stream was read without a hole, by stream and scope; ms UTC."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[int, int]] = {}

    def add(self, stream: str, scope: str, polls: Sequence[Poll]) -> None:
        """Note the joined windows of the complete polls of one target."""
        since, until = 0, -1
        for poll in polls:
            if poll.status is PollStatus.COMPLETE and poll.from_ms is not None and poll.to_ms is not None:
                since = poll.from_ms if poll.from_ms > until else since
                until = poll.to_ms
        self._known[stream, scope] = since, until

    def of(self, stream: str, scope: str) -> tuple[int, int]:
        """Begin and end of what was read; an end in the past for what never was."""
        return self._known.get((stream, scope), (0, -1))


def _spans(history: History) -> _Spans:
    spans = _Spans()
    for row, polls, _ in history.targets():
        if row.target.stream in (*STREAMS.values(), EVENTS):
            spans.add(row.target.stream, row.target.scope.name, polls)
    return spans


@derived(LINKED, kind="state", of=(TRAINING, PROCESSING, JOBS))
def linked_runs(history: History, ctx: Context) -> Iterator[Record]:
    """Runs that a job names as its own, by run id."""
    found: dict[str, str] = {}
    for stream in (TRAINING, PROCESSING, JOBS):
        # of the three those are asked that are collected in this scope
        if any(row.target.stream == stream for row, _, _ in history.targets()):
            for job in history.now(stream):
                if run_id := job.get("mlflow_run_id"):
                    found.setdefault(run_id, job.key)
    for run_id, job_key in sorted(found.items()):
        yield Record(run_id, {"job": job_key})


@check("job-population-reconciles", once=TRAINING)
def sagemaker_reconciles(ctx: Context) -> Verdict:
    """The jobs of SageMaker and the successful create events are the same, both ways.

    And each run that a job names was collected. Source: List/Describe of jobs, CloudTrail's create events,
    runs of the tracking servers. Jobs created before the audit log reaches are a named limit.
    """
    counts: Counter[str] = Counter()
    orphans: list[str] = []
    runs: list[tuple[str, str, str]] = []
    reach: set[str] = set()
    for start in ctx.here(STARTS):
        what, accounted = start["what"], start["accounted"]
        counts[f"{what} {accounted}"] += 1
        if what == "job":
            if accounted == "before":
                reach.add(start["reach"])
            if start["mlflow_run_id"]:
                runs.append((start["mlflow_run_id"], start.key, start["created_at"]))
        if accounted == "no" and what == "job":
            orphans.append(f"job {start['name']} of {start['created_at']} without create event")
        elif accounted == "no" and what == "event":
            orphans.append(f"create event of {start['time']} without job {start['name']}")
    orphans += _runs_not_seen(runs, ctx)
    facts: dict[str, Any] = {"jobs": _jobs_counted(counts), "orphans": orphans[:_NAMED], "orphans_count": len(orphans)}
    if orphans:
        more = f" and {len(orphans) - _NAMED} more" if len(orphans) > _NAMED else ""
        return failed("; ".join(orphans[:_NAMED]) + more, **facts)
    unnamed = counts["unnamed no"] - counts["job parent"]
    if unnamed > 0:
        return undecided(Reason.UNDETERMINED, f"{unnamed} create events name no job", **facts)
    matched = counts["job event"] + counts["job parent"]
    said = f"{matched} jobs, each with its create event, and no event without job"
    if reach:
        said += f"; {counts['job before']} jobs from before {max(reach)} lie outside the audit log's reach"
    return passed(said, **facts)


@check("job-population-reconciles", once=RUNS)
def runs_reconcile(ctx: Context) -> Verdict:
    """The run behind each production version belongs to a collected job.

    Where training is managed: some job is collected.
    Source: versions that hold or held production, `mlflow_run_id` of the jobs of every source.
    """
    streams = [stream for stream in (TRAINING, PROCESSING, JOBS) if ctx.configured(stream)]
    first = [next(iter(ctx.everywhere(stream)), None) for stream in streams]
    read = [job.observed_ms for job in first if job is not None]
    if not read:
        return inapplicable("no training job is collected anywhere: training is not managed")
    runs = ctx.here(RUNS)
    lacking: list[str] = []
    late: list[str] = []
    for run in ctx.here("mlflow.registry.production_runs"):
        if ctx.everywhere(LINKED).one(run.key) is None:
            told = runs.one(run.key)
            since = (told["ended_at"] or told["created_at"]) if told else None
            # a run that is not collected, or gives no time, does not say when its job would have shown
            new = since is None or parse_iso(since) + GRACE_MS > min(read)
            (late if new else lacking).append(f"{', '.join(run['versions'])} (run {run.key})")
    facts: dict[str, Any] = {"lacking": lacking[:_NAMED], "lacking_count": len(lacking)}
    if lacking:
        return failed(f"no collected job names the run behind {'; '.join(lacking[:_NAMED])}", **facts)
    if late:
        return undecided(Reason.UNDETERMINED, f"jobs were not read since {'; '.join(late[:_NAMED])}", **facts)
    return passed("each production version's run belongs to a collected job", **facts)


def _runs_not_seen(runs: Sequence[tuple[str, str, str]], ctx: Context) -> Iterator[str]:
    """Jobs that name a run which no tracking server shows, except those too new to be shown."""
    if not runs or not ctx.configured(RUNS):
        return
    servers = ctx.everywhere(RUNS)
    for run_id, job, created in runs:
        if parse_iso(created) <= ctx.now - _RUN_LAG_MS and servers.one(run_id) is None:
            yield f"job {job.rpartition('/')[2]} names run {run_id}, which no tracking server shows"


def _jobs_counted(counts: Counter[str]) -> dict[str, int]:
    return {accounted: counts[f"job {accounted}"] for accounted in ("event", "parent", "before", "late", "no")}
