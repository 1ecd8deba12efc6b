"""The tables, declared once with SQLAlchemy Core; migrations make them, a test holds the two against each other."""

from lakefront.db.tables import (
    access,
    alerts,
    cities,
    documents,
    integrations,
    lake,
    log,
    notices,
    open_data,
    outbox,
    permits,
    service_requests,
    tenants,
)
from lakefront.db.tables.base import metadata

__all__ = [
    "access",
    "alerts",
    "cities",
    "documents",
    "integrations",
    "lake",
    "log",
    "metadata",
    "notices",
    "open_data",
    "outbox",
    "permits",
    "service_requests",
    "tenants",
]
