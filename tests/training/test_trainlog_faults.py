"""The job log: declared operation x fault, told in two sweeps: what was hidden is neither passed nor failed."""

from __future__ import annotations

import errno
import gzip
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agent.collect import collect
from agent.model import Snapshot, Target, Window
from agent.redact import Redactor
from agent.registry import discover
from agent.settings import JobProduction, Settings, Thresholds
from collectors.training import TrainlogSource
from tests.faults import Chronicle

START_MS = 1_800_000_000_000
STREAMS = {name: spec for name, spec in discover().streams.items() if name.startswith("trainlog.")}
FAULTS = ("denied", "throttled", "timeout", "malformed", "misshapen", "short")
NOT_OF_A_FOLDER = {
    ("ListLog", "malformed"),
    ("ListLog", "misshapen"),
    ("ListLog", "throttled"),
    ("ReadLog", "throttled"),
}
"""A folder has names, whatever they are; and no file system asks to be called less often."""
CASES = [
    (name, operation, fault, when)
    for name, spec in STREAMS.items()
    for operation in spec.needs
    for fault in FAULTS
    if (operation, fault) not in NOT_OF_A_FOLDER
    for when in ("newest", "always")
    if when == "newest" or fault == "denied"
]
SETTINGS = Settings(thresholds=Thresholds(trusted_registries=["ghcr.io"])).rule_settings() | {
    "job_production": JobProduction(groups=["nightly"]).model_dump()
}
NEEDS_MORE = {
    "dataset-used-is-registered": "the register of data sets",
    "job-attributable": "nothing: a name that says nothing is no failure",
}
"""Checks that a log alone cannot turn from pass to fail, and what they would need."""
OLD, NEW, PACKED = "a.jsonl", "b.jsonl", "c.jsonl.gz"
ERRORS = {
    "denied": PermissionError(errno.EACCES, "Permission denied"),
    "timeout": TimeoutError(errno.ETIMEDOUT, "Connection timed out"),
    "short": OSError(errno.EIO, "Input/output error"),
}
"""What reading a folder on a mounted disk raises."""


def line(id: str, *, good: bool, **given: Any) -> bytes:
    """A job of a production group with everything in order, or nothing."""
    job = {"job_id": id, "name": "train", "group": "nightly", "created_at": "2027-01-14T08:00:00Z", "started_by": "ada"}
    settings = {
        "network": {"private": good},
        "encryption": {"volume": good},
        "image": {"uri": "ghcr.io/example/train@sha256:" + "a" * 64 if good else "docker.io/example/train:latest"},
        "params": {"lr": "0.1"} if good else {"hub": "hf_" + "abcdefghijklmnopqrstuvwxyzABCDEFGH"},
        "status": "succeeded" if good else "running",
        "stopping_limit_days": 0.5,
        "code": {"commit": "c" * 40 if good else None},
        "inputs": [{"uri": "/data/a", "version_or_digest": "v1" if good else None, "data_class": "restricted"}],
        "log": {"streams": 1, "first_at": "2027-01-01T09:00:00Z", "last_at": "2027-01-01T10:00:00Z"} if good else None,
        "started_at": "2027-01-01T09:00:00Z",
        "ended_at": "2027-01-01T10:00:00Z",
        "tags": {"acknowledged_by": "ada"} if good else {},
    }
    return json.dumps(job | settings | given).encode() + b"\n"


def log(folder: Path, *, good: bool) -> tuple[Path, Path]:
    """The log as it is at first, with two jobs still running, and as it is later."""
    before, after = folder / "before", folder / "after"
    begun = {"good": good, "status": "running", "stopping_limit_days": 5}
    ended = {"good": good, "status": "succeeded" if good else "Lost", "stopping_limit_days": 5}
    cut_off = {"good": good, "status": "failed", "failure_reason": "out of memory"}
    read = [{"uri": "/data/a", "version_or_digest": "v1", "data_class": "internal" if good else "restricted"}]
    elsewhere = {"good": good, "group": None, "environment": "dev", "inputs": read}
    first = line("j1", **begun) + line("j2", good=good) + line("j3", **begun)
    first += line("j6", **cut_off) + line("j7", **elsewhere)
    for path in (before, after):
        path.mkdir(parents=True)
        (path / OLD).write_bytes(first)
    (after / NEW).write_bytes(line("j1", **ended) + line("j4", good=good))
    (after / PACKED).write_bytes(gzip.compress(line("j3", **ended) + line("j5", good=good) * 50))
    return before, after


class Stalling(io.RawIOBase):
    """A file on a disk that stops answering after its first bytes."""

    def __init__(self, content: bytes, error: OSError) -> None:
        self._content, self._error = content, error

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._content:
            raise self._error
        given, self._content = self._content[: len(buffer)], b""
        buffer[: len(given)] = given
        return len(given)


