"""A server that runs, with a city that answers: an event that comes in by the door is told to a webhook, once (C8)."""

import asyncio
from pathlib import Path
from typing import Any

from lakefront.settings import Settings
from lakefront.simulator import Simulator
from lakefront.simulator.systems.webhook import Webhook as Receiver
from tests.server.wired import Wired, wired

REGISTER = """
mutation ($url: String!) {
  made: registerWebhook(input: {name: "Ours", url: $url}) { webhook { webhookId } secret }
}"""
RULE = """
mutation ($hook: ID!) {
  upsertNoticeRule(input: {
    name: "Issued", stream: "sf-permit-events", eventTypes: ["status_change"], channel: WEBHOOK
    recipientKind: WEBHOOK, webhookId: $hook, text: "${permitId} is ${newStatus}"
  }) { created }
}"""
SENT = "{ notices { nodes { state about eventId traceId } } }"


async def admin(served: Wired, query: str, **variables: Any) -> Any:
    body = {"query": query, "variables": variables}
    response = await served.client.post("/graphql", json=body, headers=served.bearer("admin"))
    assert "errors" not in response.json(), response.text
    return response.json()["data"]


async def test_what_comes_in_is_told_once_by_two_servers(dsn: str, redis_url: str, tmp_path: Path) -> None:
    settings = Settings(
        port=0, data=tmp_path, database_url=dsn, redis_url=redis_url, rate_limits="off", loopback_integrations=True
    )
    async with Simulator(seed=1) as city, wired(settings) as served, wired(settings) as other:
        made = (await admin(served, REGISTER, url=f"{city.url}/webhook/ours"))["made"]
        receiver = city.systems["webhook"]
        assert isinstance(receiver, Receiver)
        receiver.secrets.add(made["secret"])
        await admin(other, RULE, hook=made["webhook"]["webhookId"])
        events = [
            {
                "eventId": f"evt-{number}",
                "permitId": f"P{number}",
                "eventType": "status_change",
                "timestamp": "2026-05-28T14:00:00Z",
                "eventData": {"newStatus": "issued"},
            }
            for number in range(20)
        ]
        for half, server in ((events[:10], served), (events[10:], other)):
            assert (await server.ingest(half)).status_code == 200
        async with asyncio.timeout(30):
            while len(city.webhooks) < len(events):  # noqa: ASYNC110 - the city has no event for it
                await asyncio.sleep(0.05)
        assert {each["problem"] for each in city.webhooks} == {None}
        assert sorted(each["body"]["data"]["text"] for each in city.webhooks) == sorted(
            f"P{number} is issued" for number in range(20)
        )
        async with asyncio.timeout(10):
            while True:
                nodes = (await admin(served, SENT))["notices"]["nodes"]
                if {node["state"] for node in nodes} == {"SENT"}:
                    break
                await asyncio.sleep(0.05)
        assert {node["eventId"] for node in nodes} == {event["eventId"] for event in events}
