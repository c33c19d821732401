"""Opening: what is made, what is refused, and that what is refused is not touched."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from agent.errors import IntegrityError, StoreError, UsageError
from agent.ledger import Ledger
from agent.ledger.schema import GUARDED, REVISION, guard_names, metadata
from agent.ledger.sign import redaction_file
from agent.ledger.store import locate, upgrade
from tests.ledger.world import ALL, BUCKETS, START, open_at, snapshot


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_create_and_open_again(tmp_path: Path) -> None:
    ledger = open_at(tmp_path / "new" / "folder", create=True)
    assert ledger.created
    assert not ledger.demo
    head, origin, fingerprint = ledger.head(), ledger.origin, ledger.fingerprint
    assert origin.startswith("evidenced/")
    assert len(ledger.redaction_key) == 32
    ledger.close()
    for create in (False, True):
        again = open_at(tmp_path / "new" / "folder", create=create)
        assert (again.head(), again.origin, again.fingerprint, again.created) == (head, origin, fingerprint, False)
        again.close()


def test_genesis_says_what_it_was_made_as(tmp_path: Path) -> None:
    url, key_file = f"sqlite:///{tmp_path / 'a.db'}", tmp_path / "a.key"
    ledger = Ledger.open(url, key_file, create=True, demo=True, origin="example.com/evidence", now_ms=START)
    assert ledger.demo
    assert ledger.origin == "example.com/evidence"
    assert [body["k"] for body in ledger.events()] == ["genesis"]
    assert ledger.seal(START).startswith("example.com/evidence\n2\n")
    ledger.close()


def test_path_without_url(tmp_path: Path) -> None:
    ledger = Ledger.open(str(tmp_path / "plain.db"), tmp_path / "a.key", create=True, now_ms=START)
    ledger.close()
    assert (tmp_path / "plain.db").is_file()


@pytest.mark.parametrize(
    ("url", "origin", "error"),
    [
        ("mysql://x/y", None, UsageError),
        ("sqlite://", None, UsageError),
        ("sqlite:///:memory:", None, UsageError),
        ("not a url://", None, UsageError),
        ("sqlite:////proc/evidence/ledger.db", None, StoreError),
        ("{folder}/ledger.db", "two words", UsageError),
    ],
)
def test_places_that_are_none(tmp_path: Path, url: str, origin: str | None, error: type[Exception]) -> None:
    with pytest.raises(error):
        Ledger.open(
            url.format(folder=tmp_path), tmp_path / "a.key", create=True, origin=origin, now_ms=START
        )  # fmt: skip
    assert not (tmp_path / "a.key").exists(), "a key without a store is left behind"


def test_missing_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store") as caught:
        open_at(tmp_path)
    assert caught.value.exit_code == 7
    assert list(tmp_path.iterdir()) == []


def _foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE experiments (id INTEGER)")
        connection.commit()


def _mixed(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE job (id INTEGER)")
        connection.commit()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: path.write_bytes(b"hello world, this is no database" * 9), "no SQLite database"),
        (_foreign, "something else than a ledger"),
        (lambda path: path.mkdir(), "no file"),
    ],
)
@pytest.mark.parametrize("create", [False, True])
def test_foreign_file_is_not_touched(tmp_path: Path, make, says: str, create: bool) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "ledger.db"
    make(path)
    before = digest_of(path) if path.is_file() else None
    with pytest.raises(StoreError, match=says):
        open_at(tmp_path, create=create)
    assert [one.name for one in tmp_path.iterdir()] == ["ledger.db"]
    if before:
        assert digest_of(path) == before


@pytest.fixture
def made(tmp_path: Path) -> Path:
    open_at(tmp_path, create=True).close()
    return tmp_path


def test_tables_beside_the_ledgers(made: Path) -> None:
    _mixed(made / "ledger.db")
    with pytest.raises(StoreError, match="other tables as well: job"):
        open_at(made)


def test_store_in_the_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot"):
        open_at(tmp_path / "file", create=True)


def test_empty_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").touch()
    with pytest.raises(StoreError, match="no store"):
        open_at(tmp_path)
    open_at(tmp_path, create=True).close()


def test_missing_key(made: Path) -> None:
    (made / "ledger.key").unlink()
    for create in (False, True):
        with pytest.raises(StoreError, match="key .* is missing"):
            open_at(made, create=create)
    assert not (made / "ledger.key").exists()


def test_missing_redaction_key(made: Path) -> None:
    redaction_file(made / "ledger.key").unlink()
    with pytest.raises(StoreError, match="redaction key .* is missing"):
        open_at(made)


def test_key_of_another_store(made: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    open_at(other, create=True).close()
    (other / "ledger.key").rename(made / "ledger.key")
    with pytest.raises(StoreError, match="not the key of this store"):
        open_at(made)


def test_key_without_store(made: Path) -> None:
    (made / "ledger.db").unlink()
    with pytest.raises(StoreError, match="a key at .* and no store"):
        open_at(made, create=True)


def test_other_revision(made: Path) -> None:
    with closing(sqlite3.connect(made / "ledger.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
        connection.commit()
    with pytest.raises(StoreError, match="revision 0000") as caught:
        open_at(made)
    assert caught.value.hint == "use the version that wrote it"
    assert caught.value.exit_code == 7


def test_upgrade_of_a_store_that_is_current(made: Path) -> None:
    assert upgrade(locate(f"sqlite:///{made / 'ledger.db'}")) == (REVISION, REVISION)


def test_log_without_genesis(made: Path) -> None:
    with closing(sqlite3.connect(made / "ledger.db")) as connection:
        connection.execute("DROP TRIGGER event_no_delete")
        connection.execute("DELETE FROM event")
        connection.commit()
    with pytest.raises(IntegrityError, match="genesis"):
        open_at(made)


def test_migration_makes_the_declared_schema(made: Path) -> None:
    def shape(connection: sa.Connection) -> set[str]:
        rows = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND type != 'trigger'")
        return {" ".join(sql.split()) for (sql,) in rows if "alembic_version" not in sql}

    declared, migrated = sa.create_engine("sqlite://"), sa.create_engine(f"sqlite:///{made / 'ledger.db'}")
    metadata.create_all(declared)
    with migrated.connect() as connection, declared.connect() as wanted:
        assert shape(connection) == shape(wanted)
    declared.dispose()
    migrated.dispose()


def test_guards_refuse_changes(made: Path) -> None:
    ledger = open_at(made)
    ledger.declare(ALL, START + 1)
    ledger.append_poll(snapshot(BUCKETS, {"a": 1, "b": 2}, START + 2))
    ledger.append_anchor("file", 1, b"receipt", START + 3)
    ledger.seal(START + 4)
    ledger.close()
    with closing(sqlite3.connect(made / "ledger.db")) as connection:
        triggers = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")}
        assert triggers == {name for table in GUARDED for name in guard_names(table)}
        for table in sorted(set(GUARDED) - {"judged", "seen_event", "node"}):
            column = connection.execute(f'SELECT * FROM "{table}"').description[0][0]
            for statement in (f'UPDATE "{table}" SET "{column}" = 0', f'DELETE FROM "{table}"'):
                with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                    connection.execute(statement)
        # pruning takes the bytes of a document and leaves what it was
        connection.execute("UPDATE blob SET z = NULL WHERE id = 1")
