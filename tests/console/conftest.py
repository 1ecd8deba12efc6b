"""One real server and one real browser for all pages; whatever a page should not do fails its test."""

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Route, async_playwright, expect

from lakefront.server.pages.bundle import FOLDER
from tests.clients.producer import Producer, producing
from tests.process import ServerProcess

PATIENCE = 30_000.0
"""Milliseconds that a page may take for one step, on a machine that may be busy."""

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@dataclass
class Visit:
    """A page, and what it did that it should not: calls to other hosts, errors, violations of its policy."""

    page: Page
    server: ServerProcess
    elsewhere: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    sockets: list[str] = field(default_factory=list)

    async def block(self, route: Route) -> None:
        """Let nothing out but to the server."""
        if route.request.url.startswith(f"{self.server.url}/"):
            await route.continue_()
        else:
            self.elsewhere.append(route.request.url)
            await route.abort()

    def hear(self, message: ConsoleMessage) -> None:
        """Remember errors and warnings of the console; violations of the policy come as errors."""
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)


@pytest.fixture(scope="package")
async def server() -> AsyncIterator[ServerProcess]:
    if not (FOLDER / "graphiql.html").is_file():
        pytest.fail("The web pages are not built. Run `make install`.")
    async with ServerProcess(environment={"LAKEFRONT_RATE_LIMITS": "off"}) as running:
        yield running


@pytest.fixture(scope="package")
async def key(server: ServerProcess) -> str:
    """The API key that onboarding gives a tenant: all that it has."""
    acme = {
        "tenant_id": "acme_corp",
        "company_name": "Acme Corporation",
        "admin_email": "admin@acme.example",
        "subscription_plan": "BASIC",
    }
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=60) as client:
        tried = await client.post("/api/v1/tenants/dryrun", json=acme)
        assert tried.status_code == 200, tried.text
        onboarded = await client.post("/api/v1/tenants/onboard", json=acme)
    assert onboarded.status_code == 201, onboarded.text
    text: str = onboarded.json()["api_key"]
    return text


@pytest.fixture
async def producer(server: ServerProcess) -> AsyncIterator[Producer]:
    async with producing(server) as made:
        yield made


@pytest.fixture(scope="package")
async def browser() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("needs chromium: install it, as with `apt install chromium`")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=Path(CHROMIUM), args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest.fixture
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    made = await browser.new_context(viewport={"width": 1280, "height": 800})
    made.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    yield made
    await made.close()


@pytest.fixture
async def visit(context: BrowserContext, server: ServerProcess) -> AsyncIterator[Visit]:
    """A page whose every look beyond the server, every error and every warning fails the test in the end."""
    page = await context.new_page()
    made = Visit(page, server)
    await context.route("**/*", made.block)
    page.on("console", made.hear)
    page.on("pageerror", lambda error: made.complaints.append(str(error)))
    page.on("websocket", lambda socket: made.sockets.append(socket.url))
    yield made
    assert made.elsewhere == []
    assert made.complaints == []
    assert set(made.sockets) <= {server.ws_url}
