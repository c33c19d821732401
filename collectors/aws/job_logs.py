"""Logs of jobs, searched for secrets while they stream by; only counts and hits are kept, never a line.

Off unless `collect.aws.scan_job_logs` is set: it is the one collector that reads what programs wrote.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from agent.collect import spread
from agent.model import Gap, Json, Reason, Record, SourceError, Window
from agent.registry import stream
from collectors.aws import AwsAccount, pages
from collectors.aws.client import Call
from collectors.training.normal import job_status

FIRST, LAST, NAMED = 200, 500, 5_000
"""Lines that are searched of a job's log: its first, its last, and of those with a telling word at most so many."""
WORDS = " ".join(f"?{form(word)}" for word in ("key", "token", "secret", "password") for form in (
    str, str.capitalize, str.upper))  # fmt: skip
"""Filter pattern: a line with any of these words."""

_PAGE, _PAGES = 100, 50
"""Jobs a page; pages of a log that are read at most, since a page may be empty and not the last."""
_DAYS = 31
"""How long ago a job may have ended to be searched: also how far a first poll reaches back."""
_LAG = timedelta(hours=1)
"""How much later than its job a line may show."""


@dataclass(frozen=True, slots=True)
class Jobs:
    """Jobs of one kind, and where they log."""

    noun: str
    listing: str
    group: str


_KINDS = tuple(
    Jobs(f"{kind.capitalize()}Job", f"list_{kind}_jobs", f"/aws/sagemaker/{kind.capitalize()}Jobs")
    for kind in ("training", "processing", "transform")
)


@stream(
    "aws.sagemaker.job_logs",
    kind="life",
    per="region",
    every="6h",
    after=["aws.sagemaker.training_jobs"],
    is_open=lambda facts: not facts.get("settled"),
    scanned=["/text"],
    needs={
        "ListTrainingJobs": "sagemaker:ListTrainingJobs",
        "ListProcessingJobs": "sagemaker:ListProcessingJobs",
        "ListTransformJobs": "sagemaker:ListTransformJobs",
        "FilterLogEvents": "logs:FilterLogEvents",
    },
)
def job_logs(account: AwsAccount, window: Window) -> Iterator[Record | Gap]:
    """What a search of the logs of jobs for secrets found.

    Per job its first 200 and last 500 lines and those that hold key, token, secret or password. Key: ARN
    of the job. Empty, and complete, where `collect.aws.scan_job_logs` is off. A job that ended more than
    31 days before it was first seen is not searched. Source: List* of jobs, FilterLogEvents.
    """
    if not account.scan_job_logs:
        return

    def search(job: tuple[Jobs, Mapping[str, Any]]) -> Record:
        return _searched(account, window, *job)

    yield from spread(search, _wanted(account, window))


def _wanted(account: AwsAccount, window: Window) -> Iterator[tuple[Jobs, Mapping[str, Any]]]:
    """Jobs that changed of late and were not searched yet."""
    since = _moment(window.to_ms) - timedelta(days=_DAYS)
    for jobs in _KINDS:
        for job in pages(
            account.client("sagemaker"), jobs.listing, f"{jobs.noun}Summaries", LastModifiedTimeAfter=since,
            SortBy="CreationTime", SortOrder="Ascending", MaxResults=_PAGE,
        ):  # fmt: skip
            if job[f"{jobs.noun}Arn"] in window.open_keys or job["CreationTime"] >= _moment(window.from_ms):
                yield jobs, job


def _searched(account: AwsAccount, window: Window, jobs: Jobs, job: Mapping[str, Any]) -> Record:
    """The record of a job; its log is read once it is sure to be whole."""
    status, ended = job_status(job[f"{jobs.noun}Status"]), job.get(jobs.noun.removesuffix("Job") + "EndTime")
    now = _moment(window.to_ms)
    whole = status not in ("running", "unknown") and (ended is None or ended + _LAG <= now)
    text: Json | Gap = None
    if whole:
        until = (ended or now) + _LAG
        text = _lines(account, jobs, job[f"{jobs.noun}Name"], job["CreationTime"], until)
    facts = {
        "name": job[f"{jobs.noun}Name"],
        "status": status,
        "text": text,
        "settled": whole and not isinstance(text, Gap),
    }
    return Record(job[f"{jobs.noun}Arn"], facts)


def _lines(account: AwsAccount, jobs: Jobs, name: str, since: datetime, until: datetime) -> Json | Gap:
    """The lines to search: the engine keeps none of them."""
    call: Call = account.client("logs").filter_log_events
    asked = {
        "logGroupName": jobs.group,
        "logStreamNamePrefix": f"{name}/",
        "startTime": round(since.timestamp() * 1000),
        "endTime": round(until.timestamp() * 1000),
    }
    found: dict[str, str] = {}
    try:
        for most, extra in (
            (FIRST, {"startFromHead": True}),
            (LAST, {"startFromHead": False}),
            (NAMED, {"filterPattern": WORDS}),
        ):
            for event in _events(call, most, asked | extra):
                found[event.get("eventId") or f"{event.get('timestamp')} {event.get('message')}"] = event["message"]
    except SourceError as error:
        return [] if error.gap.code == "ResourceNotFoundException" else error.gap
    return list(found.values())


def _events(call: Call, most: int, asked: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """At most so many events, over at most so many pages."""
    found: list[Mapping[str, Any]] = []
    more: dict[str, str] = {}
    for _ in range(_PAGES):
        page = call(**asked, limit=most, **more)
        if not isinstance(page.get("events"), list):
            raise SourceError(Gap(Reason.MALFORMED, call.operation, "Noevents", "logs:FilterLogEvents"))
        found += page["events"]
        if len(found) >= most or not page.get("nextToken"):
            break
        more = {"nextToken": page["nextToken"]}
    return found[:most]


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
