"""What waits to be told to the outside, and what could not be (C2, C12)."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from lakefront.db.tables.base import metadata, tenant, timestamp

outbox = Table(
    "outbox",
    metadata,
    *tenant(),
    Column("job_id", Uuid, primary_key=True),
    Column("number", BigInteger, Identity(always=True), nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("city", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("trace_id", Text, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'QUEUED'")),
    timestamp("due_at"),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("replays", Integer, nullable=False, server_default=text("0")),
    timestamp("round_at", nullable=False, server_default=func.now()),
    timestamp("in_doubt_since"),
    timestamp("trying_since"),
    Column("error_code", Text),
    Column("error_message", Text),
    timestamp("created_at", nullable=False, server_default=func.now()),
    timestamp("updated_at", nullable=False, server_default=func.now()),
    CheckConstraint("state IN ('QUEUED', 'RUNNING', 'DONE', 'UNCERTAIN', 'DEAD')"),
    CheckConstraint("state = 'DEAD' OR (due_at IS NOT NULL) = (state IN ('QUEUED', 'RUNNING'))"),
)
"""One row a job; its truth, whatever Redis says.

``due_at``: from when on a worker may take it. Of a job that is RUNNING that is when its lease is over and a pause has
passed; of one that is DEAD, when it is replayed by itself (NULL: never). ``number`` is the order of jobs of one
``key``: none is taken while one before it has a ``due_at`` or is UNCERTAIN. ``attempts`` grows with each claim, and is
so what a worker's lease is known by. ``in_doubt_since``: since then a try may have gone through, so it is looked up
first; NULL where surely none did. ``round_at``: since when it is tried in this round, which each replay begins anew;
``trying_since``: the first failure of it (C3). ``payload`` refers to rows and holds nothing personal. The provisioner
sees ids and times: which jobs are due, of all tenants."""

Index(
    "outbox_by_line",
    outbox.c.tenant_id,
    outbox.c.provider,
    outbox.c.city,
    outbox.c.due_at,
    postgresql_where=text("due_at IS NOT NULL"),
)
Index(
    "outbox_by_key",
    outbox.c.tenant_id,
    outbox.c.key,
    outbox.c.number,
    postgresql_where=text("due_at IS NOT NULL OR state = 'UNCERTAIN'"),
)
Index("outbox_done", outbox.c.tenant_id, outbox.c.updated_at, postgresql_where=text("state = 'DONE'"))

dead_letters = Table(
    "dead_letters",
    metadata,
    *tenant(),
    Column("letter_id", Uuid, primary_key=True),
    Column("job_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("city", Text, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'WAITING'")),
    Column("uncertain", Boolean, nullable=False),
    Column("error_code", Text, nullable=False),
    Column("error_message", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("trace_id", Text, nullable=False),
    Column("excerpt", Text, nullable=False),
    timestamp("died_at", nullable=False, server_default=func.now()),
    timestamp("replay_at"),
    timestamp("decided_at"),
    Column("decided_by", Text),
    Column("on_behalf_of", Text),
    CheckConstraint("state IN ('WAITING', 'REPLAYED', 'DISCARDED')"),
    CheckConstraint("(state = 'WAITING') = (decided_at IS NULL)"),
)
"""One row each time that a job died or became uncertain, and who decided what of it; Redis' ``dlq:<provider>`` shows
those that wait. ``replay_at``: when it is replayed by itself, NULL where a person has to. ``excerpt``: the form of the
payload. The provisioner sees how many there are of which provider, and since when."""

Index(
    "dead_letters_waiting",
    dead_letters.c.tenant_id,
    dead_letters.c.job_id,
    unique=True,
    postgresql_where=text("state = 'WAITING'"),
)
Index("dead_letters_by_time", dead_letters.c.tenant_id, dead_letters.c.died_at, dead_letters.c.letter_id)
Index(
    "dead_letters_decided",
    dead_letters.c.tenant_id,
    dead_letters.c.decided_at,
    postgresql_where=text("state <> 'WAITING'"),
)
