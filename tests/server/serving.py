"""A real server on a real port inside a test."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import count
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from lakefront.server.client_address import ClientAddresses
from lakefront.server.cors import Cors
from lakefront.server.protocol import server_config
from lakefront.server.security_headers import SecurityHeaders
from lakefront.settings import Settings


class _Server(uvicorn.Server):
    """uvicorn that ends when it is told and its connections are gone; by itself it looks ten times a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.told = asyncio.Event()

    async def main_loop(self) -> None:
        for tick in count():
            if await self.on_tick(tick):
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self.told.wait(), 0.1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for _ in range(5):
            if not self.server_state.connections and not self.server_state.tasks:
                for server in self.servers:
                    server.close()
                    await server.wait_closed()
                return
            await asyncio.sleep(0.005)
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to pytest."""
        yield


@asynccontextmanager
async def serving(app: ASGIApp, settings: Settings, **overrides: Any) -> AsyncIterator[int]:
    """Serve ``app`` as in production; yields the port."""
    server = _Server(server_config(app, settings, lifespan="off", **overrides))
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.005)
        if task.done():
            await task
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        server.told.set()
        await task


def guarded(app: ASGIApp, settings: Settings) -> ASGIApp:
    """A door behind what stands in front of all doors in the application."""
    addresses = ClientAddresses(settings.trusted_proxies)
    return SecurityHeaders(Cors(app, settings.allowed_origins), addresses)


async def exchange(port: int, data: bytes, *, seconds: float = 5, eof: bool = False) -> bytes:
    """Send ``data`` over a bare socket and return all that comes until the server closes or ``seconds`` pass."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = b""
    try:
        writer.write(data)
        await writer.drain()
        if eof:
            writer.write_eof()
        async with asyncio.timeout(seconds):
            while chunk := await reader.read(65536):
                received += chunk
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()
    return received
