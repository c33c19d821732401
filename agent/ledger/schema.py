"""Tables of the store (ledger.md 4.7), the same on SQLite and Postgres.

Evidence lies in `poll`, `judged`, `event`, `change`, `seen_event` and `blob`; everything else is a
cache of it that the verifier computes again. Nothing else may lie in the store.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    text,
)

REVISION = "0001"
"""The revision of the schema this program reads and writes."""

# SQLite gives only INTEGER PRIMARY KEY the row number; any other integer type costs an index
ROW_ID = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData()

target = Table(
    "target",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False, unique=True),
    Column("kind", SmallInteger, nullable=False),
    Column("judging_id", Integer, nullable=False),
    Column("every_s", Integer, nullable=False),
    Column("n_pos", Integer, nullable=False),
    Column("head_root", LargeBinary),
)
judging = Table(
    "judging",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False, unique=True),
    Column("n_pos", Integer, nullable=False),
    Column("head_root", LargeBinary),
)
collector = Table(
    "collector",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False, unique=True),
)
resource = Table(
    "resource",
    metadata,
    Column("tree", Integer, nullable=False),
    Column("pos", Integer, nullable=False),
    Column("key", Text, nullable=False),
    Column("blob_id", BigInteger),
    PrimaryKeyConstraint("tree", "pos"),
    Index("resource_key", "tree", "key", unique=True),
    sqlite_with_rowid=False,
)
blob = Table(
    "blob",
    metadata,
    Column("id", ROW_ID, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("size", BigInteger, nullable=False),
    Column("codec", SmallInteger, nullable=False),
    Column("dictionary_id", BigInteger),
    Column("z", LargeBinary),
)
poll = Table(
    "poll",
    metadata,
    Column("idx", ROW_ID, primary_key=True, autoincrement=False),
    Column("target_id", Integer, nullable=False),
    Column("start_ms", BigInteger, nullable=False),
    Column("late_ms", BigInteger),  # start minus planned slot; NULL = not planned
    Column("behind_ms", BigInteger),  # start minus time of observation; NULL = failed
    Column("dur_ms", BigInteger, nullable=False),
    Column("from_ms", BigInteger),
    Column("to_ms", BigInteger),
    Column("status", SmallInteger, nullable=False),
    Column("why", Text),
    Column("n", Integer, nullable=False),
    Column("gaps", Integer, nullable=False),
    Column("calls", Integer, nullable=False),
    Column("root", LargeBinary),
    Column("receipt", LargeBinary, nullable=False),
    Column("receipt_blob", BigInteger, nullable=False),
    Column("col_id", Integer, nullable=False),
)
judged = Table(
    "judged",
    metadata,
    Column("idx", ROW_ID, primary_key=True, autoincrement=False),
    Column("judging_id", Integer, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("upto", BigInteger, nullable=False),
    Column("unseen", LargeBinary),
    Column("rules_blob", BigInteger, nullable=False),
    Column("fn", Integer, nullable=False),
    Column("froot", LargeBinary),
)
change = Table(
    "change",
    metadata,
    Column("tree", Integer, nullable=False),
    Column("pos", Integer, nullable=False),
    Column("idx", BigInteger, nullable=False),
    Column("blob_id", BigInteger),
    PrimaryKeyConstraint("tree", "pos", "idx"),
    Index("change_idx", "idx"),
    sqlite_with_rowid=False,
)
seen_event = Table(
    "seen_event",
    metadata,
    Column("idx", BigInteger, nullable=False),
    Column("pos", Integer, nullable=False),
    Column("key", Text, nullable=False),
    Column("blob_id", BigInteger, nullable=False),
    PrimaryKeyConstraint("idx", "pos"),
    sqlite_with_rowid=False,
)
event = Table(
    "event",
    metadata,
    Column("idx", ROW_ID, primary_key=True, autoincrement=False),
    Column("line", LargeBinary, nullable=False),
)
node = Table(
    "node",
    metadata,
    Column("level", SmallInteger, nullable=False),
    Column("i", BigInteger, nullable=False),
    Column("h", LargeBinary, nullable=False),
    PrimaryKeyConstraint("level", "i"),
    sqlite_with_rowid=False,
)
checkpoint = Table(
    "checkpoint",
    metadata,
    Column("size", ROW_ID, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
)
anchor = Table(
    "anchor",
    metadata,
    Column("size", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("receipt", LargeBinary, nullable=False),
    PrimaryKeyConstraint("size", "kind"),
)

# Times that lie close to the start are kept as differences to it: 6 bytes a poll less each.
slot_ms = poll.c.start_ms - poll.c.late_ms
asof_ms = poll.c.start_ms - poll.c.behind_ms
# The slot first: polls come in the order of slots, so the index grows at its end and stays full.
Index("poll_slot", text("(start_ms - late_ms)"), poll.c.target_id, unique=True,
      sqlite_where=poll.c.late_ms.is_not(None), postgresql_where=poll.c.late_ms.is_not(None))  # fmt: skip
Index("poll_root", poll.c.target_id, poll.c.idx, sqlite_where=poll.c.root.is_not(None),
      postgresql_where=poll.c.root.is_not(None))  # fmt: skip
Index("judged_froot", judged.c.judging_id, judged.c.idx, sqlite_where=judged.c.froot.is_not(None),
      postgresql_where=judged.c.froot.is_not(None))  # fmt: skip

GUARDED = ("blob", "poll", "judged", "change", "seen_event", "event", "node", "checkpoint", "anchor")
"""Tables whose rows triggers keep from being changed or deleted: a guard against accidents, not a proof."""

VERSION_TABLE = "alembic_version"
TABLES = frozenset(metadata.tables) | {VERSION_TABLE}


def guard_names(table: str) -> tuple[str, str]:
    """Names of the two triggers that guard a table."""
    return f"{table}_no_update", f"{table}_no_delete"
