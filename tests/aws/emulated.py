"""An emulated account: polls of it, what they found, and operations the emulator answers wrongly or not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.validate import ParamValidator
from moto import mock_aws

from agent import clock
from agent.canonical import parse
from agent.collect import collect
from agent.model import Kind, Snapshot, Target, Window
from agent.redact import Redactor
from agent.registry import discover
from collectors.aws import AwsSource

ACCOUNT = "123456789012"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
STREAMS = {name: spec for name, spec in discover().streams.items() if name.startswith("aws.")}


@contextmanager
def account() -> Iterator[None]:
    """An empty emulated account, and credentials for it."""
    with pytest.MonkeyPatch.context() as patch:
        credentials(patch)
        with mock_aws():
            yield


def credentials(patch: pytest.MonkeyPatch) -> None:
    """Credentials that open nothing but an emulator."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        patch.setenv(name, "testing")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    patch.setenv("AWS_MAX_ATTEMPTS", "1")


def source(pauses: list[float] | None = None, **settings: Any) -> AwsSource:
    """The real source; `pauses` takes the seconds that it would have waited."""
    given = {"role": None, "external_id": None, "accounts": [], "regions": ["us-east-1"], "calls_per_day": 0,
             "artifacts": [], "scan_job_logs": False, **settings}  # fmt: skip
    pause = ([] if pauses is None else pauses).append
    return AwsSource(SimpleNamespace(**given), lambda name: f"value of {name}", pause)


def poll(name: str, of: AwsSource | None = None, window: Window | None = None) -> Snapshot:
    """One poll of a stream in the first account (and region); of jobs and events by default over all time."""
    spec, of = STREAMS[name], of or source()
    target = Target(name, of.scopes(spec.per)[0], spec.kind, spec.every_s, spec.collector)
    if spec.kind is not Kind.STATE:
        window = window or Window(0, clock.now_ms())
    return collect(target, spec, of, Redactor(b"k" * 32, discover().kept_tags), window=window)


def envelopes(snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    """What was stored, by key."""
    return {item.key: parse(snapshot.documents[item.digest]) for item in snapshot.items}


def facts(snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    """Facts of each record of a snapshot that saw everything."""
    assert (snapshot.status.value, snapshot.gaps) == ("complete", 0), snapshot
    return {key: envelope["facts"] for key, envelope in envelopes(snapshot).items()}


def on_call(
    of: AwsSource,
    operation: str,
    answer: Callable[[Mapping[str, Any]], Mapping[str, Any] | None],
    *,
    well_formed: bool = True,
) -> None:
    """Have `service.Operation` answered by a function of the request's parameters; None lets the emulator answer.

    Answers are checked against the SDK's own model: a misspelt member fails here. An answer with `Error`
    is a refusal.
    """
    session = of._access("").session
    of._accesses[ACCOUNT] = of._accesses[""]
    answered(session, operation, answer, well_formed=well_formed)


def answered(
    session: Any,
    operation: str,
    answer: Callable[[Mapping[str, Any]], Mapping[str, Any] | None],
    *,
    well_formed: bool = True,
) -> None:
    """As `on_call`, for every client of one session of the SDK."""
    service, name = operation.split(".")

    def reply(model: Any, params: Mapping[str, Any], **_: Any) -> Any:
        body = answer(params)
        if body is None:
            return None
        status = body.get("Error", {}).get("Status", 400) if "Error" in body else 200
        if well_formed and "Error" not in body:
            report = ParamValidator().validate(dict(body), model.output_shape)
            assert not report.has_errors(), report.generate_report()
        told = {"HTTPStatusCode": status, "HTTPHeaders": {}, "RequestId": "made-up"}
        return AWSResponse("http://made.up", status, {}, None), {**body, "ResponseMetadata": told}

    session.register(f"before-call.{service}.{name}", reply)


def refuse(of: AwsSource, operation: str, code: str, status: int = 403) -> None:
    """Have `service.Operation` refused with this code."""
    on_call(of, operation, lambda _params: {"Error": {"Code": code, "Message": "no", "Status": status}})


def counted(of: AwsSource) -> Counter[str]:
    """How often each operation is called from now on."""
    calls: Counter[str] = Counter()
    of._accesses[ACCOUNT] = of._access("")

    def note(model: Any, **_: Any) -> None:
        calls[model.name] += 1

    of._access("").session.register("before-call", note)
    return calls
