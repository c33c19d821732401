"""An MLflow database opened so that nothing is ever created, migrated or written.

`MlflowClient` on a database URL would make a missing file, run migrations and add an experiment. So a
database is looked at first, over a connection that cannot write, and MLflow is given such a URL too.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from functools import cache
from pathlib import Path
from threading import Lock
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from agent.errors import UsageError
from agent.model import Gap, Reason, SourceError

SCHEMES = ("sqlite", "postgresql", "mysql", "mssql")
"""What MLflow takes as a database, with or without `+driver`."""

_SQLITE_HEADER = b"SQLite format 3\x00"
_WAL_VERSION = b"\x02\x02"
"""Bytes 18 and 19 of a file whose journal is a write-ahead log (SQLite file format, 1.3)."""
_COPY_TRIES = 5


def is_database(url: str) -> bool:
    """Whether a tracking URI names a database."""
    return urlsplit(url).scheme.partition("+")[0] in SCHEMES


class Database:
    """One configured database; `read_only_url` is what MLflow may be given."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._copied: tuple[object, ...] = ()
        self._lock = Lock()
        self._kind = urlsplit(url).scheme.partition("+")[0]
        if self._kind == "mssql":
            raise UsageError(
                "an MLflow database on SQL Server cannot be opened read-only",
                "give the address of the MLflow server as url",
            )

    def read_only_url(self) -> str:
        """URL of a database of the revision MLflow expects; SourceError when it is missing or another one."""
        if self._kind == "sqlite":
            path = self._file()
            with self._lock:
                readable = self._copy(path) if _has_write_ahead_log(path) else path
            _check_revision(_sqlite_revision(readable))
            return _engine_url(readable)
        url = read_only(self._url)
        _check_revision(_server_revision(url))
        return url

    def close(self) -> None:
        """Delete the copy, if one was made."""
        if self._folder:
            self._folder.cleanup()
            self._folder = None

    def _file(self) -> Path:
        from sqlalchemy.engine import make_url

        path = Path(make_url(self._url).database or "")
        try:
            with path.open("rb") as file:
                header = file.read(16)
        except (FileNotFoundError, IsADirectoryError):
            raise _refused(Reason.UNREACHABLE, "NoSuchDatabase", "there is no such file; none was made") from None
        except OSError as error:
            raise _refused(Reason.DENIED, type(error).__name__, "the file cannot be read") from None
        if header != _SQLITE_HEADER:
            raise _refused(Reason.UNSUPPORTED, "NotSQLite", "the file is no SQLite database")
        return path

    def _copy(self, path: Path) -> Path:
        """A copy in one file: reading a write-ahead log in place would leave files beside it."""
        self._folder = self._folder or tempfile.TemporaryDirectory(prefix="evidenced-mlflow-")
        made = Path(self._folder.name) / "mlflow.db"
        for _ in range(_COPY_TRIES):
            before = _state(path)
            if before == self._copied and made.exists():
                return made
            incoming = made.with_name("incoming.db")
            shutil.copyfile(path, incoming)
            log = _log_of(path)
            if log.exists():
                shutil.copyfile(log, _log_of(incoming))
            if _state(path) == before:
                _fold(incoming)
                incoming.replace(made)
                self._copied = before
                return made
        raise _refused(Reason.UNREACHABLE, "DatabaseBusy", "it was written to during every attempt to copy it")


def read_only(url: str) -> str:
    """The URL of a database server with an option that makes every transaction of the session read-only.

    >>> read_only("postgresql://ml@db/mlflow")
    'postgresql://ml@db/mlflow?options=-c%20default_transaction_read_only%3Don'
    """
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    if parts.scheme.startswith("postgresql"):
        options = [value for name, value in query if name == "options"]
        query = [(name, value) for name, value in query if name != "options"]
        query.append(("options", " ".join([*options, "-c default_transaction_read_only=on"])))
    else:
        query.append(("init_command", "SET SESSION TRANSACTION READ ONLY"))
    return urlunsplit(parts._replace(query=urlencode(query, quote_via=quote)))


@cache
def expected_revision() -> str:
    """The newest revision of the database that the installed MLflow knows."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", "mlflow:store/db_migrations")
    return str(ScriptDirectory.from_config(config).get_current_head())


def _check_revision(found: str) -> None:
    expected = expected_revision()
    if found != expected:
        raise _refused(
            Reason.UNSUPPORTED,
            f"SchemaRevision:{found}",
            f"the database is at revision {found}, the installed MLflow reads {expected}: install the MLflow version "
            "of the server, or give the server's address as url",
        )


def _sqlite_revision(path: Path) -> str:
    try:
        connection = sqlite3.connect(_uri(path), uri=True, timeout=5)
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            raise _not_mlflow() from None
        raise _refused(Reason.UNREACHABLE, type(error).__name__, "SQLite cannot read the file") from None
    except sqlite3.DatabaseError as error:
        raise _refused(Reason.MALFORMED, type(error).__name__, "SQLite cannot read the file") from None
    if row is None:
        raise _not_mlflow()
    return str(row[0])


def _server_revision(url: str) -> str:
    import sqlalchemy
    from sqlalchemy.exc import NoSuchModuleError, OperationalError, ProgrammingError, SQLAlchemyError
    from sqlalchemy.pool import NullPool

    try:
        engine = sqlalchemy.create_engine(url, poolclass=NullPool)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise UsageError(
            f"the driver for this MLflow database is not installed ({error})", "install it, or name one: dialect+driver"
        ) from None
    try:
        with engine.connect() as connection:
            row = connection.execute(sqlalchemy.text("SELECT version_num FROM alembic_version")).fetchone()
    except OperationalError as error:
        raise _refused(Reason.UNREACHABLE, type(error.orig).__name__, "the database does not answer") from None
    except ProgrammingError:
        raise _not_mlflow() from None
    except SQLAlchemyError as error:
        raise _refused(Reason.UNREACHABLE, type(error).__name__, "the database does not answer") from None
    if row is None:
        raise _not_mlflow()
    return str(row[0])


def _refused(reason: Reason, code: str, why: str) -> SourceError:
    need = "read access to the MLflow database" if reason is Reason.DENIED else None
    return SourceError(Gap(reason, op="OpenDatabase", code=code, need=need), f"MLflow database: {why}")


def _not_mlflow() -> SourceError:
    return _refused(Reason.UNSUPPORTED, "NotAnMlflowDatabase", "it has no table of MLflow")


def _has_write_ahead_log(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(18)
        return file.read(2) == _WAL_VERSION


def _state(path: Path) -> tuple[object, ...]:
    """Changes whenever the database does: size and time of the file and of its log."""
    stats = [file.stat() if file.exists() else None for file in (path, _log_of(path))]
    return tuple((stat.st_ino, stat.st_size, stat.st_mtime_ns) if stat else None for stat in stats)


def _fold(copy: Path) -> None:
    """Bring the log of a copy into its one file."""
    connection = sqlite3.connect(copy)
    try:
        connection.execute("PRAGMA journal_mode=DELETE")
    finally:
        connection.close()


def _log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def _uri(path: Path) -> str:
    """SQLite's own form of a path that is only read."""
    return f"file:{quote(str(path.absolute()))}?mode=ro"


def _engine_url(path: Path) -> str:
    """The same for SQLAlchemy; the driver is named so that MLflow does not take the rest for a path to make."""
    from sqlalchemy.engine import URL

    place = f"file:{quote(str(path.absolute()))}"
    return URL.create("sqlite+pysqlite", database=place, query={"mode": "ro", "uri": "true"}).render_as_string()
