"""The two worked examples of CONTRIBUTING.md, run as they stand against moto."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest
from moto import mock_aws
from time_machine import travel

from agent import registry as registry_module
from agent.collect import collect
from agent.judge import findings, judge
from agent.ledger import Ledger
from agent.model import Target
from agent.redact import Redactor
from agent.registry import Registry
from tests.aws import emulated

TEXT = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text()
COLLECTOR, CHECK = re.findall(r"```python\n(\"\"\".*?)```", TEXT, re.DOTALL)


def test_the_worked_examples_collect_and_judge(tmp_path, monkeypatch):
    registry = Registry()
    monkeypatch.setattr(registry_module, "REGISTRY", registry)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    for source in (COLLECTOR, CHECK):
        exec(compile(source, "CONTRIBUTING.md", "exec"), {"__name__": __name__})  # noqa: S102 - our own text
    with mock_aws():
        manager = boto3.client("secretsmanager", "us-east-1")
        with travel(datetime(2024, 1, 1, tzinfo=UTC), tick=False):
            old = manager.create_secret(Name="old", SecretString="x")["ARN"]
        new = manager.create_secret(Name="new", SecretString="x")["ARN"]
        spec = registry.streams["aws.secrets.secrets"]
        source = emulated.source()
        target = Target(spec.name, source.scopes(spec.per)[0], spec.kind, spec.every_s, spec.collector)
        snapshot = collect(target, spec, source, Redactor(b"k" * 32, ()))
    ledger = Ledger.open(f"sqlite:///{tmp_path}/e.db", tmp_path / "key", create=True, now_ms=snapshot.start_ms)
    ledger.declare([target], snapshot.start_ms)
    ledger.append_poll(snapshot)
    judge(ledger, registry, {}, snapshot.start_ms)
    told = {finding.key: finding.status.value for finding in findings(ledger, registry)}
    ledger.close()
    assert told == {new: "pass", old: "fail"}


@pytest.mark.parametrize("name", re.findall(r"`(agent/\w+\.py)`", TEXT))
def test_files_named_in_the_text_exist(name):
    assert (Path(__file__).parent.parent / name).is_file()
