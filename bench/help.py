"""How long `evidenced --help` keeps a core busy."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator

from bench.child import EVIDENCED, measured
from bench.figures import Figure, Size, at_most, below, told

RUNS = {Size.quick: 3, Size.normal: 21, Size.full: 51}
HEAVY = ("alembic", "boto3", "botocore", "mlflow", "pydantic", "sqlalchemy", "zstandard")


def run(size: Size) -> Iterator[Figure]:
    """The command itself, and Python alone beside it."""
    told(f"help: {RUNS[size]} runs")
    runs = [measured([EVIDENCED, "--help"]) for _ in range(RUNS[size] + 1)][1:]
    failed = sum(1 for ended in runs if ended.code or "Usage: evidenced" not in ended.printed)
    spent = statistics.median(ended.cpu for ended in runs)
    empty = statistics.median(measured([sys.executable, "-c", "pass"]).cpu for _ in range(RUNS[size]))
    note = f"median of {RUNS[size]}; Python alone {empty:.3f}"
    yield Figure("help", "evidenced --help", spent, "CPU seconds", below(0.25), note)
    yield Figure("help", "the same, against Python alone", spent / empty, "times")
    yield Figure("help", "runs that printed no help", failed, "runs", at_most(0), timed=False)
    loaded = _loaded()
    note = ", ".join(loaded) or "none of " + ", ".join(HEAVY)
    yield Figure("help", "heavy libraries it imports", len(loaded), "libraries", at_most(0), note, timed=False)


def _loaded() -> list[str]:
    ask = (
        "import sys; from agent.cli.main import answer; answer(['--help']);"
        f"print('LOADED', *(name for name in {HEAVY!r} if name in sys.modules))"
    )
    return measured([sys.executable, "-c", ask]).printed.rpartition("LOADED")[2].split()
