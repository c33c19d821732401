"""Training jobs: SageMaker's records, what fed production, and who started what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.model import Gap, Reason
from tests.judging import DENIED
from tests.vectors import Vector

TRAINING, TRANSFORM = "aws.sagemaker.training_jobs", "aws.sagemaker.transform_jobs"
LOG, RUNS = "trainlog.training.jobs", "mlflow.tracking.runs"
STARTS, STARTERS = "aws.sagemaker.starts", "aws.sagemaker.starters"
FED, SERVED, BUCKETS = "mlflow.registry.production_runs", "aws.sagemaker.served", "aws.s3.buckets"
JOB_KEY = "arn:aws:sagemaker:eu-west-1:123456789012:training-job/nightly-1"
ADA = "arn:aws:iam::123456789012:user/ada"
ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/trainer"
REPOSITORY = "arn:aws:ecr:eu-west-1:123456789012:repository/trainer"
OWN_KEY = "arn:aws:kms:eu-west-1:123456789012:key/1"
RESTRICTED_NEEDS_KEY = {"key_standard": {"restricted": "customer", "internal": "provider"}}
NOTHING_SERVED: Mapping[str, Any] = {FED: {}, SERVED: {}}

JOB: dict[str, Any] = {
    "job_id": JOB_KEY,
    "provider": "sagemaker",
    "kind": "training",
    "name": "nightly-1",
    "group": None,
    "environment": "production",
    "created_at": "2026-12-01T00:00:00Z",
    "started_at": "2026-12-01T00:10:00Z",
    "ended_at": "2026-12-01T05:00:00Z",
    "status": "succeeded",
    "failure_reason": None,
    "image": {"uri": f"{ECR}@sha256:{'a' * 64}"},
    "algorithm_builtin": False,
    "code": {"repo": None, "commit": "c" * 40, "place": None},
    "inputs": [{"name": "train", "uri": "s3://data/2026", "manifest": False, "version_or_digest": "v1"}],
    "outputs": {"uri": "s3://out/x", "uris": ["s3://out/x"], "kms": None},
    "model_out": "s3://out/x/model.tar.gz",
    "package_out": None,
    "network": {"private": True, "isolated": True, "internode_encrypted": True, "interactive": False},
    "nodes": 2,
    "instance_types": ["ml.m5.large"],
    "volume_kms": None,
    "params": {},
    "env": {},
    "tags": {},
    "parent": None,
    "mlflow_run_id": None,
    "stopping_limit_s": 86_400,
    "log": {"group": "g", "streams": 1, "first_at": "2026-12-01T00:20:00Z", "last_at": "2026-12-01T04:59:00Z"},
}
DEV = {"environment": "dev"}


def job(check: str, status: str, says: str = "", /, over: str = TRAINING, **given: Any) -> Vector:
    """A vector about the good job with some facts changed; names of `Vector` itself go there."""
    own = {name: given.pop(name) for name in list(given) if name in ("here", "partial", "gaps", "settings", "now")}
    drop = given.pop("drop", ())
    facts = {name: value for name, value in (JOB | given).items() if name not in drop}
    return Vector(check, status, facts, over=over, key=JOB_KEY, says=says, **own)


def bucket(data_class: str | None = None, environment: str | None = None, key: str | None = None) -> dict[str, Any]:
    """Facts of a bucket with these labels and this default key."""
    tags = {"data_class": data_class, "environment": environment}
    by_default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key} if key else {"SSEAlgorithm": "AES256"}
    return {
        "name": "b",
        "tags": {name: value for name, value in tags.items() if value},
        "encryption": {"Rules": [{"ApplyServerSideEncryptionByDefault": by_default}]},
    }


def start(accounted: str, starter: Mapping[str, Any] | None = None, **given: Any) -> dict[str, Any]:
    """How a job's start was accounted for."""
    return {
        "what": "job", "kind": "training", "name": "nightly-1", "created_at": "2026-12-01T00:00:00Z", "parent": None,
        "mlflow_run_id": None, "accounted": accounted, "reach": "2026-10-01T00:00:00Z", "event": "e1",
        "starter": starter, **given,
    }  # fmt: skip


