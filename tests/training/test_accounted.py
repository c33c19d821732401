"""Jobs, audit events and what ran, reconciled over a real ledger."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.clock import iso
from agent.model import Gap, Reason, Status, Window
from tests.training.account import ADA, DAY_MS, EVENTS, MINUTE_MS, NOW_MS, Account, arn, created, job

PASS, FAIL, NE = Status.PASS, Status.FAIL, Status.NOT_EVALUATED
DENIED = Gap(Reason.DENIED, "LookupEvents", "AccessDenied", "cloudtrail:LookupEvents")
ROLE = "arn:aws:iam::1:role/pipeline"
SESSION = {
    "type": "AssumedRole", "arn": "arn:aws:sts::1:assumed-role/pipeline/run", "session_name": "run", "issuer_arn": ROLE,
}  # fmt: skip


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    told = Account(tmp_path)
    yield told
    told.ledger.close()


def started_by(account: Account, name: str = "a") -> tuple[Status, str]:
    found = account.findings("job-attributable")[arn(name)]
    return found.status, found.message


def test_jobs_and_their_events(account: Account) -> None:
    account.told({n: job(n) for n in "ab"}, {n: created(n) for n in "ab"})
    found = account.reconciled()
    assert (found.status, found.message) == (PASS, "2 jobs, each with its create event, and no event without job")
    assert started_by(account) == (PASS, f"started by {ADA}")


def test_both_sides_are_named(account: Account) -> None:
    account.told({"a": job("a"), "b": job("b")}, {"1": created("a"), "2": created("gone")})
    found = account.reconciled()
    assert found.status is FAIL
    day = iso(NOW_MS - DAY_MS)
    assert found.facts["orphans"] == [
        f"job b of {day} without create event", f"create event of {day} without job gone",
    ]  # fmt: skip
    assert started_by(account, "b")[0] is FAIL


def test_a_refused_call_created_nothing(account: Account) -> None:
    account.told({}, {"1": created("a", error="AccessDenied")})
    assert account.reconciled().status is PASS


@pytest.mark.parametrize(("minutes", "status"), [(29, PASS), (31, FAIL)])
def test_half_an_hour_either_way(account: Account, minutes: int, status: Status) -> None:
    account.told({"a": job("a")}, {"1": created("a", DAY_MS + minutes * MINUTE_MS)})
    assert account.reconciled().status is status


def test_names_are_compared_without_case_and_an_arn_will_do(account: Account) -> None:
    account.told(
        {"A": job("Nightly-A"), "b": job("b")},
        {"1": created("nightly-a"), "2": created("x", request={}, response={"trainingJobArn": arn("b")})},
    )
    assert account.reconciled().status is PASS


def test_what_is_older_than_the_audit_log_is_a_named_limit(account: Account) -> None:
    account.told({"a": job("a", 20 * DAY_MS), "b": job("b")}, {"1": created("b")}, since_ms=10 * DAY_MS)
    found = account.reconciled()
    assert found.status is PASS
    assert f"1 jobs from before {iso(NOW_MS - 10 * DAY_MS)}" in found.message
    assert started_by(account)[0] is NE


def test_what_is_newer_than_the_grace_is_waited_for(account: Account) -> None:
    account.told({"a": job("a", 10 * MINUTE_MS)}, {"1": created("b", 10 * MINUTE_MS)})
    assert account.reconciled().status is PASS
    status, said = started_by(account)
    assert (status, "may still come" in said) == (NE, True)


def test_children_of_a_tuning_job_are_accounted_for_by_their_parent(account: Account) -> None:
    parent = job("sweep", kind="tuning")
    child = job("sweep-1", parent=arn("sweep", "tuning"))
    told = {"1": created("sweep", event="CreateHyperParameterTuningJob")}
    account.told({"p": parent, "c": child}, told)
    assert account.reconciled().status is PASS
    assert started_by(account, "sweep-1") == (PASS, f"started by {ADA} (its tuning job's)")


def test_the_service_event_of_a_child_is_its_parents(account: Account) -> None:
    parent, child = job("sweep", kind="tuning"), job("sweep-1", parent=arn("sweep", "tuning"))
    service = {"type": "AWSService", "arn": None, "invoked_by": "sagemaker.amazonaws.com"}
    account.told(
        {"p": parent, "c": child},
        {
            "1": created("sweep", event="CreateHyperParameterTuningJob"),
            "2": created("sweep-1", service_event=True, actor=service),
        },
    )
    assert account.reconciled().facts["jobs"]["event"] == 2
    assert started_by(account, "sweep-1") == (PASS, f"started by {ADA} (its tuning job's)")


def test_events_that_name_no_job_are_not_passed_over(account: Account) -> None:
    account.told({"a": job("a")}, {"1": created("a"), "2": created("", request={}, service_event=True)})
    found = account.reconciled()
    assert (found.status, found.reason) == (NE, Reason.UNDETERMINED)


@pytest.mark.parametrize("broken", [None, DENIED])
def test_an_audit_log_that_was_not_read_decides_nothing(account: Account, broken: Gap | None) -> None:
    account.told({"a": job("a")}, DENIED if broken is None else {"1": created("a")})
    if broken:
        account.poll(EVENTS, {}, broken=broken, window=Window(NOW_MS - DAY_MS, NOW_MS), at_ms=NOW_MS + 1)
    found = account.reconciled()
    assert (found.status, found.need) == (NE, ("cloudtrail:LookupEvents",))
    assert account.findings("job-attributable")[arn("a")].status is NE


@pytest.mark.parametrize(
    ("actor", "settings", "status", "said"),
    [
        ({"root": True, "type": "Root", "arn": "arn:aws:iam::1:root"}, {}, NE, "root user"),
        (SESSION, {"deployment_identities": ["arn:aws:iam::1:role/pipe*"]}, PASS, ROLE),
        (SESSION, {"ml_roles": [ROLE]}, PASS, ROLE),
        (SESSION, {}, NE, "access.ml_roles"),
        (SESSION | {"session_name": "SageMaker"}, {}, NE, "says nothing about a person"),
        (SESSION | {"session_name": "botocore-session-1700000000"}, {}, NE, "says nothing about a person"),
        (SESSION | {"session_name": "1700000000"}, {}, NE, "says nothing about a person"),
        (SESSION | {"session_name": "ada@example.com"}, {}, PASS, "assumed-role"),
        (
            SESSION | {"session_name": "ada", "issuer_arn":
                       "arn:aws:iam::1:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_ML_1a2b"},
            {}, PASS, "assumed-role",
        ),
        ({"type": "AWSService", "arn": None, "invoked_by": "sagemaker.amazonaws.com"}, {}, NE, "for whom is not told"),
    ],
)  # fmt: skip
def test_who_started_it(
    account: Account, actor: dict[str, Any], settings: dict[str, Any], status: Status, said: str
) -> None:
    account.settings["access"] = {**account.settings["access"], **settings}
    account.told({"a": job("a")}, {"1": created("a", actor=actor)})
    found = started_by(account)
    assert found[0] is status, found
    assert said in found[1]


SERVED = {
    "arn:e": {
        "name": "e", "tags": {}, "variants": [{"models": [{"containers": [{"data_url": "s3://out/a.tar.gz"}]}]}],
    }
}  # fmt: skip
PACKAGE = {"containers": [{"data_url": "s3://out/a.tar.gz"}], "approval_status": "Approved", "life_cycle": None}


@pytest.mark.parametrize(
    ("endpoints", "packages", "environments", "status"),
    [
        (SERVED, {}, {}, FAIL),
        ({}, {"arn:p": PACKAGE}, {}, FAIL),
        ({}, {"arn:p": PACKAGE | {"approval_status": "Rejected"}}, {}, Status.NOT_APPLICABLE),
        ({}, {}, {}, Status.NOT_APPLICABLE),
        (SERVED, {}, {"aws:1": "dev"}, Status.NOT_APPLICABLE),
        ({"arn:e": SERVED["arn:e"] | {"variants": DENIED}}, {}, {}, NE),
    ],
)
def test_a_job_whose_artifact_serves_in_production_is_tested(
    account: Account, endpoints: Any, packages: Any, environments: Any, status: Status
) -> None:
    account.settings["environments"] = environments
    account.told({"a": job("a")}, {}, endpoints=endpoints, model_packages=packages, inference_components={})
    assert account.findings("job-in-vpc")[arn("a")].status is status


def test_what_once_served_stays_tested(account: Account) -> None:
    account.told({"a": job("a")}, {}, endpoints=SERVED, model_packages={}, inference_components={})
    account.poll("aws.sagemaker.endpoints", {}, at_ms=NOW_MS + 1000)
    assert account.findings("job-in-vpc")[arn("a")].status is FAIL


def test_the_accounts_environment_is_that_of_its_jobs(account: Account) -> None:
    account.told({"a": job("a", environment=None)}, {}, endpoints={}, model_packages={}, inference_components={})
    for label, status in (("dev", Status.NOT_APPLICABLE), ("production", FAIL), ("", FAIL)):
        account.settings["environments"] = {"aws:1": label} if label else {}
        assert account.findings("job-in-vpc")[arn("a")].status is status


@pytest.mark.parametrize(
    ("other", "status"),
    [
        ({"group": "nightly"}, PASS),
        ({"group": "weekly"}, FAIL),
        ({"group": "nightly", "status": "stopped"}, FAIL),
        ({"group": "nightly", "ended_at": iso(NOW_MS - 25 * DAY_MS)}, FAIL),
        ({"group": DENIED}, NE),
    ],
)
def test_a_later_success_of_the_group_follows_a_failure_up(
    account: Account, other: dict[str, Any], status: Status
) -> None:
    common = {"environment": "production", "ended_at": iso(NOW_MS - 20 * DAY_MS)}
    lost = job("a", 21 * DAY_MS, group="nightly", status="failed", failure_reason="OOM", **common)
    later = job("b", 19 * DAY_MS, **{**common, "ended_at": iso(NOW_MS - 18 * DAY_MS), **other})
    account.told({"a": lost, "b": later}, {})
    assert account.findings("job-failure-followed")[arn("a")].status is status
