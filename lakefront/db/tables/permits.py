"""The permits' projection: their current state and their address rows."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Computed,
    Date,
    Double,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

from lakefront.db.tables.base import metadata, tenant, timestamp

permits = Table(
    "permits",
    metadata,
    *tenant(),
    Column("permit_id", Text, primary_key=True),
    Column("status", Text),
    timestamp("status_at"),
    Column("type", Text),
    Column("type_code", Text),
    Column("description", Text),
    Column("created_on", Date),
    timestamp("filed_at"),
    timestamp("issued_at"),
    timestamp("completed_at"),
    timestamp("expires_at"),
    timestamp("first_construction_document_at"),
    timestamp("last_activity_at"),
    Column("estimated_cost", Integer),
    Column("revised_cost", Integer),
    Column("existing_use", Text),
    Column("proposed_use", Text),
    Column("existing_units", Integer),
    Column("proposed_units", Integer),
    Column("units", Integer, Computed("coalesce(proposed_units, existing_units)", persisted=True)),
    Column("existing_stories", Integer),
    Column("proposed_stories", Integer),
    Column("stories", Integer, Computed("coalesce(proposed_stories, existing_stories)", persisted=True)),
    Column("existing_occupancy", Text),
    Column("proposed_occupancy", Text),
    Column("existing_construction_type", Text),
    Column("existing_construction_type_description", Text),
    Column("proposed_construction_type", Text),
    Column("proposed_construction_type_description", Text),
    Column("plansets", Integer),
    Column("structural_notification", Boolean),
    Column("voluntary_soft_story_retrofit", Boolean),
    Column("fire_only", Boolean),
    Column("site_permit", Boolean),
    Column("adu", Boolean),
    Column("tidf_compliance", Text),
    Column("submission_method", Text),
    Column("neighborhood", Text),
    Column("supervisor_district", Integer),
    Column("zipcode", Text),
    Column("inspector", Text),
    Column("inspection_type", Text),
    timestamp("inspection_scheduled_at"),
    timestamp("inspection_completed_at"),
    Column("inspection_result", Text),
    timestamp("updated_at", nullable=False),
    Column("field_versions", JSONB, nullable=False),
)
"""``field_versions`` is the projection's own: which (occurred_at, life-cycle rank, offset) wrote which fields."""

Index(
    "permits_by_neighborhood",
    permits.c.tenant_id,
    permits.c.neighborhood,
    permits.c.estimated_cost,
    permits.c.permit_id,
)
Index("permits_by_status", permits.c.tenant_id, permits.c.status, permits.c.status_at, permits.c.permit_id)
Index("permits_by_filed_at", permits.c.tenant_id, permits.c.filed_at, permits.c.permit_id)
Index("permits_by_estimated_cost", permits.c.tenant_id, permits.c.estimated_cost, permits.c.permit_id)

permit_addresses = Table(
    "permit_addresses",
    metadata,
    *tenant(),
    Column("permit_id", Text, primary_key=True),
    Column("address_id", Text, primary_key=True),
    Column("block", Text),
    Column("lot", Text),
    Column("street_number", Text),
    Column("street_number_suffix", Text),
    Column("street_name", Text),
    Column("street_suffix", Text),
    Column("unit", Text),
    Column("unit_suffix", Text),
    Column("primary", Boolean, nullable=False),
    Column("neighborhood", Text),
    Column("supervisor_district", Integer),
    Column("zipcode", Text),
    Column("latitude", Double),
    Column("longitude", Double),
    Column("point_source", Text),
    timestamp("occurred_at", nullable=False),
    Column("rank", SmallInteger, nullable=False),
    Column("offset", BigInteger, nullable=False),
)
"""``occurred_at, rank, offset``: the version of the event that wrote the row. No foreign key: the projection alone
writes here, and the key's check, planned while the table was empty, would go on scanning it when it is large."""

Index(
    "permit_addresses_by_latitude",
    permit_addresses.c.tenant_id,
    permit_addresses.c.latitude,
    permit_addresses.c.longitude,
)
Index("permit_addresses_by_lot", permit_addresses.c.tenant_id, permit_addresses.c.block, permit_addresses.c.lot)
