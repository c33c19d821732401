"""How long `evidenced --help` keeps a core busy."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.figures import Figure, Size, at_most, below, told

RUNS = {Size.quick: 3, Size.normal: 21, Size.full: 51}
COMMAND = Path(sys.executable).with_name("evidenced")
HEAVY = ("alembic", "boto3", "botocore", "mlflow", "pydantic", "sqlalchemy", "zstandard")


def run(size: Size) -> Iterator[Figure]:
    """The command itself, and Python alone beside it."""
    told(f"help: {RUNS[size]} runs")
    spent = statistics.median(_cpu([str(COMMAND), "--help"]) for _ in range(RUNS[size]))
    empty = statistics.median(_cpu([sys.executable, "-c", "pass"]) for _ in range(RUNS[size]))
    note = f"median of {RUNS[size]}; Python alone {empty:.3f}"
    yield Figure("help", "evidenced --help", spent, "CPU seconds", below(0.25), note)
    yield Figure("help", "the same, against Python alone", spent / empty, "times")
    loaded = _loaded()
    note = ", ".join(loaded) or "none of " + ", ".join(HEAVY)
    yield Figure("help", "heavy libraries it imports", len(loaded), "libraries", at_most(0), note, timed=False)


def _cpu(arguments: list[str]) -> float:
    """CPU seconds of a command in a process of its own."""
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def _loaded() -> list[str]:
    ask = (
        "import sys; from agent.cli.main import answer; answer(['--help']);"
        f"print('LOADED', *(name for name in {HEAVY!r} if name in sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", ask], check=True, capture_output=True, text=True)
    return answer.stdout.rpartition("LOADED")[2].split()
