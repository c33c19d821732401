"""Every MLflow stream x operation x fault over HTTP: nothing that depends on what was hidden is pass or fail."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from agent.model import PollStatus, Reason
from agent.registry import discover
from agent.settings import Mlflow, Settings
from collectors.mlflow import MlflowSource, connect
from collectors.mlflow.client import library
from tests.faults import Lab
from tests.mlflow.conftest import TOKEN, Answering, Store, behind_a_token, bodies, poll
from tests.sqlite_copy import copied

pytestmark = pytest.mark.usefixtures("impatient")

PATHS = {
    "SearchRegisteredModels": "/mlflow/registered-models/search",
    "SearchModelVersions": "/mlflow/model-versions/search",
    "SearchExperiments": "/mlflow/experiments/search",
    "SearchRuns": "/mlflow/runs/search",
    "GetModelVersionArtifact": "/model-versions/get-artifact",
    "ProbeWithoutCredential": "/mlflow/experiments/search",
}
ELSEWHERE = {"GetRun", "GetModelVersionDownloadUri"}
"""Called only for a run that the search does not show (below), and only where a database is read directly."""
ANSWERS = {"denied", "throttled", "malformed"}
"""To the probe a refusal is an answer, and so is what is not MLflow's."""

STREAMS = {name: spec for name, spec in discover().streams.items() if name.startswith("mlflow.")}
CASES = [
    pytest.param(name, operation, fault, id=f"{name}-{operation}-{fault}")
    for name, spec in STREAMS.items()
    for operation in spec.needs
    for fault in ("denied", "throttled", "timeout", "malformed", "short")
    if operation not in ELSEWHERE and not (operation == "ProbeWithoutCredential" and fault in ANSWERS)
]


class Faulty:
    """Passes requests on to a real server, but for one path."""

    def __init__(self, server: str) -> None:
        self.real, self.path, self.fault, self.over = behind_a_token(server), "", "", threading.Event()

    def __call__(self, handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if not self.fault or self.path not in handler.path:
            return self.real(handler, body)
        if self.fault == "denied":
            return 403, {}, b'{"error_code": "PERMISSION_DENIED", "message": "no"}'
        if self.fault == "throttled":
            return 429, {}, b"slow down"
        if self.fault == "malformed":
            return 200, {}, b"\xff\xfe<html>"
        if self.fault == "timeout":
            self.over.wait(10)
            return 200, {}, b"{}"
        status, headers, content = self.real(handler, body)
        return status, headers | {"Content-Length": str(len(content) + 40)}, content[: len(content) // 2]


def spoil(store: Store, folder: Path) -> str:
    """A copy of the store with the same models, versions and runs, and everything about them the other way round."""
    copied(store.path, folder / "bad.db")
    url = f"sqlite:///{folder}/bad.db"
    client = library().MlflowClient(url, url)
    client.set_tag(store.run_id, "mlflow.source.git.dirty", "true")
    client.set_tag(store.run_id, "mlflow.source.git.commit", "main")
    client.log_param(store.run_id, "hub_token", "hf_" + "abcdefghijklmnopqrstuvwxyzABCDEFGH")
    client.update_run(store.run_id, "FAILED")
    client.delete_run(store.run_id)
    return url


@pytest.fixture(scope="module")
def world(server: str, template: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("faults")
    proxy = Faulty(server)
    front = Answering(proxy)
    threading.Thread(target=front.serve_forever, daemon=True).start()
    source = connect(Mlflow(url=front.url, token="env:TOKEN"), lambda _reference: TOKEN)
    bad = connect(Mlflow(url=spoil(template, folder)), lambda _reference: "")
    open_server = connect(Mlflow(url=server), lambda _reference: "")
    good = {name: poll(source, name) for name in STREAMS}
    assert {snapshot.status for snapshot in good.values()} == {PollStatus.COMPLETE}
    other = {name: poll(open_server if name == "mlflow.server.access" else bad, name) for name in STREAMS}
    lab = Lab(folder, good, Settings().rule_settings())
    yield proxy, source, other, lab
    front.shutdown()
    front.server_close()
    lab.ledger.close()


def test_the_good_world_is_judged(world: Any) -> None:
    lab = world[3]
    passed = {finding.check for finding in lab.baseline.values() if finding.status.value == "pass"}
    assert passed >= {
        "source-run-retained", "run-git-commit", "run-params-logged", "failed-job-not-promoted", "mlflow-auth-required",
        "model-signature-present", "run-environment-pinned", "job-config-no-secrets", "version-numbers-contiguous",
    }  # fmt: skip


@pytest.mark.parametrize(("stream", "operation", "fault"), CASES)
def test_what_a_fault_hides_is_neither_passed_nor_failed(
    world: Any, monkeypatch: pytest.MonkeyPatch, stream: str, operation: str, fault: str
) -> None:
    proxy, source, other, lab = world
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    proxy.path, proxy.fault = PATHS[operation], fault
    proxy.over.clear()
    try:
        faulty = poll(source, stream)
    finally:
        proxy.fault = ""
        proxy.over.set()
    assert not lab.wrong(other[stream], faulty, operation, fault)


@pytest.mark.parametrize(
    ("status", "content", "reason", "code"),
    [
        (403, b'{"error_code": "PERMISSION_DENIED", "message": "no"}', Reason.DENIED, "PERMISSION_DENIED"),
        (500, b"oops", Reason.UNREACHABLE, "HTTP500"),
        (404, b"<html>no such page</html>", Reason.UNSUPPORTED, "ENDPOINT_NOT_FOUND"),
    ],
)
def test_a_run_that_is_only_hidden_is_not_called_gone(
    server: str,
    template: Store,
    source_of: Callable[..., MlflowSource],
    serve: Callable[..., Answering],
    status: int,
    content: bytes,
    reason: Reason,
    code: str,
) -> None:
    real = behind_a_token(server)

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if "/runs/search" in handler.path:
            return 200, {"Content-Type": "application/json"}, b"{}"
        return (status, {}, content) if "/runs/get" in handler.path else real(handler, body)

    snapshot = poll(source_of(serve(answer).url, token=TOKEN), "mlflow.tracking.source_runs")
    gap = bodies(snapshot)[template.run_id]["gap"]
    assert (gap["reason"], gap["code"], gap["op"]) == (reason.value, code, "GetRun")
    assert snapshot.status is not PollStatus.COMPLETE
