"""Two registries with the same names and opposite histories, and a source over one with a fault in it."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from agent import clock
from agent.model import Scope, Tape
from agent.settings import Mlflow
from checks.cards import TOPICS
from collectors.mlflow import MlflowSource
from collectors.mlflow.client import Access, MlflowServer, library
from collectors.mlflow.database import Database
from tests.mlflow.conftest import COMMIT, TOKEN, Answering, Store
from tests.sqlite_copy import copied

STARTED_MS = 1_700_000_000_000
GONE = "0" * 32
TOKEN_IN_CLEAR = "hf_" + "abcdefghijklmnopqrstuvwxyzABCDEFGH"
DENIED = b'{"error_code": "PERMISSION_DENIED", "message": "no"}'
Answer = tuple[int, dict[str, str], bytes]


@dataclass
class World:
    """A registry before and after a promotion, and the files of its versions."""

    before: Path
    after: Path
    run_id: str
    """Of the run behind the promoted version."""
    folders: Mapping[tuple[str, str], Path]
    open: bool
    """Whether the server lets in whoever comes."""


def worlds(template: Store, folder: Path) -> tuple[World, World]:
    """The good and the bad one."""
    start = folder / "start.db"
    copied(template.path, start)
    client = client_of(start)
    run_id = client.create_run(template.experiment_id, start_time=STARTED_MS, tags={"mlflow.user": "ada"}).info.run_id
    nightly = client.create_run(template.experiment_id, start_time=STARTED_MS).info.run_id
    client.create_registered_model("toy")
    toy = _files(folder / "toy", template, good=True)
    client.create_model_version("toy", str(toy), run_id=GONE)
    client.register_prompt("farewell", "Bye {{name}}")
    client.register_prompt("greeting", "Good day {{name}}")
    runs = (template.run_id, run_id, nightly)
    return _world(start, template, folder, runs, good=True), _world(start, template, folder, runs, good=False)


def client_of(path: Path) -> Any:
    """A client that may write to a database."""
    return library().MlflowClient(tracking_uri=f"sqlite:///{path}", registry_uri=f"sqlite:///{path}")


def _world(start: Path, template: Store, folder: Path, runs: tuple[str, str, str], *, good: bool) -> World:
    name = "good" if good else "bad"
    before, after = folder / f"{name}-before.db", folder / f"{name}-after.db"
    copied(start, before)
    client = client_of(before)
    files = _files(folder / name, template, good=good)
    client.create_model_version("fraud", str(files), run_id=runs[1])
    _train(client, runs[0], runs[1], good=good)
    client.set_registered_model_alias("fraud", "production", "1")
    client.set_prompt_alias("greeting", "production", 1)
    if good:
        for tag, value in (("owner", "ada"), ("data_class", "internal")):
            client.set_registered_model_tag("fraud", tag, value)
    approval = {"approved_by": "grace" if good else "ada", "approved_on": clock.iso(clock.now_ms() + 1000)}
    for tag, value in approval.items():
        client.set_model_version_tag("fraud", "2", tag, value)
        if good:
            client.set_prompt_version_tag("greeting", "2", tag, value)
    client.set_model_version_tag("fraud", "2", "bias_evaluation", "passed" if good else "failed")
    client.set_model_version_tag("fraud", "2", "bias_evaluation_ref", "REV-1")
    client.update_model_version("fraud", "2", "\n".join(f"# {topic}" for topic in (TOPICS if good else ("Purpose",))))
    copied(before, after)
    client = client_of(after)
    client.set_registered_model_alias("fraud", "production", "2")
    client.set_prompt_alias("greeting", "production", 2)
    if good:
        client.set_terminated(runs[2], end_time=STARTED_MS + 1000)
    else:
        client.delete_model_version("fraud", "1")
    folders = {("fraud", "1"): _made(template), ("fraud", "2"): files, ("toy", "1"): folder / "toy"}
    return World(before, after, runs[1], folders, open=not good)


def _train(client: Any, first: str, second: str, *, good: bool) -> None:
    """What the runs did, or failed to do."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    if good:
        client.set_tag(second, "mlflow.source.git.commit", COMMIT)
        client.set_tag(second, "mlflow.source.git.dirty", "false")
        for name in ("learning_rate", "seed"):
            client.log_param(second, name, "7")
        data = Dataset(name="tx", digest="3f9a1c22", source_type="s3", source='{"uri": "s3://training/tx"}')
        client.log_inputs(second, [DatasetInput(dataset=data, tags=[InputTag("mlflow.data.context", "training")])])
        client.set_terminated(second, end_time=STARTED_MS + 1000)
        return
    client.set_tag(first, "mlflow.source.git.commit", "main")
    for run_id in (first, second):
        client.set_tag(run_id, "git_commit", f"Login {TOKEN_IN_CLEAR}")
        client.set_terminated(run_id, "FAILED")
        client.delete_run(run_id)


