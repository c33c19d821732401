"""One row of any table changed, deleted, inserted or swapped: each is found.

The guards (triggers) are dropped first, as somebody who means it would do. The dice are seeded;
the seed is part of every message.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agent.ledger.documents import BadDocument, Codecs
from agent.ledger.schema import GUARDED, TABLES, guard_names, metadata
from agent.ledger.verify import verify_store
from tests.ledger.world import BUCKETS, START, World, open_at, snapshot

SEED = 20260101
PLACEHOLDERS: dict[type, Any] = {int: -99, str: "placeholder", bytes: b"placeholder", type(None): 99}
MUTATIONS = 500


class Impossible(Exception):
    """This roll of the dice changes nothing, or the database itself refuses it."""


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with something in every table, sealed, its guards dropped."""
    folder = tmp_path_factory.mktemp("sealed")
    ledger = open_at(folder, create=True)
    world = World(ledger, SEED)
    world.run(200)
    world.now += 1000
    # enough documents for a dictionary, and after it some that are packed with it
    many = {f"arn:aws:s3:::many-{number:04d}": {"number": number, "owner": "ml-platform"} for number in range(1000)}
    ledger.append_poll(snapshot(BUCKETS, many, world.now))
    ledger.seal(world.now)
    for number in range(20):
        many[f"arn:aws:s3:::many-{number:04d}"] = {"number": -number, "owner": "ml-platform", "note": "x" * 60}
    ledger.append_poll(snapshot(BUCKETS, many, world.now + 1000))
    size = ledger.notes()[-1][0]
    ledger.append_anchor("file", size, b"a receipt", world.now + 2000)
    ledger.append_anchor("rfc3161", size, b"another receipt", world.now + 2000)
    ledger.seal(world.now + 3000)
    ledger.close()
    path = folder / "ledger.db"
    with closing(sqlite3.connect(path)) as connection:
        for table in GUARDED:
            for name in guard_names(table):
                connection.execute(f"DROP TRIGGER {name}")
        connection.execute("PRAGMA journal_mode=DELETE")
        counts = {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in TABLES}
        codecs = {codec for (codec,) in connection.execute("SELECT DISTINCT codec FROM blob")}
    assert all(counts.values()), counts
    assert codecs == {0, 1, 3}
    report = verify_store(f"sqlite:///{path}")
    assert report.problems == []
    assert any("guards" in limit for limit in report.limits)
    return path


def test_every_mutation_is_found(sealed: Path, tmp_path: Path) -> None:
    dice = random.Random(SEED)
    missed, done, copy = [], 0, tmp_path / "copy.db"
    kinds: dict[tuple[str, str], int] = {}
    while done < MUTATIONS:
        shutil.copyfile(sealed, copy)
        try:
            with closing(sqlite3.connect(copy)) as connection:
                what = mutate(connection, dice)
        except Impossible:
            continue
        done += 1
        kinds[what[0], what[1]] = kinds.get((what[0], what[1]), 0) + 1
        if not verify_store(f"sqlite:///{copy}").problems:
            missed.append(what)
    assert not missed, f"seed {SEED}: {missed}"
    assert {table for table, _ in kinds} == TABLES
    assert {how for _, how in kinds} == {"change", "delete", "insert", "swap"}


def mutate(connection: sqlite3.Connection, dice: random.Random) -> tuple[str, str, str]:
    """Roll the dice for one mutation of one row; what was done comes back."""
    table = dice.choice(sorted(TABLES))
    how = dice.choice(("change", "delete", "insert", "swap"))
    cursor = connection.execute(f'SELECT * FROM "{table}"')
    columns = [column[0] for column in cursor.description]
    rows = cursor.fetchall()
    keys = [column.name for column in metadata.tables[table].primary_key] if table in metadata.tables else columns[:1]
    row, column = list(dice.choice(rows)), dice.randrange(len(columns))
    try:
        if how == "delete":
            detail = f"{row}"
            connection.execute(f'DELETE FROM "{table}" WHERE {_where(keys)}', _key(columns, keys, row))
        elif how == "insert":
            free = [at for at, name in enumerate(columns) if name not in keys]
            changed = dice.sample(free, min(len(free), dice.randrange(3)))
            for at in (*changed, *(columns.index(name) for name in keys)):
                row[at] = other(row[at], dice)
            detail = f"{row}"
            connection.execute(f'INSERT INTO "{table}" VALUES ({", ".join("?" * len(row))})', row)
        elif how == "change":
            new = other(row[column], dice)
            detail = f"{columns[column]} of {row}: {new!r}"
            _refuse_same_document(connection, table, columns, row, column, new)
            _set(connection, table, columns, keys, row, column, new)
        else:
            second = list(dice.choice(rows))
            if second[column] == row[column] or columns[column] in keys:
                raise Impossible
            detail = f"{columns[column]} of {row} and {second}"
            _set(connection, table, columns, keys, row, column, PLACEHOLDERS[type(row[column])])
            _set(connection, table, columns, keys, second, column, row[column])
            _set(connection, table, columns, keys, row, column, second[column])
    except (sqlite3.DatabaseError, OverflowError):
        raise Impossible from None
    connection.commit()
    if connection.execute(f'SELECT * FROM "{table}"').fetchall() == rows:
        raise Impossible
    return table, how, detail


