"""The command line: help, errors and exit codes, and the verbs against a real emulated account."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import boto3
import pytest
from moto.server import ThreadedMotoServer

from agent.cli import main
from agent.cli.when import ago, moment, period
from agent.clock import parse_iso
from agent.config import load
from agent.errors import (
    EvidencedError,
    Incomplete,
    IntegrityError,
    MissingCredential,
    RuleFailed,
    StoreError,
    UsageError,
)

VERBS = ["init", "doctor", "collect", "run", "status", "findings", "export", "verify", "demo", "version", "key show"]
HEAVY = ["rich", "pydantic", "structlog", "sqlalchemy", "orjson", "boto3", "mlflow", "cryptography", "jinja2"]
COMMAND = [sys.executable, "-c", "from agent.cli.main import run; run()"]


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """An emulated account with one bucket, and its credentials in the environment; gives its address."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    urlopen(Request(f"{address}/moto-api/reset", method="POST"))
    for name, value in (
        ("AWS_ENDPOINT_URL", address), ("AWS_ACCESS_KEY_ID", "testing"), ("AWS_SECRET_ACCESS_KEY", "testing"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    boto3.client("s3").create_bucket(Bucket="training-data")
    yield address
    server.stop()


def permissions_count_after(address: str, calls: str) -> None:
    """Make the emulated account enforce its policies from the next call on, or never."""
    plain = {"Content-Type": "text/plain"}
    urlopen(Request(f"{address}/moto-api/reset-auth", data=calls.encode(), headers=plain, method="POST"))


def written(folder: Path, text: str = "[collect.aws]\nregions = ['us-east-1']\n") -> Path:
    file = folder / "evidenced.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_help_is_plain_and_nothing_heavy_is_imported_for_it() -> None:
    code = f"import sys; import agent.cli.main; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_with_examples(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.answer([*verb.split(), "--help"]) == 0
    said = capsys.readouterr().out
    assert "Examples:" in said
    assert f"evidenced {verb}" in said
    assert "\x1b" not in said
    assert "╭" not in said


def test_the_verbs_are_all_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.answer(["--help"]) == 0
    said = capsys.readouterr().out
    for verb in (*VERBS[:-1], "key", "controls"):
        assert re.search(rf"^  {verb} ", said, re.MULTILINE), verb
    assert "Exit codes" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such-verb"], "No such command"),
        (["status", "--no-such-option"], "No such option"),
        (["findings", "--output", "xml"], "xml"),
        (["-c", "gone.toml", "status"], "gone.toml: there is no such file"),
        (["verify"], "name a bundle, or give --store"),
        (["verify", "bundle", "--store"], "name a bundle, or give --store"),
        (["findings", "--check", "no-such-check"], "no check no-such-check"),
        (["findings", "--status", "green"], "no status green"),
        (["init", "--providers", "abacus"], "no provider abacus"),
        (["export"], "--period"),
    ],
)
def test_bad_usage_is_exit_code_2_and_told_on_standard_error(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main.answer(arguments) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert not said.out
    assert "Traceback" not in said.err


def test_a_wrong_configuration_is_told_with_file_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path, "version = 1\n[collect.aws]\nregion = 'eu-west-1'\n")
    assert main.answer(["-c", str(file), "status"]) == 2
    assert f"{file}:3: collect.aws.region: unknown key; did you mean regions?" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "asked"), [("version = 1\n", []), ("[collect.aws]\n", ["mlflow"])])
def test_collecting_nothing_is_no_success_and_makes_no_store(
    tmp_path: Path, text: str, asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, text)
    assert main.answer(["-c", str(file), "collect", "--now", *asked]) == 2
    assert "nothing of that is enabled" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["evidenced.toml"]


