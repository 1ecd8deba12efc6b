"""Alembic's environment: runs on the connection that ``lakefront.db.migrate`` hands over."""

from alembic import context
from sqlalchemy import Connection

from lakefront.db.tables.base import SCHEMA, metadata


def run(connection: Connection) -> None:
    """Run the steps that are due, in one transaction."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table_schema=SCHEMA,
        include_schemas=True,
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        context.run_migrations()


run(context.config.attributes["connection"])
