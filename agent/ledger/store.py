"""The database behind a ledger: how it is found, made, opened and locked.

SQLite runs in WAL with synchronous=FULL; every append is one `BEGIN IMMEDIATE`. On Postgres an
advisory lock held for the transaction keeps appends apart. What is not a ledger is never touched.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import QueuePool

from agent.errors import StoreError, UsageError
from agent.ledger.schema import REVISION, TABLES, VERSION_TABLE

BUSY_MS = 30_000
"""How long an append waits for another process before it gives up."""

_APPEND_LOCK = 0x65766964656E6365
_MAGIC = b"SQLite format 3\x00"
_OURS = frozenset({VERSION_TABLE, "blob", "change", "checkpoint", "event", "judged", "poll", "resource"})


class Store:
    """An open database that holds a ledger."""

    def __init__(self, url: URL, *, read_only: bool = False) -> None:
        self.url = url
        self.engine = _engine(url, read_only)
        self.name = url.render_as_string(hide_password=True)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one state of the store throughout; StoreError when it cannot be read."""
        with self._translated(), self.engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """The transaction of one append: alone, and kept only when the block ends; StoreError when it cannot."""
        with self._translated(), self.engine.connect() as connection:
            connection = connection.execution_options(append=True)
            with connection.begin():
                if connection.dialect.name == "postgresql":
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_APPEND_LOCK)))
                yield connection

    def close(self) -> None:
        """Give every connection back."""
        self.engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise StoreError(f"the store {self.name} cannot be used: {error.orig}", _hint(str(error.orig))) from error


def locate(url: str) -> URL:
    """The database that a URL or a bare path names; UsageError for a kind we do not keep ledgers in."""
    if "://" not in url:
        return URL.create("sqlite", database=url)
    try:
        found = make_url(url)
    except ArgumentError:
        raise UsageError("store.url is no database URL", "write sqlite:///ledger.db or postgresql://...") from None
    if found.get_backend_name() == "postgresql":
        return found.set(drivername="postgresql+psycopg")
    if found.get_backend_name() != "sqlite" or found.database in (None, "", ":memory:"):
        raise UsageError(f"a ledger is kept in an SQLite file or in Postgres, not in {found.drivername}")
    return found.set(drivername="sqlite")


def exists(url: URL) -> bool:
    """Whether there is a ledger; StoreError when something else lies there or it cannot be reached."""
    if url.get_backend_name() == "sqlite":
        return _file_exists(_path(url))
    store = Store(url)
    try:
        with store.read() as connection:
            return _ours(set(sa.inspect(connection).get_table_names()), store.name)
    finally:
        store.close()


def open_store(url: URL, *, read_only: bool = False) -> Store:
    """Open a ledger's database of our revision; StoreError otherwise."""
    if not exists(url):
        raise StoreError(f"there is no store at {url.render_as_string(hide_password=True)}")
    if url.get_backend_name() == "sqlite" and not read_only:
        path = _path(url)
        if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
            raise StoreError(f"{path} or its folder cannot be written")
    store = Store(url, read_only=read_only)
    try:
        with store.read() as connection:
            found = revision(connection)
            tables = set(sa.inspect(connection).get_table_names())
        if found != REVISION:
            raise StoreError(
                f"the store is of revision {found}, this program of {REVISION}", "use the version that wrote it"
            )
        if not read_only and tables != TABLES:
            raise StoreError(f"{store.name} holds other tables as well: {', '.join(sorted(tables ^ TABLES))}")
    except StoreError:
        store.close()
        raise
    return store


def revision(connection: Connection) -> str | None:
    """The schema's revision in the store."""
    rows = connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).all()
    return str(rows[0][0]) if len(rows) == 1 else None


def create_store(url: URL, fill: Callable[[Connection], None]) -> None:
    """Make a store and let `fill` write its first entries: all of it, or nothing, or StoreError.

    An SQLite store is made under another name and linked into place, so that no half-made store
    and no second one is ever seen.
    """
    if url.get_backend_name() == "sqlite":
        _create_file(_path(url), fill)
        return
    store = Store(url)
    try:
        with store.write() as connection:
            if _ours(set(sa.inspect(connection).get_table_names()), store.name):
                raise StoreError(f"{store.name} already holds a ledger")
            _migrate(connection)
            fill(connection)
    finally:
        store.close()


