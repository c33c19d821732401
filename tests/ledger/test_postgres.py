"""The same ledger on a real Postgres: appends, reads, verification, guards, two writers."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from agent.errors import StoreError
from agent.ledger import Ledger
from agent.ledger.schema import GUARDED
from agent.ledger.verify import verify_store
from tests.ledger.world import BUCKETS, START, World, snapshot


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The folder of a server's socket; the server is ended afterwards."""
    found = [Path("/usr/bin"), *sorted(Path("/usr/lib/postgresql").glob("*/bin"))]
    programs = next((path for path in found if (path / "initdb").exists()), None) or _on_path()
    owner = "postgres" if os.geteuid() == 0 else None
    if programs is None or (owner and owner not in {entry.pw_name for entry in pwd.getpwall()}):
        if os.environ.get("CI"):
            pytest.fail("Postgres is not installed")
        pytest.skip("Postgres is not installed")
    # a socket's path must be short
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    if owner:
        shutil.chown(folder, owner)

    def run(*words: str) -> None:
        subprocess.run(words, user=owner, check=True, capture_output=True, timeout=60, cwd="/")

    run(str(programs / "initdb"), "-D", str(folder / "data"), "-A", "trust", "-U", "ledger", "--no-sync")
    options = f"-k {folder} -c listen_addresses='' -c fsync=off"
    control = (str(programs / "pg_ctl"), "-D", str(folder / "data"), "-w", "-l", str(folder / "log"))
    run(*control, "-o", options, "start")
    try:
        yield str(folder)
    finally:
        run(*control, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def _on_path() -> Path | None:
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


@pytest.fixture
def url(server: str, request: pytest.FixtureRequest) -> str:
    """A database of the test's own."""
    name = "".join(letter for letter in request.node.name.lower() if letter.isalnum())[:40]
    engine = sa.create_engine(f"postgresql+psycopg://ledger@/postgres?host={server}", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return f"postgresql://ledger@/{name}?host={server}"


def open_there(url: str, folder: Path, *, create: bool = False) -> Ledger:
    return Ledger.open(url, folder / "ledger.key", create=create, now_ms=START)


def test_world_on_postgres(url: str, tmp_path: Path) -> None:
    ledger = open_there(url, tmp_path, create=True)
    world = World(ledger, 5)
    for _ in range(12):
        world.run(10)
        assert verify_store(ledger, ledger.fingerprint).problems == []
    world.seal()
    world.check()
    head = ledger.head()
    ledger.close()
    again = open_there(url, tmp_path)
    assert again.head() == head
    again.close()
    report = verify_store(url)
    assert report.problems == []
    assert (report.size, report.sealed) == (head.size, head.size)


def test_guards_and_tampering_on_postgres(url: str, tmp_path: Path) -> None:
    ledger = open_there(url, tmp_path, create=True)
    World(ledger, 6).run(30)
    ledger.append_anchor("file", 1, b"receipt", START)
    ledger.seal(START)
    engine = ledger.store.engine
    filled = [table for table in GUARDED if table != "node"]
    for table in filled:
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), engine.begin() as connection:
            connection.execute(sa.text(f"DELETE FROM {table}"))
    with engine.begin() as connection:
        connection.execute(sa.text("SET session_replication_role = replica"))
        connection.execute(sa.text("UPDATE poll SET dur_ms = dur_ms + 1 WHERE idx = (SELECT min(idx) FROM poll)"))
        connection.execute(sa.text("SET session_replication_role = DEFAULT"))
    assert "checkpoint" in {problem.code for problem in verify_store(ledger).problems}
    ledger.close()


def test_two_openings_on_postgres(url: str, tmp_path: Path) -> None:
    first = open_there(url, tmp_path, create=True)
    second = open_there(url, tmp_path)
    first.declare([BUCKETS], START)
    for number in range(20):
        (first, second)[number % 2].append_poll(snapshot(BUCKETS, {"a": number // 3}, START + number))
    assert first.head() == second.head()
    assert verify_store(first).problems == []
    first.close()
    second.close()


def test_refused_on_postgres(url: str, server: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store"):
        open_there(url, tmp_path)
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE experiments (id INTEGER)"))
    engine.dispose()
    with pytest.raises(StoreError, match="something else than a ledger"):
        open_there(url, tmp_path, create=True)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StoreError, match="cannot be used") as caught:
        open_there(f"postgresql://ledger:secret-word@/none?host={server}", tmp_path, create=True)
    assert "secret-word" not in str(caught.value)
