"""What is derived from SageMaker's history: production, promotions, approvals, numbers; over a real ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.clock import iso
from agent.model import Gap, Reason, Scope, Status
from tests.mlflow.telling import START_MS, Telling
from tests.vectors.sagemaker import COMPONENTS, ENDPOINT, ENDPOINTS, ONE, PACKAGES, TWO, component, container, endpoint
from tests.vectors.sagemaker import model as sagemaker_model

SCOPE = Scope("aws:123456789012:eu-west-1", "aws:123456789012", {"account": "123456789012", "region": "eu-west-1"})
EVENTS = "aws.cloudtrail.events"
PRODUCTION, PROMOTIONS, NUMBERS, APPROVALS = (
    f"aws.sagemaker.{name}" for name in ("production", "promotions", "numbers", "approvals")
)
DENIED = Gap(Reason.DENIED, "DescribeEndpointConfig", "AccessDenied", "sagemaker:DescribeEndpointConfig")
HOUR = 3_600_000
Tell = Callable[..., Telling]


def at(hours: float) -> str:
    """A time, in hours from the first poll."""
    return iso(round(START_MS + hours * HOUR))


def package(number: int, status: str = "Approved", **given: Any) -> dict[str, Any]:
    """A version of the group, made a day before the first poll by Ada, and changed by Bob where it says so."""
    return {
        "group": "credit", "version": number, "status": "Completed", "approval_status": status, "created": at(-24),
        "modified": None, "created_by": _by("ada"), "modified_by": None, "generated_by": None, "commit": None,
        "source_uri": None, "life_cycle": None, "containers": [], "metrics": {"bias": []}, "card": None,
        "customer_metadata": {}, **given,
    }  # fmt: skip


def _by(name: str | None, principal: str | None = None) -> dict[str, Any]:
    return {"profile": name, "domain": None, "principal": principal, "source_identity": None}


def runs(arn: str, made: float = -9, **given: Any) -> dict[str, Any]:
    """An endpoint that runs a package by a model made at this hour."""
    facts = endpoint({**sagemaker_model(container(package=arn)), "created": at(made)}, created=at(-9), modified=at(-9))
    return {**facts, "config": {"name": "c", "created": at(-9), "kms_key": None}, **given}


class Serving(Telling):
    """Hourly sweeps: endpoints first, then packages, then the audit log."""

    def serve(
        self,
        endpoints: Mapping[str, Any] | Gap,
        packages: Mapping[str, Any] | Gap,
        *events: Mapping[str, Any],
        components: Mapping[str, Any] | None = None,
    ) -> None:
        """One sweep, then an hour passes."""
        self.poll(ENDPOINTS, endpoints, scope=SCOPE)
        self.poll(COMPONENTS, components or {}, scope=SCOPE)
        self.at_ms += 10_000
        self.poll(PACKAGES, packages, scope=SCOPE)
        self.poll(EVENTS, {f"e{number}-{self.at_ms}": event for number, event in enumerate(events)}, scope=SCOPE)
        self.at_ms += HOUR - 10_000


def call(name: str, hours: float, actor: str, **told: Any) -> dict[str, Any]:
    """An event of the audit log."""
    session = {"type": "AssumedRole", "arn": f"arn:aws:sts::1:assumed-role/R/{actor}", "session_name": actor}
    return {
        "name": name, "source": "sagemaker.amazonaws.com", "time": at(hours), "error": None, "service_event": False,
        "actor": {**session, "invoked_by": None, "root": False}, "request": {}, "response": {}, **told,
    }  # fmt: skip


def approve(hours: float, actor: str = "bob", status: str = "Approved", of: str = TWO, **told: Any) -> dict[str, Any]:
    """The call that sets an approval status."""
    asked = {"modelPackageArn": of, "modelApprovalStatus": status}
    return call("UpdateModelPackage", hours, actor, request=asked, **told)


@pytest.fixture
def tell(tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    made: list[Serving] = []

    def start(**settings: Any) -> Serving:
        made.append(Serving(tmp_path, **settings))
        return made[-1]

    yield start
    for telling in made:
        telling.ledger.close()


BOTH = {ONE: package(1), TWO: package(2)}


def test_what_runs_at_the_first_poll_is_in_production_and_no_promotion(tell: Callable[..., Serving]) -> None:
    story = tell()
    for _ in range(2):
        story.serve({ENDPOINT: runs(ONE)}, BOTH)
    held = story.derived(PRODUCTION)
    assert set(held) == {ONE}
    assert held[ONE]["holds_now"]
    assert held[ONE]["since"]["before_first_poll"]
    assert story.derived(PROMOTIONS) == {}


def test_an_update_is_a_promotion_between_what_was_made_for_it_and_the_poll(tell: Callable[..., Serving]) -> None:
    story = tell()
    story.serve({ENDPOINT: runs(ONE)}, BOTH)
    story.serve({ENDPOINT: runs(TWO, made=0.5, modified=at(0.75))}, BOTH)
    ((key, told),) = story.derived(PROMOTIONS).items()
    assert key.startswith(f"promotion:{TWO}:")
    assert told["interval"] == {"not_before": at(0.5), "not_after": at(0.75)}
    held = story.derived(PRODUCTION)
    assert [held[arn]["holds_now"] for arn in (ONE, TWO)] == [False, True]
    assert held[TWO]["before"] == ONE


def test_an_unchanged_time_does_not_narrow_a_change_of_label(tell: Callable[..., Serving]) -> None:
    story = tell()
    story.serve({ENDPOINT: runs(TWO, tags={"environment": "test"})}, BOTH)
    assert set(story.derived(PRODUCTION)) == {"gap"}
    story.serve({ENDPOINT: runs(TWO, tags={})}, BOTH)
    (told,) = story.derived(PROMOTIONS).values()
    assert told["interval"] == {"not_before": at(0), "not_after": iso(START_MS + HOUR + 1_000)}


def test_an_account_declared_as_another_environment_has_no_production(tell: Callable[..., Serving]) -> None:
    story = tell(environments={"aws:123456789012": "development"})
    story.serve({ENDPOINT: runs(ONE)}, BOTH)
    story.serve({ENDPOINT: runs(TWO)}, BOTH)
    assert story.derived(PROMOTIONS) == {}
    assert story.derived(PRODUCTION) == {}


def test_packages_that_another_account_runs_are_no_riddle(tell: Callable[..., Serving]) -> None:
    story = tell()
    story.serve({}, {TWO: package(2, modified=at(-1), modified_by=_by("bob"))})
    assert set(story.derived(PRODUCTION)) == {"gap"}
    there = Scope("aws:999999999999:eu-west-1", "aws:999999999999", {"account": "999999999999", "region": "eu-west-1"})
    elsewhere = ENDPOINT.replace("123456789012", "999999999999")
    story.poll(ENDPOINTS, {elsewhere: runs(TWO)}, scope=there)
    story.poll(COMPONENTS, {}, scope=there)
    story.poll(PACKAGES, {}, scope=there)
    story.poll(EVENTS, {}, scope=there)
    found = {finding.judging: finding.status for finding in story.findings("production-version-approved").values()}
    assert found == {"aws:999999999999": Status.PASS}


def test_a_component_and_an_endpoint_count_once(tell: Callable[..., Serving]) -> None:
    story = tell()
    story.serve({ENDPOINT: runs(ONE)}, BOTH)
    scorer = component({**sagemaker_model(container(package=TWO)), "created": at(-9)}, created=at(-9), modified=None)
    story.serve({ENDPOINT: runs(ONE)}, BOTH, components={"scorer": scorer})
    story.serve({ENDPOINT: runs(TWO)}, BOTH, components={"scorer": scorer})
    assert [key.rsplit(":", 1)[0] for key in story.derived(PROMOTIONS)] == [f"promotion:{TWO}"]
    assert story.derived(PRODUCTION)[TWO]["places"] == [ENDPOINT, "scorer"]


def test_what_a_poll_could_not_tell_is_no_change(tell: Callable[..., Serving]) -> None:
    story = tell()
    story.serve({ENDPOINT: runs(TWO)}, BOTH)
    story.serve({ENDPOINT: runs(TWO, variants=DENIED)}, BOTH)
    assert story.derived(PROMOTIONS)["gap"] == DENIED
    story.serve({ENDPOINT: runs(TWO)}, BOTH)
    assert story.derived(PROMOTIONS) == {}


def test_packages_that_nothing_runs_are_no_empty_population(tell: Callable[..., Serving]) -> None:
    story = tell()
    story.serve({}, BOTH)
    for check in ("promotion-has-approval", "production-version-approved", "model-card-present"):
        (finding,) = story.findings(check).values()
        assert (finding.status, finding.reason) == (Status.NOT_EVALUATED, Reason.NOT_CONFIGURED)


def test_without_endpoints_and_packages_nothing_is_judged(tell: Callable[..., Serving]) -> None:
    story = tell()
    story.serve({}, {})
    for check in ("promotion-has-approval", "deployed-version-known", "version-numbers-contiguous"):
        assert story.findings(check) == {}


def test_a_call_in_the_audit_log_is_the_approval(tell: Callable[..., Serving]) -> None:
    story = tell()
    story.serve({ENDPOINT: runs(ONE)}, {ONE: package(1), TWO: package(2, "PendingManualApproval")})
    done = {ONE: package(1), TWO: package(2, modified=at(0.9), modified_by=_by("carol"))}
    story.serve({ENDPOINT: runs(ONE)}, done, approve(0.4), approve(0.2, "eve", error="AccessDenied"))
    first, second = story.derived(APPROVALS)[TWO]["states"]
    assert (first["status"], first["by"]) == ("PendingManualApproval", None)
    assert second == {
        "status": "Approved", "by": "bob", "on": at(0.4), "ref": None, "source": "aws.cloudtrail",
        "not_before": at(0.4), "not_after": at(0.4),
    }  # fmt: skip


def test_without_the_audit_log_whoever_changed_it_last_approved_it(tell: Callable[..., Serving]) -> None:
    story = tell()
    story.serve({}, {TWO: package(2, "PendingManualApproval")})
    story.serve({}, {TWO: package(2, modified=at(0.9), modified_by=_by(None, "arn:aws:sts::1:assumed-role/R/bob"))})
    state = story.derived(APPROVALS)[TWO]["states"][-1]
    assert (state["by"], state["source"]) == ("bob", "aws.sagemaker")
    assert (state["not_before"], state["not_after"]) == (iso(START_MS + 10_000), at(0.9))


def test_an_approval_of_nobody_is_not_taken_for_none(tell: Callable[..., Serving]) -> None:
    story = tell()
    story.serve({}, {TWO: package(2, modified=at(-1), modified_by=None)})
    assert story.derived(APPROVALS)[TWO]["states"][-1]["by"] == ""


def test_what_was_made_approved_was_approved_by_its_maker(tell: Callable[..., Serving]) -> None:
    story = tell()
    job = "arn:aws:sagemaker:eu-west-1:123456789012:training-job/t"
    story.serve({}, {ONE: package(1)})
    made = call(
        "CreateModelPackage", 0.5, "ada", request={"modelApprovalStatus": "Approved"}, response={"modelPackageArn": TWO}
    )
    started = call("CreateTrainingJob", 0.1, "grace", response={"trainingJobArn": job})
    story.serve({}, {ONE: package(1), TWO: package(2, created=at(0.5), generated_by=job)}, made, started)
    told = story.derived(APPROVALS)[TWO]
    assert told["states"][-1]["by"] == "ada"
    assert [(author["principal"], author["source"]) for author in told["authors"]] == [
        ("grace", "starter of the job"), ("ada", "CreateModelPackage"), ("ada", "CreatedBy"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("approved_at", "model_made", "status", "said"),
    [
        (0.3, 0.5, Status.PASS, "approved by bob"),
        # the model that runs it was made before it was approved, and the endpoint changed after
        (0.6, 0.5, Status.NOT_EVALUATED, "order not proven, window 15 min"),
        (0.9, 0.5, Status.FAIL, "recorded after the promotion"),
        (None, 0.5, Status.FAIL, "no approval of the version"),
    ],
)
def test_approval_before_promotion(
    tell: Callable[..., Serving], approved_at: float | None, model_made: float, status: Status, said: str
) -> None:
    story = tell()
    pending = {ONE: package(1), TWO: package(2, "PendingManualApproval")}
    story.serve({ENDPOINT: runs(ONE)}, pending)
    after = runs(TWO, made=model_made, modified=at(0.75))
    calls = () if approved_at is None else (approve(approved_at),)
    story.serve({ENDPOINT: after}, pending if approved_at is None else BOTH, *calls)
    story.serve({ENDPOINT: after}, pending if approved_at is None else BOTH)
    (finding,) = story.findings("promotion-has-approval").values()
    assert finding.status is status, finding.message
    assert said in finding.message


def test_a_lost_audit_log_leaves_the_order_open(tell: Callable[..., Serving]) -> None:
    story = tell()
    story.serve({ENDPOINT: runs(ONE)}, BOTH)
    story.serve({ENDPOINT: runs(TWO)}, BOTH)
    story.poll(EVENTS, Gap(Reason.DENIED, "LookupEvents", "AccessDenied", "cloudtrail:LookupEvents"), scope=SCOPE)
    (finding,) = story.findings("promotion-has-approval").values()
    assert (finding.status, finding.reason) == (Status.NOT_EVALUATED, Reason.DENIED)
    assert finding.need == ("cloudtrail:LookupEvents",)


def test_a_deleted_version_that_ran_in_production_fails(tell: Callable[..., Serving]) -> None:
    story = tell()
    three = TWO.replace("/2", "/3")
    story.serve({ENDPOINT: runs(ONE)}, {**BOTH, three: package(3)})
    story.serve({ENDPOINT: runs(TWO)}, {TWO: package(2), three: package(3)})
    (finding,) = story.findings("version-numbers-contiguous").values()
    assert finding.status is Status.FAIL
    assert "version 1" in finding.message
    assert story.findings("previous-version-present")[TWO].status is Status.FAIL


def test_holes_of_the_first_poll_and_versions_of_nobody_are_listed(tell: Callable[..., Serving]) -> None:
    story = tell()
    four, five = (TWO.replace("/2", f"/{number}") for number in (4, 5))
    story.serve({ENDPOINT: runs(ONE)}, {ONE: package(1), four: package(4), five: package(5)})
    story.serve({ENDPOINT: runs(ONE)}, {ONE: package(1), five: package(5)})
    (finding,) = story.findings("version-numbers-contiguous").values()
    assert finding.status is Status.PASS
    assert finding.facts["before_first_observation"] == [2, 3]
    assert finding.facts["deleted"] == [4]
