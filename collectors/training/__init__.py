"""Job logs of clusters of one's own (Slurm, Kubernetes, Ray): JSON lines in a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agent.errors import UsageError
from agent.model import Scope, Tape
from agent.registry import source

if TYPE_CHECKING:
    from agent.settings import Trainlog


class JobLog:
    """The folder or file with the job records, as one poll sees it."""

    def __init__(self, path: Path, scope: Scope, needs: Mapping[str, str], tape: Tape) -> None:
        self.path, self.scope, self._needs, self._tape = path, scope, needs, tape
        tape.endpoint, tape.identity = path.name, "operating-system user"

    def need(self, operation: str) -> str:
        """The permission of a declared operation, which is counted as called."""
        if operation not in self._needs:
            raise RuntimeError(f"{operation} is not declared in needs")
        self._tape.calls += 1
        self._tape.operations.setdefault(operation, {})
        return self._needs[operation]

    def page(self) -> None:
        """Count a file that was read to its end."""
        self._tape.pages += 1


class TrainlogSource:
    """One configured job log; its only scope is `trainlog:<name>`."""

    name = "trainlog"

    def __init__(self, name: str, path: Path) -> None:
        self._scope = Scope(f"trainlog:{name}", f"trainlog:{name}")
        self._path = path

    def scopes(self, per: str) -> Sequence[Scope]:
        """The log, which is also its judging scope."""
        if per != "source":
            raise ValueError(f"a job log has no scope per {per}")
        return [self._scope]

    def open(self, scope: Scope, needs: Mapping[str, str], tape: Tape) -> JobLog:
        """The log, whether or not it exists: that is found when it is read."""
        return JobLog(self._path, scope, needs, tape)

    def close(self) -> None:
        """Nothing is held open."""


@source("trainlog")
def connect(settings: Trainlog, secrets: Callable[[str], str]) -> TrainlogSource:
    """The source for [collect.trainlog]; UsageError for a path that is no local one."""
    del secrets
    if "://" in settings.path:
        raise UsageError(
            f"job logs are read from a local folder, not from {settings.path.partition(':')[0]}:",
            "copy the bucket to a folder (aws s3 sync …) and give that as path",
        )
    return TrainlogSource(settings.name, Path(settings.path))
