"""Every benchmark runs, small, and says what does not depend on the machine; no time is asserted."""

from __future__ import annotations

import json
import math
from collections import Counter
from random import Random

import pytest
from typer import Typer
from typer.testing import CliRunner

from agent.canonical import canonical
from bench import peers
from bench.__main__ import NAMES, main, measured, missed, number
from bench.child import Ended
from bench.figures import Figure, Size, at_least, at_most, below
from bench.moto_server import Counting
from bench.synthetic import changed, key_of, make
from bench.year import ACCOUNTS, YEAR_HOURS, Slice, whole_year

SAID = {
    "collect": {"requests for one bucket more", "requests for one user more", "requests for no known operation"},
    "help": {"heavy libraries it imports"},
    "ingest": {"all polls had the first one's root"},
    "polls": {"an unchanged poll of 10 resources", "bytes, large against small"},
    "year": {"a year of 10,080 resources"},
    "verify": {"a quiet store verifies", "the store of `year` verifies"},
}


@pytest.mark.parametrize("name", NAMES)
def test_a_small_run_meets_what_is_no_matter_of_speed(name):
    figures = measured([name], Size.quick)
    assert {figure.bench for figure in figures} == {name}
    assert all(math.isfinite(figure.value) for figure in figures)
    judged = {figure.name: figure.met for figure in figures if figure.demand and not figure.timed}
    assert judged.keys() >= SAID[name]
    assert all(judged.values()), judged
    assert missed(figures, Size.quick) == []


def test_the_command_prints_one_object():
    app = Typer()
    app.command()(main)
    answer = CliRunner().invoke(app, ["help", "--quick", "--output", "json"])
    said = json.loads(answer.stdout)
    assert (answer.exit_code, said["schema"], said["size"]) == (0, "evidenced.bench/1", "quick")
    assert said["figures"][0]["demand"] == "< 0.25"
    assert {"at", "cores", "python"} <= said["machine"].keys()


def test_a_benchmark_that_does_not_exist_is_refused():
    app = Typer()
    app.command()(main)
    answer = CliRunner().invoke(app, ["speed"])
    assert answer.exit_code == 2
    assert "speed" in answer.stderr


@pytest.mark.parametrize(
    ("demand", "value", "met"),
    [
        (below(2), 2, False),
        (below(2), 1.9, True),
        (at_most(2), 2, True),
        (at_most(2), 2.1, False),
        (at_least(2), 1, False),
    ],
)
def test_a_demand_is_met_or_not(demand, value, met):
    assert Figure("b", "n", value, "u", demand).met is met


def test_a_missed_demand_counts_unless_it_is_a_time_of_a_quick_run():
    slow = Figure("b", "slow", 1, "u", at_least(2))
    fat = Figure("b", "fat", 3, "u", at_most(2), timed=False)
    assert missed([slow, fat], Size.normal) == [slow, fat]
    assert missed([slow, fat], Size.quick) == [fat]


def test_invented_documents_are_stable_distinct_and_of_the_size_that_is_said():
    made = [make(Random(1), place) for place in range(3)] + [make(Random(7), 0)]
    assert made[0] == make(Random(1), 0)
    assert len({key_of(facts) for facts in made}) == 4
    random = Random(1)
    sizes = [len(canonical(make(random, place))) for place in range(200)]
    assert 1600 < sum(sizes) / len(sizes) < 1800


def test_a_change_touches_at_most_one_thing_and_leaves_what_it_was_given():
    random, touched = Random(2), []
    for place in range(200):
        before = make(random, place)
        kept = canonical(before)
        after = changed(random, before)
        assert canonical(before) == kept
        assert key_of(after) == key_of(before)
        touched.append([name for name in before if before[name] != after[name]])
    assert max(map(len, touched)) == 1
    assert {name for names in touched for name in names} == {
        "encryption", "lifecycle", "logging", "policy", "tags", "versioning",
    }  # fmt: skip


def test_a_year_is_told_from_the_second_half_of_what_was_simulated():
    part = Slice(accounts=ACCOUNTS // 10, hours=4)
    # a start of 1,000, then 50 an hour, then 10: only the 10 go on
    assert whole_year(part, [1000, 1050, 1100, 1110, 1120]) == (1120 + 10 * (YEAR_HOURS - 4)) * 10


@pytest.mark.parametrize(("value", "text"), [(3, "3"), (0.1234, "0.123"), (12345.6, "12,346"), (0, "0")])
def test_values_are_printed_with_the_digits_that_mean_something(value, text):
    assert number(value) == text


def test_peers_are_compared_by_what_their_processes_took():
    ours, theirs = (
        peers.Run(who, 2, Ended(0, "", cpu, memory), Counter(GetIt=5))
        for who, cpu, memory in (("evidenced", 5.0, 100.0), ("prowler", 40.0, 500.0))
    )
    assert peers.compared(ours, theirs) == (1 / 8, 1 / 5)
    assert "5.0 CPU s" in ours.line
    assert "5 requests" in ours.line


def test_without_the_peer_it_is_said_how_to_get_it(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(peers, "PROWLER", tmp_path / "prowler")
    assert peers.main([2]) == 2
    assert "make bench-peers" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("method", "path", "query", "service", "operation"),
    [
        ("GET", "/data", "versioning", "s3", "GetBucketVersioning"),
        ("GET", "/", "max-buckets=9", "s3", "ListBuckets"),
        ("GET", "/v20180820/configuration/publicAccessBlock", "", "s3", "GetPublicAccessBlock"),
        ("GET", "/backup-vaults/", "", "backup", "ListBackupVaults"),
        ("PATCH", "/data", "", "s3", "PATCH /data"),
    ],
)
def test_the_emulator_knows_what_it_is_asked(method, path, query, service, operation):
    counting = Counting(lambda _environ, _start: [])
    counting(
        {
            "REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query,
            "HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/{service}/aws4_request",
        },
        lambda *_: None,
    )  # fmt: skip
    assert counting.taken() == {operation: 1}
