"""Outside systems: how each is reached, and who changed what of that (C7)."""

from sqlalchemy import ARRAY, BigInteger, Boolean, CheckConstraint, Column, LargeBinary, Table, Text, func
from sqlalchemy.dialects.postgresql import JSONB

from lakefront.db.tables.base import metadata, tenant, timestamp

integrations = Table(
    "integrations",
    metadata,
    *tenant(),
    Column("provider", Text, primary_key=True),
    Column("city", Text, primary_key=True),
    Column("base_url", Text, nullable=False),
    Column("api_version", Text, nullable=False),
    Column("credentials", LargeBinary, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("credentials_set", JSONB, nullable=False),
    Column("quota_daily", BigInteger),
    Column("enabled", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False),
    timestamp("created_at", nullable=False, server_default=func.now()),
    timestamp("updated_at", nullable=False, server_default=func.now()),
    Column("updated_by", Text, nullable=False),
    CheckConstraint("octet_length(credentials) BETWEEN 29 AND 131072"),
    CheckConstraint("quota_daily >= 0"),
)
"""One row an outside system and city (``''`` where the system is of no city).

``credentials``: a JSON object, encrypted under the key ``key_id`` and bound to its row and the host of ``base_url``
(ADR 0028). ``credentials_set``: name -> when it was set, so that it can be told which there are without a key.
``quota_daily``: calls a UTC day, NULL without a bound. ``version`` grows by 1 with each change. A change NOTIFYs
``lakefront_integrations``. The provisioner sees ``tenant_id`` and ``key_id`` alone: whose rows wait for a new key."""

integration_changes = Table(
    "integration_changes",
    metadata,
    *tenant(),
    Column("provider", Text, primary_key=True),
    Column("city", Text, primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    timestamp("changed_at", nullable=False, server_default=func.now()),
    Column("changed_by", Text, nullable=False),
    Column("on_behalf_of", Text),
    Column("changed", ARRAY(Text), nullable=False),
)
"""Who changed what, a row a version; never changed itself. ``changed``: names of fields, and ``credentials.<name>`` for
a credential that was set or removed, without its value."""
