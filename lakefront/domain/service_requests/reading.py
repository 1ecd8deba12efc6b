"""One request, for those who may see it."""

from typing import Final

from sqlalchemy import select

from lakefront.actor import SERVICE_REQUESTS_READ, Actor
from lakefront.db.database import Transaction
from lakefront.db.tables.service_requests import service_requests as table
from lakefront.domain.service_requests.request import COLUMNS, ServiceRequest
from lakefront.domain.service_requests.sources import SERVICE_REQUESTS
from lakefront.domain.services import Services
from lakefront.errors import NotFound

MOST_ID: Final = 250
"""Characters of a request's id."""


async def find(services: Services, actor: Actor, request_id: str) -> ServiceRequest:
    """The request, as it stands; of others' there is none for whoever may read their own alone.

    Needs the scope service_requests:read. Raises ``NotFound``, ``Forbidden``, ``Unavailable``.
    """
    actor.require(SERVICE_REQUESTS_READ)
    subject = SERVICE_REQUESTS.row_scope(actor)
    async with services.database.transaction(actor.tenant, subject=subject or "") as transaction:
        found = await read_one(transaction, actor.tenant, request_id)
    if found is None or subject not in {None, found.owner}:
        raise not_found()
    return found


async def read_one(
    transaction: Transaction, tenant: str, request_id: str, *, lock: bool = False
) -> ServiceRequest | None:
    """The tenant's request of that id, with ``lock`` held until the transaction ends."""
    if len(request_id) > MOST_ID or "\0" in request_id:
        return None
    asked = select(*COLUMNS).where(table.c.tenant_id == tenant, table.c.request_id == request_id)
    rows = await transaction.fetch(asked.with_for_update(key_share=True) if lock else asked)
    return ServiceRequest.of(rows[0]) if rows else None


def not_found() -> NotFound:
    """There is no such request, or none that the actor may see."""
    return NotFound("There is no such service request here. Check its number: serviceRequests lists yours.")
