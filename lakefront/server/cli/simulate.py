"""``lakefront simulate``."""

import asyncio
import signal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakefront.server.cli.common import fail, run

if TYPE_CHECKING:
    from lakefront.simulator import Simulator

app = typer.Typer(name="simulate", help="Play the outside world.", no_args_is_help=True)


@app.callback()
def simulate() -> None:
    """Play the outside world: made-up systems that answer as the real ones do."""


@app.command()
def city(
    *,
    host: Annotated[
        str, typer.Option(help="Address to listen on; beyond loopback anybody can steer it.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8311,
    seed: Annotated[int, typer.Option(help="What all that is made up follows from.")] = 0,
    faults: Annotated[
        str, typer.Option(metavar="RULES", help="[SYSTEM:]KIND[=PROBABILITY[:NUMBER]],… or JSON, or @file.")
    ] = "",
    limits: Annotated[
        list[str] | None, typer.Option("--limit", metavar="NAME=RATES", help="nyc311=10/second,100000/day; repeatable.")
    ] = None,
    speed: Annotated[float, typer.Option(min=0, help="Seconds of the city in a real one.")] = 1.0,
    start: Annotated[str | None, typer.Option(metavar="TIME", help="When its clock begins (default: now).")] = None,
    progress: Annotated[float, typer.Option(min=0, help="Seconds until tickets are worked on.")] = 3600.0,
    close: Annotated[float, typer.Option(min=0, help="Seconds until they are closed.")] = 86_400.0,
    rows: Annotated[int, typer.Option(min=1, max=1_000_000, help="Rows of each open data set.")] = 2000,
) -> None:
    """Serve every outside system of a made-up city: 311, maps, open data, benefits, messages. docs/simulator.md."""
    from lakefront.simulator import Pace, Simulator
    from lakefront.simulator import faults as rules
    from lakefront.simulator.control import parse_time

    named = dict(_limit(each) for each in limits or ())
    simulator = Simulator(
        seed,
        host=host,
        port=port,
        faults=rules.parse(faults),
        limits=named,
        start=parse_time(start) if start else None,
        speed=speed,
        pace=Pace(progress, close),
        rows=rows,
    )
    run(_serve(simulator))


def _limit(text: str) -> tuple[str, str]:
    name, equals, rates = text.partition("=")
    if not equals:
        raise fail(f"'{text}' is no limit. Write NAME=RATES, as nyc311=10/second,100000/day.")
    return name.strip(), rates.strip()


async def _serve(simulator: "Simulator") -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, stop.set)
    async with simulator:
        typer.echo(f"city simulator  {simulator.url}   (seed {simulator.seed})")
        typer.echo(f"control         {simulator.url}/_control")
        for endpoint in simulator.endpoints():
            typer.echo(_line(endpoint))
        await stop.wait()


def _line(endpoint: dict[str, Any]) -> str:
    name = f"{endpoint['provider']} {endpoint['api_version']}"
    return f"{name:<28}{endpoint['base_url']}"
