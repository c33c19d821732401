"""Verification of a store: everything that is hashed by replay, every cache against what it caches.

Nothing in the store is trusted. What is wrong is listed with its place; what holds only within a
limit (no anchor, a key nobody compared) is listed as a limit, every time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection

from agent.clock import iso
from agent.errors import StoreError
from agent.ledger.documents import BadDocument, Library
from agent.ledger.lines import Body
from agent.ledger.merkle import record_leaf
from agent.ledger.read import Reader
from agent.ledger.replay import WRONG_VALUES, Change, Replay, Seen
from agent.ledger.rows import CHUNK, Log, size_of
from agent.ledger.schema import (
    GUARDED,
    REVISION,
    TABLES,
    VERSION_TABLE,
    anchor,
    blob,
    change,
    checkpoint,
    collector,
    event,
    guard_names,
    judged,
    judging,
    metadata,
    node,
    poll,
    resource,
    seen_event,
    slot_ms,
    target,
)
from agent.ledger.sign import fingerprint as fingerprint_of
from agent.ledger.store import Store, locate
from agent.model import Kind

_MOST = 200
"""Problems that are listed; the others are counted."""


class Problem(NamedTuple):
    """One thing that is wrong: what kind, where, and in words."""

    code: str
    place: str
    text: str


@dataclass(slots=True)
class Report:
    """The outcome of a verification."""

    problems: list[Problem] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    fingerprint: str | None = None
    origin: str | None = None
    size: int = 0
    root: bytes | None = None
    sealed: int = 0
    """Size of the newest checkpoint that holds."""
    unlisted: int = 0
    """Problems beyond those that are listed."""

    def complain(self, code: str, place: str, text: str) -> None:
        """Add a problem."""
        if len(self.problems) < _MOST:
            self.problems.append(Problem(code, place, text))
        else:
            self.unlisted += 1

    @property
    def result(self) -> str:
        """`PASS`, `PASS WITH LIMITS` or `FAIL`."""
        if self.problems:
            return "FAIL"
        return "PASS WITH LIMITS" if self.limits else "PASS"


def verify_store(ledger: Reader | str, key_fingerprint: str | None = None) -> Report:
    """Verify a whole store: an open ledger, or the one at a URL, which is only read.

    `key_fingerprint` is the one the auditor was given (`SHA256:...`). StoreError when there is no
    store at all; whatever else is wrong with it is in the report.
    """
    report = Report()
    if isinstance(ledger, Reader):
        _guarded(ledger.store, report, key_fingerprint)
        return report
    url = locate(ledger)
    missing = _missing(url)
    if missing:
        raise StoreError(missing)
    store = Store(url, read_only=True)
    try:
        _guarded(store, report, key_fingerprint)
    finally:
        store.close()
    return report


def _missing(url: URL) -> str | None:
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").expanduser().is_file():
        return f"there is no store at {url.render_as_string(hide_password=True)}"
    return None


def _guarded(store: Store, report: Report, key_fingerprint: str | None) -> None:
    """Verify; a store that cannot be read to its end is a problem of its own."""
    try:
        with store.read() as connection:
            _Verification(connection, report).run(key_fingerprint)
    except StoreError as error:
        report.complain("store", store.name, error.message)


class _Verification:
    """One verification under way."""

    def __init__(self, connection: Connection, report: Report) -> None:
        self.connection = connection
        self.report = report
        self.complain = report.complain
        self.library = Library()
        self.used = bytearray()
        """One byte a document: whether anything refers to it."""
        self.used_beyond: set[int] = set()
        """The same for numbers far above the number of documents."""
        self.named: set[bytes] = set()
        """Digests of documents that events brought."""

    def run(self, key_fingerprint: str | None) -> None:
        if not self._schema() or not self._types():
            return
        size, count = size_of(self.connection), self._entry_count()
        if size != count:
            self.complain("order", "log", f"{count} entries, and the newest has index {size - 1}")
        self.used = bytearray(1000 + 2 * int(self._scalar(sa.select(sa.func.count()).select_from(blob))))
        replay = Replay(self.complain, refer=None, watch_slots=False)
        replay.run(self._entries(min(size, count), replay), self._changes(), self._seen(), self._notes())
        self._report(replay)
        if not replay.events or replay.events[0]["k"] != "genesis":
            self.complain("genesis", "entry 0", "the log does not begin with its genesis")
            return
        self._slots()
        for step in (partial(self._limits, key_fingerprint), self._caches, self._anchors, self._documents):
            try:
                step(replay)
            except WRONG_VALUES as error:
                self.complain("malformed", "log", f"{type(error).__name__}: {error}")

    # -- the shape of the store ------------------------------------------------------------

    def _schema(self) -> bool:
        """Whether there is enough of our schema to read on."""
        if self.connection.dialect.name == "sqlite":
            for (text,) in self.connection.execute(sa.text("PRAGMA integrity_check(20)")).all():
                if text != "ok":
                    self.complain("store", "database", str(text))
        inspector = sa.inspect(self.connection)
        tables = set(inspector.get_table_names())
        for name in sorted(tables - TABLES):
            self.complain("table", name, "a table that is not the ledger's")
        for name in sorted(set(inspector.get_view_names())):
            self.complain("table", name, "a view that is not the ledger's")
        for name in sorted(TABLES - tables):
            self.complain("table", name, "the table is missing")
        if not tables >= TABLES:
            return False
        for name, table in metadata.tables.items():
            found = {column["name"] for column in inspector.get_columns(name)}
            if found != set(table.c.keys()):
                self.complain("table", name, "the columns are not the ledger's")
                return False
        versions = [row[0] for row in self.connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}"))]
        if versions != [REVISION]:
            self.complain("revision", VERSION_TABLE, f"{versions} instead of {REVISION}")
        self._triggers()
        return True

    def _triggers(self) -> None:
        wanted = {name for table in GUARDED for name in guard_names(table)}
        if self.connection.dialect.name == "sqlite":
            query = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        else:
            query = (
                "SELECT tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid "
                "WHERE NOT tgisinternal AND relnamespace = current_schema()::regnamespace"
            )
        found = {name for (name,) in self.connection.execute(sa.text(query))}
        for name in sorted(found - wanted):
            self.complain("trigger", name, "a trigger that is not the ledger's")
        if wanted - found:
            self.report.limits.append(f"{len(wanted - found)} guards against accidental changes are missing")

    def _types(self) -> bool:
        """Whether every value has the type of its column; SQLite does not see to that itself."""
        if self.connection.dialect.name != "sqlite":
            return True
        good = True
        for table in metadata.sorted_tables:
            wrong = sa.or_(*(_wrong_type(column) for column in table.c))
            count = self._scalar(sa.select(sa.func.count()).select_from(table).where(wrong))
            if count:
                self.complain("type", table.name, f"{count} rows hold values of another type, or none")
                good = False
        return good

    def _entry_count(self) -> int:
        return sum(int(self._scalar(sa.select(sa.func.count()).select_from(table))) for table in (poll, judged, event))

    # -- what the replay is fed ------------------------------------------------------------

    def _entries(self, last: int, replay: Replay) -> Iterator[tuple[int, bytes, Body | None]]:
        for entry in Log(self.connection, self.complain).entries(0, last):
            body = entry[2]
            if body is not None and "docs" in body and isinstance(body["docs"], list):
                self.named.update(bytes.fromhex(name) for name in body["docs"] if _is_digest(name))
            yield entry

    def _changes(self) -> Iterator[Change]:
        query = (
            sa.select(change.c.idx, change.c.tree, change.c.pos, resource.c.key, blob.c.digest, change.c.blob_id)
            .select_from(change)
            .outerjoin(resource, (resource.c.tree == change.c.tree) & (resource.c.pos == change.c.pos))
            .outerjoin(blob, blob.c.id == change.c.blob_id)
            .order_by(change.c.idx, change.c.tree, change.c.pos)
        )
        for idx, tree, pos, key, digest, blob_id in self._stream(query):
            if key is None or (blob_id is None) != (digest is None):
                self.complain("dangling", f"entry {idx}", f"tree {tree}, position {pos}: key or document is missing")
                continue
            self._use(blob_id)
            yield idx, tree, pos, key, digest

    def _seen(self) -> Iterator[Seen]:
        query = (
            sa.select(seen_event.c.idx, seen_event.c.pos, seen_event.c.key, blob.c.digest, seen_event.c.blob_id)
            .select_from(seen_event)
            .outerjoin(blob, blob.c.id == seen_event.c.blob_id)
            .order_by(seen_event.c.idx, seen_event.c.pos)
        )
        for idx, pos, key, digest, blob_id in self._stream(query):
            if digest is None:
                self.complain("dangling", f"entry {idx}", f"event {pos}: its document is missing")
                continue
            self._use(blob_id)
            yield idx, pos, key, digest

    def _notes(self) -> Iterator[tuple[int, str]]:
        rows = self._stream(sa.select(checkpoint.c.size, checkpoint.c.note).order_by(checkpoint.c.size))
        yield from (tuple(row) for row in rows)

    # -- what follows from the replay ------------------------------------------------------

    def _report(self, replay: Replay) -> None:
        report = self.report
        report.counts = dict(replay.counts)
        report.size, report.root, report.sealed = replay.log.size, replay.log.root(), replay.sealed
        report.origin = replay.origin
        report.fingerprint = fingerprint_of(replay.key) if replay.key is not None else None

    def _limits(self, key_fingerprint: str | None, replay: Replay) -> None:
        limits, genesis = self.report.limits, replay.events[0]
        if key_fingerprint is None:
            limits.append("the fingerprint of the key was not given: whoever holds the store may have signed it anew")
        elif key_fingerprint != self.report.fingerprint:
            self.complain("key", "genesis", f"the key is {self.report.fingerprint}, not {key_fingerprint}")
        anchors = [body for body in replay.events if body["k"] == "anchor"]
        if anchors:
            newest = max(anchors, key=lambda body: int(body["size"]))
            limits.append(
                f"anchored up to entry {newest['size'] - 1} on {iso(newest['at'])}; "
                "the receipts themselves are checked with the tools of those who gave them"
            )
        else:
            since = iso(genesis["at"])
            limits.append(f"unanchored since {since}: nothing outside the store shows when it was written")
        if genesis.get("demo"):
            limits.append("a demonstration: nothing in it is real")
        if replay.sealed < replay.log.size:
            limits.append(f"{replay.log.size - replay.sealed} entries after the newest checkpoint are not signed yet")
        for body in replay.events:
            if body["k"] == "key" and body.get("lost"):
                limits.append(f"the key was replaced on {iso(body['at'])} without the signature of the one before it")
            if body["k"] == "recovery":
                limits.append(
                    f"entries {body.get('first')} to {body.get('last')} were lost; "
                    f"declared on {iso(body['at'])} by {body.get('by')}: {body.get('reason')}"
                )

    def _slots(self) -> None:
        twice = (
            sa.select(poll.c.target_id, slot_ms, sa.func.max(poll.c.idx))
            .where(poll.c.late_ms.is_not(None))
            .group_by(slot_ms, poll.c.target_id)
            .having(sa.func.count() > 1)
        )
        for target_id, slot, idx in self._stream(twice):
            self.complain("slot", f"entry {idx}", f"slot {slot} of target {target_id} has two polls")

    # -- caches ----------------------------------------------------------------------------

    def _caches(self, replay: Replay) -> None:
        self._resources(replay)
        self._same("target", target, _targets(replay))
        self._same("judging", judging, _judgings(replay))
        self._same("node", node, ((level, number, made) for (level, number), made in sorted(replay.nodes.items())))
        first_seen = sa.select(poll.c.col_id).group_by(poll.c.col_id).order_by(sa.func.min(poll.c.idx))
        used = [number for (number,) in self._stream(first_seen)]
        kept = [number for (number,) in self._stream(sa.select(collector.c.id).order_by(collector.c.id))]
        if used != list(range(1, len(used) + 1)) or kept != used:
            self.complain("cache", "collector", "the collectors are not those of the polls, in their order")

    def _resources(self, replay: Replay) -> None:
        counts: dict[int, int] = {}
        query = (
            sa.select(resource.c.tree, resource.c.pos, resource.c.key, resource.c.blob_id, blob.c.digest)
            .select_from(resource)
            .outerjoin(blob, blob.c.id == resource.c.blob_id)
            .order_by(resource.c.tree, resource.c.pos)
        )
        for tree, pos, key, blob_id, digest in self._stream(query):
            counts[tree] = counts.get(tree, 0) + 1
            small = replay.trees.get(tree)
            if small is None or not 0 <= pos < len(small.standing) or (blob_id is None) != (digest is None):
                self.complain("cache", f"resource {tree}/{pos}", "a position that no change made")
            elif small.nodes[pos] != record_leaf(key, digest):
                self.complain("cache", f"resource {tree}/{pos}", "not the present state")
        for tree, small in replay.trees.items():
            if counts.get(tree, 0) != len(small.standing):
                self.complain("cache", f"resource {tree}", f"not {len(small.standing)} positions")

    def _same(self, name: str, table: sa.Table, expected: Iterable[tuple[Any, ...]]) -> None:
        """Compare a table, in the order of its primary key, with what it has to hold."""
        wanted = iter(expected)
        for row in self._stream(sa.select(table).order_by(*table.primary_key.columns)):
            if tuple(row) != next(wanted, None):
                self.complain("cache", f"{name} {row[0]}", "not what the log says")
                return
        if next(wanted, None) is not None:
            self.complain("cache", name, "a row is missing")

    def _anchors(self, replay: Replay) -> None:
        notes = {size for (size,) in self._stream(sa.select(checkpoint.c.size))}
        logged = {(body["size"], body["kind"], body["receipt"]) for body in replay.events if body["k"] == "anchor"}
        for size, kind, receipt in self._stream(sa.select(anchor.c.size, anchor.c.kind, anchor.c.receipt)):
            found = (size, kind, sha256(receipt).hexdigest())
            if found not in logged:
                self.complain("anchor", f"{kind} {size}", "no event of the log names this receipt")
            if size not in notes:
                self.complain("anchor", f"{kind} {size}", "there is no checkpoint of this size")
            logged.discard(found)
        for size, kind, _ in sorted(logged):
            self.complain("anchor", f"{kind} {size}", "the receipt that the log names is missing")

    # -- documents -------------------------------------------------------------------------

    def _documents(self, replay: Replay) -> None:
        for column in (poll.c.receipt_blob, judged.c.rules_blob):
            for (number,) in self._stream(sa.select(column).distinct()):
                self._use(number)
        dictionaries = {bytes.fromhex(body["docs"][0]) for body in replay.events if body["k"] == "dictionary"}
        dictionary_ids: set[int] = set()
        pruned = {name for body in replay.events if body["k"] == "prune" for name in body.get("digests", ())}
        forgotten = 0
        for number, digest, size, codec, dictionary_id, z in self._stream(sa.select(blob).order_by(blob.c.id)):
            place = f"document {number}"
            if digest in dictionaries:
                dictionary_ids.add(number)
            if not self._is_used(number) and digest not in self.named:
                self.complain("unreferenced", place, f"nothing refers to {digest.hex()}")
            self.named.discard(digest)
            if z is None:
                forgotten += 1
                if digest.hex() not in pruned:
                    self.complain("document", place, f"the content of {digest.hex()} is gone, and no event says why")
                continue
            if dictionary_id is not None and dictionary_id not in dictionary_ids:
                self.complain("document", place, f"document {dictionary_id} is no dictionary that the log names")
                continue
            self._document(place, digest, size, codec, dictionary_id, z)
        for digest in self.named:
            self.complain("document", digest.hex(), "an event refers to a document that is missing")
        if forgotten:
            self.report.limits.append(f"{forgotten} pruned documents")
        self.report.counts["documents"] = int(self._scalar(sa.select(sa.func.count()).select_from(blob)))

    def _document(self, place: str, digest: bytes, size: int, codec: int, dictionary_id: int | None, z: bytes) -> None:
        try:
            self.library.know(self.connection, dictionary_id)
            data = self.library.codecs.unpack(codec, z, size, dictionary_id)
        except BadDocument as error:
            self.complain("document", place, f"{digest.hex()} cannot be read: {error}")
            return
        if sha256(data).digest() != digest:
            self.complain("document", place, f"the content is not that of {digest.hex()}")

    def _use(self, number: int | None) -> None:
        if number is None:
            return
        if 0 < number < len(self.used):
            self.used[number] = 1
        else:
            self.used_beyond.add(number)

    def _is_used(self, number: int) -> bool:
        return bool(self.used[number]) if 0 < number < len(self.used) else number in self.used_beyond

    # -- reading ---------------------------------------------------------------------------

    def _stream(self, query: sa.Select[Any]) -> Iterator[Any]:
        return iter(self.connection.execute(query).yield_per(CHUNK))

    def _scalar(self, query: sa.Select[Any]) -> Any:
        return self.connection.execute(query).scalar()


def _targets(replay: Replay) -> Iterator[tuple[Any, ...]]:
    """Rows that the table of targets has to hold."""
    for number, scoped in sorted(replay.targets.items()):
        body, small = scoped.body, replay.trees.get(number)
        n_pos, root = (len(small.standing), bytes.fromhex(small.hex or "")) if small else (0, None)
        name = f"{body['stream']}@{body['scope']}"
        yield number, name, Kind(scoped.kind).number, body["s"], body["every"], n_pos, root


def _judgings(replay: Replay) -> Iterator[tuple[Any, ...]]:
    """Rows that the table of judging scopes has to hold."""
    for number, name in sorted(replay.judgings.items()):
        small = replay.trees.get(-number)
        yield number, name, *((len(small.standing), bytes.fromhex(small.hex or "")) if small else (0, None))


def _wrong_type(column: sa.Column[Any]) -> sa.ColumnElement[bool]:
    names = {sa.Text: "text", sa.LargeBinary: "blob"}
    wanted = next((name for kind, name in names.items() if isinstance(column.type, kind)), "integer")
    return sa.func.typeof(column).not_in((wanted, "null") if column.nullable else (wanted,))


def _is_digest(name: Any) -> bool:
    return isinstance(name, str) and len(name) == 64 and all(digit in "0123456789abcdef" for digit in name)
