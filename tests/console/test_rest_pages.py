"""Swagger UI and ReDoc draw the document, and Swagger UI sends a request that the server takes."""

import orjson
import pytest
from playwright.async_api import expect

from tests.console.conftest import Visit

DOORS = ("/sf-permit-events", "/health", "/ready", "/metrics", "/graphql", "/.well-known/jwks.json")


@pytest.mark.parametrize("by", ["authorization", "x-api-key"])
async def test_swagger_ui_draws_every_door_and_tries_one(visit: Visit, key: str, by: str) -> None:
    page = visit.page
    await page.goto(f"{visit.server.url}/docs#token={key if by == 'x-api-key' else visit.server.token('admin')}")
    for path in DOORS:
        await expect(page.locator(f'[data-path="{path}"]').first).to_be_visible()
    door = page.locator(".opblock", has=page.locator('[data-path="/sf-permit-events"]'))
    await door.locator(".opblock-summary-control").click()
    await door.get_by_role("button", name="Try it out").click()
    async with page.expect_response(lambda response: "/sf-permit-events" in response.url) as answer:
        await door.get_by_role("button", name="Execute").click()
    response = await answer.value
    assert response.status == 200
    assert {"authorization", "x-api-key"} & (await response.request.all_headers()).keys() == {by}
    assert orjson.loads(await response.body())["eventsReceived"] == 1
    await expect(door.locator(".live-responses-table").first).to_contain_text("eventsReceived")


async def test_redoc_draws_every_door(visit: Visit) -> None:
    page = visit.page
    await page.goto(f"{visit.server.url}/redoc")
    await expect(page.get_by_role("heading", name="Lakefront").first).to_be_visible()
    for summary in ("Take permit events in", "Whether the process lives", "Query or mutate"):
        await expect(page.get_by_role("heading", name=summary).first).to_be_visible()
