"""The log's first driver: PostgreSQL."""

from lakefront.eventlog.postgres.log import PostgresLog

__all__ = ["PostgresLog"]
