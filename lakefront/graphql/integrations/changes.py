"""Who changed what of integrations: a type over the table that is only ever added to."""

from datetime import datetime

import strawberry
from sqlalchemy import Text, func

from lakefront.actor import INTEGRATIONS_MANAGE
from lakefront.db.query import Source
from lakefront.db.tables.integrations import integration_changes
from lakefront.graphql.declare import Record, column, computed, record

CHANGES = Source(
    "IntegrationChange",
    integration_changes,
    key=("provider", "city", "version"),
    scope=INTEGRATIONS_MANAGE,
    order=("changed_at",),
)


@record(CHANGES)
class IntegrationChange(Record):
    """A change of an integration: who made it, when, and what is new, without values."""

    provider: strawberry.ID = column("The outside system.")
    city: strawberry.ID = column("The city that it is of, by its slug; empty for a system of no city.")
    version: int = column("The integration's version since then.")
    changed_at: datetime = column("When it was made.")
    changed_by: str = column("Who made it.")
    on_behalf_of: str | None = column("For whom they said that they act (X-User-ID); null where nobody was named.")
    what: str | None = computed(
        "What is new: names of fields, and credentials.<name> for a credential that was set or removed.",
        sql=lambda rows: func.array_to_string(rows.c.changed, ", ", type_=Text),
    )
