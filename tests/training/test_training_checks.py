"""Each check of training jobs on a job that passes, ones that fail, and what was not seen."""

from __future__ import annotations

from typing import Any

import pytest

from agent.model import Gap, Reason, Status
from checks.training.population import JOBS, RUNS
from tests.judging import DENIED, NO_SOURCE, NOW_MS, judge

PASS, FAIL, NA, NE = Status.PASS, Status.FAIL, Status.NOT_APPLICABLE, Status.NOT_EVALUATED
PRODUCTION = "mlflow.registry.production_runs"
DIGEST = "@sha256:" + "a" * 64
TESTED_ONLY = ["job-in-vpc", "job-image-pinned", "job-image-trusted"]
DAY_MS = 86_400_000

JOB = {
    "job_id": "j1",
    "name": "train",
    "created_at": "2027-01-14T08:00:00Z",
    "started_at": "2027-01-14T08:05:00Z",
    "status": "succeeded",
    "environment": "production",
    "network": {"private": True},
    "encryption": {"volume": True},
    "image": {"uri": "ghcr.io/example/train" + DIGEST},
    "params": {},
    "mlflow_run_id": "r1",
}
SETTINGS = {
    "trusted_registries": ["ghcr.io"],
    "job_production": {"groups": ["nightly"], "environments": ["production"]},
}
HELD = {PRODUCTION: {"r1": {"versions": ["fraud/1"], "models": ["fraud"]}}}


def asked(check: str, over: str = JOBS, *, drop: tuple[str, ...] = (), here: Any = None, **given: Any) -> Any:
    """The verdict about a job, given as what differs from the good one."""
    settings = {name: given.pop(name) for name in list(given) if name in (*SETTINGS, "default_data_class")}
    job = {name: value for name, value in (JOB | given).items() if name not in drop}
    return judge(check, job, over=over, everywhere=here or HELD, **(SETTINGS | settings))


@pytest.mark.parametrize("check", [*TESTED_ONLY, "job-volume-key", "job-config-no-secrets", "job-terminal"])
def test_a_job_with_everything_passes(check: str) -> None:
    assert asked(check).status is PASS


@pytest.mark.parametrize(
    ("check", "given", "status", "said"),
    [
        ("job-in-vpc", {"network": {"private": False}}, FAIL, "did not run"),
        ("job-in-vpc", {"network": None}, FAIL, "names no network"),
        ("job-in-vpc", {"network": {}}, NE, "private"),
        ("job-volume-key", {"encryption": {"volume": False}}, FAIL, "not encrypted"),
        ("job-volume-key", {"encryption": None}, FAIL, "names no encryption"),
        ("job-volume-key", {"encryption": None, "volume_kms": "key/1"}, PASS, "key/1"),
        ("job-volume-key", {"environment": "dev", "mlflow_run_id": None, "encryption": {"volume": False}}, FAIL, "not"),
        ("job-image-pinned", {"image": {"uri": "ghcr.io/x/train:latest"}}, FAIL, "latest"),
        ("job-image-pinned", {"image": {"uri": "localhost:5000/x/train"}}, FAIL, "no tag"),
        ("job-image-pinned", {"image": {"uri": "ghcr.io/x/train:1.4"}}, NE, "whether its repository"),
        ("job-image-pinned", {"image": None}, FAIL, "no image"),
        ("job-image-pinned", {"image": {"uri": "x:latest"}, "algorithm_builtin": True}, NA, "built-in"),
        ("job-image-trusted", {"image": {"uri": "ubuntu:22.04"}}, FAIL, "docker.io"),
        ("job-image-trusted", {"image": {"uri": "evil.example.com/x" + DIGEST}}, FAIL, "evil.example.com"),
        ("job-image-trusted", {"image": {"uri": "ghcr.io.evil.example.com/x"}}, FAIL, "ghcr.io.evil"),
        ("job-image-trusted", {"trusted_registries": []}, NE, "no trusted_registries"),
        ("job-image-trusted", {"algorithm_builtin": True, "image": None}, NA, "built-in"),
        ("job-config-no-secrets", {"secrets": [{"at": "/env/X", "pattern": "jwt", "hash": "h"}]}, FAIL, "/env/X (jwt)"),
        ("job-config-no-secrets", {"environment": "dev", "mlflow_run_id": None}, PASS, "no text"),
    ],
)
def test_jobs(check: str, given: dict[str, Any], status: Status, said: str) -> None:
    verdict = asked(check, **given)
    assert verdict.status is status, verdict
    assert said in verdict.message


