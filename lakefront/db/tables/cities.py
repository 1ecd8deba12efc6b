"""Cities that a tenant serves."""

from sqlalchemy import CheckConstraint, Column, Float, Table, Text, func

from lakefront.db.tables.base import metadata, tenant, timestamp

cities = Table(
    "cities",
    metadata,
    *tenant(),
    Column("slug", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("latitude", Float(53)),
    Column("longitude", Float(53)),
    Column("time_zone", Text),
    timestamp("created_at", nullable=False, server_default=func.now()),
    timestamp("updated_at", nullable=False, server_default=func.now()),
    CheckConstraint("(latitude IS NULL) = (longitude IS NULL)"),
    CheckConstraint("latitude BETWEEN -90 AND 90"),
    CheckConstraint("longitude BETWEEN -180 AND 180"),
)
"""A city by its short name (``nyc``). Its middle in degrees (WGS 84) and its time zone (IANA) are told where known:
adapters read local times and look around the middle by them."""
