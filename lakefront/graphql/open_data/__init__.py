"""Open data: what is published, its imports, and what came of them (C5)."""

import strawberry

from lakefront.actor import LAKE_MANAGE, OPEN_DATA_READ
from lakefront.domain import open_data as domain
from lakefront.graphql.connections import Connection
from lakefront.graphql.context import Info
from lakefront.graphql.declare import connection, lookup, stats
from lakefront.graphql.fields import field
from lakefront.graphql.open_data.live import Subscription
from lakefront.graphql.open_data.manage import Mutation
from lakefront.graphql.open_data.types import IMPORTS, INSPECTIONS, FoodInspection, OpenDataImport, OpenDataSet

__all__ = ["IMPORTS", "INSPECTIONS", "FoodInspection", "Mutation", "OpenDataImport", "Query", "Subscription"]


@strawberry.type
class Query:
    """What can be asked about open data."""

    @field("The published data sets that can be imported.", requires=OPEN_DATA_READ)
    async def open_data_sets(self, info: Info) -> list[OpenDataSet]:
        """As they are declared."""
        return [OpenDataSet.of(each) for each in domain.data_sets(info.context.actor)]

    open_data_import: OpenDataImport | None = lookup(
        "The import of that id; null when there is none.", by={"importId": "The import's id."}, requires=LAKE_MANAGE
    )
    open_data_imports: Connection[OpenDataImport] = connection(
        "Imports of published data sets, in the order in which they were asked for unless asked otherwise.",
        requires=LAKE_MANAGE,
    )
    food_inspection: FoodInspection | None = lookup(
        "The inspection of that key; null when there is none.",
        by={"inspectionId": "The natural key, as another answer told it."},
        requires=OPEN_DATA_READ,
    )
    food_inspections: Connection[FoodInspection] = connection(
        "Food inspections as they are published, by their days unless asked otherwise.", requires=OPEN_DATA_READ
    )
    food_inspection_stats = stats(
        FoodInspection, "Counts, sums and more over groups of food inspections.", requires=OPEN_DATA_READ
    )
