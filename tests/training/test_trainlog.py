"""Job logs as clusters write them: whole lines, half lines, bad lines, packed files, odd names."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.canonical import canonical, parse
from agent.collect import collect
from agent.errors import UsageError
from agent.model import PollStatus, Reason, Scope, Snapshot, Tape, Target, Window
from agent.redact import Redactor
from agent.registry import discover
from agent.settings import Trainlog
from collectors.training import TrainlogSource, connect
from collectors.training.normal import STATUSES, job_status

STREAM = "trainlog.training.jobs"
JOB = {
    "job_id": "j1",
    "name": "train",
    "created_at": "2027-01-10T08:00:00Z",
    "status": "succeeded",
    "started_by": "ada",
}
HF_TOKEN = "hf_" + "abcdefghijklmnopqrstuvwxyzABCDEFGH"
PASSWORD = "Tr0ub4dor-and-3-horses"


def line(**given: Any) -> bytes:
    return json.dumps(JOB | given).encode() + b"\n"


def poll(path: Path) -> Snapshot:
    spec = discover().streams[STREAM]
    source = connect(Trainlog(path=str(path)), lambda reference: reference)
    (scope,) = source.scopes("source")
    target = Target(STREAM, scope, spec.kind, spec.every_s, spec.collector)
    redactor = Redactor(b"k" * 32, discover().kept_tags)
    return collect(target, spec, source, redactor, window=Window(0, 4_000_000_000_000))


def bodies(snapshot: Snapshot) -> Mapping[str, Any]:
    return {item.key: parse(snapshot.documents[item.digest]) for item in snapshot.items}


def facts(snapshot: Snapshot) -> Mapping[str, Any]:
    assert snapshot.status is PollStatus.COMPLETE, snapshot.receipt
    return {key: body["facts"] for key, body in bodies(snapshot).items()}


def test_a_folder_of_plain_and_packed_files(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(line(job_id="j1") + b"\n" + line(job_id="j2", cluster={"nodes": 4}))
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(line(job_id="j3")))
    (tmp_path / "notes.txt").write_bytes(b"not a log")
    snapshot = poll(tmp_path)
    jobs = facts(snapshot)
    assert set(jobs) == {"j1", "j2", "j3"}
    assert jobs["j2"]["cluster"] == {"nodes": 4}, "unknown fields are kept"
    assert jobs["j1"]["started_by"] == {"principal": "ada", "source": "log", "assurance": "self_asserted"}
    assert (snapshot.tape.pages, snapshot.tape.calls) == (2, 3)
    assert snapshot.receipt["endpoint"] == tmp_path.name


def test_one_file(tmp_path: Path) -> None:
    (tmp_path / "jobs.jsonl").write_bytes(line())
    assert set(facts(poll(tmp_path / "jobs.jsonl"))) == {"j1"}


def test_an_empty_folder_has_no_jobs(tmp_path: Path) -> None:
    assert facts(poll(tmp_path)) == {}


def test_the_newest_line_of_a_job_counts(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(
        line(status="running") + line(job_id="j2", status="running") + line(status="failed")
    )
    (tmp_path / "b.jsonl").write_bytes(line(job_id="j2", status="stopped"))
    snapshot = poll(tmp_path)
    assert {key: job["status"] for key, job in facts(snapshot).items()} == {"j1": "failed", "j2": "stopped"}
    assert snapshot.open_keys == frozenset()


def test_jobs_that_still_run_stay_open(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(
        line(status="running") + line(job_id="j2", status="Lost in space") + line(job_id="j3")
    )
    snapshot = poll(tmp_path)
    assert snapshot.open_keys == frozenset({"j1", "j2"})
    assert facts(snapshot)["j2"]["status"] == "unknown"
    assert facts(snapshot)["j2"]["status_said"] == "Lost in space"


@pytest.mark.parametrize("end", [b"", b'{"job_id": "j2", "na', b'{"job_id": "j2"}'])
def test_a_last_line_without_its_end_waits(tmp_path: Path, end: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(line() + end)
    assert set(facts(poll(tmp_path))) == {"j1"}
    path.write_bytes(line() + line(job_id="j2"))
    assert set(facts(poll(tmp_path))) == {"j1", "j2"}


BAD_LINES = [
    b"{\n",
    b"[]\n",
    b'"text"\n',
    b"\xff\xfe\n",
    b"[" * 100_000 + b"\n",
    line(job_id=None),
    line(job_id=7),
    line(job_id=""),
    line(job_id="a\x00b"),
    line(job_id="x" * 1025),
    json.dumps(JOB | {"job_id": "\ud800"}).encode() + b"\n",
]


@pytest.mark.parametrize("bad", BAD_LINES, ids=range(len(BAD_LINES)))
def test_a_bad_line_makes_the_poll_partial_and_is_named(tmp_path: Path, bad: bytes) -> None:
    (tmp_path / "a.jsonl").write_bytes(line() + bad + line(job_id="j3"))
    snapshot = poll(tmp_path)
    assert (snapshot.status, snapshot.why) == (PollStatus.PARTIAL, Reason.MALFORMED)
    assert snapshot.receipt["gap"]["code"] == "a.jsonl:2"
    assert [item.key for item in snapshot.items] == ["j1", "j3"]


@pytest.mark.parametrize(
    "given",
    [
        {"name": ""},
        {"created_at": None},
        {"created_at": "yesterday"},
        {"created_at": "2027-01-10T08:00:00"},
        {"status": None},
        {"started_by": []},
        {"started_by": None},
        {"image": "x:1"},
        {"network": True},
        {"env": ["A=1"]},
        {"group": 4},
        {"started_at": 1_700_000_000},
    ],
    ids=str,
)
def test_a_job_that_does_not_say_what_it_must_is_a_gap_of_its_own(tmp_path: Path, given: dict[str, Any]) -> None:
    (tmp_path / "a.jsonl").write_bytes(line(job_id="j0") + line(**given))
    snapshot = poll(tmp_path)
    assert (snapshot.status, snapshot.why) == (PollStatus.PARTIAL, Reason.MALFORMED)
    assert bodies(snapshot)["j1"]["gap"]["code"] == "a.jsonl:2"
    assert "facts" in bodies(snapshot)["j0"]


def test_a_later_good_line_mends_a_bad_one(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(line(name="") + line())
    assert set(facts(poll(tmp_path))) == {"j1"}


def test_a_packed_file_cut_short(tmp_path: Path) -> None:
    packed = gzip.compress(line() + line(job_id="j2") * 200)
    (tmp_path / "a.jsonl.gz").write_bytes(packed[:-10])
    (tmp_path / "b.jsonl.gz").write_bytes(b"not packed at all")
    snapshot = poll(tmp_path)
    assert snapshot.status is not PollStatus.COMPLETE
    assert snapshot.receipt["gap"]["code"] == "a.jsonl.gz:BadGzip"


@pytest.mark.parametrize("name", ["jöbs.jsonl", "仕事 1.jsonl", "new\nline.jsonl"])
def test_odd_file_and_job_names(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(line(job_id="entraînement № 7", name="☃") + b"{\n")
    snapshot = poll(tmp_path)
    assert snapshot.receipt["gap"]["code"] == f"{name}:2"
    assert bodies(snapshot)["entraînement № 7"]["facts"]["name"] == "☃"


def test_a_file_name_that_is_no_text(tmp_path: Path) -> None:
    (Path(str(tmp_path)) / b"\xff.jsonl".decode("utf-8", "surrogateescape")).write_bytes(b"{\n")
    assert poll(tmp_path).receipt["gap"]["code"] == "\\udcff.jsonl:1"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    snapshot = poll(tmp_path / "nowhere")
    assert (snapshot.status, snapshot.why) == (PollStatus.FAILED, Reason.UNREACHABLE)
    assert snapshot.receipt["gap"]["code"] == "NoSuchPath"


def test_a_folder_named_like_a_log_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").mkdir()
    (tmp_path / "b.jsonl").write_bytes(line())
    snapshot = poll(tmp_path)
    assert (snapshot.status, snapshot.why) == (PollStatus.PARTIAL, Reason.DENIED)
    assert snapshot.receipt["gap"]["need"] == "read access to the job log"


def test_secrets_reach_no_stored_byte(tmp_path: Path) -> None:
    env = {
        "DB_PASSWORD": PASSWORD,
        "HUB": HF_TOKEN,
        "PATH": "/usr/bin",
        "AWS_REF": "arn:aws:secretsmanager:eu:1:secret:x",
    }
    (tmp_path / "a.jsonl").write_bytes(
        line(env=env, params={"url": f"postgresql://ml:{PASSWORD}@db/x"}, note=f"x {HF_TOKEN}")
    )
    snapshot = poll(tmp_path)
    kept = b"".join(snapshot.documents[item.digest] for item in snapshot.items) + canonical(snapshot.receipt)
    assert HF_TOKEN.encode() not in kept
    assert PASSWORD.encode() not in kept
    assert b"/usr/bin" not in kept, "values of the environment are not kept at all"
    job = facts(snapshot)["j1"]
    assert job["env_names"] == ["AWS_REF", "DB_PASSWORD", "HUB", "PATH"]
    assert {hit["at"] for hit in job["secrets"]} == {"/env/DB_PASSWORD", "/env/HUB", "/params/url", "/note"}


def test_two_polls_of_an_unchanged_log_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(line(params={"lr": 0.1, "big": 2**70, "nan": float("nan")}) + b"{\n")
    first, second = poll(tmp_path), poll(tmp_path)
    assert [item.digest for item in first.items] == [item.digest for item in second.items]
    assert first.receipt == second.receipt
    assert bodies(first)["j1"]["facts"]["params"] == {"lr": "0.1", "big": str(2**70), "nan": "NaN"}


@pytest.mark.parametrize("path", ["s3://logs/jobs/", "gs://logs"])
def test_a_bucket_says_what_to_do(path: str) -> None:
    with pytest.raises(UsageError, match="local folder"):
        connect(Trainlog(path=path), lambda reference: reference)


def test_an_undeclared_operation_is_refused(tmp_path: Path) -> None:
    log = TrainlogSource("main", tmp_path).open(Scope("trainlog:main", "trainlog:main"), {"ListLog": "read"}, Tape())
    with pytest.raises(RuntimeError, match="ReadLog"):
        log.need("ReadLog")


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("Completed", "succeeded"),
        ("FINISHED", "succeeded"),
        ("JOB_STATE_SUCCEEDED", "succeeded"),
        ("Failed", "failed"),
        ("JOB_STATE_PARTIALLY_SUCCEEDED", "failed"),
        ("EXPIRED", "failed"),
        ("KILLED", "stopped"),
        ("Canceled", "stopped"),
        ("JOB_STATE_PAUSED", "stopped"),
        ("Paused", "stopped"),
        ("InProgress", "running"),
        ("SCHEDULED", "running"),
        ("Stopping", "running"),
        ("CancelRequested", "running"),
        ("NotResponding", "unknown"),
        ("Unknown", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
        (7, "unknown"),
        *((status, status) for status in STATUSES),
    ],
)
def test_status_words(said: object, status: str) -> None:
    assert job_status(said) == status
