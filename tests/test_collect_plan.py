"""`collect --plan`, what is printed of many accounts, and which gaps make an exit code."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from urllib.request import Request, urlopen

import boto3
import pytest
from moto.server import ThreadedMotoServer
from rich.console import Console

from agent.cli import main
from agent.cli.plan import Row, largest, page
from agent.cli.summary import Progress, named
from agent.model import Gap, Kind, PollStatus, Reason, Scope, Snapshot, Tape, Target
from agent.registry import discover
from agent.sweep import Outcome, Plan, Planned

EVIDENCED = str(Path(sys.executable).with_name("evidenced"))


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A plain moto server with one bucket, and the environment that leads there."""
    started = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    started.start()
    address = "http://{}:{}".format(*started.get_host_and_port())
    # servers of one process share what they hold
    urlopen(Request(f"{address}/moto-api/reset", method="POST"))
    for name, value in {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "evidenced.toml").write_text('[collect.aws]\nregions = ["us-east-1"]\ncalls_per_day = 50\n')
    monkeypatch.chdir(tmp_path)
    boto3.client("s3").create_bucket(Bucket="planned")
    yield tmp_path
    started.stop()


@pytest.mark.usefixtures("server")
class TestPlan:
    def planned(self, capsys, *more):
        capsys.readouterr()
        assert main.answer(["collect", "--plan", "aws.s3", "--output", "json", *more]) == 0
        told = json.loads(capsys.readouterr().out)
        return told, {row["stream"]: row for row in told["streams"]}

    def test_before_anything_was_collected_it_is_an_estimate_and_writes_nothing(self, server, capsys):
        told, rows = self.planned(capsys)
        assert told["schema"] == "evidenced.plan/1"
        assert rows["aws.s3.exposures"]["targets_estimated"] == 1
        assert rows["aws.s3.exposures"]["calls_a_poll"] == len(discover().streams["aws.s3.exposures"].needs)
        assert sorted(path.name for path in server.iterdir()) == ["evidenced.toml"]

    def test_afterwards_it_is_what_the_newest_polls_asked(self, capsys):
        main.answer(["collect", "--now", "aws.s3", "--output", "json"])
        told, rows = self.planned(capsys)
        one = rows["aws.s3.exposures"]
        assert (one["calls_a_poll"], one["targets_estimated"], one["every_s"]) == (5, 0, 3600)
        assert one["calls_a_month"] == one["trail_events_a_month"] == 5 * 720
        assert told["calls_a_month"] == sum(row["calls_a_month"] for row in rows.values())
        assert told["largest"]["stream"] == "aws.s3.exposures"
        assert told["largest"]["longer"] == {"every": "6h", "calls_a_month": 5 * 120}
        assert told["aws_calls_a_day"] > told["aws_calls_per_day"] == 50

    def test_people_are_told_what_is_largest_and_what_is_over_the_budget(self, capsys):
        main.answer(["collect", "--now", "aws.s3", "--output", "json"])
        capsys.readouterr()
        assert main.answer(["collect", "--plan", "aws.s3"]) == 0
        said = capsys.readouterr().out
        assert 'the largest; "6h" would make it 600' in said
        assert "what is over it will be gaps" in said

    def test_it_does_not_collect_as_well(self, capsys):
        assert main.answer(["collect", "--plan", "--now"]) == 2
        assert "--plan" in capsys.readouterr().err


def test_other_sources_have_no_cloud_trail():
    row = Row("mlflow.registry.models", 900, 1, 9.0, 1, trailed=False)
    assert row.month == 9 * 4 * 24 * 30
    assert row.body["trail_events_a_month"] is None
    assert any("not in a cloud trail" in line for line in page([row], Plan(), 0))


def test_what_asks_nothing_is_not_the_largest():
    quiet = Row("documents.policies.files", 900, 1, 0.0, 1, trailed=False)
    assert largest([quiet]) is None
    assert quiet.longer is None


def planned(accounts: int) -> list[Planned]:
    """Every AWS stream in so many accounts."""
    specs = [spec for spec in discover().streams.values() if spec.provider == "aws"]
    scopes = [Scope(f"aws:{number:012d}", f"aws:{number:012d}") for number in range(accounts)]
    return [
        Planned(spec, None, Target(spec.name, scope, Kind.STATE, 86_400, spec.collector))
        for spec in specs
        for scope in scopes
    ]


def snapshot(item: Planned, status: PollStatus) -> Snapshot:
    return Snapshot(
        target=item.target, status=status, why=None, slot_ms=None, start_ms=0, dur_ms=1, asof_ms=None, items=(),
        documents=None, receipt=None, tape=Tape(),
    )  # fmt: skip


def test_progress_of_200_accounts_is_a_line_per_collector_that_names_what_failed():
    items = planned(200)
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=160, height=100, color_system=None)
    with Progress(Plan(targets=items), quiet=False, to=console) as progress:
        for item in items:
            bad = item.target.scope.name.endswith(("007", "008", "009", "010", "011"))
            progress.told(item, snapshot(item, PollStatus.FAILED if bad else PollStatus.COMPLETE))
        shown = "\n".join(
            "".join(segment.text for segment in line)
            for line in console.render_lines(progress._bars.get_renderable())
        )  # fmt: skip
    services = Counter(item.spec.service for item in items)
    assert len(items) > 5_000
    lines = [line for line in shown.splitlines() if line.strip()]
    assert len(lines) == len(services)
    for service, total in services.items():
        (line,) = [line for line in lines if line.split()[0] == service]
        assert f"{total}/{total}" in line
        assert f"{total // 40:,} not whole: aws:000000000007, aws:000000000008, aws:000000000009 and 2 more" in line


def test_each_scope_is_named_once():
    assert named(["a", "b", "a"]) == "a, b"
    assert named("abcde") == "a, b, c and 2 more"


@pytest.mark.parametrize(
    ("reasons", "code"),
    [
        ([], 0),
        (["unsupported"], 0),
        (["denied"], 4),
        (["unsupported", "denied"], 4),
        (["unsupported", "throttled"], 5),
        (["denied", "not_configured"], 5),
    ],
)
def test_what_nobody_can_fill_makes_no_exit_code(reasons, code):
    gaps = Counter(Gap(Reason(reason), "Get") for reason in reasons)
    outcome = Outcome(unseen=gaps)
    assert outcome.exit_code == code
    assert outcome.unsupported.total() == reasons.count("unsupported")


def test_the_installed_command_sees_all_that_a_plain_emulator_has(server):
    """What the emulator lacks is told, judged as unseen, and leaves 0: nobody can do anything about it."""
    (server / "evidenced.toml").write_text('[collect.aws]\nregions = ["us-east-1"]\n')
    done = subprocess.run([EVIDENCED, "collect", "--now"], capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the source has no " in done.stdout
    assert "LookupEvents" in done.stdout
