"""Alembic's entry: runs on the connection the program hands over, never on its own settings."""

from alembic import context

from infra.postgres.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
