"""The tables, declared once with SQLAlchemy Core; migrations make them, a test holds the two against each other."""

from lakefront.db.tables import access, cities, documents, integrations, lake, log, permits, tenants
from lakefront.db.tables.base import metadata

__all__ = ["access", "cities", "documents", "integrations", "lake", "log", "metadata", "permits", "tenants"]
