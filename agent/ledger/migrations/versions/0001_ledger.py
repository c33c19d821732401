"""The ledger's first schema: tables, indexes and the triggers that guard them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
GUARDED = ("blob", "poll", "judged", "change", "seen_event", "event", "node", "checkpoint", "anchor")


def upgrade() -> None:
    """Create everything."""
    _caches()
    _evidence()
    _log()
    if op.get_context().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION evidenced_refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN RAISE EXCEPTION 'the evidence ledger is append-only'; END$$"
        )
    for table in GUARDED:
        _guard(table)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, ROW_ID, autoincrement=False, nullable=False)


def _caches() -> None:
    op.create_table(
        "target",
        _number("id"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("judging_id", sa.Integer(), nullable=False),
        sa.Column("every_s", sa.Integer(), nullable=False),
        sa.Column("n_pos", sa.Integer(), nullable=False),
        sa.Column("head_root", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "judging",
        _number("id"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("n_pos", sa.Integer(), nullable=False),
        sa.Column("head_root", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "collector",
        _number("id"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "resource",
        sa.Column("tree", sa.Integer(), nullable=False),
        sa.Column("pos", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("blob_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tree", "pos"),
        sqlite_with_rowid=False,
    )
    op.create_index("resource_key", "resource", ["tree", "key"], unique=True)


def _evidence() -> None:
    op.create_table(
        "blob",
        _number("id"),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("codec", sa.SmallInteger(), nullable=False),
        sa.Column("dictionary_id", sa.BigInteger(), nullable=True),
        sa.Column("z", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
    )
    op.create_table(
        "change",
        sa.Column("tree", sa.Integer(), nullable=False),
        sa.Column("pos", sa.Integer(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("blob_id", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tree", "pos", "idx"),
        sqlite_with_rowid=False,
    )
    op.create_index("change_idx", "change", ["idx"])
    op.create_table(
        "seen_event",
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("pos", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("blob_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("idx", "pos"),
        sqlite_with_rowid=False,
    )


def _log() -> None:
    op.create_table(
        "poll",
        _number("idx"),
        sa.Column("target_id", sa.Integer(), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("late_ms", sa.BigInteger(), nullable=True),
        sa.Column("behind_ms", sa.BigInteger(), nullable=True),
        sa.Column("dur_ms", sa.BigInteger(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=True),
        sa.Column("to_ms", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("gaps", sa.Integer(), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=True),
        sa.Column("receipt", sa.LargeBinary(), nullable=False),
        sa.Column("receipt_blob", sa.BigInteger(), nullable=False),
        sa.Column("col_id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("idx"),
    )
    _index_where("poll_root", "poll", ["target_id", "idx"], "root IS NOT NULL")
    # the slot first: polls come in the order of slots, so the index grows at its end and stays full
    slot = sa.text("(start_ms - late_ms)")
    _index_where("poll_slot", "poll", [slot, "target_id"], "late_ms IS NOT NULL", unique=True)
    op.create_table(
        "judged",
        _number("idx"),
        sa.Column("judging_id", sa.Integer(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("upto", sa.BigInteger(), nullable=False),
        sa.Column("unseen", sa.LargeBinary(), nullable=True),
        sa.Column("rules_blob", sa.BigInteger(), nullable=False),
        sa.Column("fn", sa.Integer(), nullable=False),
        sa.Column("froot", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("idx"),
    )
    _index_where("judged_froot", "judged", ["judging_id", "idx"], "froot IS NOT NULL")
    op.create_table(
        "event",
        _number("idx"),
        sa.Column("line", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("idx"),
    )
    op.create_table(
        "node",
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("i", sa.BigInteger(), nullable=False),
        sa.Column("h", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "i"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "checkpoint",
        _number("size"),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("size"),
    )
    op.create_table(
        "anchor",
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("receipt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("size", "kind"),
    )


def _index_where(name: str, table: str, columns: list[str | sa.TextClause], where: str, unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


def _guard(table: str) -> None:
    # the bytes of a pruned document go; what it was stays
    update = "UPDATE OF id, digest, size" if table == "blob" else "UPDATE"
    for name, action in ((f"{table}_no_update", update), (f"{table}_no_delete", "DELETE")):
        if op.get_context().dialect.name == "postgresql":
            what = "FOR EACH ROW EXECUTE FUNCTION evidenced_refuse()"
        else:
            what = "BEGIN SELECT RAISE(ABORT, 'the evidence ledger is append-only'); END"
        op.execute(f'CREATE TRIGGER {name} BEFORE {action} ON "{table}" {what}')
