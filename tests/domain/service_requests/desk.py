"""A city's desk: the simulator, a tenant that reaches it, and the outbox' worker, which is quick."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

from lakefront.actor import SERVICE_REQUESTS_CREATE, SERVICE_REQUESTS_READ, SERVICE_REQUESTS_UPDATE, Actor
from lakefront.domain import integrations
from lakefront.domain.integrations import IntegrationInput
from lakefront.domain.outbox import OutboxWorker
from lakefront.domain.service_requests import (
    CallerInput,
    Filing,
    ServiceRequest,
    State,
    SubmitInput,
    Submitted,
    find,
    submit,
)
from lakefront.domain.services import Services
from lakefront.simulator import Simulator
from lakefront.simulator.tickets import Ticket
from tests.domain.outbox import outside
from tests.domain.outbox.outside import rows, working

OWN = frozenset({SERVICE_REQUESTS_CREATE, SERVICE_REQUESTS_READ})
ADA = Actor("ada", "city", frozenset(), roles=frozenset({"citizen"}), own=OWN)
BOB = replace(ADA, subject="bob")
STAFF = Actor("sam", "city", frozenset({SERVICE_REQUESTS_READ, SERVICE_REQUESTS_UPDATE}), roles=frozenset({"staff"}))

CALLER = CallerInput(first_name="Jane", last_name="Doe", phone="2125551234", email="jane@example.org")
NEW_YORK = SubmitInput(
    city="nyc",
    description="A pothole before the door",
    agency="DOT",
    complaint_type="Street Condition",
    address="123 Broadway, New York, NY",
    latitude=40.7128,
    longitude=-74.0060,
    caller=CALLER,
)
BOSTON = SubmitInput(city="bos", description="Nobody came", service_code="002", address="1 Main St", caller=CALLER)
LATER = SubmitInput(city="bos", description="A rat", service_code="003", address="1 Main St")
ANGELES = SubmitInput(city="la", description="A sofa", service_code="Bulky Items", address="1 A St", caller=CALLER)


async def reach(services: Services, actor: Actor, simulator: Simulator, provider: str, version: str) -> None:
    """Let the tenant reach that system of the simulator in that version, of all its cities."""
    for door in simulator.endpoints():
        if (door["provider"], door["api_version"]) == (provider, version):
            await integrations.upsert(services, actor, IntegrationInput(**door))
    services.endpoints.changed()


def filing(services: Services) -> AbstractAsyncContextManager[OutboxWorker]:
    """A server's worker, without Redis."""
    return working(services, None, Filing())


async def filed(services: Services, given: SubmitInput, actor: Actor = ADA, *states: State) -> ServiceRequest:
    """Submit it, and wait until it is in one of ``states``, OPEN if none is named."""
    made = await submit(services, actor, given)
    return await reached(services, made, *(states or (State.OPEN,)))


async def reached(services: Services, made: Submitted | ServiceRequest, *states: State) -> ServiceRequest:
    """The request, once it is in one of ``states``."""
    request_id = (made if isinstance(made, ServiceRequest) else made.service_request).request_id
    return await until(lambda: find(services, STAFF, request_id), lambda request: request.state in states)


async def until(
    read: Callable[[], Awaitable[ServiceRequest]], holds: Callable[[ServiceRequest], bool]
) -> ServiceRequest:
    """What ``read`` gives as soon as it ``holds``; raises ``TimeoutError``."""
    found: ServiceRequest | None = None

    async def there() -> bool:
        nonlocal found
        found = await read()
        return holds(found)

    await outside.until(there)
    assert found is not None
    return found


async def changes(services: Services, request_id: str) -> list[tuple[Any, ...]]:
    """The history: version, event, cause, and where it went."""
    found = await rows(
        services.database,
        "SELECT version, event_type, cause, state FROM lakefront.service_request_changes "
        "WHERE request_id = $1 ORDER BY version",
        request_id,
    )
    return [tuple(row) for row in found]


async def callers(services: Services) -> int:
    """Of how many requests it is known who reported them."""
    [(count,)] = await rows(services.database, "SELECT count(*) FROM lakefront.service_request_callers")
    return int(count)


def tickets(simulator: Simulator) -> list[Ticket]:
    """What the city has, in earnest."""
    return simulator.tickets.filed
