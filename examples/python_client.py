"""Send permit events, query them, follow them live, and go on after a break: nothing lost, nothing twice.

export LAKEFRONT_TOKEN=$(lakefront token | tail -1)
python python_client.py          # the tour: run it twice and see the duplicates
python python_client.py follow   # follow until Ctrl-C, over restarts of the server and of this program

It needs `pip install httpx 'gql[websockets]'`. LAKEFRONT_URL names a server other than http://localhost:8000. What was
followed is kept beside this file in python_client.jsonl: remove that when the server begins with new data.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from gql import Client, GraphQLRequest
from gql.transport.exceptions import TransportConnectionFailed, TransportQueryError
from gql.transport.websockets import WebsocketsTransport
from websockets.exceptions import ConnectionClosed

URL = os.environ.get("LAKEFRONT_URL", "http://localhost:8000").rstrip("/")
AUTHORIZATION = {"Authorization": f"Bearer {os.environ.get('LAKEFRONT_TOKEN', '')}"}
JOURNAL = Path(__file__).with_suffix(".jsonl")
PERMIT = "EXAMPLE-PYTHON"
FORBIDDEN = 4403
"""How the server closes a socket whose token does not hold."""

QUERY = """
query ($permit: ID!) { permit(permitId: $permit) { status events { totalCount } } }
"""
FOLLOW = """
subscription ($permit: ID!, $after: String) {
  permitEvents(filter: {permitIds: [$permit]}, after: $after, heartbeat: 30) {
    cursor
    event { eventId eventType }
    permit { status }
  }
}
"""


class Refused(Exception):
    """The server said no; trying again would not help."""


def make_event(kind: str, timestamp: str, **data: str) -> dict[str, Any]:
    """An event whose id follows from what it is: made again, it is the same to the server, a duplicate."""
    return {
        "eventId": f"{PERMIT}/{kind}/{timestamp}",
        "permitId": PERMIT,
        "eventType": kind,
        "timestamp": timestamp,
        "eventData": data,
    }


def make_status(status: str) -> dict[str, Any]:
    """The permit gets another status, now."""
    return make_event("status_change", datetime.now(UTC).isoformat(), newStatus=status)


async def post(path: str, body: Any) -> Any:
    """POST until there is an answer. That is safe: what the server has already, it does not take in again."""
    async with httpx.AsyncClient(base_url=URL, headers=AUTHORIZATION, timeout=30) as http:
        while True:
            try:
                answer = await http.post(path, json=body)
            except httpx.TransportError as error:  # away, or gone before it answered: the events may be in, or not
                wait = 1.0
                print(f"no answer ({str(error) or type(error).__name__}), again in {wait:.0f} s", flush=True)
            else:
                if answer.status_code not in {429, 503}:
                    break
                wait = float(answer.headers.get("Retry-After", "1"))
                print(f"the server is busy ({answer.status_code}), again in {wait:.0f} s", flush=True)
            await asyncio.sleep(wait)
    if answer.is_error:
        raise Refused(f"{path} answered {answer.status_code}: {answer.text}")
    return answer.json()


async def ingest(*events: dict[str, Any]) -> None:
    """Send events; each gets a verdict, and those that are not valid spoil nothing for their neighbours."""
    report = await post("/sf-permit-events", events)
    print(f"sent {len(events)}: {report['accepted']} accepted, {report['duplicates']} duplicates", flush=True)
    if report["rejected"]:
        raise Refused(f"rejected: {report['verdicts']}")


async def query_permit() -> Any:
    """The permit's current state, and how many events it has."""
    answer = await post("/graphql", {"query": QUERY, "variables": {"permit": PERMIT}})
    if "errors" in answer:  # GraphQL tells most errors with status 200
        raise Refused(answer["errors"][0]["message"])
    return answer["data"]["permit"]