def failing(folder: Path, operation: str, names: Sequence[str], error: OSError, hits: list[str]) -> Path:
    """The folder as a path that cannot be listed, or whose files of these names cannot be read to their end."""

    class Failing(type(folder)):  # type: ignore[misc]
        def iterdir(self) -> Any:
            if operation == "ListLog":
                hits.append(operation)
                raise error
            return super().iterdir()

        def open(self, *arguments: Any, **parameters: Any) -> Any:
            if operation != "ReadLog" or self.name not in names:
                return super().open(*arguments, **parameters)
            hits.append(operation)
            if isinstance(error, PermissionError):
                raise error
            return io.BufferedReader(Stalling(self.read_bytes()[:20], error))

        def read_bytes(self) -> bytes:
            return Path(self).read_bytes()

    return Failing(folder)


def spoiled(folder: Path, to: Path, fault: str) -> Path:
    """A copy of the log in which what tells of the end of j1 (or j3) cannot be made out."""
    to.mkdir()
    content = {path.name: path.read_bytes() for path in folder.iterdir()}
    cut = content[NEW].index(b"\n")
    if fault == "short":
        content[PACKED] = content[PACKED][:40]
    elif fault == "malformed":
        content[NEW] = content[NEW][: cut - 20] + content[NEW][cut:]
    else:
        content[NEW] = line("j1", good=True, started_by=7) + content[NEW][cut + 1 :]
    for name, data in content.items():
        (to / name).write_bytes(data)
    return to


def poll(name: str, path: Path, window: Window) -> Snapshot:
    spec, source = STREAMS[name], TrainlogSource("main", path)
    (scope,) = source.scopes(spec.per)
    target = Target(name, scope, spec.kind, spec.every_s, spec.collector)
    return collect(target, spec, source, Redactor(b"k" * 32, discover().kept_tags), window=window)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Both logs in two sweeps each, and the findings about the good one."""
    folder = tmp_path_factory.mktemp("logs")
    paths = {good: log(folder / str(good), good=good) for good in (True, False)}
    window = Window(0, START_MS)
    sweeps: dict[bool, list[Mapping[str, Snapshot]]] = {}
    for good, (before, after) in paths.items():
        first = {name: poll(name, before, window) for name in STREAMS}
        later = {name: poll(name, after, replace(window, open_keys=first[name].open_keys)) for name in STREAMS}
        sweeps[good] = [first, later]
    assert {snapshot.open_keys for snapshot in sweeps[True][0].values()} == {frozenset({"j1", "j3"})}
    assert not [snapshot.unseen for sweep in sweeps[True] for snapshot in sweep.values() if snapshot.unseen]
    chronicle = Chronicle(folder, sweeps[True], sweeps[False], SETTINGS, START_MS)
    return SimpleNamespace(chronicle=chronicle, paths=paths[True], folder=folder)


def test_the_two_worlds_differ_in_every_check(told: Any) -> None:
    """Without this the matrix below would prove little: each check must be able to go both ways."""
    good, bad = told.chronicle.baseline.values(), told.chronicle.told(told.chronicle.bad).values()
    of_logs = {spec.id for spec in discover().all_checks() if spec.stream.startswith("trainlog.")}
    assert {finding.check for finding in good if finding.status.value == "pass"} >= of_logs - set(NEEDS_MORE)
    assert {finding.check for finding in bad if finding.status.value == "fail"} >= of_logs - set(NEEDS_MORE)


def test_every_declared_operation_is_among_the_cases() -> None:
    declared = {(name, operation) for name, spec in STREAMS.items() for operation in spec.needs}
    assert {(name, operation) for name, operation, _, _ in CASES} == declared


@pytest.mark.parametrize(("stream", "operation", "fault", "when"), CASES)
def test_nothing_unseen_is_judged(
    told: Any, tmp_path: Path, stream: str, operation: str, fault: str, when: str
) -> None:
    """A fault in the newest poll, or one that was there from the first."""
    faulty = {}
    for sweep, path in enumerate(told.paths):
        if sweep == 1 or when == "always":
            window = told.chronicle.good[sweep][stream].window
            names = [NEW] if when == "newest" else [OLD, NEW, PACKED]
            hits: list[str] = []
            if operation == "ReadLog" and fault in ("malformed", "misshapen", "short"):
                broken = spoiled(path, tmp_path / f"{sweep}", fault)
            else:
                broken = failing(path, operation, names, ERRORS[fault], hits)
            faulty[sweep] = poll(stream, broken, window)
            assert hits or broken.parent == tmp_path, f"{operation} was not called"
    assert told.chronicle.wrong(faulty, operation, fault) == []
