"""The catalogue: what it holds, what its loader refuses, and how `evidenced controls` shows it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.catalogue import Catalogue, load_catalogue
from agent.cli.controls import app
from agent.registry import discover

# How many criteria each family of the trust services criteria has.
FAMILIES = {"CC1": 5, "CC2": 3, "CC3": 4, "CC4": 2, "CC5": 3, "CC6": 8, "CC7": 5, "CC8": 1, "CC9": 2, "A1": 3, "C1": 2,
            "PI1": 5, "P1": 1, "P2": 1, "P3": 2, "P4": 3, "P5": 2, "P6": 7, "P7": 1, "P8": 1}  # fmt: skip
CATEGORY = {"CC": "security", "A": "availability", "C": "confidentiality", "PI": "processing_integrity", "P": "privacy"}

CRITERIA = """
[security]
"CC6.1" = "Access"
"CC7.2" = "Anomalies"
"""

CONTROL = """
[[control]]
id = "keys-rotated"
title = "Keys rotated"
statement = "Keys are rotated."
criteria = ["CC6.1"]
severity = "high"
cadence = "daily"
owner = "Security lead"
population = "All keys."
remediation = "Rotate the key."
requirements = ["R-090"]

[control.checks]
key-age = { state = "active", tier = "core", sources = ["aws.iam"] }
key-unused = { state = "planned", tier = "ext", severity = "low", sources = ["aws.iam"] }
"""

OTHER = CONTROL.replace("keys-rotated", "keys-few").replace('["CC6.1"]', '["CC7.2"]').replace('"high"', '"critical"')

Load = Callable[..., Catalogue]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Load:
    """Writes a package of catalogue files (each test and call its own, for what is loaded is kept) and loads it."""
    monkeypatch.syspath_prepend(tmp_path)
    calls = iter(range(100))

    def write_and_load(criteria: str = CRITERIA, **areas: str) -> Catalogue:
        name = f"catalogue_{abs(hash(request.node.nodeid))}_{next(calls)}"
        (tmp_path / name / "controls").mkdir(parents=True)
        (tmp_path / name / "__init__.py").touch()
        (tmp_path / name / "criteria.toml").write_text(criteria)
        for area, text in areas.items():
            (tmp_path / name / "controls" / f"{area}.toml").write_text(text)
        return load_catalogue(name)

    return write_and_load


def test_the_61_criteria() -> None:
    expected = {f"{family}.{number}" for family, count in FAMILIES.items() for number in range(1, count + 1)}
    criteria = load_catalogue().criteria
    assert len(expected) == 61
    assert set(criteria) == expected
    assert {id: criterion.category for id, criterion in criteria.items()} == {
        id: CATEGORY[id.rstrip("0123456789.")] for id in expected
    }
    assert len({criterion.title for criterion in criteria.values()}) == 61


def test_every_control_maps_to_known_criteria_and_takes_checks() -> None:
    catalogue = load_catalogue()
    for control in catalogue.controls.values():
        assert {*control.criteria, *control.supporting} <= catalogue.criteria.keys(), control.id
        assert control.checks, control.id
        assert len(control.title) < 60, control.id


def test_every_core_and_staple_check_of_aws_and_the_identity_providers_is_active() -> None:
    entries = {check for control in load_catalogue().controls.values() for check in control.checks}
    owed = {check for check in entries if check.reads("aws") or check.reads("identity")}
    assert [check.id for check in owed if check.tier in ("core", "staple") and check.state != "active"] == []


@pytest.mark.parametrize(
    ("check_id", "severity", "criteria"),
    [
        ("bucket-not-public", "critical", ("C1.1", "CC6.1", "CC6.6", "CC6.7")),
        ("bucket-public-block", "medium", ("C1.1", "CC6.1", "CC6.6", "CC6.7")),
        ("job-terminal", "medium", ("PI1.3",)),  # CC7.3 is supporting only
    ],
)
def test_severity_and_criteria_of_a_check(check_id: str, severity: str, criteria: tuple[str, ...]) -> None:
    catalogue = load_catalogue()
    assert catalogue.severity_of(check_id) == severity
    assert catalogue.criteria_of(check_id) == criteria


def test_a_check_no_control_takes() -> None:
    catalogue = load_catalogue()
    assert catalogue.controls_of("no-such-check") == ()
    assert catalogue.criteria_of("no-such-check") == ()
    with pytest.raises(KeyError, match="no-such-check"):
        catalogue.severity_of("no-such-check")


def test_a_check_two_controls_take(load: Load) -> None:
    catalogue = load(one=CONTROL, two=OTHER)
    assert [control.id for control in catalogue.controls_of("key-age")] == ["keys-few", "keys-rotated"]
    assert catalogue.criteria_of("key-age") == ("CC6.1", "CC7.2")
    assert catalogue.severity_of("key-age") == "critical"
    assert catalogue.severity_of("key-unused") == "low"
    assert catalogue.check_ids == ("key-age", "key-unused")


def test_digest_follows_the_content_only(load: Load) -> None:
    digest = load(one=CONTROL, two=OTHER).digest
    wrapped = CONTROL.replace('"Keys are rotated."', '"""\nKeys are\n  rotated.\n"""')
    assert load(all="# A comment.\n" + OTHER + wrapped).digest == digest
    assert load(one=CONTROL.replace("Keys are rotated", "Keys are replaced"), two=OTHER).digest != digest
    assert load(CRITERIA.replace("Anomalies", "Oddities"), one=CONTROL, two=OTHER).digest != digest
    assert load(one=CONTROL).digest != digest
    assert len(digest) == 64


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('["CC6.1"]', '["CC6.9"]', "controls/area.toml: keys-rotated.criteria: unknown criterion CC6.9"),
        ('["CC6.1"]', "[]", "controls/area.toml: keys-rotated.criteria: names none"),
        ('["CC6.1"]', '"CC6.1"', "controls/area.toml: keys-rotated.criteria: must be a list of texts"),
        ('["CC6.1"]', '["CC6.1", "CC6.1"]', "controls/area.toml: keys-rotated.criteria: names one twice"),
        ("owner =", 'supporting = ["X1"]\nowner =', "keys-rotated.supporting: unknown criterion X1"),
        ("owner =", 'supporting = ["CC6.1"]\nowner =', "keys-rotated.supporting: already carried: CC6.1"),
        ("owner =", "ownr =", "controls/area.toml: keys-rotated: unknown key ownr"),
        ('owner = "Security lead"\n', "", "controls/area.toml: keys-rotated: missing key owner"),
        ('"Security lead"', '" "', "controls/area.toml: keys-rotated.owner: must be a text"),
        ('"daily"', '"sometimes"', "controls/area.toml: keys-rotated.cadence: sometimes is none of"),
        ('"high"', '"urgent"', "controls/area.toml: keys-rotated.severity: urgent is none of"),
        ('"planned"', '"later"', "controls/area.toml: keys-rotated.checks.key-unused.state: later is none of"),
        ('"low"', '"tiny"', "controls/area.toml: keys-rotated.checks.key-unused.severity: tiny is none of"),
        ("sources", "source", "controls/area.toml: keys-rotated.checks.key-age: unknown key source"),
        ("key-unused", "key-age", "controls/area.toml: "),
        ('id = "keys-rotated"\n', "", "controls/area.toml: control 1.id: must be a text"),
        ("[[control]]", "[[controls]]", "controls/area.toml: unknown key controls"),
        ("[[control]]", "[control]", "controls/area.toml: control: must be an array of tables"),
        ("=", ":", "controls/area.toml: "),
    ],
)
def test_bad_controls_are_named(load: Load, old: str, new: str, message: str) -> None:
    assert old in CONTROL
    with pytest.raises(ValueError, match=re.escape(message)):
        load(area=CONTROL.replace(old, new))


@pytest.mark.parametrize(
    ("criteria", "message"),
    [
        (CRITERIA.replace("security", "safety"), "criteria.toml: safety: unknown category"),
        (CRITERIA + '[privacy]\n"CC6.1" = "Again"\n', "criteria.toml: privacy.CC6.1: id is already taken"),
        (CRITERIA + '"P1.1" = 1\n', "criteria.toml: security.P1.1: must be a text"),
        ('security = "CC6.1"\n', "criteria.toml: security: must be a table"),
        (CRITERIA + '"CC6.1" = "Again"\n', "criteria.toml: "),
    ],
)
def test_bad_criteria_are_named(load: Load, criteria: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        load(criteria, area=CONTROL)


def test_a_control_id_is_taken_once(load: Load) -> None:
    with pytest.raises(ValueError, match=r"controls/two\.toml: keys-rotated: id is already taken"):
        load(one=CONTROL, two=CONTROL)


def test_two_controls_agree_on_the_state_of_a_check(load: Load) -> None:
    with pytest.raises(ValueError, match=r"controls/two\.toml: keys-few\.checks\.key-age\.state: another control"):
        load(one=CONTROL, two=OTHER.replace('"active"', '"planned"'))


def test_list_for_people() -> None:
    result = CliRunner().invoke(app, ["list"])
    assert result.exit_code == 0
    row = next(line for line in result.stdout.splitlines() if "access-credentials-current" in line)
    assert " ".join(row.split()) == "access-credentials-current CC6.1 CC6.2 CC6.3 high 3 of 4 active observed"
    assert all(id in result.stdout for id in load_catalogue().controls)


def test_list_for_programs() -> None:
    result = CliRunner().invoke(app, ["list", "--output", "json"])
    answer = json.loads(result.stdout)
    assert answer["schema"] == "evidenced.controls/1"
    assert answer["catalogue"] == load_catalogue().digest
    assert [body["id"] for body in answer["controls"]] == list(load_catalogue().controls)
    lines = CliRunner().invoke(app, ["list", "--output", "jsonl"]).stdout.splitlines()
    assert [json.loads(line) for line in lines] == [
        {"schema": "evidenced.controls/1", **body} for body in answer["controls"]
    ]


def test_show_for_people() -> None:
    result = CliRunner().invoke(app, ["show", "train-job-failures-handled"])
    assert result.exit_code == 0
    control = load_catalogue().controls["train-job-failures-handled"]
    for text in (control.title, control.statement, control.population, control.remediation, "3 of 3 active"):
        assert text in result.stdout
    assert "PI1.3  Processing integrity" in result.stdout
    assert "CC7.3  Event evaluation (supporting)" in result.stdout
    states = {line.split()[0]: line.split()[1] for line in result.stdout.splitlines() if line.startswith("  job-")}
    assert states == {"job-terminal": "active", "job-failure-followed": "active"}


def test_show_gives_the_rule_of_a_registered_check() -> None:
    title = discover().checks["iam-key-age"][0].title
    shown = CliRunner().invoke(app, ["show", "access-credentials-current"]).stdout
    line = next(line for line in shown.splitlines() if line.startswith("  iam-key-age "))
    assert line.split(maxsplit=3)[3].rstrip() == title
    answer = json.loads(CliRunner().invoke(app, ["show", "access-credentials-current", "--output", "json"]).stdout)
    rules = {check["id"]: check["rule"] for check in answer["controls"][0]["checks"]}
    assert rules["iam-key-age"] == title
    assert rules["iam-role-unused"] is None


@pytest.mark.parametrize(
    ("id", "message"),
    [
        ("enc-at-rset", "no control enc-at-rset; did you mean enc-at-rest"),
        ("iam-key-age", "iam-key-age is a check; controls that take it: access-credentials-current"),
        ("zzz", "no control zzz; `evidenced controls list` names them all"),
    ],
)
def test_show_of_an_unknown_id(id: str, message: str) -> None:
    result = CliRunner().invoke(app, ["show", id])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert message in result.stderr
