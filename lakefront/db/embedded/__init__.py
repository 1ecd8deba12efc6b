"""The embedded parts: real PostgreSQL and Redis processes of our own, for a machine that has none (ADR 0004)."""

from lakefront.db.embedded.errors import EmbeddedError
from lakefront.db.embedded.parts import EmbeddedParts
from lakefront.db.embedded.postgres import EmbeddedPostgres
from lakefront.db.embedded.redis import EmbeddedRedis

__all__ = ["EmbeddedError", "EmbeddedParts", "EmbeddedPostgres", "EmbeddedRedis"]
