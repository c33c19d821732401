"""Each MLflow check on a subject that passes, ones that fail, and what was not seen."""

from __future__ import annotations

from typing import Any

import pytest

from agent.model import Gap, Reason, Status
from checks.mlflow.artifacts import is_pinned
from tests.judging import DENIED, NO_SOURCE, judge

PASS, FAIL, NA, NE = Status.PASS, Status.FAIL, Status.NOT_APPLICABLE, Status.NOT_EVALUATED
COMMIT = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b"
RUNS, LIFE, FILES = "mlflow.tracking.source_runs", "mlflow.tracking.runs", "mlflow.artifacts.models"
RUN_CHECKS = [
    "source-run-retained",
    "run-git-commit",
    "run-params-logged",
    "run-dataset-inputs",
    "failed-job-not-promoted",
]
FILE_CHECKS = ["model-signature-present", "run-environment-pinned"]
PROFILE = {
    "profiles": {"fraud": {"required_params": ["learning_rate"], "seed_required": "seed", "inputs_required": True}}
}

VERSION = {
    "kind": "model",
    "model": "fraud",
    "version": "1",
    "run_id": "r1",
    "version_gone": False,
    "external_source": None,
}
TRAINING = {"name": "tx", "digest": "3f9a1c22", "source_type": "s3", "source": "s3://tx", "context": "training"}
RUN = {
    "lifecycle_stage": "active",
    "run_status": "FINISHED",
    "params": {"learning_rate": "0.1", "seed": "7"},
    "tags": {"mlflow.source.git.commit": COMMIT},
    "datasets": [TRAINING],
}
MODEL = {
    "mlmodel": {
        "signature": {"inputs": [{"type": "double"}], "outputs": [{"type": "double"}]},
        "flavors": {"sklearn": {}},
    },
    "requirements": ["numpy==1.26.4", "scikit-learn==1.5.0"],
}


def asked(
    check: str,
    version: Any = None,
    run: Any = None,
    files: Any = None,
    *,
    life: Any = None,
    drop: Any = (),
    **more: Any,
) -> Any:
    """The verdict about a version with its run and files, each given as what differs from the good one."""
    streams = {
        RUNS: {"r1": RUN | (run or {})},
        LIFE: {},
        FILES: {"fraud/1": MODEL | (files or {})},
    } | {name: {} for name in drop}
    streams |= {LIFE: life} if life is not None else {}
    streams |= more.pop("streams", {})
    return judge(check, VERSION | (version or {}), key="fraud/1", here=streams, **(PROFILE | more))


@pytest.mark.parametrize("check", [*RUN_CHECKS, *FILE_CHECKS])
def test_a_version_with_everything_passes(check: str) -> None:
    assert asked(check).status is PASS


@pytest.mark.parametrize(
    ("check", "run", "status", "said"),
    [
        ("source-run-retained", {"lifecycle_stage": "deleted"}, FAIL, "is deleted"),
        ("source-run-retained", {"lifecycle_stage": "gone"}, FAIL, "exists no more"),
        ("source-run-retained", {"run_status": "FAILED"}, FAIL, "ended as FAILED"),
        ("source-run-retained", {"run_status": "RUNNING"}, PASS, "still marked RUNNING"),
        ("run-git-commit", {"tags": {}}, FAIL, "no commit"),
        ("run-git-commit", {"tags": {"mlflow.source.git.commit": COMMIT[:10]}}, FAIL, "no full commit id"),
        ("run-git-commit", {"tags": {"mlflow.source.git.commit": "main"}}, FAIL, "no full commit id"),
        ("run-git-commit", {"tags": {"git_commit": COMMIT}}, PASS, "whether the checkout was clean is not known"),
        (
            "run-git-commit",
            {"tags": {"mlflow.source.git.commit": COMMIT, "mlflow.source.git.dirty": "True"}},
            FAIL,
            "changes",
        ),
        (
            "run-git-commit",
            {"tags": {"mlflow.source.git.commit": COMMIT, "mlflow.source.git.dirty": "false"}},
            PASS,
            COMMIT,
        ),
        ("run-git-commit", {"lifecycle_stage": "gone"}, NE, "exists no more"),
        ("run-params-logged", {"params": {}}, FAIL, "no parameters"),
        ("run-params-logged", {"params": {"learning_rate": "1"}}, FAIL, "seed"),
        ("run-params-logged", {"params": {"learning_rate": "[redacted]", "seed": "1"}}, PASS, "2 parameters"),
        ("run-dataset-inputs", {"datasets": []}, FAIL, "no dataset input with context training"),
        ("run-dataset-inputs", {"datasets": [TRAINING | {"context": "evaluation"}]}, FAIL, "no dataset input"),
        ("run-dataset-inputs", {"datasets": [TRAINING | {"digest": None}]}, FAIL, "no training input has digest"),
        ("run-dataset-inputs", {"datasets": [TRAINING | {"context": None}, TRAINING]}, PASS, "3f9a1c22"),
        ("failed-job-not-promoted", {"run_status": "FAILED"}, FAIL, "FAILED"),
        ("failed-job-not-promoted", {"run_status": "KILLED"}, FAIL, "KILLED"),
        ("failed-job-not-promoted", {"run_status": "RUNNING"}, PASS, "RUNNING"),
    ],
)
def test_runs(check: str, run: dict[str, Any], status: Status, said: str) -> None:
    verdict = asked(check, run=run)
    assert verdict.status is status, verdict
    assert said in verdict.message


