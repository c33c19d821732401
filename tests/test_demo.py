"""The demo, once, as a user runs it: what was planted is found, what was unseen passes nowhere."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from agent.clock import iso, now_ms, parse_iso
from agent.config import load
from agent.demo.company import midnight
from agent.demo.folder import Folder, prepare
from agent.demo.simulate import first_day_ms, sealed_environment
from agent.demo.story import STORY
from agent.errors import UsageError
from agent.export.verify import verify_bundle
from agent.ledger import Ledger

ACCOUNT = "arn:aws:iam::123456789012"
BUCKET = "arn:aws:s3:::example-models-"

FAILING_AT_THE_END = {
    ("asset-tagged", f"{BUCKET}notebooks"),
    ("bucket-tls-only", f"{BUCKET}notebooks"),
    ("bucket-versioning", f"{BUCKET}etl-scratch"),
    ("bucket-versioning", f"{BUCKET}labels"),
    ("bucket-versioning", f"{BUCKET}notebooks"),
    ("collection-coverage", "mlflow.registry.models@mlflow:main"),
    ("collection-coverage", "mlflow.registry.versions@mlflow:main"),
    ("env-prod-writers-limited", f"{ACCOUNT}:role/administrator"),
    ("env-prod-writers-limited", f"{ACCOUNT}:role/sagemaker-batch"),
    ("env-prod-writers-limited", f"{ACCOUNT}:user/amara.okafor"),
    ("env-prod-writers-limited", f"{ACCOUNT}:user/ben.levi"),
    ("iam-console-mfa", f"{ACCOUNT}:user/ines.castro"),
    ("iam-key-age", f"{ACCOUNT}:user/svc-label-import"),
    ("iam-ml-service-wildcards", f"{ACCOUNT}:role/sagemaker-batch"),
    ("job-config-no-secrets", "churn-risk-0009"),
    ("job-image-pinned", "churn-risk-0009"),
    ("job-in-vpc", "churn-risk-0009"),
    ("job-lineage", "churn-risk-0005"),
    ("job-lineage", "its run"),
    ("job-volume-key", "churn-risk-0009"),
    ("promotion-has-approval", "promotion:price-fit:2"),
    ("run-environment-pinned", "churn-risk/2"),
    ("run-git-commit", "churn-risk/2"),
    ("version-numbers-contiguous", "fraud-gate"),
}
REPAIRED = {
    ("account-public-block", f"{ACCOUNT}:root"),
    ("bucket-not-public", f"{BUCKET}sample-data"),
    ("bucket-public-block", f"{BUCKET}sample-data"),
    ("bucket-public-block", f"{BUCKET}notebooks"),
    ("bucket-tls-only", f"{BUCKET}raw-uploads"),
    ("bucket-versioning", f"{BUCKET}model-artifacts"),
    ("env-prod-writers-limited", f"{ACCOUNT}:role/migration"),
    ("iam-console-mfa", f"{ACCOUNT}:user/farid.rahimi"),
    ("iam-console-mfa", f"{ACCOUNT}:user/jonas.berg"),
    ("iam-key-age", f"{ACCOUNT}:user/elif.kaya"),
    ("iam-key-age", f"{ACCOUNT}:user/svc-legacy-export"),
    ("iam-key-unused", f"{ACCOUNT}:user/svc-legacy-export"),
    ("iam-ml-service-wildcards", f"{ACCOUNT}:role/sagemaker-notebook"),
    ("iam-no-direct-user-policy", f"{ACCOUNT}:user/svc-airflow"),
    ("iam-no-wildcard-policy", f"{ACCOUNT}:policy/migration-all"),
    ("iam-password-policy", f"{ACCOUNT}:root"),
    ("iam-user-unused", f"{ACCOUNT}:user/hugo.martin"),
    ("job-lineage", "churn-risk-0011"),
    ("production-version-approved", "price-fit/2"),
}

Rows = list[dict[str, str]]


class Demo:
    """A finished demo: its folder, what it printed, its bundle."""

    def __init__(self, folder: Folder, started_ms: int, printed: str) -> None:
        self.folder, self.printed = folder, printed
        self.first_ms = first_day_ms(started_ms)
        (self.bundle,) = folder.path.glob("*.zip")

    def table(self, name: str) -> Rows:
        """A table of the bundle."""
        with zipfile.ZipFile(self.bundle) as bundle:
            return list(csv.DictReader(io.StringIO(bundle.read(f"tables/{name}.csv").decode("utf-8-sig"))))

    def day(self, number: int) -> str:
        """Midnight of a day of the story."""
        return iso(midnight(number, self.first_ms))


def evidenced(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """The command, with settings of a user about it that must not get in."""
    hostile = {
        "AWS_PROFILE": "production",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "EVIDENCED_STORE__URL": "sqlite:////nowhere/evidence.db",
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "HTTPS_PROXY": "http://127.0.0.1:9",
    }
    return subprocess.run(
        [sys.executable, "-c", "from agent.cli.main import run; run()", *arguments],
        capture_output=True, text=True, timeout=900, env={**os.environ, **hostile, **more}, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    path = tmp_path_factory.mktemp("demo") / "new"
    started_ms = now_ms()
    done = evidenced("demo", "--dir", str(path))
    assert done.returncode == 0, done.stderr
    return Demo(Folder(path), started_ms, done.stdout)


@pytest.fixture
def ledger(demo: Demo) -> Iterator[Ledger]:
    with sealed_environment():
        settings = load(demo.folder.config)
    opened = Ledger.open(settings.store.connection(), settings.ledger.key_file, now_ms=now_ms())
    yield opened
    opened.close()


def test_what_was_planted_is_found_and_nothing_else(demo: Demo) -> None:
    failing = {(row["check"], _place(row["subject"])) for row in demo.table("results") if row["status"] == "fail"}
    assert failing == FAILING_AT_THE_END


def test_what_was_repaired_has_an_end(demo: Demo) -> None:
    closed = {(row["check"], row["subject"]) for row in demo.table("deviations") if row["closed_at"][:1] == "2"}
    assert closed == REPAIRED


def test_the_public_bucket_has_both_bounds(demo: Demo) -> None:
    row = _only(demo.table("deviations"), check="bucket-not-public")
    assert row["last_good_at"] < demo.day(10)[:10] + "T13:45"
    assert demo.day(10)[:10] + "T13:45" < row["opened_at"] < demo.day(11)[:10] + "T01"
    assert demo.day(12)[:10] + "T16:30" < row["closed_at"] < demo.day(13)[:10] + "T01"


def test_days_without_the_permission_are_not_evaluated(demo: Demo) -> None:
    rows = [row for row in demo.table("intervals") if row["check"] == "bucket-encryption"]
    refused = [row for row in rows if row["status"] == "not_evaluated"]
    assert len(refused) == 12  # the buckets of that time
    assert {row["reason"] for row in refused} == {"denied"}
    assert {(row["first"][:10], row["last"][:10]) for row in refused} == {(demo.day(22)[:10], demo.day(24)[:10])}
    assert not [row for row in rows if row["status"] == "fail"]


def test_the_outage_is_missed_and_said(demo: Demo, ledger: Ledger) -> None:
    outage = [line for line in ledger.events("outage")]
    assert len(outage) == 1
    assert outage[0]["why"] == "no clean end before it"
    assert outage[0]["to"] // 60_000 == parse_iso(demo.day(17)) // 60_000 + 6 * 60 + 10
    missed = {
        row["slot"] for row in demo.table("slots") if row["coverage"] == "missed" and row["stream"] == "aws.iam.usage"
    }
    assert missed == {demo.day(15), demo.day(16)}
    seen = {row["coverage"] for row in demo.table("slots") if demo.day(15) <= row["slot"] < demo.day(17)}
    assert seen <= {"missed", "bridged", "covered"}
    assert not [p for p in ledger.polls() if _in(p.start_ms, demo.first_ms, 15, 17)]


def test_the_restart_leaves_no_outage(ledger: Ledger) -> None:
    assert [line["k"] for line in ledger.events() if line["k"] in ("start", "stop", "outage")] == [
        "start", "outage", "start", "stop", "start", "stop",
    ]  # fmt: skip


def test_a_lost_mlflow_fails_its_polls(demo: Demo, ledger: Ledger) -> None:
    failed = [poll for poll in ledger.polls() if poll.status.value == "failed"]
    assert failed
    assert {poll.why.value for poll in failed if poll.why} == {"unreachable"}
    assert all(_in(poll.start_ms, demo.first_ms, 23, 24) for poll in failed)


def test_an_order_nobody_saw_is_not_proven(demo: Demo) -> None:
    promotions = {
        _place(row["subject"]): row for row in demo.table("results") if row["check"] == "promotion-has-approval"
    }
    told = {place.removeprefix("promotion:"): (row["status"], row["reason"]) for place, row in promotions.items()}
    assert told == {
        "price-fit:1": ("pass", ""),
        "fraud-gate:2": ("pass", ""),
        "churn-risk:2": ("pass", ""),
        "fraud-gate:3": ("not_evaluated", "undetermined"),
        "price-fit:2": ("fail", ""),
        "churn-risk:3": ("pass", ""),
    }


def test_the_bundle_verifies_and_says_that_it_is_a_demo(demo: Demo, ledger: Ledger) -> None:
    report = verify_bundle(demo.bundle, key=ledger.fingerprint)
    assert not report.problems
    assert report.size == ledger.head().size
    assert ledger.demo
    with zipfile.ZipFile(demo.bundle) as bundle:
        assert json.loads(bundle.read("manifest.json"))["demo"] is True
        assert bundle.read("report/report.html") == demo.folder.report.read_bytes()


def test_seals_are_hourly_while_it_runs(ledger: Ledger) -> None:
    sealed = [int(line["at"]) for line in ledger.events("seal")]
    gaps = [after - before for before, after in zip(sealed, sealed[1:], strict=False)]
    assert sum(gap > 4_200_000 for gap in gaps) == 1  # the outage


def test_the_planted_token_is_only_where_it_was_planted(demo: Demo, ledger: Ledger) -> None:
    token = _token(demo)
    for file in demo.folder.path.rglob("*"):
        if file.is_file() and file.parent != demo.folder.company / "jobs":
            assert token not in file.read_bytes(), file
    with zipfile.ZipFile(demo.bundle) as bundle:
        assert not [name for name in bundle.namelist() if token in bundle.read(name)]
    trees = [*ledger.targets(), *(-judging for judging in ledger.judgings())]
    blobs = {blob for tree in trees for _, _, blob in ledger.versions(tree) if blob is not None}
    assert len(blobs) > 300
    assert not [number for number, data in ledger.documents(sorted(blobs)) if token in data]


def test_the_summary_ends_with_the_report(demo: Demo) -> None:
    lines = demo.printed.rstrip().splitlines()
    assert lines[-1] == f"Open {demo.folder.report}"
    assert any(line.startswith("Took ") for line in lines)
    assert any("24 fail" in line for line in lines)
    assert any("bucket-encryption on 3 days" in line for line in lines)


@pytest.mark.parametrize("verb", [["run"], ["collect", "--now"]])
def test_real_work_is_refused_in_a_demo_store(demo: Demo, verb: Sequence[str]) -> None:
    url = f"sqlite:///{demo.folder.path / 'evidence.db'}"
    done = evidenced("--config", str(demo.folder.config), *verb, EVIDENCED_STORE__URL=url)
    assert done.returncode == 2, done.stderr
    assert "demo" in done.stderr


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError):
        prepare(tmp_path, now_ms())
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_earlier_demo_is_replaced_and_other_files_stay(tmp_path: Path) -> None:
    folder = prepare(tmp_path / "new", now_ms())
    for name in ("evidence.db", "signing_key", "report.html", "notes.txt"):
        (folder.path / name).write_text(name)
    (folder.company / "mlflow.db").write_text("old")
    prepare(folder.path, now_ms())
    assert sorted(file.name for file in folder.path.iterdir()) == ["company", "evidenced.toml", "notes.txt"]
    assert not list(folder.company.iterdir())


def test_the_story_is_told_in_the_order_of_time() -> None:
    times = [(event.day, event.minute) for event in STORY]
    assert times == sorted(times)
    assert all(0 < len(event.what) < 80 for event in STORY)


def _place(subject: str) -> str:
    """A subject without what differs from one demo to the next: indices of the log, ids of runs."""
    if re.fullmatch(r"[0-9a-f]{32}", subject):
        return "its run"
    return subject.rpartition(":")[0] if subject.startswith("promotion:") else subject


def _only(rows: Rows, **wanted: str) -> dict[str, str]:
    (row,) = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    return row


def _in(ms: int, first_ms: int, day: int, until: int) -> bool:
    """Whether a time lies on these days of the story, the last left out."""
    return midnight(day, first_ms) <= ms < midnight(until, first_ms)


def _token(demo: Demo) -> bytes:
    lines = [line for file in (demo.folder.company / "jobs").iterdir() for line in file.read_text().splitlines()]
    (token,) = {job["env"]["HF_TOKEN"] for job in map(json.loads, lines) if "HF_TOKEN" in job["env"]}
    assert token.startswith("hf_")
    return str(token).encode()
