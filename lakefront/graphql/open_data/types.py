"""Data sets, their imports, and food inspections: types over the tables."""

from datetime import date, datetime
from typing import Self

import strawberry

from lakefront.actor import LAKE_MANAGE, OPEN_DATA_READ
from lakefront.db.query import Source
from lakefront.db.tables.open_data import food_inspections, open_data_imports
from lakefront.domain import open_data as domain
from lakefront.domain.open_data import ImportState, Kind
from lakefront.graphql.context import Info
from lakefront.graphql.declare import column, described, embedded, record
from lakefront.graphql.fields import attribute, field
from lakefront.graphql.node import Node
from lakefront.graphql.permits.types import GeoPoint
from lakefront.graphql.scalars import BigInt

described(
    ImportState,
    "Where an import stands.",
    {
        ImportState.QUEUED: "It waits for a server to carry it out, or to try again.",
        ImportState.RUNNING: "A server carries it out.",
        ImportState.DONE: "All rows that there were are read.",
        ImportState.FAILED: "It was given up: see errorCode. The next import goes on where it stopped.",
        ImportState.CANCELLED: "Somebody stopped it. The next import goes on where it stopped.",
    },
    name="OpenDataImportState",
)

described(
    Kind,
    "What a data set's rows become, besides events of its stream.",
    {
        Kind.SERVICE_REQUEST: "Service requests.",
        Kind.FOOD_INSPECTION: "Food inspections.",
    },
    name="OpenDataKind",
)

IMPORTS = Source(
    "OpenDataImport",
    open_data_imports,
    key=("import_id",),
    scope=LAKE_MANAGE,
    order=("requested_at",),
    hidden=domain.HIDDEN,
)
INSPECTIONS = Source(
    "FoodInspection", food_inspections, key=("inspection_id",), scope=OPEN_DATA_READ, order=("inspected_on",)
)


@strawberry.type(description="A row that was skipped, and why; no value of it is told.")
class OpenDataProblem:
    """What is wrong with it."""

    row: str = attribute("The publisher's id of the row.")
    field: str | None = attribute("The column; null where it is the row as a whole.")
    message: str = attribute("What is wrong.")


@record(IMPORTS)
class OpenDataImport(Node):
    """An import of a published data set: of all of it, or of what has changed since the one before."""

    import_id: strawberry.ID = column("The import's id.")
    dataset: strawberry.ID = column("The data set.")
    city: strawberry.ID = column("The city whose integration of Socrata is asked, by its slug.")
    state: ImportState = column("Where it stands.")
    since: datetime | None = column("It reads the rows that changed after then; null: all of them.")
    rows_total: BigInt | None = column("How many rows there were as it began; null until that is known.")
    rows_read: BigInt = column("How many rows were read so far.")
    accepted: BigInt = column("How many of them were new, or said something new.")
    duplicates: BigInt = column("How many of them said what was known.")
    rejected: BigInt = column("How many of them were skipped: see problems.")
    requested_at: datetime = column("When it was asked for.")
    requested_by: str = column("Who asked for it; lakefront: the server itself, as its settings say.")
    started_at: datetime | None = column("When a server began; null while it waits.")
    ended_at: datetime | None = column("When it ended, however; null until then.")
    updated_at: datetime = column("When anything of this last changed.")
    error_code: str | None = column("What failed last, by its code; null once it went on.")
    error_message: str | None = column("What failed last, and what to do.", grouped=False)
    trace_id: str = column("The request that asked for it; the server's log tells more under it.")
    version: BigInt = column("Grows by 1 with each change.")

    @field("The first 50 rows that were skipped, and why.", requires=LAKE_MANAGE, needs=("problems",), size=50)
    async def problems(self) -> list[OpenDataProblem]:
        """As they were noted."""
        return [OpenDataProblem(**problem) for problem in self.row["problems"]]


@record(INSPECTIONS)
class FoodInspection(Node):
    """A violation that an inspection of a restaurant found, or an inspection that found none, as it is published."""

    inspection_id: strawberry.ID = column("The natural key: restaurant, day, type of inspection, violation's code.")
    city: strawberry.ID = column("The city, by its slug.")
    restaurant_id: strawberry.ID = column("The restaurant's number at the city (CAMIS).")
    restaurant_name: str | None = column("What the restaurant calls itself.")
    cuisine: str | None = column("What it cooks.")
    building: str | None = column("House number.")
    street: str | None = column("Name of the street.")
    borough: str | None = column("The borough.")
    postal_code: str | None = column("The postal code.")
    community_board: str | None = column("The community board's number.")
    location: GeoPoint | None = embedded("Where it is; null when unknown.")
    inspected_on: date | None = column("The day of the inspection; null for a restaurant that had none so far.")
    inspection_type: str | None = column("What kind of inspection it was.")
    action: str | None = column("What the city did.", grouped=False)
    violation_code: str | None = column("The violation, as a code; null where none was found.")
    violation: str | None = column("The violation, in words.", grouped=False)
    critical: bool | None = column("Whether it is one that makes people ill most likely; null where that is not said.")
    score: int | None = column("The inspection's score: the more, the worse.")
    grade: str | None = column("The grade that the restaurant shows; null where there is none yet.")
    graded_on: date | None = column("The day on which it got the grade.")
    updated_at: datetime = column("When its publisher last changed the row.")


@strawberry.type(description="A published data set that can be imported (C5).")
class OpenDataSet:
    """One data set."""

    dataset: strawberry.ID = attribute("Its id at its publisher: erm2-nwe9.")
    title: str = attribute("What it holds.")
    city: strawberry.ID = attribute("Whose it is, by the city's customary slug.")
    kind: Kind = attribute("What its rows become.")
    natural_key: list[str] = attribute("The publisher's columns that name what a row is about, for ever.")
    stream: strawberry.ID = attribute("The log's stream that its rows are events of.")

    @classmethod
    def of(cls, it: domain.DataSet) -> Self:
        """The domain's data set."""
        return cls(
            dataset=strawberry.ID(it.dataset),
            title=it.title,
            city=strawberry.ID(it.city),
            kind=it.kind,
            natural_key=list(it.natural_key),
            stream=strawberry.ID(it.stream),
        )

    @field("Its last import; null where there was none.", requires=LAKE_MANAGE)
    async def latest_import(self, info: Info) -> OpenDataImport | None:
        """One row."""
        row = await domain.latest(info.context.services, info.context.actor, str(self.dataset))
        return None if row is None else OpenDataImport(row=row)
