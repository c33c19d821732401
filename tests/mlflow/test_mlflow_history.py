"""What is derived from the registry's history: production, promotions, version numbers; over a real ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.clock import iso
from agent.model import Gap, Reason, Status
from tests.mlflow.telling import START_MS, Telling, model, version

PRODUCTION, PROMOTIONS, NUMBERS = (f"mlflow.registry.{name}" for name in ("production", "promotions", "numbers"))
DENIED = Gap(Reason.DENIED, "SearchModelVersions", "PERMISSION_DENIED", "READ on registered models")
Tell = Callable[..., Telling]


@pytest.fixture
def tell(tmp_path: Path) -> Iterator[Tell]:
    made: list[Telling] = []

    def start(**settings: Any) -> Telling:
        made.append(Telling(tmp_path, **settings))
        return made[-1]

    yield start
    for telling in made:
        telling.ledger.close()


def versions(*keys: str, **given: dict[str, Any]) -> dict[str, Any]:
    return {key: version(key, **given.get(key.replace("/", ""), {})) for key in keys}


def test_what_held_production_at_the_first_poll_is_no_promotion(tell: Tell) -> None:
    story = tell()
    story.sweep({"m": model({"production": "1"})}, versions("m/1"))
    story.sweep({"m": model({"production": "1"})}, versions("m/1"))
    held = story.derived(PRODUCTION)["m/1"]
    assert held["holds_now"]
    assert held["how"] == ["alias:production"]
    assert held["since"]["before_first_poll"]
    assert held["run_id"] == "run1"
    assert story.derived(PROMOTIONS) == {}


def test_a_moved_alias_is_a_promotion_between_two_polls(tell: Tell) -> None:
    story = tell()
    story.sweep({"m": model({"champion": "1"})}, versions("m/1", "m/2"))
    story.sweep({"m": model({"champion": "1"})}, versions("m/1", "m/2"))
    story.sweep({"m": model({"champion": "2"})}, versions("m/1", "m/2"))
    ((key, promotion),) = story.derived(PROMOTIONS).items()
    assert key.startswith("promotion:m:2:")
    assert promotion["how"] == "alias:champion"
    assert promotion["interval"] == {"not_before": iso(START_MS + 900_000), "not_after": iso(START_MS + 1_801_000)}
    held = story.derived(PRODUCTION)
    assert {name: one["holds_now"] for name, one in held.items()} == {"m/1": False, "m/2": True}
    story.sweep({"m": model({"champion": "2"})}, versions("m/1", "m/2"))
    assert list(story.derived(PROMOTIONS)) == [key], "the same key at every later judging"


def test_going_back_is_a_promotion_again(tell: Tell) -> None:
    story = tell()
    for number in ("1", "2", "1"):
        story.sweep({"m": model({"production": number})}, versions("m/1", "m/2"))
    assert [key.rsplit(":", 1)[0] for key in story.derived(PROMOTIONS)] == ["promotion:m:2", "promotion:m:1"]


def test_two_means_at_once_count_once(tell: Tell) -> None:
    story = tell()
    story.sweep({"m": model()}, versions("m/1"))
    story.sweep({"m": model({"production": "1", "champion": "1"})}, versions("m/1", m1={"current_stage": "Production"}))
    assert len(story.derived(PROMOTIONS)) == 1
    assert story.derived(PRODUCTION)["m/1"]["how"] == ["alias:champion", "alias:production", "stage:Production"]


@pytest.mark.parametrize(
    ("rules", "before", "after"),
    [
        ({"stages": ["Live"]}, {}, {"current_stage": "Live"}),
        ({"tag": {"approval_ref": "live"}}, {"tags": {"approval_ref": "no"}}, {"tags": {"approval_ref": "live"}}),
    ],
)
def test_stage_and_tag_rules(tell: Tell, rules: Any, before: Any, after: Any) -> None:
    story = tell(production=rules)
    story.sweep({"m": model({"production": "1"})}, versions("m/1", m1=before))
    assert set(story.derived(PROMOTIONS)) == {"gap"}
    story.sweep({"m": model({"production": "1"})}, versions("m/1", m1=after))
    assert len(story.derived(PROMOTIONS)) == 1


def test_a_tag_rule_over_a_tag_that_is_not_kept_is_not_judged(tell: Tell) -> None:
    story = tell(production={"tag": {"zone": "live"}})
    story.sweep({"m": model()}, versions("m/1", m1={"tags": {"zone": "live"}}))
    (finding,) = story.findings("source-run-retained").values()
    assert (finding.status, finding.reason) == (Status.NOT_EVALUATED, Reason.NOT_CONFIGURED)


def test_a_new_version_in_a_production_registry_is_a_promotion(tell: Tell) -> None:
    story = tell(production={"registered_model_prefix": "prod."})
    story.sweep({"prod.m": model()}, versions("prod.m/1"))
    story.sweep({"prod.m": model()}, versions("prod.m/1", "prod.m/2"))
    assert [key.rsplit(":", 1)[0] for key in story.derived(PROMOTIONS)] == ["promotion:prod.m:2"]


def test_prompts_are_promoted_too(tell: Tell) -> None:
    story = tell()
    one = {"p/1": version("p/1", kind="prompt", run_id=None)}
    story.sweep({}, {}, prompts={"p": model()}, prompt_versions=one)
    story.sweep({}, {}, prompts={"p": model({"production": "1"})}, prompt_versions=one)
    (promotion,) = story.derived(PROMOTIONS).values()
    assert promotion["kind"] == "prompt"


def test_a_gap_between_polls_widens_the_interval_and_changes_nothing(tell: Tell) -> None:
    story = tell()
    story.sweep({"m": model({"production": "1"})}, versions("m/1", "m/2"))
    story.poll("mlflow.registry.models", DENIED)
    story.at_ms += 900_000
    story.poll("mlflow.registry.models", {}, broken=DENIED)
    story.at_ms += 900_000
    story.sweep({"m": model({"production": "2"})}, versions("m/1", "m/2"))
    (promotion,) = story.derived(PROMOTIONS).values()
    assert promotion["interval"]["not_before"] == iso(START_MS), "the poll that last saw the model"


@pytest.mark.parametrize("aliases", [{}, {"live": "1", "canary": "1"}])
def test_no_rule_ever_matched(tell: Tell, aliases: dict[str, str]) -> None:
    story = tell()
    story.sweep({"m": model(aliases)}, versions("m/1"))
    named = ", ".join(sorted(aliases)) or "none"
    for name in (PRODUCTION, PROMOTIONS):
        assert story.derived(name)["gap"] == Gap(
            Reason.NOT_CONFIGURED, code=f"no production rule matches; aliases seen: {named}"
        )
    for check in (
        "source-run-retained",
        "failed-job-not-promoted",
        "promotion-has-approval",
        "model-signature-present",
    ):
        (finding,) = story.findings(check).values()
        assert (finding.status, finding.reason) == (Status.NOT_EVALUATED, Reason.NOT_CONFIGURED), check
        assert named in finding.message


def test_an_empty_registry_has_no_population(tell: Tell) -> None:
    story = tell()
    story.sweep({}, {})
    assert story.derived(PRODUCTION) == story.derived(PROMOTIONS) == story.derived(NUMBERS) == {}
    assert story.findings("promotion-has-approval") == {}


def numbers(telling: Telling) -> tuple[Status, str]:
    finding = telling.findings("version-numbers-contiguous")["m"]
    return finding.status, finding.message


def test_numbers_without_holes_pass(tell: Tell) -> None:
    story = tell()
    story.sweep({"m": model({"production": "2"})}, versions("m/1", "m/2", "m/3"))
    assert numbers(story) == (Status.PASS, "versions 1 to 3 are accounted for")


def test_holes_of_the_first_poll_are_listed(tell: Tell) -> None:
    story = tell()
    story.sweep({"m": model({"production": "5"})}, versions("m/2", "m/5"))
    assert numbers(story)[0] is Status.PASS
    facts = story.findings("version-numbers-contiguous")["m"].facts
    assert facts["before_first_observation"] == [3, 4]


@pytest.mark.parametrize("label", [{"production": "1"}, {"staging": "1"}])
def test_a_deleted_version_that_held_fails(tell: Tell, label: dict[str, str]) -> None:
    story = tell()
    story.sweep({"m": model({"production": "2", **label})}, versions("m/1", "m/2"))
    story.sweep({"m": model({"production": "2"})}, versions("m/2"))
    assert numbers(story) == (Status.FAIL, "version 1 held production or staging and is gone")


def test_a_deleted_version_that_held_nothing_is_listed(tell: Tell) -> None:
    story = tell()
    story.sweep({"m": model({"production": "2"})}, versions("m/1", "m/2", "m/3"))
    story.sweep({"m": model({"production": "2"})}, versions("m/2"))
    status, message = numbers(story)
    assert status is Status.PASS
    assert message.endswith("gone, but never in production or staging: 1, 3")


def test_a_version_nobody_saw_is_undetermined(tell: Tell) -> None:
    story = tell()
    story.sweep({"m": model({"production": "1"})}, versions("m/1"))
    story.sweep({"m": model({"production": "1"})}, versions("m/1", "m/3"))
    status, message = numbers(story)
    assert status is Status.NOT_EVALUATED
    assert "version 2" in message


def test_a_deletion_without_a_production_rule_is_not_judged(tell: Tell) -> None:
    story = tell()
    story.sweep({"m": model()}, versions("m/1", "m/2"))
    story.sweep({"m": model()}, versions("m/2"))
    assert numbers(story)[0] is Status.NOT_EVALUATED


def test_a_partial_list_deletes_nothing(tell: Tell) -> None:
    story = tell()
    story.sweep({"m": model({"production": "1"})}, versions("m/1", "m/2"))
    story.poll("mlflow.registry.versions", versions("m/2"), broken=DENIED)
    assert story.derived(NUMBERS)["m"]["present"] == 2


APPROVED = {"approved_by": "grace", "approved_on": "2027-01-10T09:00:00Z", "approval_ref": "MR-7"}
UNAPPROVED: dict[str, str] = {}


def approvals(telling: Telling, tags: list[dict[str, str]], promoted_at: int, run: dict[str, Any] | None = None) -> Any:
    """Sweeps with these tags on m/2, the alias moving to it in the sweep with this number; then the finding."""
    ran = {"run2": run or {"lifecycle_stage": "active", "started_by": {"principal": "ada"}}}
    for number, given in enumerate(tags):
        alias = {"production": "2" if number >= promoted_at else "1"}
        telling.sweep({"m": model(alias)}, versions("m/1", "m/2", m2={"tags": given}), **{"tracking.source_runs": ran})
    (finding,) = telling.findings("promotion-has-approval").values()
    return finding


@pytest.mark.parametrize(
    ("tags", "promoted_at", "status", "said"),
    [
        # approval seen two sweeps before the alias moved
        ([UNAPPROVED, APPROVED, APPROVED, APPROVED], 3, Status.PASS, "approved by grace"),
        ([APPROVED, APPROVED, APPROVED], 2, Status.PASS, "approved by grace"),
        # seen in the sweep before: the versions were read after the models, the order is not proven
        ([UNAPPROVED, APPROVED, APPROVED], 2, Status.NOT_EVALUATED, "order not proven, window 15 min"),
        # seen in the same sweep as the promotion
        ([UNAPPROVED, UNAPPROVED, APPROVED], 2, Status.NOT_EVALUATED, "order not proven, window 15 min"),
        # never
        ([UNAPPROVED, UNAPPROVED, UNAPPROVED], 2, Status.FAIL, "no approval of the version was recorded"),
        # later
        ([UNAPPROVED, UNAPPROVED, UNAPPROVED, APPROVED], 2, Status.FAIL, "recorded after the promotion"),
        # withdrawn before
        ([APPROVED, APPROVED, UNAPPROVED, UNAPPROVED, UNAPPROVED], 4, Status.FAIL, "no approval of the version"),
        # withdrawn while it was promoted
        ([APPROVED, APPROVED, UNAPPROVED], 2, Status.NOT_EVALUATED, "order not proven"),
    ],
)
def test_approval_before_promotion(
    tell: Tell, tags: list[dict[str, str]], promoted_at: int, status: Status, said: str
) -> None:
    finding = approvals(tell(), tags, promoted_at)
    assert finding.status is status, finding.message
    assert said in finding.message


@pytest.mark.parametrize(
    ("tags", "run", "status", "said"),
    [
        ({"approved_on": None}, None, Status.FAIL, "has no time"),
        ({"approved_on": "last Tuesday"}, None, Status.FAIL, "no RFC 3339 time"),
        ({"approved_on": "2027-02-31T00:00:00Z"}, None, Status.FAIL, "no RFC 3339 time"),
        ({"approved_on": "2026-12-31T23:59:59Z"}, None, Status.FAIL, "before the version was made"),
        ({"approved_by": "Ada"}, None, Status.FAIL, "approved by its own author"),
        ({"approved_by": "ada@example.com"}, None, Status.NOT_EVALUATED, "may be the same person"),
        ({"approved_by": "root"}, {"principal": "root"}, Status.PASS, "author not known"),
        ({}, {"principal": None}, Status.PASS, "author not known"),
    ],
)
def test_what_an_approval_needs(
    tell: Tell, tags: dict[str, Any], run: dict[str, Any] | None, status: Status, said: str
) -> None:
    given = {name: value for name, value in (APPROVED | tags).items() if value is not None}
    ran = {"lifecycle_stage": "active", "started_by": run} if run else None
    finding = approvals(tell(), [given, given, given], 2, ran)
    assert finding.status is status, finding.message
    assert said in finding.message


def test_a_promotion_is_not_failed_before_its_version_was_read_again(tell: Tell) -> None:
    story = tell()
    story.sweep({"m": model({"production": "1"})}, versions("m/1", "m/2"))
    story.sweep({"m": model({"production": "2"})}, None)
    (finding,) = story.findings("promotion-has-approval").values()
    assert (finding.status, finding.reason) == (Status.NOT_EVALUATED, Reason.UNDETERMINED)
    story.sweep({"m": model({"production": "2"})}, versions("m/1", "m/2"))
    (finding,) = story.findings("promotion-has-approval").values()
    assert finding.status is Status.FAIL


def test_the_first_definite_status_stays(tell: Tell) -> None:
    story = tell()
    first = approvals(story, [UNAPPROVED, UNAPPROVED, UNAPPROVED], 2)
    story.sweep({"m": model({"production": "2"})}, versions("m/1", "m/2", m2={"tags": APPROVED}))
    (second,) = story.findings("promotion-has-approval").values()
    assert first.status is second.status is Status.FAIL
    assert first.message == second.message


def test_an_author_that_was_not_seen_is_not_taken_for_another(tell: Tell) -> None:
    story = tell()
    for number in ("1", "1", "2"):
        story.sweep({"m": model({"production": number})}, versions("m/1", "m/2", m2={"tags": APPROVED}))
        story.poll(
            "mlflow.tracking.source_runs", Gap(Reason.DENIED, "SearchRuns", "PERMISSION_DENIED", "READ on experiments")
        )
    (finding,) = story.findings("promotion-has-approval").values()
    assert (finding.status, finding.reason) == (Status.NOT_EVALUATED, Reason.DENIED)
    assert finding.need == ("READ on experiments",)