def test_a_store_that_is_not_there_is_exit_code_7(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for verb in (["status"], ["findings"], ["key", "show"], ["verify", "--store"]):
        assert main.answer(["-c", str(written(tmp_path)), *verb]) == 7, verb
    assert "there is no store" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError, 2), (RuleFailed, 3), (MissingCredential, 4), (Incomplete, 5), (IntegrityError, 6), (StoreError, 7),
        (EvidencedError, 1),
    ],
)  # fmt: skip
def test_exit_codes_of_errors(error: type[EvidencedError], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main._told(error("this is so", "do that"), loud=False) == code
    assert capsys.readouterr().err == "evidenced: this is so\nnext: do that\n"


def test_an_unforeseen_error_is_one_line_and_a_traceback_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main._told(ZeroDivisionError("secret inside"), loud=False) == 1
    quiet = capsys.readouterr().err
    assert "ZeroDivisionError" in quiet
    assert "secret inside" not in quiet
    assert "-v" in quiet
    assert main._told(ZeroDivisionError("inside"), loud=True) == 1
    assert "inside" in capsys.readouterr().err
    assert main._loud(["-v", "status"])
    assert main._loud(["-vv", "status"])
    assert not main._loud(["verify", "--version"])


def test_a_reader_that_goes_away_is_no_error_of_ours(account: str, tmp_path: Path) -> None:
    assert main.answer(["init", "--yes"]) == 0
    running = subprocess.Popen([*COMMAND, "status"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout
    assert running.stderr
    running.stdout.close()
    told = running.stderr.read()
    running.stderr.close()
    assert running.wait() == 141
    assert told == ""


def test_init_writes_a_configuration_that_loads_and_makes_store_and_key(
    account: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example.com")
    assert main.answer(["init"]) == 0
    said = capsys.readouterr().out
    settings = load(tmp_path / "evidenced.toml")
    assert set(settings.collect.enabled()) == {"aws", "mlflow"}
    assert settings.collect.mlflow.url == "https://mlflow.example.com"
    key = tmp_path / "signing_key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    told = re.search(r"SHA256:\S+", said)
    assert told
    before = key.read_bytes()

    assert main.answer(["init"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main.answer(["init", "--force", "--providers", "aws", "--output", "json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["fingerprint"] == told[0]
    assert again["made"] is False
    assert key.read_bytes() == before
    assert set(load(tmp_path / "evidenced.toml").collect.enabled()) == {"aws"}


def test_key_show_agrees_with_openssh(account: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.answer(["init", "--yes"]) == 0
    capsys.readouterr()
    assert main.answer(["key", "show", "--output", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    public = tmp_path / "key.pub"
    public.write_text(told["public_key"] + "\n")
    listed = subprocess.run(["ssh-keygen", "-lf", str(public)], capture_output=True, text=True, check=True).stdout
    assert told["fingerprint"] in listed
    assert "PRIVATE" not in json.dumps(told)


def test_from_collection_to_status_and_findings(
    account: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path)
    assert main.answer(["collect", "--now", "aws.s3", "--output", "json"]) == 0
    capsys.readouterr()

    assert main.answer(["status", "--output", "json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert status["schema"] == "evidenced.status/1"
    streams = {stream["stream"]: stream for stream in status["streams"]}
    assert streams["aws.s3.buckets"]["every_s"] == 86_400
    assert streams["aws.s3.buckets"]["last_complete"]
    assert all(not stream["not_complete"] for stream in streams.values())
    assert status["owed_from"] is None
    assert status["ledger"]["sealed_size"] == status["ledger"]["size"]
    assert main.answer(["status"]) == 0
    text = capsys.readouterr().out
    assert "unanchored" in text
    assert "aws.s3.buckets" in text
    assert f"Open deviations: {status['findings']['fail']}" in text

    assert main.answer(["findings", "--output", "jsonl"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    keys = "check controls criteria stream scope resource status reason message observed_at evidence"
    assert {" ".join(finding) for finding in found} == {keys}
    assert len(found) == sum(status["findings"].values())
    assert main.answer(["findings", "--output", "json", "--check", "bucket-tls-only", "--status", "fail"]) == 0
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert finding["resource"] == "arn:aws:s3:::training-data"
    assert main.answer(["findings", "--scope", "aws:999999999999", "--output", "jsonl"]) == 0
    assert capsys.readouterr().out == ""
    assert main.answer(["findings", "--as-of", "2020-01-01", "--output", "jsonl"]) == 0
    assert capsys.readouterr().out == "", "nothing was known then"
    for by in ("reason", "control", "owner"):
        assert main.answer(["findings", "--by", by]) == 0
        assert capsys.readouterr().out.splitlines()[1].split() == [
            by, "pass", "fail", "not_applicable", "not_evaluated"
        ]  # fmt: skip


def test_a_bundle_is_verified_and_one_changed_byte_is_found(
    account: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path)
    assert main.answer(["collect", "--now", "aws.s3", "--output", "json"]) == 0
    capsys.readouterr()
    again = ["--as-of", "now", "--made-at", "2099-01-01T00:00:00Z", "--output", "json"]
    assert main.answer(["export", *again, "--out", "one.zip"]) == 0
    one = json.loads(capsys.readouterr().out)
    assert one["schema"] == "evidenced.export/1"
    assert Path(one["path"]).stat().st_size == one["bytes"]
    assert main.answer(["verify", "one.zip", "--key", one["key"], "--output", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["problems"], told["key"], told["size"]) == ([], one["key"], one["ledger"]["size"])
    assert any("unanchored" in limit for limit in told["limits"])
    assert main.answer(["verify", "--store"]) == 0
    assert "RESULT    PASS WITH LIMITS" in capsys.readouterr().out

    with zipfile.ZipFile("one.zip") as given, zipfile.ZipFile("other.zip", "w") as changed:
        for member in given.infolist():
            data = given.read(member)
            changed.writestr(
                member, data.replace(b"training-data", b"training_data") if "csv" in member.filename else data
            )
    assert main.answer(["verify", "other.zip"]) == 6
    said = capsys.readouterr().out
    assert "PROBLEM" in said
    assert "RESULT    FAIL" in said
    assert main.answer(["verify", "one.zip", "--key", "SHA256:" + "A" * 43]) == 6
    assert main.answer(["verify", "gone.zip"]) == 2


def test_doctor_needs_no_configuration_and_stores_nothing(
    account: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = set(tmp_path.rglob("*"))
    assert main.answer(["doctor", "aws.s3"]) == 0
    said = capsys.readouterr().out
    assert "aws:123456789012" in said
    assert "0 permissions missing" in said
    assert "evidenced init" in said
    assert set(tmp_path.rglob("*")) == before


def test_doctor_names_the_missing_permission_and_what_it_blinds(
    account: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:*", "sts:*", "ec2:*"], "Resource": "*"},
            {"Effect": "Deny", "Action": "s3:ListAllMyBuckets", "Resource": "*"},
        ],
    }
    iam = boto3.client("iam")
    iam.create_user(UserName="reader")
    iam.put_user_policy(UserName="reader", PolicyName="read", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    permissions_count_after(account, "0")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    try:
        assert main.answer(["doctor", "aws.s3", "--output", "json"]) == 4
    finally:
        permissions_count_after(account, "inf")
    report = json.loads(capsys.readouterr().out)
    (source,) = report["sources"]
    assert source["identity"].endswith(":user/reader")
    assert any("long-lived key" in warning for warning in report["warnings"])
    (collector,) = source["collectors"]
    (missing,) = collector["missing"]
    assert (missing["need"], missing["op"], missing["reason"]) == ("s3:ListAllMyBuckets", "ListBuckets", "denied")
    assert "bucket-encryption" in missing["checks"]
    assert key["SecretAccessKey"] not in json.dumps(report)


def test_doctor_without_credentials_names_the_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main.answer(["doctor"]) == 4
    assert "aws sso login" in capsys.readouterr().out


def test_doctor_that_reaches_nobody_is_incomplete(
    account: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    assert main.answer(["doctor"]) == 5
    assert "could not be reached" in capsys.readouterr().out


def test_moments_and_periods_as_people_type_them() -> None:
    assert moment("now", "UTC", lambda: 42) == 42
    assert moment("2026-06-30T18:00:00Z", "UTC", lambda: 0) == parse_iso("2026-06-30T18:00:00Z")
    assert moment("2026-06-30", "America/New_York", lambda: 0) == parse_iso("2026-07-01T04:00:00Z") - 1
    first, last = period("2026-01-01..2026-06-30")
    assert (first.isoformat(), last.isoformat()) == ("2026-01-01", "2026-06-30")
    for wrong in ("yesterday", "2026-13-01", "2026-06-30T18:00:00"):
        with pytest.raises(UsageError):
            moment(wrong, "UTC", lambda: 0)
    for wrong in ("2026-01-01", "2026-01-01..", "a..b", "2026-01-01..2026-02-30"):
        with pytest.raises(UsageError):
            period(wrong)
    assert ago(0, 59_000) == "just now"
    assert ago(0, 7_200_000) == "2 h ago"


@pytest.mark.parametrize("output", ["json", "jsonl"])
def test_version_for_programs(output: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.answer(["version", "--output", output]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == "evidenced.version/1"
    assert told["checks"] > 0
    assert len(bytes.fromhex(told["catalogue"])) == 32