def other(value: Any, dice: random.Random) -> Any:
    """Another value, of the same type or not."""
    if value is None or dice.random() < 0.1:
        return dice.choice((None, 0, 1, -1, 0.5, b"", b"\x01", dice.randbytes(32), "denied", dice.randrange(1 << 62)))
    if isinstance(value, int):
        return dice.choice((value + 1, value - 1, -value or 7, 0, value ^ 1, dice.randrange(1 << 40)))
    if isinstance(value, bytes):
        at = dice.randrange(len(value)) if value else 0
        flipped = value[:at] + bytes([value[at] ^ 1 << dice.randrange(8)]) + value[at + 1 :] if value else b"\x00"
        noise = dice.randbytes(len(value))
        return dice.choice((flipped, flipped, flipped, value[:-1], value + b"\x00", b"", noise))
    return dice.choice((value + "x", value[:-1], value.upper(), value[::-1], ""))


def _refuse_same_document(
    connection: sqlite3.Connection, table: str, columns: list[str], row: list[Any], column: int, new: Any
) -> None:
    """Bits that a compressed stream never reads can be flipped without changing the document: no mutation."""
    if table != "blob" or columns[column] != "z" or not isinstance(new, bytes):
        return
    whole = dict(zip(columns, row, strict=True))
    codecs = Codecs()
    if whole["dictionary_id"] is not None:
        query = "SELECT codec, z, size FROM blob WHERE id = ?"
        dictionary = connection.execute(query, [whole["dictionary_id"]]).fetchone()
        codecs.learn(whole["dictionary_id"], codecs.unpack(*dictionary, None))
    try:
        was, now = (codecs.unpack(whole["codec"], z, whole["size"], whole["dictionary_id"]) for z in (row[column], new))
    except BadDocument:
        return
    if was == now:
        raise Impossible


def _set(
    connection: sqlite3.Connection, table: str, columns: list[str], keys: list[str], row: Sequence[Any], column: int,
    new: Any,
) -> None:  # fmt: skip
    where = _where(keys)
    connection.execute(f'UPDATE "{table}" SET "{columns[column]}" = ? WHERE {where}', [new, *_key(columns, keys, row)])


def _where(keys: list[str]) -> str:
    return " AND ".join(f'"{key}" = ?' for key in keys)


def _key(columns: list[str], keys: list[str], row: list[Any]) -> list[Any]:
    return [row[columns.index(key)] for key in keys]


