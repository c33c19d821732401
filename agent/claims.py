"""One process at a time collects a target: a byte lock beside the SQLite file, freed when its holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

AGAIN_S = 0.2
"""How soon a claim that another process holds is asked for again."""


class Claims:
    """Claims on targets by their numbers; `path` None (a store in memory) claims nothing."""

    def __init__(self, path: Path | None) -> None:
        self._file = None if path is None else path.open("ab")

    @contextmanager
    def claim(self, number: int) -> Iterator[None]:
        """Hold the target; one that another process has under way is waited for."""
        if self._file is None:
            yield
            return
        while not self._taken(number):
            time.sleep(AGAIN_S)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, number, os.SEEK_SET)

    def _taken(self, number: int) -> bool:
        """Take a claim unless another process holds it.

        Asked for again and again, since the system sees a deadlock, and refuses, where threads of two
        processes wait for each other's claims and each would soon be given back.
        """
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number, os.SEEK_SET)  # type: ignore[arg-type]
        except (BlockingIOError, PermissionError):
            return False
        return True

    def __enter__(self) -> Claims:
        """The claims, given back at the end of a `with`."""
        return self

    def __exit__(self, *_: object) -> None:
        """Free every claim."""
        if self._file is not None:
            self._file.close()
