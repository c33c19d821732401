"""The command line as others script against it: a moto server and an MLflow store in, a bundle that verifies out."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from agent.ledger import Ledger
from agent.model import Poll
from tests.sqlite_copy import copied

CONTRACT = """
version = 1
[store]
url = "sqlite:///evidence.db"
[collect.aws]
enabled = true
regions = ["us-east-1"]
[collect.mlflow]
enabled = true
url = "sqlite:///mlflow.db"
"""
FINDING = [
    "check", "controls", "criteria", "stream", "scope", "resource", "status", "reason", "message", "observed_at",
    "evidence",
]  # fmt: skip
EVIDENCED = str(Path(sys.executable).with_name("evidenced"))
SECRET = "hf_" + "abcdefghijklmnopqrstuvwxyzABCDEFGH"


@pytest.fixture(scope="module")
def aws() -> Any:
    """A moto server on loopback with a small account in it, and the environment that leads there."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}

    def client(service: str) -> Any:
        return boto3.client(service, endpoint_url=url, **keys)

    iam, s3 = client("iam"), client("s3")
    iam.create_user(UserName="ada")
    iam.create_login_profile(UserName="ada", Password="Correct-Horse-9")
    iam.create_access_key(UserName="ada")
    iam.tag_user(UserName="ada", Tags=[{"Key": "note", "Value": SECRET}])
    s3.create_bucket(Bucket="training-data")
    s3.create_bucket(Bucket="models")
    s3.put_bucket_versioning(Bucket="models", VersioningConfiguration={"Status": "Enabled"})
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "EVIDENCED_"))},
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": url,
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "COLUMNS": "200",
    }
    yield SimpleNamespace(client=client, environment=environment, url=url)
    server.stop()


@pytest.fixture(scope="module")
def mlflow_db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow store with one registered model in production."""
    from mlflow import MlflowClient

    folder = tmp_path_factory.mktemp("mlflow")
    path = folder / "mlflow.db"
    client = MlflowClient(f"sqlite:///{path}", f"sqlite:///{path}")
    experiment = client.create_experiment("train", artifact_location=f"file://{folder}/artifacts")
    run = client.create_run(experiment)
    client.log_param(run.info.run_id, "alpha", "0.1")
    client.log_param(run.info.run_id, "hub_token", SECRET)
    client.set_terminated(run.info.run_id)
    client.create_registered_model("churn")
    client.create_model_version("churn", f"{run.info.artifact_uri}/model", run.info.run_id)
    client.set_registered_model_alias("churn", "production", "1")
    return path


@pytest.fixture
def folder(tmp_path: Path, mlflow_db: Path) -> Path:
    """An empty folder with the contract's configuration and a copy of the MLflow store."""
    (tmp_path / "evidenced.toml").write_text(CONTRACT)
    copied(mlflow_db, tmp_path / "mlflow.db")
    return tmp_path


LACKING = {
    "aws.cloudtrail.events",
    "aws.iam.service_credentials",
    "aws.sagemaker.inference_components",
    "aws.sagemaker.mlflow_servers",
    "aws.sagemaker.monitoring_schedules",
}
"""Streams whose operation the emulator lacks: unsupported, which nobody can mend, and so no exit code but 0."""