USER = {"type": "IAMUser", "arn": ADA, "session": None, "role": None, "root": False, "service": None}


def started(status: str, says: str, accounted: str = "event", known: Mapping[str, Any] | None = None) -> Vector:
    """Who started the job, as resolved."""
    starter = None if accounted in ("no", "before", "late") else USER
    here = {STARTS: {JOB_KEY: start(accounted, starter)}, STARTERS: {ADA: known} if known else {}}
    return job("job-attributable", status, says, here=here)


def reconciled(status: str, says: str, *starts: dict[str, Any], **given: Any) -> Vector:
    """Jobs and events of an account."""
    told = {f"{number}": one for number, one in enumerate(starts)}
    return Vector(
        "job-population-reconciles", status, over=TRAINING, here={STARTS: told, **given.pop("here", {})}, says=says,
        **given,
    )  # fmt: skip


def run_behind(status: str, says: str, runs: Any, linked: Mapping[str, Any] | None = None) -> Vector:
    """Run r1 of a production version, the runs of its server, and those that a job names."""
    fed = {"r1": {"versions": ["m/1"], "models": ["m"]}}
    here = {TRAINING: {"j": {}}, FED: fed, RUNS: runs, "training.jobs.runs": linked or {}}
    return Vector("job-population-reconciles", status, over=RUNS, here=here, says=says)


CLASSES = {BUCKETS: {"arn:aws:s3:::data": bucket("internal"), "arn:aws:s3:::out": bucket("internal")}}
SECRET = {"arn:aws:s3:::data": bucket("restricted"), "arn:aws:s3:::out": bucket("restricted")}
OUT_WITH_KEY = SECRET | {"arn:aws:s3:::out": bucket("restricted", key=OWN_KEY)}
FAILED = {"status": "failed", "failure_reason": "out of memory", "group": "nightly"}
SUCCESSES, LOGS = "aws.sagemaker.successes", "aws.sagemaker.job_logs"
SCANNED = {"scan_job_logs": True}


def searched(lines: int, *hits: dict[str, Any]) -> dict[str, Any]:
    """What a search of the job's log found."""
    return {LOGS: {JOB_KEY: {"text": {"lines": lines, "hits": list(hits)}}}}


