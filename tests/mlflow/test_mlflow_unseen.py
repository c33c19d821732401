"""Every MLflow stream x declared operation x fault, over a history with promotions: what was hidden is not judged."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent.collect import collect
from agent.model import Snapshot, Target, Window
from agent.redact import Redactor
from agent.registry import discover
from agent.settings import JobProduction, Profile, Settings, Trainlog
from collectors.mlflow.client import METHODS
from collectors.training import connect
from tests.faults import Chronicle, Sweep
from tests.mlflow.conftest import Answering, Store, poll
from tests.mlflow.telling import START_MS
from tests.mlflow.worlds import FaultyDatabase, FaultySource, Front, World, job, spoiled, worlds

FAULTS = ("denied", "throttled", "timeout", "malformed", "misshapen", "short")
STREAMS = dict(
    sorted(
        ((name, spec) for name, spec in discover().streams.items() if name.startswith("mlflow.")),
        key=lambda stream: bool(stream[1].after),
    )
)
JOBS = "trainlog.training.jobs"
NO_FAULT = {
    ("ProbeWithoutCredential", "denied"): "being refused is the answer that is looked for",
    ("ProbeWithoutCredential", "misshapen"): "a body that is not MLflow's is kept as just that, and judged as such",
}
CASES = [
    (name, operation, fault, when)
    for name, spec in STREAMS.items()
    for operation in spec.needs
    for fault in FAULTS
    if (operation, fault) not in NO_FAULT
    for when in ("newest", "always")
    if when == "newest" or fault == "denied"
]
"""`always`: a permission that was never given."""
IN_PLACE = ("denied", "malformed")
"""What can go wrong with a file on a disk: it has no mark of its length, and nobody who throttles."""

BEFORE, AFTER = range(2), 2
SETTINGS = Settings(
    profiles={"fraud": Profile(required_params=["learning_rate"], seed_required="seed", inputs_required=True)}
).rule_settings() | {
    "job_production": JobProduction(groups=["fraud-training"]).model_dump(),
    "environments": {"mlflow:main": "production"},
}
CANNOT_TURN = {
    "author-attributable": "an author that nobody names fails nothing",
    "job-attributable": "a name that says nothing of a person fails nothing",
    "dataset-used-is-registered": "without a register of data sets nothing is said of any",
    "env-accounts-mapped": "turns with the configuration, not with the server",
    "mlflow-backend-encrypted": "reads the configuration and a database's record, nothing of MLflow",
    "output-safeguard-listed": "without a register of models nothing is said of any",
    "promotion-has-change-record": "without a register of changes nothing is said of any",
}
"""Checks over MLflow that these two worlds cannot turn, and why."""
CANNOT_PASS = {
    "asset-tagged": "whether an owner works here needs a register or an identity source",
    "job-failure-followed": "runs that have not failed are none of its population",
}
"""Checks that fail in the bad world and say nothing definite in the good one, and why."""


@pytest.fixture(scope="module")
def told(template: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Both worlds, the good one's HTTP front, and the chronicle of the good one."""
    folder = tmp_path_factory.mktemp("worlds")
    good, bad = worlds(template, folder)
    answering = {}
    for world in (good, bad):
        front = Front(world)
        answering[world.open] = (front, Answering(front))
        threading.Thread(target=answering[world.open][1].serve_forever, daemon=True).start()
    jobs = {world.open: _jobs(folder, world, template.run_id) for world in (good, bad)}
    sweeps = {world.open: _sweeps(world, answering[world.open][1], jobs[world.open]) for world in (good, bad)}
    unseen = {name: snapshot.unseen for sweep in sweeps[False] for name, snapshot in sweep.items() if snapshot.unseen}
    assert unseen == {}
    chronicle = Chronicle(folder, sweeps[False], sweeps[True], SETTINGS, START_MS)
    front, server = answering[False]
    yield SimpleNamespace(chronicle=chronicle, good=good, front=front, server=server)
    for _, running in answering.values():
        running.shutdown()
        running.server_close()