def command(folder: Path, aws: Any, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [EVIDENCED, *arguments],
        cwd=folder, env=aws.environment | more, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def collected(folder: Path, aws: Any, *arguments: str, **more: str) -> Any:
    done = command(folder, aws, "collect", "--now", "--output", "json", *arguments, **more)
    assert done.stdout.count("\n") == 1, done.stderr
    return done.returncode, json.loads(done.stdout)


def findings(folder: Path, aws: Any, *arguments: str) -> list[dict[str, Any]]:
    done = command(folder, aws, "findings", "--output", "jsonl", *arguments)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_from_an_empty_folder_to_a_bundle_that_verifies(folder, aws):
    code, told = collected(folder, aws)
    assert code == 0, told
    assert told["schema"] == "evidenced.collect/1"
    assert (told["targets"]["failed"], told["targets"]["partial"]) == (len(LACKING), 0)
    never = {f["resource"].partition("@")[0] for f in findings(folder, aws, "--status", "not_evaluated")
             if f["check"] == "evidence-fresh"}  # fmt: skip
    assert never == LACKING
    assert told["targets"]["complete"] > 10
    assert told["records"] > 5
    assert told["api_calls"] > 20
    found = findings(folder, aws)
    assert all(list(finding) == FINDING for finding in found)
    assert sum(told["findings"].values()) == len(found)
    status = {
        (finding["check"], finding["resource"].rpartition("/")[2].rpartition(":")[2]): finding["status"]
        for finding in found
    }
    assert status["bucket-versioning", "models"] == "pass"
    assert status["bucket-versioning", "training-data"] == "fail"
    assert status["iam-console-mfa", "ada"] == "fail"
    assert {f["status"] for f in findings(folder, aws, "--check", "bucket-versioning", "--status", "fail")} == {"fail"}
    made = command(folder, aws, "export", "--as-of", "now", "--out", "X.zip")
    assert made.returncode == 0, made.stderr
    fingerprint = next(
        word for word in command(folder, aws, "key", "show").stdout.split() if word.startswith("SHA256:")
    )
    for arguments in (["X.zip"], ["X.zip", "--key", fingerprint], ["--store"]):
        verified = command(folder, aws, "verify", *arguments)
        assert verified.returncode == 0, verified.stdout + verified.stderr
    wrong = command(folder, aws, "verify", "X.zip", "--key", "SHA256:" + "A" * 43)
    assert wrong.returncode == 6


def test_a_period_is_exported_too(folder, aws):
    collected(folder, aws)
    day = time.strftime("%Y-%m-%d", time.gmtime())
    made = command(folder, aws, "export", "--period", f"{day}..{day}", "--out", "P.zip")
    assert made.returncode == 0, made.stderr
    assert command(folder, aws, "verify", "P.zip").returncode == 0


def test_a_second_collection_of_an_unchanged_world_changes_no_record(folder, aws):
    collected(folder, aws)
    before = _count(folder, "SELECT count(*) FROM change WHERE tree > 0")
    code, _ = collected(folder, aws)
    assert code == 0
    # signing in and out of the emulated account moves its own last-used dates, at most once a day
    assert _count(folder, "SELECT count(*) FROM change WHERE tree > 0") == before


def test_secrets_planted_at_the_source_are_in_no_file(folder, aws):
    collected(folder, aws)
    command(folder, aws, "export", "--as-of", "now", "--out", "X.zip")
    shutil.unpack_archive(folder / "X.zip", folder / "unpacked")
    _checkpoint(folder)
    holders = [path.name for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert holders == ["mlflow.db"]
    assert SECRET not in _documents(folder)
    assert any(f["check"] == "job-config-no-secrets" and f["status"] == "fail" for f in findings(folder, aws))


def test_a_denied_operation_is_named_and_everything_else_is_judged(folder, aws):
    """The agent's own IAM user, whose policy lacks one permission, against moto's permission checks."""
    iam = aws.client("iam")
    iam.create_user(UserName="reader")
    allow = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    deny = {"Effect": "Deny", "Action": "iam:GetAccountPasswordPolicy", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow, deny]})
    iam.put_user_policy(UserName="reader", PolicyName="read", PolicyDocument=policy)
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    _permissions(aws, enforced=True)
    try:
        code, told = collected(
            folder,
            aws,
            "aws.iam",
            "aws.s3",
            AWS_ACCESS_KEY_ID=key["AccessKeyId"],
            AWS_SECRET_ACCESS_KEY=key["SecretAccessKey"],
        )
    finally:
        _permissions(aws, enforced=False)
        iam.delete_access_key(UserName="reader", AccessKeyId=key["AccessKeyId"])
        iam.delete_user_policy(UserName="reader", PolicyName="read")
        iam.delete_user(UserName="reader")
    assert code == 4
    assert told["targets"]["failed"] == 1, "service credentials, which the emulator lacks"
    blind = [f for f in findings(folder, aws, "--status", "not_evaluated") if f["reason"] == "denied"]
    assert [f["check"] for f in blind] == ["iam-password-policy"]
    assert "iam:GetAccountPasswordPolicy" in blind[0]["message"]
    assert told["findings"]["pass"] > 0


