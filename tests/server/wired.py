"""The whole application on real parts inside a test: the server's own lifespan, and a client of its port."""

import atexit
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import httpx
import orjson
from starlette.applications import Starlette

from lakefront.actor import CITY
from lakefront.db.database import Database
from lakefront.domain import permits
from lakefront.server.app import build_app
from lakefront.server.keys import SigningKey, mint
from lakefront.server.lifespan import Running, running
from lakefront.settings import Settings
from tests.server.serving import serving

INGEST = "/sf-permit-events"


@dataclass
class Wired:
    """An application that is served, its parts, and a client of it."""

    app: Starlette
    parts: Running
    port: int
    client: httpx.AsyncClient

    @cached_property
    def _tokens(self) -> dict[str, str]:
        return {}

    def token(self, role: str) -> str:
        """A token of the city's tenant; the same one each time."""
        if role not in self._tokens:
            self._tokens[role] = mint(self.parts.key, self.parts.settings, f"test:{role}", role, CITY, 3600)
        return self._tokens[role]

    def bearer(self, role: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(role)}"}

    async def ingest(self, body: Any, *, path: str = INGEST, **headers: str) -> httpx.Response:
        """POST events (or bytes, as they are) as a producer does; a header given as "" is left out."""
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        sent = {"Content-Type": "application/json", **self.bearer("ingest")}
        sent |= {name.replace("_", "-").title(): value for name, value in headers.items()}
        return await self.client.post(
            path, content=content, headers={name: value for name, value in sent.items() if value}
        )

    async def ask(self, query: str, **variables: Any) -> Any:
        """The data of a GraphQL operation, asked as a reader."""
        response = await self.client.post(
            "/graphql", json={"query": query, "variables": variables}, headers=self.bearer("reader")
        )
        assert "errors" not in response.json(), response.text
        return response.json()["data"]

    async def stored(self) -> list[tuple[str, Any]]:
        """(id, payload) of every event in the log, in the order of their shards and offsets."""
        return await stored(self.parts.doors.services.database)


@cache
def _keys() -> Path:
    """A folder with a signing key."""
    folder = Path(tempfile.mkdtemp(prefix="lf-"))
    atexit.register(shutil.rmtree, folder)
    SigningKey.load_or_create(folder)
    return folder / "keys"


async def stored(database: Database) -> list[tuple[str, Any]]:
    async with database.transaction(CITY) as transaction:
        rows = await transaction.fetch(
            'SELECT event_id, payload FROM lakefront.events WHERE stream = $1 ORDER BY shard, "offset"', permits.STREAM
        )
    return [tuple(row) for row in rows]


@asynccontextmanager
async def wired(settings: Settings) -> AsyncIterator[Wired]:
    """Serve the application on the database and Redis that ``settings`` name, until the block ends.

    Its signing key is this run's, unless the data folder has one: to make one takes a tenth of a second.
    """
    if not (settings.data / "keys").exists():
        shutil.copytree(_keys(), settings.data / "keys")
    async with running(settings) as parts:
        app = build_app(parts)
        async with (
            serving(app, settings) as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client,
        ):
            yield Wired(app, parts, port, client)
