"""What every table shares: the schema's name and the tenant's column."""

from typing import Any

from sqlalchemy import CheckConstraint, Column, DateTime, MetaData, Text

SCHEMA = "lakefront"
metadata = MetaData(schema=SCHEMA)


def tenant() -> tuple[Column[str], CheckConstraint]:
    """The tenant's column; first in every key. A reset ``lakefront.tenant`` is ``''``, so that no row may have it."""
    return Column("tenant_id", Text, primary_key=True), CheckConstraint("tenant_id <> ''")


def timestamp(name: str, **options: Any) -> Column[Any]:
    """A point in time, with its zone, to the microsecond."""
    return Column(name, DateTime(timezone=True), **options)
