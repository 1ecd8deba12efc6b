"""What could not be told to outside systems: found, replayed, discarded, exported (C12)."""

import strawberry

from lakefront.actor import INTEGRATIONS_MANAGE
from lakefront.graphql.connections import Connection
from lakefront.graphql.declare import connection, lookup
from lakefront.graphql.outbox.manage import Mutation
from lakefront.graphql.outbox.types import DEAD_LETTERS, DeadLetter

__all__ = ["DEAD_LETTERS", "DeadLetter", "Mutation", "Query"]


@strawberry.type
class Query:
    """What can be asked about dead letters."""

    dead_letter: DeadLetter | None = lookup(
        "The dead letter with that id; null when there is none.",
        by={"letterId": "The letter's id."},
        requires=INTEGRATIONS_MANAGE,
    )
    dead_letters: Connection[DeadLetter] = connection(
        "What could not be told to outside systems, and what was decided about it; oldest first unless asked "
        "otherwise. filter: {state: {eq: WAITING}} has those that wait.",
        requires=INTEGRATIONS_MANAGE,
    )
