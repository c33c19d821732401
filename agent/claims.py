"""One process at a time collects a target: a byte lock beside the SQLite file, freed when its holder dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
        fcntl.lockf(self._file, fcntl.LOCK_EX, 1, number, os.SEEK_SET)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, number, os.SEEK_SET)

    def __enter__(self) -> Claims:
        """The claims, given back at the end of a `with`."""
        return self

    def __exit__(self, *_: object) -> None:
        """Free every claim."""
        if self._file is not None:
            self._file.close()
