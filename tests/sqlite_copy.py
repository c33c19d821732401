"""A copy of an SQLite database that somebody may still have open."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path


def copied(source: Path, target: Path) -> Path:
    """What the database holds now, journals included, as one file; its bytes alone may be half of a commit."""
    with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
        new.execute("PRAGMA journal_mode=DELETE")
    return target
