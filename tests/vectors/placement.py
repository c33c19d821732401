"""Where jobs run, and on whose data."""

from __future__ import annotations

from typing import Any

from tests.judging import DENIED
from tests.vectors import Vector

JOBS, TRAINING = "trainlog.training.jobs", "aws.sagemaker.training_jobs"
JOB = "arn:aws:sagemaker:eu-west-1:111111111111:training-job/a"
BUCKET = "arn:aws:s3:::data"
LIMITS = {"allowed_regions": {"restricted": ["eu-west-1"], "internal": ["us-east-1"]}}
DATASETS = "docs.registers.datasets"


def _job(*inputs: str, environment: Any = "dev") -> dict[str, Any]:
    return {"environment": environment, "inputs": [{"uri": uri} for uri in inputs]}


def _bucket(tags: Any) -> dict[str, Any]:
    return {"aws.s3.buckets": {BUCKET: {"name": "data", "tags": tags}}}


def _region(status: str, tags: Any = None, says: str = "", settings: Any = None, facts: Any = None) -> Vector:
    return Vector("region-allowed", status, facts or _job("s3://data/a"), over=TRAINING, key=JOB, says=says,
                  here=_bucket(tags or {}), settings=LIMITS if settings is None else settings)  # fmt: skip


def _raw(status: str, tags: Any = None, says: str = "", facts: Any = None, **row: Any) -> Vector:
    here = _bucket(tags or {})
    if row:
        here |= {DATASETS: {"D-1": {"uri": "s3://data/a", "contains_personal": "yes", "deidentified": "no"} | row}}
    return Vector("nonprod-no-raw-personal", status, facts or _job("s3://data/a"), over=JOBS, says=says, here=here)


_INTERNAL, _RESTRICTED = {"data_class": "internal"}, {"data_class": "Restricted"}

VECTORS = [
    _region("pass", _RESTRICTED, "restricted may be read in eu-west-1"),
    _region("pass", {}),
    _region("fail", _INTERNAL, "may not be read in eu-west-1"),
    _region("not_evaluated", settings={}, says="no allowed_regions"),
    _region("not_evaluated", {}, "unlabelled", LIMITS | {"default_data_class": ""}),
    _region("not_evaluated", DENIED),
    _region("not_applicable", {"data_class": "public"}, "no limit"),
    _region("not_applicable", facts=_job(), says="no input"),
    # ---
    _raw("pass", _INTERNAL),
    _raw("pass", _INTERNAL, deidentified="yes"),
    _raw("pass", _INTERNAL, uri="s3://data/ab"),
    _raw("pass", facts=_job()),
    _raw("fail", _RESTRICTED, "restricted data outside"),
    _raw("fail", _RESTRICTED, facts=_job("s3://elsewhere/a", "s3://data/a")),
    _raw("fail", _INTERNAL, "D-1", deidentified="no"),
    _raw("fail", _INTERNAL, "D-1", uri="s3://data/"),
    _raw("fail", _INTERNAL, "D-1", uri="s3://data/a/part-1"),
    _raw("not_evaluated", {}, "unlabelled"),
    _raw("not_evaluated", DENIED),
    _raw("not_applicable", _RESTRICTED, "in production", facts=_job("s3://data/a", environment="production")),
    _raw("not_applicable", _RESTRICTED, "no environment", facts=_job("s3://data/a", environment=None)),
]
