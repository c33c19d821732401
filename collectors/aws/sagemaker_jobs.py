"""Jobs of SageMaker: training, processing, batch transform and tuning, with their tags and logs.

A poll lists what was created since the window's start and describes that and what is not settled:
of 50,000 jobs known it asks for the ten new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from agent.collect import spread
from agent.model import Gap, Json, Reason, Record, SourceError, Window
from agent.registry import stream
from collectors.aws import AwsAccount, job_forms, pages, whole
from collectors.aws.client import Client
from collectors.aws.iam import tag_map

_PAGE = 100
_GONE = frozenset({"ResourceNotFound", "ResourceNotFoundException", "ValidationException"})
"""Codes of a well-formed request about a job that is no longer there."""
_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000
LOG_LAG_MS = _HOUR_MS
"""Events of a log, and their first and last time, may show this much after a job has ended."""
FOLLOWED_MS = 8 * _DAY_MS
"""A job that failed is read again for so long: whoever follows it up tags it later."""
_NEEDS = {"ListTags": "sagemaker:ListTags"}
_LOGS = {"DescribeLogStreams": "logs:DescribeLogStreams"}


@dataclass(frozen=True, slots=True)
class Jobs:
    """How jobs of one kind are asked for."""

    kind: str
    listing: str
    summaries: str
    describing: str
    noun: str
    """What their members begin with: TrainingJob."""
    form: Callable[[Mapping[str, Any], job_forms.Tags], dict[str, Any]]
    log_group: str | None = None


_TRAINING = Jobs(
    "training", "list_training_jobs", "TrainingJobSummaries", "describe_training_job", "TrainingJob",
    job_forms.training, "/aws/sagemaker/TrainingJobs",
)  # fmt: skip
_PROCESSING = Jobs(
    "processing", "list_processing_jobs", "ProcessingJobSummaries", "describe_processing_job", "ProcessingJob",
    job_forms.processing, "/aws/sagemaker/ProcessingJobs",
)  # fmt: skip
_TRANSFORM = Jobs(
    "transform", "list_transform_jobs", "TransformJobSummaries", "describe_transform_job", "TransformJob",
    job_forms.transform, "/aws/sagemaker/TransformJobs",
)  # fmt: skip
_TUNING = Jobs(
    "tuning", "list_hyper_parameter_tuning_jobs", "HyperParameterTuningJobSummaries",
    "describe_hyper_parameter_tuning_job", "HyperParameterTuningJob", job_forms.tuning,
)  # fmt: skip


def _is_open(facts: Mapping[str, Any]) -> bool:
    return not facts.get("settled")


@stream(
    "aws.sagemaker.training_jobs", kind="life", per="region", every="6h", is_open=_is_open,
    tags=["/env", "/tags"],
    needs=_NEEDS | _LOGS | {"ListTrainingJobs": "sagemaker:ListTrainingJobs",
                            "DescribeTrainingJob": "sagemaker:DescribeTrainingJob"},
)  # fmt: skip
def training_jobs(account: AwsAccount, window: Window) -> Iterator[Record | Gap]:
    """Training jobs, those of tuning jobs included, each with its parent."""
    return _jobs(account, window, _TRAINING)


@stream(
    "aws.sagemaker.processing_jobs", kind="life", per="region", every="6h", is_open=_is_open,
    tags=["/env", "/tags"],
    needs=_NEEDS | _LOGS | {"ListProcessingJobs": "sagemaker:ListProcessingJobs",
                            "DescribeProcessingJob": "sagemaker:DescribeProcessingJob"},
)  # fmt: skip
def processing_jobs(account: AwsAccount, window: Window) -> Iterator[Record | Gap]:
    """Processing jobs: preparation of data, evaluation, monitoring."""
    return _jobs(account, window, _PROCESSING)


@stream(
    "aws.sagemaker.transform_jobs", kind="life", per="region", every="6h", is_open=_is_open,
    tags=["/env", "/tags"],
    needs=_NEEDS | _LOGS | {"ListTransformJobs": "sagemaker:ListTransformJobs",
                            "DescribeTransformJob": "sagemaker:DescribeTransformJob"},
)  # fmt: skip
def transform_jobs(account: AwsAccount, window: Window) -> Iterator[Record | Gap]:
    """Batch transform jobs: predictions made in bulk by a model."""
    return _jobs(account, window, _TRANSFORM)


@stream(
    "aws.sagemaker.tuning_jobs", kind="life", per="region", every="6h", is_open=_is_open,
    tags=["/env", "/tags"],
    needs=_NEEDS | {"ListHyperParameterTuningJobs": "sagemaker:ListHyperParameterTuningJobs",
                    "DescribeHyperParameterTuningJob": "sagemaker:DescribeHyperParameterTuningJob"},
)  # fmt: skip
def tuning_jobs(account: AwsAccount, window: Window) -> Iterator[Record | Gap]:
    """Hyperparameter tuning jobs: parents of training jobs."""
    return _jobs(account, window, _TUNING)


def _jobs(account: AwsAccount, window: Window, jobs: Jobs) -> Iterator[Record | Gap]:
    sagemaker = account.client("sagemaker")

    def describe(job: tuple[str, str]) -> Record | Gap | None:
        return _described(account, window, jobs, *job)

    yield from (found for found in spread(describe, _wanted(sagemaker, window, jobs)) if found is not None)


def _wanted(sagemaker: Client, window: Window, jobs: Jobs) -> Iterator[tuple[str, str]]:
    """ARN and name of the jobs created since the window began, then of those known that are not settled."""
    seen = set()
    for arn, name in _listed(sagemaker, jobs, window, "CreationTimeAfter"):
        if arn not in seen:
            seen.add(arn)
            yield arn, name
    waiting = window.open_keys - seen
    if waiting:
        # an ARN may hold the name in small letters: of what changed the listing knows the name itself
        names = dict(_listed(sagemaker, jobs, window, "LastModifiedTimeAfter"))
        yield from ((arn, names.get(arn) or arn.rpartition("/")[2]) for arn in sorted(waiting))


def _listed(sagemaker: Client, jobs: Jobs, window: Window, since: str) -> Iterator[tuple[str, str]]:
    # oldest first: what is created while pages are read comes at the end
    for summary in pages(
        sagemaker,
        jobs.listing,
        jobs.summaries,
        SortBy="CreationTime",
        SortOrder="Ascending",
        MaxResults=_PAGE,
        **{since: datetime.fromtimestamp(window.from_ms / 1000, UTC)},
    ):
        yield summary[f"{jobs.noun}Arn"], summary[f"{jobs.noun}Name"]


def _described(account: AwsAccount, window: Window, jobs: Jobs, arn: str, name: str) -> Record | Gap | None:
    """The job as it is now; nothing of one that is gone, so that what was last known of it stays."""
    sagemaker = account.client("sagemaker")
    describe = getattr(sagemaker, jobs.describing)
    try:
        told = describe(**{f"{jobs.noun}Name": name})
    except SourceError as error:
        gap = error.gap
        return None if gap.code in _GONE else Gap(gap.reason, gap.op, gap.code, gap.need, key=arn)
    lacking = [part for part in (f"{jobs.noun}Arn", f"{jobs.noun}Status", "CreationTime") if not told.get(part)]
    if lacking:
        return Gap(Reason.MALFORMED, describe.operation, f"No{lacking[0]}", key=arn)
    tags = whole(sagemaker, "list_tags", "Tags", ResourceArn=arn)
    if isinstance(tags, Gap) and tags.code in _GONE:
        return None
    facts = _facts(account, jobs, told, tags if isinstance(tags, Gap) else tag_map(tags))
    if facts["status"] == "unknown" and facts["status_said"] == "Deleting" and arn in window.open_keys:
        return None
    facts["log"] = _log(account, jobs, facts)
    facts["settled"] = _settled(facts, window.to_ms)
    return Record(arn, facts)


def _facts(account: AwsAccount, jobs: Jobs, told: Mapping[str, Any], tags: job_forms.Tags) -> dict[str, Any]:
    facts = {
        "job_id": told[f"{jobs.noun}Arn"],
        "scope": f"aws:{account.id}:{account.region}",
        "kind": jobs.kind,
        "name": told[f"{jobs.noun}Name"],
        **job_forms.shared(told, tags),
        **jobs.form(told, tags),
    }
    # values of `env` are searched for secrets and then dropped, as those of a tag map
    return {**facts, "env_names": sorted(facts["env"])}


def _log(account: AwsAccount, jobs: Jobs, facts: Mapping[str, Any]) -> Json | Gap:
    """How many log streams a job that has ended wrote, and the times of the first and last event."""
    if jobs.log_group is None or facts["status"] in ("running", "unknown"):
        return None
    found = whole(
        account.client("logs"), "describe_log_streams", "logStreams", absent="ResourceNotFoundException",
        logGroupName=jobs.log_group, logStreamNamePrefix=f"{facts['name']}/",
    )  # fmt: skip
    if isinstance(found, Gap):
        return found
    firsts = [one["firstEventTimestamp"] for one in found if one.get("firstEventTimestamp")]
    lasts = [one["lastEventTimestamp"] for one in found if one.get("lastEventTimestamp")]
    return {
        "group": jobs.log_group,
        "streams": len(found),
        "first_at": datetime.fromtimestamp(min(firsts) / 1000, UTC) if firsts else None,
        "last_at": datetime.fromtimestamp(max(lasts) / 1000, UTC) if lasts else None,
    }


def _settled(facts: Mapping[str, Any], now_ms: int) -> bool:
    """Whether nothing of the job can change any more, so that later polls leave it alone."""
    if facts["status"] in ("running", "unknown") or any(isinstance(facts[part], Gap) for part in ("tags", "log")):
        return False
    ended = facts["ended_at"]
    if ended is None:
        return True
    waits = FOLLOWED_MS if facts["status"] != "succeeded" else LOG_LAG_MS
    return bool(now_ms > ended.timestamp() * 1000 + waits)
