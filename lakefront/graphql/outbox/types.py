"""Dead letters: a type over the table."""

from datetime import datetime

import strawberry

from lakefront.actor import INTEGRATIONS_MANAGE
from lakefront.db.query import Source
from lakefront.db.tables.outbox import dead_letters
from lakefront.domain.outbox import LetterState
from lakefront.graphql.declare import column, described, record
from lakefront.graphql.node import Node

DEAD_LETTERS = Source("DeadLetter", dead_letters, key=("letter_id",), scope=INTEGRATIONS_MANAGE, order=("died_at",))

described(
    LetterState,
    "Where a dead letter stands.",
    {
        LetterState.WAITING: "Nobody decided about it yet.",
        LetterState.REPLAYED: "Its job was tried again; if that failed, there is another letter.",
        LetterState.DISCARDED: "Its job is left as it is, for good.",
    },
    name="DeadLetterState",
)


@record(DEAD_LETTERS)
class DeadLetter(Node):
    """Something that an outside system was to be told, and was not, or nobody knows whether it was."""

    letter_id: strawberry.ID = column("Its id.")
    job_id: strawberry.ID = column("The job's id: each time that it dies there is another letter.")
    kind: str = column("What was to be done: service_request.submit, notice.send, …")
    key: str = column("What it is about: a service request's id, say. Jobs of one key are done in their order.")
    provider: str = column("The outside system.")
    city: str = column("The city that it is of, by its slug; empty for a system of no city.")
    state: LetterState = column("Where the letter stands.")
    uncertain: bool = column("Whether it may have been carried out: look there before you replay it.")
    error_code: str = column("Why it failed, by its code.")
    error_message: str = column("Why it failed, and what to do next.", grouped=False)
    attempts: int = column("How often it was tried.")
    trace_id: str = column("The request that wanted it.")
    excerpt: str = column("The form of what the job refers to; never what it says of anybody.", grouped=False)
    died_at: datetime = column("When it was given up.")
    replay_at: datetime | None = column("When it is replayed by itself; null where a person has to.")
    decided_at: datetime | None = column("When it was replayed or discarded; null while it waits.")
    decided_by: str | None = column("Who replayed or discarded it; lakefront where it went by itself.")
    on_behalf_of: str | None = column("For whom they said that they act (X-User-ID); null where nobody was named.")
