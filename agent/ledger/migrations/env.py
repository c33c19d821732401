"""What Alembic runs: the revisions, on the connection it was given, in that connection's transaction."""

from __future__ import annotations

from alembic import context

from agent.ledger.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
context.run_migrations()