def _files(folder: Path, template: Store, *, good: bool) -> Path:
    """Model files as MLflow makes them; the bad ones have lost signature and fixed versions."""
    folder.mkdir()
    text = (_made(template) / "MLmodel").read_text()
    if not good:
        text = text.replace("signature:", "was_signature:")
    (folder / "MLmodel").write_text(text)
    (folder / "requirements.txt").write_text("mlflow==3.17.2\nnumpy==1.26.4\n" if good else "mlflow\nnumpy>=1\n")
    return folder


def _made(template: Store) -> Path:
    """Folder of the model that MLflow itself made."""
    return Path(template.client.get_run(template.run_id).info.artifact_uri) / "model"


ERRORS: Mapping[str, Callable[[], Exception]] = {
    "denied": lambda: _rest({"error_code": "PERMISSION_DENIED", "message": "no"}),
    "throttled": lambda: _rest({"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "slow down"}),
    "timeout": lambda: _timed_out(),
    "malformed": lambda: _mlflow(
        "API request to endpoint was successful but the response body was not in a valid JSON format"
    ),
    "misshapen": lambda: _misshapen(),
}
"""Kind of fault -> what MlflowClient raises for it."""


def _rest(body: dict[str, str]) -> Exception:
    from mlflow.exceptions import RestException

    return RestException(body)


def _mlflow(text: str) -> Exception:
    from mlflow.exceptions import MlflowException

    return MlflowException(text)


def _timed_out() -> Exception:
    import requests

    error = _mlflow("API request failed with timeout exception")
    error.__cause__ = requests.ReadTimeout("read timed out")
    return error


def _misshapen() -> Exception:
    """What the client makes of JSON that is no answer of this operation."""
    from mlflow.protos.service_pb2 import SearchRuns
    from mlflow.utils.proto_json_utils import parse_dict

    try:
        parse_dict({"runs": "none"}, SearchRuns.Response())
    except Exception as error:  # noqa: BLE001 - which type it is belongs to MLflow
        return error
    raise AssertionError("MLflow takes a text for a list")


class Broken:
    """A real client, one method of which goes wrong."""

    def __init__(self, client: Any, method: str | None, fault: str) -> None:
        self._client, self._method, self._fault = client, method, fault
        self.hits = 0

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._client, name)
        return partial(self._wrong, real) if name == self._method else real

    def _wrong(self, real: Callable[..., Any], *arguments: Any, **parameters: Any) -> Any:
        self.hits += 1
        if self._fault != "short":
            raise ERRORS[self._fault]()
        if parameters.get("page_token") == "more":
            raise _rest({"error_code": "INTERNAL_ERROR", "message": "no second page"})
        if "page_token" in parameters:
            return _cut(real(*arguments, **parameters))
        return _nothing() if self._method == "get_run" else ""


def _cut(page: Any) -> Any:
    from mlflow.store.entities.paged_list import PagedList

    return PagedList(list(page)[:-1], "more")


def _nothing() -> Any:
    """The run in an answer without its members."""
    from mlflow.entities import Run
    from mlflow.protos.service_pb2 import GetRun

    return Run.from_proto(GetRun.Response().run)


@dataclass
class Front:
    """What answers over HTTP: files of versions, and whoever knocks without a credential."""

    world: World
    operation: str = ""
    fault: str = ""
    hits: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def __call__(self, handler: BaseHTTPRequestHandler, _body: bytes) -> Answer:
        wanted = "GetModelVersionArtifact" if "get-artifact" in handler.path else "ProbeWithoutCredential"
        answer = self._file(handler) if wanted == "GetModelVersionArtifact" else self._knock(handler)
        if not self.fault or wanted != self.operation:
            return answer
        self.hits += 1
        return self._wrong(handler, answer)

    def _file(self, handler: BaseHTTPRequestHandler) -> Answer:
        if handler.headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, {}, b"who are you?"
        asked = {name: values[0] for name, values in parse_qs(urlsplit(handler.path).query).items()}
        folder = self.world.folders[asked["name"], asked["version"]]
        return 200, {}, (folder / asked["path"]).read_bytes()

    def _knock(self, handler: BaseHTTPRequestHandler) -> Answer:
        assert "Authorization" not in handler.headers
        return (200, {}, b'{"experiments": []}') if self.world.open else (401, {}, b"who are you?")

    def _wrong(self, handler: BaseHTTPRequestHandler, answer: Answer) -> Answer:
        status, _, content = answer
        if self.fault == "denied":
            return 403, {}, DENIED
        if self.fault == "throttled":
            return 429, {}, b'{"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "slow down"}'
        if self.fault == "malformed":
            return status, {"Content-Encoding": "gzip"}, content
        if self.fault == "misshapen":
            return status, {}, gzip.compress(content)
        if self.fault == "timeout":
            handler.send_response(status)
            handler.send_header("Content-Length", str(len(content)))
            handler.end_headers()
            handler.wfile.write(content[: len(content) // 2])
            self.over.wait(10)
            return status, {}, b""
        return status, {"Content-Length": str(len(content) + 40)}, content[: len(content) // 2]


class FaultySource(MlflowSource):
    """The real source: listings come from a database by way of `Broken`, files and the probe over HTTP."""

    def __init__(self, front: Answering, database: Path, method: str | None = None, fault: str = "") -> None:
        super().__init__(Mlflow(url=front.url, token="env:TOKEN"), Access("server", front.url, TOKEN))
        self._listed = Database(f"sqlite:///{database}")
        self._method, self._fault = method, fault
        self.client: Any = None

    def open(self, scope: Scope, needs: Mapping[str, str], tape: Tape) -> MlflowServer:
        server = super().open(scope, needs, tape)
        url = self._listed.read_only_url()
        self.client = Broken(library().MlflowClient(url, url), self._method, self._fault)
        server._client = self.client
        return server


class FaultyDatabase(MlflowSource):
    """The real source over a database read directly."""

    def __init__(self, database: Path, method: str | None = None, fault: str = "") -> None:
        url = f"sqlite:///{database}"
        super().__init__(Mlflow(url=url), Access("database", url))
        self._method, self._fault = method, fault
        self.client: Any = None

    def open(self, scope: Scope, needs: Mapping[str, str], tape: Tape) -> MlflowServer:
        server = super().open(scope, needs, tape)
        self.client = server._client = Broken(server._connected(), self._method, self._fault)
        return server


@contextmanager
def spoiled(folder: Path, fault: str) -> Iterator[None]:
    """The model files in a folder cannot be read for a while; whoever runs the tests may be allowed everything."""
    kept = {path: path.read_bytes() for path in (folder / "MLmodel", folder / "requirements.txt")}
    for path in kept:
        path.unlink()
        if fault == "denied":
            path.mkdir()
        else:
            path.write_bytes(b"\xff\xfe")
    yield
    for path, content in kept.items():
        if path.is_dir():
            path.rmdir()
        path.write_bytes(content)


def job(run_id: str, job_id: str = "j1") -> bytes:
    """A line of a job log: a job that is tested only because its run fed production."""
    told = {
        "job_id": job_id, "name": "train", "created_at": "2027-01-14T08:00:00Z", "status": "succeeded",
        "started_by": "ada", "environment": "dev", "network": {"private": True}, "mlflow_run_id": run_id,
    }  # fmt: skip
    return json.dumps(told).encode() + b"\n"
