"""The city as a server: real HTTP on a real socket, in this process or in one of its own."""

import asyncio
import socket
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from lakefront.errors import Unavailable
from lakefront.simulator.answers import Refusal
from lakefront.simulator.city import City
from lakefront.simulator.control import Control
from lakefront.simulator.faults import Fault
from lakefront.simulator.front import Front, transport_of
from lakefront.simulator.systems import build
from lakefront.simulator.systems.base import System
from lakefront.simulator.tickets import Pace

STOP_TIMEOUT = 2
"""Seconds that requests in flight get to end when the server stops."""


class Simulator(City):
    """All outside systems of a made-up city behind one port (C14): ``async with Simulator(seed=1) as city: city.url``.

    Below ``/<system>`` each system answers as its contract says; ``/_control`` steers the city from outside, its own
    attributes (``clock``, ``faults``, ``tickets``, …) from inside. Everything random follows from ``seed``; the time is
    real unless ``start`` and ``speed`` say otherwise.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        faults: Iterable[Fault] = (),
        limits: Mapping[str, str] | None = None,
        start: datetime | None = None,
        speed: float = 1.0,
        pace: Pace | None = None,
        rows: int = 2000,
    ) -> None:
        """See ``City`` for what is no address; port 0 takes a free one."""
        super().__init__(seed, faults=faults, limits=limits, start=start, speed=speed, pace=pace, rows=rows)
        self.systems = build(self)
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self._state = ServerState()
        self._url = ""

    @property
    def url(self) -> str:
        """Where it is reached: ``http://127.0.0.1:<port>``."""
        return self._url

    def endpoints(self) -> list[dict[str, Any]]:
        """The ways into every system as plain data, what an ``Endpoint`` has: today's form of each is first."""
        return endpoints(self._url, self.systems)

    async def start(self) -> None:
        """Listen; raises ``Unavailable`` where the address is taken."""
        listening = _bind(self._host, self._port)
        self._url = f"http://{_in_url(self._host)}:{listening.getsockname()[1]}"
        config = uvicorn.Config(
            application(self), ws="none", lifespan="off", log_config=None, access_log=False, date_header=False
        )
        config.load()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Protocol(config, self._state, {}), sock=listening)

    async def stop(self) -> None:
        """Stop listening; whoever waits for a slow answer gets the rest of it at once."""
        if self._server is None:
            return
        self.closing.set()
        self._server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        if self._state.tasks:
            _, late = await asyncio.wait(self._state.tasks, timeout=STOP_TIMEOUT)
            for task in late:
                task.cancel()
        for connection in list(self._state.connections):
            connection.transport.abort()
        await self._server.wait_closed()
        self._server = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()


def application(simulator: Simulator) -> ASGIApp:
    """Everything behind the port."""
    control = Control(simulator, simulator.systems, simulator.endpoints)
    mounts = [Mount(f"/{name}", routes=list(system.routes())) for name, system in simulator.systems.items()]
    app = Starlette(
        routes=[Mount("/_control", routes=control.routes()), *mounts], exception_handlers={Refusal: _refusal}
    )
    app.router.redirect_slashes = False
    return Front(app, simulator, simulator.systems)


def endpoints(url: str, systems: Mapping[str, System]) -> list[dict[str, Any]]:
    """The ways into the systems of the simulator at ``url``."""
    return [
        {
            "provider": name,
            "city": door.city,
            "base_url": f"{url}/{name}{door.path}",
            "api_version": door.api_version,
            "credentials": dict(door.credentials),
        }
        for name, system in systems.items()
        for door in system.doors()
    ]


async def _refusal(request: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    return refusal.response


class _Protocol(HttpToolsProtocol):
    """uvicorn's, telling each request its connection, so that a fault can reset it."""

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.scope["extensions"] = transport_of(self.transport)


def _bind(host: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as taken:
        listening.close()
        message = f"The simulator cannot listen on {host}:{port} ({taken.strerror}). Choose another with --port."
        raise Unavailable(message) from taken
    return listening


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else "127.0.0.1" if host in {"0.0.0.0", ""} else host  # noqa: S104 - compares
