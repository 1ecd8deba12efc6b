"""Service requests as generic reads have them: whose rows they are, and what nobody is shown."""

from typing import Final

from lakefront.actor import SERVICE_REQUESTS_READ
from lakefront.db.query import Source
from lakefront.db.tables import service_requests as tables

SERVICE_REQUESTS: Final = Source(
    "ServiceRequest",
    tables.service_requests,
    key=("request_id",),
    scope=SERVICE_REQUESTS_READ,
    order=("reported_at",),
    hidden=frozenset({"external_token", "told_at"}),
    owner="owner",
)
CHANGES: Final = Source(
    "ServiceRequestChange",
    tables.service_request_changes,
    key=("request_id", "version"),
    scope=SERVICE_REQUESTS_READ,
    order=("changed_at",),
    hidden=frozenset({"owner", "payload", "on_behalf_of"}),
    owner="owner",
)
