"""GraphiQL as a visitor uses it: by the link that ``serve`` prints, offline, asking and following."""

import asyncio
import re

import httpx
import pytest
from playwright.async_api import Page, Request, expect

from tests.clients.producer import Producer, numbered
from tests.console.conftest import Visit
from tests.domain.permits.events import filed
from tests.process import ServerProcess

RESULT = ".result-window .view-lines"


async def opened(visit: Visit, *, role: str = "admin") -> Page:
    """GraphiQL by the link with a token, once it knows the schema."""
    async with visit.page.expect_request_finished(_asks_for_the_schema):
        await visit.page.goto(f"{visit.server.url}/graphql#token={visit.server.token(role)}")
    await visit.page.get_by_role("tab", name="DearestPermits").wait_for()
    return visit.page


def _asks_for_the_schema(request: Request) -> bool:
    return request.method == "POST" and "IntrospectionQuery" in (request.post_data or "")


async def run(page: Page, tab: str) -> None:
    editor = page.locator(".graphiql-query-editor .view-lines")
    await expect(editor).to_contain_text("DearestPermits")  # before that, choosing a tab shows nothing
    await page.get_by_role("tab", name=tab).click()
    await expect(editor).to_contain_text(tab)
    await page.get_by_role("button", name=re.compile("^Execute query")).click()


async def test_a_query_is_asked_with_the_token_of_the_link(visit: Visit, producer: Producer) -> None:
    await producer.send([filed("PAGE-1", "2024-01-15T10:30:00Z", neighborhood="Mission", estimatedCost=77_000)])
    page = await opened(visit)
    assert page.url == f"{visit.server.url}/graphql", "the token is out of the address bar"
    assert "eyJ" not in await page.evaluate("JSON.stringify([history.state, {...localStorage}])")
    await expect(page.get_by_text("Signed in as test:admin")).to_be_visible()
    async with asyncio.timeout(30):
        while True:  # the projection may be a moment behind the acknowledgement
            await run(page, "DearestPermits")
            await expect(page.locator(RESULT)).to_contain_text("totalCount")
            if "PAGE-1" in await page.locator(RESULT).inner_text():
                break
            await page.wait_for_timeout(200)
    await expect(page.locator(RESULT)).to_contain_text("77000")


async def test_the_link_that_serve_prints_opens_it(visit: Visit, server: ServerProcess) -> None:
    printed = re.search(r"GraphiQL +(http://localhost:\d+/graphql#token=eyJ\S+)\n", server.log_text())
    assert printed is not None
    async with visit.page.expect_request_finished(_asks_for_the_schema) as asked:
        await visit.page.goto(printed[1].replace("localhost", "127.0.0.1"))
    response = await (await asked.value).response()
    assert response is not None
    assert response.status == 200
    await expect(visit.page.get_by_text("Signed in as serve")).to_be_visible()


async def test_a_subscription_shows_an_event_as_it_arrives(visit: Visit, producer: Producer) -> None:
    page = await opened(visit)
    await run(page, "FollowPermits")
    async with asyncio.timeout(30):
        for number in range(1000):
            await producer.send(numbered("PAGE-LIVE", range(number, number + 1)))
            shown = await page.locator(RESULT).inner_text()
            assert "errors" not in shown
            if "PAGE-LIVE" in shown:
                break
            await page.wait_for_timeout(200)
    await expect(page.locator(RESULT)).to_contain_text("STATUS_CHANGE")
    assert visit.sockets == [visit.server.ws_url]
    await page.get_by_role("button", name=re.compile("^Stop query")).click()


async def test_the_schema_is_there_to_read_and_examples_open_in_tabs(visit: Visit) -> None:
    page = await opened(visit)
    await page.get_by_role("button", name="Show Documentation Explorer").click()
    await expect(page.get_by_text("Root Types")).to_be_visible()
    await page.get_by_role("button", name="Show Examples").click()
    tabs = page.get_by_role("tab")
    before = await tabs.count()
    await page.get_by_role("button", name="Grouped statistics").click()
    await expect(tabs).to_have_count(before + 1)
    await expect(page.locator(".graphiql-query-editor .view-lines")).to_contain_text("CostByNeighborhood")
    await page.get_by_role("button", name=re.compile("^Execute query")).click()
    await expect(page.locator(RESULT)).to_contain_text("totalGroups")


