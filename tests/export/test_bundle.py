"""What an export says, against the ten days' oracle, and by other people's tools."""

from __future__ import annotations

import csv
import hashlib
import json
import subprocess
import zipfile
from datetime import date
from pathlib import Path

import pytest

from agent.assess import State
from agent.clock import DAY_MS, iso
from agent.errors import UsageError
from agent.export.bundle import export_bundle
from agent.export.tree import Tree
from agent.ledger import Ledger
from agent.schedule import Coverage
from tests.export.company import FORMULA, START_MS, company, registry
from tests.export.conftest import MADE_MS, PERIOD, Made, settings


def day_ms(day: int, seconds: int = 0) -> int:
    return START_MS + (day - 1) * DAY_MS + seconds * 1000


def rows(made: Made, table: str) -> list[dict[str, str]]:
    with (made.folder / f"tables/{table}.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_deviations_equal_the_oracle(made: Made) -> None:
    """Bounds by hand from the table in company.py: buckets are observed 4 s after midnight."""
    found = {
        row["subject"].lstrip("'"): (
            row["last_good_at"],
            row["opened_at"],
            row["last_fail_at"],
            row["closed_at"],
            row["closed_by"],
        )
        for row in rows(made, "deviations")
        if row["check"] == "bucket-tls-only"
    }
    assert found == {
        "two": (iso(day_ms(2, 4)), iso(day_ms(3, 4)), iso(day_ms(4, 4)), iso(day_ms(5, 4)), "passed"),
        "three": ("", iso(day_ms(6, 4)), iso(day_ms(6, 4)), iso(day_ms(8, 4)), "removed"),
        FORMULA.lstrip("'"): ("", iso(day_ms(1, 4)), iso(day_ms(10, 4)), "", "open at period end"),
    }
    (server,) = (row for row in rows(made, "deviations") if row["check"] == "mlflow-auth-required")
    assert (server["severity"], server["overdue"], server["poll"]) == ("critical", "yes", "")


def test_an_event_that_failed_stays_one(made: Made) -> None:
    (row,) = (row for row in rows(made, "deviations") if row["check"] == "promotion-has-approval")
    assert (row["event"], row["opened_at"], row["closed_at"]) == ("yes", iso(day_ms(6, 18 * 3600 + 60)), "")
    assert row["closed_by"] == "an event: nothing undoes it"


def test_promotions_are_a_population(made: Made) -> None:
    """Both of them, with what the rule said, and whether the list can be complete."""
    lines = [json.loads(line) for line in (made.folder / "populations/POP-01.jsonl").read_text().splitlines()]
    said = [(row["id"], row["findings"]["promotion-has-approval"]["status"], row["first_judged"]) for row in lines]
    assert said == [
        ("promotion:churn:1:20", "pass", iso(day_ms(3, 18 * 3600 + 60))),
        ("promotion:churn:2:50", "fail", iso(day_ms(6, 18 * 3600 + 60))),
    ]
    sheet = json.loads((made.folder / "populations/POP-01.ipe.json").read_text())
    assert (sheet["rows"], sheet["complete"]) == (2, True)
    whole = (made.folder / "populations/POP-01.jsonl").read_bytes()
    assert sheet["digest"] == f"sha256:{hashlib.sha256(whole).hexdigest()}"


def test_slots_and_gaps_equal_the_oracle(made: Made) -> None:
    """Ten days owe 10 + 10 + 40 slots; the last of each stream is not over when the ledger ends."""
    assessment = made.exported.assessment
    assert assessment.slots == {Coverage.COVERED: 7 + 8 + 34, Coverage.BRIDGED: 1 + 1 + 5, Coverage.FAILED: 1}
    assert made.exported.manifest["counts"]["slots"] == {
        "owed": 57, "covered": 49, "bridged": 7, "failed": 1, "missed": 0,
    }  # fmt: skip
    found = {
        (row["stream"], row["from"], row["until"], row["slots"], row["bridged"], row["reason"])
        for row in rows(made, "gaps")
    }
    away = (iso(day_ms(9)), iso(day_ms(10)))
    denied = "refused ListBuckets; needs s3:ListAllMyBuckets"
    six, noon = iso(day_ms(2, 6 * 3600)), iso(day_ms(2, 12 * 3600))
    assert found == {
        ("aws.s3.buckets", iso(day_ms(7)), iso(day_ms(8)), "1", "no", denied),
        ("aws.s3.buckets", *away, "1", "yes", "agent was away: host stopped"),
        ("aws.iam.users", *away, "1", "yes", "agent was away: host stopped"),
        ("mlflow.registry.models", *away, "4", "yes", "agent was away: host stopped"),
        ("mlflow.registry.models", six, noon, "1", "yes", "unreachable"),
    }


@pytest.mark.parametrize(
    ("control", "days"),
    [
        ("enc-in-transit", "p p p p p p ? p p p"),
        ("access-authentication-strong", "m m m m ? m m m b m"),
        ("access-privileged-controlled", "m m m m m m m m b m"),
        ("access-data-and-models-restricted", "x x x x x x x x x x"),
        ("enc-at-rest", "- - - - - - ? - b -"),
        ("ml-model-promotion-approved", "- b m - - x - - b -"),
    ],
)
def test_days_equal_the_oracle(made: Made, control: str, days: str) -> None:
    """Denied is not evaluable; the day away is bridged, except where a deviation stands."""
    signs = {
        "m": State.MET, "p": State.PARTLY_MET, "x": State.NOT_MET, "?": State.NOT_EVALUABLE, "b": State.BRIDGED,
        "-": State.NOT_APPLICABLE,
    }  # fmt: skip
    (facts,) = (one for one in made.exported.assessment.controls if one.control.id == control)
    assert [day.state for day in facts.days] == [signs[sign] for sign in days.split()]


def test_an_opinion_is_given_nowhere(made: Made) -> None:
    for path in made.folder.rglob("*"):
        if path.suffix in (".html", ".txt", ".csv", ".md"):
            text = path.read_text(encoding="utf-8").lower()
            assert not {word for word in ("compliant", "effective", "adequate") if word in text}, path.name


def test_draft_and_demo_are_said_everywhere(made: Made) -> None:
    manifest = made.exported.manifest
    assert (manifest["demo"], manifest["draft"], manifest["controls"]["adopted"]) == (True, True, 0)
    for name in ("START-HERE.html", "README.txt", "report/report.html"):
        text = (made.folder / name).read_text(encoding="utf-8")
        assert "No control has been adopted yet" in text
        assert "DEMO" in text
        assert "unanchored since its first entry" in text
        assert "<GmbH>" not in text or name == "README.txt"


def test_openssh_and_coreutils_agree(made: Made) -> None:
    """Keys, signature format and sums, checked by tools that are not ours."""
    lines = (made.folder / "README.txt").read_text(encoding="utf-8")
    command = next(line for line in lines.splitlines() if line.startswith("ssh-keygen"))
    said = subprocess.run(command, shell=True, cwd=made.folder, capture_output=True, text=True, check=True)
    assert said.stdout.startswith('Good "evidenced-bundle" signature for evidenced')
    assert made.ledger.fingerprint in said.stdout
    sums = ["sha256sum", "--quiet", "--strict", "-c", "SHA256SUMS"]
    assert subprocess.run(sums, cwd=made.folder, capture_output=True, text=True, check=True).stdout == ""
    (made.folder / "SHA256SUMS.other").write_bytes(made.exported.sums + b"\n")
    wrong = subprocess.run(
        command.replace("< SHA256SUMS", "< SHA256SUMS.other"),
        shell=True,
        cwd=made.folder,
        capture_output=True,
        check=False,
    )
    (made.folder / "SHA256SUMS.other").unlink()
    assert wrong.returncode != 0


def test_every_file_is_in_the_sums_and_every_name_is_portable(made: Made) -> None:
    listed = {line[66:] for line in made.exported.sums.decode().splitlines()}
    there = {str(path.relative_to(made.folder)) for path in made.folder.rglob("*") if path.is_file()}
    assert listed == there - {"SHA256SUMS", "SHA256SUMS.sig"}
    assert len({name.lower() for name in there}) == len(there)
    assert made.exported.sums.decode().splitlines() == sorted(
        made.exported.sums.decode().splitlines(), key=lambda line: line[66:].encode()
    )


def test_the_same_export_gives_the_same_sums(made: Made, tmp_path: Path) -> None:
    again = export_bundle(
        made.ledger, registry(), settings(), out=tmp_path / "again.zip", made_at_ms=MADE_MS, period=PERIOD
    )
    later = export_bundle(
        made.ledger, registry(), settings(), out=tmp_path / "later.zip", made_at_ms=MADE_MS + 1, period=PERIOD
    )
    assert again.sums == made.exported.sums
    assert later.sums != made.exported.sums
    with zipfile.ZipFile(made.path) as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_the_ledger_part_holds_the_exact_lines(made: Made) -> None:
    written = (made.folder / "ledger/entries-000001.jsonl").read_bytes().splitlines()
    assert written == [line for _, line in made.ledger.lines()]
    for path in (made.folder / "ledger/documents").rglob("*.jsonl"):
        for line in path.read_bytes().splitlines():
            body = line[len(b'{"body":') : -77]
            assert hashlib.sha256(body).hexdigest() == json.loads(line)["sha256"]


def test_items_lead_from_a_record_to_its_findings(made: Made) -> None:
    items = [json.loads(line) for line in (made.folder / "evidence/items.jsonl").read_text().splitlines()]
    two = [item for item in items if item["subject"] == "two"]
    assert [(item["observed"]["first"], item["observed"]["last"], item["observed"]["polls"]) for item in two] == [
        (iso(day_ms(1, 4)), iso(day_ms(2, 4)), 2),
        (iso(day_ms(3, 4)), iso(day_ms(4, 4)), 2),
        (iso(day_ms(5, 4)), iso(day_ms(10, 4)), 4),
    ]
    assert [item["observed"]["not_observed"] for item in two] == [0, 0, 1]
    assert [
        [finding["status"] for finding in item["findings"] if finding["check"] == "bucket-tls-only"] for item in two
    ] == [["pass"], ["fail"], ["pass"]]
    assert two[1]["receipt"]["identity"].endswith("assumed-role/evidence-reader/agent")
    assert two[1]["receipt"]["first_request_id"] == f"REQ-{day_ms(3, 4)}"
    assert two[1]["redacted"] == ["/tags/owner"]


def test_csv_is_safe_to_open(made: Made) -> None:
    raw = (made.folder / "tables/results.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    assert raw.count(b"\n") == raw.count(b"\r\n")
    for path in (made.folder / "tables").glob("*.csv"):
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.reader(file):
                assert not [cell for cell in row if cell.startswith(("=", "+", "@", "\t", "\r"))], path.name
    schema = json.loads((made.folder / "tables/schema.json").read_text())
    for path in (made.folder / "tables").glob("*.csv"):
        with path.open(encoding="utf-8-sig", newline="") as file:
            assert next(csv.reader(file)) == [column["name"] for column in schema[path.stem]["columns"]]


def test_a_moment_shows_what_was_known_then(made: Made, tmp_path: Path) -> None:
    """Day 4 at noon: two and the formula bucket fail; three does not exist yet."""
    exported = export_bundle(
        made.ledger, registry(), settings(), out=tmp_path / "a.zip", made_at_ms=MADE_MS, as_of=day_ms(4, 43_200)
    )
    found = {one.subject.key for one in exported.assessment.open if one.subject.check == "bucket-tls-only"}
    assert found == {"two", FORMULA}
    assert exported.manifest["kind"] == "type-1"
    assert exported.manifest["counts"]["items"] == 6


def test_a_moment_on_the_denied_day_evaluates_nothing_of_the_buckets(made: Made, tmp_path: Path) -> None:
    exported = export_bundle(
        made.ledger, registry(), settings(), out=tmp_path / "a.zip", made_at_ms=MADE_MS, as_of=day_ms(7, 43_200)
    )
    (facts,) = (one for one in exported.assessment.controls if one.control.id == "enc-in-transit")
    assert facts.state is State.NOT_EVALUABLE
    assert set(facts.total.at_end) == {"not_evaluated"}


def test_entries_after_the_newest_checkpoint_are_sealed_first(tmp_path: Path) -> None:
    ledger = company(tmp_path)
    ledger.append_event("stop", {"host": "agent-01"}, MADE_MS)
    before = ledger.head().size
    exported = export_bundle(ledger, registry(), settings(), out=tmp_path / "b.zip", made_at_ms=MADE_MS, period=PERIOD)
    assert exported.manifest["ledger"]["size"] == before + 1
    assert exported.manifest["demo"] is False
    ledger.close()


def test_an_empty_ledger_exports_and_shows_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'l.db'}"
    ledger = Ledger.open(url, tmp_path / "key", create=True, now_ms=START_MS)
    exported = export_bundle(
        ledger, registry(), settings(), out=tmp_path / "b.zip", made_at_ms=START_MS, as_of=START_MS
    )
    assert exported.assessment.controls == []
    assert exported.manifest["counts"]["items"] == 0
    ledger.close()


@pytest.mark.parametrize(
    "span", [{}, {"as_of": START_MS, "period": PERIOD}, {"period": (date(2027, 1, 1), date(2027, 1, 2))}]
)
def test_what_is_no_span_is_refused(made: Made, tmp_path: Path, span: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        export_bundle(made.ledger, registry(), settings(), out=tmp_path / "b.zip", made_at_ms=MADE_MS, **span)  # type: ignore[arg-type]
    assert not list(tmp_path.glob("b.zip*"))


@pytest.mark.parametrize("name", ["../up", "/root", "a//b", ".hidden", "a b", "ä", "a/" * 80 + "a", "a\n"])
def test_a_tree_takes_no_name_that_leaves_it(name: str) -> None:
    tree = Tree()
    with pytest.raises(ValueError, match="may not be a member"):
        tree.write(name, b"")
    tree.write("Same", b"")
    with pytest.raises(ValueError, match="by case alone"):
        tree.write("same", b"")
    tree.close()
