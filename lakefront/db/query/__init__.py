"""Reading tables without GraphQL: what (``Source``), which rows (expressions), in which order, one page at a time.

Everything here is a frozen value, compiled to SQLAlchemy Core by pure functions that resolvers and planner share.
"""

from lakefront.db.query.expression import (
    All,
    Compare,
    Either,
    Expression,
    Near,
    Operator,
    Opposite,
    Quantifier,
    Related,
    scopes,
    sources,
    where,
)
from lakefront.db.query.groups import (
    Bucket,
    Function,
    Group,
    GroupOrder,
    GroupRequest,
    Having,
    Measure,
    count_groups,
    groups,
)
from lakefront.db.query.order import OrderKey, Position
from lakefront.db.query.page import (
    PARENT,
    PageRequest,
    count,
    counts_per_parent,
    key_parents,
    link_parents,
    page,
    page_rows,
    pages_per_parent,
    related,
)
from lakefront.db.query.skeleton import Slots
from lakefront.db.query.source import QUERY_SUBJECT, QUERY_TENANT, Join, Key, Source, by_key

__all__ = [
    "PARENT",
    "QUERY_SUBJECT",
    "QUERY_TENANT",
    "All",
    "Bucket",
    "Compare",
    "Either",
    "Expression",
    "Function",
    "Group",
    "GroupOrder",
    "GroupRequest",
    "Having",
    "Join",
    "Key",
    "Measure",
    "Near",
    "Operator",
    "Opposite",
    "OrderKey",
    "PageRequest",
    "Position",
    "Quantifier",
    "Related",
    "Slots",
    "Source",
    "by_key",
    "count",
    "count_groups",
    "counts_per_parent",
    "groups",
    "key_parents",
    "link_parents",
    "page",
    "page_rows",
    "pages_per_parent",
    "related",
    "scopes",
    "sources",
    "where",
]
