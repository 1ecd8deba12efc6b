"""``lakefront serve``: from settings to a server that answers, until a signal ends it."""

import asyncio
import gc
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import uvicorn
import uvloop
from rich.console import Console

from lakefront import __version__
from lakefront.actor import CITY
from lakefront.adapters.endpoint import is_loopback
from lakefront.db.embedded import EmbeddedError
from lakefront.server import logs
from lakefront.server.app import build_app
from lakefront.server.keys import mint
from lakefront.server.lifespan import Running, running
from lakefront.server.protocol import server_config
from lakefront.settings import Settings

DEMO_TOKEN_TTL = 86_400
"""Seconds that the token which ``serve`` prints is valid."""


def run(settings: Settings, *, demo: bool) -> None:
    """Serve until SIGINT or SIGTERM; raises ``EmbeddedError``, with a clear text, when it cannot start.

    A ``demo`` that this machine alone reaches has a made-up city, too, which it may call, and where things go quickly.
    """
    logs.set_up(settings)
    if demo and is_loopback(settings.host):
        wanted = {"loopback_integrations": True, "service_request_poll_interval": 30.0}
        unset = wanted.keys() - settings.model_fields_set
        settings = settings.model_copy(update={name: wanted[name] for name in unset})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, demo=demo))


async def _serve(settings: Settings, *, demo: bool) -> None:
    # The address first: a port that is taken is told before any part is started.
    with _bind(settings) as listening:
        async with running(settings) as parts, _demo(parts, wanted=demo) as city:
            server = _Server(server_config(build_app(parts), settings))
            listening.listen(server.config.backlog)
            _announce(parts, listening, city)
            _settle_garbage()
            await server.serve(sockets=[listening])


class _Server(uvicorn.Server):
    """uvicorn that leaves us alive after SIGINT or SIGTERM, so that our parts are stopped in order, too."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the first signal as the wish to end; uvicorn's own raises it anew, which ends the process at once."""
        loop = asyncio.get_running_loop()
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(each, self.handle_exit, each, None)
        try:
            yield
        finally:
            for each in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(each)


def _settle_garbage() -> None:
    """Leave what the start made out of collections, and collect seldom: a request's objects die by their counts."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()


def _bind(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as taken:
        listening.close()
        raise EmbeddedError(
            f"cannot listen on {settings.host}:{settings.port} ({taken.strerror}); choose another with --host, --port"
        ) from taken
    return listening


def host_in_url(bound: str) -> str:
    """What a URL on this machine names for the address ``bound``; localhost need not be IPv6's."""
    if bound in {"127.0.0.1", "0.0.0.0", "::"}:  # noqa: S104
        return "localhost"
    return f"[{bound}]" if ":" in bound else bound


def _announce(parts: Running, listening: socket.socket, city: str | None) -> None:
    """URLs on the terminal, and, where the parts are embedded, a token to begin with."""
    settings = parts.settings
    port = listening.getsockname()[1]
    host = host_in_url(settings.host)
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"\n[bold]Lakefront {__version__}[/bold]")
    console.print(f"  front page   http://{host}:{port}/")
    console.print(f"  GraphQL      http://{host}:{port}/graphql   (subscriptions: ws://{host}:{port}/graphql)")
    console.print(f"  events in    http://{host}:{port}/sf-permit-events")
    if city is not None:
        console.print(f"  made-up city {city}   (docs/simulator.md)")
    if settings.embedded_postgres:
        token = mint(parts.key, settings, "serve", "admin", CITY, DEMO_TOKEN_TTL)
        # A fragment stays in the browser: no request, log or Referer has it.
        console.print(f"  GraphiQL     http://{host}:{port}/graphql#token={token}")
        console.print(f"  admin token  (for {DEMO_TOKEN_TTL // 3600} h; more by 'lakefront token')\n\n{token}\n")
    else:
        console.print("  token        make one with 'lakefront token'\n")


@asynccontextmanager
async def _demo(parts: Running, *, wanted: bool) -> AsyncIterator[str | None]:
    """Run the demo, if it is ``wanted``, beside the server; yields the URL of its city, None where there is none."""
    if not wanted:
        yield None
        return
    from lakefront.server.demo import city, permits  # noqa: PLC0415 - only where they are wanted

    services = parts.doors.services
    async with AsyncExitStack() as stack:
        work = [permits.run(services)]
        simulator = None
        if city.wanted(parts.settings):
            simulator = await stack.enter_async_context(city.simulated())
            work.append(city.run(services, simulator))
        for each in work:
            stack.callback(asyncio.create_task(each, name="demo").cancel)
        yield simulator.url if simulator is not None else None
