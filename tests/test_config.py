"""The configuration: what loads, what is refused and where it says so."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from agent.canonical import canonical, in_profile
from agent.config import FILE_NAME, find, load, require_libraries, secrets
from agent.config_errors import line_of
from agent.errors import MissingCredential, UsageError
from agent.settings import Settings

EXAMPLE = Path(__file__).parent.parent / "config.example.toml"


def written(folder: Path, text: str) -> Path:
    file = folder / FILE_NAME
    file.write_text(text, encoding="utf-8")
    return file


def test_the_smallest_useful_file(tmp_path: Path) -> None:
    settings = load(
        written(
            tmp_path,
            f"""
            version = 1
            [store]
            url = "sqlite:///store.db"
            [collect.aws]
            enabled = true
            regions = ["us-east-1"]
            [collect.mlflow]
            enabled = true
            url = "sqlite:///{tmp_path}/mlflow.db"
            """,
        )
    )
    assert settings.store.url == f"sqlite:///{tmp_path}/store.db"
    assert settings.collect.mlflow.url == f"sqlite:///{tmp_path}/mlflow.db"
    assert settings.ledger.key_file == tmp_path / "signing_key"
    assert set(settings.collect.enabled()) == {"aws", "mlflow"}


def test_without_a_file_the_environment_s_own_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find() is None
    settings = load()
    assert set(settings.collect.enabled()) == {"aws"}
    assert settings.store.url == f"sqlite:///{tmp_path}/evidence.db"


def test_the_example_explains_every_key_and_gives_the_defaults(tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    settings = load(written(tmp_path, text))
    for name, section in Settings.model_fields.items():
        inside = getattr(section.annotation, "model_fields", {})
        for key in inside:
            if (name, key) != ("collect", "trainlog"):
                assert line_of((name, key), text) or f"# {key} = " in text, f"{name}.{key} is not explained"
    for table in (settings.collect.aws, settings.collect.mlflow, settings.collect.trainlog):
        for key in type(table).model_fields:
            assert f"\n{key} = " in text or f"\n# {key} = " in text, f"{key} is not explained"
    plain = load(written(tmp_path, ""))
    assert settings.thresholds == plain.thresholds
    assert settings.schedule == plain.schedule
    assert settings.ledger == plain.ledger


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[collect.aws]\nregion = 'eu-west-1'\n", ":2: collect.aws.region: unknown key; did you mean regions?"),
        ("[stoer]\n", ":1: stoer: unknown key; did you mean store?"),
        ("[notify]\nurls = []\n", ":1: notify: unknown key"),
        ("[store]\nurl = \n", ":2:7: invalid value"),
        ("[store\n", ":1:7: expected ']' at the end of a table declaration"),
        ("version = 2\n", ":1: version: input should be 1"),
        ("[collect.aws]\nevery = { iam = '15x' }\n", ":2: collect.aws.every.iam: '15x' is no interval"),
        ("[collect.aws.every]\niam = '1d'\ns3x = '1d'\n", ":3: collect.aws.every.s3x: no stream of aws has this name"),
        ("[collect.aws]\nregions = 7\n", ":2: collect.aws.regions: input should be 'all-enabled'; or input should be"),
        ("[collect.aws]\naccounts = ['1', '2']\n", ":2: collect.aws.accounts: string should match"),
        ("[collect.mlflow]\nenabled = true\n", ":1: collect.mlflow: url is missing"),
        ("[ledger]\nanchors = ['file']\n", ":2: ledger.anchors: this version puts its checkpoints nowhere else"),
        (
            "[thresholds]\nkey_max_age_day = 9\n",
            ":2: thresholds.key_max_age_day: unknown key; did you mean key_max_age",
        ),
        (
            "[thresholds]\nroot_unused_days = 0\n",
            ":2: thresholds.root_unused_days: input should be greater than or equal to 1",
        ),
        ("[profiles.m]\nmetrics = { auc = {} }\n", ":2: profiles.m.metrics.auc: give min, max or both"),
        (
            "[entity]\nperiod = { first_day = 2026-02-01, last_day = 2026-01-01 }\n",
            ":2: entity.period: last_day is before first_day",
        ),
    ],
)
def test_what_is_wrong_is_told_with_line_and_key(tmp_path: Path, text: str, message: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        load(file)
    assert caught.value.exit_code == 2
    assert f"{file}{message}" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "[collect.mlflow]\nurl = 'https://m.example.com'\ntoken = 'S3cr3tValue'\n",
        "[collect.mlflow]\nurl = 'https://user:S3cr3tValue@m.example.com'\n",
        "[store]\nurl = 'postgresql+psycopg://u:S3cr3tValue@db/e'\n",
        "[store]\nurl = 'postgresql+psycopg://u@db/e?sslmode=require&password=S3cr3tValue'\n",
        "[store]\npassword = 'S3cr3tValue'\n",
        "[collect.aws]\nexternal_id = 'S3cr3tValue'\n",
    ],
)
def test_a_secret_in_clear_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(written(tmp_path, text))
    assert "S3cr3tValue" not in str(caught.value)
    assert "reference" in str(caught.value)


def test_the_environment_goes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, "[store]\nurl = 'sqlite:///a.db'\n[collect.aws]\nregions = ['eu-west-1']\n")
    monkeypatch.setenv("EVIDENCED_STORE__URL", "sqlite:///b.db")
    monkeypatch.setenv("EVIDENCED_COLLECT__AWS__ROLE", "arn:aws:iam::{account}:role/reader")
    monkeypatch.setenv("EVIDENCED_AWS_EXTERNAL_ID", "not a setting, only what a reference may name")
    settings = load(file)
    assert settings.store.url == f"sqlite:///{tmp_path}/b.db"
    assert settings.collect.aws.role == "arn:aws:iam::{account}:role/reader"
    assert settings.collect.aws.regions == ["eu-west-1"]
    monkeypatch.setenv("EVIDENCED_STORE__URLL", "x")
    with pytest.raises(UsageError, match=r"\$EVIDENCED_STORE__URLL: store.urll: unknown key; did you mean url\?"):
        load(file)


def test_search_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    user = tmp_path / "user" / "evidenced"
    user.mkdir(parents=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    in_user = written(user, "")
    assert find() == in_user
    here = written(tmp_path, "")
    assert find() is not None
    assert find().resolve() == here  # type: ignore[union-attr]
    named = tmp_path / "named.toml"
    named.write_text("")
    monkeypatch.setenv("EVIDENCED_CONFIG", str(named))
    assert find() == named
    assert find(in_user) == in_user
    monkeypatch.setenv("EVIDENCED_CONFIG", str(tmp_path / "gone.toml"))
    with pytest.raises(UsageError, match="there is no such file"):
        find()


def test_references_are_looked_up_when_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("from a file\n")
    settings = load(
        written(
            tmp_path,
            "[collect.mlflow]\nurl = 'https://m.example.com'\ntoken = 'file:token'\n[store]\npassword='cred:db'",
        )
    )
    assert secrets(settings.collect.mlflow.token or "") == "from a file"
    monkeypatch.setenv("A_TOKEN", "from the environment")
    assert settings.secret("env:A_TOKEN") == "from the environment"
    with pytest.raises(MissingCredential, match="CREDENTIALS_DIRECTORY"):
        settings.store.connection()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "db").write_text("p@ss/word")
    settings.store.url = "postgresql+psycopg://evidenced@db.internal/evidenced"
    assert settings.store.connection() == "postgresql+psycopg://evidenced:p%40ss%2Fword@db.internal/evidenced"
    for missing in ("env:NOT_SET", f"file:{tmp_path}/gone", "cred:gone"):
        with pytest.raises(MissingCredential) as caught:
            secrets(missing)
        assert caught.value.exit_code == 4


def test_rule_settings_are_in_the_evidence_profile_and_bind_every_threshold(tmp_path: Path) -> None:
    settings = load(
        written(
            tmp_path,
            """
            [thresholds]
            key_standard = { restricted = "customer" }
            max_password_age_days = 365
            [profiles.fraud-gate.metrics]
            auc = { min = 0.9 }
            """,
        )
    )
    rules = settings.rule_settings()
    refused: list[str] = []
    assert canonical(rules) == canonical(in_profile(rules, lambda at, _why: refused.append(at)))
    assert not refused
    assert set(type(settings.thresholds).model_fields) < set(rules)
    assert rules["key_standard"] == {
        "public": "provider", "internal": "provider", "confidential": "provider", "restricted": "customer"
    }  # fmt: skip
    assert rules["password_classes"] is None, "off"
    assert rules["max_password_age_days"] == 365
    assert rules["profiles"]["fraud-gate"]["metrics"] == {"auc": {"min": "0.9", "max": None}}
    assert rules["production"]["aliases"] == ["production", "champion"]


def test_what_the_ledger_keeps_of_the_configuration_holds_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TOKEN", "S3cr3tValue")
    settings = load(written(tmp_path, "[collect.mlflow]\nurl = 'https://m.example.com'\ntoken = 'env:MLFLOW_TOKEN'\n"))
    kept = settings.redacted()
    assert "S3cr3tValue" not in json.dumps(kept)
    assert kept["collect"]["mlflow"]["token"] == "env:MLFLOW_TOKEN"
    assert canonical(kept)


def test_an_enabled_source_whose_library_is_missing_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load(written(tmp_path, "[collect.aws]\n"))
    require_libraries(settings)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(UsageError) as caught:
        require_libraries(settings)
    assert "pip install 'evidenced[aws]'" in str(caught.value)


def test_two_loads_share_nothing(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    assert load(written(one, "")).ledger.key_file == one / "signing_key"
    assert load(written(other, "")).ledger.key_file == other / "signing_key"
