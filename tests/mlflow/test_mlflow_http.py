"""The MLflow collectors over HTTP: a real server, a proxy that asks for a token, and servers that misbehave."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from agent.model import PollStatus, Reason
from agent.registry import discover
from collectors.mlflow import MlflowSource
from tests.mlflow.conftest import TOKEN, Store, behind_a_token, bodies, poll, stored_bytes

pytestmark = pytest.mark.usefixtures("impatient")
Make = Callable[..., MlflowSource]
READ = [
    "mlflow.registry.models",
    "mlflow.registry.versions",
    "mlflow.registry.prompts",
    "mlflow.registry.prompt_versions",
    "mlflow.tracking.runs",
    "mlflow.tracking.source_runs",
    "mlflow.artifacts.models",
]


def told(snapshot: Any) -> dict[str, Any]:
    return {key: (body["facts"], body["gaps"]) for key, body in bodies(snapshot).items()}


def test_a_server_and_its_database_tell_the_same(server: str, template: Store, source_of: Make, serve: Any) -> None:
    front = serve(behind_a_token(server))
    for stream in READ:
        over_http = poll(source_of(front.url, token=TOKEN), stream)
        direct = poll(source_of(template.url), stream)
        assert over_http.status is PollStatus.COMPLETE, (stream, over_http.receipt)
        # the server hides some of MLflow's own tags; which values were left out is not compared
        assert told(over_http) == told(direct), stream
        assert over_http.items
        assert TOKEN.encode() not in stored_bytes(over_http)
        assert over_http.receipt["identity"] == "bearer token"
        assert over_http.receipt["endpoint"] == front.url
    assert all(headers.get("Authorization") == f"Bearer {TOKEN}" for _, headers in front.seen)


def test_without_the_token_everything_is_denied(server: str, source_of: Make, serve: Any) -> None:
    front = serve(behind_a_token(server))
    for stream in READ:
        snapshot = poll(source_of(front.url), stream)
        assert (snapshot.status, snapshot.why) == (PollStatus.FAILED, Reason.DENIED), stream
        gap = snapshot.receipt["gap"]
        assert gap["need"] == discover().streams[stream].needs[gap["op"]]


def test_a_user_and_password_are_sent_as_such(source_of: Make, serve: Any) -> None:
    front = serve(lambda _handler, _body: (200, {"Content-Type": "application/json"}, b"{}"))
    snapshot = poll(source_of(front.url, token="reader:s3cret-word"), "mlflow.registry.models")
    assert snapshot.receipt["identity"] == "reader"
    assert front.seen[0][1]["Authorization"] == "Basic cmVhZGVyOnMzY3JldC13b3Jk"


def test_the_probe_finds_an_open_server(server: str, source_of: Make) -> None:
    snapshot = poll(source_of(server, token=TOKEN), "mlflow.server.access")
    (body,) = bodies(snapshot).values()
    assert body["facts"]["answer"] == {"status": 200, "error_code": None, "is_mlflow": True, "redirects_to": None}
    assert (body["facts"]["kind"], body["facts"]["host_is"]) == ("server", "loopback")
    assert abs(snapshot.tape.skew_ms) < 60_000


def test_the_probe_sends_no_credential(
    server: str, source_of: Make, serve: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ada password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    front = serve(behind_a_token(server))
    (body,) = bodies(poll(source_of(front.url, token=TOKEN), "mlflow.server.access")).values()
    assert body["facts"]["answer"]["status"] == 401
    assert ["Authorization" in headers for _, headers in front.seen] == [False]


@pytest.mark.parametrize(
    ("status", "headers", "content", "expected"),
    [
        (403, {}, b'{"error_code": "PERMISSION_DENIED"}', (403, "PERMISSION_DENIED", True, None)),
        (302, {"Location": "https://login.example.com/oauth?client=1"}, b"", (302, None, False, "login.example.com")),
        (200, {}, b"<html>Sign in</html>", (200, None, False, None)),
        (200, {}, b'{"experiments": [{"name": "x"}', (200, None, True, None)),
        (400, {}, b'{"error_code": "INVALID_PARAMETER_VALUE"}', (400, "INVALID_PARAMETER_VALUE", True, None)),
        (502, {}, b"bad gateway", (502, None, False, None)),
    ],
)
def test_what_the_probe_keeps(
    source_of: Make, serve: Any, status: int, headers: dict[str, str], content: bytes, expected: tuple[Any, ...]
) -> None:
    front = serve(lambda _handler, _body: (status, headers, content))
    (body,) = bodies(poll(source_of(front.url), "mlflow.server.access")).values()
    assert (
        tuple(body["facts"]["answer"][name] for name in ("status", "error_code", "is_mlflow", "redirects_to"))
        == expected
    )


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("status", "content", "reason", "code"),
    [
        (401, b"no", Reason.DENIED, "UNAUTHENTICATED"),
        (403, b'{"error_code": "PERMISSION_DENIED", "message": "no"}', Reason.DENIED, "PERMISSION_DENIED"),
        (429, b"slow down", Reason.THROTTLED, "RESOURCE_EXHAUSTED"),
        (503, b"later", Reason.UNREACHABLE, "TEMPORARILY_UNAVAILABLE"),
        (500, b"oops", Reason.UNREACHABLE, "HTTP500"),
        (404, b"<html>not here</html>", Reason.UNSUPPORTED, "ENDPOINT_NOT_FOUND"),
        (404, b'{"error_code": "ENDPOINT_NOT_FOUND", "message": "no"}', Reason.UNSUPPORTED, "ENDPOINT_NOT_FOUND"),
        (200, b"<html>Sign in</html>", Reason.MALFORMED, "NotJSON"),
        (200, b'{"registered_models": [{"name": ', Reason.MALFORMED, "NotJSON"),
    ],
)
def test_answers_that_are_none(
    source_of: Make, serve: Any, status: int, content: bytes, reason: Reason, code: str
) -> None:
    front = serve(lambda _handler, _body: (status, JSON, content))
    snapshot = poll(source_of(front.url), "mlflow.registry.models")
    assert snapshot.status is PollStatus.FAILED
    gap = snapshot.receipt["gap"]
    assert (gap["reason"], gap["code"], gap["op"]) == (reason.value, code, "SearchRegisteredModels")
    assert gap["need"] == ("READ on registered models" if reason is Reason.DENIED else None)


def test_a_page_that_fails_leaves_a_partial_list(source_of: Make, serve: Any) -> None:
    pages = [b'{"registered_models": [{"name": "fraud"}], "next_page_token": "2"}']

    def answer(handler: BaseHTTPRequestHandler, _body: bytes) -> tuple[int, dict[str, str], bytes]:
        return (200, JSON, pages[0]) if "page_token" not in handler.path else (403, JSON, b"no")

    snapshot = poll(source_of(serve(answer).url), "mlflow.registry.models")
    assert (snapshot.status, snapshot.why) == (PollStatus.PARTIAL, Reason.DENIED)
    assert [item.key for item in snapshot.items] == ["fraud"]


def test_a_server_that_does_not_answer(source_of: Make, serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def answer(_handler: BaseHTTPRequestHandler, _body: bytes) -> tuple[int, dict[str, str], bytes]:
        release.wait(20)
        return 200, {}, b"{}"

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    try:
        snapshot = poll(source_of(serve(answer).url), "mlflow.registry.models")
    finally:
        release.set()
    assert (snapshot.status, snapshot.why) == (PollStatus.FAILED, Reason.TIMEOUT)


@pytest.mark.parametrize("stream", [*READ, "mlflow.server.access"])
def test_nobody_there(source_of: Make, serve: Any, stream: str) -> None:
    gone = serve(lambda _handler, _body: (200, {}, b"{}"))
    gone.shutdown()
    gone.server_close()
    snapshot = poll(source_of(gone.url), stream)
    assert (snapshot.status, snapshot.why) == (PollStatus.FAILED, Reason.UNREACHABLE)


def test_files_the_server_cannot_give_are_gaps_of_their_version(server: str, source_of: Make, serve: Any) -> None:
    pass_on = behind_a_token(server)

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if "requirements.txt" in handler.path:
            return 403, JSON, b'{"error_code": "PERMISSION_DENIED"}'
        return pass_on(handler, body)

    snapshot = poll(source_of(serve(answer).url, token=TOKEN), "mlflow.artifacts.models")
    assert snapshot.status is PollStatus.COMPLETE
    body = bodies(snapshot)["fraud/1"]
    assert body["facts"]["mlmodel"]["signature"]["inputs"]
    assert body["gaps"]["/requirements"] == {
        "code": "PERMISSION_DENIED",
        "need": "READ on registered models",
        "op": "GetModelVersionArtifact",
        "reason": "denied",
    }
