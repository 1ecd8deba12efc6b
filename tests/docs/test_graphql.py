"""The page for frontend developers, block by block, on a fresh server."""

import asyncio
import os
import re
from importlib import import_module
from pathlib import Path

import httpx
import orjson
import pytest

from lakefront.errors import catalogue
from lakefront.graphql.plan.limits import INTROSPECTION_DEPTH, INTROSPECTION_LISTS, MAX_SPREADS
from lakefront.server.bodies import MOST_VALUES
from lakefront.settings import Settings
from tests.clients.node import install
from tests.docs.blocks import Block, Reader, assert_alike, blocks, environment
from tests.process import ROOT, ServerProcess

PAGE = ROOT / "docs" / "graphql.md"

PATIENCE = 30.0
"""Seconds until queries show what was sent, on a machine that is busy with other tests."""

TENANT = {
    "tenant_id": "shop",
    "company_name": "Shop",
    "admin_email": "admin@shop.example",
    "subscription_plan": "PROFESSIONAL",
}

PRINTED = {
    "hasNextPage: more": "P-1 P-2\n",
    "documentId: `sha256": "PersistedQueryNotFound\nP-1\nP-1\n",
    "If-None-Match": "304\ngzip\n",
    "text/event-stream": 'data: {"data":{"permitEvents":{"event":{"eventType":"PERMIT_FILED"}}}}\n',
    "graphql-ws": "P-1 PERMIT_FILED 180000 string\nP-2 PERMIT_FILED 21000 string\n",
}
"""What blocks print of which the page tells in words, by a part of each."""


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """Where a reader works who has installed ``graphql-ws``."""
    await asyncio.to_thread(install, ROOT / "examples")
    (tmp_path / "node_modules").symlink_to(ROOT / "examples" / "node_modules")
    return tmp_path


async def test_every_block_runs_as_it_is_written(folder: Path) -> None:
    async with ServerProcess() as server, httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=30) as client:
        key = await _onboard(client)
        reader = Reader(folder, environment(LAKEFRONT_URL=server.url, LAKEFRONT_API_KEY=key, PATH=os.environ["PATH"]))
        client.headers["X-API-Key"] = key
        last, printed = Block("", "", 0), ""
        for block in blocks(PAGE):
            if block.language == "graphql":
                last, printed = block, await _ask(client, block)
            elif block.language == "json":
                await _comes_to(client, last, printed, block)
            else:
                last, printed = block, await reader.run(block)
                expected = next((told for part, told in PRINTED.items() if part in block.text), "")
                assert printed.startswith(expected), f"line {block.line}: {printed}"


async def _onboard(client: httpx.AsyncClient) -> str:
    """A tenant of the page's own; its key."""
    for step in ("dryrun", "onboard"):
        answer = await client.post(f"/api/v1/tenants/{step}", json=TENANT)
    return str(answer.json()["api_key"])


async def _ask(client: httpx.AsyncClient, block: Block) -> str:
    """Send the block, with the variables in its first line."""
    comment = re.match(r"# (\{.*\})\n", block.text)
    variables = orjson.loads(comment[1]) if comment else {}
    return (await client.post("/graphql", json={"query": block.text, "variables": variables})).text


async def _comes_to(client: httpx.AsyncClient, asked: Block, printed: str, shown: Block) -> None:
    """Pass if the answer is as shown; a query is asked again until it is: what was sent shows in a moment."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                assert_alike(shown.text, printed, shown.line)
            except AssertionError:
                if asked.language != "graphql" or "mutation" in asked.text:
                    raise
                await asyncio.sleep(0.2)
                printed = await _ask(client, asked)
            else:
                return


def test_every_error_is_told() -> None:
    table = PAGE.read_text().partition("## 7.")[2].partition("## 8.")[0]
    told = set(re.findall(r"`([A-Z_]+)`", table))
    import_module("lakefront.server.app")  # so that the doors' own errors are known, whichever tests ran before
    assert {error("").graphql_code for error in catalogue()} <= told


def test_the_limits_are_those_that_hold() -> None:
    told = PAGE.read_text().partition("## 11.")[2].replace(",", "")
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    for name in ("document", "tokens", "operations", "fields", "depth", "aliases", "directives", "cost"):
        assert re.search(rf"\b{defaults['graphql_max_' + name]}\b", told), name
    for limit in (MAX_SPREADS, INTROSPECTION_DEPTH, INTROSPECTION_LISTS, MOST_VALUES):
        assert re.search(rf"\b{limit}\b", told), limit


def test_the_readme_leads_to_it() -> None:
    assert "docs/graphql.md" in (ROOT / "README.md").read_text()