@pytest.mark.parametrize("check", RUN_CHECKS)
def test_versions_without_a_run(check: str) -> None:
    assert asked(check, {"run_id": None}).status is FAIL
    outside = asked(check, {"run_id": None, "external_source": "hub"})
    assert (outside.status, outside.reason) == (NE, Reason.NOT_CONFIGURED)
    assert asked(check, {"kind": "prompt", "run_id": None}).status is NA
    uncollected = asked(check, drop=[RUNS])
    assert (uncollected.status, uncollected.reason) == (NE, Reason.DEPENDENCY)


@pytest.mark.parametrize("check", RUN_CHECKS)
def test_a_run_not_in_the_list_of_a_deleted_version_is_known_from_before(check: str) -> None:
    assert asked(check, {"version_gone": True}, drop=[RUNS, FILES], life={"r1": RUN}).status is PASS


def test_dataset_inputs_where_the_profile_does_not_demand_them() -> None:
    assert asked("run-dataset-inputs", profiles={}).status is NA
    assert asked("run-params-logged", run={"params": {"x": "1"}}, profiles={}).status is PASS


@pytest.mark.parametrize("check", RUN_CHECKS)
@pytest.mark.parametrize("hidden", [DENIED, NO_SOURCE, Gap(Reason.STALE)])
def test_runs_that_were_not_seen(check: str, hidden: Gap) -> None:
    verdict = asked(check, streams={RUNS: hidden})
    assert (verdict.status, verdict.reason) == (NE, hidden.reason)


@pytest.mark.parametrize("check", RUN_CHECKS)
def test_a_partial_list_of_runs_proves_no_absence(check: str) -> None:
    verdict = asked(check, drop=[RUNS], partial={RUNS: Gap(Reason.PARTIAL)})
    assert (verdict.status, verdict.reason) == (NE, Reason.PARTIAL)


@pytest.mark.parametrize(
    ("check", "hidden"),
    [
        ("source-run-retained", {"lifecycle_stage": DENIED}),
        ("run-git-commit", {"tags": DENIED}),
        ("run-params-logged", {"params": {"learning_rate": DENIED, "seed": "7"}}),
        ("run-dataset-inputs", {"datasets": DENIED}),
        ("failed-job-not-promoted", {"run_status": DENIED}),
    ],
)
def test_parts_of_a_run_that_were_not_seen(check: str, hidden: dict[str, Any]) -> None:
    assert asked(check, run=hidden).reason is Reason.DENIED


@pytest.mark.parametrize("check", ["source-run-retained", *FILE_CHECKS])
def test_files_that_were_not_seen(check: str) -> None:
    for files in ({"mlmodel": DENIED, "requirements": DENIED},):
        assert asked(check, files=files).reason is Reason.DENIED
    assert asked(check, drop=[FILES]).reason is Reason.DEPENDENCY
    assert asked(check, streams={FILES: DENIED}).reason is Reason.DENIED


@pytest.mark.parametrize(
    ("check", "files", "run", "status", "said"),
    [
        ("source-run-retained", {"mlmodel": None}, {}, FAIL, "no MLmodel"),
        ("model-signature-present", {"mlmodel": None}, {}, FAIL, "no MLmodel"),
        (
            "model-signature-present",
            {"mlmodel": {"signature": {"inputs": [], "outputs": None}, "flavors": {}}},
            {},
            FAIL,
            "no inputs and no outputs",
        ),
        (
            "model-signature-present",
            {"mlmodel": {"signature": {"inputs": [1], "outputs": None}, "flavors": {}}},
            {},
            FAIL,
            "no outputs",
        ),
        (
            "run-environment-pinned",
            {"requirements": ["numpy==1.0", "torch>=2", "pip<=24"]},
            {},
            FAIL,
            "torch>=2, pip<=24",
        ),
        ("run-environment-pinned", {"requirements": []}, {}, FAIL, "empty"),
        ("run-environment-pinned", {"requirements": None}, {}, FAIL, "no requirements.txt"),
        (
            "run-environment-pinned",
            {"requirements": ["torch"]},
            {"tags": {"mlflow.docker.image.uri": "ghcr.io/x/y@sha256:" + "a" * 64}},
            PASS,
            "fixed by digest",
        ),
        (
            "run-environment-pinned",
            {"requirements": ["torch"]},
            {"tags": {"mlflow.docker.image.uri": "ghcr.io/x/y:1"}},
            FAIL,
            "torch",
        ),
    ],
)
def test_files(check: str, files: dict[str, Any], run: dict[str, Any], status: Status, said: str) -> None:
    verdict = asked(check, files=files, run=run)
    assert verdict.status is status, verdict
    assert said in verdict.message


