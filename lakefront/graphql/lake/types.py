"""Objects of the lake: a type over the manifest."""

from datetime import datetime

import strawberry

from lakefront.actor import PERMITS_INSPECTOR, PERMITS_READ
from lakefront.db.query import Source
from lakefront.db.tables.lake import lake_objects
from lakefront.domain import lake as domain
from lakefront.graphql.context import Info
from lakefront.graphql.declare import Record, column, record
from lakefront.graphql.fields import field
from lakefront.graphql.scalars import BigInt

OBJECTS = Source(
    "LakeObject", lake_objects, key=("stream", "shard", "from_offset"), scope=PERMITS_READ, order=("opened_at",)
)


@record(OBJECTS)
class LakeObject(Record):
    """A file of the lake: the events of a shard from one offset to another, one a line (NDJSON), compressed."""

    stream: strawberry.ID = column("The stream's name.")
    shard: int = column("The shard of the log that it was sealed from.")
    from_offset: BigInt = column("The offset of its first event.")
    until_offset: BigInt = column("The offset after its last event, with which the shard's next object begins.")
    key: str = column("Its path in the object store.")
    compression: str = column("How it is packed: gzip or zstd.")
    sha256: str = column("The SHA-256 of it as it is stored, in hex.")
    stored_bytes: BigInt = column("Its size in bytes as it is stored.")
    raw_bytes: BigInt = column("Its size in bytes when it is unpacked.")
    event_count: int = column("How many events it has.")
    opened_at: datetime = column("When its first event was taken in; the hour of its path.")
    sealed_at: datetime = column("When it was entered into the manifest.")
    least_occurred_at: datetime = column("When the earliest of its events happened.")
    greatest_occurred_at: datetime = column("When the latest of its events happened.")

    @field(
        "Where to download it: a link that the object store signed, good for 15 minutes for whoever has it; where the "
        "store cannot sign, a path on this server, which asks for your bearer token.",
        requires=PERMITS_INSPECTOR,
        needs=("key",),
    )
    async def download_url(self, info: Info) -> str:
        """Made when it is selected."""
        return await domain.download_url(info.context.services, self.row["key"])
