"""The REST doors of imports say what GraphQL says (C5)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lakefront.settings import Settings
from lakefront.simulator import Simulator
from lakefront.simulator.systems.socrata import TOKEN
from tests.server.wired import Wired, wired

INSPECTIONS = {"dataset": "43nn-pn8j"}


@pytest.fixture
async def served(dsn: str, tmp_path: Path) -> AsyncIterator[Wired]:
    """A server that reaches a simulated publisher."""
    settings = Settings(port=0, data=tmp_path, database_url=dsn, rate_limits="off", loopback_integrations=True)
    async with Simulator(seed=1, rows=30) as city, wired(settings) as made:
        assert (await send(made, "PUT", "/cities", {"slug": "nyc", "name": "New York"})).status_code == 200
        socrata = {"provider": "socrata", "city": "nyc", "base_url": f"{city.url}/socrata"}
        answer = await send(made, "PUT", "/integrations", socrata | {"credentials": {"app_token": TOKEN}})
        assert answer.status_code == 201, answer.text
        yield made


async def send(
    served: Wired, method: str, path: str, body: Any = None, role: str = "admin", **headers: str
) -> httpx.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return await served.client.request(method, path, json=body, headers={**served.bearer(role), **sent})


async def test_an_import_is_asked_for_looked_at_and_stopped(served: Wired) -> None:
    dry = await send(served, "POST", "/open-data/imports?dry_run=true", INSPECTIONS)
    assert (dry.status_code, dry.json()) == (200, {"rows": 30, "outside_calls": 2})
    asked = await send(served, "POST", "/open-data/imports", INSPECTIONS, idempotency_key="once")
    made = asked.json()
    assert (asked.status_code, made["dataset"], made["city"]) == (202, "43nn-pn8j", "nyc")
    again = await send(served, "POST", "/open-data/imports", INSPECTIONS, idempotency_key="once")
    assert again.json()["import_id"] == made["import_id"]
    path = f"/open-data/imports/{made['import_id']}"
    looked = (await send(served, "GET", path)).json()
    assert looked.keys() == made.keys()
    stopped = await send(served, "DELETE", path)
    assert (stopped.status_code, stopped.json()["state"] in {"CANCELLED", "DONE"}) == (200, True)


async def test_what_cannot_be_is_told(served: Wired) -> None:
    for body, status in (({"dataset": "x"}, 400), ({}, 400), ({"dataset": "aaaa-bbbb"}, 404)):
        assert (await send(served, "POST", "/open-data/imports", body)).status_code == status
    assert (await send(served, "POST", "/open-data/imports", INSPECTIONS | {"city": "bos"})).status_code == 501
    since = INSPECTIONS | {"since": "2024-01-01T00:00:00"}
    assert (await send(served, "POST", "/open-data/imports", since)).status_code == 400
    assert (await send(served, "GET", "/open-data/imports/none")).status_code == 404
    assert (await send(served, "DELETE", "/open-data/imports/none")).status_code == 404
    assert (await send(served, "POST", "/open-data/imports", INSPECTIONS, "reader")).status_code == 403
    assert (await send(served, "GET", "/open-data/imports/none", role="reader")).status_code == 403