@pytest.fixture
def copied(sealed: Path, tmp_path: Path) -> Iterator[tuple[Path, sqlite3.Connection]]:
    path = tmp_path / "copy.db"
    shutil.copyfile(sealed, path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield path, connection


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        # ledger.md 3, the rows that a database administrator can do
        ("UPDATE blob SET z = x'7b7d', codec = 0, size = 2 WHERE id = 20", "document"),
        ("UPDATE change SET blob_id = 2 WHERE blob_id > 2 AND idx = (SELECT max(idx) FROM change)", "root"),
        ("UPDATE poll SET status = 0, why = NULL WHERE status = 2", "checkpoint"),
        ("UPDATE poll SET start_ms = start_ms - 86400000 WHERE idx = (SELECT max(idx) FROM poll)", "checkpoint"),
        ("DELETE FROM poll WHERE idx = (SELECT min(idx) FROM poll)", "order"),
        ("DELETE FROM event WHERE idx = (SELECT max(idx) FROM event)", "checkpoint"),
        ("DELETE FROM checkpoint WHERE size = (SELECT min(size) FROM checkpoint)", "checkpoint"),
        ("UPDATE target SET name = replace(name, 'aws:1', 'aws:2')", "cache"),
        ("UPDATE judging SET name = 'aws:2' WHERE id = 1", "cache"),
        ("INSERT INTO blob VALUES (99999, zeroblob(32), 2, 0, NULL, x'7b7d')", "unreferenced"),
        ("INSERT INTO resource VALUES (1, 5000, 'arn:aws:s3:::new', 5)", "cache"),
        ("INSERT INTO node VALUES (8, 99, zeroblob(32))", "cache"),
        ("INSERT INTO collector VALUES (99, 'aws.s3/9')", "cache"),
        ("INSERT INTO anchor VALUES (5, 'file', x'00')", "anchor"),
        ("DELETE FROM anchor", "anchor"),
        ("UPDATE alembic_version SET version_num = '0002'", "revision"),
        ("CREATE TABLE job (id INTEGER)", "table"),
        ("CREATE VIEW findings AS SELECT * FROM change", "table"),
        ("CREATE TRIGGER quiet BEFORE INSERT ON poll BEGIN SELECT 1; END", "trigger"),
        ("DROP TABLE node", "table"),
        ("ALTER TABLE target ADD COLUMN note TEXT", "table"),
    ],
)
def test_what_is_found_and_where(copied: tuple[Path, sqlite3.Connection], statement: str, code: str) -> None:
    path, connection = copied
    connection.execute(statement)
    report = verify_store(f"sqlite:///{path}")
    assert report.result == "FAIL"
    assert code in {problem.code for problem in report.problems}, report.problems


def test_tail_cut_with_its_checkpoints(copied: tuple[Path, sqlite3.Connection]) -> None:
    """Only an anchor shows this; here the receipt names a checkpoint that is gone. Without one it is said."""
    path, connection = copied
    size = connection.execute("SELECT size FROM checkpoint ORDER BY size DESC LIMIT 1 OFFSET 1").fetchone()[0]
    report = verify_store(f"sqlite:///{path}")
    assert any(limit.startswith("anchored up to") for limit in report.limits)
    for table in ("poll", "judged", "event", "change", "seen_event"):
        connection.execute(f"DELETE FROM {table} WHERE idx >= {size - 1}")
    connection.execute(f"DELETE FROM checkpoint WHERE size >= {size}")
    assert "anchor" in {problem.code for problem in verify_store(f"sqlite:///{path}").problems}


def test_unanchored_is_said(tmp_path: Path) -> None:
    ledger = open_at(tmp_path, create=True)
    report = verify_store(ledger, ledger.fingerprint)
    assert report.result == "PASS WITH LIMITS"
    assert any(limit.startswith("unanchored since 2025-10-09T08:53:20Z") for limit in report.limits)
    assert any(limit.startswith("1 entries after the newest checkpoint") for limit in report.limits)
    ledger.seal(START + 1)
    assert not any("newest checkpoint" in limit for limit in verify_store(ledger).limits)
    assert any("fingerprint" in limit for limit in verify_store(ledger).limits)
    problems = verify_store(ledger, "SHA256:another").problems
    assert [problem.code for problem in problems] == ["key"]
    ledger.close()


@pytest.mark.parametrize("seed", range(40))
def test_damaged_file_is_no_traceback(sealed: Path, tmp_path: Path, seed: int) -> None:
    """Pages overwritten with noise: a report, whatever they held."""
    dice = random.Random(seed)
    data = bytearray(sealed.read_bytes())
    for _ in range(dice.choice((1, 3, 20))):
        at = dice.randrange(len(data) - 200)
        data[at : at + 200] = dice.randbytes(200)
    if seed == 0:
        data[:16] = b"not a database.."
    if seed == 1:
        del data[len(data) // 2 :]
    copy = tmp_path / "copy.db"
    copy.write_bytes(data)
    report = verify_store(f"sqlite:///{copy}")
    # noise may fall into space of a page that holds nothing
    assert report.problems or rows_of(copy) == rows_of(sealed)


def rows_of(path: Path) -> dict[str, list[Any]]:
    with closing(sqlite3.connect(path)) as connection:
        return {name: connection.execute(f'SELECT * FROM "{name}"').fetchall() for name in TABLES}