async def test_tabs_come_back_with_their_variables(visit: Visit) -> None:
    page = await opened(visit)
    variables = page.locator(".graphiql-editor-tool .graphiql-editor:not(.hidden) .view-lines")
    await expect(variables).to_contain_text("Mission")
    await page.reload()
    await expect(variables).to_contain_text("Mission")
    await page.get_by_role("tab", name="IngestEvents").click()
    await expect(variables).to_contain_text("console-1")
    await page.wait_for_timeout(1000)  # GraphiQL keeps its tabs half a second after the last change
    await page.reload()
    await expect(variables).to_contain_text("console-1")
    await expect(page.get_by_role("tab")).to_have_count(4)


async def test_a_token_is_typed_in_and_forgotten(visit: Visit, server: ServerProcess) -> None:
    page = visit.page
    await page.goto(f"{server.url}/graphql")
    await page.get_by_label("Token or API key").fill(f"Bearer {server.token('reader')}")
    async with page.expect_request_finished(_asks_for_the_schema):
        await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_text("Signed in as test:reader")).to_be_visible()
    await run(page, "IngestEvents")
    await expect(page.locator(RESULT)).to_contain_text("FORBIDDEN")
    await page.get_by_role("button", name="Forget token").click()
    await expect(page.get_by_label("Token or API key")).to_be_visible()
    assert await page.evaluate("sessionStorage.length") == 0
    # The browser itself notes each refused request: that much was asked for.
    assert all("403" in complaint for complaint in visit.complaints), visit.complaints
    visit.complaints.clear()


@pytest.mark.parametrize("by", ["link", "field"])
async def test_a_tenant_signs_in_with_its_api_key(visit: Visit, key: str, by: str) -> None:
    page = visit.page
    async with page.expect_request_finished(_asks_for_the_schema) as asked:
        if by == "link":
            await page.goto(f"{visit.server.url}/graphql#token={key}")
        else:
            await page.goto(f"{visit.server.url}/graphql")
            await page.get_by_label("Token or API key").fill(key)
            await page.get_by_role("button", name="Sign in").click()
    headers = await (await asked.value).all_headers()
    assert headers["x-api-key"] == key
    assert "authorization" not in headers
    assert page.url == f"{visit.server.url}/graphql"
    await expect(page.get_by_text("Signed in with an API key of acme_corp")).to_be_visible()
    await run(page, "DearestPermits")
    await expect(page.locator(RESULT)).to_contain_text('"totalCount": 0')
    await page.get_by_role("button", name="Forget key").click()
    await expect(page.get_by_label("Token or API key")).to_be_visible()


async def test_a_tenant_follows_its_events_with_its_api_key(visit: Visit, key: str) -> None:
    page = visit.page
    await page.goto(f"{visit.server.url}/graphql#token={key}")
    await run(page, "FollowPermits")
    headers = {"X-API-Key": key}
    async with asyncio.timeout(30), httpx.AsyncClient(trust_env=False, headers=headers) as client:
        for number in range(1000):
            events = numbered("PAGE-KEY", range(number, number + 1))
            assert (await client.post(f"{visit.server.url}/sf-permit-events", json=events)).status_code == 200
            shown = await page.locator(RESULT).inner_text()
            assert "errors" not in shown
            if "PAGE-KEY" in shown:
                break
            await page.wait_for_timeout(200)
    assert visit.sockets == [visit.server.ws_url]
    await page.get_by_role("button", name=re.compile("^Stop query")).click()


@pytest.mark.parametrize(
    ("title", "told"),
    [
        ("Who you are", '"tenantId": "acme_corp"'),
        ("Your tenant's usage", '"storageBytes"'),
        ("API keys", '"state": "ACTIVE"'),
        ("Make an API key", '"changes": 1'),
    ],
)
async def test_the_examples_of_tenants_run(visit: Visit, key: str, title: str, told: str) -> None:
    page = visit.page
    await page.goto(f"{visit.server.url}/graphql#token={key}")
    await expect(page.locator(".graphiql-query-editor .view-lines")).to_contain_text("DearestPermits")
    await page.get_by_role("button", name="Show Examples").click()
    tabs = page.get_by_role("tab")
    before = await tabs.count()
    await page.get_by_role("button", name=title).click()
    await expect(tabs).to_have_count(before + 1)
    await page.get_by_role("button", name=re.compile("^Execute query")).click()
    await expect(page.locator(RESULT)).to_contain_text(told)


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/"])
async def test_no_other_page_lets_a_token_stay_in_the_address(visit: Visit, path: str) -> None:
    await visit.page.goto(f"{visit.server.url}{path}#token=abc")
    await visit.page.wait_for_load_state("networkidle")
    if path != "/":
        assert visit.page.url == f"{visit.server.url}{path}"