def upgrade(url: URL) -> tuple[str | None, str]:
    """Bring a ledger to this program's revision; the revisions before and after."""
    if not exists(url):
        raise StoreError(f"there is no store at {url.render_as_string(hide_password=True)}")
    store = Store(url)
    try:
        with store.write() as connection:
            before = revision(connection)
            _migrate(connection)
    finally:
        store.close()
    return before, REVISION


def _migrate(connection: Connection) -> None:
    # half a second of imports that only creating and upgrading need
    from alembic import command
    from alembic.config import Config
    from alembic.util.exc import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, REVISION)
    except CommandError as error:
        raise StoreError(f"the store cannot be brought to revision {REVISION}: {error}") from None


def _create_file(path: Path, fill: Callable[[Connection], None]) -> None:
    made = path.with_name(f"{path.name}.new-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        made.unlink(missing_ok=True)
        store = Store(URL.create("sqlite", database=str(made)))
        try:
            with store.write() as connection:
                _migrate(connection)
                fill(connection)
        finally:
            store.close()
        if path.exists() and path.stat().st_size == 0:
            path.unlink()
        os.link(made, path)
        _sync(path.parent)
    except FileExistsError:
        raise StoreError(f"{path} was made by another process just now") from None
    except OSError as error:
        raise StoreError(f"cannot make the store {path}: {error.strerror}") from None
    finally:
        if made.parent.is_dir():
            made.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Keep a folder's new entry through a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _engine(url: URL, read_only: bool) -> Engine:
    if url.get_backend_name() != "sqlite":
        return sa.create_engine(url, pool_size=8, max_overflow=24, pool_pre_ping=True)
    path = _path(url)

    def connect() -> sqlite3.Connection:
        mode = _reading_mode(path) if read_only else "mode=rwc"
        connection = sqlite3.connect(
            f"file:{quote(str(path.absolute()))}?{mode}", uri=True, timeout=BUSY_MS / 1000, check_same_thread=False,
            isolation_level=None,
        )  # fmt: skip
        if read_only:
            connection.execute("PRAGMA query_only=ON")
        else:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA cache_size=-16384")
        return connection

    engine = sa.create_engine("sqlite://", creator=connect, poolclass=QueuePool, pool_size=8, max_overflow=24)

    @sa.event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        append = connection.get_execution_options().get("append")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if append else "BEGIN")

    return engine


def _file_exists(path: Path) -> bool:
    """Whether a ledger lies at the path; looks without writing a byte."""
    try:
        if not path.exists() or (path.is_file() and path.stat().st_size == 0):
            return False
        if not path.is_file():
            raise StoreError(f"{path} is no file")
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise StoreError(f"{path} is no SQLite database; it was not touched")
        with closing(
            sqlite3.connect(f"file:{quote(str(path.absolute()))}?{_looking_mode(path)}", uri=True)
        ) as connection:
            rows = connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')").fetchall()
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from None
    except sqlite3.Error as error:
        raise StoreError(f"{path} cannot be read as a store: {error}") from None
    return _ours({str(name) for (name,) in rows if not str(name).startswith("sqlite_")}, str(path))


def _ours(tables: set[str], name: str) -> bool:
    if not tables:
        return False
    if not tables >= _OURS:
        raise StoreError(f"{name} holds something else than a ledger; it was not touched")
    return True


def _reading_mode(path: Path) -> str:
    """How to open a store for reading: with locks, as it may be written meanwhile, wherever they can be had."""
    return "mode=rw" if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK) else _looking_mode(path)


def _looking_mode(path: Path) -> str:
    """How to look into a file that may not be ours: nothing is made beside it."""
    journal = path.with_name(path.name + "-wal")
    return "mode=ro" if journal.exists() else "mode=ro&immutable=1"


def _path(url: URL) -> Path:
    return Path(url.database or "").expanduser()


def _hint(text: str) -> str:
    if "locked" in text:
        return "another process holds the store; try again when it is done"
    if "malformed" in text or "not a database" in text:
        return "evidenced verify --store says what is damaged; restore the last backup"
    return ""
