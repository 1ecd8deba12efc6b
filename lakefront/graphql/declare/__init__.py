"""One declaration feeds them all (ADR 0007): a type's fields say what they mean in SQL.

From ``column``, ``computed``, ``embedded``, ``relation``, ``connection``, ``lookup`` and ``stats`` come filter and
order inputs, aggregates, the resolvers (through DataLoaders), and the planner's SQL. A new domain declares its types in
one file and stands in the tuple of ``lakefront/graphql/schema.py``.
"""

from lakefront.graphql.declare.declarations import (
    Column,
    Computed,
    Connected,
    Declaration,
    Embedded,
    Found,
    Grouped,
    Identity,
    Listed,
    Whole,
)
from lakefront.graphql.declare.enums import described
from lakefront.graphql.declare.field import DeclaredField
from lakefront.graphql.declare.permission import permission
from lakefront.graphql.declare.record import Record, declaration_of, declared, join_of, record_of
from lakefront.graphql.declare.stats import stats
from lakefront.graphql.declare.words import (
    column,
    computed,
    connection,
    embedded,
    identity,
    lookup,
    nearby,
    node_type,
    record,
    relation,
)

__all__ = [
    "Column",
    "Computed",
    "Connected",
    "Declaration",
    "DeclaredField",
    "Embedded",
    "Found",
    "Grouped",
    "Identity",
    "Listed",
    "Record",
    "Whole",
    "column",
    "computed",
    "connection",
    "declaration_of",
    "declared",
    "described",
    "embedded",
    "identity",
    "join_of",
    "lookup",
    "nearby",
    "node_type",
    "permission",
    "record",
    "record_of",
    "relation",
    "stats",
]
