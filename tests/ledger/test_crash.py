"""Processes that are killed, and processes that write at once: nothing torn, nothing lost, nothing twice."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.ledger.verify import verify_store
from tests.ledger.world import BUCKETS, START, open_at, snapshot

ROOT = Path(__file__).parents[2]


def start(folder: Path, seed: int, steps: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.ledger.writing", str(folder), str(seed), str(steps)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def said(process: subprocess.Popen[str]) -> dict[int, str]:
    """What the process said it had appended: index -> request id."""
    output, errors = process.communicate(timeout=120)
    assert "Traceback" not in errors, errors
    lines = [line.split() for line in output.splitlines()]
    return {int(line[0]): line[1] for line in lines if len(line) == 2}


def test_killed_in_mid_write(tmp_path: Path) -> None:
    """Ten kills of one store: it opens again, verifies, and holds every entry that was said to be in."""
    open_at(tmp_path, create=True).close()
    dice = random.Random(11)
    expected: dict[int, str] = {}
    for round_ in range(10):
        process = start(tmp_path, round_, 100_000)
        assert process.stdout is not None
        # past the start-up, then at any moment of the appends
        idx, request = process.stdout.readline().split()
        time.sleep(dice.random() * 0.3)
        process.kill()
        expected |= {int(idx): request} | said(process)
        ledger = open_at(tmp_path)
        report = verify_store(ledger, ledger.fingerprint)
        assert report.problems == []
        assert {idx: ledger.receipt(idx)["req"] for idx in expected} == expected
        # and it can be written at once
        at_ms = START + 10_000_000 * (round_ + 1)
        after = snapshot(BUCKETS, {"after": round_}, at_ms, req=f"after-{round_}")
        expected[ledger.append_poll(after)] = f"after-{round_}"
        ledger.seal(at_ms)
        sealed = [body["idx"] for body in ledger.events("seal")]
        assert [size - 1 for size, _ in ledger.notes()] == sealed
        ledger.close()


@pytest.mark.parametrize("writers", [2])
def test_processes_that_write_at_once(tmp_path: Path, writers: int) -> None:
    open_at(tmp_path, create=True).close()
    processes = [start(tmp_path, seed, 60) for seed in range(writers)]
    found = [said(process) for process in processes]
    assert all(process.returncode == 0 for process in processes)
    assert [len(one) for one in found] == [60] * writers
    assert not set(found[0]) & set(found[1])
    ledger = open_at(tmp_path)
    for one in found:
        assert {idx: ledger.receipt(idx)["req"] for idx in one} == one
    assert ledger.targets().keys() == {1, 2, 3, 4}
    report = verify_store(ledger, ledger.fingerprint)
    assert report.problems == []
    assert report.counts["polls"] == 60 * writers
    ledger.close()
