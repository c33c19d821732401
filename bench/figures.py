"""What a benchmark says: a figure, and beside it the demand it is to meet."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from operator import ge, le, lt

_HOLDS: dict[str, Callable[[float, float], bool]] = {"<": lt, "<=": le, ">=": ge}


class Size(Enum):
    """How much is measured."""

    quick = "quick"
    """Seconds: enough to see that it works; its times mean nothing."""
    normal = "normal"
    """Minutes."""
    full = "full"
    """Hours: the simulated year whole."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a figure is to be: `<`, `<=` or `>=` a limit."""

    sign: str
    limit: float

    def met(self, value: float) -> bool:
        """Whether the figure is as demanded."""
        return _HOLDS[self.sign](value, self.limit)


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value."""

    bench: str
    name: str
    value: float
    unit: str
    demand: Demand | None = None
    note: str = ""
    timed: bool = True
    """Whether it depends on how fast the machine is; the others are the same on every machine."""

    @property
    def met(self) -> bool | None:
        """Whether the demand is met; None where nothing is demanded."""
        return self.demand.met(self.value) if self.demand else None


def at_most(limit: float) -> Demand:
    """A figure that may be the limit and no more."""
    return Demand("<=", limit)


def below(limit: float) -> Demand:
    """A figure that stays under the limit."""
    return Demand("<", limit)


def at_least(limit: float) -> Demand:
    """A figure that reaches the limit."""
    return Demand(">=", limit)


def told(text: str) -> None:
    """Progress, on standard error."""
    print(f"  {text}", file=sys.stderr, flush=True)


@contextmanager
def cpu_seconds() -> Iterator[list[float]]:
    """CPU seconds of this process within the block: the list has them when it ends."""
    spent: list[float] = []
    start = time.process_time()
    yield spent
    spent.append(time.process_time() - start)


def best_of(times: int, run: Callable[[], object]) -> float:
    """CPU seconds of the fastest of several runs, after one that is not counted: disturbances only ever slow it."""
    run()
    seconds = []
    for _ in range(times):
        with cpu_seconds() as spent:
            run()
        seconds.append(spent[0])
    return min(seconds)
