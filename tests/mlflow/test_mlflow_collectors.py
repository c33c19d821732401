"""The MLflow collectors over a real store: what they keep, what they must not change, what they say of a bad one."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy.engine import make_url

from agent.errors import UsageError
from agent.model import PollStatus, Reason, SourceError, Tape, Window
from agent.registry import discover
from agent.settings import Mlflow
from collectors.mlflow import MlflowSource, connect
from collectors.mlflow.database import read_only
from tests.mlflow.conftest import COMMIT, Store, bodies, poll, stored_bytes
from tests.sqlite_copy import copied

STREAMS = sorted(name for name in discover().streams if name.startswith("mlflow."))
HF_TOKEN = "hf_" + "abcdefghijklmnopqrstuvwxyzABCDEFGH"
AWS_KEY = "AKIA" + "Q3EGXAMPL7ZZ9K2P"
PASSWORD = "Tr0ub4dor-and-3-horses"
Make = Callable[..., MlflowSource]


def facts(snapshot: Any) -> dict[str, Any]:
    assert snapshot.status is PollStatus.COMPLETE, snapshot.receipt
    return {key: body["facts"] for key, body in bodies(snapshot).items()}


def test_models_and_versions(store: Store, source_of: Make) -> None:
    store.client.set_registered_model_alias("fraud", "production", "1")
    source = source_of(store.url)
    model = facts(poll(source, "mlflow.registry.models"))
    assert list(model) == ["fraud"]
    assert model["fraud"]["aliases"] == {"production": "1"}
    assert model["fraud"]["description"] == "Finds fraud.\nNot for lending."
    version = facts(poll(source, "mlflow.registry.versions"))
    assert list(version) == ["fraud/1"]
    assert version["fraud/1"]["run_id"] == store.run_id
    assert version["fraud/1"]["current_stage"] == "None"
    assert version["fraud/1"]["creation_timestamp"].endswith("Z")


def test_prompts_are_apart_from_models(store: Store, source_of: Make) -> None:
    store.client.set_prompt_alias("greeting", "production", 1)
    source = source_of(store.url)
    assert facts(poll(source, "mlflow.registry.prompts"))["greeting"]["aliases"] == {"production": "1"}
    snapshot = poll(source, "mlflow.registry.prompt_versions")
    version = facts(snapshot)["greeting/1"]
    assert version["kind"] == "prompt"
    assert version["template_digest"] == hashlib.sha256(b"Hello {{name}}").hexdigest()
    assert b"Hello" not in stored_bytes(snapshot)


def test_files_of_a_version(store: Store, source_of: Make) -> None:
    (version,) = facts(poll(source_of(store.url), "mlflow.artifacts.models")).values()
    assert [column["name"] for column in version["mlmodel"]["signature"]["inputs"]] == ["amount"]
    assert [column["name"] for column in version["mlmodel"]["signature"]["outputs"]] == ["score"]
    assert set(version["mlmodel"]["flavors"]) == {"python_function"}
    assert version["requirements"] == ["mlflow==3.17.2", "numpy==1.26.4"]


@pytest.mark.parametrize(
    ("source", "mlmodel"),
    [
        ("s3://models/fraud", ("unsupported", "ArtifactStore:s3")),
        ("/nowhere/at/all", None),
        ("models/fraud", ("unreachable", "RelativeFolder")),
        ("{tmp}/broken", ("malformed", "NotMLmodel")),
        ("{tmp}/binary", ("malformed", "NotUTF8")),
        ("{tmp}/large", ("malformed", "TooLarge")),
        ("{tmp}/empty", None),
    ],
)
def test_files_that_cannot_be_read(
    store: Store, source_of: Make, tmp_path: Path, source: str, mlmodel: tuple[str, str] | None
) -> None:
    for name, content in (("broken", b"signature: [1"), ("binary", b"\xff\xfe"), ("large", b"#" * 1_048_577)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "MLmodel").write_bytes(content)
    (tmp_path / "empty").mkdir()
    store.client.create_registered_model("odd")
    store.client.create_model_version("odd", source.format(tmp=tmp_path))
    snapshot = poll(source_of(store.url, models=["odd"]), "mlflow.artifacts.models")
    body = bodies(snapshot)["odd/1"]
    assert snapshot.status is PollStatus.COMPLETE
    if mlmodel is None:
        assert body["facts"]["mlmodel"] is None
        assert not body["gaps"]
    else:
        gap = body["gaps"]["/mlmodel"]
        assert (gap["reason"], gap["code"]) == mlmodel


def test_runs_in_the_normal_form_of_jobs(store: Store, source_of: Make) -> None:
    (run,) = facts(poll(source_of(store.url), "mlflow.tracking.runs")).values()
    assert run["job_id"] == run["mlflow_run_id"] == store.run_id
    assert run["group"] == "fraud-training"
    assert (run["created_at"], run["ended_at"]) == ("2023-11-14T22:13:20Z", "2023-11-14T22:23:20Z")
    assert (run["status"], run["run_status"], run["lifecycle_stage"]) == ("succeeded", "FINISHED", "active")
    assert run["started_by"] == {"principal": "ada", "source": "mlflow.user", "assurance": "self_asserted"}
    assert run["code"]["commit"] == COMMIT
    assert run["params"] == {"learning_rate": "0.1", "seed": "7"}
    assert run["datasets"] == [
        {
            "name": "transactions",
            "digest": "3f9a1c22",
            "source_type": "s3",
            "source": "s3://training/tx",
            "context": "training",
        }
    ]
    assert "note" not in run["tags"], "a tag that no check reads"


def test_a_window_reads_what_started_in_it_and_what_was_open(store: Store, source_of: Make) -> None:
    client = store.client
    ids = [client.create_run(store.experiment_id, start_time=at).info.run_id for at in (1_000, 2_000, 3_000, 4_000)]
    client.set_terminated(ids[0], "KILLED")
    source = source_of(store.url)
    window = Window(2_000, 4_000, frozenset({ids[0]}))
    got = facts(poll(source, "mlflow.tracking.runs", window))
    assert set(got) == set(ids[:3])
    assert got[ids[0]]["status"] == "stopped"
    first = poll(source, "mlflow.tracking.runs")
    assert first.open_keys == frozenset(ids[1:])


def test_only_configured_experiments_and_models(store: Store, source_of: Make) -> None:
    other = store.client.create_experiment("scratch")
    store.client.create_run(other)
    store.client.create_registered_model("toy")
    source = source_of(store.url, experiments=["fraud-*"], models=["fr*"])
    assert list(facts(poll(source, "mlflow.tracking.runs"))) == [store.run_id]
    assert list(facts(poll(source, "mlflow.registry.models"))) == ["fraud"]


def test_runs_behind_versions_deleted_and_gone(store: Store, source_of: Make, tmp_path: Path) -> None:
    client = store.client
    deleted = client.create_run(store.experiment_id).info.run_id
    gone = "0" * 32
    for run_id in (deleted, gone):
        client.create_model_version("fraud", str(tmp_path), run_id=run_id)
    client.delete_run(deleted)
    got = facts(poll(source_of(store.url), "mlflow.tracking.source_runs"))
    assert got[store.run_id]["lifecycle_stage"] == "active"
    assert got[deleted]["lifecycle_stage"] == "deleted"
    assert got[gone] == {"run_id": gone, "lifecycle_stage": "gone"}


def test_a_deleted_version_and_a_moved_alias_show(store: Store, source_of: Make, tmp_path: Path) -> None:
    client, source = store.client, source_of(store.url)
    client.create_model_version("fraud", str(tmp_path), run_id=store.run_id)
    client.set_registered_model_alias("fraud", "production", "1")
    poll(source, "mlflow.registry.models")
    client.set_registered_model_alias("fraud", "production", "2")
    assert facts(poll(source, "mlflow.registry.models"))["fraud"]["aliases"] == {"production": "2"}
    client.delete_model_version("fraud", "1")
    assert list(facts(poll(source, "mlflow.registry.versions"))) == ["fraud/2"]


@pytest.mark.parametrize("name", ["modèle épuré", "検知 v2", "a b%20c", "semi;colon'quote"])
def test_names_as_people_give_them(store: Store, source_of: Make, name: str) -> None:
    store.client.create_registered_model(name)
    store.client.create_model_version(name, "/nowhere")
    source = source_of(store.url)
    assert name in facts(poll(source, "mlflow.registry.models"))
    assert f"{name}/1" in facts(poll(source, "mlflow.registry.versions"))


def test_every_page_is_read(store: Store, source_of: Make) -> None:
    for number in range(5):
        store.client.create_registered_model(f"m{number}")
    source, tape = source_of(store.url), Tape()
    (scope,) = source.scopes("server")
    server = source.open(scope, {"SearchRegisteredModels": "READ"}, tape)
    names = [model.name for model in server.pages("SearchRegisteredModels", max_results=2)]
    assert names == ["fraud", "m0", "m1", "m2", "m3", "m4"]
    assert (tape.pages, tape.calls) == (3, 3)
    assert tape.operations == {"SearchRegisteredModels": {"max_results": 2}}


def test_an_undeclared_operation_is_refused(store: Store, source_of: Make) -> None:
    source = source_of(store.url)
    (scope,) = source.scopes("server")
    server = source.open(scope, {"SearchRuns": "READ"}, Tape())
    with pytest.raises(RuntimeError, match="SearchRegisteredModels"):
        list(server.pages("SearchRegisteredModels"))
    with pytest.raises(RuntimeError, match="GetModelVersionArtifact"):
        server.get("GetModelVersionArtifact", "/")


@pytest.mark.parametrize("stream", STREAMS)
def test_two_polls_of_an_unchanged_store_are_the_same(store: Store, source_of: Make, stream: str) -> None:
    source = source_of(store.url)
    first, second = (poll(source, stream) for _ in range(2))
    assert first.status is PollStatus.COMPLETE, first.receipt
    assert first.items
    assert [item.digest for item in first.items] == [item.digest for item in second.items]
    assert first.receipt == second.receipt


def listing(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("journal", ["delete", "wal", "wal, in use"])
@pytest.mark.parametrize("stream", STREAMS)
def test_nothing_is_written(template: Store, source_of: Make, tmp_path: Path, stream: str, journal: str) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    path = folder / "mlflow.db"
    copied(template.path, path)
    writer = sqlite3.connect(path)
    writer.execute(f"PRAGMA journal_mode={journal.split(',')[0]}")
    writer.execute("UPDATE registered_models SET description = 'changed' WHERE name = 'fraud'")
    writer.commit()
    if "in use" not in journal:
        writer.close()
    before = listing(folder)
    assert len(before) == (3 if "in use" in journal else 1)
    snapshot = poll(source_of(f"sqlite:///{path}"), stream)
    assert snapshot.status is PollStatus.COMPLETE, snapshot.receipt
    assert listing(folder) == before
    if stream == "mlflow.registry.models":
        assert facts(snapshot)["fraud"]["description"] == "changed", (
            "what only the log of the database holds is read too"
        )
    writer.close()


def test_a_copied_database_is_read_again_when_it_changes(store: Store, source_of: Make) -> None:
    writer = sqlite3.connect(store.path)
    writer.execute("PRAGMA journal_mode=wal")
    source = source_of(store.url)
    for text in ("one", "two"):
        writer.execute("UPDATE registered_models SET description = ? WHERE name = 'fraud'", (text,))
        writer.commit()
        assert facts(poll(source, "mlflow.registry.models"))["fraud"]["description"] == text
    writer.close()


def test_a_mistyped_database_is_not_made(tmp_path: Path, source_of: Make) -> None:
    snapshot = poll(source_of(f"sqlite:///{tmp_path}/deep/typo.db"), "mlflow.registry.models")
    assert (snapshot.status, snapshot.why) == (PollStatus.FAILED, Reason.UNREACHABLE)
    assert snapshot.receipt["gap"]["code"] == "NoSuchDatabase"
    assert list(tmp_path.iterdir()) == []


def spoil_revision(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'abc123'")
    connection.close()


def forget_revision(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE alembic_version")
    connection.close()


@pytest.mark.parametrize(
    ("spoil", "reason", "code"),
    [
        (spoil_revision, Reason.UNSUPPORTED, "SchemaRevision:abc123"),
        (forget_revision, Reason.UNSUPPORTED, "NotAnMlflowDatabase"),
        (lambda path: path.write_bytes(b"hello"), Reason.UNSUPPORTED, "NotSQLite"),
        (lambda path: path.write_bytes(b""), Reason.UNSUPPORTED, "NotSQLite"),
        (lambda path: path.write_bytes(path.read_bytes()[:100] + bytes(8000)), Reason.MALFORMED, "DatabaseError"),
    ],
)
def test_a_database_that_is_not_the_right_one(
    store: Store, source_of: Make, spoil: Callable[[Path], Any], reason: Reason, code: str
) -> None:
    spoil(store.path)
    before = store.path.read_bytes()
    source = source_of(store.url)
    (scope,) = source.scopes("server")
    with pytest.raises(SourceError) as raised:
        source.open(scope, {}, Tape())
    assert (raised.value.gap.reason, raised.value.gap.code) == (reason, code)
    assert store.path.read_bytes() == before


@pytest.mark.parametrize("name", ["with space.db", "ünïcode.db", "per%20cent.db", "quote'.db"])
def test_odd_file_names(store: Store, source_of: Make, name: str) -> None:
    path = store.path.rename(store.path.with_name(name))
    assert list(facts(poll(source_of(f"sqlite:///{quote(str(path))}"), "mlflow.registry.models"))) == ["fraud"]


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("postgresql://ml@db/x", {"options": "-c default_transaction_read_only=on"}),
        (
            "postgresql+psycopg://ml@db/x?sslmode=require&options=-c%20search_path%3Dml",
            {"sslmode": "require", "options": "-c search_path=ml -c default_transaction_read_only=on"},
        ),
        ("mysql+pymysql://ml@db/x", {"init_command": "SET SESSION TRANSACTION READ ONLY"}),
    ],
)
def test_sessions_of_a_database_server_are_read_only(url: str, asked: dict[str, str]) -> None:
    made = make_url(read_only(url))
    assert dict(made.query) == asked
    assert made.set(query={}) == make_url(url).set(query={})


def test_a_database_server_that_does_not_answer(source_of: Make) -> None:
    snapshot = poll(source_of("postgresql+psycopg://ml@127.0.0.1:1/x"), "mlflow.registry.models")
    assert (snapshot.status, snapshot.why) == (PollStatus.FAILED, Reason.UNREACHABLE)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("file:///tmp/mlruns", "folder"),
        ("./mlruns", "folder"),
        ("/srv/mlruns", "folder"),
        ("arn:aws:sagemaker:eu-west-1:111122223333:mlflow-tracking-server/x", "sagemaker-mlflow"),
        ("azureml://eastus.api.azureml.ms/mlflow", "azureml-mlflow"),
        ("gopher://mlflow", "plug-in missing"),
        ("mssql+pyodbc://db/mlflow", "SQL Server"),
    ],
)
def test_a_uri_that_cannot_be_read_says_what_to_do(url: str, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        connect(Mlflow(url=url), lambda reference: reference)
    assert said in str(raised.value)


def test_secrets_reach_no_stored_byte(store: Store, source_of: Make) -> None:
    client = store.client
    run_id = client.create_run(
        store.experiment_id, tags={"db_password": PASSWORD, "note": f"key {AWS_KEY}"}
    ).info.run_id
    client.log_param(run_id, "hub", HF_TOKEN)
    client.log_param(run_id, "url", f"postgresql://ml:{PASSWORD}@db/train")
    client.set_tag(run_id, "mlflow.source.git.repoURL", f"https://ada:{PASSWORD}@git.example.com/x.git")
    client.set_model_version_tag("fraud", "1", "token", HF_TOKEN)
    client.set_registered_model_tag("fraud", "access", f"AccountKey {AWS_KEY}")
    client.update_registered_model("fraud", f"Login with {HF_TOKEN}")
    client.create_model_version("fraud", f"https://ada:{PASSWORD}@files.example.com/model", run_id=run_id)
    source = source_of(store.url)
    for stream in STREAMS:
        kept = stored_bytes(poll(source, stream))
        for secret in (HF_TOKEN, AWS_KEY, PASSWORD):
            assert secret.encode() not in kept, f"{stream} keeps a secret"
    run = facts(poll(source, "mlflow.tracking.runs"))[run_id]
    assert {hit["at"] for hit in run["secrets"]} >= {"/params/hub", "/params/url", "/tags/note", "/code/repo"}
    assert json.dumps(run["params"]) == json.dumps({"hub": "[redacted]", "url": "[redacted]"})


def test_who_asked_and_where(store: Store, source_of: Make) -> None:
    receipt = poll(source_of(store.url), "mlflow.tracking.runs").receipt
    assert receipt["endpoint"] == "sqlite"
    assert receipt["identity"] == "no credential"
    assert set(receipt["operations"]) == {"SearchExperiments", "SearchRuns"}
