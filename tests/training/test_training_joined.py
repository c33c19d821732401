"""Training jobs of one source judged by what another one holds in production; over a real ledger."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.judge import findings, judge
from agent.model import Gap, Reason, Scope, Status
from agent.registry import discover
from tests.mlflow.telling import Telling, model, version

LOG = Scope("trainlog:main", "trainlog:main")
JOB = {
    "job_id": "j1",
    "name": "train",
    "created_at": "2027-01-14T08:00:00Z",
    "status": "succeeded",
    "environment": "dev",
    "network": {"private": False},
    "mlflow_run_id": "run1",
}


def in_vpc(story: Telling) -> tuple[Status, Reason | None]:
    judge(story.ledger, discover(), story.settings, story.at_ms)
    found = [one for one in findings(story.ledger, discover()) if one.check == "job-in-vpc" and one.key == "j1"]
    assert len(found) == 1
    return found[0].status, found[0].reason


@pytest.mark.parametrize(
    ("aliases", "expected"),
    [
        ({"production": "1"}, (Status.FAIL, None)),
        ({"production": "2"}, (Status.NOT_APPLICABLE, None)),
        ({}, (Status.NOT_EVALUATED, Reason.NOT_CONFIGURED)),
    ],
)
def test_a_job_that_fed_production_is_tested(
    tmp_path: Path, aliases: dict[str, str], expected: tuple[Status, Reason | None]
) -> None:
    story = Telling(tmp_path)
    story.sweep({"m": model(aliases)}, {key: version(key) for key in ("m/1", "m/2")})
    story.poll("trainlog.training.jobs", {"j1": JOB}, scope=LOG)
    assert in_vpc(story) == expected
    story.ledger.close()


def test_a_registry_that_was_not_seen_decides_nothing(tmp_path: Path) -> None:
    story = Telling(tmp_path)
    story.poll("mlflow.registry.models", Gap(Reason.DENIED, "SearchRegisteredModels", "PERMISSION_DENIED", "READ"))
    story.poll("trainlog.training.jobs", {"j1": JOB}, scope=LOG)
    assert in_vpc(story) == (Status.NOT_EVALUATED, Reason.DENIED)
    story.ledger.close()


def test_no_registry_at_all_decides_nothing(tmp_path: Path) -> None:
    story = Telling(tmp_path)
    story.poll("trainlog.training.jobs", {"j1": JOB}, scope=LOG)
    assert in_vpc(story) == (Status.NOT_EVALUATED, Reason.NOT_CONFIGURED)
    story.ledger.close()


def test_a_job_that_is_promoted_later_is_tested_from_then_on(tmp_path: Path) -> None:
    story = Telling(tmp_path)
    story.poll("trainlog.training.jobs", {"j1": JOB}, scope=LOG)
    versions = {key: version(key) for key in ("m/1", "m/2")}
    for number, status in (("2", Status.NOT_APPLICABLE), ("1", Status.FAIL), ("2", Status.FAIL)):
        story.sweep({"m": model({"production": number})}, versions)
        assert in_vpc(story)[0] is status
    story.ledger.close()


def reconciled(story: Telling) -> tuple[Status, str]:
    judge(story.ledger, discover(), story.settings, story.at_ms)
    found = [one for one in findings(story.ledger, discover()) if one.check == "job-population-reconciles"]
    assert len(found) == 1
    return found[0].status, found[0].message


@pytest.mark.parametrize(
    ("jobs", "expected"),
    [
        ({"j1": JOB}, (Status.PASS, "each production version's run belongs to a collected job")),
        (
            {"j1": JOB | {"mlflow_run_id": "run2"}},
            (Status.FAIL, "no collected job names the run behind m/1 (run run1)"),
        ),
        ({}, (Status.NOT_APPLICABLE, "no training job is collected anywhere: training is not managed")),
    ],
)
def test_the_run_behind_production_belongs_to_a_job(
    tmp_path: Path, jobs: dict[str, dict[str, object]], expected: tuple[Status, str]
) -> None:
    story = Telling(tmp_path)
    run = {"created_at": "2026-01-01T08:00:00Z", "ended_at": "2026-01-01T09:00:00Z"}
    story.sweep({"m": model({"production": "1"})}, {"m/1": version("m/1")}, **{"tracking.runs": {"run1": run}})
    story.poll("trainlog.training.jobs", jobs, scope=LOG)
    assert reconciled(story) == expected
    story.ledger.close()