@pytest.mark.parametrize("check", TESTED_ONLY)
@pytest.mark.parametrize(
    ("given", "tested"),
    [
        ({"environment": "Production"}, True),
        ({"environment": "dev", "mlflow_run_id": "other"}, False),
        ({"environment": "dev", "mlflow_run_id": None}, False),
        ({"environment": "dev"}, True),
        ({"environment": None, "group": "nightly"}, True),
        ({"environment": None, "group": "experiments", "mlflow_run_id": None}, False),
        ({"environment": None, "group": "experiments"}, True),
        ({"environment": "dev", "group": "nightly"}, True),
        ({"environment": None, "group": None, "mlflow_run_id": None}, True),
    ],
)
def test_who_is_tested(check: str, given: dict[str, Any], tested: bool) -> None:
    verdict = asked(check, **given)
    assert verdict.status is (PASS if tested else NA), verdict
    assert tested or verdict.message.startswith("inventory:")


@pytest.mark.parametrize("check", TESTED_ONLY)
def test_without_any_label_and_without_a_strictest_class(check: str) -> None:
    verdict = asked(check, environment=None, group=None, mlflow_run_id=None, default_data_class="")
    assert (verdict.status, verdict.reason) == (NE, Reason.NOT_CONFIGURED)


@pytest.mark.parametrize("check", TESTED_ONLY)
@pytest.mark.parametrize("hidden", [DENIED, NO_SOURCE, Gap(Reason.STALE)])
def test_whether_a_job_fed_production_is_not_known(check: str, hidden: Gap) -> None:
    verdict = asked(check, here={PRODUCTION: hidden}, environment="dev")
    assert (verdict.status, verdict.reason) == (NE, hidden.reason)


@pytest.mark.parametrize(
    ("check", "hidden"),
    [
        ("job-in-vpc", {"network": DENIED}),
        ("job-in-vpc", {"environment": DENIED}),
        ("job-volume-key", {"encryption": DENIED}),
        ("job-image-pinned", {"image": DENIED}),
        ("job-image-trusted", {"image": {"uri": DENIED}}),
        ("job-config-no-secrets", {"params": {"a": DENIED}}),
        ("job-config-no-secrets", {"env": DENIED}),
        ("job-terminal", {"status": DENIED}),
    ],
)
def test_parts_of_a_job_that_were_not_seen(check: str, hidden: dict[str, Any]) -> None:
    verdict = asked(check, **hidden)
    assert (verdict.status, verdict.reason) == (NE, Reason.DENIED)


@pytest.mark.parametrize(
    ("check", "missing"), [("job-in-vpc", "network"), ("job-volume-key", "encryption"), ("job-image-pinned", "image")]
)
def test_parts_that_the_log_does_not_have(check: str, missing: str) -> None:
    assert asked(check, drop=(missing,)).reason is Reason.UNSUPPORTED


def test_dropped_tag_values_hide_no_secret_and_are_no_gap() -> None:
    gap = Gap(Reason.NOT_CONFIGURED, code="ValueNotKept")
    assert (
        judge("job-config-no-secrets", {"params": {}, "tags": {}}, over=RUNS, gaps={"/tags/note": gap}).status is PASS
    )


@pytest.mark.parametrize("over", [JOBS, RUNS])
@pytest.mark.parametrize(
    ("given", "status", "said"),
    [
        ({"status": "failed"}, PASS, "failed"),
        ({"status": "running", "started_at": "2027-01-14T08:05:00Z"}, PASS, "may run until 2027-01-19T08:05:00Z"),
        ({"status": "running", "started_at": "2027-01-09T08:05:00Z"}, FAIL, "limit of 5 days"),
        ({"status": "running", "started_at": None, "created_at": "2027-01-01T00:00:00Z"}, FAIL, "2027-01-01"),
        ({"status": "running", "started_at": "2027-01-14T08:05:00Z", "stopping_limit_days": 0.5}, FAIL, "0.5 days"),
        ({"status": "unknown"}, NE, "unknown"),
        ({"status": "running", "environment": "dev"}, NA, "inventory"),
        ({"status": "running", "environment": None}, NA, "inventory"),
        (
            {"status": "running", "environment": None, "group": "nightly", "started_at": "2027-01-01T00:00:00Z"},
            FAIL,
            "still",
        ),
    ],
)
def test_ends(over: str, given: dict[str, Any], status: Status, said: str) -> None:
    assert NOW_MS == 1_800_000_000_000
    verdict = asked("job-terminal", over, **given)
    assert verdict.status is status, verdict
    assert said in verdict.message
