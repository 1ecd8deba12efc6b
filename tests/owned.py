"""A table whose rows have an owner, beside one that has none: what a domain with ``owner_only`` rows looks like."""

import asyncpg
import strawberry
from sqlalchemy import Column, Integer, MetaData, Table, Text

from lakefront.actor import METRICS_READ, SERVICE_REQUESTS_READ
from lakefront.db.database import APP_ROLE
from lakefront.db.query import Source
from lakefront.db.row_security import secured
from lakefront.db.tables.base import SCHEMA, tenant
from lakefront.graphql.connections import Connection
from lakefront.graphql.declare import column, connection, lookup, record, relation, stats
from lakefront.graphql.node import Node

_metadata = MetaData(schema=SCHEMA)  # apart from ours, to which the migrations are held

complaints = Table(
    "complaints",
    _metadata,
    *tenant(),
    Column("complaint_id", Text, primary_key=True),
    Column("place_id", Text, nullable=False),
    Column("citizen", Text, nullable=False),
    Column("about", Text),
    Column("weight", Integer),
)
places = Table("places", _metadata, *tenant(), Column("place_id", Text, primary_key=True), Column("name", Text))

COMPLAINTS = Source("Complaint", complaints, ("complaint_id",), SERVICE_REQUESTS_READ, owner="citizen")
PLACES = Source("Place", places, key=("place_id",), scope=METRICS_READ)

TABLES = f"""
CREATE TABLE lakefront.complaints (tenant_id text, complaint_id text, place_id text NOT NULL, citizen text NOT NULL,
  about text, weight integer, PRIMARY KEY (tenant_id, complaint_id));
CREATE TABLE lakefront.places (tenant_id text, place_id text, name text, PRIMARY KEY (tenant_id, place_id));
GRANT SELECT, INSERT, UPDATE, DELETE ON lakefront.complaints, lakefront.places TO {APP_ROLE};
INSERT INTO lakefront.places SELECT 'city', place, 'The ' || place FROM unnest('{{park,pool,pier}}'::text[]) place;
INSERT INTO lakefront.complaints VALUES
  ('city', 'c1', 'park', 'ada', 'litter', 1), ('city', 'c2', 'park', 'bob', 'noise', 2),
  ('city', 'c3', 'pool', 'bob', 'cold', 4), ('city', 'c4', 'pier', 'ada', 'noise', 8),
  ('city', 'c5', 'pier', '', 'nobody''s', 16), ('other', 'c6', 'park', 'ada', 'x', 32);
"""


async def make_tables(dsn: str) -> None:
    """Make both in the database, five complaints of the city's and one of another tenant's in them."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(TABLES)
        for statement in (*secured("lakefront.complaints", owner="citizen"), *secured("lakefront.places")):
            await connection.execute(statement)
    finally:
        await connection.close()


@record(PLACES)
class Place(Node):
    """A place."""

    place_id: str = column("Its id.")
    name: str | None = column("Its name.")
    complaints: "Connection[Complaint]" = connection("About it.", on={"place_id": "place_id"})
    every_complaint: "list[Complaint]" = relation("About it, all at once.", on={"place_id": "place_id"})


@record(COMPLAINTS)
class Complaint(Node):
    """A complaint."""

    complaint_id: str = column("Its id.")
    citizen: str = column("Whose it is.")
    about: str | None = column("What it is about.")
    weight: int | None = column("How much it weighs.")
    place_id: str = column("Where.")
    place: Place | None = relation("Where.", on={"place_id": "place_id"})
    siblings: "list[Complaint]" = relation("About the same place.", on={"place_id": "place_id"})


@strawberry.type
class Query:
    """The questions of this domain."""

    complaint: Complaint | None = lookup("One.", by={"complaintId": "Its id."}, requires=SERVICE_REQUESTS_READ)
    complaints: Connection[Complaint] = connection("All.", requires=SERVICE_REQUESTS_READ)
    complaint_stats = stats(Complaint, "In groups.", requires=SERVICE_REQUESTS_READ)
    places: Connection[Place] = connection("All.", requires=METRICS_READ)


__all__ = ["COMPLAINTS", "PLACES", "Complaint", "Place", "Query", "make_tables"]
