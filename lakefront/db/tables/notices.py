"""Notices: who is told what by which way, the receivers of webhooks, and what became of each message (C8)."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from lakefront.db.tables.base import metadata, tenant, timestamp

webhooks = Table(
    "webhooks",
    metadata,
    *tenant(),
    Column("webhook_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("secrets", LargeBinary, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("has_path", Boolean, nullable=False),
    timestamp("old_secret_until"),
    Column("enabled", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False),
    timestamp("created_at", nullable=False, server_default=func.now()),
    timestamp("updated_at", nullable=False, server_default=func.now()),
    Column("updated_by", Text, nullable=False),
    CheckConstraint("octet_length(secrets) BETWEEN 29 AND 131072"),
)
"""One row a receiver. ``secrets``: a JSON object (``secret``, ``old_secret``, ``path``), encrypted under the key
``key_id`` and bound to its row and the host of ``url``, as credentials are (ADR 0028). ``old_secret`` signs, too, until
``old_secret_until``. The provisioner sees ``tenant_id`` and ``key_id`` alone."""

notice_rules = Table(
    "notice_rules",
    metadata,
    *tenant(),
    Column("rule_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("stream", Text, nullable=False),
    Column("event_types", ARRAY(Text), nullable=False),
    Column("conditions", JSONB, nullable=False),
    Column("channel", Text, nullable=False),
    Column("recipient_kind", Text, nullable=False),
    Column("address", Text),
    Column("webhook_id", Text),
    Column("subject", Text),
    Column("text", Text),
    Column("most_daily", BigInteger, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("since", JSONB, nullable=False),
    Column("version", BigInteger, nullable=False),
    timestamp("created_at", nullable=False, server_default=func.now()),
    timestamp("updated_at", nullable=False, server_default=func.now()),
    Column("updated_by", Text, nullable=False),
    CheckConstraint("channel IN ('MAIL', 'SMS', 'SLACK', 'WEBHOOK')"),
    CheckConstraint("recipient_kind IN ('REPORTER', 'ADDRESS', 'WEBHOOK', 'CHAT')"),
    CheckConstraint("most_daily > 0"),
    CheckConstraint("(recipient_kind = 'ADDRESS') = (address IS NOT NULL)"),
    CheckConstraint("(recipient_kind = 'WEBHOOK') = (webhook_id IS NOT NULL)"),
    ForeignKeyConstraint(
        ["tenant_id", "webhook_id"], ["lakefront.webhooks.tenant_id", "lakefront.webhooks.webhook_id"]
    ),
    Index("notice_rules_webhook", "tenant_id", "webhook_id"),
)
"""One row a rule. ``since``: shard -> the first offset of the stream that it holds for: history is not told.
``conditions``: a list of ``{field, operator, values}``, all of which have to hold."""

notices = Table(
    "notices",
    metadata,
    *tenant(),
    Column("notice_id", Text, primary_key=True),
    Column("rule_id", Text, nullable=False),
    Column("rule_name", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("recipient", Text),
    Column("webhook_id", Text),
    Column("stream", Text, nullable=False),
    Column("shard", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("about", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("error_code", Text),
    Column("external_id", Text),
    Column("delivery", Text),
    Column("trace_id", Text, nullable=False),
    timestamp("created_at", nullable=False, server_default=func.now()),
    timestamp("called_at"),
    timestamp("ended_at"),
    CheckConstraint("state IN ('QUEUED', 'SENT', 'UNCERTAIN', 'FAILED', 'SKIPPED')"),
    CheckConstraint("(state = 'QUEUED') = (ended_at IS NULL)"),
    Index("notices_created", "tenant_id", "created_at", "notice_id"),
    Index("notices_state", "tenant_id", "state", "created_at"),
    Index("notices_rule", "tenant_id", "rule_id", "created_at"),
    Index("notices_about", "tenant_id", "about", "created_at"),
    Index("notices_made", "tenant_id", "rule_id", "created_at", postgresql_where=text("state <> 'SKIPPED'")),
)
"""One row a message: whom (masked) it went to, of which event, and what became of it; never its text.

``about``: the permit, the request that the event is about. ``called_at``: when a message was about to be given to a
provider that would not know it again; what ends without it was surely not sent."""