class Journal:
    """What was followed, one JSON line an event, and in the same line the cursor to go on from.

    One write keeps both or neither. A cursor in a file of its own would, after a crash between two writes, lose an
    event or bring it twice; with a database, save both in one transaction.
    """

    def __init__(self, path: Path) -> None:
        raw = path.read_bytes() if path.exists() else b""
        whole = raw[: raw.rfind(b"\n") + 1]  # a line that a crash cut short was not saved
        self.lines = [json.loads(line) for line in whole.splitlines()]
        self._file = path.open("ab")
        self._file.truncate(len(whole))

    @property
    def cursor(self) -> str:
        """Where to go on."""
        return str(self.lines[-1]["cursor"]) if self.lines else "earliest"

    def add(self, message: dict[str, Any]) -> None:
        """Save a message."""
        self._file.write(json.dumps(message).encode() + b"\n")
        self._file.flush()
        self.lines.append(message)


async def subscribe(after: str) -> AsyncGenerator[dict[str, Any], None]:
    """All events after the cursor, for ever: when the connection breaks, it goes on where it was."""
    while True:
        transport = WebsocketsTransport(
            f"{URL.replace('http', 'ws', 1)}/graphql",
            init_payload=AUTHORIZATION,
            subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
        )
        try:
            async with Client(transport=transport) as session:
                variables = {"permit": PERMIT, "after": after}
                async for data in session.subscribe(GraphQLRequest(FOLLOW, variable_values=variables)):
                    after = data["permitEvents"]["cursor"]
                    if data["permitEvents"]["event"]:  # else a heartbeat: nothing for us, but the cursor has moved
                        yield data["permitEvents"]
        except TransportQueryError as refused:
            [error, *_] = refused.errors or []
            if error["extensions"]["code"] != "LAGGED":
                raise Refused(error["message"]) from None
            after = error["extensions"]["cursor"]  # we were too slow; the server tells where we were
            print("fell behind, going on", flush=True)
        except (TransportConnectionFailed, TimeoutError) as lost:
            closed = lost.__cause__.rcvd if isinstance(lost.__cause__, ConnectionClosed) else None
            if closed and closed.code == FORBIDDEN:
                raise Refused(closed.reason) from None  # another try with this token would end in the same way
            print(f"not connected ({lost.__cause__ or lost}), trying again", flush=True)
        await asyncio.sleep(1)


async def follow(journal: Journal, until: str | None = None) -> None:
    """Save and print every event after the journal's last; return after the event `until`."""
    print(f"following from {'the saved cursor' if journal.lines else 'the earliest event'} on", flush=True)
    async with aclosing(subscribe(journal.cursor)) as messages:  # leaving closes the connection
        async for message in messages:
            journal.add(message)
            event, status = message["event"], message["permit"]["status"]
            print(f"  {event['eventType']}: {PERMIT} is {status}", flush=True)
            if event["eventId"] == until:
                return


async def tour(journal: Journal) -> None:
    """Everything once."""
    await ingest(
        make_event("permit_filed", "2024-01-15T10:30:00Z", description="Two more stories"),
        make_event("permit_issued", "2024-03-01T09:00:00Z"),
    )

    live = make_status("under review")
    following = asyncio.create_task(follow(journal, until=live["eventId"]))
    await asyncio.sleep(1)  # not needed: the follower gets each event once, whether it comes before the event or after
    await ingest(live)
    await following

    permit = await query_permit()
    print(f"query: {PERMIT} is {permit['status']} after {permit['events']['totalCount']} events", flush=True)

    missed = make_status("approved")
    await ingest(missed)  # nobody follows now
    await follow(journal, until=missed["eventId"])

    ids = {line["event"]["eventId"] for line in journal.lines}
    total = (await query_permit())["events"]["totalCount"]
    if not len(journal.lines) == len(ids) == total:
        raise Refused(f"the journal has {len(journal.lines)} lines of {len(ids)} events, the server {total}")
    print(f"the journal has all {total} events of the server, each once")


if __name__ == "__main__":
    run = follow if sys.argv[1:] == ["follow"] else tour
    try:
        asyncio.run(run(Journal(JOURNAL)))
    except Refused as refusal:
        sys.exit(str(refusal))
    except KeyboardInterrupt:
        print("the journal knows where to go on")