def _sweeps(world: World, server: Answering, jobs: Snapshot) -> list[Sweep]:
    """Twice before the promotion, once after it: what was approved has then been seen before it began to hold."""
    before: Sweep = {JOBS: jobs, **{name: poll(FaultySource(server, world.before), name) for name in STREAMS}}
    after = {name: poll(FaultySource(server, world.after), name, _window(before[name])) for name in STREAMS}
    return [before, before, {JOBS: jobs, **after}]


def _window(earlier: Snapshot) -> Window | None:
    """What a later poll reads: everything here, and what the earlier one left open."""
    return replace(earlier.window, open_keys=earlier.open_keys) if earlier.window else None


def _jobs(folder: Path, world: World, first_run: str) -> Snapshot:
    """The jobs behind both promoted versions; in the bad world nobody tells of the first one's."""
    first = b"" if world.open else job(first_run, "j0")
    (folder / "jobs.jsonl").write_bytes(first + job(world.run_id))
    spec = discover().streams[JOBS]
    source = connect(Trainlog(path=str(folder / "jobs.jsonl")), lambda reference: reference)
    (scope,) = source.scopes(spec.per)
    target = Target(JOBS, scope, spec.kind, spec.every_s, spec.collector)
    return collect(target, spec, source, Redactor(b"k" * 32, discover().kept_tags), window=Window(0, START_MS))


def test_the_two_worlds_differ_in_every_check(told: Any) -> None:
    """Without this the matrix below would prove little: each check must be able to go both ways."""
    before, other = told.chronicle.baseline, told.chronicle.told(told.chronicle.bad)
    turned = {f.check for name, f in other.items() if name in before and before[name].status is not f.status}
    of_mlflow = {spec.id for spec in discover().all_checks() if spec.stream.startswith("mlflow.")} - set(CANNOT_TURN)
    assert turned >= of_mlflow
    passed = {f.check for f in before.values() if f.status.value == "pass"}
    failed = {f.check for f in other.values() if f.status.value == "fail"}
    assert passed >= of_mlflow - set(CANNOT_PASS)
    assert failed >= of_mlflow
    assert not passed & set(CANNOT_PASS)


def test_every_declared_operation_is_among_the_cases() -> None:
    declared = {(name, operation) for name, spec in STREAMS.items() for operation in spec.needs}
    assert {(name, operation) for name, operation, _, _ in CASES} == declared


@pytest.mark.parametrize(("stream", "operation", "fault", "when"), CASES)
def test_nothing_unseen_is_judged(
    told: Any, monkeypatch: pytest.MonkeyPatch, stream: str, operation: str, fault: str, when: str
) -> None:
    """A fault in the newest poll, or one that was there from the first."""
    window = told.chronicle.good[AFTER][stream].window
    faulty = {AFTER: _poll(told, monkeypatch, told.good.after, window, stream, operation, fault)}
    if when == "always":
        earlier = _poll(told, monkeypatch, told.good.before, None, stream, operation, fault)
        faulty |= dict.fromkeys(BEFORE, earlier)
    assert told.chronicle.wrong(faulty, operation, fault) == []


@pytest.mark.parametrize("fault", IN_PLACE)
def test_files_that_cannot_be_read_in_place(told: Any, fault: str) -> None:
    """The same operation where the database is read directly: no server stands between."""
    with spoiled(told.good.folders["fraud", "2"], fault):
        faulty = poll(FaultyDatabase(told.good.after), "mlflow.artifacts.models")
    assert told.chronicle.wrong({AFTER: faulty}, "GetModelVersionArtifact", fault) == []


def _poll(
    told: Any,
    monkeypatch: pytest.MonkeyPatch,
    database: Path,
    window: Window | None,
    stream: str,
    operation: str,
    fault: str,
) -> Snapshot:
    """One poll in which the operation goes wrong; it must have been called."""
    method, front = METHODS.get(operation), told.front
    direct = operation == "GetModelVersionDownloadUri"
    source = FaultyDatabase(database, method, fault) if direct else FaultySource(told.server, database, method, fault)
    front.operation, front.fault, front.hits = operation, fault, 0
    front.over.clear()
    if fault == "timeout":
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "0.5")
    try:
        snapshot = poll(source, stream, window)
    finally:
        front.fault = ""
        front.over.set()
        source.close()
    assert (source.client.hits if method else front.hits) > 0, f"{operation} was not called"
    return snapshot
