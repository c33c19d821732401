"""A real MLflow store: one database and one set of model files a session, a copy of the database per test."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from agent.collect import collect
from agent.model import Snapshot, Target, Window
from agent.redact import Redactor
from agent.registry import discover
from agent.settings import Mlflow
from collectors.mlflow import MlflowSource, connect
from collectors.mlflow.client import library
from tests.sqlite_copy import copied

TOKEN = "tok-5f2b9c1d7e"
COMMIT = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b"


@dataclass
class Store:
    """A database of a test's own, with a client that may write to it."""

    path: Path
    client: Any
    run_id: str
    experiment_id: str

    @property
    def url(self) -> str:
        return f"sqlite:///{self.path}"


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """One model with a signature from a finished run, one prompt; the model files are made by MLflow itself."""
    mlflow = library()
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    with warnings.catch_warnings(action="ignore"):

        class Doubles(mlflow.pyfunc.PythonModel):
            def predict(self, context, model_input, params=None):
                return model_input

    folder = tmp_path_factory.mktemp("mlflow")
    path = folder / "template.db"
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{path}", registry_uri=f"sqlite:///{path}")
    experiment = client.create_experiment("fraud-training", artifact_location=str(folder / "artifacts"))
    tags = {"mlflow.user": "ada", "mlflow.source.git.commit": COMMIT, "note": "first"}
    run = client.create_run(experiment, start_time=1_700_000_000_000, run_name="train fraud", tags=tags)
    run_id = run.info.run_id
    client.log_param(run_id, "learning_rate", "0.1")
    client.log_param(run_id, "seed", "7")
    data = Dataset(name="transactions", digest="3f9a1c22", source_type="s3", source='{"uri": "s3://training/tx"}')
    client.log_inputs(run_id, [DatasetInput(dataset=data, tags=[InputTag("mlflow.data.context", "training")])])
    client.set_terminated(run_id, end_time=1_700_000_600_000)
    with warnings.catch_warnings(action="ignore"):
        mlflow.pyfunc.save_model(
            str(folder / "artifacts" / run_id / "artifacts" / "model"),
            python_model=Doubles(),
            signature=ModelSignature(
                inputs=Schema([ColSpec("double", "amount")]), outputs=Schema([ColSpec("double", "score")])
            ),
            pip_requirements=["mlflow==3.17.2", "numpy==1.26.4"],
        )
    client.create_registered_model("fraud", tags={"owner": "ml"}, description="Finds fraud.\nNot for lending.")
    client.create_model_version("fraud", f"{run.info.artifact_uri}/model", run_id=run_id)
    client.set_registered_model_alias("fraud", "production", "1")
    client.register_prompt("greeting", "Hello {{name}}", commit_message="first")
    return Store(path, client, run_id, experiment)


@pytest.fixture
def store(template: Store, tmp_path: Path) -> Store:
    """A copy of the template, to be changed."""
    path = tmp_path / "mlflow.db"
    copied(template.path, path)
    client = library().MlflowClient(tracking_uri=f"sqlite:///{path}", registry_uri=f"sqlite:///{path}")
    return Store(path, client, template.run_id, template.experiment_id)


@pytest.fixture
def source_of() -> Iterator[Callable[..., MlflowSource]]:
    """Makes sources, and closes them."""
    made: list[MlflowSource] = []

    def make(url: str, token: str = "", **settings: Any) -> MlflowSource:
        given = Mlflow(url=url, token="env:TOKEN" if token else None, **settings)
        made.append(connect(given, lambda _reference: token))
        return made[-1]

    yield make
    for source in made:
        source.close()


def poll(source: MlflowSource, stream: str, window: Window | None = None) -> Snapshot:
    """Poll one stream as the engine does."""
    spec = discover().streams[stream]
    (scope,) = source.scopes(spec.per)
    target = Target(spec.name, scope, spec.kind, spec.every_s, spec.collector)
    redactor = Redactor(b"k" * 32, discover().kept_tags)
    if window is None and spec.kind == "life":
        window = Window(0, 4_000_000_000_000)
    return collect(target, spec, source, redactor, window=window)


def bodies(snapshot: Snapshot) -> Mapping[str, Any]:
    """The stored documents of a snapshot by key."""
    from agent.canonical import parse

    return {item.key: parse(snapshot.documents[item.digest]) for item in snapshot.items}


def stored_bytes(snapshot: Snapshot) -> bytes:
    """Everything of a snapshot that reaches the store."""
    from agent.canonical import canonical

    return b"".join(snapshot.documents[item.digest] for item in snapshot.items) + canonical(snapshot.receipt)


@pytest.fixture(scope="session")
def server(template: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow server over a copy of the template; its address."""
    folder = tmp_path_factory.mktemp("server")
    copied(template.path, folder / "mlflow.db")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    environment |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
        "--backend-store-uri",
        f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination",
        f"{folder}/art",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True, cwd=folder)
    try:
        _wait(f"http://127.0.0.1:{port}/health", process, folder / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 180
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"the MLflow server did not start: {log.read_text()[-2000:]}")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")


class Answering(ThreadingHTTPServer):
    """A server on loopback that answers every request by one function."""

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler, bytes], tuple[int, dict[str, str], bytes]]) -> None:
        self.seen: list[tuple[str, dict[str, str]]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.seen.append((self.path, dict(self.headers)))
                status, headers, content = answer(self, body)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                return

        outer = self
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def serve() -> Iterator[Callable[..., Answering]]:
    running: list[Answering] = []

    def start(answer: Any) -> Answering:
        running.append(Answering(answer))
        threading.Thread(target=running[-1].serve_forever, daemon=True).start()
        return running[-1]

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


def behind_a_token(real: str) -> Callable[..., Any]:
    """Answers 401 to whoever has not the token, and passes the rest on to a real server."""

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if handler.headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, {}, b"who are you?"
        request = urllib.request.Request(real + handler.path, data=body or None, method=handler.command)
        request.add_header("Content-Type", handler.headers.get("Content-Type") or "application/json")
        try:
            with urllib.request.urlopen(request, timeout=60) as got:
                return got.status, {"Content-Type": got.headers["Content-Type"]}, got.read()
        except urllib.error.HTTPError as error:
            return error.code, {"Content-Type": error.headers["Content-Type"]}, error.read()

    return answer
