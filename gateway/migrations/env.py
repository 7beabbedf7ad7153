"""Alembic's environment: runs every migration on the connection `gateway.db.upgrade` opened."""

from alembic import context

from gateway.db.metadata import all_tables

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=[all_tables()],
    render_as_batch=True,  # SQLite alters a table by rebuilding it
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
