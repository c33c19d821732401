"""Every identity stream x declared operation x fault: nothing that depends on what was hidden is pass or fail."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from agent.registry import discover
from agent.settings import Settings
from tests.faults import Lab
from tests.identity.directory import STREAMS, Web, poll, source
from tests.identity.worlds import WORLDS

FAULTS = ("denied", "throttled", "timeout", "malformed", "short")
CASES = [
    pytest.param(name, operation, fault, id=f"{name}-{operation}-{fault}")
    for name, spec in STREAMS.items()
    for operation in spec.needs
    for fault in FAULTS
]
REGISTERS = {"iam-admin-inventory": "who is meant to be one stands in a register that nobody keeps here"}


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Snapshots of good and bad directories, and a ledger of the good ones; more administrators than are allowed: 0."""
    settings = Settings().rule_settings() | {"max_admins": 1, "credential_unused_days": 90}
    told = {
        good: {name: poll(name, source(Web(spec.per, WORLDS[spec.per](good=good)))) for name, spec in STREAMS.items()}
        for good in (True, False)
    }
    assert {name: snapshot.unseen for name, snapshot in told[True].items() if snapshot.unseen} == {}
    lab = Lab(tmp_path_factory.mktemp("lab"), told[True], settings)
    yield SimpleNamespace(lab=lab, bad=told[False])
    lab.ledger.close()


def test_the_two_worlds_differ_in_every_check(worlds):
    before = worlds.lab.baseline
    other = worlds.lab.judged(worlds.bad.values())
    worlds.lab.judged(worlds.lab.good.values())
    turned = {f.check for name, f in other.items() if name in before and before[name].status is not f.status}
    ours = {spec.id for spec in discover().all_checks() if spec.stream.startswith("identity.")}
    assert turned >= {"idp-mfa-registered", "idp-mfa-enforced", "iam-user-unused", "iam-admin-inventory"}
    assert turned <= ours


@pytest.mark.parametrize(("name", "operation", "fault"), CASES)
def test_nothing_unseen_is_judged(worlds, name, operation, fault):
    provider = STREAMS[name].per
    web = Web(provider, WORLDS[provider](good=True), operation, fault)
    faulty = poll(name, source(web))
    assert web.asked[operation], "the stream declares an operation that it does not call"
    assert worlds.lab.wrong(worlds.bad[name], faulty, operation, fault) == []