def test_an_expired_login_says_what_to_type_and_stores_what_can_be_had(folder, aws):
    done = command(folder, aws, "collect", "--now", AWS_ENDPOINT_URL="http://127.0.0.1:9", AWS_ACCESS_KEY_ID="x")
    assert done.returncode == 5, done.stdout
    nobody = {name: "" for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    done = command(folder, aws, "collect", "--now", **nobody, AWS_CONFIG_FILE="/dev/null", HOME=str(folder))
    assert done.returncode == 4, done.stdout + done.stderr
    assert "aws sso login" in done.stdout + done.stderr
    assert any(finding["stream"].startswith("mlflow.") for finding in findings(folder, aws))


def test_a_mistyped_mlflow_url_creates_nothing(folder, aws):
    (folder / "evidenced.toml").write_text(CONTRACT.replace("mlflow.db", "mlflwo.db"))
    code, told = collected(folder, aws)
    assert code == 5
    assert told["targets"]["failed"] > 0
    assert not list(folder.glob("mlflwo*"))
    said = [f for f in findings(folder, aws) if f["check"] == "version-numbers-contiguous"]
    assert {f["status"] for f in said} == {"not_evaluated"}


def test_what_is_audited_is_not_written_to(folder, aws):
    before = (folder / "mlflow.db").read_bytes()
    collected(folder, aws)
    assert (folder / "mlflow.db").read_bytes() == before
    assert {path.name for path in folder.iterdir() if path.name.startswith("mlflow")} == {"mlflow.db"}


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (lambda text: text + "\n[collect.aws", 2, "evidenced.toml:"),
        (lambda text: text.replace("regions", "region"), 2, "region"),
        (lambda text: text.replace("sqlite:///evidence.db", "sqlite:////proc/evidence.db"), 7, "/proc/evidence.db"),
        (lambda text: text.replace("evidence.db", "mlflow.db"), 7, "mlflow.db"),
        (lambda text: text.replace("evidence.db", "evidenced.toml"), 7, "evidenced.toml"),
    ],
    ids=["broken TOML", "unknown key", "unwritable store", "foreign database", "no database at all"],
)
def test_bad_input_gets_a_clear_error_and_touches_nothing(folder, aws, change, code, said):
    (folder / "evidenced.toml").write_text(change(CONTRACT))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    done = command(folder, aws, "collect", "--now")
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr
    assert {name: (folder / name).read_bytes() for name in before} == before


def test_a_store_without_its_key_is_an_error_not_a_new_key(folder, aws):
    collected(folder, aws)
    (folder / "signing_key").unlink()
    done = command(folder, aws, "collect", "--now")
    assert done.returncode == 7
    assert not (folder / "signing_key").exists()


@pytest.mark.parametrize("after", [1.2, 2.0, 2.8])
def test_kill_9_at_any_moment_leaves_a_store_that_opens_and_verifies(folder, aws, after):
    collected(folder, aws)
    sealed = _count(folder, "SELECT max(size) FROM checkpoint")
    process = subprocess.Popen(
        [EVIDENCED, "collect", "--now"], cwd=folder, env=aws.environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    time.sleep(after)
    process.kill()
    process.wait()
    verified = command(folder, aws, "verify", "--store")
    assert verified.returncode == 0, verified.stdout
    assert _count(folder, "SELECT max(size) FROM checkpoint") >= sealed
    assert collected(folder, aws)[0] == 0
    assert command(folder, aws, "verify", "--store").returncode == 0


def test_the_daemon_collects_its_slot_and_ends_cleanly(folder, aws):
    process = subprocess.Popen(
        [EVIDENCED, "run"], cwd=folder, env=aws.environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and _polls(folder) < 12:
            assert process.poll() is None, process.communicate()
            time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 143, errors
    assert _polls(folder) >= 12
    assert all(poll.slot_ms is not None for poll in _all_polls(folder))
    kinds = [json.loads(line)["k"] for (line,) in _rows(folder, "SELECT line FROM event ORDER BY idx")]
    assert kinds[-2:] == ["stop", "seal"]
    assert "start" in kinds
    assert command(folder, aws, "verify", "--store").returncode == 0
    status = command(folder, aws, "status", "--output", "json")
    assert json.loads(status.stdout)["schema"] == "evidenced.status/1"


def _rows(folder: Path, query: str) -> list[Any]:
    connection = sqlite3.connect(f"file:{folder}/evidence.db?mode=ro", uri=True)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def _count(folder: Path, query: str) -> int:
    return int(_rows(folder, query)[0][0])


def _polls(folder: Path) -> int:
    try:
        return _count(folder, "SELECT count(*) FROM poll")
    except sqlite3.OperationalError:
        return 0


def _all_polls(folder: Path) -> list[Poll]:
    with _opened(folder) as ledger:
        return list(ledger.polls())


@contextmanager
def _opened(folder: Path) -> Iterator[Ledger]:
    ledger = Ledger.open(f"sqlite:///{folder}/evidence.db", folder / "signing_key", now_ms=0)
    yield ledger
    ledger.close()


def _checkpoint(folder: Path) -> None:
    connection = sqlite3.connect(folder / "evidence.db")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _documents(folder: Path) -> str:
    blobs = [row[0] for row in _rows(folder, "SELECT id FROM blob")]
    with _opened(folder) as ledger:
        return "\n".join(data.decode(errors="replace") for _, data in ledger.documents(blobs))


def _permissions(aws: Any, *, enforced: bool) -> None:
    """Let the moto server check permissions from now on, or no more."""
    import urllib.request

    count = b"0" if enforced else b"1000000000"
    plain = {"Content-Type": "text/plain"}
    request = urllib.request.Request(f"{aws.url}/moto-api/reset-auth", data=count, headers=plain, method="POST")
    with urllib.request.urlopen(request) as answer:
        assert json.loads(answer.read())["status"] == "ok"