@pytest.mark.parametrize(
    ("line", "pinned"),
    [
        ("numpy==1.26.4", True),
        ("mlflow[extras]==3.1.0", True),
        ("torch==2.5.1+cu121", True),
        ("torch===2.5.1", True),
        ("numpy == 1.26.4", True),
        ('pywin32==306 ; sys_platform == "win32"', True),
        ("numpy==1.26.4 --hash=sha256:abc", True),
        ("pkg @ git+https://git.example.com/p.git@" + COMMIT, True),
        ("git+https://git.example.com/p.git@" + COMMIT + "#egg=p", True),
        ("-e git+ssh://git@example.com/p.git@" + COMMIT, True),
        ("pkg @ https://files.example.com/pkg-1.0-py3-none-any.whl", True),
        ("code/pkg-1.0-py3-none-any.whl", True),
        ("--extra-index-url https://pypi.example.com", True),
        ("numpy", False),
        ("numpy>=1.26.4", False),
        ("numpy~=1.26", False),
        ("numpy==1.26.*", False),
        ("numpy==1.26,<2", False),
        ("git+https://git.example.com/p.git@main", False),
        ("git+https://git.example.com/p.git", False),
        ("pkg @ https://files.example.com/pkg.tar.gz", False),
        ("-e .", False),
        ("-r more.txt", False),
        ("--requirement=more.txt", False),
    ],
)
def test_lines_of_a_requirements_file(line: str, pinned: bool) -> None:
    assert is_pinned(line) is pinned


SERVER = {
    "kind": "server",
    "scheme": "https",
    "host": "mlflow.example.com",
    "host_is": "public",
    "declared_private": False,
    "answer": {"status": 401, "error_code": None, "is_mlflow": False, "redirects_to": None},
}


@pytest.mark.parametrize(
    ("answer", "server", "status", "said"),
    [
        ({}, {}, PASS, "refused (status 401)"),
        ({"status": 403, "error_code": "PERMISSION_DENIED", "is_mlflow": True}, {}, PASS, "403"),
        ({"status": 200, "is_mlflow": True}, {}, FAIL, "answers a request without credentials"),
        ({"status": 400, "error_code": "INVALID_PARAMETER_VALUE", "is_mlflow": True}, {}, FAIL, "400"),
        ({"status": 302, "redirects_to": "login.example.com"}, {}, NE, "login.example.com"),
        ({"status": 200}, {}, NE, "not MLflow"),
        ({"status": 502}, {}, NE, "502"),
        ({"status": 500, "error_code": "INTERNAL_ERROR", "is_mlflow": True}, {}, NE, "nobody was let in"),
        ({}, {"scheme": "http"}, FAIL, "over http"),
        ({}, {"scheme": "http", "host_is": "loopback"}, PASS, "401"),
        ({}, {"scheme": "http", "host_is": "private"}, FAIL, "over http"),
        ({}, {"scheme": "http", "host_is": "private", "declared_private": True}, PASS, "401"),
        ({}, {"scheme": "http", "host_is": "public", "declared_private": True}, FAIL, "over http"),
    ],
)
def test_sign_in(answer: dict[str, Any], server: dict[str, Any], status: Status, said: str) -> None:
    verdict = judge("mlflow-auth-required", SERVER | {"answer": SERVER["answer"] | answer} | server)
    assert verdict.status is status, verdict
    assert said in verdict.message


def test_a_redirect_to_a_configured_sign_in_address() -> None:
    answer = {"status": 302, "error_code": None, "is_mlflow": False, "redirects_to": "login.example.com"}
    assert (
        judge("mlflow-auth-required", SERVER | {"answer": answer}, sign_in_hosts=["login.example.com"]).status is PASS
    )


@pytest.mark.parametrize(("kind", "status"), [("database", NA), ("managed", NA), ("plugin", NE)])
def test_no_server_of_ones_own(kind: str, status: Status) -> None:
    assert judge("mlflow-auth-required", {"kind": kind, "scheme": "sqlite"}).status is status


def test_a_server_that_was_not_asked() -> None:
    assert judge("mlflow-auth-required", SERVER | {"answer": DENIED}).reason is Reason.DENIED
