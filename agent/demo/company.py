"""The invented company: its systems, its host for the agent, and its clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from agent.clock import DAY_MS, now_ms
from agent.demo.account import Account
from agent.demo.jobs import Job, JobLog
from agent.demo.models import Models, Trained

Settings = dict[str, Any]
MINUTE_MS = 60_000


class Clock:
    """The process clock, moved: agent, emulator and MLflow all follow it.

    `traveller` is what `time_machine.travel(..., tick=True)` gives.
    """

    def __init__(self, traveller: Any) -> None:
        self._traveller = traveller

    def to(self, ms: int) -> None:
        """Move to a time; one that has passed already is left passed."""
        if ms > now_ms():
            self._traveller.move_to(ms / 1000)

    def back_to(self, ms: int) -> None:
        """Move to a time before now: only for what happened before the agent came."""
        self._traveller.move_to(ms / 1000)

    def later(self, minutes: int) -> None:
        """Let some minutes pass."""
        self.to(now_ms() + minutes * MINUTE_MS)


class Host:
    """The machine the agent runs on."""

    def __init__(self) -> None:
        self.powered = True
        self.restart_wanted = False


@dataclass(slots=True)
class Company:
    """What the story changes."""

    account: Account
    models: Models
    jobs: JobLog
    clock: Clock
    host: Host
    running: dict[str, Job] = field(default_factory=dict)

    def begin(self, model: str, by: str, **how: Any) -> Job:
        """A training job starts: `how` as in `JobLog.start`."""
        job = self.running[model] = self.jobs.start(model, by, **how)
        return job

    def end(self, model: str, number: int, by: str, **how: Any) -> Trained:
        """The training that runs ends well: a run in MLflow and a line in the job log; `how` as in `Models.train`."""
        trained = self.models.train(model, number, by, **how)
        self.jobs.succeed(self.running.pop(model), trained)
        return trained

    def train(
        self, model: str, number: int, by: str, *, minutes: int = 4, job: Settings | None = None, **how: Any
    ) -> Trained:
        """A training from start to end; `job` as in `JobLog.start`, `how` as in `Models.train`."""
        self.begin(model, by, **(job or {}))
        self.clock.later(minutes)
        return self.end(model, number, by, **how)

    def train_and_register(self, model: str, number: int, by: str, **how: Any) -> str:
        """Train a model and register it; the version's number comes back."""
        return self.models.register(self.train(model, number, by, **how))

    def lose_mlflow(self) -> None:
        """The volume with MLflow's database is not there."""
        self.models.database.rename(self.models.database.with_suffix(".unmounted"))

    def find_mlflow(self) -> None:
        """The volume is back."""
        self.models.database.with_suffix(".unmounted").rename(self.models.database)


def midnight(day: int, first_ms: int) -> int:
    """Start of a day of the story, ms UTC; day 1 begins at `first_ms`, day 0 and below lie before."""
    return first_ms + (day - 1) * DAY_MS
