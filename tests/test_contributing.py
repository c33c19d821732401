"""The two worked examples of CONTRIBUTING.md, run as they stand against moto."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from moto import mock_aws

from agent import registry as registry_module
from agent.collect import collect
from agent.judge import findings, judge
from agent.ledger import Ledger
from agent.model import Target
from agent.redact import Redactor
from agent.registry import Registry
from collectors.aws import AwsSource

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
        kms = boto3.client("kms", "us-east-1")
        rotating, still = (kms.create_key()["KeyMetadata"] for _ in range(2))
        kms.enable_key_rotation(KeyId=rotating["KeyId"])
        spec = registry.streams["aws.kms.keys"]
        source = AwsSource(SimpleNamespace(role=None, external_id=None, accounts=[], regions=["us-east-1"]), str)
        target = Target(spec.name, source.scopes(spec.per)[0], spec.kind, spec.every_s, spec.collector)
        snapshot = collect(target, spec, source, Redactor(b"k" * 32, ()))
    ledger = Ledger.open(f"sqlite:///{tmp_path}/e.db", tmp_path / "key", create=True, now_ms=snapshot.start_ms)
    ledger.declare([target], snapshot.start_ms)
    ledger.append_poll(snapshot)
    judge(ledger, registry, {}, snapshot.start_ms)
    told = {finding.key: finding.status.value for finding in findings(ledger, registry)}
    ledger.close()
    assert told == {rotating["Arn"]: "pass", still["Arn"]: "fail"}


@pytest.mark.parametrize("name", re.findall(r"`(agent/\w+\.py)`", TEXT))
def test_files_named_in_the_text_exist(name):
    assert (Path(__file__).parent.parent / name).is_file()
