"""What an unchanged poll costs: time by its records, bytes not at all (ledger.md section 8)."""

from __future__ import annotations

import sqlite3
import time
import uuid
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from agent.ledger import Ledger
from tests.ledger.world import BUCKETS, HOUR, START, open_at, snapshot, target

TARGETS = [target(f"aws.service{number}.things") for number in range(12)]
SWEEPS = 300


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """A ledger whose commits do not wait for the disk: only bytes and processor time count here."""
    made = open_at(tmp_path, create=True)
    made.store.engine.dispose()
    sa.event.listen(made.store.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    made.declare([BUCKETS, *TARGETS], START)
    return made


def used(path: Path) -> int:
    """Bytes of the pages in use."""
    with closing(sqlite3.connect(path)) as connection:
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
    return int((pages - free) * size)


def test_unchanged_records_a_second(ledger: Ledger) -> None:
    taken = snapshot(BUCKETS, {f"arn:aws:s3:::bucket-{number:05d}": number for number in range(10_000)}, START)
    ledger.append_poll(taken)
    began = time.process_time()
    for number in range(1, 11):
        ledger.append_poll(replace(taken, start_ms=START + number))
    rate = 10 * 10_000 / (time.process_time() - began)
    ledger.close()
    assert rate >= 30_000, f"{rate:,.0f} a second"


@pytest.mark.parametrize("records", [3, 300])
def test_bytes_of_an_unchanged_poll(ledger: Ledger, tmp_path: Path, records: int) -> None:
    known = {f"arn:aws:s3:::bucket-{number:05d}": number for number in range(records)}
    path = tmp_path / "ledger.db"

    def sweep(number: int) -> None:
        for place, of in enumerate(TARGETS):
            slot_ms = START // HOUR * HOUR + number * HOUR
            start_ms = slot_ms + 2_000 + 731 * place
            ledger.append_poll(snapshot(of, known, start_ms, slot_ms=slot_ms, req=str(uuid.uuid4())))

    sweep(0)
    before = used(path)
    for number in range(1, SWEEPS + 1):
        sweep(number)
    each = (used(path) - before) / (SWEEPS * len(TARGETS))
    ledger.close()
    assert each <= 80, f"{each:.1f} bytes"
