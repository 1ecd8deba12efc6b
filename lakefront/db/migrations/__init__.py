"""The way of the database from nothing to now: alembic's environment and one file a step."""
