"""What stands beside Lakefront: Strawberry's own ASGI app, each subscription an async generator over a broadcast.

``python -m bench.subscriptions.stock PORT``. No sign-in, no rights, no log, no database: events are taken in by the
same POST, and are in every subscriber's queue when it is answered.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator
from datetime import datetime
from enum import Enum

import orjson
import strawberry
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from strawberry.asgi import GraphQL
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL


@strawberry.enum
class PermitEventType(Enum):
    """As in Lakefront's schema."""

    PERMIT_FILED = "permit_filed"


@strawberry.type
class PermitEvent:
    """What is selected of an event."""

    event_id: strawberry.ID
    permit_id: strawberry.ID
    event_type: PermitEventType
    occurred_at: datetime
    source: str


@strawberry.type
class PermitEventDelivery:
    """One message."""

    cursor: str
    event: PermitEvent | None


@strawberry.type
class Query:
    """A schema needs one."""

    @strawberry.field
    def hello(self) -> str:
        """Nothing of interest."""
        return "hello"


SUBSCRIBERS: set["asyncio.Queue[PermitEventDelivery]"] = set()


@strawberry.type
class Subscription:
    """The stream."""

    @strawberry.subscription
    async def permit_events(self) -> AsyncGenerator[PermitEventDelivery]:
        """From now on, whatever is published."""
        queue: asyncio.Queue[PermitEventDelivery] = asyncio.Queue()
        SUBSCRIBERS.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            SUBSCRIBERS.discard(queue)


async def publish(request: Request) -> Response:
    """Tell the events of the body to all subscribers."""
    for number, event in enumerate(orjson.loads(await request.body())):
        told = PermitEvent(
            event_id=event["eventId"],
            permit_id=event["permitId"],
            event_type=PermitEventType(event["eventType"]),
            occurred_at=datetime.fromisoformat(event["timestamp"]),
            source="bench",
        )
        for queue in SUBSCRIBERS:
            queue.put_nowait(PermitEventDelivery(cursor=f"cursor-{number}", event=told))
    return Response(b"{}", media_type="application/json")


def app() -> Starlette:
    """The server."""
    schema = strawberry.Schema(Query, subscription=Subscription)
    graphql = GraphQL[None, None](schema, subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL])
    return Starlette(
        routes=[Route("/sf-permit-events", publish, methods=["POST"]), WebSocketRoute("/graphql", graphql)]
    )


if __name__ == "__main__":
    uvicorn.run(
        app(), port=int(sys.argv[1]), loop="uvloop", http="httptools", log_level="warning", ws_per_message_deflate=False
    )
