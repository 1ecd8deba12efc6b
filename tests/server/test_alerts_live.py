"""Alerts of a server that runs: a refused credential pages, is acknowledged by GraphQL, and is over (C3, C13)."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lakefront.settings import Settings
from lakefront.simulator import Simulator
from tests.server.wired import Wired, wired

ALERTS = "{ alerts { nodes { alertId ruleId provider state level } } }"
ACKNOWLEDGE = "mutation ($id: ID!) { acknowledgeAlert(alertId: $id) { alert { state acknowledgedBy } } }"


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not done():  # noqa: ASYNC110 - nothing else tells it
            await asyncio.sleep(0.05)


async def ask(served: Wired, role: str, query: str, **variables: Any) -> Any:
    body = {"query": query, "variables": variables}
    response = await served.client.post("/graphql", json=body, headers=served.bearer(role))
    assert "errors" not in response.json(), response.text
    return response.json()["data"]


async def set_up(served: Wired, door: dict[str, Any], **changes: Any) -> None:
    response = await served.client.put("/integrations", json=door | changes, headers=served.bearer("admin"))
    assert response.status_code in (200, 201), response.text


async def test_a_refused_credential_pages_until_it_is_renewed(dsn: str, redis_url: str, tmp_path: Path) -> None:
    settings = Settings(
        port=0,
        data=tmp_path,
        database_url=dsn,
        redis_url=redis_url,
        rate_limits="off",
        loopback_integrations=True,
        alert_interval=0.1,
        log_format="json",
    )
    async with Simulator(seed=1) as city, wired(settings) as served:
        doors = {door["provider"]: door for door in reversed(city.endpoints())}
        weather = doors["openweather"]
        await set_up(served, doors["pagerduty"])
        await set_up(served, weather, credentials={"key": "refused"})
        tried = {"provider": "openweather"}
        await served.client.post("/integrations/test", json=tried, headers=served.bearer("admin"))
        await until(lambda: bool(city.alerts))
        [alert] = (await ask(served, "monitor", ALERTS))["alerts"]["nodes"]
        assert (alert["ruleId"], alert["provider"], alert["level"]) == ("credentials-refused", "openweather", 2)
        done = await ask(served, "admin", ACKNOWLEDGE, id=alert["alertId"])
        assert done["acknowledgeAlert"]["alert"] == {"state": "ACKNOWLEDGED", "acknowledgedBy": "test:admin"}
        [page] = city.alerts.values()
        await until(lambda: page["status"] == "acknowledged")
        scraped = (await served.client.get("/metrics", headers=served.bearer("monitor"))).text
        assert 'alerts_firing{level="2"} 1.0' in scraped
        await set_up(served, weather)
        await until(lambda: page["status"] == "resolved")
        assert [event["action"] for event in page["events"]] == ["trigger", "acknowledge", "resolve"]
