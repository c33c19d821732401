"""Processes that are measured: what they printed, and the CPU seconds and memory they took."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

EVIDENCED = str(Path(sys.executable).with_name("evidenced"))
"""The installed command."""


_LAUNCH = """
import os, sys
child = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, used = os.wait4(child, 0)
with open(sys.argv[1], "w") as told:
    told.write(f"{os.waitstatus_to_exitcode(status)} {used.ru_utime + used.ru_stime} {used.ru_maxrss}")
"""
"""Stands between this process and the measured one: Linux counts a starter's memory as that of what it starts."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that has ended."""

    code: int
    printed: str
    cpu: float
    """Seconds, its own children's included."""
    memory: float
    """Peak, MiB."""


def measured(arguments: Sequence[str], more: Mapping[str, str] | None = None) -> Ended:
    """Run a command to its end, with these variables besides; what it says on standard error is dropped."""
    with TemporaryDirectory(prefix="evidenced-bench-") as folder:
        usage = Path(folder) / "usage"
        answer = subprocess.run(
            [sys.executable, "-S", "-c", _LAUNCH, str(usage), *arguments], env=environment() | dict(more or {}),
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
        )  # fmt: skip
        code, cpu, memory = usage.read_text().split()
    return Ended(int(code), answer.stdout, float(cpu), int(memory) / 1024)


def environment() -> dict[str, str]:
    """This process's variables without those of Python, AWS and the product, and with compiled modules kept.

    An installed program finds its modules compiled; they are kept in a folder that is removed at the end.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "EVIDENCED_", "PYTHON"))}
    return kept | {"PYTHONPYCACHEPREFIX": _compiled().name}


@cache
def _compiled() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="evidenced-bench-pyc-")
