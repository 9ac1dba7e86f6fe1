"""What Alembic runs for every command: migrate over the connection that ``upgrade`` opened."""

from alembic import context

from hub.database.migrations import SCHEMA

context.configure(connection=context.config.attributes["connection"], version_table_schema=SCHEMA)
with context.begin_transaction():
    context.run_migrations()