VECTORS = [
    # who is tested
    job("job-in-vpc", "pass"),
    job("job-in-vpc", "fail", network=JOB["network"] | {"private": False}),
    job("job-in-vpc", "not_applicable", "inventory: environment dev", here=NOTHING_SERVED, **DEV),
    job("job-in-vpc", "not_evaluated", network=DENIED),
    job("job-in-vpc", "not_evaluated", here={FED: {}, SERVED: DENIED}, **DEV),
    job("job-in-vpc", "pass", here={SERVED: {"s3://out/x/model.tar.gz": {"by": "endpoint e"}}}, **DEV),
    job("job-in-vpc", "pass", here={FED: {"r1": {"versions": ["m/1"], "models": ["m"]}}}, mlflow_run_id="r1", **DEV),
    job("job-in-vpc", "pass", environment=None),
    job("job-in-vpc", "not_evaluated", "unlabelled", settings={"default_data_class": ""}, environment=None),
    # network
    job("job-network-isolation", "pass"),
    job("job-network-isolation", "fail", "s3://data/2026 restricted", network={"isolated": False},
        here={BUCKETS: SECRET}),
    job("job-network-isolation", "fail", "(unlabelled)", network={"isolated": False}, here={BUCKETS: {}}),
    job("job-network-isolation", "not_applicable", "internal", network={"isolated": False}, here=CLASSES),
    job("job-network-isolation", "not_evaluated", network={"isolated": False}, here={BUCKETS: DENIED}),
    job("job-network-isolation", "not_evaluated", "names no input", network={"isolated": False}, inputs=[]),
    job("job-network-isolation", "not_evaluated", network={"isolated": False}, here={BUCKETS: {}},
        settings={"default_data_class": ""}),
    job("job-internode-encryption", "pass"),
    job("job-internode-encryption", "fail", network=JOB["network"] | {"internode_encrypted": False}),
    job("job-internode-encryption", "not_applicable", "single node", nodes=1),
    job("job-internode-encryption", "not_evaluated", nodes=None),
    job("job-no-interactive-access", "pass"),
    job("job-no-interactive-access", "fail", network=JOB["network"] | {"interactive": True}),
    job("job-no-interactive-access", "not_applicable", here=NOTHING_SERVED, **DEV),
    job("job-no-interactive-access", "not_evaluated", network=DENIED),
    # keys
    job("job-volume-key", "not_applicable", "every class", here=CLASSES),
    job("job-volume-key", "not_applicable", "internal", settings=RESTRICTED_NEEDS_KEY, here=CLASSES),
    job("job-volume-key", "pass", settings=RESTRICTED_NEEDS_KEY, here={BUCKETS: SECRET}, volume_kms=OWN_KEY),
    job("job-volume-key", "fail", settings=RESTRICTED_NEEDS_KEY, here={BUCKETS: SECRET}),
    job("job-volume-key", "fail", "provider's key", settings=RESTRICTED_NEEDS_KEY, volume_kms=OWN_KEY,
        here={BUCKETS: SECRET, "aws.kms.keys": {OWN_KEY: {"manager": "AWS"}}}),
    job("job-volume-key", "fail", "alias/aws/ebs", settings=RESTRICTED_NEEDS_KEY, here={BUCKETS: SECRET},
        volume_kms="alias/aws/ebs"),
    job("job-volume-key", "not_applicable", "inherited", settings=RESTRICTED_NEEDS_KEY, here={BUCKETS: SECRET},
        instance_types=["ml.p4d.24xlarge", "ml.g5.xlarge", "ml.trn1.32xlarge"]),
    job("job-volume-key", "fail", settings=RESTRICTED_NEEDS_KEY, here={BUCKETS: SECRET},
        instance_types=["ml.g5.xlarge", "ml.p3.2xlarge"]),
    job("job-volume-key", "not_evaluated", settings=RESTRICTED_NEEDS_KEY, here={BUCKETS: DENIED}),
    job("job-output-key", "not_applicable", settings=RESTRICTED_NEEDS_KEY, here=CLASSES),
    job("job-output-key", "pass", settings=RESTRICTED_NEEDS_KEY, here={BUCKETS: OUT_WITH_KEY}),
    job("job-output-key", "pass", settings=RESTRICTED_NEEDS_KEY, here={BUCKETS: SECRET},
        outputs={"uri": "s3://out/x", "uris": ["s3://out/x"], "kms": OWN_KEY}),
    job("job-output-key", "fail", "s3://out/x", settings=RESTRICTED_NEEDS_KEY, here={BUCKETS: SECRET}),
    job("job-output-key", "not_evaluated", "not collected", settings=RESTRICTED_NEEDS_KEY,
        here={BUCKETS: {"arn:aws:s3:::data": bucket("restricted")}}),
    # image
    job("job-image-pinned", "pass"),
    job("job-image-pinned", "fail", "latest", image={"uri": f"{ECR}:latest"}),
    job("job-image-pinned", "pass", image={"uri": f"{ECR}:1.4"},
        here={"aws.ecr.repositories": {REPOSITORY: {"tag_mutability": "IMMUTABLE", "exclusions": []}}}),
    job("job-image-pinned", "fail", "be moved", image={"uri": f"{ECR}:1.4"},
        here={"aws.ecr.repositories": {REPOSITORY: {"tag_mutability": "MUTABLE", "exclusions": []}}}),
    job("job-image-pinned", "fail", image={"uri": f"{ECR}:dev-4"}, here={"aws.ecr.repositories": {REPOSITORY: {
        "tag_mutability": "IMMUTABLE_WITH_EXCLUSION", "exclusions": [{"type": "WILDCARD", "filter": "dev-*"}]}}}),
    job("job-image-pinned", "pass", image={"uri": f"{ECR}:1.4"}, here={"aws.ecr.repositories": {REPOSITORY: {
        "tag_mutability": "IMMUTABLE_WITH_EXCLUSION", "exclusions": [{"type": "WILDCARD", "filter": "dev-*"}]}}}),
    job("job-image-pinned", "not_evaluated", image={"uri": f"{ECR}:1.4"}, here={"aws.ecr.repositories": DENIED}),
    job("job-image-pinned", "not_evaluated", "not known",
        image={"uri": "763104351884.dkr.ecr.eu-west-1.amazonaws.com/p:2"},
        here={"aws.ecr.repositories": {}}),
    job("job-image-pinned", "not_applicable", "built-in", image=None, algorithm_builtin=True),
    job("job-image-trusted", "pass", settings={"trusted_registries": [ECR.partition("/")[0]]}),
    job("job-image-trusted", "fail", settings={"trusted_registries": ["ghcr.io"]}),
    job("job-image-trusted", "pass", settings={"trusted_registries": ["ghcr.io/us"]}, image={"uri": "ghcr.io/us/a:1"}),
    job("job-image-trusted", "fail", settings={"trusted_registries": ["ghcr.io/us"]}, image={"uri": "ghcr.io/usa/a:1"}),
    job("job-image-trusted", "pass", settings={"trusted_registries": ["docker.io"]}, image={"uri": "python:3"}),
    job("job-image-trusted", "not_applicable", image=None, algorithm_builtin=True),
    job("job-image-trusted", "not_evaluated", "no trusted_registries"),
    # lineage and log
    job("job-lineage", "pass"),
    job("job-lineage", "fail", "no code version", code={"commit": None}),
    job("job-lineage", "fail", "no version of its data", inputs=[{"uri": "s3://data/x", "manifest": False}]),
    job("job-lineage", "pass", inputs=[{"uri": "s3://data/m", "manifest": True, "version_or_digest": None}]),
    job("job-lineage", "pass", mlflow_run_id="r1", code={"commit": None}, inputs=[{"uri": "s3://data/x"}], here={
        RUNS: {"r1": {"code": {"commit": "d" * 40}, "inputs": [{"uri": "u", "version_or_digest": "abc"}]}}}),
    job("job-lineage", "not_evaluated", mlflow_run_id="r1", code={"commit": None}, here={RUNS: DENIED}),
    job("job-lineage", "not_applicable", here=NOTHING_SERVED, **DEV),
    job("job-log-exists", "pass"),
    job("job-log-exists", "fail", "no log", log=JOB["log"] | {"streams": 0}),
    job("job-log-exists", "fail", "no event", log=JOB["log"] | {"first_at": None}),
    job("job-log-exists", "fail", "nothing of the time", log=JOB["log"] | {
        "first_at": "2026-11-01T00:00:00Z", "last_at": "2026-11-01T01:00:00Z"}),
    job("job-log-exists", "not_applicable", "before it started", status="failed", started_at=None, log=None),
    job("job-log-exists", "not_applicable", "has not ended", status="running"),
    job("job-log-exists", "not_evaluated", log=DENIED),
    # secrets
    job("job-config-no-secrets", "pass"),
    job("job-config-no-secrets", "fail", "/env/TOKEN", secrets=[{"at": "/env/TOKEN", "pattern": "jwt", "hash": "h"}]),
    job("job-config-no-secrets", "not_evaluated", params=DENIED),
    job("job-config-no-secrets", "not_evaluated", tags=DENIED),
    job("job-log-no-secrets", "pass", "700 sampled lines", settings=SCANNED, here=searched(700)),
    job("job-log-no-secrets", "fail", "jwt (3)", settings=SCANNED,
        here=searched(700, {"pattern": "jwt", "hash": "h", "lines": 3})),
    job("job-log-no-secrets", "not_applicable", "has not ended", status="running", settings=SCANNED),
    job("job-log-no-secrets", "not_applicable", "before it started", status="failed", started_at=None),
    job("job-log-no-secrets", "not_evaluated", "collect.aws.scan_job_logs"),
    job("job-log-no-secrets", "not_evaluated", "was not searched", settings=SCANNED, here={LOGS: {}}),
    job("job-log-no-secrets", "not_evaluated", "no line", settings=SCANNED, here=searched(0)),
    job("job-log-no-secrets", "not_evaluated", settings=SCANNED, here={LOGS: {JOB_KEY: {"text": DENIED}}}),
    # end
    job("job-terminal", "pass"),
    job("job-terminal", "fail", "limit of 86400 seconds", status="running"),
    job("job-terminal", "not_applicable", **DEV),
    job("job-terminal", "not_evaluated", "unknown", status="unknown"),
    job("job-failure-followed", "not_applicable", "not failed"),
    job("job-failure-followed", "fail", "no later success", here={SUCCESSES: {}}, **FAILED),
    job("job-failure-followed", "pass", "2026-12-05", **FAILED,
        here={SUCCESSES: {"nightly": {"ended": ["2026-11-30T00:00:00Z", "2026-12-05T00:00:00Z"]}}}),
    job("job-failure-followed", "fail", "", **FAILED,
        here={SUCCESSES: {"nightly": {"ended": ["2026-11-30T00:00:00Z", "2026-12-09T00:00:00Z"]}}}),
    job("job-failure-followed", "pass", "sweep", here={SUCCESSES: {"sweep": {"ended": ["2026-12-02T00:00:00Z"]}}},
        **FAILED | {"group": None, "parent": "sweep", "failure_reason": "sweep trial"}),
    job("job-failure-followed", "pass", "acknowledged by ada", here={SUCCESSES: {}}, tags={"acknowledged_by": "ada"},
        **FAILED),
    job("job-failure-followed", "pass", "INC-1", **FAILED, here={
        SUCCESSES: {}, "docs.registers.incidents": {"1": {"id": "INC-1", "systems": "nightly-1, other"}}}),
    job("job-failure-followed", "pass", "may be followed up", here={SUCCESSES: {}},
        **FAILED | {"ended_at": "2027-01-12T00:00:00Z"}),
    job("job-failure-followed", "not_evaluated", here={SUCCESSES: DENIED}, **FAILED),
    # who started it
    started("pass", "ada", known={"is": "named", "as": ADA}),
    started("pass", "ada@example.com", known={"is": "person", "as": "ada@example.com"}),
    started("pass", "tuning job's", "parent", known={"is": "named", "as": ADA}),
    started("fail", "neither a person", known={"is": "nobody", "as": ADA}),
    started("not_evaluated", "says nothing", known={"is": "generic", "as": "session SageMaker"}),
    started("not_evaluated", "access.ml_roles", known={"is": "unregistered", "as": "session x of role"}),
    started("fail", "no successful create event", "no"),
    started("not_evaluated", "reaches to 2026-10-01", "before"),
    started("not_evaluated", "may still come", "late"),
    job("job-attributable", "not_evaluated", here={STARTS: DENIED}),
    Vector("job-attributable", "pass", {"started_by": {"principal": "ada", "assurance": "self_asserted"}}, over=LOG),
    Vector("job-attributable", "not_evaluated", {"started_by": {"principal": "root", "assurance": "self_asserted"}},
           over=RUNS, says="says nothing"),
    Vector("job-attributable", "not_evaluated", {"started_by": {"principal": None, "assurance": "x"}}, over=RUNS),
    # accounted for
    reconciled("pass", "0 jobs"),
    reconciled("pass", "1 jobs", start("event")),
    reconciled("pass", "1 jobs from before 2026-10-01", start("event"), start("before")),
    reconciled("fail", "without create event", start("no")),
    reconciled("fail", "without job gone-1", {"what": "event", "accounted": "no", "name": "gone-1", "time": "t"}),
    reconciled("pass", "1 jobs", start("event"), {"what": "event", "accounted": "late", "name": "x", "time": "t"}),
    reconciled("pass", "2 jobs", start("event"), start("parent"), {"what": "unnamed", "accounted": "no"}),
    reconciled("not_evaluated", "name no job", start("event"), {"what": "unnamed", "accounted": "no"}),
    reconciled("fail", "names run r9", start("event", mlflow_run_id="r9"), here={RUNS: {}}),
    reconciled("pass", "", start("event", mlflow_run_id="r9"), here={RUNS: {"r9": {}}}),
    Vector("job-population-reconciles", "not_evaluated", over=TRAINING, here={STARTS: DENIED}),
    Vector("job-population-reconciles", "not_evaluated", over=TRAINING, here={STARTS: {}}, partial={
        STARTS: Gap(Reason.PARTIAL)}),
    Vector("job-population-reconciles", "not_applicable", over=RUNS, here={TRAINING: {}}, says="not managed"),
    run_behind("not_evaluated", "not seen: mlflow.tracking.runs", DENIED),
    run_behind("fail", "m/1 (run r1)", {"r1": {"created_at": "2027-01-14T08:00:00Z", "ended_at": None}}),
    run_behind("not_evaluated", "m/1 (run r1)", {"r1": {"created_at": None, "ended_at": None}}),
    run_behind("not_evaluated", "m/1 (run r1)", {}),
    run_behind("not_evaluated", "not read since m/1 (run r1)", {
        "r1": {"created_at": "2027-01-15T07:45:00Z", "ended_at": None}}),
    run_behind("not_evaluated", "not read since m/1 (run r1)", {
        "r1": {"created_at": "2027-01-14T08:00:00Z", "ended_at": "2027-01-15T07:45:00Z"}}),
    run_behind("pass", "", {}, {"r1": {"job": "j"}}),
    run_behind("not_evaluated", "not seen: mlflow.tracking.runs", DENIED, {"r1": {"job": "j"}}),
    # what it reads
    job("env-no-cross-data", "not_applicable", "production"),
    job("env-no-cross-data", "not_applicable", "no environment", environment=None),
    job("env-no-cross-data", "pass", here={BUCKETS: {"arn:aws:s3:::data": bucket("internal")}}, **DEV),
    job("env-no-cross-data", "pass", here={BUCKETS: {"arn:aws:s3:::data": bucket(None, "dev")}}, **DEV),
    job("env-no-cross-data", "fail", "s3://data/2026 restricted", here={BUCKETS: SECRET}, **DEV),
    job("env-no-cross-data", "fail", "(unlabelled)", here={BUCKETS: {}}, **DEV),
    job("env-no-cross-data", "pass", **DEV, here={BUCKETS: SECRET, "docs.registers.datasets": {
        "1": {"name": "d", "uri": "s3://data", "allowed_purposes": "training; dev"}}}),
    job("env-no-cross-data", "fail", **DEV, here={BUCKETS: SECRET, "docs.registers.datasets": {
        "1": {"name": "d", "uri": "s3://dat", "allowed_purposes": "dev"}}}),
    job("env-no-cross-data", "not_evaluated", here={BUCKETS: DENIED}, **DEV),
    job("dataset-used-is-registered", "pass", here={"docs.registers.datasets": {"1": {"name": "d", "uri": "s3://data/"}}}),
    job("dataset-used-is-registered", "fail", "s3://data/2026", here={"docs.registers.datasets": {}}),
    job("dataset-used-is-registered", "fail", "for scoring", mlflow_run_id="r1", here={
        "docs.registers.datasets": {"1": {"name": "d", "uri": "s3://data", "allowed_purposes": "fraud"}},
        "docs.registers.models": {"1": {"name": "m", "purpose": "scoring"}},
        FED: {"r1": {"versions": ["m/1"], "models": ["m"]}}}),
    job("dataset-used-is-registered", "fail", "s3://data/2026", over=LOG, here={"docs.registers.datasets": {}},
        drop=("provider",)),
    job("dataset-used-is-registered", "not_evaluated"),
    job("dataset-used-is-registered", "not_applicable", "no data set", inputs=[]),
    job("dataset-used-is-registered", "not_applicable", "inventory", over=RUNS, provider="mlflow", here={FED: {}},
        mlflow_run_id="r2", drop=("package_out", "model_out")),
    # jobs without image and network of their own
    job("job-volume-key", "not_applicable", over=TRANSFORM),
    job("job-log-exists", "pass", over=TRANSFORM),
]  # fmt: skip
NEVER = {
    "job-config-no-secrets": "not_applicable: each job has settings",
    "job-attributable": "not_applicable: each job was started by somebody",
}
