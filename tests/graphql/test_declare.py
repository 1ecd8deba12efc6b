"""A new domain is its declarations: a whole one in a few lines, and what is refused at import."""

from dataclasses import replace
from types import SimpleNamespace

import asyncpg
import pytest
import strawberry

from lakefront.actor import METRICS_READ, PERMITS_READ, PERMITS_WRITE, Actor
from lakefront.db.query import Compare, Join, Operator, PageRequest, Quantifier, Related, Source
from lakefront.db.tables import log
from lakefront.domain.services import Services
from lakefront.errors import Forbidden
from lakefront.graphql import permits
from lakefront.graphql.answers import OperationRequest
from lakefront.graphql.connections import Connection
from lakefront.graphql.context import Context
from lakefront.graphql.declare import Record, column, connection, lookup, permission, record, relation, stats
from lakefront.graphql.node import Node
from lakefront.graphql.operations import Operations
from lakefront.graphql.permits import EVENTS, PERMITS
from lakefront.graphql.scalars import BigInt
from lakefront.graphql.schema import build_schema
from lakefront.loaders import Loaders

HEADS = Source("Head", log.heads, key=("stream", "shard"), scope=METRICS_READ)


@record(HEADS)
class Head(Node):
    """Where a shard of the log ends."""

    stream: str = column("The stream.")
    shard: int = column("The shard.")
    next: BigInt = column("The next event's offset.", grouped=False)
    siblings: "list[Head]" = relation("All shards of the stream.", on={"stream": "stream"})


@strawberry.type
class Query:
    """The questions of this domain."""

    head: Head | None = lookup("One.", by={"stream": "Its stream.", "shard": "Its shard."}, requires=METRICS_READ)
    heads: Connection[Head] = connection("All.", requires=METRICS_READ)
    head_stats = stats(Head, "In groups.", requires=METRICS_READ)


async def test_a_domain_in_a_few_lines(services: Services, dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("INSERT INTO lakefront.heads VALUES ('city', 's', 0, 1, 5), ('city', 's', 1, 1, 7)")
    await connection.close()
    schema = build_schema((permits, SimpleNamespace(Query=Query)))
    operations = Operations(schema, services, Context.for_operation, permission)
    actor = Actor("someone", "city", frozenset({METRICS_READ}))
    answer = await operations.execute(
        OperationRequest("""{
          head(stream: "s", shard: 1) { next siblings { shard } }
          heads(filter: {siblings: {some: {shard: {eq: 0}}}}, orderBy: [{next: DESC}]) { nodes { next } totalCount }
          headStats(groupBy: [STREAM]) { groups { key { stream } count sum { next } } }
        }"""),
        actor,
        "trace",
    )
    assert answer.payload() == {
        "data": {
            "head": {"next": "7", "siblings": [{"shard": 0}, {"shard": 1}]},
            "heads": {"nodes": [{"next": "7"}, {"next": "5"}], "totalCount": 2},
            "headStats": {"groups": [{"key": {"stream": "s"}, "count": 2, "sum": {"next": "12"}}]},
        }
    }


async def test_a_filter_needs_the_scopes_of_all_that_it_reads(services: Services) -> None:
    secret = replace(EVENTS, scope=PERMITS_WRITE)
    related = Related(
        Join(secret, (("permit_id", "partition_key"),)), Quantifier.NONE, Compare("shard", Operator.EQ, 9)
    )
    loaders = Loaders(services, Actor("someone", "city", frozenset({PERMITS_READ})))
    with pytest.raises(Forbidden):
        await loaders.page(PERMITS, PageRequest(PERMITS.complete(), 1, related))
    with pytest.raises(Forbidden):
        await loaders.count(PERMITS, related)


def test_a_column_that_the_table_lacks_is_refused() -> None:
    with pytest.raises(TypeError, match="no column forgotten"):

        @record(replace(HEADS, name="Lacking"))
        class Lacking(Record):
            """Wrong."""

            forgotten: str | None = column("Not there.")


def test_a_nullable_column_needs_a_nullable_field() -> None:
    with pytest.raises(TypeError, match="may be null"):

        @record(replace(PERMITS, name="Strict"))
        class Strict(Record):
            """Wrong."""

            status: str = column("May be null.")


def test_a_record_is_called_like_its_source() -> None:
    with pytest.raises(TypeError, match="one name"):

        @record(HEADS)
        class Other(Record):
            """Wrong."""

            shard: int = column("The shard.")


def test_a_name_used_by_two_domains_is_refused() -> None:
    with pytest.raises(TypeError, match="head, head_stats, heads in Query"):
        build_schema((SimpleNamespace(Query=Query), SimpleNamespace(Query=Query)))
