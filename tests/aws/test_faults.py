"""Every AWS stream x declared operation x fault: nothing that depends on what was hidden is pass or fail."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ReadTimeoutError
from botocore.parsers import ResponseParserError
from moto import mock_aws

from agent import clock
from agent.collect import collect
from agent.model import Kind, Target, Window
from agent.redact import Redactor
from agent.registry import discover
from agent.settings import Settings
from collectors.aws import AwsSource
from tests.aws import worlds as worlds_of
from tests.aws.emulated import answered
from tests.faults import Lab

FAULTS = ("denied", "throttled", "timeout", "malformed", "short")
LOADER = botocore.session.Session().get_component("data_loader")
"""One loader of service models for all cases: reading them is most of what a new session costs."""
TOKENS = ("ContinuationToken", "NextToken", "nextToken", "NextMarker")
"""Members that say "there is more": the page after it is refused."""

STREAMS = {name: spec for name, spec in discover().streams.items() if name.startswith("aws.")}
CASES = [
    pytest.param(name, operation, fault, id=f"{name}-{operation}-{fault}")
    for name, spec in STREAMS.items()
    for operation in spec.needs
    for fault in FAULTS
    if not (fault == "short" and operation in worlds_of.EMPTY_IS_AN_ANSWER)
]
SETTINGS = worlds_of.settings(Settings().rule_settings())


class Faulty(AwsSource):
    """The real source over sessions in which one operation goes wrong."""

    def __init__(self, operation: str = "", fault: str = "", *, good: bool = True) -> None:
        settings = SimpleNamespace(
            role=None,
            external_id=None,
            accounts=["123456789012"],
            regions=["us-east-1"],
            calls_per_day=0,
            **worlds_of.SOURCE,
        )
        super().__init__(settings, lambda reference: reference, pause=lambda seconds: None)
        self.operation, self.fault, self.cut, self.more = operation, fault, False, False
        self.good = good

    def _access(self, account: str) -> Any:
        new = account not in self._accesses
        access = super()._access(account)
        access.session.register_component("data_loader", LOADER)
        if new and self.fault:
            for service in worlds_of.SERVICES:
                stage = "after-call" if self.fault == "short" else "before-call"
                access.session.register(f"{stage}.{service}.{self.operation}", getattr(self, f"_{self.fault}"))
                if self.fault == "short":
                    access.session.register(f"before-call.{service}.{self.operation}", self._second)
        if new:  # after the faults: the first that answers counts
            for operation, answer in worlds_of.answers(good=self.good).items():
                answered(access.session, operation, answer)
        return access

    def _denied(self, **_: Any) -> Any:
        return _error(403, "AccessDenied")

    def _throttled(self, **_: Any) -> Any:
        return _error(400, "Throttling")

    def _timeout(self, **_: Any) -> Any:
        raise ReadTimeoutError(endpoint_url="https://aws.invalid")

    def _malformed(self, **_: Any) -> Any:
        raise ResponseParserError("not what the model says")

    def _short(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        """A page that is cut, with a mark that there is more, or an answer without its members."""
        if "Error" in parsed:
            return
        self.cut = True
        members = model.output_shape.members
        lists = [name for name, value in parsed.items() if isinstance(value, list)]
        token = next((name for name in TOKENS if name in members), None)
        if "IsTruncated" in members and "NextContinuationToken" not in members:
            parsed["IsTruncated"] = True
            parsed.pop("Marker", None)
        elif lists and token:
            parsed[token] = "more"
            self.more = True
            if "Truncated" in members:
                parsed["Truncated"] = True
        else:
            for name in [name for name in parsed if name != "ResponseMetadata"]:
                del parsed[name]
        for name in lists:
            del parsed.get(name, [])[-1:]

    def _second(self, **_: Any) -> Any:
        return _error(500, "InternalError") if self.more else None


def _error(status: int, code: str) -> tuple[AWSResponse, dict[str, Any]]:
    body = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}}}
    return AWSResponse("https://aws.invalid", status, {}, None), body


def poll(name: str, source: AwsSource) -> Any:
    spec = STREAMS[name]
    scope = source.scopes(spec.per)[0]
    for access in source._accesses.values():
        access.places.clear()  # each stream asks for itself, whatever another one has asked
    return collect(
        Target(name, scope, spec.kind, spec.every_s, spec.collector),
        spec,
        source,
        Redactor(b"k" * 32, discover().kept_tags),
        window=None if spec.kind is Kind.STATE else Window(0, clock.now_ms()),
    )


@pytest.fixture(autouse=True)
def credentials(alone: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invented ones, for the calls that the tests themselves make."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Snapshots of a good and a bad account, the findings of the good one, and the good account itself, still there."""
    patch = pytest.MonkeyPatch()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        patch.setenv(name, "testing")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        worlds_of.fill(good=False)
        source = Faulty(good=False)
        bad = {name: poll(name, source) for name in STREAMS}
    with mock_aws():
        worlds_of.fill(good=True)
        source = Faulty()
        good = {name: poll(name, source) for name in STREAMS}
        assert {name: snapshot.unseen for name, snapshot in good.items() if snapshot.unseen} == {}
        lab = Lab(tmp_path_factory.mktemp("lab"), good, SETTINGS)
        yield SimpleNamespace(lab=lab, bad=bad)
        lab.ledger.close()
    patch.undo()


def test_the_two_worlds_differ_in_every_check(worlds):
    """Without this the matrix below would prove little: each check must be able to go both ways."""
    before = worlds.lab.baseline
    other = worlds.lab.judged(worlds.bad.values())
    worlds.lab.judged(worlds.lab.good.values())
    turned = {f.check for name, f in other.items() if name in before and before[name].status is not f.status}
    of_aws = {spec.id for spec in discover().all_checks() if spec.stream.startswith("aws.")}
    assert turned == of_aws - set(worlds_of.CANNOT_TURN)


@pytest.mark.parametrize("name", STREAMS)
def test_what_is_declared_is_called(worlds, name):
    """What is called without being declared is refused by the client; a permission nobody uses is asked for in vain."""
    assert set(worlds.lab.good[name].tape.operations) == set(STREAMS[name].needs)


@pytest.mark.parametrize(("name", "operation", "fault"), CASES)
def test_nothing_unseen_is_judged(worlds, name, operation, fault):
    source = Faulty(operation, fault)
    faulty = poll(name, source)
    if fault == "short" and not source.cut:  # the good account has nothing of this kind: nothing to cut
        assert not faulty.unseen
        return
    assert worlds.lab.wrong(worlds.bad[name], faulty, operation, fault) == []
