"""Service requests: where each stands, how it came to that, who reported it, and what the log has not been told yet."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from lakefront.db.tables.base import metadata, tenant, timestamp

_STATES = "'PENDING_EXTERNAL', 'UNCERTAIN', 'OPEN', 'IN_PROGRESS', 'CLOSED', 'REJECTED'"

service_requests = Table(
    "service_requests",
    metadata,
    *tenant(),
    Column("request_id", Text, primary_key=True),
    Column("city", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("owner", Text),
    Column("state", Text, nullable=False),
    timestamp("state_at", nullable=False),
    timestamp("told_at"),
    Column("external_id", Text),
    Column("external_token", Text),
    Column("external_status", Text),
    Column("agency", Text),
    Column("agency_name", Text),
    Column("service_code", Text),
    Column("complaint_type", Text),
    Column("descriptor", Text),
    Column("description", Text),
    Column("location_type", Text),
    Column("address", Text),
    Column("street_name", Text),
    Column("postal_code", Text),
    Column("borough", Text),
    Column("community_board", Text),
    Column("latitude", Double),
    Column("longitude", Double),
    Column("channel", Text),
    Column("resolution", Text),
    timestamp("resolution_at"),
    timestamp("reported_at", nullable=False),
    timestamp("filed_at"),
    timestamp("closed_at"),
    timestamp("expected_at"),
    timestamp("updated_at", nullable=False, server_default=func.now()),
    timestamp("checked_at"),
    Column("version", BigInteger, nullable=False),
    Column("test", Boolean, nullable=False),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("trace_id", Text, nullable=False),
    Column("attributes", JSONB, nullable=False),
    Column("media_url", Text),
    CheckConstraint(f"state IN ({_STATES})"),
    CheckConstraint("source IN ('lakefront', 'open_data')"),
    CheckConstraint("(latitude IS NULL) = (longitude IS NULL)"),
)
"""The current state of each request, which is the truth of it; ``version`` grows by 1 with each change.

``source``: who filed it, we (``lakefront``) or somebody else, who published it (``open_data``). ``owner``: the subject
that submitted it, NULL for published ones. ``state_at``: since when it stands so, as far as we know. ``told_at``: the
time of the newest word of it, as whoever said it told it; what is older comes late, and does not count.
``checked_at``: when the city was last asked where it stands.
``error_code, error_message``: why it is not filed. ``description, address, street_name, attributes, media_url`` and the
point may be personal data: never in logs, spans, errors or events."""

_r = service_requests.c
Index("service_requests_by_owner", _r.tenant_id, _r.owner, _r.reported_at, postgresql_where=text("owner IS NOT NULL"))
Index("service_requests_by_state", _r.tenant_id, _r.state, _r.updated_at)
Index("service_requests_by_complaint", _r.tenant_id, _r.complaint_type, _r.borough, _r.reported_at)
Index("service_requests_by_reported_at", _r.tenant_id, _r.reported_at, _r.request_id)
Index("service_requests_by_city", _r.tenant_id, _r.city, _r.state, _r.checked_at)
Index("service_requests_by_latitude", _r.tenant_id, _r.latitude, _r.longitude)
Index("service_requests_by_external_id", _r.tenant_id, _r.external_id)
Index(
    "service_requests_to_poll",
    *(_r.tenant_id, _r.provider, _r.city, _r.checked_at),
    postgresql_where=text("source = 'lakefront' AND state IN ('OPEN', 'IN_PROGRESS')"),
)

service_request_changes = Table(
    "service_request_changes",
    metadata,
    *tenant(),
    Column("request_id", Text, primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("event_type", Text, nullable=False),
    timestamp("changed_at", nullable=False, server_default=func.now()),
    Column("cause", Text, nullable=False),
    Column("changed_by", Text),
    Column("on_behalf_of", Text),
    Column("owner", Text),
    Column("previous_state", Text),
    Column("state", Text, nullable=False),
    Column("fields", ARRAY(Text), nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("trace_id", Text, nullable=False),
)
"""How a request came to where it stands: a row a version, in the transaction of the change, never changed itself.

``cause``: ``owner, staff, city, publisher, lakefront``; ``changed_by``: the subject, where it was a person's or key's
doing. ``owner`` is the request's. ``fields``: the names of the columns that changed. ``payload``: what the log is told,
free of personal data."""

service_request_callers = Table(
    "service_request_callers",
    metadata,
    *tenant(),
    Column("request_id", Text, primary_key=True),
    Column("first_name", Text),
    Column("last_name", Text),
    Column("phone", Text),
    Column("email", Text),
    timestamp("created_at", nullable=False, server_default=func.now()),
    Column("notify", Boolean, nullable=False, server_default=text("false")),
    timestamp("ended_at"),
    Column("ended_shard", Integer),
    Column("ended_offset", BigInteger),
)
"""Who reports, while the city has not taken the request: personal data, deleted as soon as it has, or is not to, and
after a month at the latest. ``notify``: they asked to be told how it goes on. Of them phone and email stay until they
were told of the end, or a month after it, or a year after the report. ``ended_…``: when the log was told of the end,
and where it has it."""

_c = service_request_callers.c
Index("service_request_callers_ended", _c.tenant_id, _c.ended_at, postgresql_where=text("ended_at IS NOT NULL"))

service_request_relay = Table(
    "service_request_relay",
    metadata,
    *tenant(),
    Column("place", BigInteger, Identity(always=True), primary_key=True),
    Column("request_id", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
)
"""Changes that the log does not have yet. ``place`` is drawn while the request's row is locked, so that the changes of
one request stand in their order."""
