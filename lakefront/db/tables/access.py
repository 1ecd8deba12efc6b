"""Who may come in, and what was already answered: public keys, ingest tokens, idempotency keys."""

from sqlalchemy import Column, Index, LargeBinary, Table, Text, UniqueConstraint, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from lakefront.db.tables.base import metadata, tenant, timestamp

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("kid", Text, primary_key=True),
    Column("public_jwk", JSONB, nullable=False),
    timestamp("created_at", nullable=False),
)
"""Public halves of the servers' signing keys, so that every replica verifies every server's tokens."""

ingest_tokens = Table(
    "ingest_tokens",
    metadata,
    *tenant(),
    Column("token_id", Uuid, primary_key=True),
    Column("stream", Text, nullable=False),
    Column("sha256", LargeBinary, nullable=False, unique=True),
    timestamp("created_at", nullable=False),
    timestamp("expires_at"),
)
"""Static tokens for producers (P9): at most two valid ones a stream; only the hash is kept."""
Index("ingest_tokens_by_stream", ingest_tokens.c.tenant_id, ingest_tokens.c.stream, ingest_tokens.c.created_at)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    *tenant(),
    Column("subject", Text, primary_key=True),
    Column("operation", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("body", Uuid, nullable=False),
    Column("result", JSONB, nullable=False),
    timestamp("created_at", nullable=False),
)
"""What a mutation with an idempotency key answered (X2), kept for a day."""
Index("idempotency_keys_by_age", idempotency_keys.c.tenant_id, idempotency_keys.c.created_at)

policy_rules = Table(
    "policy_rules",
    metadata,
    Column("rule_id", Uuid, primary_key=True),
    Column("role", Text, nullable=False),
    Column("domain", Text, nullable=False),
    Column("object", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("rows", Text, nullable=False),
    UniqueConstraint("role", "domain", "object", "action"),
)
"""An operator's rules (C10, L15), which go before the checked-in ones: ``role`` may do ``action`` to ``object`` in the
tenant ``domain`` (``*``: any of the three) on ``any``, its ``own`` or ``none`` of the rows. Read by everybody, written
by the provisioner alone; a change NOTIFYs ``lakefront_policies``."""
